"""Every test of an audit rejects as often as it says where nothing is wrong, and nearly always where something is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from simulated import COMPLEX, NAMES, REAL, noise, panel
from support.binomial import most
from trimtab.core.trajectories import Steps, Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.audit import dropout, form, memory, normality, scatter, shuffled, stability
from trimtab.estimation.audit.finding import Answer, AuditOptions, CannotSayError
from trimtab.estimation.audit.sample import Sample

Ask = Callable[[Sample], Answer]
Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def gaussian(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return rng.standard_normal(x.shape)


def loop(
    seed: int, sessions: int = 100, steps: int = 10, draw: Draw = gaussian, bend: float = 0.0, lag: float = 0.0
) -> Trajectories:
    """Simulate x_{t+1} = x_t + A x_t + b + bend (x_t - 5)^2 + lag (x_{t-1} - x_t) + e_t on two objectives."""
    rng = np.random.default_rng(seed)
    A, b = np.array([[-0.3, 0.0], [0.1, -0.5]]), np.array([1.5, 2.0])
    x = np.empty((sessions, steps + 1, 2))
    x[:, 0] = rng.normal(5, 1, (sessions, 2))
    before = x[:, 0]
    for t in range(steps):
        now = x[:, t]
        drift = now @ A.T + b + bend * (now - 5) ** 2 + lag * (before - now)
        x[:, t + 1] = now + drift + 0.7 * draw(rng, now)
        before = now
    return Trajectories.from_arrays(x, NAMES[:2], "EF")


def ragged(seed: int, slope: float, sessions: int = 100, steps: int = 8) -> Trajectories:
    """Simulate sessions that end with a chance that rises with their last score by `slope` on the logit scale."""
    rng = np.random.default_rng(seed)
    whole = panel(REAL, sessions, steps, seed).scores.reshape(sessions, steps + 1, 3)
    kept = []
    for x in whole:
        chance = 1 / (1 + np.exp(1.7 - slope * (x[:, 0] - 5)))
        ends = np.flatnonzero(rng.random(steps + 1) < chance)
        kept.append(x[: ends[0] + 1] if len(ends) else x)
    return Trajectories.from_arrays(kept, NAMES, "EF")


def levels(seed: int, sessions: int = 100, steps: int = 10) -> Trajectories:
    """Simulate a level per session that lasts, under independent scoring noise."""
    rng = np.random.default_rng(seed)
    return Trajectories.from_arrays(
        rng.normal(5, 1, (sessions, 1, 3)) + rng.normal(0, 1, (sessions, steps + 1, 3)), NAMES
    )


def joined(*parts: Trajectories) -> Trajectories:
    """Put the sessions of several simulations behind each other."""
    sessions = [t.scores[a:b] for t in parts for a, b in zip(t.offsets[:-1], t.offsets[1:], strict=True)]
    return Trajectories.from_arrays(sessions, parts[0].space, "EF")


def halves(seed: int, slow: AffineSDE, fast: AffineSDE) -> Trajectories:
    """Simulate sessions that follow one model up to the middle and another one from there on."""
    rng = np.random.default_rng(seed)
    early = slow.simulate(rng.normal(5, 1, (100, slow.n)), 5, rng)
    late = fast.simulate(early[:, -1], 5, rng)
    return Trajectories.from_arrays(np.concatenate([early, late[:, 1:]], axis=1), NAMES[: slow.n], "EF")


SLOW = AffineSDE([[-0.2, 0.0], [0.0, -0.4]], [1.0, 2.0], 0.5 * np.eye(2))
FAST = AffineSDE([[-0.5, 0.0], [0.0, -0.7]], [2.5, 3.5], 0.5 * np.eye(2))
UNLIKE = AffineSDE(np.diag([-0.05, -0.9]), [0.25, 4.5], 0.25 * np.array([[1.0, 0.95], [0.95, 1.0]]))


def heavy(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return rng.standard_t(5, x.shape) / np.sqrt(5 / 3)


def skewed(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return rng.exponential(1.0, x.shape) - 1


def fanned(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return rng.standard_normal(x.shape) * np.clip(0.3 + 0.35 * np.abs(x - 3), 0.1, 3)


def uneven(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    scale = np.exp(0.4 * np.random.default_rng(len(x)).standard_normal((len(x), 1)))  # the same at every iteration
    return rng.standard_normal(x.shape) * scale


def rejections(
    asks: Sequence[Ask], simulate: Callable[[int], Trajectories], experiments: int, *, by_row: bool = False
) -> np.ndarray:
    """Return how often each question's test rejects at 5%, (questions,)."""
    found = np.empty((experiments, len(asks)))
    for seed in range(experiments):
        data = simulate(seed)
        steps = data.steps()
        if by_row:
            steps = Steps(steps.x, steps.dx, np.arange(len(steps)), steps.strategy, steps.iteration)
        sample = Sample(data, 0, steps, AuditOptions(shuffles=40, seed=seed))
        found[seed] = [ask(sample).p_value for ask in asks]
    assert np.isfinite(found).all()
    return (found < 0.05).sum(axis=0)


# Tests over sessions are approximate in samples this small, so that a true size of .06 is granted.
EXPERIMENTS = 120
MOST = most(EXPERIMENTS, 0.06)

ALWAYS = (
    stability.over_iterations,
    stability.over_sessions,
    form.linear,
    form.first_order,
    normality.symmetric,
    scatter.homoscedastic,
    scatter.session_variance,
)
ORDERED = (
    shuffled.shuffled_rate,
    shuffled.shuffled_r2,
    shuffled.shuffled_interference,
)


@pytest.mark.parametrize(
    ("asks", "simulate"),
    [
        pytest.param((*ALWAYS, normality.tails), lambda seed: panel(REAL, 60, 8, seed), id="real"),
        pytest.param((*ALWAYS, normality.tails), lambda seed: panel(COMPLEX, 40, 6, seed), id="complex"),
        pytest.param((*ALWAYS, normality.tails), lambda seed: loop(seed, 14, 8), id="few sessions"),
        pytest.param(ALWAYS, lambda seed: loop(seed, 50, 6, heavy), id="heavy tails"),
        pytest.param((*ALWAYS, dropout.dropout), lambda seed: ragged(seed, 0.0), id="ragged"),
    ],
)
@pytest.mark.slow
def test_assumptions_that_hold_are_rejected_as_rarely_as_said(asks, simulate) -> None:
    found = rejections(asks, simulate, EXPERIMENTS)
    assert (found <= MOST).all(), found
    assert (found > 0).all(), found


def test_noise_passes_for_dynamics_as_rarely_as_said() -> None:
    found = rejections((memory.memory, *ORDERED, shuffled.shuffled_pairs), lambda seed: noise(40, 6, seed), EXPERIMENTS)
    assert (found <= MOST).all(), found
    assert (found > 0).all(), found


def test_lasting_levels_pass_for_dynamics_as_rarely_as_said() -> None:
    found = rejections((memory.static_levels, *ORDERED), lambda seed: levels(seed, 60, 8), EXPERIMENTS)
    assert (found <= MOST).all(), found
    assert (found > 0).all(), found


@pytest.mark.parametrize(
    ("ask", "simulate"),
    [
        (memory.memory, lambda seed: panel(AffineSDE(-0.8 * np.eye(3), np.full(3, 4.0), np.eye(3)), seed=seed)),
        (memory.static_levels, lambda seed: panel(REAL, seed=seed)),
        (shuffled.shuffled_rate, lambda seed: panel(REAL, seed=seed)),
        (shuffled.shuffled_r2, lambda seed: panel(REAL, seed=seed)),
        (shuffled.shuffled_pairs, lambda seed: panel(COMPLEX, seed=seed)),
        (shuffled.shuffled_interference, lambda seed: panel(UNLIKE, seed=seed)),
        (stability.over_iterations, lambda seed: halves(seed, SLOW, FAST)),
        (stability.over_sessions, lambda seed: joined(panel(SLOW, 50, seed=seed), panel(FAST, 50, seed=seed + 9999))),
        (form.linear, partial(loop, bend=0.12)),
        (form.first_order, partial(loop, lag=0.25)),
        (normality.symmetric, partial(loop, draw=skewed)),
        (normality.tails, partial(loop, draw=heavy)),
        (scatter.homoscedastic, partial(loop, draw=fanned)),
        (scatter.session_variance, partial(loop, draw=uneven)),
        (dropout.dropout, partial(ragged, slope=0.8)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_hold_is_found(ask, simulate) -> None:
    assert rejections([ask], simulate, 30) >= 27


def test_a_lean_to_one_side_is_not_taken_for_uneven_surprises() -> None:
    assert rejections([scatter.homoscedastic], partial(loop, draw=skewed), 100) < 6 + 6 * 2.4


def test_rows_taken_for_sessions_would_reject_far_too_often() -> None:
    """The planted fault: sessions that differ make their rows hang together, and only sessions are independent."""
    right, wrong = (
        int(rejections([stability.over_sessions], lambda seed: levels(seed, 40, 8), 60, by_row=by_row)[0])
        for by_row in (False, True)
    )
    assert right <= most(60, 0.06) < wrong


def judged(seed: int, noise_sd: float) -> Trajectories:
    rng = np.random.default_rng(seed)
    scores = panel(REAL, 60, 8, seed).scores.reshape(60, 9, 3)
    lenient = np.array([0.0, 0.4])  # one judge is above the other for good
    return Trajectories.from_arrays(
        None, NAMES, "EF", judgements=scores[..., None] + lenient + rng.normal(0, noise_sd, (60, 9, 3, 2))
    )


def test_the_share_of_scoring_noise_is_recovered_from_repeated_judgements() -> None:
    covered = []
    spread = panel(REAL, 4000, 8, 10_000).scores.var(axis=0) + 0.32
    for seed in range(100):
        data = judged(seed, 0.8)
        answer = memory.score_noise(Sample(data, 0, data.steps(), AuditOptions()))
        assert answer.holds is False
        covered.append(answer.low < (0.32 / spread).max() < answer.high)
    # Binomial(100, 0.95): mean 95, standard deviation 2.2; the largest of three shares is biased up a little.
    assert sum(covered) > 93 - 6 * 2.6
    quiet = judged(0, 0.05)
    assert memory.score_noise(Sample(quiet, 0, quiet.steps(), AuditOptions())).holds is True


def test_without_repeated_judgements_noise_is_bounded_and_never_blamed() -> None:
    for seed in range(20):
        for data in (levels(seed), panel(REAL, seed=seed)):
            try:
                answer = memory.score_noise(Sample(data, 0, data.steps(), AuditOptions()))
            except CannotSayError:
                continue
            assert answer.holds is not False
            if data.strategies == ("all",):  # half of the variance is noise
                assert answer.high > 0.5
