"""Formats of stores: what an older version wrote is read as it is, and brought up to date where it is written to."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from itertools import count
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from support.postgres import PostgresServer
from trimtab.errors import StoreError
from trimtab.store import format as store_format
from trimtab.store import schema
from trimtab.store.contents import contents
from trimtab.store.load import load
from trimtab.store.open import open_store

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = range(1, schema.VERSION + 1)


@pytest.fixture(params=FORMATS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDEN / f"store-{request.param}.db", tmp_path / "old.db"))


def version_of(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()[0]
    finally:
        connection.close()


def written() -> list:
    return json.loads((GOLDEN / "store.json").read_text(encoding="utf-8"))


def plain(url: str, **options: bool) -> list:
    from dataclasses import asdict

    store = open_store(url, **options)
    try:
        return json.loads(json.dumps(contents(store), default=asdict))
    finally:
        store.close()


def test_reading_an_older_store_gives_the_same_contents_and_leaves_it_as_it_is(old: Path) -> None:
    before = version_of(old)
    assert plain(f"sqlite:///{old}") == written()
    found = load(f"sqlite:///{old}")
    assert (found.n_sessions, found.n_rows) == (2, 3)
    store = open_store(f"sqlite:///{old}")
    assert (store.leases(), store.cached("k")) == ([], None)
    assert store.cached("0" * 64) == (None if before == "1" else {"text": "x = '\x00\x10'", "tokens": 3})
    store.close()
    assert version_of(old) == before


def test_writing_to_an_older_store_brings_it_up_to_date_and_keeps_its_contents(old: Path) -> None:
    assert plain(f"sqlite:///{old}", create=True) == written()
    assert version_of(old) == str(schema.VERSION)
    store = open_store(f"sqlite:///{old}")
    store.remember({"k": {"text": "x"}})
    assert store.claim("somebody", ["idle"], 60) == ["idle"]
    store.close()


def test_what_only_a_newer_format_can_hold_is_refused_by_a_store_opened_for_reading(tmp_path: Path) -> None:
    path = shutil.copy(GOLDEN / "store-1.db", tmp_path / "old.db")
    store = open_store(f"sqlite:///{path}")
    for ask in (lambda: store.claim("somebody", ["idle"], 60), lambda: store.remember({"k": {}}), store.start_over):
        with pytest.raises(StoreError, match="has the older format 1 and was opened for reading"):
            ask()
    store.close()


def test_an_upgrade_that_fails_midway_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(GOLDEN / "store-1.db", tmp_path / "old.db"))
    calls, make = count(), Operations.create_table

    def fails(self: Operations, *parts: object, **options: object) -> object:
        if next(calls):
            raise sqlite3.OperationalError("disk is full")
        return make(self, *parts, **options)

    monkeypatch.setattr(Operations, "create_table", fails)
    with pytest.raises(StoreError, match="disk is full"):
        open_store(f"sqlite:///{path}", create=True)
    assert next(calls) == 2
    assert version_of(path) == "1"
    connection = sqlite3.connect(path)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert "lease" not in tables
    monkeypatch.undo()
    assert plain(f"sqlite:///{path}", create=True) == written()


@pytest.mark.skipif(os.name == "nt", reason="permissions are others on Windows")
def test_an_older_store_that_cannot_be_written_is_read_and_not_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(GOLDEN / "store-1.db", tmp_path / "old.db"))
    monkeypatch.setattr("trimtab.store.sqlite.os.access", lambda *_: False)
    assert plain(f"sqlite:///{path}") == written()
    assert version_of(path) == "1"


def _stepped(url: str) -> list:
    """Make a store step by step from nothing, and return how it differs from one made at once."""
    engine = create_engine(url)
    steps = ScriptDirectory(str(Path(store_format.__file__).with_name("migrations")))
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        with Operations.context(context):
            for step in reversed(list(steps.iterate_revisions("head", "base"))):
                step.module.upgrade()
        differences = compare_metadata(context, schema.metadata)
        keys = {name: inspect(connection).get_pk_constraint(name) for name in schema.metadata.tables}
    engine.dispose()
    return [differences, keys]


def _at_once(url: str) -> dict:
    engine = create_engine(url)
    schema.metadata.create_all(engine)
    keys = {name: inspect(engine).get_pk_constraint(name) for name in schema.metadata.tables}
    engine.dispose()
    return keys


def test_the_steps_lead_to_the_tables_that_a_new_store_has(tmp_path: Path) -> None:
    assert _stepped(f"sqlite:///{tmp_path}/a.db") == [[], _at_once(f"sqlite:///{tmp_path}/b.db")]


def test_the_steps_lead_to_the_same_tables_in_postgresql(postgres: PostgresServer) -> None:
    assert _stepped(postgres.fresh()) == [[], _at_once(postgres.fresh())]


@pytest.mark.parametrize("version", [v for v in FORMATS if (GOLDEN / f"store-{v}.sql").exists()])
def test_a_dump_of_postgresql_gives_the_same_contents(postgres: PostgresServer, version: int) -> None:
    name = f"golden_{version}"
    postgres.sql(f"CREATE DATABASE {name} TEMPLATE template0")
    postgres.sql((GOLDEN / f"store-{version}.sql").read_text(encoding="utf-8"), postgres.url(name))
    assert plain(postgres.url(name)) == written()
    assert plain(postgres.url(name), create=True) == written()


def test_there_is_a_golden_store_of_every_format() -> None:
    assert {path.stem for path in GOLDEN.glob("store-*.db")} == {f"store-{version}" for version in FORMATS}
    assert (GOLDEN / f"store-{schema.VERSION}.sql").exists()
