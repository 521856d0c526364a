"""The scorer ``lexical``: fourteen objectives of prose and plans from one reading of the text."""

from __future__ import annotations

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.scoring.base import ScoringContext
from trimtab.scoring.lexical import collaboration, pipelines, reasoning, safety, style
from trimtab.scoring.lexical.rules import Judged
from trimtab.scoring.lexical.text import Text
from trimtab.scoring.syntax import exceeds
from trimtab.scoring.text_extraction import PROSE

__all__ = ["JUDGED", "MAX_TEXT_BYTES", "LexicalScorer"]

#: Longest text that is scored, in UTF-8.
MAX_TEXT_BYTES = 64 * 1024

#: The objectives, in the order in which they are documented.
JUDGED: tuple[Judged, ...] = (
    *(style.CREATIVITY, style.ACCURACY, style.ENGAGEMENT),
    *(reasoning.SPEED, reasoning.THOROUGHNESS, reasoning.INTERPRETABILITY),
    *(collaboration.AUTONOMY, collaboration.USER_CONTROL, collaboration.EFFICIENCY),
    *(pipelines.LATENCY, pipelines.RESOURCE_USE),
    *(safety.HELPFULNESS, safety.HARMLESSNESS, safety.HONESTY),
)


class LexicalScorer:
    """Embedded stand-in for a judge of prose and plans, not a judge.

    It scores English text on fourteen objectives, each 0 to 10 and more is better, by words and layout; meaning and
    truth it cannot see. A text over 64 KB, or one without a word, gets no value on any objective, with the reason.
    """

    name: str = "lexical"
    by_text: bool = True
    objectives: tuple[Objective, ...] = tuple(one.scale.objective for one in JUDGED)
    languages: tuple[str, ...] = tuple(sorted(PROSE))

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        """Return the scores in the order of `objectives`; never raises, whatever the text."""
        if exceeds(artefact, MAX_TEXT_BYTES):
            return self._failed(f"the text is larger than {MAX_TEXT_BYTES // 1024} KB")
        text = Text(artefact, context)
        if not text.size:
            return self._failed("the text holds no word")
        return tuple(one.score(text) for one in JUDGED)

    def _failed(self, reason: str) -> tuple[Score, ...]:
        return tuple(Score(objective.name, None, "failed", reason) for objective in self.objectives)
