"""Cleanup edits: what a model does that is told to weigh all concerns, or to make code readable."""

from __future__ import annotations

import ast
import re

import libcst as cst
import numpy as np

from trimtab.providers.rewriter.edits.base import (
    Edit,
    edit,
    entry,
    insertion_before,
    names_read,
    names_written,
    patch_of,
)
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Function, Program, dotted
from trimtab.providers.rewriter.syntax import render, statements

__all__ = ["EDITS"]

Rng = np.random.Generator

#: Most module constants that extraction makes.
_MOST_CONSTANTS = 12


def _removed(program: Program, statement: ast.stmt, unbinds: list[str]) -> Patch | None:
    lines = program.line_span(statement)
    return Patch((Splice(*lines, ""),), unbinds=frozenset(unbinds)) if lines else None


def _unused_aliases(program: Program, node: ast.Import | ast.ImportFrom) -> list[ast.alias]:
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return []
    listed = program.text(program.top["__all__"]) if "__all__" in program.top else ""
    found = []
    for alias in node.names:
        name = alias.asname or alias.name.split(".")[0]
        if name != "*" and not program.loads[name] and name not in listed:
            found.append(alias)
    return found


def _import_sites(program: Program) -> list[ast.Import | ast.ImportFrom]:
    return [
        node
        for node in program.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) and program.line_span(node) and _unused_aliases(program, node)
    ]


@edit(
    "unused-imports", "cleanup", "remove unused imports", "import", "unus", "clean", "tidy", find=_import_sites, reach=3
)
def unused_imports(program: Program, node: ast.Import | ast.ImportFrom, rng: Rng) -> Patch | None:
    """Import only what is used."""
    unused = _unused_aliases(program, node)
    names = [alias.asname or alias.name.split(".")[0] for alias in unused]
    if len(unused) == len(node.names):
        return _removed(program, node, names)
    tree = statements(program, node)
    if not tree or not isinstance(tree[0], cst.SimpleStatementLine):
        return None
    line = tree[0].body[0]
    if not isinstance(line, cst.Import | cst.ImportFrom) or isinstance(line.names, cst.ImportStar):
        return None
    kept = [alias for alias, plain in zip(line.names, node.names, strict=True) if plain not in unused]
    kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    text = cst.Module([]).code_for_node(line.with_changes(names=kept))
    return Patch((Splice(*program.span(node), text),), unbinds=frozenset(names))


def _repeated_sites(program: Program) -> list[ast.stmt]:
    seen: dict[str, None] = {}
    found: list[ast.stmt] = []
    for node in program.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            text = ast.unparse(node)
            if text in seen:
                found.append(node)
            seen[text] = None
    return found


@edit(
    "repeated-imports", "cleanup", "remove repeated imports", "import", "duplic", "clean", find=_repeated_sites, reach=3
)
def repeated_imports(program: Program, node: ast.stmt, rng: Rng) -> Patch | None:
    """Import each name once."""
    return _removed(program, node, [])


def _unreferenced(program: Program) -> list[ast.stmt]:
    """Return top-level definitions in the second half of the module that nothing in it names."""
    definitions = [n for n in program.tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    found: list[ast.stmt] = []
    for node in definitions[max(2, len(definitions) // 2) :]:
        named = program.loads[node.name] or f'{node.name}"' in program.source or node.name == "main"
        if not named and not node.decorator_list and program.line_span(node):
            found.append(node)
    return found


@edit("remove-helper", "cleanup", "remove helpers that nothing uses", "unus", "dead", "clean", "small", "consolidat",
      find=_unreferenced, growth=False, weight=0.4)  # fmt: skip
def remove_helper(program: Program, node: ast.stmt, rng: Rng) -> Patch | None:
    """Remove a definition without a use in the module, with the blank lines above it."""
    lines = program.line_span(node)
    if lines is None:
        return None
    start = len(program.source[: lines[0]].rstrip("\n")) + 1
    named = frozenset([getattr(node, "name", "")])
    return Patch((Splice(min(start, lines[0]), lines[1], ""),), unbinds=named)


def _code_of(program: Program, function: ast.FunctionDef) -> str:
    """Return the source of a function without its name and docstring."""
    body = program.body_after_docstring(function)
    if not body:
        return ""
    parameters = [(argument.arg, argument.annotation is None) for argument in function.args.args]
    text = program.source[program.span(body[0])[0] : program.span(body[-1])[1]]
    return f"{parameters} {len(function.args.defaults)} {text}"


def _duplicate_sites(program: Program) -> list[ast.FunctionDef]:
    seen: dict[str, str] = {}
    found = []
    for node in program.tree.body:
        if isinstance(node, ast.FunctionDef) and len(node.body) > 1 and not node.decorator_list:
            key = _code_of(program, node)
            if key in seen and program.line_span(node):
                found.append(node)
            seen.setdefault(key, node.name)
    return found


@edit(
    "merge-duplicates",
    "cleanup",
    "merge functions that do the same",
    "duplic",
    "repeat",
    "dry",
    "consolidat",
    find=_duplicate_sites,
    growth=False,
)
def merge_duplicates(program: Program, node: ast.FunctionDef, rng: Rng) -> Patch | None:
    """Make the second function another name of the first."""
    key, lines = _code_of(program, node), program.line_span(node)
    for other in program.tree.body:
        if isinstance(other, ast.FunctionDef) and other is not node and _code_of(program, other) == key:
            return patch_of(Splice(*lines, f"{node.name} = {other.name}\n")) if lines else None
    return None


def _number_sites(program: Program) -> list[ast.Constant]:
    if sum(1 for name in program.top if name.isupper()) >= _MOST_CONSTANTS:
        return []
    return [
        node
        for node in program.nodes(ast.Constant)
        if type(node.value) in (int, float)
        and not isinstance(node.value, complex)
        and (abs(float(node.value)) >= 3 if isinstance(node.value, int | float) and abs(node.value) < 1e300 else False)
        and program.function_of(node) is not None
        and not isinstance(program.parent[node], ast.UnaryOp | ast.Subscript | ast.Slice | ast.FormattedValue)
        and not any(isinstance(above, ast.arguments) for above in program.ancestors(node))
        and not _in_match(program, node)
    ]


def _in_match(program: Program, node: ast.AST) -> bool:
    # A name in a pattern would bind instead of comparing.
    return any(isinstance(above, ast.pattern) for above in program.ancestors(node))


def _constant_name(program: Program, node: ast.Constant) -> str:
    above = program.parent[node]
    function = program.function_of(node)
    if isinstance(above, ast.keyword) and above.arg:
        base = above.arg
    elif isinstance(above, ast.Compare):
        names = names_read(above)
        base = f"{names[-1]}_limit" if names else "limit"
    elif isinstance(above, ast.Call) and dotted(above.func):
        base = f"{dotted(above.func).split('.')[-1]}_value"
    elif isinstance(above, ast.Assign) and isinstance(above.targets[0], ast.Name):
        base = f"default_{above.targets[0].id}"
    else:
        base = f"{function.name if function else 'module'}_factor"
    return program.fresh(re.sub(r"\W", "", base).strip("_").upper() or "LIMIT")


@edit("extract-constant", "cleanup", "name numbers as constants", "constant", "magic", "readab", "maintain",
      find=_number_sites, reach=2)  # fmt: skip
def extract_constant(program: Program, node: ast.Constant, rng: Rng) -> Patch | None:
    """Give a bare number a name at the top of the module."""
    text = program.text(node)
    for name, statement in program.top.items():
        if name.isupper() and isinstance(statement, ast.Assign) and program.text(statement.value) == text:
            function = program.function_of(node)
            if function is not None and statement.lineno < function.lineno:
                return patch_of(Splice(*program.span(node), name))
    name = _constant_name(program, node)
    return Patch((Splice(*program.span(node), name),), constants=(f"{name} = {text}",))


def _chunk_sites(program: Program) -> list[ast.stmt]:
    """Return loops and blocks in long functions that can become functions of their own."""
    found = []
    for function in program.functions:
        if not isinstance(function, ast.FunctionDef) or (function.end_lineno or 0) - function.lineno < 25:
            continue
        if function not in program.tree.body or any(
            isinstance(n, ast.Global | ast.Nonlocal) for n in program.below(function)
        ):
            continue
        for statement in program.body_after_docstring(function):
            long = (statement.end_lineno or 0) - statement.lineno >= 4
            whole = isinstance(statement, ast.For | ast.With | ast.If | ast.While) and program.line_span(statement)
            if long and whole and not _jumps_out(statement) and len(function.body) > 2:
                found.append(statement)
    return found


def _jumps_out(statement: ast.stmt) -> bool:
    """Return whether control leaves a statement other than at its end; breaks of its own loops do not count."""
    stack: list[tuple[ast.AST, bool]] = [(statement, False)]
    while stack:
        node, looped = stack.pop()
        if isinstance(node, ast.Break | ast.Continue) and not looped:
            return True
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.NamedExpr):
            return True
        if not isinstance(node, ast.Break | ast.Continue) and isinstance(node, ast.stmt | ast.expr):
            shell = isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Await)
            if shell:
                return True
        inside = looped or isinstance(node, ast.For | ast.While | ast.AsyncFor)
        stack.extend((child, inside) for child in ast.iter_child_nodes(node))
    return False


@edit("split-function", "cleanup", "split long functions", "split", "long", "modular", "readab", "maintain", "structur",
      find=_chunk_sites)  # fmt: skip
def split_function(program: Program, statement: ast.stmt, rng: Rng) -> Patch | None:
    """Move a block of a long function into a function of its own."""
    function = program.function_of(statement)
    lines = program.line_span(statement)
    tree = statements(program, statement)
    outer = program.line_span(function) if function is not None else None
    if function is None or lines is None or tree is None or outer is None:
        return None
    position = function.body.index(statement)
    before, after = function.body[:position], function.body[position + 1 :]
    known = [*(a.arg for a in program.below(function.args) if isinstance(a, ast.arg)), *names_written(*before)]
    inside = names_written(statement)
    passed = [name for name in dict.fromkeys(known) if name in [*names_read(statement), *inside]]
    looped = {
        node.target.id
        for node in program.below(statement)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }
    passed += [name for name in sorted(looped) if name not in passed]
    given = [name for name in inside if name in names_read(*after)]
    # A name that may stay unbound inside cannot be handed back.
    if any(name not in known for name in given) or len(passed) > 6:
        return None
    kinds = {ast.For: "items", ast.With: "block", ast.If: "case"}
    name = f"_{function.name.strip('_')}_{kinds.get(type(statement), 'loop')}"
    if program.fresh(name) != name:
        return None
    margin = program.margin(statement)
    call = f"{name}({', '.join(passed)})"
    call = f"{', '.join(given)} = {call}" if given else call
    back = f"{program.indent}return {', '.join(given)}\n" if given else ""
    made = f"def {name}({', '.join(passed)}):\n{render(program, tree, program.indent)}{back}\n\n"
    return patch_of(Splice(outer[0], outer[0], made), Splice(*lines, f"{margin}{call}\n"))


def _default_sites(program: Program) -> list[Function]:
    return [f for f in program.functions if _shared_defaults(f) and entry(program, f) is not None]


def _shared_defaults(function: Function) -> list[tuple[str, ast.expr]]:
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults = function.args.defaults
    pairs = zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
    return [(a.arg, d) for a, d in pairs if isinstance(d, ast.List | ast.Dict | ast.Set) and not a.annotation]


@edit("mutable-default", "cleanup", "do not share mutable defaults", "bug", "correct", "default", "clean",
      find=_default_sites, reach=2)  # fmt: skip
def mutable_default(program: Program, function: Function, rng: Rng) -> Patch | None:
    """Make a new container at each call."""
    first = entry(program, function)
    name, default = _shared_defaults(function)[0]
    if first is None:
        return None
    text = f"if {name} is None:\n    {name} = {ast.unparse(default)}"
    return patch_of(Splice(*program.span(default), "None"), insertion_before(program, first, text))


_FIELD = re.compile(r"\{\}|%s")


def _format_sites(program: Program) -> list[ast.expr]:
    return [node for kind in (ast.Call, ast.BinOp) for node in program.nodes(kind) if _formatted(program, node)]


def _formatted(program: Program, node: ast.expr) -> str:
    """Return the f-string equal to ``"{}".format(a)`` or ``"%s" % a`` with plain names, otherwise nothing."""
    if isinstance(node, ast.Call):
        held = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "format" else None
        values, field = node.args, "{}"
        if node.keywords:
            return ""
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        held, field = node.left, "%s"
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    else:
        return ""
    if not (isinstance(held, ast.Constant) and isinstance(held.value, str)) or not values:
        return ""
    text = program.text(held)
    if text[0] not in "\"'" or text.startswith(('"""', "'''")) or "\n" in text or "\\" in text:
        return ""
    bare = text.replace(field, "")
    if text.count(field) != len(values) or any(sign in bare for sign in "{}%"):
        return ""
    if not all(isinstance(value, ast.Name | ast.Attribute) and dotted(value) for value in values):
        return ""
    parts = iter(values)
    return "f" + _FIELD.sub(lambda _: f"{{{dotted(next(parts))}}}", text)


@edit("modern-format", "cleanup", "format with f-strings", "modern", "readab", "format", "pythonic", find=_format_sites,
      reach=3)  # fmt: skip
def modern_format(program: Program, node: ast.expr, rng: Rng) -> Patch | None:
    """Write values where they appear."""
    text = _formatted(program, node)
    return patch_of(Splice(*program.span(node), text)) if text else None


def _script_sites(program: Program) -> list[ast.stmt]:
    """Return the first of the trailing statements that run when the module is imported."""
    guarded = any(isinstance(n, ast.If) and "__name__" in program.text(n.test) for n in program.tree.body)
    if guarded or not program.functions or "main" in program.bound:
        return []
    trailing: list[ast.stmt] = []
    for node in reversed(program.tree.body):
        if not isinstance(node, ast.Expr | ast.For | ast.While | ast.If | ast.With) or not program.line_span(node):
            break
        trailing.append(node)
    return trailing[-1:] if trailing and program.body_after_docstring(program.tree) != trailing else []


@edit("main-guard", "cleanup", "run only as a script", "structur", "import", "modular", "clean", find=_script_sites)
def main_guard(program: Program, first: ast.stmt, rng: Rng) -> Patch | None:
    """Keep importing the module free of effects."""
    last = program.tree.body[-1]
    tree = statements(program, first, last)
    begin, finish = program.line_span(first), program.line_span(last)
    if tree is None or begin is None or finish is None:
        return None
    text = 'if __name__ == "__main__":\n' + render(program, tree, program.indent)
    lead = "" if program.source[: begin[0]].endswith("\n\n\n") else "\n"
    return patch_of(Splice(begin[0], finish[1], lead + text))


EDITS: tuple[Edit, ...] = (
    unused_imports,
    repeated_imports,
    remove_helper,
    merge_duplicates,
    extract_constant,
    split_function,
    mutable_default,
    modern_format,
    main_guard,
)
