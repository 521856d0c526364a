"""The search for posterior modes against numerical derivatives and against another search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from simulated import NAMES, REAL
from trimtab.core.trajectories import Trajectories
from trimtab.estimation import least_squares as ls
from trimtab.estimation.moments import session_moments
from trimtab.estimation.panel import Panel
from trimtab.estimation.state_space.fit import _start
from trimtab.estimation.state_space.information import expected_information
from trimtab.estimation.state_space.likelihood import log_likelihood, stacked_law
from trimtab.estimation.state_space.moments import KnownNoise, PanelMoments, panel_moments
from trimtab.estimation.state_space.parameters import Layout
from trimtab.estimation.state_space.search import _Posterior, modes
from trimtab.estimation.threads import single_threaded

LAYOUTS = [Layout(3, s, t, r) for r in (False, True) for s, t in ((False, False), (True, False), (True, True))]


def ragged_moments(n: int) -> PanelMoments:
    rng = np.random.default_rng(0)
    runs = [rng.normal(5, 1, (3 + s % 3, n)) for s in range(20)]
    for run in runs[::3]:
        run[1] = np.nan
    data = Trajectories.from_arrays(runs, [f"o{j}:-inf:inf" for j in range(n)])
    return panel_moments(Panel.of(data, 0))


@pytest.mark.parametrize("n", [1, 2])
def test_the_expected_information_is_that_of_the_stacked_law(n: int) -> None:
    moments, layout = ragged_moments(n), Layout(n, True, True, True)
    vectors = np.random.default_rng(1).normal(0, 0.3, (2, layout.size))
    step = 1e-6 * np.eye(layout.size)
    for vector, found in zip(vectors, expected_information(layout, vectors, moments), strict=True):

        def law(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return stacked_law(layout.model(at), moments.span)

        laws = [(law(vector + s), law(vector - s)) for s in step]
        d_mean, d_V = (np.stack([(up[k] - down[k]) / 2e-6 for up, down in laws]) for k in (0, 1))
        expected = np.zeros_like(found)
        for pattern in moments.patterns:
            at = np.ix_(pattern.index, pattern.index)
            P = np.linalg.inv(law(vector)[1][at])
            means, parts = d_mean[:, pattern.index], P @ d_V[:, at[0], at[1]]
            expected += pattern.count * (means @ P @ means.T + 0.5 * np.einsum("iab,jba->ij", parts, parts))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def spoiled(seed: int, noise: float, levels: float, sessions: int) -> Trajectories:
    rng = np.random.default_rng([seed, 7])
    x = REAL.simulate(rng.normal(5, 1, (sessions, 3)), 10, rng) + levels * rng.normal(size=(sessions, 1, 3))
    return Trajectories.from_arrays(x + noise * rng.normal(size=x.shape), NAMES)


def start_of(data: Trajectories, moments: PanelMoments):
    sums = session_moments(data.steps())
    found = ls.estimate(sums.total, sums.center, sums.scale)
    return _start(moments, found.A, found.b, found.Q, 1.0)


def unposterior(layout: Layout, moments: PanelMoments):
    """Return f of one layout, written anew."""
    mean, spread = layout.prior()

    def value(vector: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            model, roots = layout.rooted(vector)
            log, slope = log_likelihood(model, moments)
            z = (vector - mean) / spread
            f, gradient = z @ z / 2 - log, z / spread - layout.gradient(vector, model, roots, slope)
        return (f, gradient) if np.isfinite(f) else (1e15, np.zeros_like(vector))

    return value


@pytest.mark.parametrize(("noise", "levels"), [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0)])
@single_threaded
def test_modes_are_as_low_as_another_search_finds_them(noise: float, levels: float) -> None:
    data = spoiled(1, noise, levels, sessions=100)
    moments = panel_moments(Panel.of(data, 0))
    start = start_of(data, moments)
    for mode in modes(LAYOUTS, start, moments, None):
        f = unposterior(mode.layout, moments)
        other = scipy.optimize.minimize(f, mode.layout.vector(start), jac=True, method="BFGS", options={"gtol": 1e-2})
        value, gradient = f(mode.vector)
        assert mode.converged
        assert value <= other.fun + 0.01
        assert gradient @ mode.covariance @ gradient < 1e-3
        np.testing.assert_allclose(mode.covariance, np.linalg.inv(_hessian(f, mode.vector)), rtol=0.05, atol=0.01)


def _hessian(f, at: np.ndarray) -> np.ndarray:
    step = 1e-5 * np.eye(len(at))
    rows = np.stack([(f(at + s)[1] - f(at - s)[1]) / 2e-5 for s in step])
    return (rows + rows.T) / 2


@single_threaded
def test_layouts_do_not_depend_on_what_is_searched_beside_them() -> None:
    data = spoiled(2, 0.5, 1.0, sessions=20)
    moments = panel_moments(Panel.of(data, 0))
    start = start_of(data, moments)
    together = modes(LAYOUTS, start, moments, None)
    for layout, mode in zip(LAYOUTS, together, strict=True):
        (alone,) = modes([layout], start, moments, None)
        np.testing.assert_allclose(alone.vector, mode.vector, atol=1e-6)


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.noise])
def test_derivatives_of_the_posterior_are_its_slopes_also_with_judgements(layout: Layout) -> None:
    moments = ragged_moments(3)
    known = KnownNoise(np.full(3, 20.0), np.full(3, 30.0), np.full(3, 2.0))
    full = Layout(3, True, True, True)
    own = layout.places_in(full)
    free = np.zeros((1, full.size), dtype=bool)
    free[0, own] = True
    vector = np.where(free, np.random.default_rng(0).normal(0, 0.3, full.size), full.without())
    posterior = _Posterior(full, moments, known)
    gradient = posterior.value(vector, free)[1]
    for i in range(full.size):
        step = np.zeros_like(vector)
        step[0, i] = 1e-6
        slope = 0.0
        if free[0, i]:
            slope = (posterior.value(vector + step, free)[0] - posterior.value(vector - step, free)[0])[0] / 2e-6
        assert gradient[0, i] == pytest.approx(slope, rel=1e-4, abs=1e-4)


@single_threaded
def test_a_start_without_a_likelihood_leaves_no_evidence_and_no_exception() -> None:
    data = spoiled(1, 0.5, 0.0, sessions=20)
    moments = panel_moments(Panel.of(data, 0))
    explosive = replace(start_of(data, moments), phi=1e60 * np.eye(3))
    for mode in modes(LAYOUTS, explosive, moments, None):
        assert not mode.converged
        assert mode.evidence == -np.inf
