"""The kind of edit that adds a function or class to a program."""

from __future__ import annotations

import ast
from dataclasses import dataclass

import numpy as np

from trimtab.providers.rewriter.edits.base import Edit, own_arguments
from trimtab.providers.rewriter.patch import Patch
from trimtab.providers.rewriter.program import Program

__all__ = ["Addition", "edit_of"]


@dataclass(frozen=True, slots=True)
class Addition:
    """A definition to add: source with ``SUBJECT`` where it speaks of a function of the program."""

    name: str
    summary: str
    defines: tuple[str, ...]
    source: str
    imports: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    careless: bool = False
    weight: float = 1.0


def _subjects(program: Program) -> list[str]:
    """Return public top-level functions that take at least one argument."""
    return [
        node.name
        for node in program.tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.name != "main"
        and own_arguments(node)
    ]


def edit_of(addition: Addition) -> Edit:
    """Return the edit that adds a definition where its names are free."""
    by_subject = "SUBJECT" in addition.source

    def names(subject: str) -> list[str]:
        return [
            name.replace("SUBJECT", subject).replace("Subject", subject.title().replace("_", ""))
            for name in addition.defines
        ]

    def free(program: Program, subject: str) -> bool:
        return not any(name in program.bound or name in program.imported for name in names(subject))

    def find(program: Program) -> list[str]:
        if not by_subject:
            return [""] if free(program, "") else []
        derived = ("_batch", "_with_retry", "_timed", "_safe")
        subjects = (s for s in _subjects(program) if not s.endswith(derived))
        return [subject for subject in subjects if free(program, subject)]

    def apply(program: Program, subject: str, rng: np.random.Generator) -> Patch | None:
        text = addition.source.strip("\n")
        text = text.replace("SUBJECT", subject).replace("Subject", subject.title().replace("_", ""))
        lines = []
        for line in text.split("\n"):
            body = line.lstrip(" ")
            lines.append(program.indent * ((len(line) - len(body)) // 4) + body)
        return Patch(imports=addition.imports, tail="\n".join(lines))

    return Edit(
        addition.name,
        "feature",
        addition.summary,
        addition.words,
        find,
        apply,
        addition.careless,
        weight=addition.weight,
        growth=True,
    )
