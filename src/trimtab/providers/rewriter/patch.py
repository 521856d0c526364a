"""Patches: what an edit wants changed, and how several of them are put into one program."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.providers.rewriter.program import Program

__all__ = ["Patch", "Splice", "compatible", "compose", "importable"]

_DEFINITION = re.compile(r"^(?:async def|def|class) (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace the characters ``start:end`` of the source by `text`; an empty range inserts."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Patch:
    """One edit at one place.

    Parameters
    ----------
    splices
        Changes in place; they must not overlap.
    imports
        Import statements the new code needs, such as ``"import os"``.
    constants
        Lines for the top of the module, below the imports.
    tail
        New definitions for the end of the module, above its ``__main__`` guard.
    unbinds
        Names that the patch removes from the module.
    """

    splices: tuple[Splice, ...] = ()
    imports: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    tail: str = ""
    unbinds: frozenset[str] = frozenset()


def _binds(statement: str) -> str:
    return statement.rsplit(" ", 1)[-1].split(".")[0]


def importable(program: Program, statement: str) -> bool:
    """Return whether an import would bind a name that means nothing else in the program."""
    name = _binds(statement)
    if name in program.bound:
        return False
    return program.imported.get(name, statement) == statement


def _apart(one: Splice, other: Splice) -> bool:
    if one.start == other.start and one.start == one.end and other.start == other.end:
        # Whole lines go in one after the other; two pieces of one line would run into each other.
        return one.text.endswith("\n") and other.text.endswith("\n")
    if one.start == one.end:
        return one.start <= other.start or one.start >= other.end
    if other.start == other.end:
        return other.start <= one.start or other.start >= one.end
    return one.end <= other.start or other.end <= one.start


def _defined(patch: Patch) -> dict[str, str]:
    found = {line.split(" ", 1)[0].rstrip(":"): line for line in patch.constants}
    found.update((match.group(1), patch.tail) for match in _DEFINITION.finditer(patch.tail))
    return found


def _uses(patch: Patch, names: frozenset[str]) -> bool:
    """Return whether a patch brings in code that speaks of any of the names."""
    if not names:
        return False
    text = "\n".join([patch.tail, *patch.imports, *patch.constants, *(splice.text for splice in patch.splices)])
    return any(re.search(rf"\b{re.escape(name)}\b", text) for name in sorted(names))


def compatible(taken: Sequence[Patch], new: Patch) -> bool:
    """Return whether `new` can be put into a program together with the `taken` patches.

    It cannot where it changes what another changes, defines a name that another defines differently, or speaks of a
    name that another removes.
    """
    defined = _defined(new)
    for patch in taken:
        if not all(_apart(one, other) for one in new.splices for other in patch.splices):
            return False
        known = _defined(patch)
        if any(known.get(name, text) != text for name, text in defined.items()):
            return False
        if _uses(patch, new.unbinds) or _uses(new, patch.unbinds):
            return False
    return True


def _header_end(program: Program) -> int:
    """Return the offset of the line below the module's docstring and leading imports."""
    end = 0
    for position, statement in enumerate(program.tree.body):
        docstring = (
            position == 0
            and isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        )
        if not docstring and not isinstance(statement, ast.Import | ast.ImportFrom):
            break
        lines = program.line_span(statement)
        if lines is None:
            break
        end = lines[1]
    if not end:
        # A comment such as the interpreter line stays first.
        for line in program.lines:
            if not line.startswith("#"):
                break
            end += len(line) + 1
    return min(end, len(program.source))


def _constants_end(program: Program, header: int) -> int:
    """Return the offset below the constants that follow the imports; `header` where there are none."""
    end = header
    for statement in program.tree.body:
        lines = program.line_span(statement)
        if lines is None or lines[1] <= header:
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Name) or not (target.id.isupper() or target.id == "logger"):
            break
        end = lines[1]
    return end if program.source[:end].endswith("\n") else header


def _tail_start(program: Program) -> int:
    """Return the offset above the ``__main__`` guard, or the end."""
    for statement in reversed(program.tree.body):
        if isinstance(statement, ast.If) and "__name__" in program.text(statement.test):
            lines = program.line_span(statement)
            if lines is not None:
                return lines[0]
    return len(program.source)


def compose(program: Program, patches: Sequence[Patch]) -> str:
    """Return the program's source with all `patches` in it; they must be `compatible`."""
    splices: list[Splice] = []
    imports = dict.fromkeys(
        statement for patch in patches for statement in patch.imports if _binds(statement) not in program.imported
    )
    constants = dict.fromkeys(line for patch in patches for line in patch.constants)
    header = _header_end(program)
    after = _constants_end(program, header)
    top = "".join(f"{line}\n" for line in imports)
    if constants and after == header:
        top += "\n" + "".join(f"{line}\n" for line in constants)
    elif constants:
        splices.append(Splice(after, after, "".join(f"{line}\n" for line in constants)))
    if top:
        before = program.source[:header]
        # A last line without its line end would swallow the insertion.
        lead = "\n" if before and not before.endswith("\n") else ""
        following = program.source[header:].lstrip(" ")
        fresh = not any(isinstance(node, ast.Import | ast.ImportFrom) for node in program.tree.body)
        gap = "\n" if following and (constants or fresh) and not following.startswith("\n") else ""
        splices.append(Splice(header, header, lead + top + gap))
    tails = [patch.tail.strip("\n") for patch in patches if patch.tail]
    if tails:
        start = _tail_start(program)
        at_end = start == len(program.source)
        before = program.source[:start]
        lead = "\n" * max(0, 3 - (len(before) - len(before.rstrip("\n"))))
        text = lead + "\n\n\n".join(tails) + "\n" + ("" if at_end else "\n\n")
        splices.append(Splice(start, start, text))
    # Where one of them shares its place with a change of a statement there, it comes first.
    splices += [splice for patch in patches for splice in patch.splices]
    pieces = []
    position = 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        pieces += [program.source[position : splice.start], splice.text]
        position = max(position, splice.end)
    pieces.append(program.source[position:])
    return "".join(pieces)
