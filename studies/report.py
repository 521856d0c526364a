"""``docs/calibration.md``: what the study found, for somebody who knows no statistics."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import jinja2

from pictures import coverage_picture, labels_picture, reliability_picture

__all__ = ["write"]

FIGURES = ("rate", "smooth rate", "equilibrium", "interference")
LABELS = ("dynamics", "noise", "static level", "trend", "undetermined")
BANDS = {"100": (0.93, 0.97), "20": (0.90, 1.0)}


def write(results: dict[str, Any], out: Path) -> None:
    """Write the page and its pictures into `out`."""
    pictures = out / "calibration"
    pictures.mkdir(parents=True, exist_ok=True)
    labels_picture({kind: one["labels"] for kind, one in results["false alarms"].items()}, pictures / "labels.svg")
    for sessions, band in BANDS.items():
        coverage_picture(results[sessions], FIGURES, band, int(sessions), pictures / f"coverage-{sessions}.svg")
    bins = results["regimes"]["bins"]
    points = [(one["given"], one["true"], one["count"], one["error"]) for one in bins]
    reliability_picture(points, pictures / "regimes.svg")
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    environment.filters |= {"percent": _percent, "aimed": _aimed, "likeliest": _likeliest}
    template = environment.from_string(Path(__file__).with_name("calibration.md.jinja").read_text(encoding="utf-8"))
    (out / "calibration.md").write_text(template.render(_facts(results)), encoding="utf-8")


def _facts(results: dict[str, Any]) -> dict[str, Any]:
    alarms, bins = results["false alarms"], results["regimes"]["bins"]
    return {
        "replicates": results["replicates"],
        "minutes": results["minutes"],
        "figures": FIGURES,
        "labels": LABELS,
        "bands": BANDS,
        "alarms": alarms,
        "worst": max(one["labels"].get("dynamics", 0.0) for one in alarms.values()),
        "power": results["power"],
        "seen": results["power"]["0.5"]["100"].get("dynamics", 0.0),
        "good": _counts(results["100"], BANDS["100"], "trusted rung"),
        "few": _counts(results["20"], BANDS["20"], "trusted rung"),
        "plain": _counts(results["100"], BANDS["100"], "least_squares"),
        "middle": max(bins, key=lambda one: abs(one["given"] - one["true"])),
        "luck": {sessions: _luck(results["replicates"][sessions]) for sessions in BANDS},
        "cells": {sessions: results[sessions] for sessions in BANDS},
        "regimes": results["regimes"],
        "short": {sessions: _shortfalls(results, sessions) for sessions in BANDS},
        "wrong": [
            {"share": cell["false regime"], "sessions": sessions, "name": name}
            for sessions in BANDS
            for name, cell in results[sessions].items()
            if cell["false regime"] > 0.05
        ],
    }


def _counts(cells: dict[str, Any], band: tuple[float, float], which: str) -> dict[str, float]:
    """Return how many coverages lie within the band, above and below it."""
    found = [one["coverage"] for cell in cells.values() for one in cell[which].values()]
    within = sum(band[0] <= share <= band[1] for share in found)
    below = sum(share < band[0] for share in found)
    above = len(found) - within - below
    return {"checks": len(found), "within": within, "below": below, "above": above, "lowest": min(found)}


def _shortfalls(results: dict[str, Any], sessions: str) -> dict[str, Any]:
    """Return how many coverages lie below the aim, and those that do so by more than luck."""
    low, count = BANDS[sessions][0], results["replicates"][sessions]
    rows = [
        {
            "figure": figure,
            "name": name,
            "coverage": one["coverage"],
            "claimed": one["coverage where claimed"],
            "share": one["claimed"],
            "flagged": cell["flagged"] if figure == "rate" else None,
        }
        for name, cell in results[sessions].items()
        for figure, one in cell["trusted rung"].items()
    ]
    missed = [row for row in rows if row["coverage"] < low - 2 * math.sqrt(low * (1 - low) / count)]
    return {
        "checks": len(rows),
        "below": sum(row["coverage"] < low for row in rows),
        "missed": sorted(missed, key=lambda row: row["coverage"]),
    }


def _luck(count: int) -> dict[str, float]:
    half = 2 * math.sqrt(0.95 * 0.05 / count)
    return {"low": 0.95 - half, "high": min(0.95 + half, 1.0)}


def _percent(share: float | None) -> str:
    if share is None or math.isnan(share):
        return "–"
    # Never rounded to all or none.
    return f"{share:.1%}" if 0 < share < 0.0995 or 0.995 <= share < 1 else f"{share:.0%}"


def _aimed(share: float, low: float) -> str:
    return f"**{_percent(share)}**" if share < low else _percent(share)


def _likeliest(shares: dict[str, float]) -> str:
    return max(shares, key=lambda name: shares[name]).replace("_", " ")


def main() -> None:
    """Write the page again from the figures beside it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    out = parser.parse_args().out
    write(json.loads((out / "calibration.json").read_text(encoding="utf-8")), out)


if __name__ == "__main__":
    main()
