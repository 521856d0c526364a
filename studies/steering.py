"""How much of what an oracle gains over the best fixed strategy the predictive policy recovers, by simulation.

Once with the dynamics known, once with a fit, and once with what it has learned from nothing in some sessions.

Run with ``make steering``. Writes ``docs/steering.json`` and the table in ``docs/steering-evaluation.md``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.cold_start import learned
from trimtab.control.evaluation.evaluate import evaluate
from trimtab.control.evaluation.oracle import known_for_certain
from trimtab.control.evaluation.outcome import Figure, outcome_of, paired, share_of_gain
from trimtab.control.evaluation.world import World, steer
from trimtab.control.evaluation.worlds import random_world, recorded, world_of
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.lookahead import Effort, look_ahead
from trimtab.control.policies.predictive import chosen
from trimtab.control.registry import read_policy
from trimtab.control.situation import Choice, Situation
from trimtab.estimation.fit import fit
from trimtab.forecasting.from_fit import loops_of_fit
from trimtab.forecasting.sources import loops_of

UTILITIES = ("worst", "weighted")
BUDGET = 10
PATIENT = Effort(draws=1, outcomes=32, paths=32, horizon=8)
FEW = 200  # sessions that a lookahead of such effort steers, beyond three objectives
LOGGED = 100
LEARNED = 50
RANDOM = 10  # systems of each size
SIZES = (3, 5)
WHICH = {
    "known": "dynamics known for certain",
    "fitted": f"a fit of {LOGGED} sessions each",
    "learned": f"what {LEARNED} sessions taught that began from nothing",
}
BEGIN, END = "<!-- steering: begin -->", "<!-- steering: end -->"


class Patient:
    """A receding horizon over sequences of strategies, planned with great effort and no value grid."""

    name = "lookahead"

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        drifts, beliefs = now.knowledge.draws(PATIENT.draws, now.seed, self.name), now.beliefs
        plan = look_ahead(
            now.goal, now.knowledge, drifts, beliefs.mean, beliefs.covariance, now.carry, now.left, PATIENT
        )
        return chosen(now, plan)


def system(name: str) -> World:
    """Return the world called ``reference`` or ``random N SEED``."""
    if name == "reference":
        return world_of(loops_of("reference"))
    _, n, seed = name.split()
    return random_world(int(n), int(seed))


def fitted(world: World, seed: int) -> tuple[Knowledge, dict[str, str]]:
    """Return what a fit of 100 sessions per strategy says, and each strategy's verdict."""
    found = fit(recorded(world, LOGGED, BUDGET, seed), seed=seed)
    verdicts = {name: str(found[name].verdict.label) for name in found}
    return Knowledge.of_loops(loops_of_fit(found), world.strategies, space=world.space), verdicts


def measure(task: tuple[str, str, int]) -> dict[str, Any]:
    """Return the figures of one system under one utility."""
    name, utility, sessions = task
    began = time.perf_counter()
    world = system(name)
    goal = Goal(world.space, utility)
    found = evaluate(world, goal, ["predictive"], sessions=sessions, budget=BUDGET, seed=1)
    best, oracle = found[found.best_fixed].net, found.oracle
    known, verdicts = fitted(world, seed=2)
    ran = steer(world, read_policy("predictive"), goal, known, BUDGET, sessions, 1)
    by_fit = outcome_of("predictive", ran, goal, world.strategies)
    m = len(oracle)
    taught, meanwhile = learned(world, goal, BUDGET, LEARNED, seed=3)
    ran = steer(world, read_policy("predictive:explore=0"), goal, taught, BUDGET, sessions, 1)
    by_learning = outcome_of("predictive", ran, goal, world.strategies)
    row: dict[str, Any] = {
        "system": name,
        "utility": utility,
        "sessions": sessions,
        "oracle by": found.oracle_by,
        "oracle sessions": m,
        "best fixed": found.best_fixed,
        "best fixed utility": float(best.mean()),
        "best fixed utility first": float(best[:m].mean()),
        "oracle utility": float(oracle.net.mean()),
        "verdicts": verdicts,
        "learning": {"utility": float(meanwhile.mean()), "steps": taught.steps.round(1).tolist()},
    }
    for which, own in (("known", found["predictive"]), ("fitted", by_fit), ("learned", by_learning)):
        row[which] = {
            "utility": float(own.net.mean()),
            "iterations": float(own.used.mean()),
            "over fixed": _plain(paired(own.net, best)),
            "share": _plain(share_of_gain(own.net[:m], best[:m], oracle.net)),
        }
    if world.space.n > 3:
        few = min(FEW, sessions)
        ran = steer(world, Patient(), replace(goal, least_gain=0.0), known_for_certain(world), BUDGET, few, 1)
        other = outcome_of("lookahead", ran, goal, world.strategies)
        row["lookahead"] = {"utility": float(other.net.mean()), "best fixed utility": float(best[:few].mean())}
        row["lookahead"] |= {
            which: _plain(share_of_gain(own.net[:few], best[:few], other.net))
            for which, own in (("known", found["predictive"]), ("fitted", by_fit), ("learned", by_learning))
        }
    row["seconds"] = round(time.perf_counter() - began, 1)
    return row


def _plain(figure: Figure) -> list[float]:
    return [round(float(value), 5) for value in (figure.mean, figure.low, figure.high)]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of all systems, and a line on each group of them."""
    heads = ["system", "utility", "best fixed", "oracle"]
    heads += [f"{word}, {which}" for which in WHICH for word in ("predictive", "share", "over fixed")]
    heads += ["while learning"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [row["system"], row["utility"], f"{row['best fixed utility']:.2f}", f"{row['oracle utility']:.2f}"]
        for which in WHICH:
            own = row[which]
            mean, low, _ = own["over fixed"]
            cells += [f"{own['utility']:.2f}", _percent(own["share"][0]), f"{mean:+.2f} ± {mean - low:.2f}"]
        cells += [f"{row['learning']['utility']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *_findings(rows)]
    return "\n".join(lines)


def _findings(rows: list[dict[str, Any]]) -> list[str]:
    made = []
    for which, words in WHICH.items():
        made.append(f"- With {words}: {_finding(rows, which)}")
        shares = np.array([row["lookahead"][which][0] for row in rows if "lookahead" in row], dtype=float)
        if np.isfinite(shares).any():
            made.append(
                f"- With {words}, of what a lookahead of great effort gains beyond three objectives: "
                f"{_spread(shares[np.isfinite(shares)])}."
            )
        worse = [f"{row['system']} ({row['utility']})" for row in rows if row[which]["over fixed"][2] < 0]
        made.append(
            f"- With {words}, predictive is worse than the best fixed strategy beyond chance in {len(worse)} of "
            f"{len(rows)} rows{': ' + ', '.join(worse) if worse else ''}."
        )
    return made


def _finding(rows: list[dict[str, Any]], which: str) -> str:
    gained = sum(row[which]["over fixed"][0] for row in rows)
    whole = sum(row["oracle utility"] - row["best fixed utility first"] for row in rows)
    shares = np.array([row[which]["share"][0] for row in rows], dtype=float)
    shares = shares[np.isfinite(shares)]
    return (
        f"predictive recovers {gained / whole:.0%} of the oracle's gain over all {len(rows)} rows taken together; row "
        f"by row, of the {len(shares)} with a gain beyond chance, {_spread(shares)}."
    )


def _spread(shares: NDArray[np.float64]) -> str:
    return f"{np.median(shares):.0%} in the median, {shares.min():.0%} in the least and {shares.max():.0%} in the most"


def _percent(share: float) -> str:
    return f"{share:.0%}" if np.isfinite(share) else "–"


def write(new: list[dict[str, Any]], folder: Path) -> None:
    """Write the figures beside those of other systems that are there, and the table of all between its marks."""
    store = folder / "steering.json"
    there = json.loads(store.read_text(encoding="utf-8")) if store.exists() else []
    place = {(row["system"], row["utility"]): row for row in [*there, *new]}
    rows = sorted(place.values(), key=lambda row: (_order(row["system"]), UTILITIES.index(row["utility"])))
    store.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    page = folder / "steering-evaluation.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split()[1:])


def main() -> None:
    """Measure all systems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--systems", type=int, default=RANDOM, help="random systems of each size")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="objectives of the random systems")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs")
    options = parser.parse_args()
    names = ["reference", *(f"random {n} {seed}" for n in options.sizes for seed in range(options.systems))]
    tasks = [(name, utility, options.sessions) for name in names for utility in UTILITIES]
    rows = []
    with ProcessPoolExecutor(options.workers) as pool:
        for row in pool.map(measure, tasks):
            print(row["system"], row["utility"], row["known"], row["fitted"], f"{row['seconds']} s", flush=True)
            rows.append(row)
            write(rows, options.out)


if __name__ == "__main__":
    main()
