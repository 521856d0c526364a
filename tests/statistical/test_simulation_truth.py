"""Ensembles against laws that are known exactly, and against planted faults that every check must notice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import trimtab as tt
from trimtab.simulation import philox, portable, transitions

BACKENDS = ["numba", "numpy"]
MODEL = tt.AffineSDE(
    [[-0.33, 0.2, 0.0], [0.1, -0.7, 0.0], [0.0, -0.1, -1.0]],
    [1.7, 2.7, 5.5],
    [[0.5, 0.3, 0.1], [0.3, 0.4, -0.1], [0.1, -0.1, 0.6]],
)
X0 = np.array([2.0, 9.0, 5.0])
Z = 6.0


def without_root_of_dt(monkeypatch) -> None:
    true = transitions.one_step

    def planted(model, h, scheme):
        F, c, Q = true(model, h, scheme)
        return F, c, Q / h  # the innovation's own size, whatever the step

    monkeypatch.setattr(transitions, "one_step", planted)


def transposed_root(monkeypatch) -> None:
    true = transitions.semidefinite_cholesky
    monkeypatch.setattr(transitions, "semidefinite_cholesky", lambda Q: true(Q).T)


def shifted(path: int, group: int = 0):
    """Return a fault: each component has the numbers of the one before it, moved by so many paths and groups."""

    def plant(monkeypatch) -> None:
        def fill(w, skip, first, t, tag, k0, k1) -> None:
            for c in range(w.shape[1] - skip):
                philox.normals(w[:, skip + c : skip + c + 1], first + path * c, t + group * c, tag, (k0, k1))

        monkeypatch.setattr(portable, "fill", fill)

    return plant


def repeated_group(monkeypatch) -> None:
    def fill(w, skip, first, t, tag, k0, k1) -> None:
        philox.normals(w[:, skip:], first, t // 2, tag, (k0, k1))

    monkeypatch.setattr(portable, "fill", fill)


def bound_before_noise(monkeypatch) -> None:
    def step(y, w, where, factor, count, c, low, high, mode) -> None:
        n = len(count)
        for i in range(n):
            y[i] = c[i] + sum(factor[i, k] * w[where[i, k]] for k in range(count[i]) if where[i, k] < n)
        portable.bound(y[:n], low, high, mode)
        for i in range(n):
            y[i] += sum(factor[i, k] * w[where[i, k]] for k in range(count[i]) if where[i, k] >= n)

    monkeypatch.setattr(portable, "step", step)


def deviations(found: tt.Ensemble, truth: tt.AffineSDE, thin: int = 1) -> np.ndarray:
    """Return all z of the moments of an ensemble against the model's exact ones from the third iteration on.

    Of N normal vectors a mean has the variance P_ii / N, and a covariance S_ij the variance
    (P_ii R_jj + S_ij S_ij) / N, for both lag 0 (R = P, S = P) and lag 1.
    """
    N, m = found.paths, found.moments
    P = np.zeros((3, 3))
    mean = X0
    z = []
    for t in range(found.steps):
        following = truth.transition @ P @ truth.transition.T + truth.Q
        ahead = P @ truth.transition.T
        mean = truth.transition @ mean + truth.b * truth.dt
        z.append((m.mean[t + 1] - mean) / np.sqrt(np.diag(following) / N))
        own = np.outer(np.diag(following), np.diag(following))
        z.append(((m.covariance[t + 1] - following) / np.sqrt((own + following**2) / N)).ravel())
        if t:
            cross = np.outer(np.diag(P), np.diag(following))
            z.append(((m.lag_covariance[t] - ahead) / np.sqrt((cross + ahead**2) / N)).ravel())
        P = following
    return np.abs(np.concatenate(z))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("h", [1.0, 0.25])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_are_the_exact_ones(backend: str, h: float, dtype) -> None:
    found = tt.simulate(MODEL, X0, 9, 20_000, seed=11, dt=h, keep="moments", backend=backend, dtype=dtype)
    assert deviations(found, tt.AffineSDE(MODEL.A, MODEL.b, MODEL.Q * h, h)).max() < Z


@pytest.mark.parametrize("fault", [without_root_of_dt, transposed_root, repeated_group])
def test_moments_notice_faults(fault, monkeypatch) -> None:
    fault(monkeypatch)
    found = tt.simulate(MODEL, X0, 9, 20_000, seed=11, dt=0.25, keep="moments", backend="numpy")
    assert deviations(found, tt.AffineSDE(MODEL.A, MODEL.b, MODEL.Q * 0.25, 0.25)).max() > Z


def stream_correlations(backend: str, n: int = 3, paths: int = 4096, seed: int = 0) -> np.ndarray:
    """Return z of the correlations of noise with noise that is moved by up to 5 paths, 5 steps and all components.

    The noise is seen as it is used: steps of a model that only adds it.
    """
    still = tt.AffineSDE(np.zeros((n, n)), np.zeros(n), np.eye(n))

    def noise(seed: int) -> np.ndarray:
        states = tt.simulate(still, np.zeros(n), 24, paths, seed=seed, keep="all", backend=backend).states
        return np.diff(states, axis=1).transpose(2, 1, 0)  # component, step, path

    one, other = noise(seed), noise(seed + 1)
    z = [np.einsum("itp,jtp->ij", one, other).ravel() / np.sqrt(one[0].size)]
    for path in range(6):
        for step in range(6):
            here, there = one[:, : 24 - step, : paths - path], one[:, step:, path:]
            r = np.einsum("itp,jtp->ij", here, there) / np.sqrt(here[0].size)
            z.append(r[~np.eye(n, dtype=bool)] if path == step == 0 else r.ravel())
            back = np.einsum("itp,jtp->ij", one[:, step:, : paths - path], one[:, : 24 - step, path:])
            z.append((back / np.sqrt(here[0].size))[~np.eye(n, dtype=bool)])
    return np.abs(np.concatenate(z))


@pytest.mark.parametrize("backend", BACKENDS)
def test_streams_are_independent(backend: str) -> None:
    assert stream_correlations(backend).max() < Z


@pytest.mark.parametrize(
    "fault",
    [shifted(path=1), shifted(path=0, group=1), shifted(path=2, group=1), repeated_group],
    ids=["next path", "next group of steps", "both", "group used twice"],
)
def test_streams_that_overlap_are_noticed(fault, monkeypatch) -> None:
    fault(monkeypatch)
    assert stream_correlations("numpy").max() > Z


def test_seeds_that_share_a_stream_are_noticed(monkeypatch) -> None:
    monkeypatch.setattr(philox, "key", lambda seed: (seed // 2, 0))
    assert stream_correlations("numpy").max() > Z


def rejections(h: float, backend: str = "numpy", seeds: int = 300, paths: int = 400) -> tuple[int, float]:
    """Return how many of `seeds` Kolmogorov-Smirnov tests against the exact law reject at 5%, and the p-value of all.

    Each tests a projection of the last state that mixes all objectives.
    """
    truth = tt.AffineSDE(MODEL.A, MODEL.b, MODEL.Q * h, h)
    mean, covariance = truth.forecast(X0, 8)
    direction = np.array([1.0, -2.0, 0.5])
    law = stats.norm(direction @ mean[-1], np.sqrt(direction @ covariance[-1] @ direction))
    p = [
        stats.kstest(
            tt.simulate(MODEL, X0, 8, paths, seed, h, backend=backend, threads=1).states @ direction, law.cdf
        ).pvalue
        for seed in range(seeds)
    ]
    return int((np.array(p) < 0.05).sum()), float(stats.kstest(p, "uniform").pvalue)


def test_last_states_have_the_exact_law_over_many_seeds() -> None:
    rejected, p = rejections(0.25, "numba")
    low, high = stats.binom.ppf([1e-9, 1 - 1e-9], 300, 0.05)
    assert low <= rejected <= high
    assert p > 1e-9


@pytest.mark.parametrize("fault", [without_root_of_dt, transposed_root, repeated_group])
def test_a_wrong_law_is_noticed(fault, monkeypatch) -> None:
    fault(monkeypatch)
    rejected, _ = rejections(0.25, seeds=60)
    assert rejected > stats.binom.ppf(1 - 1e-9, 60, 0.05)


@pytest.mark.parametrize(("rho", "ratio"), [(0.5, 4 / 3), (0.75, 1.6)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_euler_steps_of_one_exaggerate_the_stationary_variance_and_exact_ones_do_not(rho, ratio, backend) -> None:
    # In continuous time the stationary variance is G / (2 rho); a loop that is stepped once per unit of time has
    # G / (2 rho - rho^2), which is 1 / (1 - rho / 2) times that.
    model = tt.AffineSDE([[-rho]], [0.0], [[1.0]])
    for scheme, substeps, paths, variance in (
        ("euler", 1, 20_000, ratio / (2 * rho)),
        ("exact", 1, 20_000, 1 / (2 * rho)),
        ("exact", 3, 20_000, 1 / (2 * rho)),
        ("euler", 50, 4_000, 1 / (2 * rho) / (1 - rho / 100)),
    ):
        states = tt.simulate(model, [0.0], 12, paths, 3, scheme=scheme, substeps=substeps, backend=backend).states
        z = (states.var() / variance - 1) / np.sqrt(2 / len(states))
        assert abs(z) < Z, scheme
        # ... and the other law is told apart.
        wrong = variance / ratio if substeps == 1 and scheme == "euler" else variance * ratio
        assert abs(states.var() / wrong - 1) / np.sqrt(2 / len(states)) > Z


def share_at_bounds(backend: str) -> tuple[np.ndarray, np.ndarray]:
    low, high, start = 4.0, 6.0, np.array([4.5, 5.5, 5.0])
    states = tt.simulate(MODEL, start, 1, 20_000, seed=2, bounds=(low, high), backend=backend).states
    mean, spread = MODEL.step(start, np.zeros(3)), np.sqrt(np.diag(MODEL.Q))
    expected = np.array([stats.norm.cdf((low - mean) / spread), stats.norm.sf((high - mean) / spread)])
    return np.array([(states == low).sum(axis=0), (states == high).sum(axis=0)]), expected


@pytest.mark.parametrize("backend", BACKENDS)
def test_as_many_paths_end_at_a_bound_as_would_pass_it(backend: str) -> None:
    found, expected = share_at_bounds(backend)
    assert (found >= stats.binom.ppf(1e-9, 20_000, expected)).all()
    assert (found <= stats.binom.ppf(1 - 1e-9, 20_000, expected)).all()


def test_a_bound_before_the_noise_is_noticed(monkeypatch) -> None:
    bound_before_noise(monkeypatch)
    found, expected = share_at_bounds("numpy")
    assert (found < stats.binom.ppf(1e-9, 20_000, expected)).any()


def reflected(backend: str) -> float:
    """Return the p-value of one step against the normal law folded at 0 and 1."""
    model = tt.AffineSDE([[0.0]], [0.0], [[0.49]])
    states = tt.simulate(model, [0.3], 1, 20_000, 6, bounds=(0, 1), at_bounds="reflect", backend=backend).states[:, 0]
    law, images = stats.norm(0.3, 0.7), 2 * np.arange(-6, 7)[:, None]
    # Below x end all that fell, unfolded, between an image of 0 and the images of x on both its sides.
    return float(stats.kstest(states, lambda x: (law.cdf(images + x) - law.cdf(images - x)).sum(axis=0)).pvalue)


@pytest.mark.parametrize("backend", BACKENDS)
def test_reflection_folds_the_law(backend: str) -> None:
    assert reflected(backend) > 1e-9


def test_a_reflection_before_the_noise_is_noticed(monkeypatch) -> None:
    bound_before_noise(monkeypatch)
    assert reflected("numpy") < 1e-9


def test_score_noise_adds_its_covariance_and_is_new_at_every_iteration() -> None:
    R = np.array([[0.5, 0.2, 0.0], [0.2, 0.3, 0.1], [0.0, 0.1, 0.4]])
    N = 20_000
    found = tt.simulate(MODEL, X0, 8, N, seed=5, keep="moments", score_noise=R).moments
    mean, P = MODEL.forecast(X0, 8)
    for t in range(9):
        total = P[t] + R
        own = np.outer(np.diag(total), np.diag(total))
        assert (np.abs(found.covariance[t] - total) / np.sqrt((own + total**2) / N)).max() < Z
        assert (np.abs(found.mean[t] - mean[t]) / np.sqrt(np.diag(total) / N)).max() < Z
        if t:
            ahead = P[t - 1] @ MODEL.transition.T
            scale = np.sqrt((np.outer(np.diag(P[t - 1] + R), np.diag(total)) + ahead**2) / N)
            assert (np.abs(found.lag_covariance[t - 1] - ahead) / scale).max() < Z


def test_state_dependent_diffusion_has_the_moments_of_geometric_growth() -> None:
    # x_{t+1} = x_t (1 + a h + s sqrt(h) eps): E x = (1 + a h)^k and E x^2 = ((1 + a h)^2 + s^2 h)^k.
    a, s, h, k, N = 0.1, 0.3, 0.25, 8, 40_000
    model = tt.NonlinearSDE(lambda x: a * x, lambda x: s * x, n=1)
    states = tt.simulate(model, [1.0], 2, N, seed=8, substeps=4).states[:, 0]
    m1, m2, m4 = (
        (1 + a * h) ** k,
        ((1 + a * h) ** 2 + s**2 * h) ** k,
        ((1 + a * h) ** 4 + 6 * (1 + a * h) ** 2 * s**2 * h + 3 * s**4 * h**2) ** k,
    )
    assert abs(states.mean() - m1) / np.sqrt((m2 - m1**2) / N) < Z
    assert abs((states**2).mean() - m2) / np.sqrt((m4 - m2**2) / N) < Z
