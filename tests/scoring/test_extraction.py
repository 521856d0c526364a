from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.scoring.extraction import MAX_ANSWER_CHARACTERS, Extraction, extract
from trimtab.scoring.fences import find_blocks, strip_thinking

PROGRAM = "import json\n\n\ndef load(text):\n    return json.loads(text)\n"
OTHER = "def other():\n    return 2\n"


def fence(code: str, tag: str = "python", mark: str = "```") -> str:
    return f"{mark}{tag}\n{code}{mark}\n"


DOCSTRING_PROGRAM = '''"""A module.

```python
load("x")
```
"""


def load(text):
    """Load it.

```
>>> load("1")
```

    ~~~
    more
    ~~~
    """
    return int(text)  # it's an apostrophe
'''

FOUND = {
    "one fence": (f"Here:\n\n{fence(PROGRAM)}\nDone.", PROGRAM, "fence"),
    "no tag": (fence(PROGRAM, ""), PROGRAM, "fence"),
    "tag py": (fence(PROGRAM, "py"), PROGRAM, "fence"),
    "tag Python3 with attributes": (fence(PROGRAM, " Python3 title=x.py"), PROGRAM, "fence"),
    "tag in braces": (fence(PROGRAM, "{.python .numberLines}"), PROGRAM, "fence"),
    "tag with file": (fence(PROGRAM, "python:main.py"), PROGRAM, "fence"),
    "tildes": (fence(PROGRAM, "python", "~~~"), PROGRAM, "tilde-fence"),
    "longer fence holding a shorter": (f"````python\n{DOCSTRING_PROGRAM}````\n", DOCSTRING_PROGRAM, "fence"),
    "fences in docstrings": (f"Text\n{fence(DOCSTRING_PROGRAM)}After", DOCSTRING_PROGRAM, "fence"),
    "fences in docstrings, then another block": (
        fence(DOCSTRING_PROGRAM) + fence("load('3')\n"),
        DOCSTRING_PROGRAM,
        "fence",
    ),
    "unfenced, fences in docstrings": (DOCSTRING_PROGRAM, DOCSTRING_PROGRAM, "bare"),
    "last of two": (fence(OTHER) + "and\n" + fence(PROGRAM), PROGRAM, "fence"),
    "usage line last": (fence(PROGRAM) + "Use it:\n" + fence("print(load('1'))\n"), PROGRAM, "fence"),
    "usage script last": (fence(PROGRAM) + "Use it:\n" + fence("x = load('1')\nprint(x)\n"), PROGRAM, "fence"),
    "broken block last": (fence(PROGRAM) + fence("def broken(:\n"), PROGRAM, "fence"),
    "shell and JSON beside": (
        fence("pip install x\n", "bash") + fence(PROGRAM) + fence('{"a": 1}\n', "json"),
        PROGRAM,
        "fence",
    ),
    "a language that parses as Python is no candidate": (
        fence(PROGRAM) + fence("x = 1\ny = 2\n", "toml"),
        PROGRAM,
        "fence",
    ),
    "another language where there is nothing else": (fence(PROGRAM, "text"), PROGRAM, "other-language-fence"),
    "unterminated": (f"Here:\n```python\n{PROGRAM}", PROGRAM, "unterminated-fence"),
    "unterminated tilde": (f"~~~\n{PROGRAM}", PROGRAM, "unterminated-fence"),
    "unterminated with prose after": (f"```python\n{PROGRAM}\nThis loads the text quickly.", PROGRAM, "prose-trimmed"),
    "bare": (PROGRAM, PROGRAM, "bare"),
    "bare script": ("n = int(input())\nprint(n + 1)\n", "n = int(input())\nprint(n + 1)\n", "bare"),
    "bare, indented": ("    x = 1\n    y = 2\n", "x = 1\ny = 2\n", "bare"),
    "prose around": (f"Sure, here it is.\n\n{PROGRAM}\nThis doesn't need more.\n- fast\n", PROGRAM, "prose-trimmed"),
    "prose around a program that begins with a docstring": (
        f"Sure:\n\n{DOCSTRING_PROGRAM}\nDone, it's good.",
        DOCSTRING_PROGRAM,
        "prose-trimmed",
    ),
    "prose around a script": (
        "Try this:\n\na, *b = map(int, input().split())\nprint(a)\n\nIt's short.",
        "a, *b = map(int, input().split())\nprint(a)\n",
        "prose-trimmed",
    ),
    "prose before": (f"Here's the code you wanted:\n{PROGRAM}", PROGRAM, "prose-trimmed"),
    "prose between": (f"First\n\n{OTHER}\nand then this one:\n\n{PROGRAM}", PROGRAM, "prose-trimmed"),
    "indented in a list": (
        "1. Do this:\n\n   ```python\n   def f():\n       return 1\n   ```\n",
        "def f():\n    return 1\n",
        "fence",
    ),
    "text indented more than its fence": (
        "```\n    def f():\n        return 1\n```",
        "def f():\n    return 1\n",
        "fence",
    ),
    "wrapped in a Markdown fence": (f"````markdown\nText\n{fence(PROGRAM)}````\n", PROGRAM, "nested-fence"),
    "a stray fence before": (f"```\n{fence(PROGRAM)}", PROGRAM, "nested-fence"),
    "prompts": (
        fence(">>> def f():\n...     return 1\n...\n>>> f()\n1\n", "pycon"),
        "def f():\n    return 1\nf()\n",
        "fence",
    ),
    "thinking": (f"<think>\n{fence(OTHER)}</think>\n{fence(PROGRAM)}", PROGRAM, "fence"),
    "thinking after a blank": (f"\n <Think>x = 1</think>{PROGRAM}", PROGRAM, "bare"),
    "thinking without its opening tag": (f"hmm\n{fence(OTHER)}</think>\n{fence(PROGRAM)}", PROGRAM, "fence"),
    "thinking twice": (f"<think>a</think><think>b</think>\n{PROGRAM}", PROGRAM, "bare"),
    "tags inside the program": (
        fence('T = """\n<think>\n</think>\n"""\n' + PROGRAM),
        'T = """\n<think>\n</think>\n"""\n' + PROGRAM,
        "fence",
    ),
    "windows line ends": (fence(PROGRAM).replace("\n", "\r\n"), PROGRAM, "fence"),
    "byte order mark": ("\ufeff" + PROGRAM, PROGRAM, "bare"),
    "NUL beside the program": (f"\0Here\0:\n{fence(PROGRAM)}\0", PROGRAM, "fence"),
    "nothing before the fence but spaces": ("  ```python\n  x = 1\n  y = 2\n  ```", "x = 1\ny = 2\n", "fence"),
}


@pytest.mark.parametrize("name", FOUND)
def test_finds_the_program(name: str) -> None:
    answer, code, method = FOUND[name]
    found = extract(answer)
    assert found == Extraction(found.code, method, True, "")
    assert found.code is not None
    assert ast.dump(ast.parse(found.code)) == ast.dump(ast.parse(code))


REFUSED = {
    "empty": ("", "none", None, "empty"),
    "blank": (" \n\t\r\n", "none", None, "empty"),
    "NUL only": ("\0", "none", None, "no code"),
    "NUL in the program": (fence(PROGRAM.replace("json", "js\0on")), "fence", "import js\0on", "NUL character"),
    "NUL in an unfenced program": (PROGRAM.replace("text", "te\0xt"), "prose-trimmed", "import json", "NUL character"),
    "prose only": ("I cannot help with that.\n\nSorry.", "none", None, "no code"),
    "a word with a colon": ("Answer: yes", "none", None, "no code"),
    "unterminated thinking": (f"<think>\nLet me see\n{fence(PROGRAM)}", "none", None, "thinking"),
    "syntax error": (fence("def f():\n    return 1\n\ndef g(:\n"), "fence", "def g(:", "syntax error on line 4"),
    "truncated in a fence": (
        "```python\ndef f():\n    x = (1,\n",
        "unterminated-fence",
        "x = (1,",
        "syntax error on line 2",
    ),
    "truncated without a fence": (f"{OTHER}\ndef f():\n    return (1,\n", "prose-trimmed", "def other", "syntax error"),
    "broken without a fence": (f"{OTHER}\ndef f() return 3\n\n{PROGRAM}", "prose-trimmed", "def other", "syntax error"),
    "one-line use": (fence("print(load('1'))\n"), "fence", "print", "defines nothing"),
    "imports and an apology": (
        "import os\nimport re\nI am sorry, that is all.",
        "prose-trimmed",
        "import",
        "syntax error",
    ),
    "calls only, unfenced": ("print(load('1'))\nprint(2)\n", "prose-trimmed", "print", "defines nothing"),
    "shell only": (fence("pip install x\n", "bash"), "other-language-fence", "pip install", "syntax error"),
    "empty fence": ("```python\n```", "none", None, "no code"),
    "program too large": (fence("x = 1\n" * 12_000), "fence", "x = 1", "64 KB"),
    "deep nesting": (fence("x = " + "-" * 20_000 + "1\n"), "fence", "x = -", "nested too deeply"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_says_why_there_is_no_program(name: str) -> None:
    answer, method, inside, reason = REFUSED[name]
    found = extract(answer)
    assert not found.ok
    assert found.method == method
    assert reason in found.reason
    assert (found.code is None) == (inside is None)
    assert inside is None or inside in str(found.code)


def test_refuses_an_answer_that_is_too_long() -> None:
    found = extract("x" * (MAX_ANSWER_CHARACTERS + 1))
    assert found == Extraction(None, "none", False, "the answer has 1,000,001 characters; at most 1,000,000 are read")


def test_an_unescaped_quote_does_not_swallow_the_rest() -> None:
    answer = 'Broken:\n```\nsay """ once\n```\nGood:\n' + fence(PROGRAM)
    assert extract(answer).code == PROGRAM


def test_blocks_say_language_kind_and_line() -> None:
    blocks = find_blocks("a\n```Bash\nls\n```\n~~~\nb\n")
    assert [(b.tag, b.kind, b.line, b.text) for b in blocks] == [
        ("bash", "fence", 3, "ls"),
        ("", "unterminated-fence", 6, "b\n"),
    ]


def test_thinking_inside_a_fence_is_text() -> None:
    text = "```\n<think>\n```\nx"
    assert strip_thinking(text) == text


HOSTILE = {
    "backticks": "`" * 100_000,
    "backticks in prose": "a` " * 100_000,
    "fence lines": "```\n" * 50_000,
    "nested fences": "".join(f"{'`' * (3 + i % 7)}python\n" for i in range(10_000)),
    "open quotes in each block": '```python\n"""\n```\nx\n' * 10_000,
    "open quotes, alternating": "```python\n'''\n```\n\"\"\"\n```\n" * 10_000,
    "blocks that fail": "```python\ndef f(:\n```\n" * 10_000,
    "blocks that define nothing": "```python\nf()\n```\n" * 10_000,
    "deepening indent": "".join(" " * i + "```\n" for i in range(1_000)),
    "thinking": "<think>a</think>\n" * 20_000,
    "thinking on one line": "<think>a</think>" * 20_000,
    "thinking opened again and again": "<think>" * 50_000,
    "closing tags": "</think>\n" * 50_000,
    "code-like prose": "x = then do this\n" * 20_000,
    "prose that looks like code": "for example, all of this:\n" * 20_000,
    "one long line": "a" * 900_000,
    "one long line of blanks": " " * 900_000 + "x",
    "a long name and no sign": "a" * 300_000 + " " * 300_000 + "b",
    "quotes": "'" * 500_000,
    "escapes": "```python\n" + "\\" * 500_000,
    "brackets": "(" * 500_000,
    "NULs": "\0" * 900_000,
    "lone surrogates": "```python\nx = '\ud800'\n```",
    "carriage returns": "\r" * 500_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_cost_little_and_raise_nothing(name: str) -> None:
    start = time.process_time()
    found = extract(HOSTILE[name])
    assert time.process_time() - start < 2.0
    assert found.ok == (found.reason == "")


@pytest.mark.parametrize(
    "piece", ['```python\n"""\n```\nx\n', "```a\n", "x = then do this\n", "`", "<think>a</think>\n"]
)
def test_time_grows_about_linearly(piece: str) -> None:
    def cost(repeats: int) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            extract(piece * repeats)
            times.append(time.process_time() - start)
        return min(times)

    few = 24_000 // len(piece)
    assert cost(8 * few) < 24 * cost(few) + 0.15


PIECES = st.sampled_from(
    [
        *(
            "```",
            "~~~",
            "````",
            "python",
            "py",
            "\n",
            "\r\n",
            "\n\n",
            '"""',
            "'''",
            "'",
            "<think>",
            "</think>",
            "def f():\n",
        ),
        *(
            "    ",
            "return 1",
            "x = 1\n",
            "import os\n",
            "Here it is:",
            "\0",
            "\ufeff",
            "#",
            "\\",
            "(",
            "é",
            "\ud800",
            ">>> ",
            "- ",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join)))
def test_never_raises_and_what_it_finds_parses(answer: str) -> None:
    found = extract(answer)
    assert found == extract(answer)
    assert found.ok == (found.reason == "")
    if found.ok:
        assert found.code is not None
        ast.parse(found.code)


@given(
    st.sampled_from([PROGRAM, OTHER, DOCSTRING_PROGRAM]),
    st.sampled_from(["", "python", "py", "Python3"]),
    st.integers(3, 6),
)
def test_a_fenced_program_comes_back_whole(program: str, tag: str, length: int) -> None:
    answer = f"Intro.\n\n{fence(program, tag, '`' * length)}\nOutro, with `code` and a list:\n- x\n"
    assert extract(answer) == Extraction(program, "fence", True, "")
