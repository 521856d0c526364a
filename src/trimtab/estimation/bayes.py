"""The full model by Markov chain Monte Carlo: the slow answer that the fast ones are checked against.

Needs the extra ``trimtab[bayes]`` (JAX, NumPyro, ArviZ), which is imported when `sample` is first called.
"""

from __future__ import annotations

import operator
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from trimtab.core.streams import stream, stream_seed
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics import spectrum
from trimtab.errors import FitError, InputError
from trimtab.estimation.panel import Panel
from trimtab.estimation.sampling.diagnostics import Diagnostics, Row, diagnose, require, table
from trimtab.estimation.state_space.moments import PanelMoments, panel_moments

if TYPE_CHECKING:
    from trimtab.estimation.sampling.density import Density

__all__ = ["Diagnostics", "Row", "diagnose", "sample", "table"]

Floats = NDArray[np.float64]

_COSTLIEST = 5e6  # patterns times (iterations times objectives)^3, beyond which sampling takes more than minutes
_FEWEST = 3  # runs
_STARTS = (-4.0, 1.0)  # log(noise / innovation variance) from which the mode is searched
_STEP = 1e-5  # of the differences that give the Hessian


def sample(
    data: Any,
    strategy: str | None = None,
    *,
    objectives: Any = None,
    dt: float = 1.0,
    draws: int = 1000,
    warmup: int = 500,
    chains: int = 4,
    seed: int = 0,
    accept: bool = False,
) -> Any:
    """Sample the posterior of the full model of one strategy's runs by the No-U-Turn Sampler.

    ::

        x_{t+1} = x_t + (A x_t + b + u) dt + w_t,    w_t ~ N(0, Q)
        y_t     = x_t + v_t,                         v_t ~ N(0, diag(R))

    with (x_0, u) jointly normal, u of mean zero: u are lasting differences between sessions, v is the scores' own
    noise. States and u are integrated out, so that the cost does not depend on the number of sessions. Priors are
    independent normal on the coordinates of `state_space.parameters.Layout`, and weak: in units of each objective's
    own spread, entries of I + A dt have the standard deviation 1 about I / 2; logarithms of the standard deviations of
    innovations have -0.7 +- 2, of score noise -1.5 +- 1.5, of u -2.5 +- 3.

    Parameters
    ----------
    data
        `Trajectories`, a `Fit`, anything that `trimtab.load` takes, or `PanelMoments`.
    strategy
        Which; may be left out where there is only one.
    objectives
        As in `fit`.
    dt
        Time between iterations.
    draws, warmup, chains
        Transitions kept and discarded per chain, and number of chains. All chains advance together.
    seed
        The same seed gives the same draws on the same machine.
    accept
        Return draws whose diagnostics are bad, too.

    Returns
    -------
    xarray.DataTree
        What ArviZ calls inference data. Group ``posterior``, with dimensions chain and draw: A, b, Q, R, session_sd
        (the standard deviation of u), rate, smooth_rate (-tr(A)/n), spectral_radius, equilibrium. Group
        ``sample_stats``. See `table` and `diagnose`.

    Raises
    ------
    InputError
        If the extra is not installed, or an option cannot be used.
    FitError
        If the runs are too few, too short or too long, or the chains did not converge.
    """
    require("jax", "numpyro", "arviz_base", "arviz_stats")
    counts = {"draws": draws, "warmup": warmup, "chains": chains, "seed": seed}
    for name, least in (("draws", 4), ("warmup", 0), ("chains", 1), ("seed", None)):
        try:
            counts[name] = operator.index(counts[name])
        except TypeError:
            raise InputError(f"{name} must be a whole number, but got {counts[name]!r}") from None
        if least is not None and counts[name] < least:
            raise InputError(f"at least {least} {name} are needed, but got {counts[name]}")
    if not isinstance(dt, int | float) or not 0 < dt < np.inf:
        raise InputError(f"dt must be a positive and finite number, but got {dt!r}")
    moments, names, label = _moments(data, strategy, objectives)
    _check(moments, names)
    began = time.perf_counter()
    vectors, density, stats = _chains(moments, counts, label)
    found = _tree(vectors, density, stats, moments, names, dt)
    found["posterior"].attrs.update(
        strategy=label, runs=sum(pattern.count for pattern in moments.patterns), sessions=moments.clusters, seed=seed,
        dt=dt, inference_library="numpyro", sampling_time=time.perf_counter() - began,
    )  # fmt: skip
    diagnostics = diagnose(found)
    if diagnostics.problems and not accept:
        raise FitError(
            f"the chains for {label!r} did not converge: {'; '.join(diagnostics.problems)}. [{diagnostics}] Try more "
            f"draws and warmup (now {draws:,} and {warmup:,} per chain), or fewer objectives. Where sessions are few "
            "or short, or scores nothing but noise, several accounts of the data may hold, and trimtab.fit gives the "
            "better answer. accept=True returns the draws all the same"
        )
    return found


def _moments(data: Any, strategy: str | None, objectives: Any) -> tuple[PanelMoments, tuple[str, ...], str]:
    if isinstance(data, PanelMoments):
        return data, tuple(f"objective {j + 1}" for j in range(data.n)), strategy or "all"
    trajectories = getattr(data, "trajectories", data)
    if isinstance(objectives, str):
        objectives = [objectives]
    if not isinstance(trajectories, Trajectories):
        from trimtab.store.load import load

        trajectories = load(trajectories, objectives=objectives)
    elif objectives is not None:
        trajectories = trajectories.select(objectives=[str(name) for name in objectives])
    known = trajectories.strategies
    if strategy is None and len(known) > 1:
        raise InputError(f"name one strategy to sample: {', '.join(known)}")
    if strategy is not None and strategy not in known:
        raise InputError(f"no strategy is called {strategy!r}; there are {', '.join(known)}")
    label = known[0] if strategy is None else strategy
    return panel_moments(Panel.of(trajectories, known.index(label))), trajectories.space.names, label


def _check(moments: PanelMoments, names: tuple[str, ...]) -> None:
    """Raise ``FitError`` where the model is not identified or sampling would take hours."""
    n, span = moments.n, moments.span
    runs = sum(pattern.count for pattern in moments.patterns)
    if runs < _FEWEST or span < 3:
        raise FitError(
            f"sampling needs at least {_FEWEST} sessions, one of at least three scored iterations, but there are "
            f"{runs} and the longest has {span}"
        )
    cost = len(moments.patterns) * (span * n) ** 3
    if cost > _COSTLIEST:
        raise FitError(
            f"sampling {span} iterations of {n} objectives, scored in {len(moments.patterns)} patterns, would take too "
            "long: give fewer objectives, or sessions of equal and smaller length; trimtab.fit takes them as they are"
        )
    squares = np.zeros((n, n))
    for pattern in moments.patterns:
        rows = len(pattern.index) // n
        squares += np.einsum("tatb->ab", pattern.outer.reshape(rows, n, rows, n))
    still = [name for name, own in zip(names, np.diagonal(squares), strict=True) if not own > 0]
    if still:
        raise FitError(f"{', '.join(still)} never varies: leave it out with objectives=")
    size = np.sqrt(np.diagonal(squares))
    if np.linalg.eigvalsh(squares / size[:, None] / size)[0] < 1e-9:
        raise FitError("one objective is an exact combination of others: leave it out with objectives=")


def _chains(moments: PanelMoments, counts: dict[str, int], label: str) -> tuple[Floats, Density, dict[str, Floats]]:
    """Return the parameters' vectors (chains, draws, size), the density they follow, and the sampler's statistics."""
    import jax
    import jax.numpy as jnp
    from numpyro.infer import MCMC, NUTS

    from trimtab.estimation.sampling.density import Density

    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        density = Density.of(moments)

        def energy(coordinates: Any) -> Any:
            return -density.log_posterior(density.to_vector(coordinates))

        mode, root = _mode(density, jax.jit(jax.value_and_grad(energy)))
        origin, unit = jnp.asarray(mode), jnp.asarray(root)
        kernel = NUTS(potential_fn=lambda z: energy(origin + unit @ z), dense_mass=True, step_size=0.25)
        runner = MCMC(
            kernel,
            num_warmup=counts["warmup"],
            num_samples=counts["draws"],
            num_chains=counts["chains"],
            chain_method="vectorized",
            progress_bar=False,
        )
        begin = stream(counts["seed"], "bayes", label).standard_normal((counts["chains"], len(mode)))
        fields = ("diverging", "num_steps", "accept_prob", "energy", "potential_energy", "adapt_state.step_size")
        # One chain has no axis of chains.
        runner.run(
            jax.random.key(stream_seed(counts["seed"], "bayes", label, "chains")),
            init_params=jnp.asarray(begin if counts["chains"] > 1 else begin[0]),
            extra_fields=fields,
        )
        z = runner.get_samples(group_by_chain=True)
        vectors = np.asarray(jax.vmap(jax.vmap(density.to_vector))(origin + z @ unit.T))
        extra = {name: np.asarray(values) for name, values in runner.get_extra_fields(group_by_chain=True).items()}
    return (
        vectors,
        density,
        {
            "diverging": extra["diverging"],
            "n_steps": extra["num_steps"],
            "acceptance_rate": extra["accept_prob"],
            "energy": extra["energy"],
            "lp": -extra["potential_energy"],
            "step_size": extra["adapt_state.step_size"],
        },
    )


def _mode(density: Density, value_and_slope: Any) -> tuple[Floats, Floats]:
    """Return the highest mode found, (size,), and a root of the inverse of the Hessian there, (size, size)."""

    def objective(coordinates: Floats) -> tuple[float, Floats]:
        value, slope = value_and_slope(coordinates)
        value, slope = float(value), np.asarray(slope)
        return (value, slope) if np.isfinite(value) else (1e300, np.zeros_like(slope))

    center, spread = density.layout.prior()
    searches = []
    for ratio in _STARTS:
        start = density.from_vector(center)
        start[density.ratios] = ratio
        searches.append(
            scipy.optimize.minimize(
                objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "maxcor": 30, "ftol": 1e-12}
            )
        )
    mode = np.asarray(min(searches, key=lambda search: float(search.fun)).x)
    hessian = np.empty((len(mode), len(mode)))
    for i, move in enumerate(_STEP * np.eye(len(mode))):
        hessian[i] = (objective(mode + move)[1] - objective(mode - move)[1]) / (2 * _STEP)
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    # Along a direction in which the data say nothing the posterior is as wide as the prior.
    return mode, np.asarray(vectors / np.sqrt(np.maximum(values, 1 / spread.max() ** 2)))


def _tree(
    vectors: Floats,
    density: Density,
    stats: dict[str, Floats],
    moments: PanelMoments,
    names: tuple[str, ...],
    dt: float,
) -> Any:
    from arviz_base import from_dict

    n, at, scale = moments.n, density.layout.slices(), moments.scale
    unit = scale[:, None] * scale
    phi = vectors[..., at["phi"]].reshape(*vectors.shape[:-1], n, n)
    A = (phi - np.eye(n)) * scale[:, None] / scale / dt
    b = vectors[..., at["c"]] * scale / dt - (A @ moments.center[:, None])[..., 0]
    Q, U = _covariance(vectors[..., at["Q"]], n), _covariance(vectors[..., at["U"]], n)
    G = vectors[..., at["G"]].reshape(*vectors.shape[:-1], n, n)
    U = U + G @ np.swapaxes(G, -1, -2)
    lam = spectrum.eigenvalues(A)
    posterior = {
        "rate": spectrum.rate(lam),
        "smooth_rate": -lam.real.mean(axis=-1),
        "spectral_radius": spectrum.spectral_radius(lam, dt),
        "equilibrium": -np.linalg.solve(A, b[..., None])[..., 0],
        "A": A,
        "b": b,
        "Q": Q * unit,
        "R": np.exp(2 * vectors[..., at["r"]]) * scale**2,
        "session_sd": np.sqrt(np.diagonal(U, axis1=-2, axis2=-1)) * scale / dt,
    }
    one, two = ["objective"], ["objective", "objective_bis"]
    return from_dict(
        {"posterior": posterior, "sample_stats": stats},
        coords={"objective": [*names], "objective_bis": [*names]},
        dims={"equilibrium": one, "b": one, "R": one, "session_sd": one, "A": two, "Q": two},
    )


def _covariance(values: Floats, n: int) -> Floats:
    """Return L L' (..., n, n) from the lower triangle of L, the logarithm of its diagonal in place of itself."""
    rows, columns = np.tril_indices(n)
    L = np.zeros((*values.shape[:-1], n, n))
    L[..., rows, columns] = np.where(rows == columns, np.exp(values), values)
    return np.asarray(L @ np.swapaxes(L, -1, -2))
