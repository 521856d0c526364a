"""The model's parameters as one unconstrained vector, with a weak prior, for each of the nested models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.state_space.likelihood import Model

__all__ = ["Layout", "Roots"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
        return _prior(self)

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
        """Return the gradient with respect to `vector` (..., size), given that with respect to the parameters."""
        n, at, batch = self.n, self.slices(), vector.shape[:-1]
        out = np.empty(vector.shape)
        out[..., at["phi"]], out[..., at["c"]], out[..., at["m"]] = slope.phi.reshape(*batch, -1), slope.c, slope.m
        LQ, LP, LU = roots.Q, roots.P, roots.U
        out[..., at["Q"]] = _flat((slope.Q + _turned(slope.Q)) @ LQ, LQ)
        towards_P = (slope.P + _turned(slope.P)) @ LP
        if self.sessions:
            both = slope.U + _turned(slope.U)
            out[..., at["U"]] = _flat(both @ LU, LU)
            if self.tied:
                G = vector[..., at["G"]].reshape(*batch, n, n)
                towards_P = towards_P + _turned(slope.C) @ G
                out[..., at["G"]] = (slope.C @ LP + both @ G).reshape(*batch, -1)
        out[..., at["P"]] = _flat(towards_P, LP)
        if self.noise:
            out[..., at["r"]] = 2 * model.r * slope.r
        return out

    def bend(self, vector: Floats, roots: Roots, slope: Model) -> Floats:
        """Return the curvature of -log likelihood that comes from writing covariances as L L', (batch, size, size).

        Where a variance is on its way to 0 this is most of the curvature, and none of it is in the expected
        information. Only the part that is positive semidefinite is returned. For a full layout.
        """
        n, at, batch = self.n, self.slices(), len(vector)
        out = np.zeros((batch, self.size, self.size))
        joint = np.zeros((batch, 2 * n, 2 * n))
        joint[:, :n, :n], joint[:, n:, n:] = slope.P, slope.U
        joint[:, n:, :n], joint[:, :n, n:] = slope.C / 2, _turned(slope.C) / 2
        rows, columns = np.tril_indices(n)
        square = np.indices((n, n)).reshape(2, -1)
        # Of each group of entries of a root: place in the vector, row and column, and the slope by L L'.
        groups = [
            (np.arange(at["Q"].start, at["Q"].stop), rows, columns, slope.Q),
            (
                np.concatenate([np.arange(at[name].start, at[name].stop) for name in ("P", "G", "U")]),
                np.concatenate([rows, square[0] + n, rows + n]),
                np.concatenate([columns, square[1], columns + n]),
                joint,
            ),
        ]
        for places, row, column, by in groups:
            values, vectors = np.linalg.eigh(-by)
            upward = (vectors * np.maximum(values, 0)[:, None]) @ _turned(vectors)
            scale = np.where(row == column, np.exp(vector[:, places]), 1.0)
            same = column[:, None] == column
            own = 2 * np.where(same, upward[:, row[:, None], row], 0.0) * scale[:, :, None] * scale[:, None]
            out[np.ix_(np.arange(batch), places, places)] += own
        if self.noise:
            r = np.exp(2 * vector[:, at["r"]])
            np.einsum("bii->bi", out)[:, at["r"]] += np.maximum(-4 * r * slope.r, 0)
        return out

    def places_in(self, full: Layout) -> Ints:
        """Return where each entry of this layout's vector stands in that of `full`, which has all its blocks."""
        there = full.slices()
        return np.concatenate([np.arange(there[name].start, there[name].stop) for name in self.slices()])

    def without(self) -> Floats:
        """Return entries that take away what is optional: no session effect, no tie, no score noise, (size,).

        Put into the vector of the full layout in place of the blocks of which a smaller one knows nothing, they give
        the smaller one's model.
        """
        at, (_, diagonal) = self.slices(), _lower(self.n)
        out = np.zeros(self.size)
        if self.sessions:
            out[at["U"].start + diagonal] = -np.inf
        if self.noise:
            out[at["r"]] = -np.inf
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
def _prior(layout: Layout) -> tuple[Floats, Floats]:
    n, mean, spread = layout.n, np.zeros(layout.size), np.ones(layout.size)
    _, diagonal = _lower(n)
    for name, at in layout.slices().items():
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
    mean.flags.writeable = spread.flags.writeable = False
    return mean, spread


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
def _lower(n: int) -> tuple[Ints, Ints]:
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
    places, diagonal = _lower(L.shape[-1])
    flat = slope.reshape(*slope.shape[:-2], -1)[..., places]
    flat[..., diagonal] *= np.diagonal(L, axis1=-2, axis2=-1)
    return np.asarray(flat)


def _logs(L: Floats) -> Floats:
    places, diagonal = _lower(len(L))
    flat = L.ravel()[places]
    flat[diagonal] = np.log(flat[diagonal])
    return np.asarray(flat)
