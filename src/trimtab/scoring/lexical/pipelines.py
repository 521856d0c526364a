"""Latency and resource use of a plan for processing text, images or sound, as qualities: more is better."""

from __future__ import annotations

from trimtab.scoring.lexical.rules import counted, each, judged, length, lines
from trimtab.scoring.lexical.text import Text

__all__ = ["LATENCY", "RESOURCE_USE"]

_MANY_STEPS = 5


def _further_steps(text: Text) -> list[int]:
    return [block.line for block in text.reading.blocks if block.kind in ("item", "step")][_MANY_STEPS:]


LATENCY = judged(
    "latency",
    *(5.0, 5.0, 7.0),
    each("cache", 0.7, "results are kept and used again", "cache"),
    counted("parallel", 1.2, 2, "stages run side by side", "parallel"),
    each("stream", 0.7, "results come as they arise", "stream"),
    counted("small-model", 1.2, 3, "a small model or little input", "small-model", "reduction"),
    each("early-exit", 0.6, "work is skipped where it is not needed", "early-exit"),
    each("time-budget", 0.6, "a time limit with a number", "time-budget"),
    each("asynchronous", 0.4, "nobody waits for it", "asynchronous"),
    counted("second-pass", -1.8, 3, "the work is done a second time, or by several", "second-pass"),
    counted("large-model", -1.5, 3, "a large model, or input at full size", "large-model"),
    counted("sequential", -1.3, 4, "one stage waits for another", "sequential"),
    each("network", -0.4, "data go over a network", "network"),
    each("human", -0.7, "a person looks at it", "human"),
    lines("many-stages", -0.35, f"a stage beyond the first {_MANY_STEPS}", _further_steps),
    length("length", -0.3, 150),
)

RESOURCE_USE = judged(
    "resource_use",
    *(5.0, 5.0, 7.0),
    counted("small-model", 1.6, 3, "a small or quantised model", "small-model"),
    each("reduction", 0.6, "input is made smaller first", "reduction"),
    each("cache", 0.4, "results are kept and used again", "cache"),
    each("batch", 0.4, "work is done in batches", "reuse"),
    each("size-budget", 0.7, "a limit on memory, tokens or cost, with a number", "size-budget"),
    each("release", 0.6, "what is no longer needed is given back", "release"),
    each("early-exit", 0.6, "work is skipped where it is not needed", "early-exit"),
    counted("large-model", -2.0, 3, "a large model, or input at full size", "large-model"),
    counted("second-pass", -1.6, 3, "the work is done a second time, or by several", "second-pass"),
    counted("parallel", -0.7, 2, "stages run side by side and need room at once", "parallel"),
    each("hoard", -0.6, "everything is kept", "hoard"),
    each("always-on", -0.6, "machines stand ready all the time", "always-on"),
    each("human", -0.5, "a person looks at it", "human"),
    lines("many-stages", -0.35, f"a stage beyond the first {_MANY_STEPS}", _further_steps),
)
