"""The model's parameters as one unconstrained vector, with a weak prior, for each of four nested models."""

from __future__ import annotations

from dataclasses import dataclass

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
    "log_sd_session": (-1.5, 1.5),
    "log_sd_noise": (-1.5, 1.5),
    "off": (0.0, 1.0),
}


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
    sessions, noise
        Whether lasting differences between sessions, and score noise, are part of the model.
    """

    n: int
    sessions: bool
    noise: bool

    def _blocks(self) -> list[tuple[str, int]]:
        n = self.n
        triangle = n * (n + 1) // 2
        blocks = [("phi", n * n), ("c", n), ("m", n), ("Q", triangle), ("P", triangle)]
        if self.sessions:
            blocks += [("G", n * n), ("U", triangle)]
        if self.noise:
            blocks += [("r", n)]
        return blocks

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(length for _, length in self._blocks())

    def slices(self) -> dict[str, slice]:
        """Return the place of each block."""
        found, at = {}, 0
        for name, length in self._blocks():
            found[name] = slice(at, at + length)
            at += length
        return found

    def prior(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the prior, (size,) each."""
        n, mean, spread = self.n, np.zeros(self.size), np.ones(self.size)
        diagonal = np.flatnonzero(np.equal(*np.tril_indices(n)))
        for name, at in self.slices().items():
            if name in ("phi", "c", "m"):
                mean[at], spread[at] = _PRIOR[name]
            if name == "phi":
                mean[at] = (_PRIOR["phi"][0] * np.eye(n)).ravel()
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
        diagonal = np.flatnonzero(np.equal(*np.tril_indices(self.n)))
        for name, at in self.slices().items():
            if name in ("Q", "P", "U", "r"):
                places = at.start + (np.arange(self.n) if name == "r" else diagonal)
                low[places], high[places] = _LOWEST, _HIGHEST
        return low, high

    def model(self, vector: Floats) -> Model:
        """Return the parameters that `vector` stands for."""
        n, at = self.n, self.slices()
        LQ, LP = _factor(vector[at["Q"]], n), _factor(vector[at["P"]], n)
        zero = np.zeros((n, n))
        U, C = zero, zero
        if self.sessions:
            G, LU = vector[at["G"]].reshape(n, n), _factor(vector[at["U"]], n)
            U, C = G @ G.T + LU @ LU.T, G @ LP.T
        return Model(
            phi=vector[at["phi"]].reshape(n, n),
            c=vector[at["c"]],
            Q=LQ @ LQ.T,
            P=LP @ LP.T,
            U=U,
            C=C,
            m=vector[at["m"]],
            r=np.exp(2 * vector[at["r"]]) if self.noise else np.zeros(n),
        )

    def gradient(self, vector: Floats, model: Model, slope: Model) -> Floats:
        """Return the gradient with respect to `vector`, given that with respect to the parameters."""
        n, at = self.n, self.slices()
        out = np.empty(self.size)
        out[at["phi"]], out[at["c"]], out[at["m"]] = slope.phi.ravel(), slope.c, slope.m
        LQ, LP = _factor(vector[at["Q"]], n), _factor(vector[at["P"]], n)
        out[at["Q"]] = _flat((slope.Q + slope.Q.T) @ LQ, LQ)
        towards_P = (slope.P + slope.P.T) @ LP
        if self.sessions:
            G, LU = vector[at["G"]].reshape(n, n), _factor(vector[at["U"]], n)
            both = slope.U + slope.U.T
            towards_P = towards_P + slope.C.T @ G
            out[at["G"]] = (slope.C @ LP + both @ G).ravel()
            out[at["U"]] = _flat(both @ LU, LU)
        out[at["P"]] = _flat(towards_P, LP)
        if self.noise:
            out[at["r"]] = 2 * model.r * slope.r
        return out

    def vector(self, model: Model) -> Floats:
        """Return the vector of `model`, whose covariances must be positive definite; U and C where they are modelled."""
        n, at = self.n, self.slices()
        out = np.empty(self.size)
        out[at["phi"]], out[at["c"]], out[at["m"]] = model.phi.ravel(), model.c, model.m
        LP = np.linalg.cholesky(model.P)
        out[at["Q"]], out[at["P"]] = _logs(np.linalg.cholesky(model.Q)), _logs(LP)
        if self.sessions:
            G = np.linalg.solve(LP, model.C.T).T
            out[at["G"]] = G.ravel()
            out[at["U"]] = _logs(np.linalg.cholesky(model.U - G @ G.T))
        if self.noise:
            out[at["r"]] = 0.5 * np.log(model.r)
        return np.clip(out, *self.bounds())


def _factor(values: Floats, n: int) -> Floats:
    L = np.zeros((n, n))
    L[np.tril_indices(n)] = values
    L[np.diag_indices(n)] = np.exp(np.diagonal(L))
    return L


def _flat(slope: Floats, L: Floats) -> Floats:
    slope = slope.copy()
    slope[np.diag_indices(len(L))] *= np.diagonal(L)
    return slope[np.tril_indices(len(L))]


def _logs(L: Floats) -> Floats:
    L = L.copy()
    L[np.diag_indices(len(L))] = np.log(np.diagonal(L))
    return np.asarray(L[np.tril_indices(len(L))])
