"""The model's parameters as one unconstrained vector, with a weak prior, for each of the nested models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.state_space.likelihood import Model

__all__ = ["Layout"]

Floats = NDArray[np.float64]

_LOWEST, _HIGHEST = -12.0, 6.0  # bounds of the logarithms of standard deviations, in units of the scores' own

_PRIOR = {
    # block: (mean, standard deviation), in units of the scores' own spread
    "phi": (0.5, 1.0),  # the mean is that of its diagonal
    "c": (0.0, 5.0),
    "m": (0.0, 5.0),
    "log_sd": (-0.7, 2.0),
    "log_sd_session": (-2.5, 3.0),
    "log_sd_noise": (-1.5, 1.5),
    "tie": (0.0, 0.3),
    "off": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Roots:
    """Lower triangular factors of Q, P and of what of U the first state does not tell."""

    Q: Floats
    P: Floats
    U: Floats


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each parameter stands in the vector, and how vector and `Model` turn into each other.

    Covariances are written as L L' with the logarithms of the diagonal of L. The session effect and the first state
    share one factor [[L_P, 0], [G, L_U]], so that any covariance between them is possible. Priors are independent
    normal on the vector, with the standard deviations of `_PRIOR`.

    Parameters
    ----------
    n
        Number of objectives.
    sessions, tied, noise
        Whether lasting differences between sessions are part of the model, whether they may be correlated with the
        first state, and whether score noise is part of the model.
    """

    n: int
    sessions: bool
    tied: bool
    noise: bool

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(max(at.stop for at in self.slices().values()))

    def slices(self) -> dict[str, slice]:
        """Return the place of each block."""
        return _slices(self.n, self.sessions, self.tied, self.noise)

    def prior(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the prior, (size,) each."""
        n, mean, spread = self.n, np.zeros(self.size), np.ones(self.size)
        _, diagonal = _lower(n)
        for name, at in self.slices().items():
            if name in ("phi", "c", "m"):
                mean[at], spread[at] = _PRIOR[name]
            if name == "phi":
                mean[at] = (_PRIOR["phi"][0] * np.eye(n)).ravel()
            if name == "G":
                mean[at], spread[at] = _PRIOR["tie"]
            if name == "r":
                mean[at], spread[at] = _PRIOR["log_sd_noise"]
            if name in ("Q", "P", "U"):
                mean[at], spread[at] = _PRIOR["off"]
                kind = "log_sd_session" if name == "U" else "log_sd"
                mean[at.start + diagonal], spread[at.start + diagonal] = _PRIOR[kind]
        return mean, spread

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the smallest and largest value of each entry, (size,) each."""
        low, high = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        _, diagonal = _lower(self.n)
        for name, at in self.slices().items():
            if name in ("Q", "P", "U", "r"):
                places = at.start + (np.arange(self.n) if name == "r" else diagonal)
                low[places], high[places] = _LOWEST, _HIGHEST
        return low, high

    def model(self, vector: Floats) -> Model:
        """Return the parameters that `vector` (..., size) stands for; they have the same leading axes."""
        return self.rooted(vector)[0]

    def rooted(self, vector: Floats) -> tuple[Model, Roots]:
        """Return the parameters with the roots of their covariances, of which `gradient` has need."""
        n, at, batch = self.n, self.slices(), vector.shape[:-1]
        LQ, LP = _factor(vector[..., at["Q"]], n), _factor(vector[..., at["P"]], n)
        zero = np.zeros((*batch, n, n))
        U, C, LU = zero, zero, zero
        if self.sessions:
            LU = _factor(vector[..., at["U"]], n)
            U = LU @ _turned(LU)
        if self.tied:
            G = vector[..., at["G"]].reshape(*batch, n, n)
            U, C = U + G @ _turned(G), G @ _turned(LP)
        model = Model(
            phi=vector[..., at["phi"]].reshape(*batch, n, n),
            c=vector[..., at["c"]],
            Q=LQ @ _turned(LQ),
            P=LP @ _turned(LP),
            U=U,
            C=C,
            m=vector[..., at["m"]],
            r=np.exp(2 * vector[..., at["r"]]) if self.noise else np.zeros((*batch, n)),
        )
        return model, Roots(LQ, LP, LU)

    def gradient(self, vector: Floats, model: Model, roots: Roots, slope: Model) -> Floats:
        """Return the gradient with respect to `vector`, given that with respect to the parameters."""
        n, at = self.n, self.slices()
        out = np.empty(self.size)
        out[at["phi"]], out[at["c"]], out[at["m"]] = slope.phi.ravel(), slope.c, slope.m
        LQ, LP, LU = roots.Q, roots.P, roots.U
        out[at["Q"]] = _flat((slope.Q + slope.Q.T) @ LQ, LQ)
        towards_P = (slope.P + slope.P.T) @ LP
        if self.sessions:
            both = slope.U + slope.U.T
            out[at["U"]] = _flat(both @ LU, LU)
            if self.tied:
                G = vector[at["G"]].reshape(n, n)
                towards_P = towards_P + slope.C.T @ G
                out[at["G"]] = (slope.C @ LP + both @ G).ravel()
        out[at["P"]] = _flat(towards_P, LP)
        if self.noise:
            out[at["r"]] = 2 * model.r * slope.r
        return out

    def vector(self, model: Model) -> Floats:
        """Return the vector of `model`, whose covariances must be positive definite where they are modelled."""
        at = self.slices()
        out = np.empty(self.size)
        out[at["phi"]], out[at["c"]], out[at["m"]] = model.phi.ravel(), model.c, model.m
        LP = np.asarray(np.linalg.cholesky(model.P))
        out[at["Q"]], out[at["P"]] = _logs(np.asarray(np.linalg.cholesky(model.Q))), _logs(LP)
        if self.sessions:
            G = np.linalg.solve(LP, model.C.T).T if self.tied else np.zeros_like(LP)
            out[at["U"]] = _logs(np.asarray(np.linalg.cholesky(model.U - G @ G.T)))
            if self.tied:
                out[at["G"]] = G.ravel()
        if self.noise:
            out[at["r"]] = 0.5 * np.log(model.r)
        return np.clip(out, *self.bounds())


@lru_cache(maxsize=64)
def _slices(n: int, sessions: bool, tied: bool, noise: bool) -> dict[str, slice]:
    triangle = n * (n + 1) // 2
    blocks = [("phi", n * n), ("c", n), ("m", n), ("Q", triangle), ("P", triangle)]
    if sessions:
        blocks += [("U", triangle)]
    if tied:
        blocks += [("G", n * n)]
    if noise:
        blocks += [("r", n)]
    found, at = {}, 0
    for name, length in blocks:
        found[name] = slice(at, at + length)
        at += length
    return found


@lru_cache(maxsize=64)
def _lower(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the flat places of the lower triangle of an (n, n) matrix, and of its diagonal within that triangle."""
    rows, columns = np.tril_indices(n)
    return rows * n + columns, np.flatnonzero(rows == columns)


def _turned(matrices: Floats) -> Floats:
    return np.swapaxes(matrices, -1, -2)


def _factor(values: Floats, n: int) -> Floats:
    places, diagonal = _lower(n)
    L = np.zeros((*values.shape[:-1], n * n))
    L[..., places] = values
    L[..., places[diagonal]] = np.exp(values[..., diagonal])
    return L.reshape(*values.shape[:-1], n, n)


def _flat(slope: Floats, L: Floats) -> Floats:
    places, diagonal = _lower(len(L))
    flat = slope.ravel()[places]
    flat[diagonal] *= np.diagonal(L)
    return np.asarray(flat)


def _logs(L: Floats) -> Floats:
    places, diagonal = _lower(len(L))
    flat = L.ravel()[places]
    flat[diagonal] = np.log(flat[diagonal])
    return np.asarray(flat)
