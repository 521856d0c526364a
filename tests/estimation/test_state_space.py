"""The likelihood of whole runs against other ways to compute it, and the fit against known truth."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from statsmodels.tsa.statespace.mlemodel import MLEModel

from simulated import NAMES, REAL, panel
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation import least_squares as ls
from trimtab.estimation.fit import fit
from trimtab.estimation.moments import session_moments
from trimtab.estimation.panel import Panel
from trimtab.estimation.score_noise import score_noise
from trimtab.estimation.state_space.fit import StateSpaceFit, fit_state_space
from trimtab.estimation.state_space.likelihood import Model, log_likelihood, stacked_law
from trimtab.estimation.state_space.moments import PanelMoments, known_noise, panel_moments
from trimtab.estimation.state_space.parameters import Layout


def spd(rng: np.random.Generator, size: int) -> np.ndarray:
    root = rng.normal(size=(size, size))
    return root @ root.T / size + 0.3 * np.eye(size)


def any_model(n: int, seed: int = 0) -> Model:
    rng = np.random.default_rng(seed)
    joint = spd(rng, 2 * n)
    return Model(
        phi=0.6 * np.eye(n) + 0.1 * rng.normal(size=(n, n)),
        c=rng.normal(size=n),
        Q=spd(rng, n),
        P=joint[:n, :n],
        U=joint[n:, n:],
        C=joint[n:, :n],
        m=rng.normal(size=n),
        r=rng.uniform(0.1, 0.5, n),
    )


def ragged(n: int = 3, sessions: int = 20, seed: int = 0, holes: bool = False) -> Trajectories:
    rng = np.random.default_rng(seed)
    runs = []
    for s in range(sessions):
        run = rng.normal(5, 1, (3 + s % 6, n))
        if holes and s % 3 == 0 and len(run) > 3:
            run[2] = np.nan
        runs.append(run)
    return Trajectories.from_arrays(runs, [f"o{j}:-inf:inf" for j in range(n)])


def scaled_runs(data: Trajectories, moments: PanelMoments) -> list[np.ndarray]:
    z = (data.scores - moments.center) / moments.scale
    return [z[data.offsets[s] : data.offsets[s + 1]] for s in range(data.n_sessions)]


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_likelihood_is_the_stacked_normal_density(n: int, holes: bool) -> None:
    data, model = ragged(n, holes=holes), any_model(n)
    moments = panel_moments(Panel.of(data, 0))
    mean, covariance = stacked_law(model, moments.span)
    expected = 0.0
    for run in scaled_runs(data, moments):
        flat = run.ravel()
        seen = np.flatnonzero(np.isfinite(flat))
        expected += multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).logpdf(flat[seen])
    assert log_likelihood(model, moments)[0] == pytest.approx(expected, abs=1e-8)


class Loop(MLEModel):
    """The same model for one run as statsmodels' state space: the state is (x, u)."""

    def __init__(self, run: np.ndarray, model: Model) -> None:
        n = run.shape[1]
        super().__init__(run, k_states=2 * n, k_posdef=n)
        eye, zero = np.eye(n), np.zeros((n, n))
        self["design"] = np.hstack([eye, zero])
        self["obs_cov"] = np.diag(model.r)
        self["transition"] = np.block([[model.phi, eye], [zero, eye]])
        self["state_intercept"] = np.concatenate([model.c, np.zeros(n)])
        self["selection"] = np.vstack([eye, zero])
        self["state_cov"] = model.Q
        first = np.block([[model.P, model.C.T], [model.C, model.U]])
        self.ssm.initialize_known(np.concatenate([model.m, np.zeros(n)]), first)


@pytest.mark.parametrize("holes", [False, True])
def test_the_likelihood_is_that_of_a_kalman_filter_on_a_ragged_panel(holes: bool) -> None:
    data, model = ragged(3, holes=holes), any_model(3)
    moments = panel_moments(Panel.of(data, 0))
    by_filter = sum(Loop(run, model).ssm.loglike() for run in scaled_runs(data, moments))
    assert log_likelihood(model, moments)[0] == pytest.approx(by_filter, abs=1e-6)


def test_the_gradient_is_the_slope_of_the_likelihood() -> None:
    moments, model = panel_moments(Panel.of(ragged(2), 0)), any_model(2)
    _, slope = log_likelihood(model, moments)
    assert slope is not None
    for field in fields(Model):
        value, given = getattr(model, field.name), getattr(slope, field.name)
        symmetric = field.name in "QPU"
        for at in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[at] = 1e-5
            step = (step + step.T) / 2 if symmetric else step
            up, down = (log_likelihood(replace(model, **{field.name: value + s * step}), moments)[0] for s in (1, -1))
            assert (up - down) / 2e-5 == pytest.approx(float((given * step).sum() / 1e-5), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize(("sessions", "tied", "noise"), [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1), (1, 1, 1)])
def test_the_vector_stands_for_the_model_and_so_does_its_gradient(sessions: int, tied: int, noise: int) -> None:
    layout = Layout(2, bool(sessions), bool(tied), bool(noise))
    moments = panel_moments(Panel.of(ragged(2), 0))
    vector = np.random.default_rng(1).normal(0, 0.3, layout.size)
    np.testing.assert_allclose(layout.vector(layout.model(vector)), vector, atol=1e-10)

    def value(at: np.ndarray) -> float:
        return log_likelihood(layout.model(at), moments)[0]

    model = layout.model(vector)
    slope = log_likelihood(model, moments)[1]
    assert slope is not None
    given = layout.gradient(vector, *layout.rooted(vector), slope)
    step = 1e-5 * np.eye(layout.size)
    numeric = [(value(vector + s) - value(vector - s)) / 2e-5 for s in step]
    np.testing.assert_allclose(given, numeric, rtol=1e-5, atol=1e-4)


def full(data: Trajectories, **options) -> StateSpaceFit:
    moments = session_moments(data.steps())
    start = ls.estimate(moments.total, moments.center, moments.scale)
    found = fit_state_space(panel_moments(Panel.of(data, 0)), start.A, start.b, start.Q, draws=500, **options)
    assert found is not None
    return found


def spoiled(seed: int, noise: float, levels: float, model: AffineSDE = REAL, sessions: int = 100) -> Trajectories:
    """Simulate with score noise, and with equilibria that differ between sessions."""
    rng = np.random.default_rng([seed, 5])
    shift = rng.normal(0, levels, (sessions, 1, model.n)) if levels else np.zeros((sessions, 1, model.n))
    x = model.simulate(rng.normal(5, 1, (sessions, model.n)), 10, rng) + shift
    return Trajectories.from_arrays(x + noise * rng.normal(size=x.shape), NAMES)


def rate(A: np.ndarray) -> np.ndarray:
    return -np.linalg.eigvals(A).real.max(axis=-1)


@pytest.mark.parametrize(("noise", "levels"), [(0.0, 0.0), (0.5, 0.0), (0.0, 1.0), (0.5, 1.0)])
def test_the_rate_is_recovered_whatever_spoils_the_scores(noise: float, levels: float) -> None:
    found = full(spoiled(3, noise, levels, sessions=400))
    assert found.converged
    assert abs(rate(found.A) - REAL.rate) < 4.5 * rate(found.drawn_A).std()
    if levels:
        assert found.weight(sessions=True) > 0.99
    if noise:
        assert found.weight(noise=True) > 0.99
        np.testing.assert_allclose(np.sqrt(found.R)[:2], noise, atol=0.15)


def test_leaving_the_noise_in_is_caught() -> None:
    """Least squares, which does not take R off, misses by far more than its interval."""
    found = fit(spoiled(3, 0.5, 0.0, sessions=400), draws=200)["all"]
    plain = found.rungs["least_squares"]
    assert not plain.rate.low <= REAL.rate <= plain.rate.high
    assert found.trusted == "state_space"
    assert found.rate.low <= REAL.rate <= found.rate.high


def test_clean_scores_need_no_correction() -> None:
    trusted = [fit(panel(REAL, seed=seed), draws=50)["EF"].trusted for seed in range(20)]
    # At most 5% for each of five richer models, and conservatively so: six deviations of a true 15%.
    assert trusted.count("state_space") <= 12


def test_judgements_tell_the_noise_by_themselves() -> None:
    rng = np.random.default_rng(0)
    x = panel(REAL, seed=1).scores.reshape(100, 11, 3)
    judged = Trajectories.from_arrays(None, NAMES, judgements=x[..., None] + 0.7 * rng.normal(size=(*x.shape, 2)))
    assert judged.judgements is not None
    known = known_noise(score_noise(judged.judgements), np.arange(3))
    assert known is not None
    np.testing.assert_allclose(known.squares / known.dof, 0.49, rtol=0.2)
    np.testing.assert_allclose(known.judgements, 2.0)
    found = fit(judged, draws=200)["all"]
    assert found.trusted == "state_space"
    assert found.rung.R is not None
    np.testing.assert_allclose(found.rung.R, 0.245, rtol=0.15)
    # The half-width of the 95% interval is two deviations.
    assert abs(found.rate - REAL.rate) < 2.25 * (found.rate.high - found.rate.low) / 2
    assert found.rungs["least_squares"].rate.low > REAL.rate


def test_the_cost_does_not_depend_on_the_number_of_sessions() -> None:
    few, many = (panel_moments(Panel.of(panel(REAL, sessions=s), 0)) for s in (20, 500))
    assert [p.outer.shape for p in few.patterns] == [p.outer.shape for p in many.patterns] == [(33, 33)]


def test_too_short_or_too_few_sessions_leave_least_squares() -> None:
    for data in (panel(REAL, steps=1), panel(REAL, sessions=8)):
        assert set(fit(data, draws=50)["EF"].rungs) == {"least_squares"}


def test_units_of_time_and_score_carry_over() -> None:
    data = spoiled(1, 0.5, 0.0)
    unit = np.array([1e-3, 1.0, 1e4])
    other = Trajectories.from_arrays(data.scores.reshape(100, 11, 3) * unit, [f"{name}:-inf:inf" for name in NAMES])
    a, b = fit(data, draws=50)["all"], fit(other, draws=50, dt=0.1)["all"]
    assert a.trusted == b.trusted == "state_space"
    assert float(b.rate) == pytest.approx(10 * float(a.rate), rel=1e-3)
    assert a.rung.R is not None
    assert b.rung.R is not None
    np.testing.assert_allclose(b.rung.R, a.rung.R * unit**2, rtol=1e-2)


def test_the_same_seed_gives_the_same_numbers() -> None:
    data = spoiled(2, 0.5, 1.0)
    one, other = full(data, seed=4), full(data, seed=4)
    np.testing.assert_array_equal(one.drawn_A, other.drawn_A)
    assert not np.array_equal(one.drawn_A, full(data, seed=5).drawn_A)
