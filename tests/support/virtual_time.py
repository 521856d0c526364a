"""An event loop whose clock jumps to the next timer instead of waiting: hours pass in milliseconds, always the same."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run"]

T = TypeVar("T")


class _Impatient(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    loop: _Loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self.loop.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 0.0
        selector = _Impatient()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end. It must wait for timers alone, not for files, sockets or threads."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
