from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trimtab.core.coupling import agents_of, couple
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError


def numbered(ids, lengths, name: str, offset: float, strategy="all") -> Trajectories:
    arrays = [offset + 10.0 * s + np.arange(length)[:, None] for s, length in enumerate(lengths)]
    return Trajectories.from_arrays(arrays, [f"{name}:0:1000"], strategy, ids)


def test_sessions_are_matched_by_name_and_iterations_by_number() -> None:
    writer = numbered(["a", "b", "c"], [3, 4, 2], "style", 0)
    critic = numbered(["c", "x", "a"], [3, 2, 2], "rigour", 500)
    both = couple({"writer": writer, "critic": critic})
    assert both.space.names == ("writer.style", "critic.rigour")
    assert both.space["critic.rigour"].high == 1000
    assert both.session_ids == ("a", "c")
    assert both.scores.tolist() == [[0, 520], [1, 521], [20, 500], [21, 501]]
    assert both.iteration.tolist() == [0, 1, 0, 1]
    said = [str(gone) for gone in both.exclusions]
    assert said == [
        "1 session: of 'writer', without a partner among all agents (for example b)",
        "1 session: of 'critic', without a partner among all agents (for example x)",
        "2 rows: without the same iteration of all agents",
    ]


def test_a_gap_of_one_agent_is_a_gap_of_all() -> None:
    writer = numbered(["a"], [4], "style", 0)
    gap = replace(numbered(["a"], [3], "rigour", 0), iteration=np.array([0, 2, 3]))
    both = couple({"writer": writer, "critic": gap})
    assert both.iteration.tolist() == [0, 2, 3]
    assert len(both.steps()) == 1
    assert both.exclusions[0].count == 1


def test_agents_may_be_joined_by_a_covariate() -> None:
    writer = replace(numbered(["w0", "w1"], [2, 2], "style", 0), covariates={"task_id": ("t0", "t1")})
    critic = replace(
        numbered(["c0", "c1"], [2, 2], "rigour", 500), covariates={"task_id": ("t1", "t0"), "model": ("m", "n")}
    )
    both = couple({"writer": writer, "critic": critic}, by="task_id")
    assert both.session_ids == ("t0", "t1")
    assert both.scores[:, 1].tolist() == [510, 511, 500, 501]
    assert both.covariates == {"task_id": ("t0", "t1"), "model": ("n", "m")}
    other = replace(critic, covariates={**critic.covariates, "model": ("m", "m")})
    same = replace(writer, covariates={**writer.covariates, "model": ("k", "k")})
    assert couple({"writer": same, "critic": other}, by="task_id").covariates == {
        "task_id": ("t0", "t1"),
        "writer.model": ("k", "k"),
        "critic.model": ("m", "m"),
    }


def test_strategies_are_named_together_where_they_differ() -> None:
    writer = numbered(["a", "b", "c"], [2, 2, 2], "style", 0, ["EF", "SF", "EF"])
    critic = numbered(["a", "b", "c"], [2, 2, 2], "rigour", 0, ["EF", "XX", "XX"])
    both = couple({"writer": writer, "critic": critic})
    assert both.strategies == ("EF", "SF + XX", "EF + XX")
    assert both.strategy.tolist() == [0, 0, 1, 1, 2, 2]


def test_judgements_and_missing_scores_go_along() -> None:
    judged = Trajectories.from_arrays(None, ["style"], "all", judgements=np.arange(12.0).reshape(2, 2, 1, 3))
    plain = Trajectories.from_arrays(np.array([[[1.0], [np.nan]], [[3.0], [4.0]]]), ["rigour"])
    both = couple({"writer": judged, "critic": plain})
    assert both.judgements is not None
    assert both.judgements.shape == (4, 2, 3)
    assert both.n_judgements.tolist() == [[3, 1], [3, 0], [3, 1], [3, 1]]
    assert both.status.tolist() == [[0, 0], [0, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("agents", "by", "words"),
    [
        (lambda w, c: {"writer": w}, "session_id", "two or more agents"),
        (lambda w, c: {"writer": w, "a.b": c}, "session_id", "without '.'"),
        (lambda w, c: {"writer": w, "critic": "critic.csv"}, "session_id", "trimtab.load first"),
        (lambda w, c: {"writer": w, "critic": c}, "task_id", "no column 'task_id'"),
        (
            lambda w, c: {"writer": w, "critic": replace(c, session_ids=("x", "y"))},
            "session_id",
            "no session is shared",
        ),
    ],
)
def test_what_cannot_be_joined_is_said(agents, by: str, words: str) -> None:
    writer, critic = numbered(["a", "b"], [2, 2], "style", 0), numbered(["a", "b"], [2, 2], "rigour", 0)
    with pytest.raises(InputError, match=words):
        couple(agents(writer, critic), by)
    twice = replace(critic, covariates={"task_id": ("t", "t")})
    with pytest.raises(InputError, match="names several of 'critic'"):
        couple({"writer": replace(writer, covariates={"task_id": ("t", "u")}), "critic": twice}, "task_id")


def test_agents_are_read_off_names() -> None:
    assert [*agents_of(ObjectiveSpace(["a.x", "b.x", "a.y.z"]))] == ["a", "b"]
    for names, words in ((["a.x", "y"], "AGENT.NAME"), (["a.x", "a.y"], "at least two agents")):
        with pytest.raises(InputError, match=words):
            agents_of(ObjectiveSpace(names))
