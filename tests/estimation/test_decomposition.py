from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulated import COMPLEX, NAMES, REAL, noise, panel
from trimtab.core.trajectories import Steps, Trajectories
from trimtab.dynamics.interference import interference_matrix
from trimtab.errors import InputError
from trimtab.estimation import step_parts as engine
from trimtab.estimation import two_way
from trimtab.estimation.decomposition import PARTS, interference_parts, parts_document
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import session_moments
from trimtab.estimation.results import ArrayEstimate

NOISE = np.array([[0.1, 0.05, 0.0], [0.05, 0.08, 0.01], [0.0, 0.01, 0.05]])


def total(shares) -> np.ndarray:
    return sum(share.estimate for share in shares.values())


def ragged(seed: int, sessions: int = 14, n: int = 3, strategies: int = 2, switching: bool = False) -> Steps:
    """Return steps of sessions of unequal lengths with holes; some switch strategy midway."""
    rng = np.random.default_rng(seed)
    arrays, codes = [], []
    for s in range(sessions):
        T = int(rng.integers(1, 9))
        path = np.cumsum(rng.normal(size=(T + 1, n)), axis=0) * 0.5 + rng.normal(5, 1, n)
        path[1:] -= 0.4 * (path[:-1] - 5)
        path[rng.random(path.shape) < 0.05] = np.nan
        arrays.append(path)
        codes.append(np.full(T + 1, s % strategies) if not switching else rng.integers(0, strategies, T + 1))
    data = Trajectories.from_arrays(arrays, NAMES[:n])
    return replace(data, strategy=np.concatenate(codes), strategies=tuple("abcdef"[:strategies])).steps()


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sessions=st.integers(1, 20),
    n=st.integers(1, 3),
    strategies=st.integers(1, 4),
    switching=st.booleans(),
    constant=st.booleans(),
    noisy=st.booleans(),
)
def test_shares_sum_to_the_interference_whatever_the_panel(
    seed: int, sessions: int, n: int, strategies: int, switching: bool, constant: bool, noisy: bool
) -> None:
    steps = ragged(seed, sessions, n, strategies, switching)
    if constant and len(steps):
        steps.x[:, -1], steps.dx[:, -1] = 0.1, 0.0
    if len(steps) < 2:
        return
    parts = interference_parts(steps, score_noise=0.01 * NOISE[:n, :n] if noisy else None)
    expected = interference_matrix(steps.dx)
    np.testing.assert_allclose(parts.interference.estimate, expected, atol=1e-10)
    if len(steps) <= n + 1:
        assert not parts.shares
        return
    assert [*parts.shares] == [name for name in PARTS if name in parts.shares]
    np.testing.assert_allclose(total(parts.shares), expected, atol=1e-10)
    np.testing.assert_allclose(total(parts.drift_shares), expected, atol=1e-10)
    varies = steps.dx.var(axis=0) > 0
    np.testing.assert_allclose(total(parts.variances), np.where(varies, 1.0, np.nan), atol=1e-10)
    for share in parts.shares.values():
        np.testing.assert_allclose(share.estimate, share.estimate.T, atol=1e-14)
        np.testing.assert_array_equal(np.diagonal(share.estimate), 0)


@pytest.mark.parametrize("steps", [panel(sessions=30).steps(), ragged(3, 30, strategies=1)])
def test_parts_are_what_a_plain_calculation_gives(steps: Steps) -> None:
    """Everything from dense formulas: dummies for iterations and sessions, least squares, covariances."""
    M = len(steps)
    split = two_way.two_way(steps.x, steps.session, steps.iteration)
    X = np.hstack([np.ones((M, 1)), steps.x])
    beta = np.linalg.lstsq(X, steps.dx, rcond=None)[0]
    A, e = beta[1:].T, steps.dx - X @ beta
    mean, level = split.iteration[split.group], split.session[split.owner]
    rest = steps.x - steps.x.mean(axis=0) - mean - level
    C = {name: part.T @ part / M for name, part in (("mean", mean), ("level", level), ("rest", rest))}
    D = np.diag(np.diag(A))
    whole = np.cov(steps.x, rowvar=False, bias=True)
    expected = {
        "own pull": D @ C["rest"] @ D,
        "coupling": A @ C["rest"] @ A.T - D @ C["rest"] @ D,
        "transients": A @ C["mean"] @ A.T,
        "session levels": A @ C["level"] @ A.T,
        "unequal lengths": A @ (mean.T @ level + level.T @ mean) @ A.T / M,
        "innovations": e.T @ e / M,
    }
    coarse = {
        "own pull": D @ whole @ D,
        "coupling": A @ whole @ A.T - D @ whole @ D,
        "innovations": e.T @ e / M,
    }
    size = steps.dx.std(axis=0)
    parts = interference_parts(steps)
    for found, wanted in ((parts.shares, expected), (parts.drift_shares, coarse)):
        for name, share in found.items():
            value = wanted[name] / size / size[:, None]
            np.testing.assert_allclose(share.estimate, np.where(np.eye(3), 0, value), atol=1e-10)
    for name, share in parts.variances.items():
        np.testing.assert_allclose(share.estimate, np.diag(expected[name]) / size**2, atol=1e-10)


def test_what_the_drift_explains_of_the_variances_is_the_r2_of_steps() -> None:
    steps = panel(sessions=40, seed=3).steps()
    moments = session_moments(steps)
    found = estimate(moments.total, moments.center, moments.scale)
    parts = interference_parts(steps)
    explained = 1 - parts.variances["innovations"].estimate
    np.testing.assert_allclose(explained, 1 - found.residual / found.total_steps, atol=1e-10)


def test_parts_that_cannot_exist_are_absent() -> None:
    assert "unequal lengths" not in interference_parts(panel().steps()).shares
    assert "unequal lengths" in interference_parts(ragged(1)).shares
    assert "score noise" not in interference_parts(panel().steps()).shares
    assert "score noise" in interference_parts(panel().steps(), score_noise=0.01 * np.eye(3)).shares
    assert "between strategies" not in interference_parts(panel().steps()).shares
    assert "between strategies" in interference_parts(ragged(1)).shares


def test_units_and_origins_drop_out() -> None:
    steps = ragged(5)
    factor = np.array([1e-6, 1.0, 1e7])
    other = Steps(steps.x * factor + 100 * factor, steps.dx * factor, steps.session, steps.strategy, steps.iteration)
    one, two = interference_parts(steps), interference_parts(other)
    for name in one.shares:
        np.testing.assert_allclose(one.shares[name].estimate, two.shares[name].estimate, atol=1e-8)
        np.testing.assert_allclose(one.shares[name].low, two.shares[name].low, atol=1e-8)


def test_the_order_of_sessions_drops_out() -> None:
    steps = ragged(5, switching=True)
    shuffled = np.random.default_rng(0).permutation(len(steps))
    one = interference_parts(steps)
    two = interference_parts(Steps(*(getattr(steps, f)[shuffled] for f in Steps.__slots__)))
    for name in one.shares:
        np.testing.assert_allclose(one.shares[name].high, two.shares[name].high, atol=1e-12)


def test_pooled_parts_are_means_of_the_strategies_and_what_is_between_them() -> None:
    a, b = panel(REAL, 30, seed=1), panel(COMPLEX, 20, 6, seed=2)
    sessions = [t.scores[t.offsets[s] : t.offsets[s + 1]] for t in (a, b) for s in range(t.n_sessions)]
    steps = Trajectories.from_arrays(sessions, NAMES, ["EF"] * 30 + ["SF"] * 20).steps()
    pooled = interference_parts(steps)
    size = steps.dx.std(axis=0)
    between = np.zeros((3, 3))
    expected = dict.fromkeys(pooled.shares, 0.0)
    for code in (0, 1):
        own = steps.where(steps.strategy == code)
        weight, parts, unit = len(own) / len(steps), interference_parts(own), own.dx.std(axis=0)
        for name, share in parts.shares.items():
            expected[name] = expected[name] + weight * share.estimate * unit[:, None] * unit / size[:, None] / size
        shift = own.dx.mean(axis=0) - steps.dx.mean(axis=0)
        between += weight * np.outer(shift, shift)
    expected["between strategies"] = np.where(np.eye(3), 0, between / size[:, None] / size)
    for name, share in pooled.shares.items():
        np.testing.assert_allclose(share.estimate, expected[name], atol=1e-12)


def copied(steps: Steps, times: np.ndarray) -> Steps:
    """Return the steps with each session repeated as often as `times` says."""
    ids = np.unique(steps.session)
    rows = [np.flatnonzero(steps.session == s) for s, k in zip(ids, times, strict=True) for _ in range(k)]
    all_rows = np.concatenate(rows)
    owner = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    return Steps(steps.x[all_rows], steps.dx[all_rows], owner, steps.strategy[all_rows], steps.iteration[all_rows])


@pytest.mark.parametrize("strategies", [1, 2])
@pytest.mark.parametrize("R", [None, 0.2 * NOISE], ids=["no noise", "score noise"])
def test_what_each_session_contributes_is_the_slope_in_its_weight(strategies: int, R, monkeypatch) -> None:
    monkeypatch.setattr(two_way, "FEWEST", 1)
    steps = ragged(7, 10, strategies=strategies, switching=True)
    found = engine.step_parts(steps, R)
    S, copies, extra = found.sessions, 200, 2
    sample = engine._sample(steps, R)
    shift = np.stack([one.shift for one in sample.strategies])
    weight = np.array([one.steps for one in sample.strategies]) / len(steps)
    blocks = engine._contributions(sample, shift - weight @ shift)
    u = np.concatenate([one for one, _, _ in blocks], axis=1) / len(steps)
    variance = np.diagonal(u[-1].sum(axis=0))
    unit = np.sqrt(variance[:, None] * variance)
    np.testing.assert_allclose(u.sum(axis=1) / unit, found.shares, atol=1e-10)
    for s in range(S):
        more, less = np.full(S, copies), np.full(S, copies)
        more[s] += extra
        less[s] -= extra
        slope = engine.step_parts(copied(steps, more), R).shares - engine.step_parts(copied(steps, less), R).shares
        own = np.diagonal(u[-1, s]) / variance
        expected = u[:, s] / unit - found.shares * (own[:, None] + own) / 2
        np.testing.assert_allclose(slope * copies / (2 * extra), expected, atol=2e-4)


def test_a_session_less_changes_correlations_as_it_would_if_it_were_left_out() -> None:
    steps = ragged(11, 12)
    ids = np.unique(steps.session)
    z = [np.arctanh(interference_matrix(steps.where(steps.session != s).dx)) for s in ids]
    error = np.std(z, axis=0) * np.sqrt(len(ids) - 1)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(engine.step_parts(steps, None).fisher_error[off], error[off], rtol=1e-9)


def test_blocks_do_not_matter(monkeypatch) -> None:
    steps = ragged(11, 40, switching=True)
    whole = engine.step_parts(steps, NOISE)
    monkeypatch.setattr(engine, "_PRODUCTS", 1)
    monkeypatch.setattr(engine, "_SMALLEST", 1)
    cut = engine.step_parts(steps, NOISE)
    np.testing.assert_allclose(cut.errors, whole.errors, rtol=1e-10)
    np.testing.assert_allclose(cut.fisher_error, whole.fisher_error, rtol=1e-10)


def test_noise_that_is_nearly_all_there_is_does_not_blow_up() -> None:
    steps = noise(sessions=100).steps()
    parts = interference_parts(steps, score_noise=np.eye(3))
    assert max(np.abs(share.estimate).max() for share in parts.shares.values()) < 0.2
    np.testing.assert_allclose(parts.variances["score noise"].estimate, 1, atol=0.1)
    np.testing.assert_allclose(parts.variances["innovations"].estimate, 0, atol=0.1)


def test_objectives_that_repeat_others_explain_nothing_twice() -> None:
    steps = panel(sessions=30).steps()
    copy = Steps(
        np.hstack([steps.x, steps.x[:, :1]]),
        np.hstack([steps.dx, steps.dx[:, :1]]),
        steps.session,
        steps.strategy,
        steps.iteration,
    )
    parts, alone = interference_parts(copy), interference_parts(steps)
    assert parts.interference[0, 3] == pytest.approx(1)
    assert parts.p_value[0, 3] == 0
    for name in alone.shares:
        np.testing.assert_allclose(parts.shares[name].estimate[:3, :3], alone.shares[name].estimate, atol=1e-9)


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_the_level_must_be_a_share(level: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        interference_parts(panel(sessions=5).steps(), level=level)


@pytest.mark.parametrize(
    "R", [np.eye(2), np.full((3, 3), np.nan), -np.eye(3), np.array([[1, 2, 0], [0, 1, 0], [0, 0, 1]])]
)
def test_score_noise_must_be_a_covariance(R: np.ndarray) -> None:
    with pytest.raises(InputError, match="score_noise"):
        interference_parts(panel(sessions=5).steps(), score_noise=R)


def test_no_step_is_an_error_and_few_have_no_parts() -> None:
    steps = panel(sessions=3, steps=1).steps()
    with pytest.raises(InputError, match="no complete step"):
        interference_parts(steps.where(np.zeros(3, dtype=bool)))
    parts = interference_parts(steps)
    assert not parts.shares
    assert np.isfinite(parts.interference.estimate).all()
    assert np.isnan(parts.p_value).all()


def test_one_session_has_parts_without_intervals() -> None:
    parts = interference_parts(panel(sessions=1, steps=40).steps())
    np.testing.assert_allclose(total(parts.shares), parts.interference.estimate, atol=1e-12)
    off = ~np.eye(3, dtype=bool)
    assert all(np.isnan(share.low[off]).all() for share in parts.shares.values())
    assert parts.sessions == 1


def test_the_document_is_plain_json() -> None:
    steps = panel(sessions=20).steps()
    steps.dx[:, 2] = 1.0
    document = parts_document(interference_parts(steps))
    read = json.loads(json.dumps(document, allow_nan=False))
    assert read["parts"] == ["own pull", "coupling", "transients", "session levels", "innovations"]
    for kind in ("shares", "low", "high"):
        assert [*read[kind]] == read["parts"]
        assert read[kind]["coupling"][0][2] is None
        assert isinstance(read[kind]["coupling"][0][1], float)
    assert sum(read["variances"][name][0] for name in read["parts"]) == pytest.approx(1)


def test_an_interval_widens_with_its_level() -> None:
    steps = panel(sessions=30).steps()
    narrow, wide = (interference_parts(steps, level=level) for level in (0.5, 0.99))

    def width(one: ArrayEstimate) -> float:
        return float(one.high[0, 1] - one.low[0, 1])

    assert all(width(wide.shares[name]) > 3 * width(narrow.shares[name]) for name in wide.shares)


def test_interference_of_the_states_leaves_the_variance_of_noise_out() -> None:
    rng = np.random.default_rng(0)
    steps = panel(REAL, 400).steps()
    y = REAL.simulate(rng.normal(5, 1, (400, 3)), 10, rng) + rng.normal(0, 0.5, (400, 11, 3))
    scored = Trajectories.from_arrays(y, NAMES).steps()
    R = 0.25 * np.eye(3)
    parts = interference_parts(scored, score_noise=R, of_states=True)
    C = np.cov(scored.dx, rowvar=False, bias=True) - 2 * R
    size = np.sqrt(np.diag(C))
    expected = np.where(np.eye(3), 0, C / size / size[:, None])
    np.testing.assert_allclose(parts.interference.estimate, expected, atol=1e-12)
    np.testing.assert_allclose(total(parts.shares), expected, atol=1e-12)
    np.testing.assert_allclose(total(parts.variances), 1)
    assert "score noise" not in parts.shares
    # As if there had been no noise, but less precisely.
    calm = interference_parts(steps)
    for name, share in parts.shares.items():
        error = np.hypot(share.high - share.low, calm.shares[name].high - calm.shares[name].low) / 2 / 1.966
        off = ~np.eye(3, dtype=bool)
        assert (np.abs(share.estimate - calm.shares[name].estimate)[off] < 6 * error[off]).all()
    assert "score noise" in interference_parts(scored, score_noise=R + 0.05, of_states=True).shares
    # Whether there is a correlation does not depend on the scale it is put on.
    np.testing.assert_array_equal(parts.p_value, interference_parts(scored).p_value)


def test_noise_beyond_the_variance_of_steps_leaves_a_hundredth_of_it() -> None:
    parts = interference_parts(noise(n=2).steps(), score_noise=9 * np.eye(2), of_states=True)
    np.testing.assert_allclose(total(parts.shares)[0, 1], 100 * interference_matrix(noise(n=2).steps().dx)[0, 1])
    assert abs(parts.interference[0, 1]) <= 1
