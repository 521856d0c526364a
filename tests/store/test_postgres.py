"""What is particular to PostgreSQL: its URLs, text that it cannot keep as it is, and everything that can go wrong."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, select

from support.postgres import PostgresServer
from support.records import experiment, iteration, session
from trimtab.cli.main import main
from trimtab.errors import InputError, SourceError, StoreError
from trimtab.store import database
from trimtab.store.base import Store
from trimtab.store.contents import contents
from trimtab.store.load import load
from trimtab.store.open import open_store, require_lasting
from trimtab.store.postgres import PostgresDatabase
from trimtab.store.schema import meta

SECRET = "s3cr3t-w0rd"


def made(url: str) -> Store:
    store = open_store(url, create=True)
    store.set_experiment(experiment())
    store.add_sessions([session()])
    store.append(iteration())
    return store


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    store = made(postgres_url)
    yield store
    store.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PAUSE", 0.0)
    for name in ("PGPASSWORD", "PGSERVICE", "PGHOST", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)


def test_both_spellings_of_the_scheme_and_the_surroundings_name_the_same_store(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(postgres_url).close()
    monkeypatch.setenv("PGHOST", str(postgres.folder))
    monkeypatch.setenv("PGUSER", postgres.user)
    options = postgres_url.partition("&options=")[2]
    for url in (
        postgres_url.replace("+psycopg", ""),
        f"postgresql:///{postgres.database}?options={options}",
    ):
        assert load(url).n_rows == 1


def test_schemas_of_one_database_are_stores_of_their_own(postgres: PostgresServer, store: Store) -> None:
    other = open_store(postgres.fresh(), create=True)
    assert contents(other) == []
    other.close()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{SECRET}@host/db",
        f"postgresql://me:{SECRET}@host/db",
        f"postgresql://:{SECRET}@/db",
        f"postgresql:///db?password={SECRET}",
        f"postgresql:///db?sslpassword={SECRET}",
        f"postgresql:///db?PASSWORD={SECRET}",
    ],
)
def test_a_password_in_the_url_is_refused_and_never_shown(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "x.csv"
    table.write_text("session_id,iteration,quality\na,0,1\n", encoding="ascii")
    for refuse in (require_lasting, open_store):
        with pytest.raises(InputError, match=r"PGPASSWORD, into ~/\.pgpass, or name a service with PGSERVICE") as error:
            refuse(url)
        assert SECRET not in str(error.value)
    for arguments in (["run", "--store", url], ["fit", url], ["report", url], ["import", str(table), "--store", url]):
        monkeypatch.setattr(sys, "argv", ["trimtab", *arguments])
        with pytest.raises(SystemExit):
            main()
        printed = "".join(capsys.readouterr())
        assert "must hold no password" in printed
        assert SECRET not in printed


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@[::1/db",
        f"postgresql://me:{SECRET}@host:port/db",
        f"postgres://me:a/{SECRET}@host/db",
        f"postgresql+asyncpg://host/db?password={SECRET}",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_shown(url: str) -> None:
    for refuse in (require_lasting, open_store):
        with pytest.raises(InputError) as error:
            refuse(url)
        assert SECRET not in str(error.value)


def test_a_service_is_not_named_in_the_url() -> None:
    with pytest.raises(InputError, match="named by the environment variable PGSERVICE"):
        open_store("postgresql:///db?service=mine")


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "psycopg.types.string", None)
    with pytest.raises(InputError, match=r"pip install 'trimtab\[postgres\]'"):
        open_store("postgresql://host/db")


def test_nothing_there_is_no_store_to_read(postgres_url: str) -> None:
    with pytest.raises(SourceError, match="a PostgreSQL database without any table: it holds no store"):
        open_store(postgres_url)


def test_tables_of_another_program_are_left_alone(postgres: PostgresServer, postgres_url: str) -> None:
    postgres.sql("CREATE TABLE people (name text)", postgres_url)
    for create in (True, False):
        with pytest.raises(StoreError, match=r"tables of another program \(people\) .*options=-csearch_path%3DNAME"):
            open_store(postgres_url, create=create)


def test_a_newer_format_is_refused(postgres: PostgresServer, postgres_url: str) -> None:
    made(postgres_url).close()
    postgres.sql("UPDATE meta SET value = '999' WHERE name = 'schema_version'", postgres_url)
    with pytest.raises(StoreError, match="has the store format 999"):
        open_store(postgres_url)


def test_wrong_passwords_databases_users_and_schemas_are_said_in_a_sentence_each(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = postgres.url(user=postgres.guarded)
    for url, said in (
        (guarded, "asks for a password: put it into PGPASSWORD"),
        (postgres.url("nowhere"), "names a database or user that does not exist"),
        (postgres.url(user="nobody"), "names a database or user that does not exist"),
        (postgres.url(options="-csearch_path%3Dnowhere"), "has no schema that the URL or search_path names"),
    ):
        with pytest.raises(StoreError, match=said):
            open_store(url, create=True)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with pytest.raises(StoreError, match="refused the password: check PGPASSWORD") as error:
        open_store(guarded, create=True)
    assert SECRET not in str(error.value)
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    with pytest.raises(StoreError, match="denies permission"):
        open_store(guarded, create=True)  # PostgreSQL lets only owners make tables in the schema "public"


def test_a_user_who_may_only_read_reads(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(postgres_url).close()
    schema = postgres_url.rpartition("%3D")[2]
    postgres.sql(f"GRANT USAGE ON SCHEMA {schema} TO {postgres.guarded}")
    postgres.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {postgres.guarded}")
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    url = postgres_url.replace(f"//{postgres.user}@", f"//{postgres.guarded}@")
    assert load(url).n_rows == 1
    store = open_store(url)
    with pytest.raises(StoreError, match="denies permission"):
        store.append(iteration(index=1))
    store.close()
    store = open_store(postgres_url + "%20-cdefault_transaction_read_only%3Don")
    with pytest.raises(StoreError, match="can only be read, not written"):
        store.append(iteration(index=1))
    store.close()


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for url in (f"postgresql://me@127.0.0.1:{port}/db", f"postgresql://me@/db?host={tmp_path}"):
        with pytest.raises(StoreError, match=r"cannot be reached .*: check that the server runs"):
            open_store(url)


def test_another_encoding_is_refused(postgres: PostgresServer) -> None:
    postgres.sql("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(StoreError, match="keeps text as LATIN1, but a store needs UTF8"):
        open_store(postgres.url("latin"), create=True)


def test_a_name_too_long_for_an_index_is_said_so(store: Store) -> None:
    import random

    random.seed(0)  # PostgreSQL compresses what repeats itself
    with pytest.raises(StoreError, match="cannot keep so long a name"):
        store.add_sessions([session("".join(chr(random.randrange(0x4E00, 0x9FFF)) for _ in range(3_000)))])
    assert len(store.sessions()) == 1


def test_only_text_with_nul_or_the_escape_is_stored_otherwise(
    postgres: PostgresServer, postgres_url: str, store: Store
) -> None:
    store.append(iteration(index=1, artefact="a\x00b\x10c\x100d\x101e", reason="plain ü \\x00"))
    rows = postgres.sql("SELECT artefact, reason FROM iteration WHERE iteration = 1", postgres_url)
    assert rows == [("a\x100b\x101c\x1010d\x1011e", "plain ü \\x00")]
    assert list(store.iterations())[1].artefact == "a\x00b\x10c\x100d\x101e"


def cut(postgres: PostgresServer) -> None:
    """End every connection to the database but this one, as a server that starts again does."""
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def test_a_lost_connection_is_made_anew(postgres: PostgresServer, store: Store) -> None:
    cut(postgres)
    store.append(iteration(index=1))
    cut(postgres)
    assert [record.index for record in store.iterations()] == [0, 1]
    assert store.claim("somebody", ["EF/a/0"], 60) == ["EF/a/0"]
    cut(postgres)
    assert store.renew("somebody", 60) == {"EF/a/0"}


@pytest.mark.parametrize("owner", ["", "somebody"])
def test_a_commit_whose_confirmation_was_lost_is_not_repeated(
    postgres: PostgresServer, store: Store, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    if owner:
        store.claim(owner, ["EF/a/0"], 60)
    commit, commits = psycopg.Connection.commit, []

    def lost(self: psycopg.Connection) -> None:
        commit(self)
        commits.append(self)
        if len(commits) == 1:
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.Connection, "commit", lost)
    store.append(iteration(index=1), owner)
    assert len(commits) == 2
    monkeypatch.undo()
    assert [record.index for record in store.iterations()] == [0, 1]
    with pytest.raises(StoreError, match="has an iteration 1 already"):
        store.append(iteration(index=1))


def test_a_connection_that_stays_lost_is_said_so(
    postgres: PostgresServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(_: float) -> None:
        with postgres.connect(postgres.url("postgres")) as connection:
            connection.execute("ALTER DATABASE trimtab ALLOW_CONNECTIONS off")

    monkeypatch.setattr(database.time, "sleep", close)
    cut(postgres)
    try:
        with pytest.raises(StoreError, match="does not let anybody in at present"):
            store.append(iteration(index=1))
    finally:
        with postgres.connect(postgres.url("postgres")) as connection:
            connection.execute("ALTER DATABASE trimtab ALLOW_CONNECTIONS on")
    assert [record.index for record in store.iterations()] == [0]


def test_transactions_that_wait_for_each_other_both_come_through(store: Store) -> None:
    opened, both = PostgresDatabase(store.url), threading.Barrier(2)
    tries: list[str] = []

    def crossing(names: list[str]) -> None:
        def work(connection: Connection) -> None:
            tries.append(names[0])
            for name in names:
                where = meta.c.name == name
                connection.execute(meta.update().where(where).values(value=meta.c.value + names[0][0]))
                if name == names[0] and len(tries) <= 2:
                    both.wait(10)

        opened.write(work)

    opened.write(
        lambda connection: connection.execute(meta.insert(), [{"name": name, "value": ""} for name in ("one", "two")])
    )
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(crossing, [["one", "two"], ["two", "one"]]))
    assert len(tries) > 2
    values = opened.read(
        lambda connection: connection.scalars(select(meta.c.value).where(meta.c.name.in_(["one", "two"]))).all()
    )
    opened.close()
    assert [sorted(value) for value in values] == [["o", "t"], ["o", "t"]]


def test_a_server_whose_transactions_are_stricter_by_default_is_used_as_any_other(postgres_url: str) -> None:
    opened = PostgresDatabase(f"{postgres_url}%20-cdefault_transaction_isolation%3Dserializable")
    found = opened.write(lambda connection: connection.exec_driver_sql("SHOW transaction_isolation").scalar())
    opened.close()
    assert found == "read committed"
