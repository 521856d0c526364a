from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import trimtab
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Session
from trimtab.scoring.base import ScoringContext
from trimtab.scoring.python_static import PythonStaticScorer
from trimtab.store.base import Experiment
from trimtab.store.open import open_store

SAFE = "def add(a, b):\n    return a + b\n"
UNSAFE = SAFE + "\n\ndef run(text):\n    return eval(text)\n"


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Return a store in which one of twelve sessions starts unsafe, and all are after two iterations."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    scorer = PythonStaticScorer()
    opened = open_store(url, create=True)
    opened.set_experiment(Experiment("texts", ObjectiveSpace(scorer.objectives)))
    opened.add_sessions(Session(f"s{k}", strategy="FF") for k in range(12))
    for k in range(12):
        for t, text in enumerate((UNSAFE if k == 0 else SAFE, SAFE, UNSAFE)):
            opened.append(Iteration(f"s{k}", t, "FF", text, scorer.score(text, ScoringContext())))
    opened.close()
    return url


def test_reproduce_prints_the_claims_and_writes_the_page(capsys, tmp_path: Path) -> None:
    page = tmp_path / "out" / "reproduce.html"
    ran = trimtab(capsys, "reproduce", "--experiments", 20, "--fitted", 0, "--out", page)
    assert (ran.code, ran.err) == (0, "")
    assert "FF: boundary attraction" in ran.out
    assert ran.out.splitlines()[-1] == f"Page: {page}"
    assert max(map(len, ran.out.splitlines()[:-1])) <= 118
    assert "boundary attraction" in page.read_text()


def test_reproduce_prints_one_json_document(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = trimtab(capsys, "reproduce", "--experiments", 20, "--fitted", 0, "--seed", 4, "--json")
    document = json.loads(ran.out)
    assert (document["schema"], document["seed"]) == ("trimtab.reproduction/1", 4)
    assert not [*tmp_path.iterdir()]


def test_reproduce_refuses_too_few_experiments(capsys) -> None:
    ran = trimtab(capsys, "reproduce", "--experiments", 3, "--fitted", 0)
    assert ran.code == 1
    assert ran.err == "Error: experiments must be from 20 to 2,000, but got 3\n"


def test_findings_prints_changes_by_severity(capsys, store: str) -> None:
    ran = trimtab(capsys, "findings", store, "--after", 2)
    assert (ran.code, ran.err) == (0, "")
    line = next(line for line in ran.out.splitlines() if "critical" in line).split()
    assert line[:5] == ["FF", "critical", "12", "0.08", "1.00"]
    assert "+1100.0%" in line
    assert "fewer than 10 of the sessions have such a finding at the start" in ran.out


def test_findings_prints_one_json_document(capsys, store: str) -> None:
    document = json.loads(trimtab(capsys, "findings", store, "--after", 1, "--json").out)
    critical = next(one for one in document["trends"] if one["severity"] == "critical")
    assert critical["mean"] == pytest.approx([1 / 12, 0.0, 1.0])
    assert critical["change"]["estimate"] == pytest.approx(-1 / 12)
    assert critical["relative"] == {"estimate": -1.0, "low": None, "high": None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs.csv"], "findings are kept in stores only"),
        (["{store}", "--after", 7], "--after must be from 1 to 2"),
        (["{store}", "--objective", "speed"], "findings need scores of 'speed' with evidence"),
        (["sqlite:///nowhere.db"], "nowhere.db"),
    ],
)
def test_findings_says_what_is_wrong(capsys, store: str, arguments: list[object], words: str) -> None:
    ran = trimtab(capsys, "findings", *(store if word == "{store}" else word for word in arguments))
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert words in ran.err
