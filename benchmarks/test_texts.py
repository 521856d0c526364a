"""What a text costs offline, beside a program of its size: scored by `lexical` and `python-static`, and revised once.

Run with ``make bench``. All times are of processor time in the same run, the best of rounds in which all take turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.providers.base import Message, Request
from trimtab.providers.rewriter.answer import rewrite
from trimtab.scoring.base import ScoringContext
from trimtab.scoring.lexical import LexicalScorer
from trimtab.scoring.python_static import PythonStaticScorer

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "steering.md").read_text(encoding="utf-8")[:10_000]
PROGRAM = "\n\n".join(
    (ROOT / "src" / "trimtab" / "sessions" / "builtin_tasks" / f"{name}.py").read_text(encoding="utf-8")
    for name in ("calculator", "chat_server", "backup_tool", "cache_store", "build_runner", "account_ledger")
)[:10_000].rsplit("\ndef ", 1)[0]
ROUNDS = 7


def best(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the shortest time of each, in milliseconds."""
    found = dict.fromkeys(work, float("inf"))
    for _ in range(ROUNDS):
        for name, call in work.items():
            start = time.process_time()
            call()
            found[name] = min(found[name], 1e3 * (time.process_time() - start))
    return found


def asked(kind: str, tag: str, artefact: str) -> Request:
    goal = "Make this shorter and clearer, and add an example."
    return Request((Message("user", f"## Goal\n\n{goal}\n\n## Current {kind}\n\n```{tag}\n{artefact}\n```\n"),), seed=1)


def say(capsys: pytest.CaptureFixture[str], took: dict[str, float], one: str, other: str) -> None:
    with capsys.disabled():
        ratio = took[one] / took[other]
        sys.stdout.write(f"\n{one} {took[one]:.1f} ms, {other} {took[other]:.1f} ms, ratio {ratio:.2f}\n")


def test_scoring_ten_kilobytes(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    context = ScoringContext(prompt="Explain how sessions are steered.", reference=TEXT)
    lexical, static = LexicalScorer(), PythonStaticScorer()
    took = best({"lexical": lambda: lexical.score(TEXT, context), "static": lambda: static.score(PROGRAM, context)})
    say(capsys, took, "lexical", "static")
    benchmark(lexical.score, TEXT, context)
    benchmark.extra_info["times of python-static on a program of this size"] = took["lexical"] / took["static"]
    assert took["lexical"] < 3 * took["static"] + 10


def test_revising_once(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    text, program = TEXT[:2_000], PROGRAM[:2_000].rsplit("\ndef ", 1)[0]
    requests = {"text": asked("text", "text", text), "program": asked("program", "python", program)}
    took = best({name: lambda request=request: rewrite(request, failure_rate=0) for name, request in requests.items()})
    say(capsys, took, "text", "program")
    benchmark(rewrite, requests["text"], failure_rate=0)
    benchmark.extra_info["times of a program of this size"] = took["text"] / took["program"]
    assert took["text"] < 3 * took["program"] + 10
