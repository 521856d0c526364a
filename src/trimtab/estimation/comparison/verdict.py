"""What a comparison means, said in plain words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trimtab.estimation.comparison.results import Row, Stillness, StrategyComparison
from trimtab.estimation.results import StrategyFit
from trimtab.estimation.rungs import RUNGS

__all__ = ["verdict"]

_NO_DYNAMICS = {
    "noise": "{} noise: independent draws around one level, so that {} rate is no speed at all",
    "static level": (
        "{} static: every session keeps a level of its own and the rest looks like scoring noise, so that {} rate is "
        "no speed at all"
    ),
    "trend": "{} on a common trend: all sessions move alike whatever their scores, so that {} rate is no pull at all",
    "undetermined": "{} undetermined: dynamics cannot be told from noise, so that {} rate may be no speed at all",
}


def verdict(one: StrategyComparison) -> str:
    """Return a few sentences: does B differ from A, in which figures, by how much, and which of them to believe.

    A figure is said to differ where its p-value, adjusted for all rows of its kind, is below 1 - level. No speeds are
    compared unless both sides have dynamics: the rate of noise is not a slow or a fast one, but none.
    """
    said = [_without_dynamics(one)]
    if one.stillness is not None:
        said = [*_still(one, one.stillness), *said, _ends(one, heading=False)]
    elif _both_move(one):
        said = [_speed(one), _disagreement(one), _ends(one, heading=True)]
    else:
        said = [*said, _steps(one), _ends(one, heading=False)]
    return " ".join(filter(None, [*said, _further(one)]))


def _dynamic(fit: StrategyFit) -> bool:
    return fit.diagnosis.label == "dynamics"


def _both_move(one: StrategyComparison) -> bool:
    return all(_dynamic(fit) for fit in one.fits)


def _without_dynamics(one: StrategyComparison) -> str:
    """Say of which side, and why, no speed can be compared; empty where both have one or no drift is fitted."""
    labels = [
        (name, fit.diagnosis.label)
        for name, fit in zip(one.names, one.fits, strict=True)
        if fit.identified and not _dynamic(fit)
    ]
    if not labels:
        return ""
    if len(labels) == 2 and labels[0][1] == labels[1][1]:
        reason = _NO_DYNAMICS[labels[0][1]].format(f"{labels[0][0]} and {labels[1][0]} are", "either's")
    else:
        reason = "; ".join(_NO_DYNAMICS[label].format(f"{name} is", "its") for name, label in labels)
    return f"No difference in dynamics can be claimed. {reason}."


def _differs(one: StrategyComparison, row: Row) -> bool:
    return row.p_adjusted < 1 - one.level


def _between(low: float, high: float, scale: float = 1.0) -> str:
    low, high = sorted((low * scale, high * scale))
    return f"{low:.3g} to {high:.3g}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def _best(one: StrategyComparison, *key: str) -> Row:
    """Return the row of the trusted estimates, or of least squares where there are none."""
    return one.trusted[key] if one.trusted is not None else one[key]


def _speed(one: StrategyComparison) -> str:
    a, b = one.names
    rate, average = _best(one, "rate"), _best(one, "smooth_rate")
    for row, words in ((rate, ""), (average, " on average over all directions")):
        if _differs(one, row):
            how = "faster" if row.difference > 0 else "slower"
            does = "converges" if min(row.a, row.b) > 0 else "pulls back"
            return f"{b} {does} {how} than {a}{words}, by {_amount(one, row)}."
    low, high = rate.difference.low * one.dt, rate.difference.high * one.dt
    if np.isnan(low):
        span = "too few sessions vary to say more"
    else:
        span = f"the rate of {b} minus that of {a} lies between {low:+.2f} and {high:+.2f} per iteration"
    p = one.drift.p_adjusted
    own = one.trusted is not None and one.trusted.own
    if np.isnan(p) or own:
        return f"No difference in speed can be seen between {a} and {b} ({span})."
    if p < 1 - one.level:
        return f"{b} moves differently from {a} ({_p(p)}), but not visibly faster or slower ({span})."
    return f"No difference in dynamics can be seen between {a} and {b} ({_p(p)}; {span})."


def _amount(one: StrategyComparison, row: Row) -> str:
    """Return the size of a difference of rates, per iteration."""
    by = float(row.difference) * one.dt
    span = _between(row.difference.low, row.difference.high, one.dt if by > 0 else -one.dt)
    return f"{abs(by):.3g} per iteration ({span})"


def _disagreement(one: StrategyComparison) -> str:
    """Say where least squares and the trusted estimates differ about the difference in speed, and which to believe."""
    if one.trusted is None or not one.trusted.own:
        return ""
    plain, best = one["rate"], one.trusted["rate"]
    seen, believed = _differs(one, plain), _differs(one, best)
    how = "faster" if plain.difference > 0 else "slower"
    apart = plain.difference.low > best.difference.high or plain.difference.high < best.difference.low
    if not seen and not believed:
        return ""
    if seen and not believed:
        inside = best.difference.low <= plain.difference <= best.difference.high
        judged = "neither confirm nor exclude that" if inside else "rule that out"
        text = (
            f"Plain least squares alone would call {one.names[1]} {how} by {_amount(one, plain)}; the trusted "
            f"estimates {judged}."
        )
    elif believed and not seen:
        text = "Plain least squares does not see the difference that the trusted estimates show."
    elif (plain.difference > 0) != (best.difference > 0):
        text = f"Plain least squares alone says the opposite of the trusted estimates: {how} by {_amount(one, plain)}."
    elif apart:
        text = f"Plain least squares alone says {how} by {_amount(one, plain)}, the trusted estimates another amount."
    else:
        return ""
    reasons = dict.fromkeys(
        f"{name}: {RUNGS[fit.trusted]}, because {fit.trust[0]}" if fit.trust else f"{name}: {RUNGS[fit.trusted]}"
        for name, fit in zip(one.names, one.fits, strict=True)
        if fit.trusted != "least_squares"
    )
    return f"{text} Believe these ({'; '.join(reasons)})."


def _steps(one: StrategyComparison) -> str:
    """Say what least squares of sides without dynamics would be taken for, and that their steps differ if they do."""
    if not one.trusted:
        return ""
    rate = one["rate"]
    if _differs(one, rate):
        how = "faster" if rate.difference > 0 else "slower"
        return (
            f"Least squares puts the rate of {one.names[1]} {_amount(one, rate)} {how}: a difference of numbers, not "
            "of speeds."
        )
    p = one.drift.p_adjusted
    return f"Their steps differ all the same ({_p(p)} for one rule for both)." if p < 1 - one.level else ""


def _ends(one: StrategyComparison, *, heading: bool) -> str:
    a, b = one.names
    moved = [row for row in one.rows if row.figure == "reached" and _differs(one, row)]
    if moved:
        return f"{b} ends {' and '.join(map(_higher, moved))} than {a}."
    nothing = "No difference in where they end can be seen"
    towards = [row for row in _trusted_rows(one) if row.figure == "equilibrium" and _differs(one, row)]
    if heading and towards:
        return f"{nothing}, but left alone {b} heads {' and '.join(map(_higher, towards))}."
    return f"{nothing}."


def _trusted_rows(one: StrategyComparison) -> tuple[Row, ...]:
    return () if one.trusted is None else one.trusted.rows


def _higher(row: Row) -> str:
    by = float(row.difference)
    sign = 1.0 if by > 0 else -1.0
    span = _between(row.difference.low, row.difference.high, sign)
    return f"{'higher' if by > 0 else 'lower'} in {row.objectives[0]} by {abs(by):.3g} ({span})"


def _still(one: StrategyComparison, found: Stillness) -> Iterator[str]:
    """Say what sides do that stand still or jump between levels."""
    a, b = one.names
    still = [
        name for name, fit in zip(one.names, one.fits, strict=True) if fit.coarse.mostly_still or not fit.identified
    ]
    does = "stand still or jump" if len(still) == 2 else "stands still or jumps"
    yield f"{' and '.join(still)} {does} between few levels, so that chances per try tell more than a drift does."
    rows = {row.figure: row for row in found.rows}
    if "chance" in rows:
        row = rows["chance"]
        yield f"{_chances(one, row, f'reaches {found.target}', f'to reach {found.target}')}"
        if "absorbed" in rows and _differs(one, rows["absorbed"]):
            row = rows["absorbed"]
            yield f"Within {found.horizon} tries that makes {row.b:.0%} against {row.a:.0%}."
    if found.model != "chain" or ("unchanged" in rows and "chance" not in rows):
        yield _chances(one, rows["unchanged"], "stands still", "to stand still")
    means = [row for row in found.rows if row.figure == "long_run"]
    moved = [row for row in means if _differs(one, row)]
    if moved:
        yield f"In the long run {b} averages {' and '.join(map(_higher, moved))} than {a}."
    elif means:
        yield "No difference in where they lead in the long run can be seen."
    if all(_dynamic(fit) or not fit.identified for fit in one.fits):
        for figure, words in (
            ("rate_per_iteration", "per iteration, standing still included"),
            ("chain_rate", "between levels"),
        ):
            if figure in rows and _differs(one, rows[figure]):
                how = "faster" if rows[figure].difference > 0 else "slower"
                yield f"{b} is {how} {words}, by {_amount(one, rows[figure])}."
    if found.test is not None and len(found.states) > 2:
        p = found.test.p_adjusted
        does = "differ" if p < 1 - one.level else "do not visibly differ"
        yield f"Taken together, their chances of going from level to level {does} ({_p(p)})."


def _chances(one: StrategyComparison, row: Row, does: str, to: str) -> str:
    a, b = one.names
    low, high = sorted(100 * x for x in (row.difference.low, row.difference.high))
    if not _differs(one, row):
        span = "" if np.isnan(low) else f"; the difference lies between {low:+.1f} and {high:+.1f} points"
        return (
            f"No difference in the chance {to} can be seen: {row.b:.1%} of tries in {b} and {row.a:.1%} in {a}{span}."
        )
    how = "more" if row.difference > 0 else "less"
    return (
        f"{b} {does} {how} often per try than {a}: {row.b:.1%} against {row.a:.1%}, a difference of {low:+.1f} to "
        f"{high:+.1f} points ({_p(row.p_adjusted)})."
    )


def _further(one: StrategyComparison) -> str:
    """Name the other rows that differ; those about speed follow from the rate."""
    steps = _trusted_rows(one) if one.stillness is None and _both_move(one) else ()
    named = [
        f"how their steps in {row.objectives[0]} and {row.objectives[1]} go together"
        for row in steps
        if row.figure == "interference" and _differs(one, row)
    ]
    for row in one.rows:
        if row.figure == "r2_held_out" and _differs(one, row) and one.stillness is None:
            named.append("how much of unseen steps is predictable")
        if row.figure == "pareto_efficiency" and _differs(one, row):
            named.append("the share of versions that no other version of the session beats")
    return f"They differ also in: {', '.join(named)}." if named else ""
