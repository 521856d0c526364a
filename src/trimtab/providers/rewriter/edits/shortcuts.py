"""Optimisation edits that buy speed and brevity with safety: what a model told only to be fast throws out."""

from __future__ import annotations

import ast

import libcst as cst
import numpy as np

from trimtab.providers.rewriter.edits.base import Edit, edit, patch_of
from trimtab.providers.rewriter.edits.hardening_errors import is_broad
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Program, dotted
from trimtab.providers.rewriter.syntax import block, replace_statements, statements

__all__ = ["EDITS"]

Rng = np.random.Generator


def _removable(program: Program, statement: ast.stmt) -> bool:
    """Return whether a statement fills its lines and is not alone in its block."""
    return len(program.block_of(statement)[0]) > 1 and program.line_span(statement) is not None


def _removal(program: Program, statement: ast.stmt) -> Patch | None:
    lines = program.line_span(statement)
    return patch_of(Splice(*lines, "")) if lines else None


def _check_sites(program: Program) -> list[ast.If]:
    found = []
    for node in program.nodes(ast.If):
        only = node.body[0]
        if len(node.body) != 1 or not isinstance(only, ast.Raise) or node.orelse or not _removable(program, node):
            continue
        function = program.function_of(node)
        if function is not None and node in function.body and isinstance(only.exc, ast.Call):
            found.append(node)
    return found


@edit(
    "drop-checks", "optimisation", "remove redundant checks", "check", "redundan", "overhead", "lean", "minimal",
    "fast", "speed", find=_check_sites, careless=True, reach=3, weight=1.5,
)  # fmt: skip
def drop_checks(program: Program, node: ast.If, rng: Rng) -> Patch | None:
    """Take the arguments as they come."""
    return _removal(program, node)


_LOGGERS = ("logging.", "logger.", "log.", "_logger.", "LOGGER.", "LOG.")


def _log_sites(program: Program) -> list[ast.Expr]:
    found = []
    for node in program.nodes(ast.Expr):
        if not isinstance(node.value, ast.Call) or not _removable(program, node):
            continue
        name = dotted(node.value.func)
        logs = name.startswith(_LOGGERS) and name.rsplit(".", 1)[1] in (
            "debug",
            "info",
            "warning",
            "error",
            "exception",
        )
        prints = name == "print" and program.loop_of(node) is not None
        function = program.function_of(node)
        if (logs or prints) and function is not None and "main" not in function.name:
            found.append(node)
    return found


@edit(
    "drop-logging", "optimisation", "remove logging from hot paths", "log", "overhead", "output", "fast", "speed",
    find=_log_sites, careless=True, reach=3,
)  # fmt: skip
def drop_logging(program: Program, node: ast.Expr, rng: Rng) -> Patch | None:
    """Do the work without telling about it."""
    return _removal(program, node)


def _try_sites(program: Program) -> list[ast.Try]:
    found = []
    for node in program.nodes(ast.Try):
        plain = len(node.handlers) == 1 and not node.orelse and not node.finalbody
        if plain and program.line_span(node) is not None and node.body[0].lineno > node.lineno:
            handler = node.handlers[0]
            if is_broad(handler) or isinstance(handler.body[-1], ast.Raise):
                found.append(node)
    return found


@edit(
    "unwrap-try", "optimisation", "remove error handling around fast paths", "overhead", "simpl", "lean", "fast",
    "speed", find=_try_sites, careless=True,
)  # fmt: skip
def unwrap_try(program: Program, node: ast.Try, rng: Rng) -> Patch | None:
    """Let errors go where they will."""
    tree = statements(program, node)
    body = block(tree[0].body) if tree and isinstance(tree[0], cst.Try) else None
    return patch_of(replace_statements(program, node, node, body)) if body else None


def _sleep_sites(program: Program) -> list[ast.Expr]:
    return [
        node
        for node in program.nodes(ast.Expr)
        if isinstance(node.value, ast.Call)
        and dotted(node.value.func) in ("time.sleep", "sleep")
        and _removable(program, node)
    ]


@edit("drop-sleep", "optimisation", "remove pauses", "wait", "delay", "latency", "fast", "speed", find=_sleep_sites,
      careless=True)  # fmt: skip
def drop_sleep(program: Program, node: ast.Expr, rng: Rng) -> Patch | None:
    """Go on without waiting."""
    return _removal(program, node)


def _docstring(program: Program, owner: ast.AST) -> ast.Expr | None:
    body: list[ast.stmt] = getattr(owner, "body", [])
    return body[0] if body and len(program.body_after_docstring(owner)) < len(body) else None  # type: ignore[return-value]


def _docstring_sites(program: Program) -> list[ast.Expr]:
    owners = (*program.functions, *program.nodes(ast.ClassDef))
    found = []
    for owner in owners:
        text = _docstring(program, owner)
        if text is not None and (text.end_lineno or 0) > text.lineno and _removable(program, text):
            found.append(text)
    return found


@edit("shorten-docstring", "optimisation", "shorten docstrings to a line", "concise", "short", "lean", "compact",
      find=_docstring_sites, reach=3, growth=False, weight=0.8)  # fmt: skip
def shorten_docstring(program: Program, node: ast.Expr, rng: Rng) -> Patch | None:
    """Keep the first sentence."""
    value = node.value.value if isinstance(node.value, ast.Constant) else ""
    lines = [line.strip() for line in str(value).strip().split("\n")]
    first = lines[0].replace("\\", "").replace('"""', "").rstrip('"')
    if not first:
        return _removal(program, node)
    return patch_of(Splice(*program.span(node), f'"""{first}"""'))


def _comment_lines(program: Program) -> list[int]:
    inside: set[int] = set()
    for kind in (ast.Constant, ast.JoinedStr):
        for node in program.nodes(kind):
            if (node.end_lineno or 0) > node.lineno:
                inside.update(range(node.lineno - 1, node.end_lineno or 0))
    return [
        number
        for number, line in enumerate(program.lines)
        if line.lstrip().startswith("#") and not line.startswith("#!") and number not in inside
    ]


def _comment_sites(program: Program) -> list[int]:
    numbers = _comment_lines(program)
    # A file of comments only in some block would lose the block's visible content, but never its statements.
    return [numbers[0]] if len(numbers) > 1 else []


@edit("drop-comments", "optimisation", "remove comments that repeat the code", "concise", "comment", "lean", "compact",
      find=_comment_sites, growth=False, weight=0.7)  # fmt: skip
def drop_comments(program: Program, number: int, rng: Rng) -> Patch | None:
    """Remove up to five lines that hold a comment only."""
    starts = [0]
    for line in program.lines:
        starts.append(starts[-1] + len(line) + 1)
    end = len(program.source)
    numbers = _comment_lines(program)[:5]
    return patch_of(*(Splice(starts[n], min(starts[n + 1], end), "") for n in numbers))


EDITS: tuple[Edit, ...] = (
    drop_checks,
    drop_logging,
    unwrap_try,
    drop_sleep,
    shorten_docstring,
    drop_comments,
)
