"""What an expression holds: strings built from parts, values that come from outside, plain constants.

Every look is bounded (`BUDGET` nodes of an expression, `HOPS` variables deep,
`MAX_VARIABLES` of their values), so that a program cannot make a rule slow.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from trimtab.scoring.program import Program, Scope

__all__ = ["StringParts", "contents", "depends_on", "from_outside", "is_constant", "string_parts", "text_constant"]

BUDGET = 64
HOPS = 3
MAX_VARIABLES = 24

OUTSIDE_CALLS = frozenset({"input", "raw_input", "sys.stdin.read", "sys.stdin.readline"})
OUTSIDE_VALUES = frozenset({"sys.argv", "sys.stdin"})
REQUEST_PARTS = frozenset(
    {"args", "body", "cookies", "data", "files", "form", "GET", "get_json", "headers", "json", "params", "path", "POST"}
    | {"query_params", "values"}
)


@dataclass(frozen=True, slots=True)
class StringParts:
    """A string expression: its literal text with ``{}`` where something is put in, and what is put in there."""

    text: str
    dynamic: tuple[ast.expr, ...]


def text_constant(node: ast.expr | None) -> str | None:
    """Return the value of a string literal, or None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def is_constant(node: ast.expr | None) -> bool:
    """Tell whether an expression is a literal, a tuple or list of literals, or a name in capitals."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(isinstance(item, ast.Constant) for item in node.elts)
    if isinstance(node, ast.Name):
        return node.id.isupper()
    if isinstance(node, ast.Attribute):
        return node.attr.isupper()
    return isinstance(node, ast.Constant)


def contents(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is inside it, at most `BUDGET` nodes."""
    stack = [node]
    for _ in range(BUDGET):
        if not stack:
            return
        node = stack.pop()
        yield node
        stack.extend(ast.iter_child_nodes(node))


def string_parts(node: ast.expr, scope: Scope) -> StringParts | None:
    """Take apart an f-string, ``+``, ``%``, ``.format()`` or a variable that was assigned one; None if no string.

    A variable stands for all that its scope assigns to it, one after the other.
    """
    text: list[str] = []
    dynamic: list[ast.expr] = []
    found = False
    seen: set[str] = set()
    stack: list[tuple[ast.expr, int]] = [(node, 0)]
    for _ in range(BUDGET):
        if not stack:
            break
        part, hops = stack.pop()
        if isinstance(part, ast.Constant):
            found = found or isinstance(part.value, str)
            text.append(str(part.value))
        elif isinstance(part, ast.JoinedStr):
            found = True
            stack.extend((value, hops) for value in reversed(part.values))
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
            stack += [(part.right, hops), (part.left, hops)]
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod):
            stack.append((part.left, hops))
            dynamic += _values(part.right)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr == "format":
            stack.append((part.func.value, hops))
            dynamic += [*part.args, *(keyword.value for keyword in part.keywords)]
        elif isinstance(part, ast.Name) and hops < HOPS and part.id not in seen and scope.values(part.id):
            seen.add(part.id)
            stack.extend((value, hops + 1) for value in reversed(scope.values(part.id)))
        else:
            dynamic.append(part.value if isinstance(part, ast.FormattedValue) else part)
            text.append("{}")
    return StringParts("".join(text)[:4096], tuple(dynamic)) if found else None


def _values(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Tuple):
        return list(node.elts)
    if isinstance(node, ast.Dict):
        return list(node.values)
    return [node]


def from_outside(node: ast.expr, program: Program, scope: Scope) -> bool:
    """Tell whether a value comes from a user: ``input()``, ``sys.argv``, standard input or a web request."""
    seen: set[str] = set()
    waiting = [(node, 0)]
    for expression, hops in waiting:
        for part in contents(expression):
            if isinstance(part, ast.Call) and program.resolve(part.func) in OUTSIDE_CALLS:
                return True
            if isinstance(part, ast.Attribute) and _is_outside_attribute(part, program):
                return True
            if isinstance(part, ast.Name):
                if program.aliases.get(part.id) in OUTSIDE_VALUES:
                    return True
                if hops < HOPS and part.id not in seen and len(waiting) < MAX_VARIABLES:
                    seen.add(part.id)
                    waiting += [(value, hops + 1) for value in scope.values(part.id)]
    return False


def _is_outside_attribute(node: ast.Attribute, program: Program) -> bool:
    if program.resolve(node) in OUTSIDE_VALUES:
        return True
    owner = node.value
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return node.attr in REQUEST_PARTS and re.fullmatch(r"(?i)_?req(uest)?", name) is not None


def depends_on(node: ast.expr, names: tuple[str, ...], scope: Scope) -> bool:
    """Tell whether an expression uses one of the names, directly or through variables of the scope."""
    wanted = frozenset(names)
    seen: set[str] = set()
    waiting = [(node, 0)]
    for expression, hops in waiting:
        for part in contents(expression):
            if isinstance(part, ast.Name):
                if part.id in wanted:
                    return True
                if hops < HOPS and part.id not in seen and len(waiting) < MAX_VARIABLES:
                    seen.add(part.id)
                    waiting += [(value, hops + 1) for value in scope.assigned.get(part.id, [])]
    return False
