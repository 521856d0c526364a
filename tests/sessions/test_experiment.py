"""A whole run: how it takes signals."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from trimtab.sessions import experiment


def test_a_signal_ends_the_process_only_where_another_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)

    async def scenario() -> list[tuple[int, int]]:
        stop, told, seen = asyncio.Event(), [], []
        stop.set()  # by a deadline, say
        with experiment._signals(stop, lambda: told.append(1)):
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.01)
                seen.append((len(told), len(ended)))
        return seen

    assert asyncio.run(scenario())[0] == (1, 0)
    assert ended == [experiment.INTERRUPTED]
