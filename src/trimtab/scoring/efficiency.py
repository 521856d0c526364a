"""Efficiency: static complexity and slow patterns take away from a middling base, fast patterns give to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from trimtab.core.objectives import Objective
from trimtab.core.records import Evidence, Score
from trimtab.scoring import slow_patterns
from trimtab.scoring.evidence import Finding, Rule, Scale, compose
from trimtab.scoring.expressions import text_constant
from trimtab.scoring.program import Call, Program
from trimtab.scoring.slow_patterns import is_hashed

__all__ = ["RULES", "SCALE", "SYNTAX_ERROR_SCORE", "score_efficiency", "syntax_error_score"]

SCALE = Scale(Objective("efficiency"), base=6.5, credit_limit=3.5, penalty_limit=9.0)
SYNTAX_ERROR_SCORE = 1.0

DENSITY = Rule("control-flow", -2.5, "share of statements that branch or loop")
NESTING = Rule("deep-nesting", -0.4, "levels of nesting beyond 2 in one function (at most 6 count)")
LOOP_DEPTH = Rule("nested-loop", -0.6, "a loop inside a loop; deeper ones weigh their depth")
COMPLEXITY = Rule("complexity", -0.12, "cyclomatic complexity beyond 6 in one function (at most 20 count)")

MEMOISED = Rule("memoised", 0.8, "results are remembered (lru_cache, cache, cached_property)")
HASHED = Rule("hashed-membership", 0.4, "membership is tested in a set or dict")
GENERATOR = Rule("generator", 0.4, "values are produced one at a time (yield, generator expression)")
COMPREHENSION = Rule("comprehension", 0.25, "a comprehension builds a collection")
JOIN = Rule("join", 0.3, "a string is put together by join")
STRUCTURE = Rule("fast-structure", 0.4, "bisect, heapq, deque, Counter, defaultdict or array do the work")
ITERTOOLS = Rule("iteration-tools", 0.2, "enumerate, zip, map or itertools drive the iteration")
BUILTIN = Rule("builtin-aggregate", 0.15, "sum, any, all, min, max or sorted do the work, outside loops")
BATCH = Rule("batching", 0.5, "work is done in batches (executemany, writelines, bulk inserts)")
EARLY_RETURN = Rule("early-return", 0.2, "a guard clause returns, raises or continues early")
EARLY_EXIT = Rule("early-exit", 0.2, "a loop ends by break once it is done")
HOISTED = Rule("hoisted-regex", 0.3, "a regular expression is compiled once, outside functions")
SLOTS = Rule("slots", 0.2, "objects have slots")
VECTORISED = Rule("vectorised", 0.3, "NumPy works on whole arrays")
CONCURRENT = Rule("concurrent", 0.4, "waiting or work is done concurrently")
DEFAULT_LOOKUP = Rule("default-lookup", 0.15, "dict.get or setdefault looks up once")

STRUCTURAL = (DENSITY, NESTING, LOOP_DEPTH, COMPLEXITY)
CREDITS = (
    *(MEMOISED, HASHED, GENERATOR, COMPREHENSION, JOIN, STRUCTURE, ITERTOOLS, BUILTIN, BATCH, EARLY_RETURN, EARLY_EXIT),
    *(HOISTED, SLOTS, VECTORISED, CONCURRENT, DEFAULT_LOOKUP),
)
RULES = (*STRUCTURAL, *slow_patterns.RULES, *CREDITS)

_CACHES = frozenset({"functools.lru_cache", "functools.cache", "functools.cached_property", "lru_cache", "cache"})
_STRUCTURES = ("bisect.", "heapq.", "array.")
_STRUCTURE_NAMES = frozenset({"collections.deque", "collections.Counter", "collections.defaultdict"})
_BATCHES = frozenset({"executemany", "writelines", "bulk_create", "bulk_insert_mappings", "insert_many", "to_sql"})
_CONCURRENT = frozenset(
    {"concurrent.futures.ThreadPoolExecutor", "concurrent.futures.ProcessPoolExecutor", "asyncio.gather"}
    | {"multiprocessing.Pool", "asyncio.TaskGroup"}
)
_AGGREGATES = frozenset({"sum", "any", "all", "min", "max", "sorted"})
_ITERATION = frozenset({"enumerate", "zip", "map", "filter"})
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)


def score_efficiency(program: Program) -> Score:
    """Score how little work the program seems to do, 0 to 10."""
    return compose(SCALE, (*_structure(program), *slow_patterns.find_slow_patterns(program), *_fast_patterns(program)))


def syntax_error_score(reason: str, line: int | None) -> Score:
    """Return the low baseline that a program with a syntax error gets."""
    evidence = Evidence("syntax-error", SYNTAX_ERROR_SCORE, line, reason)
    return Score(SCALE.objective.name, SYNTAX_ERROR_SCORE, evidence=(evidence,))


def _structure(program: Program) -> Iterator[Finding]:
    statements = sum(scope.statements for scope in program.scopes)
    branches = sum(len(program.of(kind)) for kind in _BRANCHES)
    if branches:
        yield Finding(DENSITY, None, branches / statements, f"{branches} of {statements}")
    for scope in program.scopes:
        line = getattr(scope.node, "lineno", None)
        if scope.depth > 2:
            yield Finding(
                NESTING, line, min(scope.depth - 2, 6), f"{scope.depth} levels in {scope.name or 'the module'}"
            )
        if scope.complexity > 6:
            amount = min(scope.complexity - 6, 20)
            yield Finding(COMPLEXITY, line, amount, f"{scope.complexity} in {scope.name or 'the module'}")
    for loop, context in [*program.for_loops(), *program.of(ast.While)]:
        if context.loop:
            yield Finding(LOOP_DEPTH, loop.lineno, min(context.loop, 4), f"depth {context.loop + 1}")
    for kind in (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp):
        for comprehension, context in program.of(kind):
            depth = context.loop + len(getattr(comprehension, "generators", ()))
            if depth > 1:
                yield Finding(LOOP_DEPTH, comprehension.lineno, min(depth - 1, 4), f"depth {depth}")


def _fast_patterns(program: Program) -> Iterator[Finding]:
    for call in program.calls:
        yield from _fast_calls(call)
    for node, _ in program.functions():
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if program.resolve(target) in _CACHES:
                yield Finding(MEMOISED, node.lineno, detail=node.name)
    for compare, context in program.of(ast.Compare):
        if isinstance(compare.ops[0], ast.In | ast.NotIn) and is_hashed(compare.comparators[0], context.scope):
            yield Finding(HASHED, compare.lineno)
    for lazy, _ in [*program.of(ast.Yield), *program.of(ast.YieldFrom), *program.of(ast.GeneratorExp)]:
        yield Finding(GENERATOR, lazy.lineno)
    for built, _ in [*program.of(ast.ListComp), *program.of(ast.SetComp), *program.of(ast.DictComp)]:
        yield Finding(COMPREHENSION, built.lineno)
    for condition, context in program.of(ast.If):
        last = condition.body[-1]
        if not condition.orelse and isinstance(last, ast.Return | ast.Raise | ast.Continue) and context.depth <= 1:
            yield Finding(EARLY_RETURN, condition.lineno)
    for leave, _ in program.of(ast.Break):
        yield Finding(EARLY_EXIT, leave.lineno)
    for assign, _ in program.of(ast.Assign):
        if getattr(assign.targets[0], "id", "") == "__slots__":
            yield Finding(SLOTS, assign.lineno)


def _fast_calls(call: Call) -> Iterator[Finding]:
    line, name = call.node.lineno, call.name
    if call.attr == "join" and isinstance(call.node.func, ast.Attribute):
        if text_constant(call.node.func.value) is not None:
            yield Finding(JOIN, line)
    elif name in _STRUCTURE_NAMES or name.startswith(_STRUCTURES):
        yield Finding(STRUCTURE, line, detail=name)
    elif name in _ITERATION or name.startswith("itertools."):
        yield Finding(ITERTOOLS, line, detail=name)
    elif name in _AGGREGATES and not call.context.loop:
        yield Finding(BUILTIN, line, detail=name)
    elif call.attr in _BATCHES:
        yield Finding(BATCH, line, detail=call.attr)
    elif name == "re.compile" and call.context.scope.kind in ("module", "class") and not call.context.loop:
        yield Finding(HOISTED, line)
    elif name == "dataclasses.dataclass":
        slots = call.keyword("slots")
        if isinstance(slots, ast.Constant) and slots.value is True:
            yield Finding(SLOTS, line)
    elif name.startswith(("numpy.", "np.")):
        yield Finding(VECTORISED, line)
    elif name in _CONCURRENT:
        yield Finding(CONCURRENT, line, detail=name)
    elif call.attr in ("get", "setdefault") and not name and call.node.args:
        yield Finding(DEFAULT_LOOKUP, line)
