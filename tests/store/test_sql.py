"""What is particular to a SQLite file: what it refuses to open, and what survives."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from support.records import experiment, iteration, session
from trimtab.errors import InputError, SourceError, StoreError
from trimtab.store.contents import contents
from trimtab.store.open import open_store
from trimtab.store.sql import SqlStore
from trimtab.store.sqlite import SqliteDatabase


def made(path: Path) -> str:
    store = open_store(f"sqlite:///{path}", create=True)
    store.set_experiment(experiment())
    store.add_sessions([session()])
    store.append(iteration())
    store.close()
    return f"sqlite:///{path}"


def test_a_store_is_read_again_from_its_file(tmp_path: Path) -> None:
    url = made(tmp_path / "a.db")
    again = open_store(url)
    assert [i.index for i in again.iterations()] == [0]
    again.append(iteration(index=1))
    again.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.db"]
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM iteration").fetchone() == (2,)
    connection.close()


def test_relative_urls_start_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///here.db", create=True).close()
    assert (tmp_path / "here.db").is_file()
    open_store(f"sqlite:///{tmp_path}/here.db").close()


def test_odd_file_names_work(tmp_path: Path) -> None:
    folder = tmp_path / "a b#c%20ü"
    folder.mkdir()
    open_store(f"sqlite:///{folder}/x y.db", create=True).close()
    assert [p.name for p in folder.iterdir()] == ["x y.db"]


def test_reading_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no store at"):
        open_store(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_other_files_are_refused_and_left_alone(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database")
    with pytest.raises(SourceError, match="is some other kind of file"):
        open_store(f"sqlite:///{path}", create=create)
    assert path.read_text() == "these are notes, not a database"
    with pytest.raises(SourceError, match="is a folder"):
        open_store(f"sqlite:///{tmp_path}", create=create)


@pytest.mark.parametrize("table", ["meta (name, value)", "meta (key)", "people (name)"])
def test_databases_of_other_programs_are_refused(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {table}")
    connection.close()
    before = path.read_bytes()
    for create in (True, False):
        with pytest.raises(StoreError, match="a SQLite database of another program"):
            open_store(f"sqlite:///{path}", create=create)
        assert path.read_bytes() == before


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    url = made(tmp_path / "a.db")
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("UPDATE meta SET value = '999' WHERE name = 'schema_version'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="has the store format 999, but this version of trimtab reads format 2"):
        open_store(url)


def test_an_empty_file_is_no_store_to_read_but_can_become_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    with pytest.raises(SourceError, match="is empty"):
        open_store(f"sqlite:///{path}")
    open_store(f"sqlite:///{path}", create=True).close()
    open_store(f"sqlite:///{path}").close()


def test_a_database_without_tables_can_become_a_store(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE x (y)")
    connection.execute("DROP TABLE x")
    connection.close()
    with pytest.raises(SourceError, match="without any table"):
        open_store(f"sqlite:///{path}")
    open_store(f"sqlite:///{path}", create=True).close()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the folder .*nowhere for the store a.db does not exist"):
        open_store(f"sqlite:///{tmp_path}/nowhere/a.db", create=True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://host/db", "a store URL is one of sqlite:///relative/file.db"),
        ("results.db", "a store URL is one of"),
        ("sqlite:results.db", "a store URL is one of"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "use memory://"),
        ("sqlite:///a.db?mode=ro", "needs a file"),
        ("sqlite://folder/file.db", "needs a file"),
        ("memory://", "nothing to read"),
        ("memory://name", "has no name"),
    ],
)
def test_other_urls_are_refused_with_what_is_known(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_store(url)


def test_a_locked_store_says_so(tmp_path: Path) -> None:
    url = made(tmp_path / "a.db")
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = SqlStore(SqliteDatabase(url, create=False, busy_timeout=0.05))
    with pytest.raises(StoreError, match="locked by another process"):
        store.append(iteration(index=1))
    assert len(list(store.iterations())) == 1  # readers are not disturbed
    other.execute("ROLLBACK")
    store.append(iteration(index=1))
    other.close()
    store.close()


def test_a_damaged_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    url = made(path)
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        list(open_store(url).iterations())


def test_a_store_in_a_folder_that_cannot_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = made(tmp_path / "a.db")
    monkeypatch.setattr("trimtab.store.sqlite.os.access", lambda *_: False)
    store = open_store(url)
    assert len(list(store.iterations())) == 1
    with pytest.raises(StoreError, match="can only be read"):
        store.append(iteration(index=1))
    store.close()
    with pytest.raises(StoreError, match="cannot be written to"):
        open_store(f"sqlite:///{tmp_path}/b.db", create=True)


def test_two_stores_on_one_file_see_each_other(tmp_path: Path) -> None:
    url = made(tmp_path / "a.db")
    one, other = open_store(url), open_store(url)
    one.add_sessions([session("new")])
    other.append(iteration("new", 0))
    one.append(iteration("new", 1))
    with pytest.raises(StoreError, match="has an iteration 0 already"):
        one.append(iteration("new", 0))
    assert contents(one) == contents(other)
    one.close()
    other.close()


def test_scores_that_another_program_spoilt_are_refused_or_counted(tmp_path: Path) -> None:
    url = made(tmp_path / "a.db")

    def change(sql: str) -> None:
        with sqlite3.connect(tmp_path / "a.db") as connection:
            connection.execute(sql)
        connection.close()

    change("UPDATE score SET value = NULL WHERE objective = 'security'")
    store = open_store(url)
    found = store.trajectories()
    assert found.status.ravel().tolist() == [1, 0, 0]
    assert [(e.count, e.unit) for e in found.exclusions] == [(1, "judgements")]
    change("UPDATE score SET repeat = 'abc' WHERE objective = 'security'")
    with pytest.raises(StoreError, match="whole numbers for the repeat"):
        store.trajectories()
    store.close()
