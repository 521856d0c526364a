"""Optimisation edits of loops: hoisting, iteration, look-up."""

from __future__ import annotations

import ast

import numpy as np

from trimtab.providers.rewriter.edits.accumulations import single_statement
from trimtab.providers.rewriter.edits.base import (
    Edit,
    edit,
    escapes,
    insertion_before,
    names_written,
    patch_of,
    same,
    stable,
)
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Program, dotted
from trimtab.providers.rewriter.syntax import operand

__all__ = ["EDITS"]

Rng = np.random.Generator


def _returns(statement: ast.stmt | None, value: bool) -> bool:
    return (
        isinstance(statement, ast.Return)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is value
    )


def _search_sites(program: Program) -> list[ast.For]:
    found = []
    for loop in program.nodes(ast.For):
        single = single_statement(loop)
        after = program.next_of(loop)
        if single is None or single[1] is None or escapes(loop.iter, single[1]):
            continue
        if (_returns(single[0], True) and _returns(after, False)) or (
            _returns(single[0], False) and _returns(after, True)
        ):
            found.append(loop)
    return found


@edit("any-all", "optimisation", "search with `any`", "loop", "built-in", "concise", find=_search_sites, reach=2)
def any_all(program: Program, loop: ast.For, rng: Rng) -> Patch | None:
    """Let the built-in function run the search."""
    single, after = single_statement(loop), program.next_of(loop)
    if single is None or single[1] is None or after is None:
        return None
    first, last = program.line_span(loop), program.line_span(after)
    if first is None or last is None:
        return None
    found = f"any({operand(program, single[1])} for {program.text(loop.target)} in {operand(program, loop.iter)})"
    lead = "return " if _returns(single[0], True) else "return not "
    return patch_of(Splice(first[0], last[1], f"{program.margin(loop)}{lead}{found}\n"))


def _length_sites(program: Program) -> list[ast.Call]:
    found = []
    for call in program.calls_to("len"):
        measured = dotted(call.args[0]) if len(call.args) == 1 else ""
        loop = program.loop_of(call)
        if measured and loop is not None and program.line_span(loop) is not None and stable(measured, loop):
            found.append(call)
    return found


@edit(
    "hoist-length", "optimisation", "measure lengths once, outside loops", "hoist", "invariant", "loop", "repeat",
    find=_length_sites,
)  # fmt: skip
def hoist_length(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Move a call whose result does not change out of the loop."""
    loop = program.loop_of(call)
    measured = dotted(call.args[0])
    if loop is None or not measured:
        return None
    name = program.fresh(f"{measured.rsplit('.', 1)[-1].strip('_')}_length")
    calls = [c for c in program.calls_to("len") if program.text(c) == program.text(call) and program.loop_of(c) is loop]
    splices = [Splice(*program.span(c), name) for c in calls]
    return patch_of(insertion_before(program, loop, f"{name} = len({measured})"), *splices)


_MATCHERS = tuple(f"re.{name}" for name in ("match", "search", "fullmatch", "findall", "split", "sub", "finditer"))


def _pattern_sites(program: Program) -> list[ast.Call]:
    return [
        call
        for call in program.calls_to(*_MATCHERS)
        if call.args
        and isinstance(call.args[0], ast.Constant)
        and not call.keywords
        and len(call.args) == (3 if dotted(call.func) == "re.sub" else 2)
    ]


@edit(
    "compile-pattern", "optimisation", "compile regular expressions once", "regex", "regular", "pattern", "compil",
    find=_pattern_sites, reach=2,
)  # fmt: skip
def compile_pattern(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Compile a constant pattern at import instead of at every use."""
    verb = dotted(call.func).split(".")[1]
    function = program.function_of(call)
    name = program.fresh(f"{(function.name if function else verb).strip('_').upper()}_PATTERN")
    rest = program.source[program.span(call.args[1])[0] : program.span(call)[1]]
    splice = Splice(*program.span(call), f"{name}.{verb}({rest}")
    return Patch((splice,), ("import re",), (f"{name} = re.compile({program.text(call.args[0])})",))


def _counted(loop: ast.For) -> tuple[str, str] | None:
    """Return counter and sequence of ``for i in range(len(xs))``."""
    outer = loop.iter
    if not (isinstance(loop.target, ast.Name) and isinstance(outer, ast.Call) and dotted(outer.func) == "range"):
        return None
    inner = outer.args[0] if len(outer.args) == 1 else None
    if not (isinstance(inner, ast.Call) and dotted(inner.func) == "len" and len(inner.args) == 1):
        return None
    sequence = dotted(inner.args[0])
    return (loop.target.id, sequence) if sequence else None


def _counter_sites(program: Program) -> list[ast.For]:
    found = []
    for loop in program.nodes(ast.For):
        counted = _counted(loop)
        if counted is None or not stable(counted[1], *loop.body) or counted[0] in names_written(*loop.body):
            continue
        embedded = any(node in program.embedded for s in loop.body for node in program.below(s))
        if not embedded and _indexed(program, loop, *counted):
            found.append(loop)
    return found


def _indexed(program: Program, loop: ast.For, counter: str, sequence: str) -> list[ast.Subscript]:
    return [
        node
        for statement in loop.body
        for node in program.below(statement)
        if isinstance(node, ast.Subscript)
        and dotted(node.value) == sequence
        and isinstance(node.slice, ast.Name)
        and node.slice.id == counter
    ]


@edit(
    "iterate-directly", "optimisation", "iterate over items instead of indices", "loop", "index", "pythonic",
    find=_counter_sites, reach=2,
)  # fmt: skip
def iterate_directly(program: Program, loop: ast.For, rng: Rng) -> Patch | None:
    """Take the item from the iterator instead of looking it up by its position."""
    counted = _counted(loop)
    if counted is None:
        return None
    counter, sequence = counted
    last = sequence.rsplit(".", 1)[-1].strip("_")
    item = program.fresh(last[:-1] if last.endswith("s") and len(last) > 2 else f"{last}_item")
    indexed = _indexed(program, loop, counter, sequence)
    uses = sum(1 for s in loop.body for node in program.below(s) if isinstance(node, ast.Name) and node.id == counter)
    after = [n for n in program.nodes(ast.Name) if n.id == counter and n.lineno > (loop.end_lineno or 0)]
    keep = uses > len(indexed) or any(isinstance(name.ctx, ast.Load) for name in after)
    head = f"{counter}, {item} in enumerate({sequence})" if keep else f"{item} in {sequence}"
    start, end = program.span(loop.target)[0], program.span(loop.iter)[1]
    return patch_of(Splice(start, end, head), *(Splice(*program.span(node), item) for node in indexed))


def _reader_sites(program: Program) -> list[ast.Call]:
    return [
        loop.iter
        for loop in program.nodes(ast.For)
        if isinstance(loop.iter, ast.Call)
        and isinstance(loop.iter.func, ast.Attribute)
        and loop.iter.func.attr in ("readlines", "keys")
        and not loop.iter.args
        and (loop.iter.func.attr != "keys" or _keeps_keys(loop, loop.iter.func.value))
    ]


def _keeps_keys(loop: ast.For, mapping: ast.expr) -> bool:
    return isinstance(mapping, ast.Name) and stable(mapping.id, *loop.body)


@edit("iterate-file", "optimisation", "iterate over files and mappings themselves", "memory", "file", "stream", "loop",
      find=_reader_sites, reach=2)  # fmt: skip
def iterate_file(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Read line by line, and keys without a view, instead of all at once."""
    if not isinstance(call.func, ast.Attribute):
        return None
    return patch_of(Splice(*program.span(call), program.text(call.func.value)))


def _nested_search_sites(program: Program) -> list[ast.Compare]:
    """Return tests of membership, in loops, in lists that do not change there."""
    found = []
    for node in program.nodes(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.In | ast.NotIn):
            continue
        held, loop = node.comparators[0], program.loop_of(node)
        if not isinstance(held, ast.Name) or loop is None or program.line_span(loop) is None:
            continue
        function = program.function_of(loop)
        if function is None or not stable(held.id, loop):
            continue
        lists = [
            n
            for n in program.nodes(ast.Assign)
            if isinstance(n.targets[0], ast.Name) and n.targets[0].id == held.id and program.function_of(n) is function
        ]
        if len(lists) == 1 and isinstance(lists[0].value, ast.List | ast.ListComp) and lists[0].lineno < loop.lineno:
            found.append(node)
    return found


@edit(
    "membership-set", "optimisation", "test membership in sets inside loops", "lookup", "set", "membership",
    find=_nested_search_sites,
)  # fmt: skip
def membership_set(program: Program, node: ast.Compare, rng: Rng) -> Patch | None:
    """Look up in constant time instead of walking a list each round."""
    loop, held = program.loop_of(node), node.comparators[0]
    if loop is None or not isinstance(held, ast.Name):
        return None
    name = program.fresh(f"{held.id}_set")
    return patch_of(insertion_before(program, loop, f"{name} = set({held.id})"), Splice(*program.span(held), name))


def _lookup_sites(program: Program) -> list[ast.If]:
    return [node for node in program.nodes(ast.If) if _lookup(program, node) is not None]


def _lookup(program: Program, node: ast.If) -> str | None:
    """Return the single statement that a test for a key and the branches below it amount to."""
    test = node.test
    if (
        not isinstance(test, ast.Compare)
        or len(test.ops) != 1
        or len(node.body) != 1
        or program.line_span(node) is None
    ):
        return None
    key, mapping, then = test.left, test.comparators[0], node.body[0]
    wanted = ast.Subscript(mapping, key, ast.Load())
    if not isinstance(then, ast.Assign) or len(then.targets) != 1:
        return None
    if isinstance(test.ops[0], ast.NotIn) and not node.orelse and isinstance(then.targets[0], ast.Subscript):
        empty = isinstance(then.value, ast.List | ast.Dict | ast.Constant) and same(then.targets[0], wanted)
        return f"{program.text(mapping)}.setdefault({program.text(key)}, {program.text(then.value)})" if empty else None
    if not isinstance(test.ops[0], ast.In) or len(node.orelse) != 1 or not same(then.value, wanted):
        return None
    other = node.orelse[0]
    if not isinstance(other, ast.Assign) or not same(other.targets[0], then.targets[0]):
        return None
    if not isinstance(other.value, ast.Constant | ast.Name):
        return None
    default = program.text(other.value)
    return f"{program.text(then.targets[0])} = {program.text(mapping)}.get({program.text(key)}, {default})"


@edit("single-lookup", "optimisation", "look keys up once", "lookup", "dict", "key", find=_lookup_sites, reach=2)
def single_lookup(program: Program, node: ast.If, rng: Rng) -> Patch | None:
    """Use ``get`` or ``setdefault`` instead of a test and a second lookup."""
    text = _lookup(program, node)
    return patch_of(Splice(*program.span(node), text)) if text is not None else None


EDITS: tuple[Edit, ...] = (
    any_all,
    hoist_length,
    compile_pattern,
    iterate_directly,
    iterate_file,
    membership_set,
    single_lookup,
)
