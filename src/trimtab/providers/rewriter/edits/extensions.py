"""Feature edits that extend what is there: options, logging, docstrings, type hints, a command line."""

from __future__ import annotations

import ast
import re

import numpy as np

from trimtab.providers.rewriter.edits.base import Edit, edit, entry, insertion_before, own_arguments, patch_of
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Function, Program, dotted

__all__ = ["EDITS"]

Rng = np.random.Generator

_WORD = re.compile(r"_+")


def _spoken(name: str) -> str:
    return _WORD.sub(" ", name).strip() or name


def _undocumented(program: Program) -> list[Function | ast.ClassDef]:
    owners: list[Function | ast.ClassDef] = [*program.functions, *program.nodes(ast.ClassDef)]
    return [
        owner
        for owner in owners
        if len(program.body_after_docstring(owner)) == len(owner.body)
        and owner.body[0].lineno > owner.lineno
        and program.line_span(owner.body[0]) is not None
        and not getattr(owner, "name", "").startswith("__")
    ]


@edit("docstring", "feature", "add docstrings", "docstring", "document", "readab", "maintain", "comment",
      find=_undocumented, reach=3, weight=1.2)  # fmt: skip
def docstring(program: Program, owner: Function | ast.ClassDef, rng: Rng) -> Patch | None:
    """Say what a function or class is for."""
    lines = [f'"""{_spoken(owner.name).capitalize()}.']
    arguments = own_arguments(owner) if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef) else []
    if arguments and rng.random() < 0.5:
        lines += ["", "Args:", *(f"    {a.arg}: the {_spoken(a.arg)} to use" for a in arguments), '"""']
    else:
        lines[0] += '"""'
    return patch_of(insertion_before(program, owner.body[0], "\n".join(lines)))


_HINTS = (
    (
        re.compile(
            r"(?i)(.*_)?(name|text|path|filename|url|query|title|message|key|token|line|user|username|password)"
        ),
        "str",
    ),
    (re.compile(r"(?i)(.*_)?(n|count|size|limit|index|page|port|attempts|length)"), "int"),
    (re.compile(r"(?i)(.*_)?(items|rows|records|lines|values|numbers|words|entries)"), "list"),
    (re.compile(r"(?i)(.*_)?(options|config|mapping|settings|params)"), "dict"),
)


def _hint(argument: ast.arg) -> str:
    if argument.annotation is not None:
        return ""
    return next((hint for pattern, hint in _HINTS if pattern.fullmatch(argument.arg)), "")


def _required(function: Function) -> list[ast.arg]:
    positional = [*function.args.posonlyargs, *function.args.args]
    bare = positional[: len(positional) - len(function.args.defaults)]
    return [argument for argument in own_arguments(function) if argument in bare]


def _hint_sites(program: Program) -> list[Function]:
    return [function for function in program.functions if any(_hint(a) for a in _required(function))]


@edit(
    "type-hints",
    "feature",
    "add type hints",
    "type",
    "hint",
    "annotat",
    "maintain",
    "readab",
    find=_hint_sites,
    reach=3,
)
def type_hints(program: Program, function: Function, rng: Rng) -> Patch | None:
    """Annotate parameters whose names say what they are."""
    splices = []
    for argument in _required(function):
        hint, end = _hint(argument), program.span(argument)[1]
        if hint:
            splices.append(Splice(end, end, f": {hint}"))
    return patch_of(*splices)


_LOGS = re.compile(r"\b(logger|logging)\.")


def _logging_sites(program: Program) -> list[Function]:
    if "logger" in program.bound and "logger" not in program.top:
        return []
    return [
        function
        for function in program.functions
        if entry(program, function) is not None
        and len(function.body) > 1
        and not function.name.startswith("__")
        and not program.mentions(function, _LOGS)
    ]


@edit("logging", "feature", "add logging", "log", "monitor", "observ", "debug", "trac", find=_logging_sites, reach=2)
def add_logging(program: Program, function: Function, rng: Rng) -> Patch | None:
    """Tell when a function is entered, with its first argument."""
    first = entry(program, function)
    if first is None:
        return None
    arguments = own_arguments(function)
    detail = f' with %r", {arguments[0].arg})' if arguments and rng.random() < 0.6 else '")'
    made = patch_of(insertion_before(program, first, f'logger.info("{function.name} called{detail}'))
    constants = () if "logger" in program.top else ("logger = logging.getLogger(__name__)",)
    imports = () if constants == () else ("import logging",)
    return Patch(made.splices, imports, constants) if made else None


def _verbose_sites(program: Program) -> list[ast.FunctionDef]:
    found = []
    for function in program.nodes(ast.FunctionDef):
        arguments = function.args
        plain = not arguments.vararg and not arguments.kwarg and not arguments.kwonlyargs and arguments.args
        taken = any(argument.arg == "verbose" for argument in arguments.args)
        public = function in program.tree.body and not function.name.startswith("_")
        if plain and public and not taken and len(arguments.args) < 5 and entry(program, function) is not None:
            found.append(function)
    return found


@edit("verbose-option", "feature", "add an option for verbose output", "option", "verbose", "output", "flexib",
      find=_verbose_sites, weight=0.9)  # fmt: skip
def verbose_option(program: Program, function: ast.FunctionDef, rng: Rng) -> Patch | None:
    """Print progress where the caller asks for it."""
    first = entry(program, function)
    last: ast.expr | ast.arg = function.args.args[-1]
    if function.args.defaults:
        last = function.args.defaults[-1]
    end = program.span(last)[1]
    # A default may stand in brackets, which belong to no node.
    while (
        end < len(program.source)
        and program.source[end] == ")"
        and program.source[:end].count("(", program.span(function)[0])
        > program.source[:end].count(")", program.span(function)[0]) + 1
    ):
        end += 1
    if first is None:
        return None
    text = f'if verbose:\n    print("{_spoken(function.name)} ...")'
    return patch_of(Splice(end, end, ", verbose=False"), insertion_before(program, first, text))


def _class_sites(program: Program) -> list[ast.ClassDef]:
    found = []
    for node in program.nodes(ast.ClassDef):
        methods = [m.name for m in node.body if isinstance(m, ast.FunctionDef)]
        lacking = "__init__" in methods and "__repr__" not in methods and not node.decorator_list
        if lacking and program.line_span(node.body[-1]) is not None and _attributes(program, node):
            found.append(node)
    return found


def _attributes(program: Program, node: ast.ClassDef) -> list[str]:
    """Return the public attributes that the class sets on itself."""
    found = (
        inner.attr
        for inner in program.below(node)
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and dotted(inner.value) == "self"
    )
    return [name for name in dict.fromkeys(found) if not name.startswith("_")]


@edit("repr-method", "feature", "add a readable representation", "repr", "debug", "display", find=_class_sites)
def repr_method(program: Program, node: ast.ClassDef, rng: Rng) -> Patch | None:
    """Show the attributes of an object."""
    fields = ", ".join(f"{name}={{self.{name}!r}}" for name in _attributes(program, node)[:4])
    margin, unit = program.margin(node.body[-1]), program.indent
    lines = program.line_span(node.body[-1])
    if lines is None:
        return None
    lead = "\n" if program.source[: lines[1]].endswith("\n") else "\n\n"
    text = f'{lead}{margin}def __repr__(self):\n{margin}{unit}return f"{node.name}({fields})"\n'
    return patch_of(Splice(lines[1], lines[1], text))


def _cli_sites(program: Program) -> list[ast.FunctionDef]:
    if "argparse" in program.imported or "main" in program.bound or "__main__" in program.source:
        return []
    # Two or three required texts and numbers can be given on a command line.
    return [
        node
        for node in program.tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and 1 <= len(own_arguments(node)) <= 3
        and not node.args.vararg
        and not node.args.kwonlyargs
        and len(own_arguments(node)) == len(node.args.args)
    ][:1]


@edit("command-line", "feature", "add a command line", "command", "cli", "argument", "usab", "interface",
      find=_cli_sites, growth=True, weight=1.2)  # fmt: skip
def command_line(program: Program, function: ast.FunctionDef, rng: Rng) -> Patch | None:
    """Make a function callable from the shell."""
    names = [argument.arg for argument in own_arguments(function)]
    unit = program.indent
    lines = ["def main(argv=None):", f'{unit}"""Run from the command line."""']
    lines += [f'{unit}parser = argparse.ArgumentParser(description="{_spoken(function.name)}")']
    lines += [f'{unit}parser.add_argument("{name}"{", type=int" if _hint(a) == "int" else ""})'
              for name, a in zip(names, own_arguments(function), strict=True)]  # fmt: skip
    given = ", ".join(f"options.{name}" for name in names)
    lines += [f"{unit}options = parser.parse_args(argv)", f"{unit}print({function.name}({given}))", f"{unit}return 0"]
    lines += ["", "", 'if __name__ == "__main__":', f"{unit}raise SystemExit(main())"]
    return Patch(imports=("import argparse",), tail="\n".join(lines))


_RETURNS = re.compile(r"\b(return|yield)\b")


def _computed(function: ast.FunctionDef) -> str:
    """Return the last name that the function's own statements assign."""
    assigned = [s.targets[0] for s in function.body if isinstance(s, ast.Assign)]
    return next((target.id for target in reversed(assigned) if isinstance(target, ast.Name)), "")


def _return_sites(program: Program) -> list[ast.FunctionDef]:
    """Return functions that compute something but return nothing."""
    found = []
    for function in program.nodes(ast.FunctionDef):
        last = function.body[-1]
        if not _computed(function) or function.name.startswith("__") or isinstance(last, ast.Raise):
            continue
        whole = program.line_span(last) is not None and last.lineno > function.lineno
        if whole and not program.mentions(function, _RETURNS):
            found.append(function)
    return found


@edit("return-result", "feature", "return results to the caller", "return", "result", "reus", "api", find=_return_sites,
      weight=0.7)  # fmt: skip
def return_result(program: Program, function: ast.FunctionDef, rng: Rng) -> Patch | None:
    """Hand back the last value that a function computed."""
    lines = program.line_span(function.body[-1])
    if lines is None:
        return None
    lead = "" if program.source[: lines[1]].endswith("\n") else "\n"
    return patch_of(
        Splice(lines[1], lines[1], f"{lead}{program.margin(function.body[-1])}return {_computed(function)}\n")
    )


EDITS: tuple[Edit, ...] = (
    docstring,
    type_hints,
    add_logging,
    verbose_option,
    repr_method,
    command_line,
    return_result,
)
