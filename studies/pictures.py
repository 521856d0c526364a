"""The pictures of ``docs/calibration.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

__all__ = ["coverage_picture", "labels_picture", "reliability_picture"]

COLORS = {
    "dynamics": "#4b5cc4",
    "noise": "#b0b0b0",
    "static level": "#ddcc77",
    "trend": "#2a9d6f",
    "undetermined": "#e6e6e6",
}
TRUSTED, PAPER = "#4b5cc4", "#cc6677"

plt.rcParams.update(
    {
        "svg.hashsalt": "trimtab",
        "svg.fonttype": "none",
        "font.size": 10,
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "white",
    }
)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def labels_picture(rows: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw, for each kind of experiment without dynamics, how often it gets each verdict."""
    names = list(rows)
    figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(names) + 1.2))
    left = np.zeros(len(names))
    for label, color in COLORS.items():
        share = np.array([rows[name].get(label, 0.0) for name in names])
        axes.barh(names, share, left=left, color=color, label=label, height=0.7)
        left += share
    axes.axvline(0.05, color="black", linewidth=1, linestyle=":")
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of experiments with each verdict (dotted: 5%)")
    axes.invert_yaxis()
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=5, frameon=False)
    _save(figure, path)


def coverage_picture(
    cells: Mapping[str, Any], figures: Sequence[str], band: tuple[float, float], sessions: int, path: Path
) -> None:
    """Draw the coverage of every figure in every cell, of the trusted rung and of least squares alone."""
    names = list(cells)
    figure, panels = plt.subplots(1, len(figures), figsize=(11, 0.26 * len(names) + 1.4), sharey=True)
    places = np.arange(len(names))
    for axes, wanted in zip(panels, figures, strict=True):
        axes.axvspan(*band, color="#e3e6f7", zorder=0)
        for which, color, shape in (("least_squares", PAPER, "x"), ("trusted rung", TRUSTED, "o")):
            values = [cells[name][which][wanted].get("coverage") for name in names]
            axes.plot([np.nan if v is None else v for v in values], places, shape, color=color, markersize=5)
        _groups(axes, names)
        axes.set_title(wanted, fontsize=10)
        axes.set_xlim(-0.03, 1.03)
        axes.set_xticks([0, 0.5, 0.95], ["0", ".5", ".95"])
    panels[0].set_yticks(places, [name.replace(" | ", ", ") for name in names], fontsize=8)
    panels[0].invert_yaxis()
    figure.suptitle(
        f"{sessions} sessions: share of experiments whose 95% interval holds the truth "
        "(blue: what trimtab trusts; red: least squares alone)",
        fontsize=10,
        y=0.96,
    )
    _save(figure, path)


def _groups(axes: Axes, names: Sequence[str]) -> None:
    """Part the models by lines."""
    models = [name.split(" | ")[0] for name in names]
    for i in range(1, len(models)):
        if models[i] != models[i - 1]:
            axes.axhline(i - 0.5, color="#cccccc", linewidth=0.7)


def reliability_picture(points: Sequence[tuple[float, float, int, float]], path: Path) -> None:
    """Draw how often a regime is true, against the probability that was given for it.

    Parameters
    ----------
    points
        (mean probability, frequency, count, standard error of the frequency).
    """
    figure, axes = plt.subplots(figsize=(4.6, 4.4))
    axes.fill_between([0, 1], [-0.07, 0.93], [0.07, 1.07], color="#e3e6f7", zorder=0)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    given, true, _, errors = (np.array(part) for part in zip(*points, strict=True))
    axes.errorbar(given, true, yerr=2 * errors, fmt="o", color=TRUSTED, markersize=5, capsize=2)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("probability given for a regime")
    axes.set_ylabel("share of cases in which it is the true one")
    _save(figure, path)
