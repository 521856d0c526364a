"""How often the intervals hold the truth, what is called dynamics, and whether regime probabilities mean what they say.

Run with ``make study``. Writes ``docs/calibration.md`` and the pictures beside it. ``--scale 0.1`` runs a tenth,
``--part regimes`` only that part, beside what the file holds of the others.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cells import CENTER, CONDITIONS, MODELS, NAMES, Condition, experiment, model_of, paths, true_interference
from report import write
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics import spectrum
from trimtab.estimation.fit import fit

FIGURES = ("rate", "smooth rate", "equilibrium", "interference")
DRAWS = 1000


def _holds(interval: Any, truth: float) -> bool | None:
    return None if np.isnan(interval.low) else bool(interval.low <= truth <= interval.high)


def one_fit(task: tuple[str, str, int, int]) -> dict[str, Any]:
    """Fit one experiment and compare every rung's intervals with the truth."""
    name, condition_name, sessions, seed = task
    model, condition = MODELS[name], CONDITIONS[condition_name]
    one = fit(experiment(name, condition, sessions, seed), draws=DRAWS, estimator="auto")["all"]
    truths = (model.rate, -float(np.trace(model.A)) / 3, CENTER, true_interference(name, condition))
    found: dict[str, Any] = {
        "label": one.verdict.label,
        "trusted": one.trusted,
        "regime": one.regime.label,
        "flagged": one.rung.nearly_repeated,
        "rungs": {},
    }
    for rung_name, rung in one.rungs.items():
        estimates = (rung.rate, rung.smooth_rate, rung.equilibrium[0], rung.interference[0, 1])
        found["rungs"][rung_name] = {
            figure: [float(e), float(e.low), float(e.high), _holds(e, truth)]
            for figure, e, truth in zip(FIGURES, estimates, truths, strict=True)
        }
    return found


def coverage(pool: ProcessPoolExecutor, sessions: int, replicates: int) -> dict[str, Any]:
    """Return, per model and condition, coverage, bias and width of every figure on the trusted rung and the first."""
    cells: dict[str, Any] = {}
    for name in MODELS:
        for condition in CONDITIONS:
            tasks = [(name, condition, sessions, seed) for seed in range(replicates)]
            found = list(pool.map(one_fit, tasks, chunksize=10))
            truth = spectrum.REGIMES[int(spectrum.regimes(spectrum.eigenvalues(MODELS[name].A)))]
            cells[f"{name} | {condition}"] = {
                "labels": _shares([f["label"] for f in found]),
                "trusted": _shares([f["trusted"] for f in found]),
                "false regime": float(np.mean([f["regime"] not in ("undetermined", truth) for f in found])),
                "flagged": float(np.mean([f["flagged"] for f in found])),
                **{
                    which: {figure: _summary(found, which, figure, name, condition) for figure in FIGURES}
                    for which in ("trusted rung", "least_squares", "state_space")
                },
            }
            shown = {f: v["coverage"] for f, v in cells[f"{name} | {condition}"]["trusted rung"].items()}
            print(sessions, name, condition, shown, flush=True)
    return cells


def _shares(words: list[str]) -> dict[str, float]:
    return {word: words.count(word) / len(words) for word in sorted(set(words))}


def _summary(found: list[dict[str, Any]], which: str, figure: str, name: str, condition: str) -> dict[str, float]:
    """Return coverage in all experiments, and in those that are called dynamics and whose rate is not flagged."""
    model = MODELS[name]
    truth = {
        "rate": model.rate,
        "smooth rate": -float(np.trace(model.A)) / 3,
        "equilibrium": CENTER,
        "interference": true_interference(name, CONDITIONS[condition]),
    }[figure]
    known = [
        (f, row)
        for f in found
        for row in [f["rungs"].get(f["trusted"] if which == "trusted rung" else which, {}).get(figure)]
        if row is not None and row[3] is not None
    ]
    if not known:
        return {"coverage": float("nan"), "known": 0.0}
    values = np.array([row[0] for _, row in known])
    claimed = [row[3] for f, row in known if f["label"] == "dynamics" and not (figure == "rate" and f["flagged"])]
    return {
        "coverage": float(np.mean([row[3] for _, row in known])),
        "claimed": len(claimed) / len(found),
        "coverage where claimed": float(np.mean(claimed)) if claimed else float("nan"),
        "bias": float(np.median(values) - truth),
        "half width": float(np.median([(row[2] - row[1]) / 2 for _, row in known])),
        "known": len(known) / len(found),
    }


def _nothing(kind: str, seed: int) -> Trajectories:
    rng = np.random.default_rng([seed, *kind.encode()])
    noise = rng.normal(0, 1, (100, 11, 3))
    scores = {
        "noise": lambda: 5 + noise,
        "noise after a fixed start": lambda: np.concatenate([np.full((100, 1, 3), 3.0), 5 + noise[:, 1:]], axis=1),
        "noise, stopped when good": lambda: 5 + noise,
        "static levels": lambda: rng.normal(5, 1, (100, 1, 3)) + 0.7 * noise,
        "wide static levels": lambda: rng.normal(5, 3, (100, 1, 3)) + 0.7 * noise,
        "static levels, stopped when good": lambda: rng.normal(5, 1, (100, 1, 3)) + 0.7 * noise,
        "trend": lambda: 4 + 0.2 * np.arange(11)[:, None] + 0.5 * noise,
        "skewed noise": lambda: 5 + rng.exponential(1, noise.shape),
        "noise on three levels": lambda: np.round(np.clip(5 + 0.7 * noise, 4, 6)),
    }[kind]()
    runs = [scores[s] for s in range(100)]
    if "stopped" in kind:
        ends = [next((t for t in range(1, 11) if run[t, 0] > 6.5), 10) for run in runs]
        runs = [run[: end + 1] for run, end in zip(runs, ends, strict=True)]
    return Trajectories.from_arrays(runs, [f"{name}:-inf:inf" for name in NAMES])


NOTHING = (
    "noise", "noise after a fixed start", "noise, stopped when good", "static levels", "wide static levels",
    "static levels, stopped when good", "trend", "skewed noise", "noise on three levels",
)  # fmt: skip


def verdict_of(task: tuple[str, int]) -> tuple[str, bool]:
    """Return the label of one experiment without dynamics, and whether least squares shows complex pairs."""
    kind, seed = task
    one = fit(_nothing(kind, seed), draws=200, estimator="least-squares")["all"]
    return one.verdict.label, bool((one.eigenvalues.imag != 0).any())


def false_alarms(pool: ProcessPoolExecutor, replicates: int) -> dict[str, Any]:
    """Return how often each kind of experiment without dynamics gets each label, and shows complex eigenvalues."""
    found = {}
    for kind in NOTHING:
        verdicts = list(pool.map(verdict_of, [(kind, seed) for seed in range(replicates)], chunksize=10))
        found[kind] = {
            "labels": _shares([label for label, _ in verdicts]),
            "complex": float(np.mean([pair for _, pair in verdicts])),
        }
        print(kind, found[kind], flush=True)
    return found


def _true_label(task: tuple[float, int, int]) -> str:
    noise, sessions, seed = task
    data = experiment("real", Condition(noise=noise), sessions, seed)
    return fit(data, draws=50, estimator="least-squares")["all"].verdict.label


def power(pool: ProcessPoolExecutor, replicates: int) -> dict[str, Any]:
    """Return how often dynamics of rate .33 are called so, by score noise and number of sessions."""
    found: dict[str, Any] = {}
    for noise in (0.0, 0.5, 1.0):
        for sessions in (10, 20, 50, 100, 200):
            labels = list(pool.map(_true_label, [(noise, sessions, seed) for seed in range(replicates)], chunksize=10))
            found.setdefault(str(noise), {})[str(sessions)] = _shares(labels)
    print(found, flush=True)
    return found


def regime_of(seed: int) -> dict[str, Any]:
    """Fit an experiment of a random model, and return the regimes' probabilities beside the true one."""
    rng = np.random.default_rng([seed, 77])
    block = np.zeros((3, 3))
    block[2, 2] = rng.uniform(0.2, 1.05) - 1
    if rng.random() < 0.5:
        modulus, angle = rng.uniform(0.3, 1.0), rng.uniform(0.05, 1.5)
        block[:2, :2] = modulus * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) - np.eye(
            2
        )
    else:
        block[0, 0], block[1, 1] = rng.uniform(-0.3, 1.02, 2) - 1
    model = model_of(block)
    spoilt = list(CONDITIONS)[int(rng.integers(5))]
    condition = CONDITIONS[spoilt]
    x = paths(model, condition, 60, rng, np.inf)
    y = x + condition.noise * rng.normal(size=x.shape)
    one = fit(Trajectories.from_arrays(y, [f"{name}:-inf:inf" for name in NAMES]), draws=DRAWS)["all"]
    plain = one.rungs["least_squares"]
    truth = spectrum.REGIMES[int(spectrum.regimes(spectrum.eigenvalues(model.A)))]
    shown = spectrum.REGIMES[int(spectrum.regimes(one.eigenvalues))]
    paper = spectrum.REGIMES[int(spectrum.regimes(plain.eigenvalues))]
    return {
        "truth": truth,
        "probabilities": dict(one.regime.probabilities),
        "plug-in": shown,
        "paper": paper,
        "named": one.regime.label,
        "condition": spoilt,
        "trusted": one.trusted,
        "verdict": one.verdict.label,
    }


BINS = ((0.0, 0.05), (0.05, 0.2), (0.2, 0.35), (0.35, 0.5), (0.5, 0.65), (0.65, 0.8), (0.8, 0.95), (0.95, 1.01))


def regimes_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return Brier scores of probabilities and of bare labels, and how often regimes of each probability are true."""
    true = np.array([[one["truth"] == regime for regime in spectrum.REGIMES] for one in found], dtype=float)
    given = np.array([[one["probabilities"].get(regime, 0.0) for regime in spectrum.REGIMES] for one in found])
    brier = {"probabilities": float(((given - true) ** 2).sum(axis=1).mean())}
    for which, words in (("plug-in", "label of the trusted estimate"), ("paper", "label of least squares")):
        label = np.array([[one[which] == regime for regime in spectrum.REGIMES] for one in found], dtype=float)
        brier[words] = float(((label - true) ** 2).sum(axis=1).mean())
    bins = []
    for low, high in BINS:
        inside = (given >= low) & (given < high)
        if inside.any():
            share, count = float(true[inside].mean()), int(inside.sum())
            error = float(np.sqrt(max(share * (1 - share), 1 / count) / count))
            bins.append({"given": float(given[inside].mean()), "true": share, "count": count, "error": error})
    named = [one for one in found if one["named"] != "undetermined"]
    return {
        "brier": brier,
        "bins": bins,
        "named": len(named) / len(found),
        "named rightly": float(np.mean([one["named"] == one["truth"] for one in named])),
    }


REPLICATES = {"100": 500, "20": 200, "false alarms": 500, "power": 200, "regimes": 3000}


def main() -> None:
    """Run the study and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=tuple(REPLICATES), help="run only this, or these")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the replicates to run")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    chosen = parser.parse_args()
    began = time.perf_counter()

    file = chosen.out / "calibration.json"
    results: dict[str, Any] = json.loads(file.read_text()) if chosen.part else {"replicates": {}}
    parts: dict[str, Callable[[ProcessPoolExecutor, int], Any]] = {
        "false alarms": false_alarms,
        "power": power,
        "regimes": lambda pool, count: regimes_of(list(pool.map(regime_of, range(count), chunksize=10))),
        "20": lambda pool, count: coverage(pool, 20, count),
        "100": lambda pool, count: coverage(pool, 100, count),
    }
    with ProcessPoolExecutor(chosen.workers) as pool:
        for part in chosen.part or parts:
            count = max(round(REPLICATES[part] * chosen.scale), 4)
            results["replicates"][part] = count
            results[part] = parts[part](pool, count)
    if not chosen.part:
        results["minutes"] = (time.perf_counter() - began) / 60
    chosen.out.mkdir(exist_ok=True, parents=True)
    file.write_text(json.dumps(_rounded(results), indent=1) + "\n")
    write(results, chosen.out)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return (None if np.isnan(value) else round(value, 4)) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
