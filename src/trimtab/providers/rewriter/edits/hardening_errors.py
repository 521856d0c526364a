"""Hardening edits of error handling."""

from __future__ import annotations

import ast
import re

import libcst as cst
import numpy as np

from trimtab.providers.rewriter.edits.base import Edit, edit, patch_of
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Program, dotted
from trimtab.providers.rewriter.syntax import replace_statements, statements, template

__all__ = ["EDITS", "is_broad"]

Rng = np.random.Generator

_FAILS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"requests\."), ("requests.RequestException",)),
    (re.compile(r"subprocess\."), ("OSError", "subprocess.SubprocessError")),
    (re.compile(r"sqlite3|\.execute\("), ("sqlite3.Error",)),
    (re.compile(r"\bopen\(|\bos\.|shutil\.|urlopen|\.read_text|\.write_text|socket\."), ("OSError",)),
    (re.compile(r"\bint\(|\bfloat\(|loads?\(|literal_eval|strptime|\.decode\(|\.index\("), ("ValueError",)),
    (re.compile(r"\w\["), ("KeyError", "IndexError")),
    (re.compile(r"\w\.\w"), ("AttributeError",)),
)


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler catches everything."""
    return handler.type is None or dotted(handler.type) in ("Exception", "BaseException")


def _expected(program: Program, body: list[ast.stmt]) -> list[str]:
    """Return the errors that the statements are likely to raise."""
    text = "\n".join(program.text(statement) for statement in body)
    found = [name for pattern, names in _FAILS if pattern.search(text) for name in names]
    found = [name for name in found if "." not in name or name.split(".")[0] in program.imported]
    return list(dict.fromkeys(found))[:3] or ["ValueError", "TypeError"]


def _broad_sites(program: Program) -> list[ast.ExceptHandler]:
    found = []
    for handler in program.nodes(ast.ExceptHandler):
        last = handler.body[-1]
        passes_on = isinstance(last, ast.Raise) and last.exc is None
        if is_broad(handler) and not passes_on and isinstance(program.parent[handler], ast.Try):
            found.append(handler)
    return found


@edit(
    "narrow-except", "hardening", "catch only the errors that are expected", "except", "error", "robust",
    find=_broad_sites, reach=2, weight=1.3,
)  # fmt: skip
def narrow_except(program: Program, handler: ast.ExceptHandler, rng: Rng) -> Patch | None:
    """Name the errors, so that others are not hidden."""
    around = program.parent[handler]
    if not isinstance(around, ast.Try):
        return None
    names = _expected(program, around.body)
    text = names[0] if len(names) == 1 else f"({', '.join(names)})"
    if handler.type is not None:
        return patch_of(Splice(*program.span(handler.type), text))
    after = program.span(handler)[0] + len("except")
    return patch_of(Splice(after, after, f" {text}"))


_RISKY = (
    (re.compile(r"open|os\.(remove|rename|makedirs|listdir)|shutil\.\w+|(urllib\.request\.)?urlopen"), "OSError"),
    (re.compile(r"requests\.(get|post|put|delete|patch|head|request)"), "requests.RequestException"),
    (re.compile(r"json\.loads?|int|float"), "ValueError"),
    (re.compile(r"subprocess\.(run|call|check_output|check_call|Popen)"), "OSError"),
)


def _risk(call: ast.Call) -> str:
    name = dotted(call.func)
    constant = bool(call.args) and all(isinstance(argument, ast.Constant) for argument in call.args)
    if name in ("int", "float") and constant:
        return ""
    return next((error for pattern, error in _RISKY if pattern.fullmatch(name)), "")


def _risky_sites(program: Program) -> list[ast.stmt]:
    found: dict[ast.stmt, None] = {}
    for name, calls in program.calls.items():
        if not any(pattern.fullmatch(name) for pattern, _ in _RISKY):
            continue
        for call in calls:
            statement = _guardable(program, call)
            if statement is not None and _risk(call):
                found[statement] = None
    return sorted(found, key=lambda statement: statement.lineno)


def _guardable(program: Program, call: ast.Call) -> ast.stmt | None:
    """Return the statement to put into a try block, None where one is there or none is fit."""
    statement = program.statement_of(call)
    function = program.function_of(statement)
    if function is None or any(isinstance(above, ast.Try) for above in program.ancestors(statement)):
        return None
    if not isinstance(statement, ast.With | ast.Assign | ast.Return | ast.Expr):
        return None
    return statement if program.line_span(statement) is not None else None


@edit(
    "guard-operations", "hardening", "handle errors of files, network and parsing", "error", "exception", "robust",
    "handl", "reliab", find=_risky_sites, reach=2, weight=1.5,
)  # fmt: skip
def guard_operations(program: Program, statement: ast.stmt, rng: Rng) -> Patch | None:
    """Put a statement that can fail into a try block that raises an error with a message."""
    risks = [_risk(node) for node in program.below(statement) if isinstance(node, ast.Call)]
    error = next((risk for risk in risks if risk), "OSError")
    inside = statements(program, statement)
    if inside is None:
        return None
    stored = any(n.id == "error" and isinstance(n.ctx, ast.Store) for n in program.nodes(ast.Name))
    taken = stored or any(argument.arg == "error" for argument in program.nodes(ast.arg))
    name = program.fresh("error") if taken else "error"
    what = {"ValueError": "a value cannot be read", "OSError": "a file or service cannot be used"}
    text = what.get(error, "the service cannot be reached")
    kind = "ValueError" if error == "ValueError" else "RuntimeError"
    guard = template(
        f'try:\n    pass\nexcept {error} as {name}:\n    raise {kind}(f"{text}: {{{name}}}") from {name}\n'
    )
    if not isinstance(guard, cst.Try) or not isinstance(guard.body, cst.IndentedBlock):
        return None
    wrapped = guard.with_changes(body=guard.body.with_changes(body=inside))
    return patch_of(replace_statements(program, statement, statement, [wrapped]))


def _silent_sites(program: Program) -> list[ast.ExceptHandler]:
    return [
        handler
        for handler in program.nodes(ast.ExceptHandler)
        if len(handler.body) == 1
        and isinstance(handler.body[0], ast.Pass)
        and program.line_span(handler.body[0]) is not None
    ]


@edit(
    "report-swallowed", "hardening", "log errors instead of swallowing them", "error", "exception", "log", "silent",
    find=_silent_sites, reach=2,
)  # fmt: skip
def report_swallowed(program: Program, handler: ast.ExceptHandler, rng: Rng) -> Patch | None:
    """Leave a trace of an error that the program goes on from."""
    function = program.function_of(handler)
    where = function.name if function else "module"
    text = f'logging.getLogger(__name__).warning("{where}: an error was ignored", exc_info=True)'
    return patch_of(Splice(*program.span(handler.body[0]), text), imports=["import logging"])


EDITS: tuple[Edit, ...] = (narrow_except, guard_operations, report_swallowed)
