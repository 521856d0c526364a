from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import trimtab as tt
from simulated import REAL, noise, panel
from trimtab.core.trajectories import Trajectories
from trimtab.errors import FitError, InputError
from trimtab.estimation.results import Fit
from trimtab.forecasting.document import json_schema
from trimtab.forecasting.fit_file import DRAWS, loops_of_fit_document
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.forecasting.sources import loops_of

NARROW = tt.AffineSDE([[-0.4]], [2.0], [[0.25]])


@pytest.fixture(scope="module")
def fitted() -> Fit:
    paths = NARROW.simulate(np.full((12, 1), 8.0), 8, np.random.default_rng(0))
    return tt.fit(Trajectories.from_arrays(paths, ["quality:0:10"], "EF"), estimator="least-squares", draws=500)


@pytest.fixture(scope="module")
def document(fitted: Fit) -> dict:
    return json.loads(fitted.to_json(audit=False))


def saved(document: dict, folder: Path) -> Path:
    path = folder / "fit.json"
    path.write_text(json.dumps(document))
    return path


def valid(result: Forecast) -> dict:
    found = json.loads(result.to_json())
    jsonschema.Draft202012Validator(json_schema()).validate(found)
    return found


def spread(paths: Trajectories) -> tuple[float, float]:
    """Return the variance of the last scores of paths of one objective, and its standard error."""
    last = paths.scores[paths.offsets[1:] - 1, 0]
    error = last - last.mean()
    return float((error**2).mean()), float(np.sqrt(np.var(error**2) / len(last)))


def test_a_fit_is_forecast_with_what_is_not_known_of_its_drift() -> None:
    paths = NARROW.simulate(np.full((5, 1), 8.0), 6, np.random.default_rng(0))
    data = Trajectories.from_arrays(paths, ["quality:-inf:inf"], "EF")
    fitted, T = tt.fit(data, estimator="least-squares", draws=500), 10
    result, sure = (tt.forecast(fitted, T, 20_000, keep=True, parameter_uncertainty=given) for given in (True, False))
    # Of each drift by itself the last score is normal, with moments that a loop over its steps gives.
    one = fitted["EF"]
    mean, variance = np.full(500, 8.0), np.zeros(500)
    for _ in range(T):
        mean = (1 + one.draws.A[:, 0, 0]) * mean + one.draws.b[:, 0]
        variance = (1 + one.draws.A[:, 0, 0]) ** 2 * variance + one.Q[0, 0]
    chance = one.Q[0, 0] * ((1 + one.A[0, 0]) ** (2 * np.arange(T))).sum()
    found, error = spread(result.trajectories())
    assert abs(found - variance.mean() - mean.var()) < 6 * error
    assert abs(found - chance) > 6 * error  # what it would be without
    found, error = spread(sure.trajectories())
    assert abs(found - chance) < 6 * error
    assert (result.uncertain, result["EF"].drifts) == (True, 500)
    assert (sure.uncertain, sure["EF"].drifts) == (False, 1)
    assert any("parameter uncertainty was turned off" in text for text in sure.notes)


def test_a_saved_fit_gives_the_fan_of_the_fit_itself(fitted: Fit, document: dict, tmp_path: Path) -> None:
    mine, its = (tt.forecast(source, 8, 20_000)["EF"] for source in (fitted, saved(document, tmp_path)))
    assert its.drifts == DRAWS
    # 20,000 paths know a quantile of 5% to sd / 66 or so; the draws are 500 here and 2,000 there.
    sd = np.sqrt(fitted["EF"].Q[0, 0])
    np.testing.assert_allclose(its.quantiles, mine.quantiles, atol=0.1 * sd)
    np.testing.assert_allclose(its.mean[0], 8.0)


def test_drifts_of_a_saved_fit_have_its_covariance(document: dict) -> None:
    drifts = loops_of_fit_document(document)["EF"].drifts
    rung = document["strategies"]["EF"]["rungs"]["least_squares"]
    V, drawn = np.array(rung["drift_covariance"]), np.stack([drifts.A[:, 0, 0], drifts.b[:, 0]])
    size = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / DRAWS)
    assert (np.abs(np.cov(drawn) - V) < 6 * size).all()
    at = [rung["A"][0][0], rung["b"][0]]
    assert (np.abs(drawn.mean(axis=1) - at) < 6 * np.sqrt(np.diag(V) / DRAWS)).all()


def test_entries_of_a_drift_keep_their_places() -> None:
    document = json.loads(tt.fit(panel(sessions=30), draws=100, estimator="least-squares").to_json(audit=False))
    rung = document["strategies"]["EF"]["rungs"]["least_squares"]
    only = np.zeros((12, 12))
    only[1, 1] = 0.01  # A[0, 1], and nothing else
    rung["drift_covariance"] = only.tolist()
    drifts = loops_of_fit_document(document)["EF"].drifts
    moved = drifts.A.std(axis=0) > 1e-9
    assert moved.tolist() == [[False, True, False], [False] * 3, [False] * 3]
    assert drifts.b.std(axis=0).max() < 1e-9


def test_a_document_from_before_says_what_its_forecast_leaves_out(document: dict, tmp_path: Path) -> None:
    old = json.loads(json.dumps(document))
    for one in (*old["strategies"].values(), old["pooled"]):
        del one["started_covariance"]
        for rung in one["rungs"].values():
            del rung["drift_covariance"]
    result = tt.forecast(saved(old, tmp_path), 5, 200)
    assert result["EF"].drifts == 1
    assert not result.uncertain
    assert "Parameter uncertainty is not included for EF" in " ".join(result.notes)
    assert "the fit does not say how they vary" in result.starts
    valid(result)


def test_the_same_seed_gives_the_same_bytes(fitted: Fit) -> None:
    first, again, other = (tt.forecast(fitted, 6, 700, seed=seed).to_json() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_document_fits_its_schema_and_says_what_the_fans_say(fitted: Fit) -> None:
    result = tt.forecast(fitted, 6, 300, targets={"quality": 5.0}, schedule="EFx2,EF", strategy="EF")
    found = valid(result)
    assert [*found["fans"]] == ["EF", "EFx2,EF"]
    one = found["fans"]["EFx2,EF"]
    assert one["schedule"] == ["EF"] * 6
    np.testing.assert_allclose(one["quantiles"], result["EFx2,EF"].quantiles)
    np.testing.assert_allclose(one["targets"][0]["reached"], result["EFx2,EF"].passages[0].reached)
    assert (found["source"], found["paths"], found["steps"]) == ("fit", 300, 6)


def test_unbounded_fans_of_loops_that_do_not_converge_have_a_document(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(
        'start.mean = [1]\n[[objectives]]\nname = "q"\nlow = -inf\nhigh = inf\n'
        "[strategies.X]\nA = [[9e9]]\nb = [0]\nsd = [1]\n"
    )
    result = tt.forecast(file, 60, 50, keep=True)
    found = valid(result)["fans"]["X"]
    assert found["quantiles"][-1][2] == [None]
    assert "does not converge" in found["cautions"][0]
    with pytest.raises(InputError, match="left all numbers"):
        result.trajectories()


def test_without_dynamics_it_says_so_before_the_numbers() -> None:
    result = tt.forecast(noise(sessions=60), 5, 500)
    assert result["EF"].cautions[0].startswith("verdict noise: ")
    text = result.summary()
    assert text.index("Before reading this") < text.index("Where sessions are after 5 iterations")
    assert "a flat band" in " ".join(text.split())


def test_unstable_drifts_are_reported_and_not_hidden() -> None:
    model = tt.AffineSDE([[-0.05]], [0.25], [[1.0]])
    paths = model.simulate(np.full((12, 1), 5.0), 8, np.random.default_rng(2))
    result = tt.fit(Trajectories.from_arrays(paths, ["q:-inf:inf"], "EF"), estimator="least-squares", draws=500)
    fan = tt.forecast(result, 20, 2000)["EF"]
    share = float((np.abs(1 + result["EF"].draws.A[:, 0, 0]) >= 1).mean())
    assert fan.unstable == pytest.approx(share)
    assert 0.005 < share < 1
    assert f"{share:.1%}" in tt.forecast(result, 20, 2000).summary()


def test_paths_can_be_kept_as_sessions(fitted: Fit) -> None:
    result = tt.forecast("reference", paths=40, strategy=["EF", "SF"], schedule="FFx3,SF", keep=True)
    found = result.trajectories()
    assert found.n_sessions == 120
    assert found.session_ids[80] == "FFx3,SF/0"
    assert [*dict.fromkeys(found.covariates["forecast"])] == ["EF", "SF", "FFx3,SF"]
    rows = slice(found.offsets[80], found.offsets[81])
    assert [found.strategies[code] for code in found.strategy[rows]] == ["FF"] * 4 + ["SF"] * 7
    for t in (0, 10):
        ends = found.scores[found.offsets[:-1][:40] + t]
        np.testing.assert_allclose(ends.mean(axis=0), result["EF"].mean[t])
    with pytest.raises(InputError, match="keep=True"):
        tt.forecast(fitted, 2, 5).trajectories()


def test_score_noise_is_added_where_it_was_asked_for_and_is_known() -> None:
    data = panel(REAL, sessions=80)
    rng = np.random.default_rng(9)
    scored = Trajectories.from_arrays(
        data.scores.reshape(80, 11, 3) + rng.normal(0, 1, (80, 11, 3)), [f"{n}:-50:50" for n in data.space.names], "EF"
    )
    result = tt.fit(scored, draws=100, estimator="state-space")
    R, one = result["EF"].rung.R, result["EF"]
    assert (R > 0.1).all()
    states, scores = (tt.forecast(result, 10, 20_000, score_noise=given) for given in (False, True))
    added = [float(np.diff(found["EF"].quantiles[-1, [0, 4], 0])[0]) ** 2 / 4 / 1.6449**2 for found in (states, scores)]
    assert added[1] - added[0] == pytest.approx(R[0], rel=0.12)
    assert "single scores scatter more" in " ".join(states.notes)
    assert "These are scores" in " ".join(scores.notes)
    # Starts are states too: less wide than the scores that sessions started with.
    first = states["EF"].quantiles[0, [0, 4], 0]
    assert float(np.diff(first)[0]) / 2 / 1.6449 < np.sqrt(one.started_covariance[0, 0])


def test_the_reference_is_forecast_from_its_own_starts() -> None:
    result = tt.forecast("reference", 3, 4000, strategy="FF")
    from trimtab.simulation.reference import REFERENCE

    one = REFERENCE["FF"]
    bound = 6 * one.start_sd / np.sqrt(4000) + 0.01
    assert (np.abs(result["FF"].mean[0] - one.start_mean) < bound).all()
    own = one.ensemble(20_000, 1, 3).states[:, -1].mean(axis=0)
    np.testing.assert_allclose(result["FF"].mean[-1], own, atol=6 * 2 / np.sqrt(4000))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"paths": 0}, "paths must be 1 or more"),
        ({"paths": 1.5}, "paths must be a whole number"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"steps": 10**6}, "up to 100,000 steps"),
        ({"paths": 10**9}, "GB of memory"),
        ({"strategy": "XX"}, "no strategy is called 'XX'; there are EF, SF, FF, AI"),
        ({"schedule": "EFx3", "steps": 4}, "has only 3"),
        ({"schedule": ["EFx3", "SFx4"]}, "3 steps are asked for"),
        ({"x0": {"security": 12.0}}, "security goes from 0 to 10"),
        ({"x0": {"safety": 1.0}}, "no objective is called 'safety'"),
        ({"targets": {"security": 12.0}}, "from 0 to 10"),
        ({"targets": {"security": float("nan")}}, "a target must be a score"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_words(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        forecast("reference", **options)


def test_refused_sizes_name_one_that_is_possible() -> None:
    with pytest.raises(InputError, match=r"([\d,]+) paths are possible") as error:
        forecast("reference", 1000, 10**7, strategy="EF")
    possible = int(str(error.value).split(": ")[-1].split()[0].replace(",", ""))
    assert 10_000 < possible < 10**7


def test_keeping_paths_needs_more_memory_and_counts_all_fans() -> None:
    possible = []
    for options in ({}, {"keep": True}, {"keep": True, "strategy": "EF"}):
        with pytest.raises(InputError, match="paths are possible") as error:
            forecast("reference", 20, 10**9, **options)
        possible.append(int(str(error.value).split(": ")[-1].split()[0].replace(",", "")))
    every, kept, one = possible
    assert kept < one < every


def test_strategies_without_a_drift_are_named_and_the_others_forecast(fitted: Fit, document: dict) -> None:
    changed = json.loads(json.dumps(document))
    changed["strategies"]["SF"] = json.loads(json.dumps(changed["strategies"]["EF"]))
    changed["strategies"]["SF"] |= {"identified": False, "warnings": []}
    result = forecast(loops_of_fit_document(changed), 3, 50)
    assert [*result] == ["EF"]
    assert any(text.startswith("Left out: SF, because the steps cannot identify") for text in result.notes)
    with pytest.raises(InputError, match="'SF' cannot be forecast"):
        forecast(loops_of_fit_document(changed), 3, 50, strategy="SF")
    changed["strategies"]["EF"]["identified"] = False
    with pytest.raises(FitError, match="no strategy has a usable one"):
        loops_of_fit_document(changed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "does not say that it is one"),
        ('{"schema": "trimtab.audit/1"}', "needs a document trimtab.fit/1"),
        ('{"schema": "trimtab.fit/1"}', "is not a whole document trimtab.fit/1"),
    ],
)
def test_other_files_are_refused_in_words(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        loops_of(path)


def test_files_that_are_not_there_are_refused_in_words(tmp_path: Path) -> None:
    for name in ("no.json", "no.toml"):
        with pytest.raises(InputError, match="there is no file"):
            loops_of(tmp_path / name)
