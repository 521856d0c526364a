"""Models as the simulator takes them: one step of an affine model as sums of few terms, or functions of a block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.dynamics.embedding import discretise
from trimtab.errors import InputError

__all__ = ["SCHEMES", "NonlinearSDE", "Transitions", "one_step"]

SCHEMES = ("euler", "exact")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class NonlinearSDE:
    """dX = mu(X) dt + sigma(X) dW with any drift and state-dependent diffusion, stepped by Euler-Maruyama.

    ::

        x_{t+1} = x_t + mu(x_t) dt + sigma(x_t) sqrt(dt) eps_t,    eps_t ~ N(0, I)    (paper, eq. 2)

    Parameters
    ----------
    drift
        Function of a block of states (n, paths) that returns mu, (n, paths), score units per unit of time.
    diffusion
        Function of a block of states (n, paths) that returns sigma: (n, paths), the diagonal of sigma, or
        (n, n, paths). Score units per square root of a unit of time.
    n
        Number of objectives.
    dt
        Time between iterations.

    Notes
    -----
    Both functions are called in several threads at once, with blocks of any number of paths. They must treat each path
    by itself and leave their argument as it is.

    Raises
    ------
    InputError
        If ``n < 1`` or ``dt <= 0``, or a function cannot be called.

    Examples
    --------
    >>> import numpy as np
    >>> logistic = NonlinearSDE(lambda x: 0.5 * x * (1 - x / 10), lambda x: 0.1 * x, n=1)
    >>> logistic.drift(np.array([[5.0, 10.0]]))
    array([[1.25, 0.  ]])
    """

    drift: Callable[[NDArray[Any]], NDArray[Any]]
    diffusion: Callable[[NDArray[Any]], NDArray[Any]]
    n: int
    dt: float = 1.0

    def __post_init__(self) -> None:
        if not (callable(self.drift) and callable(self.diffusion)):
            raise InputError("drift and diffusion must be functions of a block of states (n, paths)")
        if not self.n >= 1:
            raise InputError(f"n must be 1 or more, but got {self.n}")
        if not 0 < self.dt < np.inf:
            raise InputError(f"dt must be positive and finite, but got {self.dt:g}")


def one_step(model: AffineSDE, h: float, scheme: str) -> tuple[Floats, Floats, Floats]:
    """Return F (n, n), c (n,) and Q (n, n) of one step x' = F x + c + w, w ~ N(0, Q), of length `h`.

    With G = model.Q / model.dt = sigma sigma', the covariance per unit of time:

    - ``"euler"``: F = I + A h, c = b h, Q = G h. At h = model.dt these are the model's own loop (paper, eq. 2).
    - ``"exact"``: the law of the continuous-time equation over h (see `embedding.discretise`).
    """
    A, b, G = model.A, model.b, model.Q / model.dt
    if scheme == "euler":
        return np.eye(model.n) + A * h, b * h, G * h
    return discretise(A, b, G, h)


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """One step of each of K affine models: y_i = c_i + the sum over k < count_i of factor_ik (x, z)[where_ik].

    Only terms that are not zero are kept, in the order x_1 .. x_n, z_1 .. z_n.

    Parameters
    ----------
    where, factor
        (K, n, 2 n) Index into the rows of x and then of the noise z, and what they are multiplied by.
    count
        (K, n) Number of terms.
    c
        (K, n)
    """

    where: Ints
    factor: NDArray[Any]
    count: Ints
    c: NDArray[Any]

    @classmethod
    def of(cls, models: Sequence[AffineSDE], h: float, scheme: str, dtype: Any) -> Transitions:
        """Return the transitions over a time `h`, in numbers of type `dtype`."""
        n = models[0].n
        where = np.zeros((len(models), n, 2 * n), dtype=np.int64)
        factor = np.zeros(where.shape, dtype=dtype)
        count = np.zeros((len(models), n), dtype=np.int64)
        c = np.zeros((len(models), n), dtype=dtype)
        for k, model in enumerate(models):
            F, c_, Q = one_step(model, h, scheme)
            both = np.hstack([F, semidefinite_cholesky(Q)])
            for i in range(n):
                kept = np.flatnonzero(both[i])
                where[k, i, : len(kept)], factor[k, i, : len(kept)] = kept, both[i, kept]
                count[k, i] = len(kept)
            c[k] = c_
        return cls(where, factor, count, c)
