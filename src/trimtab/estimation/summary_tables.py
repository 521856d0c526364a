"""The tables of a fit's summary, each yielded only where it has something to say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trimtab.estimation.coarse.choice import Coarse
from trimtab.estimation.coarse.hurdle import STANDS_STILL
from trimtab.estimation.decomposition import PARTS
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.layout import number, p_value, plain, score, table
from trimtab.estimation.multiplicity import Adjusted
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.estimation.rungs import RUNGS

__all__ = ["coarse", "dynamics", "interference", "levels", "rungs"]

_MOST_COLUMNS = 4
_MOST_WIDE = 3  # objectives, or pairs of them, side by side
_LONGEST_NAME = 15  # of these
_MOST_PAIRS = 6
_MOST_PARTS = 12  # rows of the table of parts

_MODELS = {"affine": "affine step", "hurdle": "hurdle", "chain": "Markov chain"}

_OTHER_MODEL, _CLOSE = " †", " ‡"
_OTHER_MODEL_NOTE = "† of affine steps: another model predicts unseen sessions better or is simpler, see below"
_CLOSE_NOTE = "‡ eigenvalues within two standard errors of each other: read the average rate instead"


def _rows(fit: Fit) -> list[tuple[str | None, StrategyFit]]:
    """Return every strategy by name, and all of them pooled under None where there are several."""
    rows: list[tuple[str | None, StrategyFit]] = [*fit.strategies.items()]
    return rows + ([(None, fit.pooled)] if len(fit) > 1 else [])


def _name(one: StrategyFit) -> Text:
    return Text(plain(one.name))


def _interval(value: Estimate, digits: int = 2, beside: str = "") -> Text:
    shown = Text(number(value, digits) + beside)
    if np.isnan(value.low) and np.isnan(value.high):
        return shown
    return shown.append(f"\n{number(value.low, digits)}..{number(value.high, digits)}", style="dim")


def _label(one: StrategyFit) -> Text:
    return Text(one.diagnosis.label, style="bold" if one.diagnosis.label == "dynamics" else "yellow")


def dynamics(fit: Fit, narrow: bool) -> Iterator[RenderableType]:
    """Yield the figures of every strategy's trusted rung."""
    heads = ["strategy", "verdict", "sessions", "rate", "half-life", "max |1+λ|", "regime", "R2 (held out)"]
    kept = [0, 1, 3, 4, 6] if narrow else range(len(heads))
    made = table(f"Dynamics (second lines: {fit.level:.0%} intervals)", [heads[i] for i in kept])
    marked = close = False
    for _, one in _rows(fit):
        other = one.identified and one.coarse.mostly_still and one is not fit.pooled
        marked |= other
        close |= one.rung.nearly_repeated
        cells: list[RenderableType] = [
            _name(one).append(_OTHER_MODEL if other else ""),
            _label(one),
            f"{one.sessions:,}",
            _interval(one.rate, 3, _CLOSE if one.rung.nearly_repeated else ""),
            _interval(one.half_life, 1),
            _interval(one.spectral_radius),
            Text(str(one.regime)),
            _interval(one.r2.steps, 2, f" ({number(one.r2.steps_held_out)})"),
        ]
        made.add_row(*(cells[i] for i in kept))
    yield made
    notes = [_OTHER_MODEL_NOTE] * marked + [_CLOSE_NOTE] * close
    if notes:
        yield Text("\n".join(notes) + "\n")


def rungs(fit: Fit, narrow: bool) -> Iterator[Table]:
    """Yield the estimators side by side, where there are several; figures elsewhere are those of the trusted one."""
    if all(len(one.rungs) == 1 for one in fit.strategies.values()):
        return
    heads = ["strategy", "estimator", "rate", "average rate"]
    heads += [] if narrow else ["regime", "score noise sd", "session sd"]
    made = table("Estimators side by side (* trusted)", heads)
    for one in fit.strategies.values():
        for i, (name, rung) in enumerate(one.rungs.items()):
            cells: list[RenderableType] = [_interval(rung.rate, 3), _interval(rung.smooth_rate, 3)]
            if not narrow:
                noise = None if rung.R is None else np.sqrt(rung.R)
                cells += [rung.regime.label, _each(noise, one), _each(rung.session_sd, one)]
            mark = " *" if name == one.trusted and len(one.rungs) > 1 else "" if rung.converged else " (not settled)"
            made.add_row(_name(one) if i == 0 else "", RUNGS[name] + mark, *cells)
    yield made


def _each(values: NDArray[np.float64] | None, one: StrategyFit) -> str:
    """Return one number per active objective, or how far they reach where they are many."""
    if values is None:
        return ""
    own = values[one.active]
    if len(own) <= _MOST_COLUMNS:
        return " ".join(f"{value:.2g}" for value in own)
    return f"{own.min():.2g}..{own.max():.2g}"


def coarse(fit: Fit, narrow: bool) -> Iterator[RenderableType]:
    """Yield how often steps change nothing, how many levels scores take, and which model that calls for."""
    shown = [one for one in fit.strategies.values() if _is_coarse(one.coarse)]
    if not shown:
        return
    heads = ["strategy", "unchanged", "levels", "best model", "rate", "half-life", "regime"]
    made = table("Steps that stand still and scores on few levels", heads[:5] if narrow else heads)
    for one in shown:
        found = one.coarse
        rate, half_life, regime = _of_model(one)
        cells: list[RenderableType] = [
            "–" if np.isnan(found.levels.unchanged) else f"{found.levels.unchanged:.0%}",
            _levels_of(found),
            _model(found) if one.steps else "–",
            _interval(rate, 3),
            _interval(half_life, 1),
            Text(regime),
        ]
        made.add_row(_name(one), *(cells[:4] if narrow else cells))
    yield made
    if any(one.coarse.chosen == "hurdle" for one in shown):
        yield Text("R2 of the steps that change something (held out)\n")


def _is_coarse(found: Coarse) -> bool:
    return found.levels.unchanged >= STANDS_STILL or any(values is not None for values in found.levels.values)


def _levels_of(found: Coarse) -> Text:
    counts = [f"{name} {count}" for name, count in zip(found.levels.names, found.levels.count.tolist(), strict=True)]
    if len(counts) <= _MOST_COLUMNS:
        return Text("\n").join(Text(plain(count)) for count in counts)
    return Text(f"{found.levels.count.min()} to {found.levels.count.max()}")


def _of_model(one: StrategyFit) -> tuple[Estimate, Estimate, str]:
    """Return rate, half-life and regime per iteration of the model that was chosen."""
    found = one.coarse
    if found.chosen == "hurdle" and found.hurdle is not None:
        loop = found.hurdle.per_iteration
        return loop.rate, loop.half_life, str(loop.regime)
    if found.chosen == "chain" and found.chain is not None:
        return found.chain.rate, found.chain.half_life, str(found.chain.regime)
    return one.rate, one.half_life, str(one.regime)


def _model(found: Coarse) -> Text:
    """Return the model that was chosen, a hurdle with the R2 of the steps that change something."""
    shown = Text(_MODELS[found.chosen])
    if found.chosen != "hurdle" or found.hurdle is None:
        return shown
    r2 = found.hurdle.r2
    return shown.append(f"\nR2 {number(float(r2.steps))} ({number(r2.steps_held_out)})", style="dim")


def levels(fit: Fit, narrow: bool) -> Iterator[Table]:
    """Yield where sessions start, end and head for, and what their outcomes are worth."""
    if narrow or fit.space.n > _MOST_WIDE or max(map(len, fit.space.names)) > _LONGEST_NAME:
        yield _long_levels(fit, narrow)
        return
    title = f"Levels: mean start > mean end (equilibrium); second lines: {fit.level:.0%} intervals of the last two"
    made = table(title, ["strategy", *fit.space.names, "Pareto eff.", "hypervolume"])
    for _, one in _rows(fit):
        cells = []
        for j in range(fit.space.n):
            start, end, target = one.started.estimate[j], one.reached[j], one.equilibrium[j]
            cell = Text(f"{score(start)} > {score(end)} ({score(target)})")
            if np.isfinite(end.low) or np.isfinite(target.low):
                span = f"{score(end.low)}..{score(end.high)} ({score(target.low)}..{score(target.high)})"
                cell.append(f"\n{span}", style="dim")
            cells.append(cell)
        made.add_row(_name(one), *cells, _interval(one.pareto_efficiency), number(one.hypervolume))
    yield made


def _long_levels(fit: Fit, narrow: bool) -> Table:
    """Return one row per strategy and objective."""
    heads = ["strategy", "objective", "mean start", "mean end", "equilibrium", "at a bound"]
    made = table("Levels", heads if narrow else [*heads, "Pareto eff.", "hypervolume"])
    for _, one in _rows(fit):
        for j, name in enumerate(fit.space.names):
            cells: list[RenderableType] = [
                _name(one) if j == 0 else "",
                Text(plain(name)),
                score(one.started.estimate[j]),
                _scored(one.reached[j], narrow),
                _scored(one.equilibrium[j], narrow),
                "–" if np.isnan(one.at_bound[j]) else f"{one.at_bound[j]:.0%}",
            ]
            whole = [_interval(one.pareto_efficiency), number(one.hypervolume)] if j == 0 else ["", ""]
            made.add_row(*cells, *([] if narrow else whole))
    return made


def _scored(value: Estimate, narrow: bool) -> Text:
    if narrow or not np.isfinite(value.low):
        return Text(score(value))
    return Text(score(value)).append(f"\n{score(value.low)}..{score(value.high)}", style="dim")


def interference(fit: Fit, narrow: bool) -> Iterator[RenderableType]:
    """Yield how steps of two objectives move together, whether that may be chance, and where it comes from."""
    n, names = fit.space.n, [plain(name) for name in fit.space.names]
    if n < 2:
        return
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    if len(pairs) > _MOST_PAIRS:
        yield Text(f"Interference of {len(pairs)} pairs of objectives: see the report or the JSON document.\n")
        return
    tests = fit.interference_tests
    lower = any(objective.direction == "min" for objective in fit.space)
    title = f"Interference: correlation of {'raw ' if lower else ''}step changes (p: Holm)"
    if narrow or len(pairs) > _MOST_WIDE or 2 * max(map(len, names)) + 3 > 2 * _LONGEST_NAME:
        made = table(title, ("strategy", "objectives", "correlation", "p"))
        for key, one in _rows(fit):
            for i, j in pairs:
                name = _name(one) if (i, j) == pairs[0] else ""
                cells = (Text(f"{names[i]} / {names[j]}"), _interval(one.interference[i, j]))
                made.add_row(name, *cells, p_value(_p(tests, key, i, j)))
        yield made
        if not narrow:
            yield from _interference_parts(fit, pairs, tests)
        return
    made = table(title, ["strategy", *(f"{names[i]} / {names[j]}" for i, j in pairs)])
    for key, one in _rows(fit):
        made.add_row(
            _name(one),
            *(_interval(one.interference[i, j], 2, f"  p {p_value(_p(tests, key, i, j))}") for i, j in pairs),
        )
    yield made
    yield from _interference_parts(fit, pairs, tests)


def _p(tests: dict[str | None, Adjusted], key: str | None, i: int, j: int) -> float:
    return float(tests[key].p_value[i, j]) if key in tests else float("nan")


def _interference_parts(
    fit: Fit, pairs: list[tuple[int, int]], tests: dict[str | None, Adjusted]
) -> Iterator[RenderableType]:
    """Yield the additive parts of each correlation that is more than chance, and that there are few enough of."""
    found = fit.interference_parts
    clear = [
        (one, key, i, j)
        for key, one in fit.strategies.items()
        for i, j in pairs
        if key in found and found[key].shares and _p(tests, key, i, j) < 1 - fit.level
    ]
    if not clear:
        return
    clear.sort(key=lambda row: -abs(row[0].interference.estimate[row[2], row[3]]))
    shown = clear[:_MOST_PARTS]
    parts = [part for part in PARTS if any(part in found[key].shares for _, key, _, _ in shown)]
    more = f"; the {len(shown)} strongest of {len(clear)}" if len(clear) > len(shown) else ""
    made = table(
        f"Where it comes from (parts add up to the correlation{more})",
        ["strategy", "objectives", *(Text(part.replace(" ", "\n")) for part in parts)],
    )
    for one, key, i, j in shown:
        shares = found[key].shares
        pair = f"{plain(fit.space.names[i])} / {plain(fit.space.names[j])}"
        cells = [number(shares[part].estimate[i, j], signed=True) if part in shares else "" for part in parts]
        made.add_row(_name(one), Text(pair), *cells)
    yield made
