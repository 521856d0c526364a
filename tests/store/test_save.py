from __future__ import annotations

import gzip
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimtab as tt
from trimtab.core.trajectories import FAILED, OK, UNSCORED
from trimtab.errors import InputError, SourceError

# NUL cannot stand in a CSV file, and a lone surrogate in no file; a name of only blanks counts as missing.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8).filter(
    str.strip
)
VALUES = st.floats(min_value=-1e100, max_value=1e100, allow_nan=False, width=64)


@st.composite
def trajectories(draw: st.DrawFn) -> tt.Trajectories:
    objectives = draw(
        st.lists(NAMES.map(lambda name: f"q {name.strip()}".casefold()), min_size=1, max_size=3, unique=True)
    )
    ids = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    times = [sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=5))) for _ in ids]
    rows = sum(map(len, times))
    strategies = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    used = [draw(st.sampled_from(strategies)) for _ in range(rows)]
    named = tuple(dict.fromkeys(used))
    shape = (rows, len(objectives))
    scores = np.array([draw(VALUES) for _ in range(rows * len(objectives))]).reshape(shape)
    status = np.array([draw(st.sampled_from([OK, OK, UNSCORED, FAILED])) for _ in range(scores.size)], dtype=np.int8)
    status[:: len(objectives)][:1] = OK
    status = status.reshape(shape)
    status[0] = OK  # an objective without a single number is no objective
    labels = draw(st.sampled_from([{}, {"task_id"}, {"task_id", "model"}]))
    return tt.Trajectories(
        space=tt.ObjectiveSpace(tt.Objective(name, -1e308, 1e308, "min") for name in objectives),
        scores=np.where(status == OK, scores, np.nan),
        status=status,
        iteration=np.concatenate([np.array(t) for t in times]),
        strategy=np.array([named.index(name) for name in used]),
        offsets=np.concatenate([[0], np.cumsum([len(t) for t in times])]),
        session_ids=tuple(ids),
        strategies=named,
        covariates={name: tuple(draw(NAMES) for _ in ids) for name in sorted(labels)},
    )


def assert_same(one: tt.Trajectories, other: tt.Trajectories) -> None:
    assert one.space == other.space
    assert one.session_ids == other.session_ids
    assert one.strategies == other.strategies
    assert dict(one.covariates) == dict(other.covariates)
    for name in ("scores", "status", "iteration", "strategy", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl", ".jsonl.gz"])
@settings(max_examples=12, deadline=None)
@given(given=trajectories(), layout=st.sampled_from(["wide", "long"]))
def test_loading_what_was_saved_gives_the_same(
    given: tt.Trajectories, suffix: str, layout: Literal["wide", "long"]
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"saved{suffix}"
        assert tt.save(given, path, layout=layout) == path
        found = tt.load(path, objectives=given.space)
        assert [p.name for p in Path(folder).iterdir()] == [path.name]
    assert_same(found, given)
    assert found.exclusions == ()


def small(names: tuple[str, ...] = ("x",)) -> tt.Trajectories:
    return tt.Trajectories.from_arrays(np.arange(4.0 * len(names)).reshape(2, 2, len(names)), names)


def test_an_unknown_ending_names_those_that_are_known(tmp_path: Path) -> None:
    for name in ("a.xlsx", "a.csv.gz", "a"):
        with pytest.raises(InputError, match=r"\.csv, \.parquet, \.jsonl or \.jsonl\.gz"):
            tt.save(small(), tmp_path / name)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SourceError, match="folder"):
        tt.save(small(), tmp_path / "folder.csv")
    with pytest.raises(SourceError, match="does not exist"):
        tt.save(small(), tmp_path / "none" / "a.csv")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tt.save(small(), tmp_path / "a.csv")
    before = path.read_bytes()

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SourceError, match="disk full"):
        tt.save(small(("x", "y")), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through_and_a_file_is_as_readable_as_any(tmp_path: Path) -> None:
    target = tmp_path / "real.csv"
    target.touch()
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    tt.save(small(), link)
    assert link.is_symlink()
    assert target.stat().st_size > 0
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_names_that_would_clash(tmp_path: Path) -> None:
    for names in (("strategy",), ("Security", "security"), ("model",), ("text",)):
        with pytest.raises(InputError, match="layout='long'"):
            tt.save(small(names), tmp_path / "a.csv")
        saved = tt.save(small(names), tmp_path / "a.csv", layout="long")
        assert tt.load(saved).space.names == names
    with pytest.raises(InputError, match=r"distinct session ids|session ids must be distinct"):
        tt.save(tt.Trajectories.from_arrays(np.zeros((2, 2, 1)), ["x"], session_ids=["a", "a"]), tmp_path / "a.csv")


def test_a_compressed_file_is_gzip_and_a_saved_table_is_tidy(tmp_path: Path) -> None:
    text = gzip.decompress(tt.save(small(), tmp_path / "a.jsonl.gz").read_bytes()).decode()
    assert text.splitlines()[0] == '{"session_id":"s0","strategy":"all","iteration":0,"x":0.0}'
    tt.save(small(), tmp_path / "a.csv", layout="long")
    assert (tmp_path / "a.csv").read_text().splitlines()[:2] == [
        "session_id,strategy,iteration,objective,value,status",
        "s0,all,0,x,0.0,ok",
    ]
