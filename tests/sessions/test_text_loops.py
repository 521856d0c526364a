"""Sessions on texts, and scorers that have to wait: judges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from support.providers import ScriptedProvider, TinyProvider
from trimtab.core.objectives import Objective
from trimtab.core.records import Iteration, Score
from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion
from trimtab.scoring.base import AnyScorer, Judgement, ScoringContext
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.config import RunConfig
from trimtab.sessions.plan import Plan, make_plan
from trimtab.sessions.runner import Outcome, run_sessions
from trimtab.sessions.strategies import Strategy
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore

LETTER = Task("letter", "Invites the neighbours.", "Dear all,\n\ncome on Sunday, we shall have cake.\n", "text")
CALM = Strategy("calm", "Calm", "Make it calmer.")


class Length:
    """Scores the length of a text, at once."""

    name = "length"
    objectives = (Objective("length", 0, 1000),)

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        return (Score("length", float(len(artefact))),)


class Panel:
    """Judges a text three times, after waiting; what it was told is kept."""

    name = "panel"
    objectives = (Objective("taste"),)

    def __init__(self, raises: Exception | None = None, judged: tuple[Score, ...] | None = None) -> None:
        self.raises, self.judged = raises, judged
        self.contexts: list[ScoringContext] = []
        self.at_work = self.most = 0

    async def judge(self, artefact: str, context: ScoringContext) -> Judgement:
        self.contexts.append(context)
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        await asyncio.sleep(0.001)
        self.at_work -= 1
        if self.raises is not None and context.iteration == 2:
            raise self.raises
        scores = tuple(Score("taste", 1.0 + repeat, repeat=repeat) for repeat in (2, 0, 1))
        return Judgement(self.judged or scores, ({"prompt_tokens": 7},))

    async def aclose(self) -> None:
        pass


def plan_for(scorers: Sequence[AnyScorer], sessions: int = 1, iterations: int = 1, **fields: object) -> Plan:
    return make_plan(RunConfig(sessions=sessions, iterations=iterations, **fields), [LETTER], [CALM], scorers)


def run(plan: Plan, provider: object, scorers: Sequence[AnyScorer], **options: object) -> tuple[MemoryStore, Outcome]:
    store = MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store, asyncio.run(run_sessions(plan, store, provider, scorers, **options))


def one(answer: str | Completion) -> Iteration:
    scorers = [Length()]
    store, _ = run(plan_for(scorers), ScriptedProvider(lambda _: answer), scorers)
    return list(store.iterations())[-1]


def test_a_text_is_taken_out_of_its_fence_and_scored() -> None:
    record = one("Here is the revised text:\n\n```text\nDear all,\ncome.\n```\nLet me know!")
    assert (record.status, record.artefact, record.extraction) == ("ok", "Dear all,\ncome.\n", "fence")
    assert record.scores == (Score("length", 16.0),)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "the answer is empty"),
        ("I'm sorry, but I can't help with that.", "the answer refuses, or asks, instead of giving a text"),
        (
            Completion("```text\nDear all,", finish_reason="length"),
            "the answer was cut off at the longest answer allowed, so its text may lack its end",
        ),
    ],
)
def test_an_answer_without_a_text_leaves_the_one_in_force(answer: str | Completion, reason: str) -> None:
    record = one(answer)
    assert (record.status, record.artefact, record.reason) == ("failed", LETTER.artefact, reason)
    assert [score.status for score in record.scores] == ["failed"]


def test_a_scorer_of_programs_is_no_scorer_of_texts() -> None:
    with pytest.raises(InputError, match=r"python-static reads python, .* but task 'letter' is in 'text': .*--scorers"):
        plan_for([get_scorer("python-static")])


def test_a_change_in_the_frame_for_texts_leaves_programs_alone() -> None:
    program = Task("p", "Counts.", "n = 1\n")

    def fingerprint(*tasks: Task) -> str:
        plan = make_plan(RunConfig(), tasks, [CALM], [Length()])
        return plan.settings["fingerprints"]["strategies"]["calm"]

    assert len({fingerprint(LETTER), fingerprint(program), fingerprint(LETTER, program)}) == 3


def test_judges_wait_side_by_side_and_keep_their_judgements_apart() -> None:
    panel = Panel()
    scorers = [Length(), panel]
    plan = plan_for(scorers, sessions=6, iterations=2)
    store, outcome = run(plan, ScriptedProvider(lambda _: "```\nDear all, come\n```"), scorers, concurrency=6)
    assert outcome.ended == "complete"
    assert panel.most > 3
    for record in store.iterations():
        assert [(s.objective, s.repeat, s.value) for s in record.scores[1:]] == [
            ("taste", 0, 1.0),
            ("taste", 1, 2.0),
            ("taste", 2, 3.0),
        ]
        assert record.values == {"length": record.scores[0].value, "taste": 2.0}
        assert record.meta["judge"] == [{"prompt_tokens": 7}]
    assert store.trajectories().judgements.shape == (18, 2, 3)


def test_a_judge_knows_which_iteration_it_judges_by_a_seed_of_its_own() -> None:
    panel = Panel()
    plan = plan_for([panel], sessions=2, iterations=2, seed=5)
    run(plan, ScriptedProvider(lambda _: "```\nDear all, come\n```"), [panel])
    assert len({context.seed for context in panel.contexts}) == 6
    assert {(c.session_id, c.iteration) for c in panel.contexts} == {
        (f"calm/letter/{r}", t) for r in (0, 1) for t in (0, 1, 2)
    }
    again = Panel()
    run(plan, ScriptedProvider(lambda _: "```\nDear all, come\n```"), [again], concurrency=1)
    assert {c.seed for c in again.contexts} == {c.seed for c in panel.contexts}


@pytest.mark.parametrize(
    ("raises", "reason"),
    [
        (ProviderError("the judge's endpoint is busy"), "the judge's endpoint is busy"),
        (KeyError("x"), "the scorer panel failed with KeyError: 'x'"),
    ],
)
def test_a_judge_that_fails_costs_its_scores_and_no_more(raises: Exception, reason: str) -> None:
    scorers = [Length(), Panel(raises)]
    store, outcome = run(plan_for(scorers, iterations=3), ScriptedProvider(lambda _: "```\nDear all\n```"), scorers)
    assert outcome.ended == "complete"
    third = list(store.iterations())[2]
    assert third.status == "ok"
    assert third.scores == (Score("length", 9.0), Score("taste", None, "failed", reason))


def test_a_judge_that_can_judge_nothing_more_ends_the_run_and_it_goes_on_later() -> None:
    scorers = [Length(), Panel(ProviderError("the judge's key was refused", fatal=True))]
    plan, provider = plan_for(scorers, sessions=3, iterations=3), ScriptedProvider(lambda _: "```\nDear all\n```")
    store, outcome = run(plan, provider, scorers)
    assert (outcome.ended, outcome.reason) == ("error", "the judge's key was refused")
    assert max(record.index for record in store.iterations()) == 1
    mended = [Length(), Panel()]
    assert asyncio.run(run_sessions(plan, store, provider, mended)).ended == "complete"
    whole, _ = run(plan, provider, mended)
    assert contents(store) == contents(whole)


def test_what_a_judge_gives_is_made_storable() -> None:
    judged = (
        Score("taste", None, "failed", "odd \ud800", repeat=0),
        Score("taste", 1.0, repeat=0),
        Score("taste", 2.0, repeat=99),
        Score("smell", 2.0),
    )
    store, _ = run(plan_for([Panel()]), TinyProvider(), [Panel(judged=judged)])
    assert all(record.scores == (Score("taste", 1.0),) for record in store.iterations() if record.status == "ok")
    only_odd = Panel(judged=judged[:1])
    store, _ = run(plan_for([only_odd]), ScriptedProvider(lambda _: "```\nDear all\n```"), [only_odd])
    assert {record.scores for record in store.iterations()} == {(Score("taste", None, "failed", "odd \ufffd"),)}


def test_a_broken_program_has_no_scores_and_is_not_shown_to_a_judge() -> None:
    panel = Panel()
    scorers = [get_scorer("python-static"), panel]
    task = Task("p", "Counts.", "def f():\n    return 1\n")
    plan = make_plan(RunConfig(sessions=1, iterations=1), [task], [CALM], scorers)
    store, _ = run(plan, ScriptedProvider(lambda _: "```python\ndef f(:\n    x\n```"), scorers)
    record = list(store.iterations())[-1]
    assert record.status == "failed"
    assert record.artefact == task.artefact
    assert {s.objective: (s.status, s.value) for s in record.scores} == dict.fromkeys(
        ("security", "efficiency", "functionality", "taste"), ("failed", None)
    )
    assert {s.reason for s in record.scores} == {record.reason}
    assert record.reason.startswith("syntax error on line 1")
    assert [context.iteration for context in panel.contexts] == [0]
