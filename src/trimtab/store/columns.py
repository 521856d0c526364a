"""Which column of a table means what, and which of three layouts the table has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from trimtab.errors import InputError

__all__ = ["IGNORED_COLUMNS", "REPEAT_COLUMNS", "Columns", "Layout", "is_ignored", "require_columns"]

Layout = Literal["wide", "long", "scores"]

IGNORED_COLUMNS = frozenset(
    {
        "budget", "completion_tokens", "created_at", "date", "datetime", "duration", "epoch", "fold", "id", "idx",
        "index", "judge_rep", "judge_repeat", "line", "n_iter", "prompt_tokens", "rep", "repeat", "replicate", "row",
        "rowid", "run", "seed", "step", "time", "timestamp", "tokens", "total_tokens", "trial", "turn",
    }
)  # fmt: skip
"""Names of numeric columns that a wide table holds beside its objectives; compared in lower case."""

REPEAT_COLUMNS = ("judge_repeat", "judge_rep", "repeat", "rep")
"""Names of a column that tells repeated judgements apart, the clearest first; compared in lower case."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names that a table gives to what trimtab needs.

    Parameters
    ----------
    session, strategy, iteration
        Which session a row belongs to, the strategy that produced it, and its t.
    objective, value
        The two columns of the long layout.
    scores
        The column that holds one object ``{objective: number}`` a row.
    text
        The artefact, which only an import reads.
    task, model
        Labels of a session, kept as the covariates ``task_id`` and ``model``.
    label
        A further column with labels of sessions, such as versions of a prompt, kept as a covariate of its own name.
    repeat
        The column that tells apart several judgements of one score: the number of a repeat, the name of a judge, or any
        other label. Two rows of the same session, iteration (and objective) with different labels are two judgements;
        with the same label, the second is left out. None for the first of ``judge_repeat``, ``judge_rep``, ``repeat``
        and ``rep`` that the table has and that holds numbers.
    """

    session: str = "session_id"
    strategy: str = "strategy"
    iteration: str = "iteration"
    objective: str = "objective"
    value: str = "value"
    scores: str = "scores"
    text: str = "text"
    task: str = "task_id"
    model: str = "model"
    label: str | None = None
    repeat: str | None = None

    @classmethod
    def grouped_by(cls, group: str | None, **names: Any) -> Columns:
        """Return the columns called `names`, with the one that sessions are to be grouped by among their labels."""
        made = cls(**names)
        return made if group in (None, "task_id", "model", "session_id") else replace(made, label=group)

    def mapped(self) -> dict[str, str]:
        """Return the roles whose column was named by the caller, in order."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    @property
    def known(self) -> frozenset[str]:
        """Names that never are objectives of a wide table, because they mean something else."""
        named = {self.session, self.strategy, self.iteration, self.text, self.task, self.model, self.label, self.repeat}
        return frozenset(name for name in named if name is not None)


def is_ignored(name: str) -> bool:
    """Tell whether a numeric column of this name is bookkeeping rather than an objective."""
    low = name.strip().lower()
    return low in IGNORED_COLUMNS or low.startswith(("unnamed:", "__index_level_")) or not low


def require_columns(columns: Columns, names: Sequence[str], origin: str) -> None:
    """Raise ``InputError`` unless the session column and every column named by the caller is there."""
    there = _listing(names)
    if columns.session not in names:
        raise InputError(
            f"{origin} needs a column that names the session, called {columns.session!r}, but has the columns {there}; "
            f"name yours with --session-column (and --strategy-column, --iteration-column), "
            f"or in Python with columns=Columns(session=..., strategy=..., iteration=...)"
        )
    for role, name in columns.mapped().items():
        if name not in names:
            raise InputError(f"{origin} has no column {name!r}, named as the {role} column; it has {there}")
    if columns.repeat is not None and columns.iteration not in names:
        raise InputError(
            f"{origin} needs a column {columns.iteration!r} beside {columns.repeat!r}: without numbered iterations a "
            "repeated judgement cannot be told from the next iteration; name yours with --iteration-column"
        )


def _listing(names: Iterable[str], most: int = 30) -> str:
    shown = list(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(repr(name) for name in shown[:most]) + more if shown else "(none)"
