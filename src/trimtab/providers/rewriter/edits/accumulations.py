"""Optimisation edits that fold a loop adding to something into one expression."""

from __future__ import annotations

import ast
from collections.abc import Callable

import numpy as np

from trimtab.providers.rewriter.edits.base import (
    Edit,
    edit,
    escapes,
    names_read,
    names_written,
    patch_of,
)
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Program, dotted
from trimtab.providers.rewriter.syntax import operand

__all__ = ["EDITS", "single_statement"]

Rng = np.random.Generator

#: Longest line that a loop is folded into before it is broken up.
_WIDTH = 100


def _initial(statement: ast.stmt | None) -> tuple[str, ast.expr] | None:
    """Return name and value of a simple assignment."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return (target.id, statement.value) if isinstance(target, ast.Name) else None
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
        return statement.target.id, statement.value
    return None


def single_statement(loop: ast.For) -> tuple[ast.stmt, ast.expr | None] | None:
    """Return the one statement of a loop and the condition around it."""
    if loop.orelse or len(loop.body) != 1:
        return None
    inner = loop.body[0]
    if not isinstance(inner, ast.If):
        return inner, None
    return (inner.body[0], inner.test) if not inner.orelse and len(inner.body) == 1 else None


Grow = Callable[[ast.stmt, str], ast.expr | None]


def _accumulation(program: Program, loop: ast.For, start: Callable[[ast.expr], bool], grow: Grow) -> str | None:
    """Return the accumulated name where a loop only adds to what the statement above it starts."""
    body, position = program.block_of(loop)
    initial = _initial(body[position - 1]) if position else None
    single = single_statement(loop)
    if initial is None or single is None or not start(initial[1]) or loop.target is None:
        return None
    name, _ = initial
    value = grow(single[0], name)
    if value is None or program.line_span(body[position - 1]) is None or program.line_span(loop) is None:
        return None
    used = [part for part in (loop.iter, value, single[1]) if part is not None]
    if name in names_read(*used) or escapes(*used) or name in names_written(loop.target):
        return None
    return name


def _fold(program: Program, loop: ast.For, value: ast.expr, opening: str, closing: str) -> Splice | None:
    """Return the splice that puts one assignment in place of the statement above a loop and the loop."""
    body, position = program.block_of(loop)
    above = body[position - 1]
    first, last = program.line_span(above), program.line_span(loop)
    initial = _initial(above)
    single = single_statement(loop)
    if first is None or last is None or initial is None or single is None:
        return None
    target = program.text(loop.target)
    parts = [operand(program, value), f"for {target} in {operand(program, loop.iter)}"]
    if single[1] is not None:
        parts.append(f"if {operand(program, single[1])}")
    margin = program.margin(loop)
    line = f"{margin}{initial[0]} = {opening}{' '.join(parts)}{closing}\n"
    if len(line) > _WIDTH and not any("\n" in part for part in parts):
        inner = f"\n{margin}{program.indent}"
        line = f"{margin}{initial[0]} = {opening}{inner}{inner.join(parts)}\n{margin}{closing}\n"
    return Splice(first[0], last[1], line)


def _appended(statement: ast.stmt, name: str) -> ast.expr | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if dotted(call.func) == f"{name}.append" and len(call.args) == 1 and not call.keywords:
            return None if isinstance(call.args[0], ast.Starred) else call.args[0]
    return None


def _added(statement: ast.stmt, name: str) -> ast.expr | None:
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
        return statement.value if isinstance(statement.target, ast.Name) and statement.target.id == name else None
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.BinOp):
        target, sum_ = statement.targets[0], statement.value
        if isinstance(sum_.op, ast.Add) and isinstance(target, ast.Name) and target.id == name:
            return sum_.right if isinstance(sum_.left, ast.Name) and sum_.left.id == name else None
    return None


def _textual(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return _textual(node.left) or _textual(node.right)
    return isinstance(node, ast.Call) and (dotted(node.func) == "str" or dotted(node.func).endswith(".format"))


def _added_text(statement: ast.stmt, name: str) -> ast.expr | None:
    value = _added(statement, name)
    return value if value is not None and _textual(value) else None


def _added_number(statement: ast.stmt, name: str) -> ast.expr | None:
    value = _added(statement, name)
    return value if value is not None and not _textual(value) else None


def _is_empty_list(node: ast.expr) -> bool:
    return (isinstance(node, ast.List) and not node.elts) or (
        isinstance(node, ast.Call) and dotted(node.func) == "list" and not node.args
    )


def _is_empty_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "" and isinstance(node.value, str)


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == 0


def _list_sites(program: Program) -> list[ast.For]:
    return [n for n in program.nodes(ast.For) if _accumulation(program, n, _is_empty_list, _appended)]


@edit(
    "comprehension", "optimisation", "build lists by comprehension", "comprehen", "loop", "concise", "pythonic",
    find=_list_sites, reach=2, weight=1.5,
)  # fmt: skip
def comprehension(program: Program, loop: ast.For, rng: Rng) -> Patch | None:
    """Build a list in one expression instead of by appending."""
    name = _accumulation(program, loop, _is_empty_list, _appended)
    single = single_statement(loop)
    value = _appended(single[0], name) if single and name else None
    return patch_of(_fold(program, loop, value, "[", "]")) if value is not None else None


def _text_sites(program: Program) -> list[ast.For]:
    return [n for n in program.nodes(ast.For) if _accumulation(program, n, _is_empty_text, _added_text)]


@edit(
    "join-strings", "optimisation", "join strings instead of adding them up", "string", "concat", "memory", "quadratic",
    find=_text_sites, reach=2, weight=1.5,
)  # fmt: skip
def join_strings(program: Program, loop: ast.For, rng: Rng) -> Patch | None:
    """Copy each piece once."""
    name = _accumulation(program, loop, _is_empty_text, _added_text)
    single = single_statement(loop)
    value = _added_text(single[0], name) if single and name else None
    return patch_of(_fold(program, loop, value, '"".join(', ")")) if value is not None else None


def _sum_sites(program: Program) -> list[ast.For]:
    return [n for n in program.nodes(ast.For) if _accumulation(program, n, _is_zero, _added_number)]


@edit("sum-generator", "optimisation", "add up with `sum`", "sum", "loop", "built-in", find=_sum_sites, reach=2)
def sum_generator(program: Program, loop: ast.For, rng: Rng) -> Patch | None:
    """Let the built-in function run the loop."""
    name = _accumulation(program, loop, _is_zero, _added_number)
    single = single_statement(loop)
    value = _added_number(single[0], name) if single and name else None
    return patch_of(_fold(program, loop, value, "sum(", ")")) if value is not None else None


EDITS: tuple[Edit, ...] = (comprehension, join_strings, sum_generator)
