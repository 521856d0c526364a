"""Limits of a run: budgets of tokens and money, a deadline, and the meter that lets iterations begin within them."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trimtab.core.records import Iteration
from trimtab.errors import InputError
from trimtab.judging.judge import JUDGE
from trimtab.sessions.spending import Prices, Spending, Tally, dollars, price_of, priced, spending_of

if TYPE_CHECKING:
    from trimtab.sessions.config import RunConfig
    from trimtab.store.base import Store

__all__ = ["Limits", "Meter", "read_deadline", "require_prices"]

_LOOKS = 20
"""Another look at what others took is due when this part of what was left at the last one is spent."""

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def read_deadline(text: str, now: float) -> float:
    """Return when a deadline is, in seconds since the epoch.

    Parameters
    ----------
    text
        A duration from `now` on, such as ``90s``, ``30m``, ``2h`` or ``1h30m``; or a time in ISO format, which is
        local unless it names its offset.

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> read_deadline("1h30m", 0.0), read_deadline("1970-01-02T00:00:00Z", 0.0)
    (5400.0, 86400.0)
    """
    found = _DURATION.fullmatch(text.strip())
    if text.strip() and found:
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return now + 3600 * hours + 60 * minutes + seconds
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InputError(
            f"a deadline is a duration such as 30m or 2h, or a time such as 2030-01-31T18:00, but got {text!r:.80}"
        ) from None


@dataclass(frozen=True, slots=True)
class Limits:
    """What an experiment may take, in all of its runs, and when this one is to end.

    Parameters
    ----------
    usd, tokens, judge_tokens
        Budgets, the last of judges alone; None for no limit.
    deadline
        In seconds since the epoch; None for none.
    """

    usd: float | None = None
    tokens: int | None = None
    deadline: float | None = None
    judge_tokens: int | None = None

    @property
    def budgeted(self) -> bool:
        """True where there is a budget."""
        return (self.usd, self.tokens, self.judge_tokens) != (None, None, None)


def require_prices(config: RunConfig, *models: str) -> None:
    """Raise ``InputError`` where a budget in USD cannot be kept because one of `models` has no price."""
    for model in filter(None, models if config.budget_usd is not None else ()):
        if price_of(config.prices, model) is None:
            raise InputError(
                f"budget_usd needs the price of the model {model}: give it in the configuration file, as a table "
                f'[prices."{model}"] with input and output in USD per million tokens'
            )


class Meter:
    """Counts what iterations take, and lets them begin while they fit into what is left.

    What those under way will take is not known yet, so each counts as much as the dearest iteration so far, and while
    none is known, they begin one at a time. An iteration that does not fit waits for those under way to show what they
    took; where none is under way, the limit is reached. So budgets are exceeded only as far as iterations under way
    exceed every one before them, and where processes share a budget, by those that others have under way.

    Parameters
    ----------
    model, judge
        Names of the model that is asked, and of the one that judges its answers.
    earlier
        Meta of the iterations made before, which count for budgets.

    Attributes
    ----------
    spent
        By iterations of this run.
    tally
        The same with those made before, and by others that share it.
    reached
        Which limit was reached, as a sentence; "" before that.
    blind
        True where a budget cannot be kept, because usage is not reported.
    """

    def __init__(
        self,
        model: str = "",
        prices: Prices | None = None,
        limits: Limits | None = None,
        earlier: Iterable[Mapping[str, Any]] = (),
        judge: str = "",
    ) -> None:
        self.model, self.judge, self.prices, self.limits = model, judge, prices or {}, limits or Limits()
        self.spent, self.tally = Spending(), Tally()
        self.reached, self.blind = "", False
        self._under_way = 0
        self._closed = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._look: Callable[[], Awaitable[Tally]] | None = None
        for meta in earlier:
            self.tally += Tally.of(self.spending_of(meta))
        self._look_from = self._next_look()

    @classmethod
    def of(cls, config: RunConfig, store: Store, model: str, judge: str = "") -> Meter:
        """Return the meter of a run into `store`, whose earlier iterations count where there is a budget."""
        deadline = read_deadline(config.deadline, time.time()) if config.deadline else None
        judging = config.judge.budget_tokens if JUDGE in config.scorers else None
        limits = Limits(config.budget_usd, config.budget_tokens, deadline, judging)
        return cls(model, config.prices, limits, store.metas() if limits.budgeted else (), judge)

    @property
    def in_all(self) -> Spending:
        """What all iterations took, as far as is known here."""
        return self.tally.total

    def spending_of(self, meta: Mapping[str, Any]) -> Spending:
        """Return what an iteration took, by its meta."""
        return spending_of(meta, self.prices, self.model, self.judge)

    def share(self, look: Callable[[], Awaitable[Tally]]) -> None:
        """Ask `look` now and then what others have taken since it was asked last."""
        self._look = look

    async def catch_up(self) -> None:
        """Count what others that share the budgets have taken meanwhile."""
        if self._look is not None:
            self._look_from = [math.inf for _ in self._look_from]  # one look at a time
            missed = await self._look()  # iterations end meanwhile, which count as well
            self.tally += missed
            self._look_from = self._next_look()

    async def admit(self) -> bool:
        """Wait until one more iteration may begin, and return whether it may; `release` says that it has ended."""
        while not self._ends():
            if not self.limits.budgeted or self._fits(self._under_way + 1):
                if self._look is not None and self._look_is_due():
                    await self.catch_up()
                    continue
                self._under_way += 1
                self._wake()
                return True
            if not self._under_way:
                self._reach(self._exceeded())
                break
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self._wake()
        return False

    def release(self, record: Iteration | None = None) -> Iteration | None:
        """Count what an iteration took, and return it with its cost; None where it was given up."""
        self._under_way -= 1
        if record is not None:
            record, spent = priced(record, self.prices, self.model, self.judge)
            self.spent += spent
            self.tally += Tally.of(spent)
        self._wake()
        return record

    def close(self) -> None:
        """Let nothing begin any more."""
        self._closed = True
        self._wake()

    @property
    def seconds_left(self) -> float | None:
        """Until the deadline; None where there is none."""
        return None if self.limits.deadline is None else self.limits.deadline - time.time()

    def expire(self) -> None:
        """Say that the deadline has come."""
        self._reach("the deadline has come")

    def _ends(self) -> bool:
        left = self.seconds_left
        if left is not None and left <= 0:
            self.expire()
        return self._closed or bool(self.reached)

    def _wake(self) -> None:
        """Let the next one look whether it may begin; it wakes the one after it."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _next_look(self) -> list[float]:
        """Return, by budget, at how much spent another look is due: the less is left, the sooner."""
        return [spent + (limit - spent) / _LOOKS for limit, spent, _, _ in self._budgets()]

    def _look_is_due(self) -> bool:
        return any(spent >= at for (_, spent, _, _), at in zip(self._budgets(), self._look_from, strict=True))

    def _fits(self, more: int) -> bool:
        for limit, spent, most, unclear in self._budgets():
            if not most and unclear:
                return False
            # Before anything is known of what an iteration takes, a single one shows it.
            if spent >= limit or (not most and more > 1) or spent + (unclear + more) * most > limit:
                return False
        return True

    def _budgets(self) -> Iterator[tuple[float, float, float, int]]:
        """Yield each budget, what is spent of it, what the dearest iteration took, and how many answers are unclear."""
        spent, tally = self.in_all, self.tally
        if self.limits.tokens is not None:
            yield self.limits.tokens, spent.tokens, tally.most_tokens, self._unclear
        if self.limits.judge_tokens is not None:
            yield self.limits.judge_tokens, spent.judge_tokens, tally.most_judge_tokens, spent.judge_unknown
        if self.limits.usd is not None:
            yield self.limits.usd, spent.usd, tally.most_usd, self._unclear

    @property
    def _unclear(self) -> int:
        """Answers that nobody can say the tokens or the price of; each counts as much as the dearest iteration."""
        return self.in_all.unknown + (self.in_all.unpriced if self.limits.usd is not None else 0)

    def _exceeded(self) -> str:
        if any(unclear and not most for _, _, most, unclear in self._budgets()):
            self.blind = True
            return (
                "the endpoint does not report how many tokens it used, so that no budget can be kept: run without "
                "budgets, or limit the run by --deadline"
            )
        note = f", {self._unclear:,} answers of unknown usage count as much as the dearest one" if self._unclear else ""
        spent, tally, tokens = self.in_all, self.tally, self.limits.tokens
        if tokens is not None and spent.tokens + (self._unclear + 1) * tally.most_tokens > tokens:
            return (
                f"the budget of {tokens:,} tokens is spent: iterations took {spent.tokens:,}{note}, and one more may "
                f"take {tally.most_tokens:,}"
            )
        judges = self.limits.judge_tokens
        if judges is not None and spent.judge_tokens + (spent.judge_unknown + 1) * tally.most_judge_tokens > judges:
            return (
                f"the judge's budget of {judges:,} tokens is spent: judgements took {spent.judge_tokens:,}, and those "
                f"of one more iteration may take {tally.most_judge_tokens:,}"
            )
        return (
            f"the budget of {dollars(self.limits.usd or 0.0)} is spent: iterations took {dollars(spent.usd)}{note}, "
            f"and one more may take {dollars(tally.most_usd)}"
        )

    def _reach(self, sentence: str) -> None:
        self.reached = self.reached or sentence
