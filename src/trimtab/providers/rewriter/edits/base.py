"""What an edit is, and the small tools that edits share."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Function, Program, descend, dotted

__all__ = [
    "FAMILIES",
    "Edit",
    "Family",
    "edit",
    "entry",
    "escapes",
    "insertion_after",
    "insertion_before",
    "is_text",
    "names_read",
    "names_written",
    "own_arguments",
    "patch_of",
    "same",
    "stable",
]

Family = Literal["hardening", "optimisation", "feature", "cleanup"]
FAMILIES: tuple[Family, ...] = ("hardening", "optimisation", "feature", "cleanup")

Find = Callable[[Program], Sequence[Any]]
Apply = Callable[[Program, Any, np.random.Generator], Patch | None]


@dataclass(frozen=True, slots=True)
class Edit:
    """One kind of change to a program.

    Parameters
    ----------
    name
        Stable identifier.
    family
        The concern it serves.
    summary
        What it does, as an instruction.
    words
        Beginnings of words whose presence in the instruction makes it likelier.
    find
        Places in a program where it applies.
    apply
        The patch for one place; None where a closer look shows that it does not apply.
    careless
        True where it buys speed or features with safety.
    reach
        Most places that one answer changes.
    weight
        Base rate within its family.
    growth
        True where it makes the program longer by more than a few lines, False where it makes it shorter by as much.
    """

    name: str
    family: Family
    summary: str
    words: tuple[str, ...]
    find: Find
    apply: Apply
    careless: bool = False
    reach: int = 1
    weight: float = 1.0
    growth: bool | None = None


def edit(
    name: str,
    family: Family,
    summary: str,
    *words: str,
    find: Find,
    careless: bool = False,
    reach: int = 1,
    weight: float = 1.0,
    growth: bool | None = None,
) -> Callable[[Apply], Edit]:
    """Make an `Edit` of the function that applies it."""

    def build(apply: Apply) -> Edit:
        return Edit(name, family, summary, words, find, apply, careless, reach, weight, growth)

    return build


def patch_of(*splices: Splice | None, imports: Sequence[str] = ()) -> Patch | None:
    """Return a patch of all `splices`, or None where one could not be made."""
    made = [splice for splice in splices if splice is not None]
    return Patch(tuple(made), tuple(imports)) if made and len(made) == len(splices) else None


def same(left: ast.AST, right: ast.AST) -> bool:
    """Return whether two nodes are the same code, whatever their positions and contexts."""
    return ast.unparse(left) == ast.unparse(right)


def is_text(node: ast.AST | None) -> bool:
    """Return whether `node` is a string literal."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def names_read(*nodes: ast.AST) -> list[str]:
    """Return the names that `nodes` read, in source order, each once."""
    found = (name for node in nodes for name in descend(node))
    return list(dict.fromkeys(n.id for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)))


def names_written(*nodes: ast.AST) -> list[str]:
    """Return the names that `nodes` bind or delete, in source order, each once."""
    found: dict[str, None] = {}
    for root in nodes:
        for node in descend(root):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                found[node.id] = None
            elif (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler)
                and node.name
            ):
                found[node.name] = None
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found.update((alias.asname or alias.name.split(".")[0], None) for alias in node.names)
    return list(found)


def escapes(*nodes: ast.AST) -> bool:
    """Return whether control can leave `nodes` other than at their end, or they hold a scope statement."""
    leaving = (
        ast.Return,
        ast.Break,
        ast.Continue,
        ast.Yield,
        ast.YieldFrom,
        ast.Await,
        ast.Global,
        ast.Nonlocal,
        ast.NamedExpr,
    )
    return any(isinstance(node, leaving) for root in nodes for node in descend(root))


_MUTATORS = frozenset(
    (
        *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft"),
        *("remove", "reverse", "setdefault", "sort", "update"),
    )
)


def stable(path: str, *nodes: ast.AST) -> bool:
    """Return whether nothing in `nodes` rebinds a name or dotted path, or visibly changes what it holds."""
    root, _, attribute = path.partition(".")
    if root in names_written(*nodes):
        return False
    for node in (node for held in nodes for node in descend(held)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = dotted(node.func)
            # A method of the object that owns the attribute may change it out of sight.
            if called.startswith(f"{path}.") and node.func.attr in _MUTATORS:
                return False
            if attribute and called.startswith(f"{root}.") and not called.startswith(f"{path}."):
                return False
        elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            holder: ast.AST = node
            while isinstance(holder, ast.Subscript):
                holder = holder.value
            changed = dotted(holder)
            if changed == path or path.startswith(f"{changed}.") or changed.startswith(f"{path}."):
                return False
    return True


def entry(program: Program, function: Function) -> ast.stmt | None:
    """Return the first statement of a function below its docstring, None where it shares the header's line."""
    body = program.body_after_docstring(function)
    if not body or program.line_span(body[0]) is None or body[0].lineno == function.lineno:
        return None
    return body[0]


def _lines(text: str, margin: str, unit: str) -> str:
    return "".join(
        f"{margin}{line.replace('    ', unit) if line.startswith('    ') else line}\n" if line else "\n"
        for line in text.rstrip("\n").split("\n")
    )


def insertion_before(program: Program, statement: ast.stmt, text: str) -> Splice | None:
    """Return the splice that puts lines of code above a statement, at its indentation."""
    lines = program.line_span(statement)
    if lines is None:
        return None
    return Splice(lines[0], lines[0], _lines(text, program.margin(statement), program.indent))


def insertion_after(program: Program, statement: ast.stmt, text: str) -> Splice | None:
    """Return the splice that puts lines of code below a statement, at its indentation."""
    lines = program.line_span(statement)
    if lines is None:
        return None
    lead = "" if program.source[: lines[1]].endswith("\n") else "\n"
    return Splice(lines[1], lines[1], lead + _lines(text, program.margin(statement), program.indent))


_RECEIVER = re.compile(r"self|cls|_+\w*|args|kwargs")


def own_arguments(function: Function) -> list[ast.arg]:
    """Return the named parameters of a function without its receiver and private ones."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [argument for argument in arguments if not _RECEIVER.fullmatch(argument.arg)]
