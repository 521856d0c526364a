"""What the rules see of a Python program: its nodes by type, each with the scope, loops and branches around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

__all__ = ["Call", "Context", "FunctionNode", "Program", "Scope"]

N = TypeVar("N", bound=ast.AST)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
MAX_VALUES = 16


@dataclass(eq=False, slots=True)
class Scope:
    """A module, class or function with what the walk learned about its own body (nested scopes apart).

    At most `MAX_VALUES` values are remembered for a name.
    """

    kind: Literal["module", "class", "function", "lambda"]
    name: str
    node: ast.AST
    parent: Scope | None
    params: tuple[str, ...] = ()
    assigned: dict[str, list[ast.expr]] = field(default_factory=dict)
    complexity: int = 1
    depth: int = 0
    statements: int = 0

    def assign(self, name: str, value: ast.expr) -> None:
        """Remember a value assigned to `name`."""
        values = self.assigned.setdefault(name, [])
        if len(values) < MAX_VALUES:
            values.append(value)

    def values(self, name: str) -> list[ast.expr]:
        """Return what is assigned to `name` in the nearest scope that assigns it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.assigned:
                return scope.assigned[name]
            if name in scope.params:
                return []
            scope = scope.parent
        return []

    @property
    def function(self) -> Scope | None:
        """The nearest function around, itself included; None at module or class level."""
        scope: Scope | None = self
        while scope is not None and scope.kind == "lambda":
            scope = scope.parent
        return scope if scope is not None and scope.kind == "function" else None


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Where a node stands.

    Parameters
    ----------
    loop
        Number of loops around it within its scope; generators of comprehensions count.
    depth
        Number of branching statements around it within its scope (``if``, loops, ``try``, ``match``; not ``with``).
    guarded
        True inside the body of a ``try`` that catches something.
    handler
        True inside an ``except`` clause.
    """

    scope: Scope
    loop: int = 0
    depth: int = 0
    guarded: bool = False
    handler: bool = False

    def inside(self, loop: int = 0, depth: int = 0, guarded: bool = False, handler: bool = False) -> Context:
        """Return the context of something inside this one."""
        return Context(
            self.scope, self.loop + loop, self.depth + depth, self.guarded or guarded, self.handler or handler
        )


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call with its callee's full dotted name ("" where that is not a module's or a builtin) and last attribute."""

    node: ast.Call
    context: Context
    name: str
    attr: str

    def keyword(self, name: str) -> ast.expr | None:
        """Return the value given for a keyword, or None."""
        for keyword in self.node.keywords:
            if keyword.arg == name:
                return keyword.value
        return None

    @property
    def first(self) -> ast.expr | None:
        """The first positional argument, or None."""
        return self.node.args[0] if self.node.args else None


@dataclass(eq=False, slots=True)
class Program:
    """A parsed program.

    Parameters
    ----------
    size
        Number of statements, expressions and arguments of the syntax tree, docstrings not counted: a length that
        layout and comments do not change.
    aliases
        What each imported name stands for: ``{"sp": "subprocess", "system": "os.system"}``.
    bound, used
        Names assigned, defined or taken as parameters anywhere; names read anywhere.
    """

    tree: ast.Module
    size: int = 0
    aliases: dict[str, str] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    scopes: list[Scope] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    found: dict[type[ast.AST], list[tuple[ast.AST, Context]]] = field(default_factory=dict)
    inner: set[int] = field(default_factory=set)

    def of(self, kind: type[N]) -> list[tuple[N, Context]]:
        """Return the nodes of one type in source order, each with its context."""
        return cast("list[tuple[N, Context]]", self.found.get(kind, []))

    def attempts(self) -> list[tuple[ast.Try | ast.TryStar, Context]]:
        """Return every ``try`` statement."""
        return [*self.of(ast.Try), *self.of(ast.TryStar)]

    def managers(self) -> list[tuple[ast.With | ast.AsyncWith, Context]]:
        """Return every ``with`` statement."""
        return [*self.of(ast.With), *self.of(ast.AsyncWith)]

    def imports(self) -> list[tuple[ast.Import | ast.ImportFrom, Context]]:
        """Return every import statement."""
        return [*self.of(ast.Import), *self.of(ast.ImportFrom)]

    def for_loops(self) -> list[tuple[ast.For | ast.AsyncFor, Context]]:
        """Return every ``for`` statement."""
        return [*self.of(ast.For), *self.of(ast.AsyncFor)]

    def functions(self) -> Iterator[tuple[FunctionNode, Scope]]:
        """Yield each function definition with its own scope."""
        for scope in self.scopes:
            if isinstance(scope.node, FunctionNode):
                yield scope.node, scope

    def resolve(self, node: ast.expr) -> str:
        """Return the dotted name that an expression refers to through imports, or "" for a local object."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        root = self.aliases.get(node.id)
        if root is None:
            if node.id in self.bound:
                return ""
            root = node.id
        parts.append(root)
        return ".".join(reversed(parts)).removeprefix("builtins.")
