"""A Python program as the rewriter sees it: source, syntax tree, and an index of both.

Patterns are looked for on the tree of the standard library's ``ast``, which parses a hundred lines in about a
millisecond; ``libcst``, which keeps comments and layout but takes ten times as long, is then given only the expression
or statement that is to change (see ``syntax``).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeVar

from trimtab.core.python_syntax import parse_python

__all__ = ["MAX_DEPTH", "MAX_NODES", "MAX_SOURCE", "Function", "Program", "descend", "dotted", "parse"]

#: Longest source that is looked at, in characters.
MAX_SOURCE = 64 * 1024
#: Deepest nesting of the syntax tree that is edited: libcst writes code by recursion.
MAX_DEPTH = 64
#: Most nodes of the syntax tree that is edited.
MAX_NODES = 20_000

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)

#: Fields that hold no nodes, or only operators and contexts, which their owners are asked for where they matter.
_BARE = frozenset(
    (
        *("ctx", "op", "ops", "kind", "type_comment", "type_ignores", "id", "attr", "conversion", "simple"),
        *("is_async", "level", "module"),
    )
)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {ast.Constant: ()}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

_COMPOUND = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.AsyncFor, ast.While),
    *(ast.With, ast.AsyncWith, ast.Try, ast.ExceptHandler),
)
_BLOCKS = ("body", "orelse", "finalbody")


def parse(source: str) -> ast.Module | None:
    """Return the tree of `source`, or None where it is too long or no Python program; never raise."""
    if len(source) > MAX_SOURCE:
        return None
    try:
        return parse_python(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a chain of names, otherwise the empty string.

    >>> dotted(ast.parse("os.path.join", mode="eval").body)
    'os.path.join'
    """
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


class Program:
    """A parsed program with parents, nodes by type, calls by name and character offsets.

    Parameters
    ----------
    source
        The program, with plain line ends.
    tree
        What `parse` made of it.
    """

    def __init__(self, source: str, tree: ast.Module) -> None:
        self.source = source
        self.tree = tree
        self.lines = source.split("\n")
        self.parent: dict[ast.AST, ast.AST] = {}
        self._kinds: dict[type[ast.AST], list[Any]] = {}
        #: Names inside f-strings: Python 3.11 gives no usable positions there.
        self.embedded: set[ast.AST] = set()
        self._order: list[ast.AST] = []
        self._depths: list[int] = []
        self._line_spans: dict[ast.stmt, tuple[int, int] | None] = {}
        self._walk()
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._ascii = source.isascii()

    @classmethod
    def read(cls, source: str, tree: ast.Module | None = None) -> Program | None:
        """Return the program in `source`, or None where it cannot be parsed, or is too large or deep to edit."""
        tree = tree or parse(source)
        if tree is None or not tree.body:
            return None
        program = cls(source, tree)
        return program if program.depth <= MAX_DEPTH and program.size <= MAX_NODES else None

    def _walk(self) -> None:
        stack: list[tuple[ast.AST, int, bool]] = [(self.tree, 0, False)]
        kinds, parent, order, depths = self._kinds, self.parent, self._order, self._depths
        while stack and len(order) <= MAX_NODES:
            node, depth, inside = stack.pop()
            order.append(node)
            depths.append(depth)
            kind = type(node)
            if not inside:
                kinds.setdefault(kind, []).append(node)
                inside = kind is ast.JoinedStr
            elif kind is ast.Name:
                self.embedded.add(node)
                kinds.setdefault(kind, []).append(node)
            depth += 1
            for child in _children(node):
                parent[child] = node
                stack.append((child, depth, inside))
        self.depth = max(depths)
        self.size = len(order)

    @cached_property
    def _positions(self) -> dict[ast.AST, int]:
        return {node: position for position, node in enumerate(self._order)}

    def below(self, node: ast.AST) -> list[ast.AST]:
        """Return a node of this program and all nodes below it, in source order."""
        start = self._positions[node]
        depths, end, top = self._depths, start + 1, self._depths[start]
        while end < len(depths) and depths[end] > top:
            end += 1
        return self._order[start:end]

    def nodes(self, kind: type[Node]) -> list[Node]:
        """Return the nodes of exactly this type, in source order, without those inside f-strings (names excepted)."""
        return self._kinds.get(kind, [])

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods, in source order."""
        found: list[Function] = [*self.nodes(ast.FunctionDef), *self.nodes(ast.AsyncFunctionDef)]
        return sorted(found, key=lambda function: function.lineno)

    @cached_property
    def blocks(self) -> list[list[ast.stmt]]:
        """Every list of statements, that of the module first."""
        found = [self.tree.body]
        for kind in _COMPOUND:
            for node in self.nodes(kind):
                found += [block for field in _BLOCKS if (block := getattr(node, field, None))]
        return found

    @cached_property
    def calls(self) -> dict[str, list[ast.Call]]:
        """Calls by dotted name of what is called."""
        found: dict[str, list[ast.Call]] = {}
        for call in self.nodes(ast.Call):
            name = dotted(call.func)
            if name:
                found.setdefault(name, []).append(call)
        return found

    def calls_to(self, *names: str) -> list[ast.Call]:
        """Return the calls to any of the dotted `names`."""
        return [call for name in names for call in self.calls.get(name, ())]

    @cached_property
    def loads(self) -> Counter[str]:
        """How often each name is read."""
        return Counter(name.id for name in self.nodes(ast.Name) if isinstance(name.ctx, ast.Load))

    @cached_property
    def mentioned(self) -> Counter[str]:
        """How often each name is read, bound or deleted."""
        return Counter(name.id for name in self.nodes(ast.Name))

    @cached_property
    def imported(self) -> dict[str, str]:
        """For each name bound by a top-level import, the statement that would bind it alone."""
        found = {}
        for statement in self.tree.body:
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                    found[alias.asname or alias.name.split(".")[0]] = text
            elif isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    origin = "." * statement.level + (statement.module or "")
                    text = f"from {origin} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                    found[alias.asname or alias.name] = text
        return found

    @cached_property
    def bound(self) -> frozenset[str]:
        """Names bound anywhere other than by a top-level import."""
        found = {name.id for name in self.nodes(ast.Name) if not isinstance(name.ctx, ast.Load)}
        found.update(argument.arg for argument in self.nodes(ast.arg))
        found.update(function.name for function in self.functions)
        found.update(definition.name for definition in self.nodes(ast.ClassDef))
        found.update(handler.name for handler in self.nodes(ast.ExceptHandler) if handler.name)
        return frozenset(found)

    @cached_property
    def top(self) -> dict[str, ast.stmt]:
        """Functions, classes and simple assignments of the module, by name."""
        found: dict[str, ast.stmt] = {}
        for statement in self.tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[statement.name] = statement
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                found[statement.targets[0].id] = statement
        return found

    @cached_property
    def indent(self) -> str:
        """One level of indentation."""
        for block in (*self.functions, *self.nodes(ast.ClassDef), *self.nodes(ast.If), *self.nodes(ast.For)):
            first = block.body[0]
            line = self.lines[first.lineno - 1]
            width = first.col_offset - block.col_offset
            if first.lineno > block.lineno and width > 0 and not line[: first.col_offset].strip():
                return line[block.col_offset : first.col_offset]
        return "    "

    @cached_property
    def length(self) -> int:
        """Number of lines that are not blank."""
        return sum(1 for line in self.lines if line.strip())

    def fresh(self, name: str) -> str:
        """Return `name`, or `name` with a number where the program already uses it."""
        taken = name
        number = 2
        while taken in self.bound or taken in self.imported or taken in self.loads:
            taken = f"{name}_{number}"
            number += 1
        return taken

    def _offset(self, line: int, column: int) -> int:
        if not self._ascii:
            column = len(self.lines[line - 1].encode()[:column].decode(errors="ignore"))
        return self._starts[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the character offsets at which a positioned node begins and ends."""
        positioned: Any = node
        return (
            self._offset(positioned.lineno, positioned.col_offset),
            self._offset(positioned.end_lineno, positioned.end_col_offset),
        )

    def text(self, node: ast.AST) -> str:
        """Return the source of a positioned node."""
        start, end = self.span(node)
        return self.source[start:end]

    def line_span(self, statement: ast.stmt) -> tuple[int, int] | None:
        """Return the offsets of the whole lines a statement fills, or None where it shares a line with another."""
        if statement not in self._line_spans:
            self._line_spans[statement] = self._line_span(statement)
        return self._line_spans[statement]

    def _line_span(self, statement: ast.stmt) -> tuple[int, int] | None:
        line = self.lines[statement.lineno - 1]
        if len(line) - len(line.lstrip()) != statement.col_offset:
            return None
        start, end = self.span(statement)
        if self.source.startswith("elif", start):
            return None
        finish = self._starts[statement.end_lineno or statement.lineno]
        tail = self.source[end : finish - 1].strip()
        if tail and not tail.startswith("#"):
            return None
        first = statement.lineno
        decorators = getattr(statement, "decorator_list", ())
        if decorators:
            first = min(first, *(decorator.lineno for decorator in decorators))
        return self._starts[first - 1], min(finish, len(self.source))

    def margin(self, statement: ast.stmt) -> str:
        """Return the white space before a statement that begins its line."""
        return self.lines[statement.lineno - 1][: statement.col_offset]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield parent, grandparent and so on up to the module."""
        while node in self.parent:
            node = self.parent[node]
            yield node

    def statement_of(self, node: ast.AST) -> ast.stmt:
        """Return the innermost statement that holds `node`, or `node` itself."""
        while not isinstance(node, ast.stmt):
            node = self.parent[node]
        return node

    def function_of(self, node: ast.AST) -> Function | None:
        """Return the innermost function that holds `node`, None at module or class level."""
        for above in self.ancestors(node):
            if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef):
                return above
        return None

    def loop_of(self, node: ast.AST) -> ast.For | ast.While | None:
        """Return the innermost loop whose every round evaluates `node`, within the same function."""
        below = node
        for above in self.ancestors(node):
            if isinstance(above, _SCOPES):
                return None
            if isinstance(above, ast.While) and below not in above.orelse:
                return above
            if isinstance(above, ast.For) and below in above.body:
                return above
            below = above
        return None

    def block_of(self, statement: ast.stmt) -> tuple[list[ast.stmt], int]:
        """Return the list of statements that holds `statement`, and its position there."""
        above: Any = self.parent[statement]
        for field in _BLOCKS:
            block = getattr(above, field, None)
            if isinstance(block, list):
                for position, other in enumerate(block):
                    if other is statement:
                        return block, position
        return [statement], 0

    def next_of(self, statement: ast.stmt) -> ast.stmt | None:
        """Return the statement after `statement` in its block."""
        block, position = self.block_of(statement)
        return block[position + 1] if position + 1 < len(block) else None

    def body_after_docstring(self, function: ast.AST) -> list[ast.stmt]:
        """Return the statements of a function, class or module without its docstring."""
        body: list[ast.stmt] = getattr(function, "body", [])
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            return body[1:]
        return body

    def mentions(self, node: ast.AST, pattern: re.Pattern[str]) -> bool:
        """Return whether the source of `node` matches `pattern` somewhere."""
        return pattern.search(self.text(node)) is not None


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes directly below `node`, last first."""
    kind = type(node)
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = tuple(field for field in reversed(kind._fields) if field not in _BARE)
    found = []
    for field in fields:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [child for child in reversed(value) if isinstance(child, ast.AST)]
    return found


def descend(node: ast.AST) -> Iterator[ast.AST]:
    """Yield `node` and all below it, iteratively, in source order."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack += _children(current)
