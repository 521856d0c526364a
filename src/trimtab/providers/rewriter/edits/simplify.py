"""Optimisation edits that simplify control flow and expressions."""

from __future__ import annotations

import ast

import libcst as cst
import numpy as np

from trimtab.providers.rewriter.edits.base import Edit, edit, escapes, patch_of
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Function, Program, dotted
from trimtab.providers.rewriter.syntax import block, expression, negation, operand, replace_statements, statements

__all__ = ["EDITS"]

Rng = np.random.Generator

_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
#: Longest condition that merging may make, in characters.
_LONGEST_TEST = 160


def _whole(program: Program, node: ast.If) -> bool:
    """Return whether an if statement and each of its blocks fill their own lines."""
    return program.line_span(node) is not None and node.body[0].lineno > node.lineno


def _tail_if(program: Program, body: list[ast.stmt]) -> ast.If | None:
    last = body[-1]
    if not isinstance(last, ast.If) or last.orelse or len(last.body) < 2 or not _whole(program, last):
        return None
    return last


def _guard_sites(program: Program) -> list[ast.If]:
    found = []
    for function in program.functions:
        node = _tail_if(program, function.body)
        if node is not None and len(function.body) > 1:
            found.append(node)
    bodies = [loop.body for loop in program.nodes(ast.For)] + [loop.body for loop in program.nodes(ast.While)]
    return found + [node for body in bodies if (node := _tail_if(program, body)) is not None]


@edit(
    "guard-clause", "optimisation", "leave early instead of nesting", "nest", "early", "simpl", "flat", "readab",
    find=_guard_sites, reach=2, weight=1.5,
)  # fmt: skip
def guard_clause(program: Program, node: ast.If, rng: Rng) -> Patch | None:
    """Invert the condition around the rest of a function or loop, and leave there."""
    leave = "continue" if isinstance(program.parent[node], ast.For | ast.While) else "return"
    tree = statements(program, node)
    if not tree or not isinstance(tree[0], cst.If):
        return None
    body = block(tree[0].body)
    if body is None:
        return None
    jump = cst.parse_statement(leave)
    if not isinstance(jump, cst.SimpleStatementLine):
        return None
    test = cst.parse_expression(_one_line(negation(program, node.test)))
    guard = tree[0].with_changes(test=test, body=cst.IndentedBlock([jump]))
    return patch_of(replace_statements(program, node, node, [guard, *body]))


def _one_line(text: str) -> str:
    return f"({text})" if "\n" in text else text


def _merge_sites(program: Program) -> list[ast.If]:
    found = []
    for node in program.nodes(ast.If):
        inner = node.body[0]
        if node.orelse or len(node.body) != 1 or not isinstance(inner, ast.If) or inner.orelse:
            continue
        length = len(program.text(node.test)) + len(program.text(inner.test))
        if _whole(program, node) and _whole(program, inner) and length <= _LONGEST_TEST:
            found.append(node)
    return found


@edit("merge-ifs", "optimisation", "merge nested conditions", "nest", "simpl", "condition", find=_merge_sites, reach=2)
def merge_ifs(program: Program, node: ast.If, rng: Rng) -> Patch | None:
    """Ask both questions at once."""
    inner = node.body[0]
    tree = statements(program, node)
    if not isinstance(inner, ast.If) or not tree or not isinstance(tree[0], cst.If):
        return None
    nested = block(tree[0].body)
    if not nested or not isinstance(nested[0], cst.If):
        return None
    both = f"{operand(program, node.test, tight=True)} and {operand(program, inner.test, tight=True)}"
    merged = tree[0].with_changes(test=cst.parse_expression(both), body=nested[0].body)
    return patch_of(replace_statements(program, node, node, [merged]))


def _else_sites(program: Program) -> list[ast.If]:
    return [
        node
        for node in program.nodes(ast.If)
        if node.orelse
        and isinstance(node.body[-1], _LEAVES)
        and _whole(program, node)
        and (isinstance(node.orelse[0], ast.If) or node.orelse[0].lineno > node.body[-1].lineno + 1)
    ]


@edit(
    "flatten-else", "optimisation", "drop else after a branch that leaves", "nest", "else", "simpl", "flat",
    find=_else_sites, reach=2,
)  # fmt: skip
def flatten_else(program: Program, node: ast.If, rng: Rng) -> Patch | None:
    """Take the other branch out of its block, where it alone goes on."""
    tree = statements(program, node)
    if not tree or not isinstance(tree[0], cst.If) or tree[0].orelse is None:
        return None
    other = tree[0].orelse
    after = [other] if isinstance(other, cst.If) else block(other.body)
    if after is None:
        return None
    return patch_of(replace_statements(program, node, node, [tree[0].with_changes(orelse=None), *after]))


def _dead_sites(program: Program) -> list[ast.stmt]:
    found = []
    for body in program.blocks:
        for position, statement in enumerate(body[:-1]):
            if isinstance(statement, _LEAVES):
                after = body[position + 1 :]
                generator = any(isinstance(n, ast.Yield | ast.YieldFrom) for s in after for n in program.below(s))
                if not generator and program.line_span(after[0]) and program.line_span(after[-1]):
                    found.append(after[0])
                break
    return found


@edit("dead-code", "optimisation", "remove code that is never reached", "dead", "unus", "clean", find=_dead_sites)
def dead_code(program: Program, statement: ast.stmt, rng: Rng) -> Patch | None:
    """Remove what follows a statement that leaves the block."""
    body, _ = program.block_of(statement)
    first, last = program.line_span(statement), program.line_span(body[-1])
    return patch_of(Splice(first[0], last[1], "")) if first and last else None


def _returned_sites(program: Program) -> list[ast.Assign]:
    found = []
    for node in program.nodes(ast.Assign):
        after = program.next_of(node)
        target = node.targets[0]
        if len(node.targets) != 1 or not isinstance(target, ast.Name) or not isinstance(after, ast.Return):
            continue
        named = isinstance(after.value, ast.Name) and after.value.id == target.id
        if named and program.line_span(node) and program.line_span(after):
            found.append(node)
    return found


@edit("inline-return", "optimisation", "return values directly", "simpl", "variable", "concise", find=_returned_sites,
      reach=2)  # fmt: skip
def inline_return(program: Program, node: ast.Assign, rng: Rng) -> Patch | None:
    """Return an expression without naming it first."""
    function, after = program.function_of(node), program.next_of(node)
    shared = function and any(isinstance(n, ast.Global | ast.Nonlocal) for n in program.below(function))
    if after is None or shared:
        return None
    lines, end = program.line_span(after), program.span(node)[0]
    if lines is None:
        return None
    text = f"return {program.text(node.value)}\n"
    return patch_of(Splice(end, lines[1], text))


def _minimum_sites(program: Program) -> list[ast.Subscript]:
    found = []
    for node in program.nodes(ast.Subscript):
        value = node.value
        if not (isinstance(value, ast.Call) and dotted(value.func) == "sorted" and len(value.args) == 1):
            continue
        if ast.unparse(node.slice) in ("0", "-1") and all(keyword.arg == "key" for keyword in value.keywords):
            found.append(node)
    return found


@edit("min-max", "optimisation", "take extremes without sorting", "sort", "linear", "algorithm", find=_minimum_sites)
def min_max(program: Program, node: ast.Subscript, rng: Rng) -> Patch | None:
    """Walk once instead of sorting everything."""
    if not isinstance(node.value, ast.Call):
        return None
    func = "min" if ast.unparse(node.slice) == "0" else "max"
    tree = expression(program, node.value)
    renamed = tree.with_changes(func=cst.Name(func))
    return patch_of(Splice(*program.span(node), cst.Module([]).code_for_node(renamed)))


_CONSUMERS = ("sum", "any", "all", "max", "min", "set", "frozenset", "tuple", "sorted", "dict")


def _consumed_sites(program: Program) -> list[ast.ListComp]:
    found = []
    for node in program.nodes(ast.ListComp):
        call = program.parent[node]
        if not isinstance(call, ast.Call) or call.args != [node] or call.keywords:
            continue
        joins = isinstance(call.func, ast.Attribute) and call.func.attr == "join"
        if joins or dotted(call.func) in _CONSUMERS:
            found.append(node)
    return found


@edit(
    "generator-argument", "optimisation", "pass generators instead of lists", "memory", "generator", "lazy",
    find=_consumed_sites, reach=3,
)  # fmt: skip
def generator_argument(program: Program, node: ast.ListComp, rng: Rng) -> Patch | None:
    """Do not hold a list that is walked once."""
    start, end = program.span(node)
    call_end = program.span(program.parent[node])[1]
    # A trailing comma is allowed after a list but not after a bare generator.
    comma = "," in program.source[end:call_end]
    text = program.source[start + 1 : end - 1].strip()
    return patch_of(Splice(start, end, f"({text})" if comma else text))


def _literal_sites(program: Program) -> list[ast.expr]:
    found: list[ast.expr] = []
    for node in program.nodes(ast.Compare):
        held = node.comparators[-1]
        if not isinstance(node.ops[-1], ast.In | ast.NotIn) or not isinstance(held, ast.List | ast.Tuple):
            continue
        if len(held.elts) > 1 and all(isinstance(element, ast.Constant) for element in held.elts):
            text = program.text(held)
            if text[0] in "([":
                found.append(held)
    return found


@edit("literal-set", "optimisation", "test membership in set literals", "lookup", "set", "membership",
      find=_literal_sites, reach=3)  # fmt: skip
def literal_set(program: Program, node: ast.expr, rng: Rng) -> Patch | None:
    """Look up in constant time."""
    return patch_of(Splice(*program.span(node), "{" + program.text(node)[1:-1] + "}"))


def _truth_sites(program: Program) -> list[ast.Compare]:
    found = []
    for node in program.nodes(ast.Compare):
        if len(node.ops) != 1:
            continue
        right = node.comparators[0]
        constant = right.value if isinstance(right, ast.Constant) else ...
        equal = isinstance(node.ops[0], ast.Eq | ast.NotEq)
        if equal and constant is None:
            found.append(node)
        tested = isinstance(program.parent[node], ast.If | ast.While)
        measured = isinstance(node.left, ast.Call) and dotted(node.left.func) == "len"
        if tested and measured and constant == 0 and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.Gt):
            found.append(node)
    return found


@edit("truth-test", "optimisation", "test emptiness and None directly", "simpl", "pythonic", "readab",
      find=_truth_sites, reach=3)  # fmt: skip
def truth_test(program: Program, node: ast.Compare, rng: Rng) -> Patch | None:
    """Ask the object itself instead of comparing it."""
    equal = isinstance(node.ops[0], ast.Eq)
    if isinstance(node.left, ast.Call) and dotted(node.left.func) == "len" and node.left.args:
        held = operand(program, node.left.args[0], tight=True)
        text = f"not {held}" if equal else held
    else:
        text = f"{operand(program, node.left)} {'is' if equal else 'is not'} None"
    return patch_of(Splice(*program.span(node), text))


_PURE = frozenset(
    (
        *("abs", "bool", "divmod", "float", "int", "len", "max", "min", "ord", "chr", "pow", "range", "round", "str"),
        *("sum", "sorted", "reversed", "zip", "enumerate", "any", "all", "isinstance", "ValueError", "TypeError"),
    )
)
_HASHABLE = ("int", "str", "float", "bool", "bytes")


def _memo_sites(program: Program) -> list[Function]:
    return [function for function in program.nodes(ast.FunctionDef) if _pure(program, function)]


def _pure(program: Program, function: ast.FunctionDef) -> bool:
    """Return whether a function depends on its hashable arguments only, as far as its text shows."""
    arguments = function.args
    if function.decorator_list or not arguments.args or arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        return False
    if function not in program.tree.body or arguments.args[0].arg in ("self", "cls"):
        return False
    for argument in arguments.args:
        text = program.text(argument.annotation) if argument.annotation else ""
        if text and text not in _HASHABLE:
            return False
        if not text and (argument.arg.endswith("s") or argument.arg in ("data", "text_list", "handler", "config")):
            return False
    local = {argument.arg for argument in arguments.args}
    returned = False
    nodes = list(program.below(function))
    local.update(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    for node in nodes:
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name not in _PURE and name != function.name and not name.startswith("math."):
                return False
        elif isinstance(node, ast.Global | ast.Nonlocal | ast.Yield | ast.YieldFrom | ast.Lambda | ast.With):
            return False
        elif isinstance(node, ast.Return) and node.value is not None:
            returned = True
            if isinstance(node.value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp):
                return False
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            return False
    return returned


@edit(
    "memoise", "optimisation", "cache the results of pure functions", "cach", "memo", "repeat", "recurs",
    find=_memo_sites, weight=1.2,
)  # fmt: skip
def memoise(program: Program, function: ast.FunctionDef, rng: Rng) -> Patch | None:
    """Compute each result once."""
    lines = program.line_span(function)
    if lines is None:
        return None
    text = f"{program.margin(function)}@lru_cache(maxsize={int(rng.choice([128, 256, 1024]))})\n"
    return patch_of(Splice(lines[0], lines[0], text), imports=["from functools import lru_cache"])


def _unused_sites(program: Program) -> list[ast.Assign]:
    found = []
    for node in program.nodes(ast.Assign):
        target = node.targets[0]
        if len(node.targets) != 1 or not isinstance(target, ast.Name) or program.mentioned[target.id] > 1:
            continue
        function = program.function_of(node)
        if function is None or escapes(node.value) or isinstance(program.parent[node], ast.ClassDef):
            continue
        shared = any(isinstance(n, ast.Global | ast.Nonlocal) for n in program.below(function))
        harmless = isinstance(node.value, ast.Constant | ast.Name | ast.List | ast.Dict | ast.Attribute | ast.JoinedStr)
        if harmless and not shared and len(program.block_of(node)[0]) > 1 and program.line_span(node):
            found.append(node)
    return found


@edit("unused-variable", "optimisation", "remove variables that nobody reads", "unus", "clean", "dead", "variable",
      find=_unused_sites, reach=2)  # fmt: skip
def unused_variable(program: Program, node: ast.Assign, rng: Rng) -> Patch | None:
    """Drop an assignment without effect."""
    lines = program.line_span(node)
    return patch_of(Splice(*lines, "")) if lines else None


EDITS: tuple[Edit, ...] = (
    guard_clause,
    merge_ifs,
    flatten_else,
    dead_code,
    inline_return,
    min_max,
    generator_argument,
    literal_set,
    truth_test,
    memoise,
    unused_variable,
)
