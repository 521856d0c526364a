"""Spending: how many tokens and how much money iterations took, by the usage reported and a table of prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from trimtab.core.counting import count_of
from trimtab.core.records import Iteration

__all__ = ["COST", "Price", "Prices", "Spending", "Tally", "dollars", "price_of", "priced", "spending_of"]

COST = "cost_usd"
"""Key in an iteration's meta: what it cost in all, in USD, where that is known."""

_MILLION = 1_000_000
_LARGEST = 2**63 - 1  # that an endpoint or an imported file may say: with more no cost can be reckoned

_Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Price(BaseModel):
    """What a model costs, in USD per million tokens.

    Parameters
    ----------
    input, output
        Of the prompt and of the answer.
    cached_input
        Of prompt tokens that the endpoint had in its own cache; `input` if None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: _Rate
    output: _Rate
    cached_input: _Rate | None = None


Prices = Mapping[str, Price]
"""By the name of a model, or by a pattern such as ``small-*``."""


def price_of(prices: Prices, *names: str) -> Price | None:
    """Return the price of the first of `names` that has one: under its own name, or else under the longest pattern.

    >>> prices = {"small-*": Price(input=1, output=2), "small-2*": Price(input=3, output=4)}
    >>> price_of(prices, "small-2-mini").input, price_of(prices, "large", "small-1").input, price_of(prices, "large")
    (3.0, 1.0, None)
    """
    for name in filter(None, names):
        if name in prices:
            return prices[name]
        fitting = [pattern for pattern in prices if fnmatchcase(name, pattern)]
        if fitting:
            return prices[max(fitting, key=lambda pattern: (len(pattern), pattern))]
    return None


@dataclass(frozen=True, slots=True)
class Spending:
    """What iterations took.

    Parameters
    ----------
    prompt_tokens, completion_tokens
        As far as endpoints report them.
    usd
        What those of models with a price cost.
    unknown
        Answers whose usage their endpoint does not report in full.
    unpriced
        Answers with tokens of a model that has no price.
    judge_tokens, judge_unknown
        What judges have part in `tokens` and `unknown`.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unknown: int = 0
    unpriced: int = 0
    judge_tokens: int = 0
    judge_unknown: int = 0

    def __add__(self, other: Spending) -> Spending:
        return Spending(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.usd + other.usd,
            self.unknown + other.unknown,
            self.unpriced + other.unpriced,
            self.judge_tokens + other.judge_tokens,
            self.judge_unknown + other.judge_unknown,
        )

    def __sub__(self, other: Spending) -> Spending:
        return Spending(
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            self.usd - other.usd,
            self.unknown - other.unknown,
            self.unpriced - other.unpriced,
            self.judge_tokens - other.judge_tokens,
            self.judge_unknown - other.judge_unknown,
        )

    @property
    def tokens(self) -> int:
        """Of prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens

    def __str__(self) -> str:
        """Return tokens and cost in words; what is not known is said to be unknown, never 0.

        >>> print(Spending(1000, 500, 0.0123, unknown=2))
        at least 1,500 tokens, at least $0.0123 (2 answers of unknown usage)
        >>> print(Spending(unknown=3))
        unknown tokens (3 answers of unknown usage)
        """
        least = "at least " if self.unknown else ""
        parts = [f"{least}{self.tokens:,} tokens" if self.tokens or not self.unknown else "unknown tokens"]
        if self.usd > 0 or (self.tokens and not self.unpriced and not self.unknown):
            parts.append(f"{'at least ' if self.unknown or self.unpriced else ''}{dollars(self.usd)}")
        notes = [
            f"{count_of(count, 'answer')} {what}"
            for count, what in (
                (self.unknown, "of unknown usage"),
                (self.unpriced if self.usd else 0, "without a price"),
            )
            if count
        ]
        return ", ".join(parts) + (f" ({', '.join(notes)})" if notes else "")


@dataclass(frozen=True, slots=True)
class Tally:
    """What many iterations took.

    Parameters
    ----------
    count
        How many they are.
    total
        All together.
    most_tokens, most_judge_tokens, most_usd
        The dearest of them, by each measure.
    """

    count: int = 0
    total: Spending = Spending()
    most_tokens: int = 0
    most_judge_tokens: int = 0
    most_usd: float = 0.0

    @classmethod
    def of(cls, spent: Spending) -> Tally:
        """Return the tally of one iteration."""
        return cls(1, spent, spent.tokens, spent.judge_tokens, spent.usd)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.count + other.count,
            self.total + other.total,
            max(self.most_tokens, other.most_tokens),
            max(self.most_judge_tokens, other.most_judge_tokens),
            max(self.most_usd, other.most_usd),
        )


def dollars(usd: float) -> str:
    """Return an amount of money with two decimals, or as many as show its first two digits.

    >>> dollars(12.5), dollars(0.0123), dollars(0.0)
    ('$12.50', '$0.0123', '$0.00')
    """
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.{_decimals(usd)}f}"


def _decimals(usd: float) -> int:
    return next((n for n in range(2, 12) if usd * 10**n >= 100), 12)


def spending_of(meta: Mapping[str, Any], prices: Prices, model: str = "", judge: str = "") -> Spending:
    """Return what one iteration took, by its meta.

    That are the usage of its answer, of attempts at it that were charged for in vain (``wasted``), and of its judge
    (``judge``; a list where there were several). A cost that was recorded stands; otherwise it is reckoned.

    Parameters
    ----------
    model, judge
        Names of the models that were asked, where those that answered have no price.
    """
    total = Spending()
    for part, asked, judged in _parts(meta, model, judge):
        one = _one(part, prices, asked)
        total += replace(one, judge_tokens=one.tokens, judge_unknown=one.unknown) if judged else one
    recorded = meta.get(COST)
    if isinstance(recorded, int | float) and not isinstance(recorded, bool) and 0 <= recorded <= _LARGEST:
        return replace(total, usd=float(recorded), unpriced=0)
    return total


def priced(record: Iteration, prices: Prices, model: str = "", judge: str = "") -> tuple[Iteration, Spending]:
    """Return an iteration with its cost in its meta, where all of it is known, and what it took; see `spending_of`."""
    spent = spending_of(record.meta, prices, model, judge)
    if not spent.tokens or spent.unknown or spent.unpriced:
        return record, spent
    return replace(record, meta={**record.meta, COST: spent.usd}), spent


def _parts(meta: Mapping[str, Any], model: str, judge: str) -> Iterator[tuple[Mapping[str, Any], str, bool]]:
    """Yield what was charged for, with the model that was asked, and whether it was to judge."""
    found = meta.get("judge")
    for part, asked in ((meta, model), *((one, judge) for one in (found if isinstance(found, list) else [found]))):
        if isinstance(part, Mapping):
            yield part, asked, part is not meta
            if isinstance(wasted := part.get("wasted"), Mapping):
                yield {"model": part.get("model"), **wasted}, asked, part is not meta


def _one(part: Mapping[str, Any], prices: Prices, model: str) -> Spending:
    prompt, answer, cached = (_count(part.get(f"{name}_tokens")) for name in ("prompt", "completion", "cached"))
    unknown = int("finish_reason" in part and (prompt is None or answer is None))
    if prompt is None and answer is None:
        return Spending(unknown=unknown)
    price = price_of(prices, str(part.get("model") or ""), model)
    if price is None:
        return Spending(prompt or 0, answer or 0, unknown=unknown, unpriced=1)
    from_cache = min(cached or 0, prompt or 0)
    of_cached = price.input if price.cached_input is None else price.cached_input
    usd = ((prompt or 0) - from_cache) * price.input + from_cache * of_cached + (answer or 0) * price.output
    return Spending(prompt or 0, answer or 0, usd / _MILLION, unknown)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None
