"""A block of paths on its way through the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.simulation import philox
from trimtab.simulation.bounds import bound
from trimtab.simulation.plan import Plan
from trimtab.simulation.transitions import NonlinearSDE

__all__ = ["Walk"]

Array = NDArray[Any]
Ints = NDArray[np.int64]

_LANES = (
    64  # to whose multiple blocks are filled up, so that NumPy's vector loops leave no rest that rounds differently
)


class Walk:
    """The states of paths ``first .. first + size - 1``, from t = 0 on."""

    def __init__(self, plan: Plan, first: int, size: int) -> None:
        self.plan, self.first, self.size = plan, first, size
        self.t = 0
        width = -(-size // _LANES) * _LANES
        self._x = np.empty((plan.n, width), plan.dtype)
        own = plan.x0 if len(plan.x0) == 1 else plan.x0[first : first + size]
        self._x[:, :size] = own.T
        self._x[:, size:] = own[-1:].T
        self._step_by_step = plan.codes is None or any(isinstance(model, NonlinearSDE) for model in plan.models)
        if self._step_by_step:
            self._next, self._other = np.empty_like(self._x), np.empty_like(self._x)
            self._both = np.empty((4, 2 * plan.n, width), plan.dtype)  # states and then noise, of four steps

    @property
    def state(self) -> Array:
        """Present states, (n, size)."""
        return self._x[:, : self.size]

    def go(self, steps: int, out: Array, taken: Array | None = None) -> None:
        """Go on by `steps` iterations.

        Parameters
        ----------
        out
            (records, n, size), of any strides: filled with the states after each steps / records iterations.
        taken
            (steps, size) Filled with the codes that a policy chose.
        """
        every = steps // len(out)
        if self._step_by_step:
            for s in range(steps):
                codes = self._iterate()
                if (s + 1) % every == 0:
                    out[s // every] = self.state
                if taken is not None:
                    taken[s] = codes[: self.size]
                self.t += 1
            return
        plan, T = self.plan, self.plan.transitions
        assert plan.codes is not None  # noqa: S101  # else it goes step by step
        codes = np.repeat(plan.codes[self.t : self.t + steps], plan.substeps)
        plan.backend.advance(
            self._x, out, every * plan.substeps, self.first, self.t * plan.substeps, codes, T.where, T.factor, T.count,
            T.c, plan.low, plan.high, plan.mode, *plan.key,
        )  # fmt: skip
        self.t += steps

    def observe(self, out: Array, t: int) -> None:
        """Add score noise to records out (records, n, size) of the iterations t, t + 1, ..."""
        root = self.plan.score_noise
        if root is None:
            return
        z = np.empty((4, *self._x.shape), self.plan.dtype)
        for r, record in enumerate(out):
            lane = (t + r) % 4
            if lane == 0 or r == 0:
                self.plan.backend.fill(z, 0, self.first, (t + r) // 4, philox.SCORE_NOISE, *self.plan.key)
            for i, j in zip(*np.nonzero(root), strict=True):
                record[i] += root[i, j] * z[lane, j, : self.size]

    def _iterate(self) -> Array:
        """Go on by one iteration, and return which model each path took, (width,)."""
        plan = self.plan
        codes = self._codes()
        present = np.unique(codes)
        for s in range(self.t * plan.substeps, (self.t + 1) * plan.substeps):
            if s % 4 == 0:
                plan.backend.fill(self._both, plan.n, self.first, s // 4, philox.STEP_NOISE, *plan.key)
            both = self._both[s % 4]
            both[: plan.n] = self._x
            self._step(int(present[0]), self._next, both)
            for k in present[1:]:
                self._step(int(k), self._other, both)
                np.copyto(self._next, self._other, where=codes == k)
            bound(self._next, plan.low, plan.high, plan.mode)
            self._x, self._next = self._next, self._x
        return codes

    def _step(self, k: int, y: Array, both: Array) -> None:
        """Write what states become by model `k`, not bounded yet, into y (n, width)."""
        plan, T, model = self.plan, self.plan.transitions, self.plan.models[k]
        if isinstance(model, AffineSDE):
            plan.backend.step(y, both, T.where[k], T.factor[k], T.count[k], T.c[k], plan.low, plan.high, 0)
            return
        n = plan.n
        x, z = both[:n], both[n:]
        drift, sigma = np.asarray(model.drift(x)), np.asarray(model.diffusion(x))
        if drift.shape != x.shape or sigma.shape not in (x.shape, (n, *x.shape)):
            raise InputError(
                f"of a block of states {x.shape} a drift must be {x.shape}, and a diffusion {x.shape} or "
                f"{(n, *x.shape)}, but they are {drift.shape} and {sigma.shape}"
            )
        moved = sigma * z if sigma.shape == x.shape else (sigma * z).sum(axis=1)
        y[...] = x + drift * plan.h + moved * np.sqrt(plan.h)

    def _codes(self) -> Ints:
        """Return which model each path goes on by, (width,)."""
        plan, width = self.plan, self._x.shape[1]
        if plan.codes is not None:
            return np.full(width, plan.codes[self.t])
        assert plan.policy is not None  # noqa: S101  # one of the two is given
        seen = self.state.copy()
        self.observe(seen[None], self.t)
        chosen = np.asarray(plan.policy(self.t, seen))
        if chosen.shape not in ((), (self.size,)) or chosen.dtype.kind not in "iu":
            raise InputError(
                f"a policy must return one whole number for each of the {self.size} paths of its block, or one for "
                f"all, but at t = {self.t} it returned {chosen.dtype} of shape {chosen.shape}"
            )
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(plan.models):
            raise InputError(
                f"a policy must return codes 0..{len(plan.models) - 1}, one per strategy, but at t = {self.t} it "
                f"returned {chosen.min()}..{chosen.max()}"
            )
        codes = np.empty(width, dtype=np.int64)
        codes[: self.size] = chosen
        codes[self.size :] = codes[self.size - 1]
        return codes
