from __future__ import annotations

import ast
import gzip
import json
import math
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.rule_examples import EFFICIENCY, FUNCTIONALITY, SECURITY
from trimtab.core.records import Score
from trimtab.scoring import efficiency, functionality, security
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.evidence import BOOKKEEPING, EVIDENCE_LIMIT, Finding, Rule, compose, saturating
from trimtab.scoring.python_static import PythonStaticScorer

SCORER: Scorer = PythonStaticScorer()
NOTHING = ScoringContext()
SECURITY_, EFFICIENCY_, FUNCTIONALITY_ = range(3)


def score(text: str, reference: str | None = None) -> tuple[Score, ...]:
    return SCORER.score(text, ScoringContext(reference=reference))


def value(text: str, which: int, reference: str | None = None) -> float:
    found = score(text, reference)[which].value
    assert found is not None
    return found


def rules(text: str, which: int, reference: str | None = None) -> Counter[str]:
    return Counter(e.rule for e in score(text, reference)[which].evidence if e.rule not in BOOKKEEPING)


EXAMPLES = [
    *((SECURITY_, rule, *pair) for rule, pair in SECURITY.items()),
    *((EFFICIENCY_, rule, *pair) for rule, pair in EFFICIENCY.items()),
    *((FUNCTIONALITY_, rule, *pair) for rule, pair in FUNCTIONALITY.items()),
]


@pytest.mark.parametrize(("which", "rule", "shows", "does_not"), EXAMPLES, ids=[f"{e[1]}" for e in EXAMPLES])
def test_each_rule_fires_where_it_should_and_only_there(which: int, rule: str, shows: str, does_not: str) -> None:
    assert rules(shows, which)[rule] == 1
    assert rules(does_not, which)[rule] == 0


@pytest.mark.parametrize(
    ("table", "examples", "apart"),
    [
        (security.RULES, SECURITY, set()),
        (efficiency.RULES, EFFICIENCY, set()),
        (functionality.RULES, FUNCTIONALITY, {"growth", "too-short", "bloat"}),
    ],
)
def test_no_rule_goes_without_an_example(table: tuple[Rule, ...], examples: dict[str, object], apart: set[str]) -> None:
    names = [rule.id for rule in table]
    assert len(names) == len(set(names))
    assert set(names) - apart == set(examples)
    assert not set(names) & set(BOOKKEEPING)


@pytest.mark.parametrize(
    "text",
    [
        "def f(db, x):\n    q = 'SELECT a FROM t WHERE id = %s' % x\n    db.execute(q)",
        "def f(db, x):\n    q = 'SELECT a FROM t WHERE id = %s'\n    db.execute(q % x)",
        "def f(db, x):\n    db.executemany('INSERT INTO t VALUES ({})'.format(x), rows)",
        "def f(db, x):\n    db.execute('DELETE FROM t WHERE id = ' + x + ' AND 1')",
        "def f(db, x):\n    q = 'SELECT a FROM t'\n    q += ' WHERE b = ' + x\n    db.execute(q)",
        "def f(db, x):\n    q = f'UPDATE t SET a = {x}'\n    db.cursor().execute(q)",
    ],
)
def test_sql_built_in_any_way_is_found_once(text: str) -> None:
    assert rules(text, SECURITY_)["sql-string"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "def f(db, x):\n    db.execute('SELECT a FROM t WHERE id = ?', (x,))",
        "def f(db, xs):\n    db.execute(f\"SELECT a FROM t WHERE id IN ({','.join('?' * len(xs))})\", xs)",
        "def f(db, n):\n    db.execute(f'SELECT a FROM t LIMIT {int(n)}')",
        "TABLE = 't'\ndef f(db):\n    db.execute(f'SELECT a FROM {TABLE}')",
        "def f(x):\n    print(f'Select one from {x}')",
        "def f(db):\n    q = 'SELECT a'\n    q += ' FROM t'\n    db.execute(q)",
    ],
)
def test_sql_without_values_in_its_text_is_not_flagged(text: str) -> None:
    assert rules(text, SECURITY_)["sql-string"] == 0


REPAIRS = {
    "eval": ("def f(t):\n    return eval(t)", "import ast\ndef f(t):\n    return ast.literal_eval(t)"),
    "sql": (
        "def f(db, x):\n    return db.execute('SELECT a FROM t WHERE id = ' + x)",
        "def f(db, x):\n    return db.execute('SELECT a FROM t WHERE id = ?', (x,))",
    ),
    "shell": (
        "import subprocess\ndef f(x):\n    subprocess.run('ls ' + x, shell=True)",
        "import subprocess\ndef f(x):\n    subprocess.run(['ls', x])",
    ),
    "yaml": ("import yaml\nx = yaml.load(f)", "import yaml\nx = yaml.safe_load(f)"),
    "token": ("import random\ntoken = random.choice(a)", "import secrets\ntoken = secrets.choice(a)"),
    "except": ("try:\n    f()\nexcept:\n    pass", "try:\n    f()\nexcept OSError as error:\n    report(error)"),
    "check": (
        "def f(x):\n    return 1 / x",
        "def f(x):\n    if x == 0:\n        raise ValueError('x')\n    return 1 / x",
    ),
    "timeout": ("import requests\nrequests.get(u)", "import requests\nrequests.get(u, timeout=9)"),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_a_repair_raises_security(name: str) -> None:
    before, after = REPAIRS[name]
    assert value(after, SECURITY_) > value(before, SECURITY_) + 0.1


def test_each_further_flaw_costs_something_and_less_than_the_one_before() -> None:
    values = [value("\n".join(["x = 1"] + [f"y{i} = eval(t)" for i in range(k)]), SECURITY_) for k in range(7)]
    losses = [a - b for a, b in pairwise(values)]
    assert all(a > b > 0 for a, b in pairwise(losses))


def test_repeating_one_good_thing_saturates() -> None:
    text = "\n".join(f"with lock{i}:\n    f()" for i in range(300))
    assert value("f()", SECURITY_) < value(text, SECURITY_) < value("f()", SECURITY_) + 2 * 0.2


def test_a_method_of_the_same_name_elsewhere_is_no_recursion() -> None:
    own = "class A:\n    def f(self, n):\n        return self.f(n - 1) + self.f(n - 2)"
    assert rules(own, EFFICIENCY_)["tree-recursion"] == 1
    assert rules(own.replace("self.f(", "self.inner.f("), EFFICIENCY_)["tree-recursion"] == 0


@pytest.mark.parametrize(
    ("slow", "fast"),
    [
        ("r = []\nfor x in y:\n    r.append(x)", "r = [x for x in y]"),
        ("s = ''\nfor x in y:\n    s += x", "s = ''.join(y)"),
        (EFFICIENCY["tree-recursion"][0], EFFICIENCY["tree-recursion"][1]),
        (
            "for a in b:\n  for c in b:\n    if a == c:\n      f(a)",
            "known = set(b)\nfor a in b:\n  if a in known:\n    f(a)",
        ),
    ],
)
def test_faster_forms_raise_efficiency(slow: str, fast: str) -> None:
    assert value(fast, EFFICIENCY_) > value(slow, EFFICIENCY_)


PIECE = 'def part{0}(rows, limit=3):\n    """Do part {0}."""\n    return [r for r in rows if r][:limit]\n\n\n'


def test_length_is_judged_against_the_starting_program() -> None:
    start = "".join(PIECE.format(i) for i in range(6))
    half = "".join(PIECE.format(i) for i in range(3))
    double = "".join(PIECE.format(i) for i in range(12))
    assert rules(start, FUNCTIONALITY_, start).keys().isdisjoint({"too-short", "growth", "bloat", "length"})
    assert rules(half, FUNCTIONALITY_, start)["too-short"] == 1
    assert rules(double, FUNCTIONALITY_, start)["growth"] == 1
    assert (
        value(half, FUNCTIONALITY_, start) < value(start, FUNCTIONALITY_, start) < value(double, FUNCTIONALITY_, start)
    )
    short = next(e for e in score(half, start)[FUNCTIONALITY_].evidence if e.rule == "too-short")
    assert short.weight == pytest.approx(-4.0 * 0.5, abs=0.05)


def test_bloat_stops_paying() -> None:
    start = "".join(PIECE.format(i) for i in range(3))
    values = [value("".join(PIECE.format(i) for i in range(3 * k)), FUNCTIONALITY_, start) for k in (1, 3, 6, 12, 40)]
    assert values[0] < values[1] < values[2]
    assert values[4] < values[3]
    assert rules("".join(PIECE.format(i) for i in range(120)), FUNCTIONALITY_, start)["bloat"] == 1


def test_stubs_cost_more_than_they_give() -> None:
    base = PIECE.format(0)
    assert value(base + "def later():\n    pass\n", FUNCTIONALITY_, base) < value(base, FUNCTIONALITY_, base)


def test_a_reference_that_cannot_be_parsed_counts_as_unknown() -> None:
    assert score("x = 1", "def broken(:") == score("x = 1")


def test_layout_and_comments_change_no_score() -> None:
    text = "import os\n\n\ndef f(a, b=2):\n  # why\n  for x in (a,\n      b):\n    if x: print(os.sep + a)\n"
    plain = ast.unparse(ast.parse(text))
    assert [s.value for s in score(text)] == [s.value for s in score(plain)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no statement"),
        ("# nothing\n", "no statement"),
        ("x = '\0'", "NUL"),
        ("x = '\ud800'", "cannot be read"),
        ("x = 1\n" * 20_000, "64 KB"),
        ("x = " + "-" * 30_000 + "1", "nested too deeply"),
        ("x = " + "+".join(["1"] * 30_000), "nested too deeply"),
    ],
)
def test_what_cannot_be_read_has_no_value(text: str, reason: str) -> None:
    for found in score(text):
        assert (found.status, found.value) == ("failed", None)
        assert reason in found.reason


def test_a_syntax_error_leaves_efficiency_at_its_low_baseline() -> None:
    safe, fast, rich = score("x = 1\ndef f(:\n")
    assert (safe.status, rich.status) == ("failed", "failed")
    assert "syntax error on line 2" in safe.reason
    assert (fast.status, fast.value) == ("ok", 1.0)
    (evidence,) = fast.evidence
    assert (evidence.rule, evidence.weight, evidence.line) == ("syntax-error", 1.0, 2)


def check(found: tuple[Score, ...]) -> None:
    assert [s.objective for s in found] == [o.name for o in SCORER.objectives]
    for one, objective in zip(found, SCORER.objectives, strict=True):
        if one.value is None:
            assert one.status == "failed"
            assert one.reason
            continue
        assert objective.low <= one.value <= objective.high
        total = math.fsum(e.weight for e in one.evidence)
        assert one.value == min(max(total, objective.low), objective.high)
        assert one.evidence[0].rule in ("base", "syntax-error")
        assert len(one.evidence) <= EVIDENCE_LIMIT


LINES = st.sampled_from(
    [shows for examples in (SECURITY, EFFICIENCY, FUNCTIONALITY) for shows, _ in examples.values()]
    + [
        "def f(x):",
        "    return x",
        "for x in y:",
        "    if x in [1, 2, 3, 4, 5]:",
        "        s += f'<p>{x}'",
        "try:",
        "except:",
        "\0",
        "@",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=120), st.lists(LINES, max_size=12).map("\n".join)))
def test_any_text_gets_scores_that_its_evidence_explains(text: str) -> None:
    found = score(text)
    check(found)
    assert found == score(text)


def test_evidence_beyond_the_limit_is_summed_up() -> None:
    names = [shows for shows, _ in SECURITY.values()]
    found = score("\n".join(names * 3))
    check(found)
    assert len(found[0].evidence) == EVIDENCE_LIMIT
    (rest,) = [e for e in found[0].evidence if e.rule == "remaining"]
    total = sum(rules("\n".join(names), SECURITY_).values())
    listed = sum(e.rule not in BOOKKEEPING for e in found[0].evidence)
    count, _, overall = rest.message.partition(" further findings, ")
    assert int(count) + listed == int(overall.split()[0]) > total


def test_the_formula_by_hand() -> None:
    a, b = Rule("a", -2.0, "bad"), Rule("b", 0.5, "good")
    found = compose(security.SCALE, [Finding(a, 1), Finding(b, 2), Finding(a, 3, 0.5), Finding(b, 4)])
    penalty, credit = 2.0 + 2.0 * 0.5 * 0.7, 0.5 + 0.5 * 0.5
    p, c = security.SCALE.penalty_limit, security.SCALE.credit_limit
    expected = security.SCALE.base + c * (1 - math.exp(-credit / c)) - p * (1 - math.exp(-penalty / p))
    assert found.value == pytest.approx(expected, abs=1e-5)


def test_a_rule_without_a_scale_cannot_count() -> None:
    with pytest.raises(ValueError, match="needs a scale"):
        saturating(Rule("a", 1.0, "x"), 3)


def nested(opening: str, depth: int) -> str:
    return "".join(" " * i + opening + "\n" for i in range(depth)) + " " * depth + "f()\n"


HOSTILE = {
    "parentheses": "x = " + "(" * 20_000 + ")" * 20_000,
    "brackets": "[" * 32_000,
    "minus signs": "x = " + "-" * 60_000 + "1",
    "a chain of sums": "x = " + " + ".join(["a"] * 16_000),
    "a chain of strings": "x = " + " + ".join(["'a'"] * 900) + " + b",
    "many chains": "x = 'a' + b + c + d + e\n" * 2_600,
    "attributes": "x = a" + ".b" * 30_000,
    "calls": "x = a" + "()" * 30_000,
    "nested ifs": nested("if a:", 90),
    "nested lambdas": "x = " + "lambda: " * 5_000 + "1",
    "nested f-strings": "x = " + "f'{" * 100 + "1" + "}'" * 100,
    "not not not": "x = " + "not " * 15_000 + "1",
    "conditions": "x = " + "a and " * 10_000 + "b",
    "elifs": "if a: pass\n" + "elif a: pass\n" * 4_500,
    "one assignment to many": "=".join(["a"] * 30_000) + "=1",
    "one name, many values": "q = 'a'\n" * 4_000 + "db.execute(q)\n" * 2_000,
    "many names that refer on": "".join(f"a{i} = a{i + 1} + a{i + 2} + 'x'\n" for i in range(2_300)) + "open(a0)\n",
    "checks of one argument": "def f(x):\n    y = x\n" + "    if y > 1: raise E\n" * 2_800,
    "checks of no argument": "def f(x):\n"
    + "".join(f"    y{i} = y{i + 1}\n    if y{i} > 1: raise E\n" for i in range(1_200)),
    "evals": "eval(a)\n" * 8_000,
    "recursion": "def f(x):\n" + "    f(x)\n" * 7_000,
    "methods": "class A:\n" + "    def f(self): pass\n" * 2_900,
    "a long number": "x = " + "9" * 60_000,
    "a long string": "x = 'select " + "a" * 60_000 + "' + b",
    "selects": "x = '" + "select " * 9_000 + "' + b",
    "tags": "x = '" + "<p " * 20_000 + "' % b",
    "decorators": "@a\n" * 20_000 + "def f(): pass",
    "comprehensions": "x = [" + "a for a in b " * 4_000 + "]",
    "subscripts": "x = a" + "[0]" * 20_000,
    "dict": "x = {" + "'a': 1, " * 8_000 + "}",
    "keywords": "f(" + ", ".join(f"a{i}=1" for i in range(6_000)) + ")",
    "imports": "import a\n" * 7_000,
    "tabs and blanks": "\t" * 30_000 + " " * 30_000 + "x",
    "backslashes": "\\\n" * 30_000,
    "semicolons": ";" * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_cost_little_and_raise_nothing(name: str) -> None:
    start = time.process_time()
    found = score(HOSTILE[name])
    assert time.process_time() - start < 2.0
    check(found)


def test_time_grows_about_linearly_with_size() -> None:
    def cost(copies: int) -> float:
        text = "".join(PIECE.format(i) for i in range(copies))
        times = []
        for _ in range(3):
            start = time.process_time()
            score(text)
            times.append(time.process_time() - start)
        return min(times)

    assert cost(400) < 20 * cost(50)


DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.mark.parametrize("name", ["ldb_humaneval", "reflexion10_humaneval", "sven_pairs_a", "openevolve_agents_a"])
def test_real_programs_are_scored_off_the_bounds(name: str) -> None:
    file = DATA / f"{name}.jsonl.gz"
    if not file.exists():
        pytest.skip(f"the shared data set {name} is not here")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        texts = sorted({row["text"] for row in map(json.loads, lines) if row["text"]})[::3]
    found = [score(text) for text in texts]
    for one in found:
        check(one)
    for which, objective in enumerate(SCORER.objectives):
        values = [one[which].value for one in found if one[which].status == "ok"]
        assert len(values) > 0.9 * len(found), objective.name
        assert sum(v in (objective.low, objective.high) for v in values) < 0.02 * len(values), objective.name
        assert len(set(values)) > 10 or len(values) < 150, objective.name


def test_fixes_of_real_vulnerabilities_raise_security_far_more_often_than_they_lower_it() -> None:
    file = DATA / "sven_pairs_a.jsonl.gz"
    if not file.exists():
        pytest.skip("the shared data set sven_pairs_a is not here")
    pairs: dict[str, dict[int, str]] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            pairs.setdefault(row["session_id"], {})[int(row["scores"]["vulnerable"])] = row["text"]
    changes = []
    for pair in pairs.values():
        before, after = score(pair[1])[0].value, score(pair[0])[0].value
        if before is not None and after is not None:
            changes.append(after - before)
    up, down = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
    assert up > 0.5 * len(changes)
    assert down < 0.05 * len(changes)
