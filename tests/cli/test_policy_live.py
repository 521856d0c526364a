"""``trimtab policy evaluate --live``, as a user sees it."""

from __future__ import annotations

import json

import jsonschema

from support.cli import trimtab
from trimtab.sessions.schemas import json_schema


def test_the_command_runs_a_trial_on_the_embedded_provider(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = [
        "--sessions",
        "4",
        "--iterations",
        "3",
        "--policy",
        "predictive",
        "--out",
        "t.json",
        "--utility",
        "worst",
    ]
    done = trimtab(capsys, "policy", "evaluate", "--live", *options)
    assert done.code == 0, done.err
    assert "provider: rewriter (Embedded stand-in for an LLM, not an LLM)" in done.err
    assert "on 4 tasks that were not fitted" in " ".join(done.out.split())
    document = json.loads((tmp_path / "t.json").read_text())
    jsonschema.Draft202012Validator(json_schema("trial")).validate(document)
    assert "leave out the source" in trimtab(capsys, "policy", "evaluate", "fit.json", "--live").err
    assert "leave them out with --live" in trimtab(capsys, "policy", "evaluate", "--live", "--learn", "5").err
    assert "--out is 'x.html'" in trimtab(capsys, "policy", "evaluate", "--live", "--out", "x.html").err
