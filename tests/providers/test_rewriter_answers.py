from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from support.programs import INSTRUCTIONS, NUMBERS, PROGRAMS, WEB, request
from trimtab.core.streams import stream, stream_seed
from trimtab.providers.base import Completion, Message, Request
from trimtab.providers.rewriter import selection
from trimtab.providers.rewriter.answer import estimate_tokens, rewrite
from trimtab.providers.rewriter.failures import DEFAULT_FAILURE_RATE, KINDS, draw_failure, slip
from trimtab.providers.rewriter.fences import blocks, fence_for, find_program
from trimtab.providers.rewriter.program import MAX_DEPTH, Program, parse
from trimtab.providers.rewriter.selection import LARGEST, LONGEST

TAIL = 1e-9


def program_of(answer: Completion) -> str:
    found = find_program(answer.text)
    assert found is not None
    assert found.tree is not None, answer.text
    return found.text


@pytest.mark.parametrize(
    ("name", "focus"),
    [
        *(("web", focus) for focus in INSTRUCTIONS),
        *(("streams", focus) for focus in INSTRUCTIONS),
        *(("numbers", "efficiency"), ("numbers", "features")),
        *(("tabs", "security"), ("tabs", "features")),
        *(("net", "balance"), ("net", "features")),
    ],
)
def test_forty_iterations_stay_valid_and_bounded(name: str, focus: str, monkeypatch: pytest.MonkeyPatch):
    changed = 0

    def strict(source: str) -> ast.Module | None:
        # Elsewhere a program that edits broke would be put back in silence.
        nonlocal changed
        changed += 1
        return ast.parse(source)

    monkeypatch.setattr(selection, "parse", strict)
    current = PROGRAMS[name]
    for t in range(40):
        answer = rewrite(request(current, INSTRUCTIONS[focus], seed=stream_seed(3, focus, name, t)), failure_rate=0)
        assert answer.finish_reason == "stop"
        current = program_of(answer)
        # Stricter than parsing: also what only the compiler refuses, such as return outside of a function.
        compile(current, "current", "exec")
        assert current.count("\n") <= LONGEST
        assert len(current) <= LARGEST
    assert changed > 10


def test_what_is_larger_than_the_bounds_does_not_grow():
    current = "\n\n".join(f"def f{i}(x):\n    y = x + {i}\n    return y\n" for i in range(140))
    for t in range(8):
        new = program_of(rewrite(request(current, INSTRUCTIONS["features"], seed=t), failure_rate=0))
        assert new.count("\n") <= current.count("\n")
        assert len(new) <= max(len(current), LARGEST)
        current = new


def test_failures_come_at_their_rate_and_in_their_kinds():
    n = 40_000
    rng = stream(11, "failures")
    drawn = [draw_failure(DEFAULT_FAILURE_RATE, rng) for _ in range(n)]
    assert sum(KINDS.values()) == pytest.approx(1)
    for kind, share in KINDS.items():
        p = DEFAULT_FAILURE_RATE * share
        assert binom.ppf(TAIL, n, p) <= drawn.count(kind) <= binom.isf(TAIL, n, p), kind


def test_answers_fail_in_the_declared_ways_only():
    n, rate = 300, 0.5
    kinds = []
    for seed in range(n):
        answer = rewrite(request(NUMBERS, seed=seed), failure_rate=rate)
        found = find_program(answer.text)
        if answer.finish_reason == "length":
            assert answer.text.count("```") % 2 == 1
            kinds.append("truncated")
        elif found is None:
            kinds.append("prose")
        elif found.tree is None:
            kinds.append("syntax")
        else:
            kinds.append("unchanged" if found.text.strip() == NUMBERS.strip() else "sound")
    for kind, share in KINDS.items():
        if kind != "unchanged":  # sound answers may leave a program unchanged too
            assert binom.ppf(TAIL, n, rate * share) <= kinds.count(kind) <= binom.isf(TAIL, n, rate * share), kind
    assert kinds.count("unchanged") >= binom.ppf(TAIL, n, rate * KINDS["unchanged"])


def test_without_failures_every_answer_is_sound():
    for seed in range(60):
        answer = rewrite(request(WEB, seed=seed), failure_rate=0)
        assert answer.finish_reason == "stop"
        assert parse(program_of(answer)) is not None


@pytest.mark.parametrize("source", [*PROGRAMS.values(), "x = 1", "pass"])
def test_a_slip_always_breaks_the_program(source: str):
    for seed in range(20):
        assert parse(slip(source, stream(seed, "slip"))) is None


def test_answers_vary_in_layout_and_all_can_be_read():
    texts = [rewrite(request(NUMBERS, seed=seed), failure_rate=0).text for seed in range(150)]
    assert any("```python\n" in text for text in texts)
    assert any("```py\n" in text for text in texts)
    assert any("~~~python\n" in text for text in texts)
    assert any("\n```\n" in text and "```py" not in text for text in texts)
    assert any(len(blocks(text)) == 2 for text in texts)
    assert any(not text.rstrip().endswith(("```", "~~~")) for text in texts)
    assert len(set(texts)) > 140


def test_the_same_request_gets_the_same_answer():
    for seed in range(5):
        assert rewrite(request(WEB, seed=seed)) == rewrite(request(WEB, seed=seed))
    assert rewrite(request(WEB, seed=1), failure_rate=0) != rewrite(request(WEB, seed=2), failure_rate=0)


SCRIPT = """
import hashlib
from support.programs import INSTRUCTIONS, PROGRAMS, request
from trimtab.providers.rewriter.answer import rewrite
texts = [rewrite(request(p, i, seed=5)).text for p in PROGRAMS.values() for i in INSTRUCTIONS.values()]
print(hashlib.sha256("".join(texts).encode()).hexdigest())
"""


def test_answers_do_not_depend_on_the_process_or_its_hash_seed():
    texts = [rewrite(request(p, i, seed=5)).text for p in PROGRAMS.values() for i in INSTRUCTIONS.values()]
    here = hashlib.sha256("".join(texts).encode()).hexdigest()
    tests = str(Path(__file__).parents[1])
    for seed in ("1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": tests}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip() == here


def test_tokens_are_estimated_and_the_limit_is_kept():
    answer = rewrite(request(WEB), failure_rate=0)
    assert answer.model == "rewriter-1"
    assert answer.completion_tokens == estimate_tokens(answer.text) == -(-len(answer.text) // 4)
    assert answer.prompt_tokens is not None
    assert answer.prompt_tokens > len(WEB) // 4
    asked = request(WEB)
    short = rewrite(Request(asked.messages, max_tokens=50), failure_rate=0)
    assert short.finish_reason == "length"
    assert short.completion_tokens == 50
    assert answer.text.startswith(short.text)


def ask(content: str) -> str:
    return rewrite(Request((Message("user", content),)), failure_rate=0).text


def test_no_program_or_no_python_is_answered_as_a_model_would():
    assert "could not find a program" in ask("Improve it, please.")
    assert "could not find a program" in ask("")
    assert "could not find a program" in rewrite(Request(())).text
    prose = "We utilize this in order to go.\n\n\n\nThe end."
    answer = ask(f"Improve.\n\n```text\n{prose}\n```")
    assert "The end." in answer
    broken = "def f(:\n    return"
    assert broken in ask(f"```python\n{broken}\n```")


def test_the_last_program_of_the_last_user_message_is_taken():
    messages = (
        Message("user", "```python\nold = 1\n```"),
        Message("assistant", "```python\nanswer = 2\n```"),
        Message(
            "user",
            "For example:\n```\nexample = 3\n```\nNow:\n~~~py\ncurrent = 4\n~~~\nand output:\n```text\nno = 5\n```",
        ),
    )
    text = rewrite(Request(messages, seed=3), failure_rate=0).text
    assert "current = 4" in text
    assert "old" not in text
    assert "no = 5" not in text


@pytest.mark.parametrize(
    ("message", "program"),
    [
        ("```python\na = 1\n```", "a = 1"),
        ("text\n   ```\na = 1\n   ```\n", "a = 1"),
        ("~~~\na = '''\n```\n'''\n~~~", "a = '''\n```\n'''"),
        (
            '```python\ndef f():\n    """\n```\nx\n```\n    """\n    return 1\n```',
            'def f():\n    """\n```\nx\n```\n    """\n    return 1',
        ),
        ("```python\na = 1\n", "a = 1\n"),
        ("````python\nb = '```'\n````", "b = '```'"),
        ("```python\r\na = 1\r\nb = 2\r\n```\r\n", "a = 1\nb = 2"),
        ("```{.python}\na = 1\n```", "a = 1"),
    ],
)
def test_fences_are_read(message: str, program: str):
    found = find_program(message)
    assert found is not None
    assert found.text == program
    assert found.tree is not None


def test_a_fence_is_longer_than_what_it_holds():
    assert fence_for("x") == "```"
    assert fence_for("a ```` b") == "`````"
    program = 'def f():\n    """Like this:\n\n    ```\n    f()\n    ```\n    """\n    return eval("1")\n'
    for seed in range(20):
        assert parse(program_of(rewrite(request(program, seed=seed), failure_rate=0))) is not None


HOSTILE = {
    "too long": "x = 1\n" * 20_000,
    "brackets": "x = " + "(" * 5_000 + ")" * 5_000,
    "sum": "x = " + "+".join(["a"] * 10_000),
    "deep sum": "x = " + "+".join(["a"] * 500),
    "unary": "x = " + "-" * 20_000 + "1",
    "elif": "if a:\n    pass\n" + "elif b:\n    pass\n" * 2_000,
    "indent": "".join(" " * i + "if a:\n" for i in range(95)) + " " * 95 + "pass\n",
    "attributes": "x = a" + ".b" * 3_000,
    "many": "a;" * 10_500,
    "nul": "x = 1\0\n",
    "surrogate": "x = '\ud800'\n",
    "form feed": "def f():\n    x = 1\n\f\n    return x\n",
    "separators": "s = 'a\u2028b\x85c'\ny = eval(s)\n",
    "carriage": "def f(a):\r    return eval(a)\r",
    "fences": "```\n" * 3_000,
    "escapes": "import re\nx = re.match('\\d', y)\nz = 1 is 1\n",
    "one line": "def f(path): return open(path).read()\nif f: x = 1; y = eval('2')\nelse: z = 3\n",
    "no end": "def f(a):\n    return a",
    "comment only": "# nothing\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_are_answered(name: str):
    source = HOSTILE[name]
    for seed, focus in enumerate(INSTRUCTIONS):
        answer = rewrite(request(source, INSTRUCTIONS[focus], seed=seed), failure_rate=0)
        assert answer.text
        found = find_program(answer.text)
        if found is not None and found.tree is not None and parse(source) is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the hostile text itself deserves
                compile(found.text, "answer", "exec")


def test_programs_too_deep_for_libcst_are_returned_unchanged():
    nested = "x = " + "[" * (MAX_DEPTH + 5) + "]" * (MAX_DEPTH + 5)
    assert parse(nested) is not None
    assert Program.read(nested) is None
    assert program_of(rewrite(request(nested), failure_rate=0)) == nested


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=300), st.integers(0, 2**63 - 1), st.floats(0, 3) | st.none())
def test_any_message_is_answered(text: str, seed: int, temperature: float | None):
    rewrite(Request((Message("user", text),), seed=seed, temperature=temperature))
    rewrite(Request((Message("user", f"{text}\n```python\n{text}\n```"),), seed=seed, temperature=temperature))


STATEMENTS = st.sampled_from([ast.unparse(s) for p in PROGRAMS.values() for s in ast.parse(p).body])


@settings(max_examples=40, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=6), st.integers(0, 2**40), st.sampled_from(list(INSTRUCTIONS)))
def test_any_mixture_of_statements_stays_valid(parts: list[str], seed: int, focus: str):
    future = [part for part in parts if "__future__" in part][:1]
    source = "\n".join([*future, *(part for part in parts if "__future__" not in part)]) + "\n"
    for t in range(3):
        source = program_of(rewrite(request(source, INSTRUCTIONS[focus], seed=seed + t), failure_rate=0))
        compile(source, "answer", "exec")
