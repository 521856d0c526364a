"""Security: unsafe constructs take away from a middling base, structured handling and checks of input give to it."""

from __future__ import annotations

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.scoring import exposure, handling, injection
from trimtab.scoring.evidence import Scale, compose
from trimtab.scoring.program import Program

__all__ = ["RULES", "SCALE", "score_security"]

SCALE = Scale(Objective("security"), base=6.5, credit_limit=3.5, penalty_limit=7.5)
RULES = (*injection.RULES, *exposure.RULES, *handling.RULES)


def score_security(program: Program) -> Score:
    """Score how safely the program handles input, secrets and errors, 0 to 10."""
    return compose(
        SCALE,
        (*injection.find_injection(program), *exposure.find_exposure(program), *handling.find_handling(program)),
    )
