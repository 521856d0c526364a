from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from support.edit_cases import CASES, Case
from trimtab.providers.rewriter.edits import EDITS, FAMILIES, Edit
from trimtab.providers.rewriter.patch import compose, importable
from trimtab.providers.rewriter.program import Program

BY_NAME = {edit.name: edit for edit in EDITS}
DEFINING = {edit.name for edit in EDITS if edit.growth and edit.name != "command-line"}


def read(source: str) -> Program:
    program = Program.read(source)
    assert program is not None
    return program


def once(edit: Edit, source: str, seed: int = 0) -> str:
    """Apply an edit at its first place."""
    program = read(source)
    sites = edit.find(program)
    assert sites, f"{edit.name} finds nothing in {source!r}"
    patch = edit.apply(program, sites[-1], np.random.default_rng(seed))
    assert patch is not None
    assert all(importable(program, statement) for statement in patch.imports)
    return compose(program, [patch])


def test_every_edit_has_exactly_one_case_and_a_name_of_its_own():
    assert sorted(case.edit for case in CASES) == sorted(BY_NAME)
    assert len(BY_NAME) == len(EDITS) >= 30
    assert {edit.family for edit in EDITS} == set(FAMILIES)
    assert all(edit.words == tuple(word.lower() for word in edit.words) for edit in EDITS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.edit)
def test_an_edit_changes_what_it_is_for(case: Case):
    after = once(BY_NAME[case.edit], case.before)
    compile(after, "after", "exec")
    assert after != case.before
    for text in case.there:
        assert text in after, after
    for text in case.gone:
        assert text not in after, after


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.edit)
def test_an_edit_leaves_alone_what_it_is_not_for(case: Case):
    leaves = case.leaves
    if case.edit in DEFINING:
        # What it would add is there already.
        leaves = once(BY_NAME[case.edit], case.before)
    program = read(leaves)
    rng = np.random.default_rng(0)
    assert not [site for site in BY_NAME[case.edit].find(program) if BY_NAME[case.edit].apply(program, site, rng)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.edit)
def test_an_edit_applied_again_and_again_comes_to_rest(case: Case):
    source = "import os\n\n\n" + case.before
    edit = BY_NAME[case.edit]
    for seed in range(12):
        program = read(source)
        sites = edit.find(program)
        patch = edit.apply(program, sites[0], np.random.default_rng(seed)) if sites else None
        if patch is None:
            break
        source = compose(program, [patch])
        ast.parse(source)
    else:
        pytest.fail(f"{edit.name} goes on and on:\n{source}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.edit)
def test_an_edit_works_inside_blocks_and_with_tabs_and_unicode(case: Case):
    # Three levels down, beside text whose characters take several bytes, and strings over several lines.
    indented = "".join(f"        {line}\n" if line else "\n" for line in case.before.split("\n"))
    source = f'class Äußeres:\n    def innen(self):\n        t = """ä\nö"""; print(t)\n{indented}'
    for text in (source, source.replace("    ", "\t")):
        program = read(text)
        for site in BY_NAME[case.edit].find(program):
            patch = BY_NAME[case.edit].apply(program, site, np.random.default_rng(1))
            if patch is not None:
                after = compose(program, [patch])
                compile(after, "after", "exec")
                assert '"""ä\nö"""' in after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('c.execute("SELECT a FROM t WHERE b = %s" % b)', 'c.execute("SELECT a FROM t WHERE b = ?", (b,))'),
        ("c.execute(\"SELECT a FROM t WHERE b = '{}'\".format(b))", 'c.execute("SELECT a FROM t WHERE b = ?", (b,))'),
        ('c.execute("SELECT a FROM t WHERE b = \'" + str(b) + "\'")', 'c.execute("SELECT a FROM t WHERE b = ?", (b,))'),
        (
            "c.execute(f\"SELECT a FROM t WHERE b LIKE '%{b}%'\")",
            'c.execute("SELECT a FROM t WHERE b LIKE ?", (f"%{b}%",))',
        ),
        ('q = f"DELETE FROM t WHERE a = {a}"\nc.execute(q)', 'q = "DELETE FROM t WHERE a = ?"\nc.execute(q, (a,))'),
        (
            "import psycopg2\nc.execute(f\"INSERT INTO t VALUES ({a}, '{b}')\")",
            'import psycopg2\nc.execute("INSERT INTO t VALUES (%s, %s)", (a, b))',
        ),
    ],
)
def test_values_are_bound_to_sql_however_it_was_built(before: str, after: str):
    assert once(BY_NAME["bind-sql"], before) == after


@pytest.mark.parametrize(
    "source",
    [
        'c.execute(f"SELECT {column} FROM t")',
        'c.execute("SELECT a FROM " + table + " WHERE b = 1")',
        'c.execute(f"SELECT a FROM t ORDER BY {column}")',
        "c.execute(f\"SELECT a FROM t WHERE b = 'x{b}y'\")",
        'q = "SELECT a FROM t"\nq += f" WHERE a = {a}"\nc.execute(q)',
        'c.execute(f"SELECT a FROM t WHERE b = {b:d}")',
    ],
)
def test_sql_that_cannot_be_bound_is_left(source: str):
    assert not BY_NAME["bind-sql"].find(read(source))


def test_an_import_is_not_added_over_another_meaning_of_the_name():
    program = read("html = 1\n")
    assert not importable(program, "import html")
    assert importable(program, "import json")
    assert importable(read("import os.path\n"), "import json")
    assert not importable(read("from x import json\n"), "import json")


def test_new_imports_go_below_docstring_and_future_imports():
    source = '"""Doc."""\nfrom __future__ import annotations\n\nvalue = eval(text)\n'
    after = once(BY_NAME["literal-eval"], source)
    assert after.startswith('"""Doc."""\nfrom __future__ import annotations\nimport ast\n')
    compile(after, "after", "exec")


KEEPS = {
    "comprehension": """
def f(xs):
    out = []
    for x in xs:
        if x % 2:
            out.append(x * x)
    return out
""",
    "sum-generator": """
def f(xs):
    t = 0
    for x in xs:
        t += x
    return t
""",
    "join-strings": """
def f(xs):
    s = ""
    for x in xs:
        s += str(x)
    return s
""",
    "any-all": """
def f(xs):
    for x in xs:
        if x > 3:
            return False
    return True
""",
    "iterate-directly": """
def f(xs):
    r = []
    for i in range(len(xs)):
        r.append((i, xs[i]))
    return r
""",
    "hoist-length": """
def f(xs):
    n = 0
    while n < len(xs) - 1:
        n += 1
    return n
""",
    "guard-clause": """
def f(xs):
    r = []
    for x in xs:
        if x > 1 and x < 5:
            y = x
            r.append(y)
    return r
""",
    "merge-ifs": """
def f(xs):
    if xs or 1:
        if len(xs) > 2 or 0:
            return 1
    return 0
""",
    "flatten-else": """
def f(xs):
    if xs:
        return 1
    elif xs is None:
        return 2
    else:
        return 3
""",
    "single-lookup": """
def f(xs):
    d = {}
    for x in xs:
        if x not in d:
            d[x] = []
        d[x].append(x)
    return d
""",
    "min-max": """
def f(xs):
    return sorted(xs)[-1] if xs else 0
""",
    "membership-set": """
def f(xs):
    k = [1, 2]
    r = 0
    for x in xs:
        if x in k:
            r += 1
    return r
""",
    "truth-test": """
def f(xs):
    if len(xs) == 0:
        return 1
    return 2
""",
    "extract-constant": """
def f(xs):
    return [x * 12 for x in xs]
""",
    "modern-format": """
def f(xs):
    return "%s, %s" % (xs, xs)
""",
    "memoise": """
def g(n):
    return n * n


def f(xs):
    return [g(x) for x in xs]
""",
}


def test_equal_results_of_edits_that_must_not_change_results():
    """Run small functions before and after edits that only say the same in other words."""
    for name, source in KEEPS.items():
        after = once(BY_NAME[name], source)
        assert after != source
        for values in ([], [1], [3, 1, 2], [5, 4, 3, 2, 1, 7]):
            assert call(source, values) == call(after, values), after


def call(source: str, values: list[int]) -> object:
    space: dict[str, object] = {}
    exec(compile(source, "source", "exec"), space)  # trusted: the sources above
    function = space["f"]
    assert callable(function)
    return function(values)


def test_the_documentation_lists_every_edit_as_it_is():
    text = Path(__file__).parents[2].joinpath("docs", "rewriter.md").read_text(encoding="utf-8")
    programs = text.split("## The edits of texts")[0]
    rows = [line for line in programs.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{edit.name}` | {edit.family} | {edit.summary}{' (careless)' if edit.careless else ''} |" for edit in EDITS
    ]
