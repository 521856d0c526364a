"""The provider: rewrites in worker processes, so that the event loop goes on."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, Request
from trimtab.providers.rewriter.failures import DEFAULT_FAILURE_RATE

__all__ = ["MOST_WORKERS", "RewriterProvider", "default_workers"]

#: Most worker processes that are started without being asked for.
MOST_WORKERS = 8


def default_workers() -> int:
    """Return the number of processors this process may use, at most `MOST_WORKERS`."""
    if hasattr(os, "sched_getaffinity"):
        return min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    return min(MOST_WORKERS, os.cpu_count() or 1)


def _watch(parent: int) -> None:
    """End this process as soon as its parent is gone, however it went."""
    started = multiprocessing.parent_process()
    while os.getppid() == parent:
        # The sentinel tells at once; the loop around it holds where another process keeps the pipe open.
        if started is not None and wait([started.sentinel], timeout=1.0):
            break
    os._exit(1)


def _start(parent: int) -> None:
    """Prepare a worker: import what it needs, leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    import trimtab.providers.rewriter.answer  # noqa: F401 - loads libcst before the first request

    # What has been imported stays: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()


def _rewrite(request: Request, failure_rate: float) -> Completion:
    # Imported here so that a parent with workers never loads libcst itself.
    from trimtab.providers.rewriter.answer import rewrite

    return rewrite(request, failure_rate=failure_rate)


class RewriterProvider:
    """A stochastic program-rewriting model that stands in for an LLM; it is not one.

    Parameters
    ----------
    workers
        Worker processes; `default_workers` where None. With 0 each request is answered in the event loop's own
        thread, which blocks it for some milliseconds: for tests and short scripts.
    failure_rate
        Probability that an answer is truncated, broken, prose only, or the program unchanged.

    Raises
    ------
    InputError
        If `workers` is negative or `failure_rate` outside 0 to 1.
    """

    name = "rewriter"
    free = True

    def __init__(self, workers: int | None = None, failure_rate: float = DEFAULT_FAILURE_RATE) -> None:
        if workers is not None and workers < 0:
            raise InputError(f"workers must be 0 or more, but got {workers}")
        if not 0 <= failure_rate <= 1:
            raise InputError(f"failure_rate must lie in 0..1, but got {failure_rate!r}")
        self.workers = default_workers() if workers is None else workers
        self.failure_rate = failure_rate
        self._pool: ProcessPoolExecutor | None = None
        self._closed = False

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # A forked copy of a parent with threads may hang; a spawned one never does.
            self._pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(os.getpid(),)
            )
        return self._pool

    async def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises
        ------
        ProviderError
            If the provider was closed, or its workers die again and again.
        """
        if self._closed:
            raise ProviderError("the rewriter was closed and answers no more; make a new one", fatal=True)
        if not self.workers:
            return _rewrite(request, self.failure_rate)
        loop = asyncio.get_running_loop()
        for _ in range(2):
            pool = self._running()
            try:
                return await loop.run_in_executor(pool, _rewrite, request, self.failure_rate)
            except BrokenProcessPool:
                # One worker was killed, for example for memory: all requests in flight start over in a new pool.
                if self._pool is pool:
                    self._pool = None
                    pool.shutdown(wait=False)
        raise ProviderError(
            "the rewriter's worker processes ended twice without an answer: use fewer of them if memory is short, and "
            "start them below `if __name__ == '__main__':` where a script of your own does, or use workers=0"
        )

    async def aclose(self) -> None:
        """End the workers; further requests are refused."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
