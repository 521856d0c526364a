"""``trimtab policy evaluate --live``, as a user sees it."""

from __future__ import annotations

import json

from support.cli import trimtab


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
    assert "provider: rewriter (embedded stand-in for an LLM, not an LLM)" in done.err
    assert "on 4 tasks that were not fitted" in " ".join(done.out.split())
    assert json.loads((tmp_path / "t.json").read_text())["schema"] == "trimtab.trial/1"
    assert "leave out the source" in trimtab(capsys, "policy", "evaluate", "fit.json", "--live").err
    assert "--out is 'x.html'" in trimtab(capsys, "policy", "evaluate", "--live", "--out", "x.html").err
