"""One parse and one walk of a Python program, giving everything the rules ask about.

The text is parsed, never compiled or executed. The walk keeps its own stack, so that the depth of the program does
not matter, and hands every node a `Context`: the scope it stands in, and how many loops and branches surround it there.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trimtab.core.python_syntax import parse_python
from trimtab.scoring.program import Call, Context, FunctionNode, Program, Scope

__all__ = ["MAX_PROGRAM_BYTES", "Unparsable", "exceeds", "parse_module", "read_program"]

MAX_PROGRAM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Unparsable:
    """Why a text is not a program.

    Parameters
    ----------
    kind
        ``"syntax"`` for a syntax error at `line`; ``"text"`` for what no parser takes (size, NUL, nesting);
        ``"empty"`` for one with nothing in it.
    reason
        For the reader, in one line.
    """

    kind: Literal["syntax", "text", "empty"]
    reason: str
    line: int | None = None


def exceeds(text: str, limit: int) -> bool:
    """Tell whether `text` takes more than `limit` bytes in UTF-8."""
    return len(text) > limit or (
        4 * len(text) > limit and not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > limit
    )


@functools.lru_cache(maxsize=2)
def parse_module(text: str) -> ast.Module | Unparsable:
    """Parse `text` without compiling it; never raises.

    The last two results are kept, because the program found in an answer is scored next. A tree must not be changed.
    """
    if exceeds(text, MAX_PROGRAM_BYTES):
        return Unparsable("text", f"the program is larger than {MAX_PROGRAM_BYTES // 1024} KB")
    if "\0" in text:
        return Unparsable("text", "the program holds a NUL character", text.count("\n", 0, text.index("\0")) + 1)
    try:
        tree = parse_python(text)
    except SyntaxError as error:
        where = f" on line {error.lineno}" if error.lineno else ""
        return Unparsable("syntax", f"syntax error{where}: {error.msg}", error.lineno)
    except (RecursionError, MemoryError):
        return Unparsable("text", "the program is nested too deeply to parse")
    except ValueError as error:
        return Unparsable("text", f"the program cannot be read: {error}")
    return tree


def read_program(text: str) -> Program | Unparsable:
    """Parse and walk `text`; never raises. A program of nothing but comments and docstrings counts as empty."""
    tree = parse_module(text)
    if isinstance(tree, Unparsable):
        return tree
    if all(_is_text(statement) for statement in tree.body):
        return Unparsable("empty", "the program holds no statement")
    program = Program(tree)
    _walk(program)
    program.calls = [
        Call(node, context, program.resolve(node.func), _last_name(node.func)) for node, context in program.of(ast.Call)
    ]
    return program


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


# Fields that hold operators, contexts, plain strings or numbers: no rule asks about them.
_LEAVES = frozenset(
    (
        "ctx",
        "op",
        "ops",
        "id",
        "attr",
        "name",
        "arg",
        "kind",
        "type_comment",
        "level",
        "module",
        "conversion",
        "simple",
        "is_async",
        "asname",
        "type_ignores",
        "rest",
        "kwd_attrs",
        "type_params",
    )
)
_NO_CHILDREN = (ast.Constant, ast.Name, ast.Global, ast.Nonlocal, ast.MatchSingleton, ast.Pass, ast.alias)


def _child_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    if issubclass(kind, _NO_CHILDREN):
        return ()
    return tuple(reversed([name for name in kind._fields if name not in _LEAVES]))


Stack = list[tuple[ast.AST, Context]]
# Each handler takes the one node type it is registered for.
Enter = Callable[[Any, Context, Stack, Program], None]


def _push(stack: Stack, context: Context, *groups: Sequence[ast.AST] | ast.AST | None) -> None:
    for group in reversed(groups):
        if isinstance(group, ast.AST):
            stack.append((group, context))
        elif group is not None:
            stack.extend((node, context) for node in reversed(group))


def _walk(program: Program) -> None:
    module = Scope("module", "", program.tree, None)
    program.scopes.append(module)
    root = Context(module)
    found = program.found
    fields: dict[type[ast.AST], tuple[str, ...]] = {}
    stack: Stack = []
    _push_body(stack, root, program.tree.body)
    size = 1
    while stack:
        node, context = stack.pop()
        size += 1
        kind = type(node)
        try:
            names = fields[kind]
            nodes = found[kind]
        except KeyError:
            names = fields[kind] = _child_fields(kind)
            nodes = found[kind] = []
        nodes.append((node, context))
        if isinstance(node, ast.stmt):
            scope = context.scope
            scope.statements += 1
            if context.depth > scope.depth:
                scope.depth = context.depth
        enter = _ENTER.get(kind)
        if enter is not None:
            enter(node, context, stack, program)
            continue
        for name in names:
            child = getattr(node, name, None)
            if child.__class__ is list:
                for item in reversed(child):
                    if isinstance(item, ast.AST):
                        stack.append((item, context))
            elif isinstance(child, ast.AST):
                stack.append((child, context))
    program.size = size


def _push_body(stack: Stack, context: Context, body: list[ast.stmt]) -> None:
    # A docstring is text about the program, not part of it.
    _push(stack, context, body[1:] if body and _is_text(body[0]) else body)


def _enter_name(node: ast.Name, context: Context, stack: Stack, program: Program) -> None:
    (program.used if isinstance(node.ctx, ast.Load) else program.bound).add(node.id)


def _enter_arg(node: ast.arg, context: Context, stack: Stack, program: Program) -> None:
    program.bound.add(node.arg)
    _push(stack, context, node.annotation)


def _enter_import(node: ast.Import, context: Context, stack: Stack, program: Program) -> None:
    for alias in node.names:
        if alias.asname:
            program.aliases[alias.asname] = alias.name
        else:
            top = alias.name.partition(".")[0]
            program.aliases[top] = top


def _enter_import_from(node: ast.ImportFrom, context: Context, stack: Stack, program: Program) -> None:
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        if alias.name != "*":
            program.aliases[alias.asname or alias.name] = f"{module}.{alias.name}"


def _parameters(arguments: ast.arguments) -> tuple[str, ...]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    return tuple(argument.arg for argument in every if argument.arg not in ("self", "cls"))


def _enter_function(node: FunctionNode, context: Context, stack: Stack, program: Program) -> None:
    program.bound.add(node.name)
    scope = Scope("function", node.name, node, context.scope, _parameters(node.args))
    program.scopes.append(scope)
    _push_body(stack, Context(scope), node.body)
    _push(stack, context, list(node.decorator_list), node.args, node.returns)


def _enter_lambda(node: ast.Lambda, context: Context, stack: Stack, program: Program) -> None:
    scope = Scope("lambda", "", node, context.scope, _parameters(node.args))
    program.scopes.append(scope)
    _push(stack, Context(scope), node.body)
    _push(stack, context, node.args)


def _enter_class(node: ast.ClassDef, context: Context, stack: Stack, program: Program) -> None:
    program.bound.add(node.name)
    scope = Scope("class", node.name, node, context.scope)
    program.scopes.append(scope)
    _push_body(stack, Context(scope), node.body)
    _push(stack, context, list(node.decorator_list), list(node.bases), [k.value for k in node.keywords])


def _enter_loop(node: ast.For | ast.AsyncFor | ast.While, context: Context, stack: Stack, program: Program) -> None:
    context.scope.complexity += 1
    inside = context.inside(loop=1, depth=1)
    _push(stack, context.inside(depth=1), node.orelse)
    _push(stack, inside, node.body)
    if isinstance(node, ast.While):
        _push(stack, inside, node.test)
    else:
        _push(stack, context, node.target, node.iter)


def _enter_if(node: ast.If, context: Context, stack: Stack, program: Program) -> None:
    context.scope.complexity += 1
    inside = context.inside(depth=1)
    is_elif = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
    _push(stack, context if is_elif else inside, node.orelse)
    _push(stack, inside, node.body)
    _push(stack, context, node.test)


def _enter_try(node: ast.Try | ast.TryStar, context: Context, stack: Stack, program: Program) -> None:
    context.scope.complexity += len(node.handlers)
    inside = context.inside(depth=1)
    _push(stack, context.inside(depth=1, guarded=bool(node.handlers)), node.body)
    _push(stack, context.inside(depth=1, handler=True), list(node.handlers))
    _push(stack, inside, node.orelse, node.finalbody)


def _enter_handler(node: ast.ExceptHandler, context: Context, stack: Stack, program: Program) -> None:
    if node.name:
        program.bound.add(node.name)
    _push(stack, context, node.type, node.body)


def _enter_case(node: ast.match_case, context: Context, stack: Stack, program: Program) -> None:
    context.scope.complexity += 1
    _push(stack, context.inside(depth=1), node.pattern, node.guard, node.body)


def _enter_comprehension(
    node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, context: Context, stack: Stack, program: Program
) -> None:
    for position, generator in enumerate(node.generators, start=1):
        inside = context.inside(loop=position)
        context.scope.complexity += len(generator.ifs)
        _push(stack, inside, generator.target, list(generator.ifs))
        _push(stack, context.inside(loop=position - 1), generator.iter)
    parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
    _push(stack, context.inside(loop=len(node.generators)), *parts)


def _enter_binary(node: ast.BinOp, context: Context, stack: Stack, program: Program) -> None:
    # Only the outermost operation of a chain is looked at as a whole.
    for side in (node.left, node.right):
        if isinstance(side, ast.BinOp):
            program.inner.add(id(side))
    _push(stack, context, node.left, node.right)


def _enter_boolean(node: ast.BoolOp, context: Context, stack: Stack, program: Program) -> None:
    context.scope.complexity += len(node.values) - 1
    _push(stack, context, list(node.values))


def _enter_conditional(node: ast.IfExp, context: Context, stack: Stack, program: Program) -> None:
    context.scope.complexity += 1
    _push(stack, context, node.test, node.body, node.orelse)


def _enter_assignment(
    node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr, context: Context, stack: Stack, program: Program
) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if node.value is not None:
        for target in targets:
            if isinstance(target, ast.Name):
                context.scope.assign(target.id, node.value)
    annotation = node.annotation if isinstance(node, ast.AnnAssign) else None
    _push(stack, context, list(targets), annotation, node.value)


_ENTER: Mapping[type[ast.AST], Enter] = {
    ast.Name: _enter_name,
    ast.arg: _enter_arg,
    ast.Import: _enter_import,
    ast.ImportFrom: _enter_import_from,
    ast.FunctionDef: _enter_function,
    ast.AsyncFunctionDef: _enter_function,
    ast.Lambda: _enter_lambda,
    ast.ClassDef: _enter_class,
    ast.For: _enter_loop,
    ast.AsyncFor: _enter_loop,
    ast.While: _enter_loop,
    ast.If: _enter_if,
    ast.Try: _enter_try,
    ast.TryStar: _enter_try,
    ast.ExceptHandler: _enter_handler,
    ast.match_case: _enter_case,
    ast.ListComp: _enter_comprehension,
    ast.SetComp: _enter_comprehension,
    ast.DictComp: _enter_comprehension,
    ast.GeneratorExp: _enter_comprehension,
    ast.BinOp: _enter_binary,
    ast.BoolOp: _enter_boolean,
    ast.IfExp: _enter_conditional,
    ast.Assign: _enter_assignment,
    ast.AnnAssign: _enter_assignment,
    ast.AugAssign: _enter_assignment,
    ast.NamedExpr: _enter_assignment,
}
