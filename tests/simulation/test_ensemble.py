from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import trimtab as tt
from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.errors import InputError
from trimtab.simulation import ensemble as module
from trimtab.simulation import philox, portable

pytest.importorskip("numba", reason="needs the extra trimtab[fast]")

MODEL = tt.AffineSDE([[-0.33, 0.0, 0.0], [0.1, -0.7, 0.0], [0.0, -0.1, -1.0]], [1.7, 2.7, 5.5], 0.25 * np.eye(3) + 0.05)
OTHER = tt.AffineSDE(-0.2 * np.eye(3), [1.0, 1.0, 1.0], np.diag([0.3, 0.0, 1.2]))
X0 = [5.0, 6.0, 7.0]


def nonlinear(scale: float = 0.5) -> tt.NonlinearSDE:
    return tt.NonlinearSDE(lambda x: scale * (5 - x) * np.cos(x / 10), lambda x: 0.1 + 0.05 * np.abs(x), n=3)


def by_level(t: int, block: np.ndarray) -> np.ndarray:
    return (block[0] > 5).astype(np.int64)


BOTH = {"one": MODEL, "two": OTHER}
CASES = {
    "affine": (MODEL, {}),
    "bounded": (MODEL, {"bounds": (4, 7)}),
    "reflected": (MODEL, {"bounds": ([4, 4, 4], [7, 9, np.inf]), "at_bounds": "reflect"}),
    "exact": (MODEL, {"scheme": "exact", "substeps": 3}),
    "schedule": (BOTH, {"schedule": ["one", "two"] * 6 + ["one"]}),
    "policy": (BOTH, {"policy": by_level, "substeps": 2, "bounds": (4, 8)}),
    "nonlinear": (nonlinear(), {"substeps": 3}),
    "mixed": ({"one": MODEL, "two": nonlinear()}, {"policy": by_level, "score_noise": [0.1, 0.2, 0.3]}),
    "noisy": (MODEL, {"score_noise": 0.2 * np.eye(3) + 0.1}),
}
STEPS = 13


def run(case: str, paths: int, **options):
    model, given = CASES[case]
    return tt.simulate(model, X0, STEPS, paths, seed=4, **{**given, **options})


def slow(case: str, paths: int) -> np.ndarray:
    """The affine cases, path by path and step by step from the definition."""
    model, options = CASES[case]
    key, L = philox.key(4), semidefinite_cholesky(model.Q)
    low, high = options.get("bounds", (-np.inf, np.inf))
    out = np.empty((paths, STEPS + 1, 3))
    for p in range(paths):
        x = out[p, 0] = np.array(X0)
        for t in range(STEPS):
            words = [philox.philox4x32((p, 0, t // 4, c), key) for c in range(3)]
            pairs = [philox.normal_pair(*w[:2]) if t % 4 < 2 else philox.normal_pair(*w[2:]) for w in words]
            z = np.array([pair[t % 2] for pair in pairs])
            x = np.clip(x + (model.A @ x + model.b) * model.dt + L @ z, low, high)
            out[p, t + 1] = x
    return out


@pytest.mark.parametrize("case", ["affine", "bounded"])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_paths_are_those_of_the_definition(case: str, backend: str) -> None:
    assert np.allclose(run(case, 5, keep="all", backend=backend).states, slow(case, 5), rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numpy_gives_what_numba_gives_to_rounding(case: str, dtype) -> None:
    one, other = (run(case, 777, keep="all", backend=backend, dtype=dtype) for backend in ("numba", "numpy"))
    assert one.states.dtype == other.states.dtype == dtype
    apart = np.abs(one.states - other.states)
    # A path within rounding of a policy's threshold may go the other way.
    assert (apart.max(axis=(1, 2)) > (1e-12 if dtype == np.float64 else 1e-4)).mean() < 0.01
    assert np.median(apart) < (1e-15 if dtype == np.float64 else 2e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_not_a_bit_depends_on_blocks_threads_or_number_of_paths(case: str, backend: str, monkeypatch) -> None:
    whole = run(case, 1500, keep="all", backend=backend, threads=1)
    for paths in (1, 7, 257, 1500):
        assert (run(case, paths, keep="final", backend=backend).states == whole.states[:paths, -1]).all()
    for block in (256 * 3, 2048 * 3):
        monkeypatch.setattr(module, "_BLOCK", block)
        for threads in (1, 3):
            again = run(case, 1500, keep="all", backend=backend, threads=threads)
            assert (again.states == whole.states).all()
            assert np.array_equal(again.strategy, whole.strategy)


def test_blocks_of_odd_size_change_nothing(monkeypatch) -> None:
    whole = run("noisy", 999, keep="all")
    monkeypatch.setattr(module, "_blocks", lambda plan, most=None: ((f, min(37, 999 - f)) for f in range(0, 999, 37)))
    assert (run("noisy", 999, keep="all").states == whole.states).all()


def test_starts_of_each_path_are_its_own() -> None:
    starts = np.random.default_rng(0).normal(5, 1, (9000, 3))
    found = tt.simulate(MODEL, starts, 3, seed=1, keep="all", bounds=(-9, 19))
    assert found.paths == 9000
    assert (found.states[:, 0] == starts).all()
    alone = tt.simulate(MODEL, starts[:50], 3, seed=1, bounds=(-9, 19))
    assert (alone.states == found.states[:50, -1]).all()


def test_long_runs_pass_windows_and_groups_of_steps() -> None:
    kept = tt.simulate(MODEL, X0, 101, 300, keep="all", substeps=3)
    assert (tt.simulate(MODEL, X0, 101, 300, substeps=3).states == kept.states[:, -1]).all()
    fine = tt.simulate(MODEL, X0, 303, 300, keep="all", dt=1 / 3)
    assert np.allclose(fine.states[:, ::3], kept.states, atol=1e-12)


@pytest.mark.parametrize("case", ["affine", "noisy", "policy", "nonlinear"])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_moments_and_summaries_are_those_of_the_kept_paths(case: str, backend: str, monkeypatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 256 * 3)
    states = run(case, 1000, keep="all", backend=backend).states
    moments = run(case, 1000, keep="moments", backend=backend).moments
    assert np.allclose(moments.mean, states.mean(axis=0), atol=1e-12)
    for t in range(STEPS):
        both = np.cov(states[:, t].T, states[:, t + 1].T)
        assert np.allclose(moments.covariance[t], both[:3, :3], atol=1e-12)
        assert np.allclose(moments.covariance[t + 1], both[3:, 3:], atol=1e-12)
        assert np.allclose(moments.lag_covariance[t], both[:3, 3:], atol=1e-12)

    def summary(block: np.ndarray) -> dict:
        return {"last": list(block[0, :, -1]), "total": block.sum(axis=1), "above": int((block[0] > 5).sum())}

    found = run(case, 1000, keep=summary, backend=backend).summary
    assert found["last"] == list(states[:, -1, 0])
    assert np.allclose(found["total"], states.sum(axis=0).T)
    assert found["above"] == (states[:, :, 0] > 5).sum()


def test_sums_do_not_depend_on_threads_by_a_bit() -> None:
    one, other = (
        tt.simulate(MODEL, X0, 9, 50_000, keep="moments", threads=threads).moments for threads in (1, 5)
    )  # fmt: skip
    assert (one.covariance == other.covariance).all()
    assert (one.mean == other.mean).all()
    sums = [tt.simulate(MODEL, X0, 9, 50_000, keep=np.sum, threads=threads).summary for threads in (1, 5)]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("mode", ["clip", "reflect"])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_noise_comes_first_and_then_the_bound(mode: str, backend: str) -> None:
    wild = tt.AffineSDE([[0.5]], [0.0], [[9.0]])
    free = tt.simulate(wild, [0.0], 1, 2000, seed=3, backend=backend).states
    held = tt.simulate(wild, [0.0], 1, 2000, seed=3, bounds=(-1, 2), at_bounds=mode, backend=backend).states
    if mode == "clip":
        assert (held == np.clip(free, -1, 2)).all()
    else:
        folded = np.abs((free + 1 + 3) % 6 - 3) - 1  # the distance to the nearest image of the lower bound
        assert np.allclose(held, folded, atol=1e-13)
        assert held.min() >= -1
        assert held.max() <= 2
    assert (held != free).mean() > 0.3


def test_bounds_open_on_one_side_reflect_there() -> None:
    wild = tt.AffineSDE([[0.0]], [0.0], [[1.0]])
    for backend in ("numba", "numpy"):
        free = tt.simulate(wild, [0.0], 1, 500, backend=backend).states
        below = tt.simulate(wild, [0.0], 1, 500, bounds=(0, np.inf), at_bounds="reflect", backend=backend).states
        above = tt.simulate(wild, [0.0], 1, 500, bounds=(-np.inf, 0), at_bounds="reflect", backend=backend).states
        assert (below == np.abs(free)).all()
        assert (above == -np.abs(free)).all()


def test_no_bounds_leave_paths_alone() -> None:
    assert (run("affine", 50, bounds=(0, 1), at_bounds="none").states == run("affine", 50).states).all()


def test_a_schedule_is_the_same_as_a_sequence_of_models_and_as_a_policy_that_follows_it() -> None:
    schedule = ["two", "one", "one", "two", "two"]
    options = {"x0": X0, "steps": 5, "paths": 600, "seed": 2, "keep": "all"}
    named = tt.simulate(BOTH, schedule=schedule, **options)
    listed = tt.simulate([BOTH[name] for name in schedule], **options)
    followed = tt.simulate(BOTH, policy=lambda t, x: list(BOTH).index(schedule[t]), **options)
    assert (named.states == listed.states).all()
    assert (named.states == followed.states).all()
    assert named.strategies == ("one", "two")
    assert named.strategy.tolist() == [1, 0, 0, 1, 1]
    assert (followed.strategy == named.strategy).all()


def test_a_policy_sees_what_is_returned_and_each_path_goes_its_way() -> None:
    seen = {}
    lock = threading.Lock()

    def policy(t: int, block: np.ndarray) -> np.ndarray:
        with lock:
            seen[t] = block.copy()
        block[:] = np.nan  # it may spoil what it is given
        return np.arange(block.shape[1]) % 2

    found = tt.simulate(BOTH, X0, 4, 200, policy=policy, keep="all", score_noise=[1, 1, 1])
    for t in range(4):
        assert (found.states[:, t] == seen[t].T).all()
    assert (found.strategy == (np.arange(200) % 2)[:, None]).all()
    clean = tt.simulate(BOTH, X0, 4, 200, policy=lambda t, x: np.arange(x.shape[1]) % 2)
    for code, name in enumerate(BOTH):
        alone = tt.simulate(BOTH[name], X0, 4, 200)
        assert (clean.states[code::2] == alone.states[code::2]).all()


def test_score_noise_lies_on_top_of_clean_states() -> None:
    clean, noisy = (tt.simulate(MODEL, X0, 20, 4000, keep="all", score_noise=R).states for R in (None, [0.0, 1.0, 4.0]))
    added = noisy - clean
    assert (added[..., 0] == 0).all()
    assert np.abs(added[..., 1:].std(axis=(0, 1)) / [1, 2] - 1).max() < 6 / np.sqrt(2 * 84_000)
    assert np.abs(added[:, 1:, 1] * added[:, :-1, 1]).max() > 0
    assert (run("noisy", 30).states == run("noisy", 30, keep="all").states[:, -1]).all()


def test_one_objective_and_sixty_four() -> None:
    for n in (1, 2, 5, 64):
        rng = np.random.default_rng(n)
        B = rng.normal(size=(n, n)) / np.sqrt(n)
        model = tt.AffineSDE(0.3 * B - np.eye(n), rng.normal(size=n), B @ B.T)
        one, other = (
            tt.simulate(model, np.zeros(n), 9, 300, keep="all", backend=name).states for name in ("numba", "numpy")
        )
        assert one.shape == (300, 10, n)
        assert np.allclose(one, other, atol=1e-12)


def test_singular_innovations_stay_on_their_plane() -> None:
    v = np.array([1.0, 2.0, -1.0])
    model = tt.AffineSDE(np.zeros((3, 3)), np.zeros(3), np.outer(v, v))
    states = tt.simulate(model, np.zeros(3), 5, 100).states
    assert np.allclose(states, states[:, :1] * v, atol=1e-7)
    assert states[:, 0].std() > 1
    still = tt.AffineSDE(-0.5 * np.eye(3), np.ones(3), np.zeros((3, 3)))
    assert np.allclose(tt.simulate(still, X0, 5, 3).states, 2 + (np.array(X0) - 2) / 32)


def test_an_unstable_model_leaves_all_numbers_quietly_and_says_so_when_asked_for_trajectories() -> None:
    explosive = tt.AffineSDE([[1e6]], [0.0], [[1.0]])
    for backend in ("numba", "numpy"):
        found = tt.simulate(explosive, [1.0], 80, 3, keep="all", backend=backend)
        assert not np.isfinite(found.states).all()
        assert not np.isfinite(
            tt.simulate(explosive, [1.0], 80, 9000, keep="moments", backend=backend).moments.mean[-1]
        )
        with pytest.raises(InputError, match="unstable"):
            found.trajectories(["quality"])
        held = tt.simulate(explosive, [1.0], 80, 3, bounds=(0, 10), backend=backend).states
        assert ((held >= 0) & (held <= 10)).all()


def test_trajectories_name_the_strategy_that_produced_each_row() -> None:
    space = ObjectiveSpace(["security", "efficiency", "functionality"])
    found = tt.simulate(BOTH, X0, 3, 20, bounds=space, schedule=["two", "one", "one"], keep="all")
    data = found.trajectories()
    assert data.space is space
    assert data.n_sessions == 20
    assert data.strategy[:4].tolist() == [1, 1, 0, 0]
    assert (data.scores.reshape(20, 4, 3) == found.states).all()
    assert np.bincount(data.steps().strategy).tolist() == [40, 20]
    chosen = tt.simulate(BOTH, X0, 3, 20, policy=by_level, keep="all", dtype=np.float32)
    assert (chosen.trajectories(space.names).strategy.reshape(20, 4)[:, 1:] == chosen.strategy).all()
    assert "20 paths of 3 steps by one, two: states" in repr(found)


BAD = [
    ({"steps": 0}, "steps must be a whole number, 1 or more"),
    ({"steps": 2.5}, "steps must be"),
    ({"paths": 0}, "paths must be"),
    ({"paths": None}, "paths is needed"),
    ({"x0": [1, 2]}, "x0 must be"),
    ({"x0": [1, 2, np.nan]}, "finite"),
    ({"x0": "abc"}, "x0 must be numbers"),
    ({"x0": np.ones((4, 3))}, "x0 must be"),
    ({"bounds": (0, 6)}, "starts must lie within"),
    ({"bounds": (9, 1)}, "low < high"),
    ({"bounds": (np.nan, 10)}, "low < high"),
    ({"bounds": 3}, "pair"),
    ({"bounds": ([0, 0], [1, 1])}, "pair"),
    ({"at_bounds": "wrap"}, "at_bounds must be one of"),
    ({"scheme": "milstein"}, "scheme must be one of"),
    ({"dt": -1}, "dt must be a positive"),
    ({"dt": "1"}, "dt must be a positive"),
    ({"seed": 1.5}, "seed must be a whole number"),
    ({"dtype": "floaty"}, "seed must be a whole number and dtype"),
    ({"substeps": 0}, "substeps must be"),
    ({"keep": "paths"}, "keep must be one of"),
    ({"dtype": np.int64}, "float64 or float32"),
    ({"threads": 0}, "threads must be"),
    ({"backend": "cuda"}, "backend must be one of"),
    ({"score_noise": [1, 2]}, "score noise needs"),
    ({"score_noise": [1, 1, -1]}, "positive semidefinite"),
    ({"model": 3}, "must be an AffineSDE"),
    ({"model": {}}, "one or more models"),
    ({"model": BOTH}, "need a schedule or a policy"),
    ({"model": BOTH, "schedule": ["one"]}, "one strategy for each"),
    ({"model": BOTH, "schedule": ["one", "none", "two", "two"]}, "but has none"),
    ({"model": BOTH, "schedule": ["one"] * 4, "policy": by_level}, "one of the two"),
    ({"schedule": ["one"] * 4}, "give a mapping"),
    ({"model": [MODEL]}, "one model for each"),
    ({"model": {"a": MODEL, "b": tt.AffineSDE([[0]], [0], [[1]])}, "policy": by_level}, "number of objectives"),
    ({"model": {"a": MODEL, "b": tt.AffineSDE(MODEL.A, MODEL.b, MODEL.Q, 2)}, "policy": by_level}, "say which dt"),
    ({"model": nonlinear(), "scheme": "exact"}, "only affine models"),
    ({"model": BOTH, "policy": "one"}, "policy must be a function"),
    ({"model": BOTH, "policy": lambda t, x: x[0]}, "one whole number for each"),
    ({"model": BOTH, "policy": lambda t, x: np.zeros(3, int)}, "one whole number for each"),
    ({"model": BOTH, "policy": lambda t, x: 2}, "codes 0..1"),
    ({"model": tt.NonlinearSDE(lambda x: x[0], lambda x: x, 3)}, "a drift must be"),
    ({"steps": 2**33 + 1}, "at most 2\\^33"),
    ({"paths": 2**32 + 1}, "at most 2\\^32"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_input_is_told_in_a_sentence(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tt.simulate(**{"model": MODEL, "x0": X0, "steps": 4, "paths": 10, **change})


def test_without_numba_numpy_does_it_and_asking_for_numba_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr("trimtab.simulation.plan.find_spec", lambda name: None)
    assert (run("affine", 50).states == run("affine", 50, backend="numpy").states).all()
    with pytest.raises(InputError, match=r"trimtab\[fast\]"):
        run("affine", 50, backend="numba")


def test_a_nonlinear_model_without_curvature_is_the_affine_one() -> None:
    L = semidefinite_cholesky(MODEL.Q)
    same = tt.NonlinearSDE(
        lambda x: MODEL.A @ x + MODEL.b[:, None], lambda x: np.broadcast_to(L[:, :, None], (3, 3, x.shape[1])), 3
    )
    diagonal = tt.NonlinearSDE(lambda x: OTHER.A @ x + 1, lambda x: np.sqrt(np.diag(OTHER.Q))[:, None] + 0 * x, 3)
    for one, other in ((same, MODEL), (diagonal, OTHER)):
        found = [tt.simulate(model, X0, 6, 90, substeps=2, keep="all").states for model in (one, other)]
        assert np.allclose(*found, atol=1e-12)


def test_nothing_is_cached_where_no_place_for_a_cache_can_be_written(tmp_path) -> None:
    code = (
        "import numba.core.caching as c\n"
        "for name in ('_InTreeCacheLocator', '_InTreeCacheLocatorFsAgnostic', '_UserWideCacheLocator'):\n"
        "    if hasattr(c, name): getattr(c, name).ensure_cache_path = lambda self: (_ for _ in ()).throw(OSError())\n"
        "import trimtab as tt\n"
        "print(tt.simulate(tt.AffineSDE([[0]], [1], [[0]]), [0], 3, 1, threads=1).states[0, 0])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.stdout.strip() == "3.0", done.stderr


def test_portable_backend_needs_no_numba() -> None:
    code = "import sys; sys.modules['numba'] = None; import trimtab.simulation.portable, trimtab.simulation.ensemble"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert portable.__all__ == ["advance", "fill", "step"]
