"""The scorer ``python-static``: security, efficiency and functionality from one parse of a Python program."""

from __future__ import annotations

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.scoring import efficiency, functionality, security
from trimtab.scoring.base import ScoringContext
from trimtab.scoring.syntax import Unparsable, read_program

__all__ = ["PythonStaticScorer"]


class PythonStaticScorer:
    """Static analysis of Python programs.

    It gives three objectives, each 0 to 10, and never executes the program.

    A text over 64 KB, an empty program, or one that cannot be parsed gets no value on any objective, with the reason;
    after a syntax error efficiency alone has a value, the low baseline.
    """

    name: str = "python-static"
    by_text: bool = True
    languages: tuple[str, ...] = ("python", "py", "python3")
    objectives: tuple[Objective, ...] = (
        security.SCALE.objective,
        efficiency.SCALE.objective,
        functionality.SCALE.objective,
    )

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        """Return the three scores in the order of `objectives`; never raises, whatever the text."""
        program = read_program(artefact)
        if not isinstance(program, Unparsable):
            return (
                security.score_security(program),
                efficiency.score_efficiency(program),
                functionality.score_functionality(program, context.reference),
            )
        scores = [Score(objective.name, None, "failed", program.reason) for objective in self.objectives]
        if program.kind == "syntax":
            scores[1] = efficiency.syntax_error_score(program.reason, program.line)
        return tuple(scores)
