"""The hardening edit that binds values to SQL statements instead of writing them into the text."""

from __future__ import annotations

import ast
import re

import numpy as np

from trimtab.providers.rewriter.edits.base import Edit, edit, is_text, patch_of
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Program

__all__ = ["EDITS"]

Piece = str | ast.expr

_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH)\b", re.IGNORECASE)
# Only where a value stands can it be bound; names of tables and columns cannot.
_VALUE_FOLLOWS = re.compile(r"(=|<|>|\bLIKE|\bLIMIT|\bOFFSET|\bBETWEEN|\bAND|\bIN\s*\(|\bVALUES\s*\(|,|'%?)\s*$", re.I)
_FORMAT = re.compile(r"%[sdrif]|%\((\w+)\)[sdr]")


def _pieces(node: ast.expr) -> list[Piece] | None:
    """Return the literal texts and expressions that make up a built string, None where it is not built."""
    if isinstance(node, ast.JoinedStr):
        return _from_fstring(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
        return _from_percent(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _from_sum(node)
    if isinstance(node, ast.Call):
        return _from_format(node)
    return None


def _from_fstring(node: ast.JoinedStr) -> list[Piece] | None:
    found: list[Piece] = []
    for part in node.values:
        formatted = isinstance(part, ast.FormattedValue) and part.format_spec is not None
        if formatted or not isinstance(part, ast.FormattedValue | ast.Constant):
            return None
        found.append(part.value if isinstance(part.value, str | ast.expr) else str(part.value))
    return found


def _from_percent(node: ast.BinOp) -> list[Piece] | None:
    if not (isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)):
        return None
    values = list(node.right.elts) if isinstance(node.right, ast.Tuple) else [node.right]
    literals = _FORMAT.sub("\0", node.left.value).split("\0")
    if isinstance(node.right, ast.Dict) or len(literals) != len(values) + 1 or "%(" in node.left.value:
        return None
    return _interleave(literals, values)


def _from_sum(node: ast.BinOp) -> list[Piece] | None:
    found: list[Piece] = []
    current: ast.expr = node
    while isinstance(current, ast.BinOp) and isinstance(current.op, ast.Add):
        found.append(current.right)
        current = current.left
    found.append(current)
    return [p.value if isinstance(p, ast.Constant) and isinstance(p.value, str) else p for p in reversed(found)]


def _from_format(node: ast.Call) -> list[Piece] | None:
    func = node.func
    if not (isinstance(func, ast.Attribute) and func.attr == "format" and isinstance(func.value, ast.Constant)):
        return None
    if not isinstance(func.value.value, str) or node.keywords:
        return None
    literals = re.split(r"\{\d*\}", func.value.value)
    if len(literals) != len(node.args) + 1 or any("{" in text or "}" in text for text in literals):
        return None
    return _interleave(literals, node.args)


def _interleave(literals: list[str], values: list[ast.expr]) -> list[Piece]:
    found: list[Piece] = [literals[0]]
    for value, literal in zip(values, literals[1:], strict=True):
        found += [value, literal]
    return found


def _bind(program: Program, node: ast.expr) -> tuple[str, str] | None:
    """Return the statement with placeholders and the tuple of values, as source; None where that cannot be done."""
    pieces = _pieces(node)
    if not pieces or not isinstance(pieces[0], str) or not _STATEMENT.match(pieces[0]):
        return None
    drivers = ("psycopg2", "psycopg", "pymysql", "MySQLdb")
    mark = "%s" if any(driver in program.imported for driver in drivers) else "?"
    text, values = "", []
    closing = ""
    for piece in pieces:
        if isinstance(piece, str):
            if closing and not piece.startswith(closing):
                return None
            text += piece[len(closing) :]
            closing = ""
            continue
        if closing or not _VALUE_FOLLOWS.search(text):
            return None
        value = _unwrapped(piece)
        if text.endswith("'%"):
            text, closing = text[:-2], "%'"
            value = f'f"%{{{value}}}%"' if '"' not in value and "'" not in value else f'"%" + str({value}) + "%"'
        elif text.endswith("'"):
            text, closing = text[:-1], "'"
        values.append(value)
        text += mark
    if closing or not values:
        return None
    return repr(text) if '"' in text or "\n" in text or "\\" in text else f'"{text}"', f"({', '.join(values)},)" if len(
        values
    ) == 1 else f"({', '.join(values)})"


def _unwrapped(node: ast.expr) -> str:
    """Return the source of a value without the ``str()`` that only the concatenation needed."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and len(node.args) == 1:
        node = node.args[0]
    return ast.unparse(node)


def _built_at(program: Program, call: ast.Call) -> ast.Assign | None:
    """Return the one assignment of the name that `call` executes."""
    name = call.args[0]
    if not isinstance(name, ast.Name):
        return None
    scope = program.function_of(call)
    found = [
        node
        for node in program.nodes(ast.Assign)
        if isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == name.id
        and program.function_of(node) is scope
    ]
    grown = any(
        isinstance(node.target, ast.Name) and node.target.id == name.id and program.function_of(node) is scope
        for node in program.nodes(ast.AugAssign)
    )
    return found[0] if len(found) == 1 and not grown else None


def _sites(program: Program) -> list[ast.Call]:
    found = []
    for call in program.nodes(ast.Call):
        executes = isinstance(call.func, ast.Attribute) and call.func.attr == "execute"
        if not executes or len(call.args) != 1 or call.keywords or is_text(call.args[0]):
            continue
        built = _built_at(program, call)
        if _bind(program, built.value if built else call.args[0]):
            found.append(call)
    return found


@edit(
    "bind-sql", "hardening", "bind values to SQL statements as parameters", "sql", "inject", "database", "quer",
    find=_sites, reach=3, weight=1.5,
)  # fmt: skip
def bind_sql(program: Program, call: ast.Call, rng: np.random.Generator) -> Patch | None:
    """Hand values to the driver beside the statement, where they cannot be read as SQL."""
    built = _built_at(program, call)
    bound = _bind(program, built.value if built else call.args[0])
    if bound is None:
        return None
    statement, values = bound
    if built is None:
        return patch_of(Splice(*program.span(call.args[0]), f"{statement}, {values}"))
    end = program.span(call.args[0])[1]
    return patch_of(Splice(*program.span(built.value), statement), Splice(end, end, f", {values}"))


EDITS: tuple[Edit, ...] = (bind_sql,)
