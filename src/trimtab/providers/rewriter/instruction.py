"""From the words of an instruction to weights of the edits.

Each word that begins with one of the stems of a topic adds to that topic. A word that a negation governs takes away
from it ("without adding features"), unless what is negated is harm ("without weakening security"), which adds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from trimtab.providers.rewriter.edits import EDITS, FAMILIES, Edit, Family

__all__ = [
    "DRIFT",
    "Affinities",
    "Topic",
    "Vocabulary",
    "affinities",
    "affinities_of",
    "attention",
    "care_of",
    "emphasis",
    "heard",
    "mentions",
    "spoken_of",
]

Topic = str
T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the words of an instruction mean.

    Parameters
    ----------
    stems
        Beginnings of words of each topic; two words are looked for side by side.
    specific
        What a word counts instead of 1.
    harm
        Beginnings of words for doing harm to something, which a negation turns into care for it.
    evil
        Beginnings of words for what is bad in itself: to refuse it is to ask for its opposite.
    """

    stems: Mapping[Topic, tuple[str, ...]]
    specific: Mapping[str, float]
    harm: tuple[str, ...]
    evil: tuple[str, ...]


_STEMS: Mapping[Topic, tuple[str, ...]] = {
    "hardening": (
        *("secur", "safe", "vulnerab", "validat", "harden", "attack", "inject", "sanitis", "sanitiz", "protect"),
        *("threat", "exploit", "robust", "defens", "trust", "owasp", "cwe", "encrypt", "authenti", "untrusted", "leak"),
        *("malicious", "hostile", "risk", "unsafe", "insecur", "weakness", "secret", "check"),
    ),
    "optimisation": (
        *("fast", "efficien", "perform", "optimi", "speed", "quick", "simpler", "complexit", "latenc", "lean"),
        *("algorithm", "throughput", "runtime", "big-o", "slow", "concise", "overhead", "scalab"),
    ),
    "feature": (
        *("featur", "functional", "capabilit", "extend", "extens", "add", "option", "rich", "enhanc", "expand"),
        *("new", "useful", "user", "capab", "completely", "completeness", "support", "more"),
    ),
    "cleanup": (
        *("refactor", "clean", "readab", "maintain", "tidy", "restructur", "modular", "document", "quality", "clarit"),
    ),
    "balance": (
        *("balanc", "trade-off", "tradeoff", "trade", "all objectives", "equal", "overall", "together", "integrat"),
        *("holistic", "adaptive", "compromise", "simultan", "every objective", "each objective", "weakest", "weigh"),
        *("all three", "three counts", "other two", "well-balanc"),
    ),
}  # fmt: skip
_SPECIFIC: Mapping[str, float] = {
    "add": 0.4,
    "new": 0.5,
    "user": 0.3,
    "users": 0.3,
    "more": 0.3,
    "support": 0.4,
    "check": 0.4,
    "checks": 0.4,
}
_NEGATIONS = frozenset(
    (
        *("not", "no", "without", "never", "avoid", "don't", "dont", "doesn't", "nor", "neither", "instead", "rather"),
        *("ignore", "ignoring", "regardless", "except", "stop", "skip", "unimportant"),
    )
)
_HARM = (
    *(
        "sacrific",
        "compromis",
        "break",
        "los",
        "weaken",
        "harm",
        "reduc",
        "neglect",
        "ignor",
        "forget",
        "hurt",
        "degrad",
    ),
    *("remov", "risk", "expens", "worse", "introduc", "forgo", "undermin", "giv"),
)
#: What is given up for something else: it is named, but not asked for.
_PRICE = ("cost", "expens", "sacrific", "price")
#: What is bad in itself: to refuse it is to ask for its opposite.
_EVIL = (
    *(
        "vulnerab",
        "attack",
        "inject",
        "exploit",
        "threat",
        "risk",
        "leak",
        "unsafe",
        "insecur",
        "weakness",
        "malicious",
    ),
    *("slow", "overhead", "complexit", "latenc"),
)
_PROGRAMS = Vocabulary(_STEMS, _SPECIFIC, _HARM, _EVIL)
_CLAUSE = re.compile(r"[.;:!?\n()]|,| - | but | while | and then ")
_TOKEN = re.compile(r"[a-z][a-z'-]*")
#: How many words after a negation it governs.
_REACH = 5
_PRICED = 3
#: Share of attention that does not follow the instruction: models drift.
DRIFT = 0.22
#: How much each family is worked on where the instruction favours none.
_BASE: Mapping[Family, float] = {"hardening": 0.24, "optimisation": 0.24, "feature": 0.3, "cleanup": 0.22}


def emphasis(instruction: str, vocabulary: Vocabulary = _PROGRAMS) -> dict[Topic, float]:
    """Return how much an instruction stresses each topic: 0 where it says nothing, below 0 where it says not to."""
    totals = dict.fromkeys(vocabulary.stems, 0.0)
    for clause in _CLAUSE.split(instruction.lower()):
        tokens = _TOKEN.findall(clause)
        negated = spent = -_REACH - 1
        harmed = False
        for position, token in enumerate(tokens):
            after = tokens[position + 1] if position + 1 < len(tokens) else ""
            if token in _NEGATIONS:
                negated, harmed = position, False
                continue
            governed = position - negated <= _REACH
            if governed and token.startswith(vocabulary.harm):
                harmed = True
                continue
            if token.startswith(_PRICE):
                spent = position
                continue
            factor = 1.0
            if governed:
                # "No feature that opens a hole" forbids the hole, and "avoid vulnerabilities" asks for safety.
                meant = harmed or after in ("that", "which")
                factor = 1.0 if token.startswith(vocabulary.evil) else 0.5 if meant else -1.0
            elif position - spent <= _PRICED:
                factor = 0.0
            for topic, stems in vocabulary.stems.items():
                if token.startswith(stems) or f"{token} {after}".startswith(stems):
                    totals[topic] += factor * vocabulary.specific.get(token, 1.0)
    # The third mention says less than the first.
    return {topic: math.copysign(math.log1p(abs(total)), total) for topic, total in totals.items()}


@dataclass(frozen=True, slots=True)
class Affinities:
    """What an instruction makes likely.

    Parameters
    ----------
    families
        Share of each family, summing to 1.
    edits
        Factor of each edit within its family, 1 where the instruction does not speak of it.
    care
        Between 0 (safety is not asked for, haste is) and 1 (safety is asked for).
    """

    families: Mapping[Family, float]
    edits: Mapping[str, float]
    care: float

    def weight(self, edit: Edit) -> float:
        """Return the weight of an edit within its family."""
        # Nobody asked for safety: the careless way is three times as likely as where nothing was said.
        careless = 1.8 * (1.0 - self.care) ** 1.5 + 0.02 if edit.careless else 1.0
        return edit.weight * self.edits[edit.name] * careless


def affinities(instruction: str) -> Affinities:
    """Return the weights that follow from one instruction."""
    return affinities_of(((instruction, 1.0),))


@lru_cache(maxsize=512)
def affinities_of(parts: tuple[tuple[str, float], ...]) -> Affinities:
    """Return the weights that follow from several texts, each with its weight."""
    totals, words = heard(parts, _PROGRAMS)
    balance = max(0.0, totals["balance"])
    wanted = {
        family: max(0.0, totals[family]) + 0.6 * balance * (1.2 if family != "feature" else 0.8) for family in FAMILIES
    }
    safety = totals["hardening"] + 0.6 * balance
    haste = max(0.0, totals["feature"], totals["optimisation"])
    shares = attention(wanted, totals, _BASE)
    return Affinities(shares, mentions(words, _SPOKEN, [edit.name for edit in EDITS]), care_of(safety, haste))


def heard(parts: tuple[tuple[str, float], ...], vocabulary: Vocabulary) -> tuple[dict[Topic, float], dict[str, float]]:
    """Return the emphasis of each topic in several weighted texts, and each of their words with its weight up to 1."""
    totals = dict.fromkeys(vocabulary.stems, 0.0)
    words: dict[str, float] = {}
    for text, weight in parts:
        for topic, value in emphasis(text, vocabulary).items():
            totals[topic] += weight * value
        for token in _TOKEN.findall(text.lower()):
            words[token] = min(1.0, words.get(token, 0.0) + weight)
    return totals, words


def attention(wanted: Mapping[T, float], totals: Mapping[Topic, float], base: Mapping[T, float]) -> dict[T, float]:
    """Return the share of attention that each family gets, summing to 1.

    Parameters
    ----------
    wanted
        How much each is asked for, 0 or more.
    totals
        Emphasis, below 0 where a family is refused.
    base
        Shares where the instruction favours none.
    """
    total = sum(wanted.values())
    # A clear instruction takes all attention but the drift; a single vague word takes less.
    strength = (1 - DRIFT) * (1 - math.exp(-2.2 * total))
    shares = {}
    for family in base:
        refused = math.exp(1.5 * min(0.0, totals[family]))
        # Attention goes to what is stressed most, more than in proportion.
        asked = wanted[family] ** 1.6 / sum(value**1.6 for value in wanted.values()) if total else 0.0
        shares[family] = refused * ((1 - strength) * base[family] + strength * asked)
    norm = sum(shares.values())
    return {family: share / norm for family, share in shares.items()}


def care_of(safety: float, haste: float) -> float:
    """Return how careful the edits are, between 0 and 1, from the emphasis of safety and of what is at its expense."""
    return 1 / (1 + math.exp(-(2.2 * safety - 0.9 * haste)))


def mentions(words: Mapping[str, float], spoken: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, float]:
    """Return the factor of each edit: 3 where a word of full weight begins with one of its stems."""
    best = dict.fromkeys(names, 0.0)
    for token, weight in words.items():
        for length in range(2, len(token) + 1):
            for name in spoken.get(token[:length], ()):
                best[name] = max(best[name], weight)
    return {name: 1.0 + 2.0 * weight for name, weight in best.items()}


def spoken_of(edits: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Return for each stem the names of the edits that it makes likelier."""
    found: dict[str, list[str]] = {}
    for name, stems in edits:
        for stem in stems:
            found.setdefault(stem, []).append(name)
    return found


_SPOKEN: Mapping[str, list[str]] = spoken_of((edit.name, edit.words) for edit in EDITS)
