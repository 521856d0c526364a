"""Score the texts of a JSONL file row by row, without a store in between."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError, SourceError
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.text import score_text

__all__ = ["RescoreCount", "is_jsonl", "rescored_rows"]

MAX_LINE = 16 * 2**20

_LONGEST_NAME = 60
_MOST_NAMES = 1_000
_NAMES_SHOWN = 10


def is_jsonl(path: Path) -> bool:
    """Tell whether `path` is named like a JSONL file, plain or compressed."""
    return path.name.lower().endswith((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"))


@dataclass(slots=True)
class RescoreCount:
    """What happened to the rows: how many were scored, why others were not, and which scores gave way."""

    scored: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    replaced_names: Counter[str] = field(default_factory=Counter)
    replaced_others: int = 0

    def exclusions(self) -> tuple[Exclusion, ...]:
        """Return the rows left out, the texts that failed and the scores replaced, by reason, most frequent first."""
        return (
            *(Exclusion(reason, count, "rows") for reason, count in self.skipped.most_common()),
            *(Exclusion(f"text not scored: {reason}", count, "rows") for reason, count in self.failed.most_common()),
            *self._replacements(),
        )

    def replace(self, old: object) -> None:
        """Count `old`, what a row had in the place of its scores."""
        if isinstance(old, dict):
            self.replaced += bool(old)
            for name in old:
                # Names come from the file: neither their length nor their number may be trusted.
                short = name[:_LONGEST_NAME]
                if short in self.replaced_names or len(self.replaced_names) < _MOST_NAMES:
                    self.replaced_names[short] += 1
        elif old is not None:
            self.replaced_others += 1

    def _replacements(self) -> Iterator[Exclusion]:
        if self.replaced:
            names = [repr(name) for name, _ in self.replaced_names.most_common()]
            more = " and others" if len(names) > _NAMES_SHOWN else ""
            yield Exclusion(
                f"scores that were there were replaced: {', '.join(names[:_NAMES_SHOWN])}{more}", self.replaced, "rows"
            )
        if self.replaced_others:
            yield Exclusion("'scores' held no object and was replaced", self.replaced_others, "rows")


def rescored_rows(path: Path, scorer: Scorer, text_column: str, count: RescoreCount) -> Iterator[dict[str, Any]]:
    """Yield every row of a JSONL file with its ``scores`` replaced by those of `scorer`; `count` is kept up to date.

    A score that failed is left out of ``scores``, and ``failures`` says why; one of an earlier scoring is dropped.

    Raises
    ------
    InputError
        If no row holds the text column.
    SourceError
        If the file cannot be read to its end.
    """
    seen_text = False
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            count.skipped["not a JSON object"] += 1
            continue
        seen_text = seen_text or text_column in row
        text = row.get(text_column)
        if not isinstance(text, str):
            count.skipped[f"no text in {text_column!r}"] += 1
            continue
        scores = score_text(text, scorer, ScoringContext(task_id=str(row.get("task_id", f"row {number}")))).scores
        count.replace(row.get("scores"))
        row.pop("failures", None)
        row["scores"] = {score.objective: score.value for score in scores if score.value is not None}
        failures = {score.objective: score.reason for score in scores if score.value is None}
        if failures:
            row["failures"] = failures
            count.failed[_kind(next(iter(failures.values())))] += 1
        else:
            count.scored += 1
        yield row
    if not seen_text:
        raise InputError(f"{path} needs a field {text_column!r} with the text to score; name yours with --text-column")


def _kind(reason: str) -> str:
    """Return the part of a reason that does not differ from text to text."""
    return reason.split(" on line")[0].split(":")[0]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            while line := file.readline(MAX_LINE):
                yield line.decode("utf-8-sig", errors="replace")
    except (OSError, EOFError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
