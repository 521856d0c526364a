"""Functionality: how much a program has to offer, judged by its structure and by its length relative to the task.

Each structural count saturates: ``weight * (1 - exp(-count / scale))``. The length term compares the program's size n
(syntax-tree nodes) with the size n0 of the task's starting program, r = n / n0:

- r < 1: ``too-short``, amount 1 - r;
- r > 1: ``growth``, amount 1 - exp(-(r - 1) / scale);
- r > `BLOAT`: ``bloat``, amount ln(r / BLOAT), at most 2.

Without a starting program the credit ``length`` is given for n alone.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from functools import lru_cache

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.scoring.evidence import Finding, Rule, Scale, compose, saturating
from trimtab.scoring.program import FunctionNode, Program, Scope
from trimtab.scoring.syntax import Unparsable, read_program

__all__ = ["BLOAT", "RULES", "SCALE", "score_functionality"]

SCALE = Scale(Objective("functionality"), base=2.0, credit_limit=9.0, penalty_limit=9.0)
BLOAT = 6.0

FUNCTIONS = Rule("functions", 1.6, "functions and methods that do something", 5)
CLASSES = Rule("classes", 0.9, "classes", 2)
IMPORTS = Rule("imports-used", 0.7, "imported names that are used", 4)
RETURNS = Rule("returns", 0.9, "results handed back (return or yield of a value)", 6)
DOCSTRINGS = Rule("docstrings", 0.8, "docstrings", 4)
ERRORS = Rule("error-handling", 0.8, "except clauses and raise statements", 4)
HINTS = Rule("type-hints", 0.7, "annotated parameters, results and variables", 10)
LOGGING = Rule("logging", 0.5, "logging calls", 3)
ENTRY = Rule("entry-point", 0.5, "a main guard or a command-line parser", 1)
CONSTANTS = Rule("constants", 0.4, "named constants at module level", 3)
API = Rule("public-api", 0.8, "public functions, classes and methods", 6)
OPTIONS = Rule("options", 0.6, "parameters with a default value", 4)
BRANCHES = Rule("cases", 1.0, "cases told apart (conditions, loops, match cases)", 10)
CALLS = Rule("breadth", 1.4, "different functions and methods called", 20)
DATA = Rule("data", 0.4, "dicts, lists, sets and comprehensions", 5)
SERIAL = Rule("serialisation", 0.4, "reading or writing structured data (json, csv, files)", 2)
LENGTH = Rule("length", 2.0, "length in syntax-tree nodes, where the task's starting program is not known", 800)
GROWTH = Rule("growth", 2.0, "length gained over the task's starting program, relative to it", 1.5)

TOO_SHORT = Rule("too-short", -4.0, "share of the starting program's length that is missing")
BLOATED = Rule("bloat", -1.0, "length far beyond that of the starting program, on a log scale")
STUB = Rule("stub", -0.8, "a function that does nothing (pass, ..., NotImplementedError)")
UNUSED_IMPORT = Rule("unused-import", -0.1, "an imported name that is not used")
REDEFINED = Rule("redefined", -0.4, "a function or class is defined twice in the same place")

COUNTED = (
    *(FUNCTIONS, CLASSES, IMPORTS, RETURNS, DOCSTRINGS, ERRORS, HINTS, LOGGING, ENTRY, CONSTANTS, API, OPTIONS),
    *(BRANCHES, CALLS, DATA, SERIAL, LENGTH, GROWTH),
)
RULES = (*COUNTED, TOO_SHORT, BLOATED, STUB, UNUSED_IMPORT, REDEFINED)

_LOG_LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
_SERIAL = ("json.", "csv.", "tomllib.", "yaml.", "configparser.", "sqlite3.", "pickle.", "struct.", "xml.")
_ENTRY_CALLS = frozenset(
    {"argparse.ArgumentParser", "typer.Typer", "click.command", "click.group", "optparse.OptionParser"}
)
_DATA = (ast.Dict, ast.List, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_CASES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.match_case, ast.IfExp)


def score_functionality(program: Program, reference: str | None = None) -> Score:
    """Score how much the program offers, 0 to 10, its length taken relative to the task's starting program."""
    return compose(
        SCALE, (*_structure(program), *_definitions(program), *_imports(program), *_length(program, reference))
    )


@lru_cache(maxsize=256)
def _size(text: str) -> int | None:
    program = read_program(text)
    return None if isinstance(program, Unparsable) else program.size


def _length(program: Program, reference: str | None) -> Iterator[Finding]:
    size = None if reference is None else _size(reference)
    if size is None:
        yield saturating(LENGTH, program.size)
        return
    ratio = program.size / size
    detail = f"{program.size} nodes against {size}"
    if ratio < 1.0:
        yield Finding(TOO_SHORT, None, 1.0 - ratio, detail)
    elif ratio > 1.0 and GROWTH.scale is not None:
        yield Finding(GROWTH, None, 1.0 - math.exp(-(ratio - 1.0) / GROWTH.scale), detail)
    if ratio > BLOAT:
        yield Finding(BLOATED, None, min(math.log(ratio / BLOAT), 2.0), detail)


def _structure(program: Program) -> Iterator[Finding]:
    counts = (
        (CLASSES, len(program.of(ast.ClassDef))),
        (RETURNS, _results(program)),
        (ERRORS, len(program.of(ast.ExceptHandler)) + len(program.of(ast.Raise))),
        (HINTS, _annotations(program)),
        (LOGGING, sum(1 for call in program.calls if call.attr in _LOG_LEVELS and call.node.args)),
        (ENTRY, _entry_points(program)),
        (CONSTANTS, sum(1 for name in program.scopes[0].assigned if name.isupper())),
        (
            OPTIONS,
            sum(len(a.defaults) + sum(d is not None for d in a.kw_defaults) for a, _ in program.of(ast.arguments)),
        ),
        (BRANCHES, sum(len(program.of(kind)) for kind in _CASES)),
        (CALLS, len({call.attr for call in program.calls})),
        (DATA, sum(len(program.of(kind)) for kind in _DATA)),
        (SERIAL, sum(1 for call in program.calls if call.name == "open" or call.name.startswith(_SERIAL))),
    )
    for rule, count in counts:
        if count:
            yield saturating(rule, count)


def _results(program: Program) -> int:
    returned = sum(1 for node, _ in program.of(ast.Return) if node.value is not None)
    return returned + len(program.of(ast.Yield)) + len(program.of(ast.YieldFrom))


def _annotations(program: Program) -> int:
    hinted = sum(1 for argument, _ in program.of(ast.arg) if argument.annotation is not None)
    hinted += sum(1 for node, _ in program.functions() if node.returns is not None)
    return hinted + len(program.of(ast.AnnAssign))


def _entry_points(program: Program) -> int:
    guards = sum(
        1
        for condition, context in program.of(ast.If)
        if context.scope.kind == "module"
        and isinstance(condition.test, ast.Compare)
        and getattr(condition.test.left, "id", "") == "__name__"
    )
    return guards + sum(1 for call in program.calls if call.name in _ENTRY_CALLS)


def _definitions(program: Program) -> Iterator[Finding]:
    working = public = documented = 0
    seen: set[tuple[int, str]] = set()
    documented += ast.get_docstring(program.tree, clean=False) is not None
    for scope in program.scopes:
        node = scope.node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        documented += ast.get_docstring(node, clean=False) is not None
        stub = isinstance(node, FunctionNode) and _is_stub(node, scope)
        if stub:
            yield Finding(STUB, node.lineno, detail=node.name)
            continue
        working += isinstance(node, FunctionNode)
        public += not node.name.startswith("_") and (scope.parent is None or scope.parent.kind != "function")
        key = (id(scope.parent), node.name)
        # A property's setter and an overload carry the same name on purpose.
        if key in seen and not node.decorator_list:
            yield Finding(REDEFINED, node.lineno, detail=node.name)
        seen.add(key)
    for rule, count in ((FUNCTIONS, working), (API, public), (DOCSTRINGS, documented)):
        if count:
            yield saturating(rule, count)


def _is_stub(node: FunctionNode, scope: Scope) -> bool:
    if any(getattr(d, "attr", getattr(d, "id", "")) in ("abstractmethod", "overload") for d in node.decorator_list):
        return False
    if scope.parent is not None and isinstance(scope.parent.node, ast.ClassDef):
        bases = [getattr(base, "id", getattr(base, "attr", "")) for base in scope.parent.node.bases]
        if "Protocol" in bases:
            return False
    return all(_is_empty(statement) for statement in node.body)


def _is_empty(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        error = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return getattr(error, "id", "") == "NotImplementedError"
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _imports(program: Program) -> Iterator[Finding]:
    used = 0
    exported = {
        name.value
        for value in program.scopes[0].assigned.get("__all__", [])
        if isinstance(value, ast.List | ast.Tuple)
        for name in value.elts
        if isinstance(name, ast.Constant)
    }
    for statement, _ in program.imports():
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            continue
        for alias in statement.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name == "*":
                continue
            if name in program.used or name in exported:
                used += 1
            else:
                yield Finding(UNUSED_IMPORT, statement.lineno, detail=name)
    if used:
        yield saturating(IMPORTS, used)
