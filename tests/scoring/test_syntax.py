from __future__ import annotations

import ast
import threading
import warnings

import pytest

from trimtab.scoring.program import Program
from trimtab.scoring.syntax import MAX_PROGRAM_BYTES, Unparsable, exceeds, parse_module, read_program


def program(text: str) -> Program:
    read = read_program(text)
    assert isinstance(read, Program)
    return read


def test_counts_every_node_that_the_standard_walk_counts() -> None:
    text = "import os\n\n\nclass A:\n  def f(self, x: int = 1, *, y=None):\n    return [i for i in x if i] or {**y}\n"
    skipped = (ast.expr_context, ast.operator, ast.boolop, ast.cmpop, ast.unaryop, ast.alias, ast.comprehension)
    assert program(text).size == sum(not isinstance(node, skipped) for node in ast.walk(ast.parse(text)))


def test_size_ignores_layout_comments_and_docstrings() -> None:
    bare = "def f(x):\n    return (x + 1)\n"
    dressed = '"""Doc."""\n\n# why\ndef f(x):\n    """Doc."""\n\n    return (\n        x\n        + 1\n    )\n'
    assert program(bare).size == program(dressed).size


def test_loops_and_branches_are_counted_within_their_scope() -> None:
    text = (
        "for a in b:\n"
        "    def f():\n"
        "        while c:\n"
        "            if d:\n"
        "                g()\n"
        "            elif e:\n"
        "                h([x for y in z for x in y])\n"
        "    with i:\n"
        "        j()\n"
    )
    found = {call.attr: call.context for call in program(text).calls}
    assert (found["g"].loop, found["g"].depth) == (1, 2)
    assert (found["h"].loop, found["h"].depth) == (1, 2)
    assert (found["j"].loop, found["j"].depth) == (1, 1)
    assert found["g"].scope.name == "f"
    names = {
        node.elt.id: context.loop for node, context in program(text).of(ast.ListComp) if isinstance(node.elt, ast.Name)
    }
    assert names == {"x": 1}


def test_try_marks_its_body_as_guarded_and_its_handlers() -> None:
    text = "try:\n    a()\nexcept E:\n    b()\nelse:\n    c()\nfinally:\n    d()\ntry:\n    e()\nfinally:\n    pass\n"
    found = {call.attr: (call.context.guarded, call.context.handler) for call in program(text).calls}
    assert found == {
        "a": (True, False),
        "b": (False, True),
        "c": (False, False),
        "d": (False, False),
        "e": (False, False),
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import subprocess as sp\nsp.run(x)", "subprocess.run"),
        ("import os.path\nos.path.join(x)", "os.path.join"),
        ("from os import system\nsystem(x)", "os.system"),
        ("from os import system as s\ns(x)", "os.system"),
        ("from xml.etree import ElementTree as ET\nET.parse(x)", "xml.etree.ElementTree.parse"),
        ("def f():\n    import pickle as p\n    return p.loads(x)", "pickle.loads"),
        ("import builtins\nbuiltins.eval(x)", "eval"),
        ("eval(x)", "eval"),
        ("def eval(x): pass\neval(x)", ""),
        ("random = R()\nrandom.choice(x)", ""),
        ("def f(os): os.system(x)", ""),
        ("f().g(x)", ""),
        ("from .os import system\nsystem(x)", ".os.system"),
    ],
)
def test_calls_are_named_through_imports(text: str, name: str) -> None:
    assert name in [call.name for call in program(text).calls]


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("x = (1\n", "syntax", "syntax error on line 1"),
        ("x = 1\ny = = 2", "syntax", "syntax error on line 2"),
        ("", "empty", "no statement"),
        ("# only this\n\n", "empty", "no statement"),
        ('"""Only this."""\n', "empty", "no statement"),
        ("x = 1\ny = '\0'", "text", "NUL"),
        ("x = '\ud800'", "text", "cannot be read"),
        ("x = 1\n" * 11_000, "text", "larger than 64 KB"),
        ("x = " + "-" * 30_000 + "1", "text", "nested too deeply"),
        ("x = " + "+".join(["1"] * 30_000), "text", "nested too deeply"),
        ("(" * 20_000, "syntax", "too many nested parentheses"),
    ],
)
def test_says_what_keeps_a_text_from_being_read(text: str, kind: str, reason: str) -> None:
    read = read_program(text)
    assert isinstance(read, Unparsable)
    assert read.kind == kind
    assert reason in read.reason


def test_size_is_measured_in_bytes() -> None:
    assert not exceeds("é" * 32_768, MAX_PROGRAM_BYTES)
    assert exceeds("é" * 32_769, MAX_PROGRAM_BYTES)
    assert exceeds("\ud800" * 30_000, MAX_PROGRAM_BYTES)


def test_parsing_gives_no_warning_and_leaves_the_filters_alone() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        threads = [
            threading.Thread(target=lambda: [parse_module("x = '\\d'\ny = 1 is 1\n") for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert warnings.filters == before
    assert seen == []
