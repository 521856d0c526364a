"""All questions, asked of one strategy."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.trajectories import Steps, Trajectories
from trimtab.estimation.audit import (
    dropout,
    form,
    identifiability,
    measurement,
    memory,
    normality,
    scatter,
    shuffled,
    stability,
)
from trimtab.estimation.audit.finding import AuditOptions, Finding, Question, answered, corrected
from trimtab.estimation.audit.sample import Sample

__all__ = ["ASSUMPTIONS", "QUESTIONS", "audit_strategy"]

QUESTIONS = (
    Question("memory", "Does the next score depend on the present one?", memory.memory),
    Question("shuffled_rate", "Is the rate other than that of shuffled scores?", shuffled.shuffled_rate),
    Question("shuffled_r2", "Is R2 other than that of shuffled scores?", shuffled.shuffled_r2),
    Question("shuffled_pairs", "Do complex eigenvalues mean more than in shuffled scores?", shuffled.shuffled_pairs),
    Question(
        "shuffled_interference",
        "Is interference other than that of shuffled scores?",
        shuffled.shuffled_interference,
    ),
    Question("static_levels", "Do deviations fade, rather than last for good?", memory.static_levels),
    Question("score_noise", "Is scoring noise small beside real differences?", memory.score_noise),
    Question("over_iterations", "Are the dynamics the same early and late?", stability.over_iterations, True),
    Question("over_sessions", "Are they the same in the first and last sessions?", stability.over_sessions, True),
    Question("linear", "Is a linear drift enough?", form.linear, True),
    Question("first_order", "Is the last score enough, without the one before?", form.first_order, True),
    Question("symmetric", "Are surprises as often up as down?", normality.symmetric, True),
    Question("tails", "Are large surprises as rare as Gaussian ones?", normality.tails, True),
    Question("homoscedastic", "Are surprises as large at all scores and times?", scatter.homoscedastic, True),
    Question("session_variance", "Are surprises as large in all sessions?", scatter.session_variance, True),
    Question("dropout", "Do sessions end regardless of their scores?", dropout.dropout, True),
    Question("bounds", "Are scores off their bounds?", measurement.at_bounds),
    Question("coarse", "Are scores fine enough?", measurement.coarse),
    Question("unchanged", "Does every step change something?", measurement.unchanged),
    Question("condition", "Can the objectives' effects be told apart?", identifiability.condition),
    Question("effective_sessions", "Do enough sessions count?", identifiability.effective_sessions),
    Question("power", "Is the rate told from 0?", identifiability.power),
)
"""In the order in which they are asked."""

ASSUMPTIONS = frozenset(question.name for question in QUESTIONS if question.assumption)
"""Names of the questions whose tests speak against the fit when they reject: Holm's correction is made over these."""

_ORDERED = ("shuffled_rate", "shuffled_r2", "shuffled_pairs", "shuffled_interference")


def audit_strategy(
    trajectories: Trajectories, steps: Steps, code: int | None, options: AuditOptions | None = None
) -> tuple[Finding, ...]:
    """Ask every question of one strategy.

    Parameters
    ----------
    trajectories
        Where the steps come from.
    steps
        The complete steps of the strategy, ordered by session.
    code
        Its code in `trajectories`; None for all steps pooled.

    Returns
    -------
    tuple of Finding
        In the order of `QUESTIONS`, all of them, also those that the data cannot answer.
    """
    options = options or AuditOptions()
    sample = Sample(trajectories, code, steps, options)
    found = corrected([answered(question, sample) for question in QUESTIONS], ASSUMPTIONS, options.alpha)
    ends = next(finding for finding in found if finding.name == "dropout")
    if ends.holds is not False:
        return found
    return tuple(_doubted(finding) if finding.name in _ORDERED and finding.holds else finding for finding in found)


def _doubted(finding: Finding) -> Finding:
    """Withdraw a comparison with shuffled scores whose sessions end because of what they scored."""
    text = (
        f"{finding.says[:-1]}; but sessions end by their scores, which random order undoes, so that this is no proof."
    )
    return replace(finding, holds=None, says=text)
