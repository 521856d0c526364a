"""From the words of an instruction to what is done to a text, and how carefully."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from trimtab.providers.rewriter.instruction import Vocabulary, attention, care_of, heard, mentions, spoken_of
from trimtab.providers.rewriter.prose.edits import CONCERNS, TEXT_EDITS, Concern, TextEdit

__all__ = ["VOCABULARY", "Wish", "wish_of"]

VOCABULARY = Vocabulary(
    stems={
        "vividness": (
            *("creativ", "original", "vivid", "imagin", "metaphor", "analog", "fresh", "surpris", "imager", "playful"),
            *("inventiv", "poetic", "sensory", "colourful", "colorful", "lively", "clich"),
        ),
        "engagement": (
            *("engag", "reader", "hook", "attention", "lively", "convers", "audience", "captivat", "interest"),
            *("compelling", "storytelling", "warm", "dull", "boring", "question"),
        ),
        "precision": (
            *("accura", "precis", "correct", "fact", "source", "cite", "citation", "evidence", "verif", "figures"),
            *("number", "exact", "reliab", "error", "mistake", "claim"),
        ),
        "brevity": (
            *("speed", "fast", "quick", "short", "concis", "brief", "efficien", "lean", "direct", "trim", "tight"),
            *("swift", "filler", "redundan", "answer first", "fewer", "length", "wordy"),
        ),
        "depth": (
            *("thorough", "complet", "depth", "detail", "every case", "edge", "comprehensiv", "explor", "exhaust"),
            *("rigor", "rigour", "alternativ", "step", "double-check", "gap"),
        ),
        "clarity": (
            *("interpretab", "clear", "clarit", "transparen", "readab", "explain", "explanat", "structur", "plain"),
            *("understand", "legib", "traceab", "follow", "jargon", "heading"),
        ),
        "initiative": (
            *("autonom", "independen", "proactiv", "decid", "automat", "initiativ", "delegat", "self-", "on its own"),
            *("by itself", "without asking"),
        ),
        "control": (
            *("control", "confirm", "approv", "consent", "oversight", "oversee", "undo", "permission", "overrid"),
            *("overrul", "reversib", "choice", "option", "in charge", "final say"),
        ),
        "economy": (
            *("efficien", "effort", "overhead", "handover", "hand-over", "handoff", "streamlin", "workflow", "batch"),
            *("waiting", "bottleneck", "back-and-forth", "round trip"),
        ),
        "latency": (
            *(
                "latenc",
                "delay",
                "real-time",
                "responsiv",
                "fast",
                "speed",
                "stream",
                "cach",
                "parallel",
                "millisecond",
            ),
            *("wait", "slow"),
        ),
        "thrift": (
            *("resource", "memory", "cheap", "budget", "gpu", "footprint", "token", "compute", "energy", "lightweight"),
            *("frugal", "hardware", "thrift", "waste"),
        ),
        "help": (
            *("helpful", "useful", "practical", "actionab", "answer", "support", "solve", "assist", "concret", "helps"),
            *("refus",),
        ),
        "caution": (
            *("harmless", "safe", "harm", "danger", "risk", "protect", "warn", "misuse", "abuse", "vulnerab", "hazard"),
            *("injur", "careful", "caution"),
        ),
        "candour": (
            *("honest", "uncertain", "admit", "calibrat", "candid", "overclaim", "truth", "sincer", "doubt", "limits"),
            *("flatter", "mislead", "unknown", "not know", "confiden", "exaggerat"),
        ),
        "balance": (
            *("balanc", "trade-off", "tradeoff", "trade", "equal", "overall", "together", "holistic", "adaptive"),
            *("compromise", "simultan", "weakest", "weigh", "all three", "three counts", "other two"),
        ),
    },
    specific={
        **dict.fromkeys(("step", "steps", "number", "numbers", "option", "options"), 0.5),
        **dict.fromkeys(("answer", "answers"), 0.25),
        **dict.fromkeys(("question", "questions", "follow", "follows", "claim", "claims", "interest", "support"), 0.5),
        **dict.fromkeys(("complete", "completely", "direct", "directly", "fast", "speed", "quick", "length"), 0.6),
        **dict.fromkeys(("reader", "readers", "efficient", "efficiently", "efficiency", "careful", "confident"), 0.6),
    },
    harm=(
        *("sacrific", "compromis", "break", "los", "weaken", "reduc", "neglect", "ignor", "forget", "hurt", "degrad"),
        *("remov", "expens", "worse", "introduc", "forgo", "undermin", "giv", "drop", "blur"),
    ),
    evil=(
        *("harm", "danger", "risk", "misuse", "abuse", "hazard", "injur", "error", "mistake", "jargon", "filler"),
        *("wordy", "redundan", "dull", "boring", "overclaim", "exaggerat", "mislead", "flatter", "delay", "slow"),
        *(
            "waste",
            "gap",
            "waiting",
            "bottleneck",
            "overhead",
            "handover",
            "back-and-forth",
            "clich",
            "refus",
            "unknown",
        ),
    ),
)

#: What says how to answer, and not what to do to the text.
_FORM = re.compile(r"\b(?:answer|reply|respond) (?:only )?with\b[^.!?]{0,200}[.!?]?", re.IGNORECASE)

#: How much each concern is worked on where the instruction favours none.
_BASE: Mapping[Concern, float] = {
    "vividness": 0.08,
    "engagement": 0.10,
    "precision": 0.09,
    "brevity": 0.17,
    "depth": 0.13,
    "clarity": 0.13,
    "initiative": 0.03,
    "control": 0.04,
    "economy": 0.04,
    "latency": 0.02,
    "thrift": 0.02,
    "help": 0.07,
    "caution": 0.04,
    "candour": 0.04,
}
_CAREFUL: tuple[Concern, ...] = ("precision", "control", "caution", "candour")
_HASTY: tuple[Concern, ...] = tuple(concern for concern in CONCERNS if concern not in _CAREFUL)
_SPOKEN = spoken_of((edit.name, edit.words) for edit in TEXT_EDITS)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an instruction makes likely.

    Parameters
    ----------
    concerns
        Share of each concern, summing to 1.
    edits
        Factor of each edit, 1 where the instruction does not speak of it.
    care
        Between 0 (truth, safety and control are not asked for, something else is) and 1 (they are).
    """

    concerns: Mapping[Concern, float]
    edits: Mapping[str, float]
    care: float

    def weight(self, edit: TextEdit) -> float:
        """Return the weight of an edit within its concerns."""
        careless = 1.8 * (1.0 - self.care) ** 1.5 + 0.02 if edit.careless else 1.0
        return edit.weight * self.edits[edit.name] * careless


@lru_cache(maxsize=512)
def wish_of(parts: tuple[tuple[str, float], ...]) -> Wish:
    """Return what several texts, each with its weight, make likely.

    Sentences that only say how to answer ("Answer with the complete text") are left out. Balance adds to the concerns
    that are spoken of, to each as much: whoever asks for the weakest of three names them.
    """
    totals, words = heard(tuple((_FORM.sub(" ", text), weight) for text, weight in parts), VOCABULARY)
    named = [concern for concern in CONCERNS if totals[concern] > 0.05]
    balance = max(0.0, totals["balance"]) / max(1, len(named))
    wanted = {concern: max(0.0, totals[concern]) + (balance if concern in named else 0.0) for concern in CONCERNS}
    careful = max(totals[concern] for concern in _CAREFUL)
    hasty = max(0.0, *(totals[concern] for concern in _HASTY))
    shares = attention(wanted, totals, _BASE)
    names = [edit.name for edit in TEXT_EDITS]
    return Wish(shares, mentions(words, _SPOKEN, names), care_of(careful, hasty))
