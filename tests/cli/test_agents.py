from __future__ import annotations

import json
from pathlib import Path

import pytest

import trimtab as tt
from support.agents import writer_and_critic
from support.cli import trimtab


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    both = writer_and_critic(0, 40, 6)
    paths = []
    for agent in ("writer", "critic"):
        names = [name for name in both.space.names if name.startswith(agent)]
        own = both.select(objectives=names)
        scores = own.scores.reshape(40, 7, 2)
        single = tt.Trajectories.from_arrays(scores, [name.partition(".")[2] for name in names])
        paths.append(tt.save(single, tmp_path / f"{agent}.csv"))
    return paths[0], paths[1]


def test_it_prints_who_moves_whom(capsys, files) -> None:
    ran = trimtab(capsys, "agents", *files, "--draws", 100)
    assert (ran.code, ran.err) == (0, "")
    assert "critic moves writer" in ran.out
    assert "Nothing shows that writer moves critic" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 118


def test_names_and_json(capsys, files, tmp_path: Path) -> None:
    ran = trimtab(capsys, "agents", *files, "--name", "author", "--name", "judge", "--json", "--draws", 50)
    document = json.loads(ran.out)
    assert [*document["strategies"]["all"]["agents"]] == ["author", "judge"]
    one = tt.save(tt.couple({"author": tt.load(files[0]), "judge": tt.load(files[1])}), tmp_path / "both.csv")
    again = json.loads(trimtab(capsys, "agents", one, "--json", "--draws", 50).out)
    assert again["strategies"]["all"]["blocks"] == document["strategies"]["all"]["blocks"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["agents", "W", "missing.csv"], "does not exist"),
        (["agents", "W", "W"], "give --name once for each source"),
        (["agents", "W"], "AGENT.NAME"),
        (["agents", "W", "C", "--by", "task_id"], "no column 'task_id'"),
    ],
)
def test_mistakes_get_one_sentence(capsys, files, arguments: list[str], words: str) -> None:
    ran = trimtab(capsys, *[{"W": files[0], "C": files[1]}.get(a, a) for a in arguments])
    assert ran.code == 1
    assert words in ran.err
