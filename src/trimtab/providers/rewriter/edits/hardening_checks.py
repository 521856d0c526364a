"""Hardening edits that add checks: of arguments, paths and lengths."""

from __future__ import annotations

import ast
import re

import numpy as np

from trimtab.providers.rewriter.edits.base import (
    Edit,
    edit,
    entry,
    insertion_after,
    insertion_before,
    own_arguments,
    patch_of,
)
from trimtab.providers.rewriter.patch import Patch
from trimtab.providers.rewriter.program import Function, Program, dotted
from trimtab.providers.rewriter.syntax import negation, replace_statements, statements, template

__all__ = ["EDITS"]

Rng = np.random.Generator

#: Most checks that an edit adds to one function, over all iterations.
MOST_CHECKS = 3

_BY_ANNOTATION = {
    "str": ("str", "a string"),
    "int": ("int", "an integer"),
    "float": ("(int, float)", "a number"),
    "bytes": ("bytes", "bytes"),
    "list": ("list", "a list"),
    "dict": ("dict", "a dictionary"),
}
_TEXTS = re.compile(
    r"(?i)(.*_)?(name|user|username|password|text|query|term|url|host|title|message|line|token|command|pattern|email|"
    r"content|word|keyword|address|expression|filename|path|file_?path)"
)
_NUMBERS = re.compile(r"(?i)(.*_)?(n|count|size|limit|amount|index|length|number|page|port|age|quantity|width|height)")
_PATHS = re.compile(r"(?i)(.*_)?(path|filename|file|filepath|file_?name)")


def _checked(program: Program, function: Function, name: str) -> bool:
    """Return whether the first statements of a function already look at an argument."""
    for statement in program.body_after_docstring(function)[:8]:
        raising = isinstance(statement, ast.If) and any(isinstance(node, ast.Raise) for node in statement.body)
        if (raising or isinstance(statement, ast.Assert)) and any(
            isinstance(node, ast.Name) and node.id == name for node in program.below(statement)
        ):
            return True
    return False


def _checks(program: Program, function: Function) -> int:
    """Return how many statements of a function only raise an error."""
    return sum(
        1
        for statement in program.body_after_docstring(function)
        if isinstance(statement, ast.If) and len(statement.body) == 1 and isinstance(statement.body[0], ast.Raise)
    )


def _optional(program: Program, function: Function) -> list[str]:
    """Return the parameters that may be None."""
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults = function.args.defaults
    pairs = list(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    pairs += [(a, d) for a, d in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if d]
    found = [argument.arg for argument, default in pairs if isinstance(default, ast.Constant) and default.value is None]
    hinted = ((argument.arg, argument.annotation) for argument in own_arguments(function))
    return found + [name for name, hint in hinted if hint and re.search(r"None|Optional", program.text(hint))]


def _unchecked(program: Program, function: Function) -> list[ast.arg]:
    optional = _optional(program, function)
    return [
        argument
        for argument in own_arguments(function)
        if argument.arg not in optional and not _checked(program, function, argument.arg)
    ]


def _validation_sites(program: Program) -> list[Function]:
    return [
        function
        for function in program.functions
        if entry(program, function) is not None
        and len(program.body_after_docstring(function)) > 1
        and _checks(program, function) < MOST_CHECKS
        and _unchecked(program, function)
    ]


def _kind(program: Program, argument: ast.arg) -> tuple[str, str] | None:
    if argument.annotation is not None:
        return _BY_ANNOTATION.get(re.split(r"\[", program.text(argument.annotation))[0].strip().lower())
    if _TEXTS.fullmatch(argument.arg):
        return _BY_ANNOTATION["str"]
    return _BY_ANNOTATION["int"] if _NUMBERS.fullmatch(argument.arg) else None


@edit(
    "validate-arguments", "hardening", "validate arguments at function entry", "validat", "input", "argument", "check",
    "robust", find=_validation_sites, reach=3, weight=2.5,
)  # fmt: skip
def validate_arguments(program: Program, function: Function, rng: Rng) -> Patch | None:
    """Raise ``TypeError`` or ``ValueError`` for arguments that the function cannot use."""
    first = entry(program, function)
    room = MOST_CHECKS - _checks(program, function)
    if first is None:
        return None
    lines = []
    for argument in _unchecked(program, function)[: min(2, room)]:
        name, kind = argument.arg, _kind(program, argument)
        if kind is None:
            lines += [f"if {name} is None:", f'    raise ValueError("{name} must be given")']
        elif kind[0] == "str" and rng.random() < 0.4:
            lines += [f"if not isinstance({name}, str) or not {name}:"]
            lines += [f'    raise ValueError("{name} must be a non-empty string")']
        else:
            lines += [f"if not isinstance({name}, {kind[0]}):", f'    raise TypeError("{name} must be {kind[1]}")']
    return patch_of(insertion_before(program, first, "\n".join(lines))) if lines else None


def _text_arguments(program: Program, function: Function) -> list[str]:
    found = []
    for argument in own_arguments(function):
        kind = _kind(program, argument)
        sized = kind is not None and kind[0] in ("str", "bytes", "list")
        if sized and f"len({argument.arg}) >" not in program.text(function):
            found.append(argument.arg)
    optional = _optional(program, function)
    return [name for name in found if name not in optional]


def _length_sites(program: Program) -> list[Function]:
    return [
        function
        for function in program.functions
        if entry(program, function) is not None
        and _checks(program, function) < MOST_CHECKS
        and _text_arguments(program, function)
    ]


@edit(
    "limit-length", "hardening", "limit the length of inputs", "limit", "length", "denial", "bound", "input",
    find=_length_sites, reach=2,
)  # fmt: skip
def limit_length(program: Program, function: Function, rng: Rng) -> Patch | None:
    """Refuse inputs so long that they could exhaust memory or time."""
    first = entry(program, function)
    if first is None:
        return None
    name = _text_arguments(program, function)[0]
    known = program.top.get("MAX_INPUT_LENGTH")
    if known is None and "MAX_INPUT_LENGTH" in program.bound:
        return None
    text = f'if len({name}) > MAX_INPUT_LENGTH:\n    raise ValueError("{name} is too long")'
    made = patch_of(insertion_before(program, first, text))
    constants = () if known else (f"MAX_INPUT_LENGTH = {int(rng.choice([1_000, 10_000, 100_000])):_}",)
    return Patch(made.splices, constants=constants) if made else None


def _path_arguments(program: Program, function: Function) -> list[str]:
    named = [argument.arg for argument in own_arguments(function) if _PATHS.fullmatch(argument.arg)]
    text = program.text(function)
    if not named or '".."' in text or "is_relative_to" in text or "commonpath" in text:
        return []
    opened = {
        name.id
        for node in program.below(function)
        if isinstance(node, ast.Call)
        and dotted(node.func) in ("open", "os.path.join", "Path", "pathlib.Path", "os.remove")
        for argument in node.args
        for name in program.below(argument)
        if isinstance(name, ast.Name)
    }
    return [name for name in named if name in opened]


def _path_sites(program: Program) -> list[Function]:
    return [f for f in program.functions if entry(program, f) is not None and _path_arguments(program, f)]


@edit(
    "contain-path", "hardening", "refuse paths that climb out of their folder", "path", "travers", "file",
    find=_path_sites, reach=2,
)  # fmt: skip
def contain_path(program: Program, function: Function, rng: Rng) -> Patch | None:
    """Raise where a path given from outside holds ``..``."""
    first = entry(program, function)
    if first is None:
        return None
    name = _path_arguments(program, function)[0]
    text = f'if ".." in Path({name}).parts:\n    raise ValueError("{name} must stay inside its folder")'
    return patch_of(insertion_before(program, first, text), imports=["from pathlib import Path"])


def _assert_sites(program: Program) -> list[ast.Assert]:
    return [node for node in program.nodes(ast.Assert) if program.line_span(node) is not None]


@edit(
    "assert-to-raise", "hardening", "raise errors instead of asserting", "assert", "validat", "check",
    find=_assert_sites, reach=3,
)  # fmt: skip
def assert_to_raise(program: Program, node: ast.Assert, rng: Rng) -> Patch | None:
    """Check also where Python runs with assertions switched off."""
    message = program.text(node.msg) if node.msg is not None else '"an argument is not valid"'
    text = f"if {negation(program, node.test)}:\n    raise ValueError({message})\n"
    return patch_of(replace_statements(program, node, node, [template(text)]))


def _written(node: ast.With) -> ast.expr | None:
    opened = node.items[0].context_expr
    if not (isinstance(opened, ast.Call) and dotted(opened.func) == "open" and len(opened.args) > 1):
        return None
    mode = opened.args[1]
    writes = isinstance(mode, ast.Constant) and isinstance(mode.value, str) and mode.value[:1] in ("w", "a", "x")
    path = opened.args[0]
    return path if writes and isinstance(path, ast.Name | ast.Attribute | ast.Constant) else None


def _permission_sites(program: Program) -> list[ast.With]:
    found = []
    for node in program.nodes(ast.With):
        function = program.function_of(node)
        # Code after a block that returns is never reached.
        ends = isinstance(node.body[-1], ast.Return | ast.Raise)
        if function and not ends and _written(node) is not None and "chmod" not in program.text(function):
            found.append(node)
    return found


@edit(
    "restrict-permissions", "hardening", "make written files private", "permission", "privat", "file",
    find=_permission_sites, weight=0.6,
)  # fmt: skip
def restrict_permissions(program: Program, node: ast.With, rng: Rng) -> Patch | None:
    """Let only the owner read what was written."""
    path = _written(node)
    if path is None:
        return None
    return patch_of(insertion_after(program, node, f"os.chmod({program.text(path)}, 0o600)"), imports=["import os"])


def _opened_and_read(node: ast.stmt) -> ast.Call | None:
    value = node.value if isinstance(node, ast.Assign | ast.Return) else None
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
        return None
    opened = value.func.value
    if value.func.attr not in ("read", "readlines", "write") or not isinstance(opened, ast.Call):
        return None
    return opened if dotted(opened.func) == "open" else None


def _open_sites(program: Program) -> list[ast.stmt]:
    candidates: list[ast.stmt] = [*program.nodes(ast.Assign), *program.nodes(ast.Return)]
    return [node for node in candidates if _opened_and_read(node) or _closing(program, node)]


def _closing(program: Program, node: ast.stmt) -> ast.Expr | None:
    """Return the ``close()`` further down the block of a file opened in `node`."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and dotted(node.value.func) == "open"):
        return None
    target = node.targets[0]
    if not isinstance(target, ast.Name):
        return None
    body, position = program.block_of(node)
    for statement in body[position + 1 :]:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(statement, ast.Expr) and dotted(call.func) == f"{target.id}.close":
            return statement if statement is not body[position + 1] else None
    return None


@edit(
    "open-with", "hardening", "close files through `with`", "file", "resource", "leak", "clos", "robust",
    find=_open_sites, reach=2,
)  # fmt: skip
def open_with(program: Program, node: ast.Assign | ast.Return, rng: Rng) -> Patch | None:
    """Close the file also where an error interrupts its use."""
    opened = _opened_and_read(node)
    if opened is not None:
        handle = program.fresh("handle")
        start, end = program.span(opened)
        first = program.span(node)[0]
        inner = program.source[first:start] + handle + program.source[end : program.span(node)[1]]
        new = template(f"with {program.text(opened)} as {handle}:\n    {inner}\n")
        return patch_of(replace_statements(program, node, node, [new]))
    close = _closing(program, node) if isinstance(node, ast.Assign) else None
    if close is None or not isinstance(node, ast.Assign) or node.value is None:
        return None
    body, position = program.block_of(node)
    last = body[body.index(close) - 1]
    inside = statements(program, body[position + 1], last)
    if inside is None:
        return None
    header = template(f"with {program.text(node.value)} as {program.text(node.targets[0])}:\n    pass\n")
    wrapped = header.with_deep_changes(header.body, body=inside)  # type: ignore[attr-defined]
    return patch_of(replace_statements(program, node, close, [wrapped]))


EDITS: tuple[Edit, ...] = (
    validate_arguments,
    limit_length,
    contain_path,
    assert_to_raise,
    restrict_permissions,
    open_with,
)
