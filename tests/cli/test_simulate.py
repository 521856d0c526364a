from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import trimtab as tt
from simulated import REAL, panel
from support.cli import trimtab
from trimtab.forecasting.document import json_schema

MODELS = """
[[objectives]]
name = "quality"

[strategies.up]
A = [[-0.5]]
equilibrium = [8]
sd = [0.5]

[strategies.down]
A = [[-0.5]]
equilibrium = [2]
sd = [0.5]
"""
SMALL = ("--paths", 300)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tt.save(panel(REAL, sessions=30), tmp_path_factory.mktemp("runs") / "runs.csv")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(MODELS)
    return path


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_reference_is_simulated_side_by_side(capsys) -> None:
    ran = trimtab(capsys, "simulate", "reference", *SMALL)
    assert (ran.code, ran.err) == (0, "")
    assert "Where sessions are after 10 iterations (300 paths each)" in ran.out
    names = [line.strip() for line in ran.out.splitlines()]
    assert [name for name in names if name in ("EF", "SF", "FF", "AI")] == ["EF", "SF", "FF", "AI"]
    assert "The models are taken as known" in words(ran.out)
    assert max(map(len, ran.out.splitlines())) <= 118


def test_trajectories_are_fitted_first_and_their_fit_is_forecast(capsys, runs: Path, tmp_path: Path) -> None:
    options = ("--draws", 200, "--estimator", "least-squares", "--seed", 5)
    ran = trimtab(capsys, "simulate", runs, *SMALL, *options, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    jsonschema.validate(document, json_schema())
    fitted = tt.fit(tt.load(runs), draws=200, estimator="least-squares", seed=5)
    assert document == json.loads(tt.forecast(fitted, paths=300, seed=5).to_json())
    assert document["parameter_uncertainty"] is True
    saved = tmp_path / "fit.json"
    assert trimtab(capsys, "fit", runs, *options, "--out", saved).code == 0
    again = json.loads(trimtab(capsys, "simulate", saved, *SMALL, "--json").out)
    assert again["source"] == "fit file"
    assert again["parameter_uncertainty"] is True
    np.testing.assert_allclose(again["fans"]["EF"]["mean"], document["fans"]["EF"]["mean"], atol=0.5)


def test_a_file_of_models_is_simulated_by_a_schedule(capsys, models: Path) -> None:
    ran = trimtab(capsys, "simulate", models, *SMALL, "--schedule", "upx6,downx6", "--strategy", "up", "--json")
    assert ran.code == 0, ran.err
    fans = json.loads(ran.out)["fans"]
    mean = np.array(fans["upx6,downx6"]["mean"])[:, 0]
    assert len(mean) == 13
    # From 5 towards 8 and then towards 2, half of the way at each step.
    way = [5.0]
    for level in [8] * 6 + [2] * 6:
        way.append(way[-1] + (level - way[-1]) / 2)
    np.testing.assert_allclose(mean, way, atol=6 * 0.6 / np.sqrt(300))
    assert len(fans["up"]["mean"]) == 13


def test_starts_and_targets_are_named(capsys, models: Path) -> None:
    ran = trimtab(capsys, "simulate", models, *SMALL, "--x0", "quality=1", "--target", "quality=7", "--steps", 6)
    assert ran.code == 0, ran.err
    assert "quality ≥ 7" in ran.out
    assert "Paths start at quality 1." in words(ran.out)
    up, down = (line.split() for line in ran.out.splitlines() if "≥" in line)
    assert up[-1].isdigit()
    assert " ".join(down[-3:]) == "not by 6"


def test_uncertainty_can_be_left_out(capsys, runs: Path) -> None:
    options = (*SMALL, "--draws", 100, "--estimator", "least-squares", "--json")
    wide, narrow = (
        json.loads(trimtab(capsys, "simulate", runs, *options, *more).out)
        for more in ((), ("--no-parameter-uncertainty",))
    )
    assert (wide["fans"]["EF"]["drifts"], narrow["fans"]["EF"]["drifts"]) == (100, 1)
    assert narrow["parameter_uncertainty"] is False


def test_score_noise_that_is_not_known_is_said_not_to_be_added(capsys, models: Path) -> None:
    ran = trimtab(capsys, "simulate", models, *SMALL, "--with-score-noise")
    assert ran.out.startswith("Scores after 10 iterations")
    assert "No score noise was added" in words(ran.out)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl.gz"])
def test_paths_are_written_as_a_table_that_loads(capsys, models: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"paths{suffix}"
    ran = trimtab(capsys, "simulate", models, "--paths", 40, "--schedule", "upx2,down", "--out", out)
    assert ran.code == 0, ran.err
    assert f"Paths:  {out} (440 rows)" in ran.out
    found = tt.load(out, objectives=["quality:0:10"])
    assert found.n_sessions == 40
    assert (found.lengths == 11).all()
    rows = slice(*found.offsets[:2])
    assert [found.strategies[code] for code in found.strategy[rows]] == ["up"] * 3 + ["down"] * 8


def test_the_same_command_writes_the_same_bytes(capsys, models: Path, tmp_path: Path) -> None:
    written = []
    for k in range(2):
        out, chart = tmp_path / f"{k}.csv", tmp_path / f"{k}.html"
        ran = trimtab(capsys, "simulate", models, *SMALL, "--seed", 7, "--out", out, "--chart", chart)
        assert ran.code == 0, ran.err
        written.append((out.read_bytes(), chart.read_bytes()))
    assert written[0] == written[1]
    other = tmp_path / "other.csv"
    trimtab(capsys, "simulate", models, *SMALL, "--seed", 8, "--out", other)
    assert other.read_bytes() != written[0][0]


def test_json_alone_is_printed_where_files_are_written_too(capsys, models: Path, tmp_path: Path) -> None:
    ran = trimtab(capsys, "simulate", models, *SMALL, "--json", "--chart", tmp_path / "new" / "fan.html")
    json.loads(ran.out)
    assert "<title>What" in (tmp_path / "new" / "fan.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--schedule", "upx3,sidewaysx2"], "'sideways', but the strategies are up, down"),
        (["--schedule", "upx3", "--steps", "5"], "has only 3"),
        (["--strategy", "sideways"], "there are up, down"),
        (["--x0", "quality"], "--x0 needs each objective once, as NAME=VALUE, but got 'quality'"),
        (["--x0", "quality=1,quality=2"], "--x0 needs each objective once"),
        (["--x0", "quality=12"], "quality goes from 0 to 10"),
        (["--target", "speed=1"], "no objective is called 'speed'"),
        (["--target", "quality=high"], "--target needs each objective once, as NAME=VALUE"),
        (["--paths", "0"], "paths must be 1 or more"),
        (["--paths", "99999999999"], "GB of memory"),
        (["--objective", "quality:0:1"], "--objective can be given where a source is fitted first"),
        (["--dt", "2", "--estimator", "tobit"], "--dt and --estimator can be given where"),
        (["--chart", "fan.pdf"], "a fan chart is one .html file, but --chart is 'fan.pdf'"),
        (["--out", "paths.txt"], "paths.txt"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_sentence(capsys, models: Path, options: list[str], says: str) -> None:
    ran = trimtab(capsys, "simulate", models, *options)
    assert ran.code == 1
    assert ran.out == ""
    assert says in ran.err
    assert ran.err.startswith("Error: ")


@pytest.mark.parametrize(
    ("source", "says"),
    [("missing.csv", "does not exist"), ("missing.json", "no file"), ("missing.toml", "no file")],
)
def test_sources_that_are_not_there_are_refused(capsys, tmp_path: Path, source: str, says: str) -> None:
    ran = trimtab(capsys, "simulate", tmp_path / source)
    assert ran.code == 1
    assert says in ran.err


def test_the_source_is_not_overwritten(capsys, runs: Path) -> None:
    ran = trimtab(capsys, "simulate", runs, "--out", runs)
    assert ran.code == 1
    assert "is the source itself" in ran.err
