"""A real PostgreSQL server for tests: started where first asked for, empty places to store in, and no trace left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

__all__ = ["PostgresServer", "postgres", "postgres_url"]

_DEBIAN = "/usr/lib/postgresql"
_SETTINGS = {
    # Nothing here has to survive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "listen_addresses": "",
}
_PATIENCE = 60.0


class PostgresServer:
    """A running server, reached through a socket in its own folder.

    Parameters
    ----------
    folder
        Holds its data, its socket and its log.
    process
        The server itself.
    """

    database = "trimtab"
    user = "trimtab"
    guarded = "guarded"
    """A user who needs a password, which is `password`."""
    password = "correct-horse"

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.process = folder, process
        self._numbers = count(1)

    def url(self, database: str = database, user: str = user, **parameters: str) -> str:
        """Return the URL of a database on this server."""
        more = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}{more}"

    def fresh(self) -> str:
        """Return the URL of an empty place: a schema of its own, which takes a millisecond to make."""
        schema = f"test_{os.getpid()}_{next(self._numbers)}"
        self.sql(f"CREATE SCHEMA {schema}")
        return self.url(options=f"-csearch_path%3D{schema}")

    def connect(self, url: str | None = None) -> Any:
        """Return a psycopg connection in autocommit mode, to `url` or to the whole database."""
        import psycopg

        return psycopg.connect((url or self.url()).replace("+psycopg", ""), autocommit=True)

    def sql(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement, with the rights of a superuser, and return its rows."""
        with self.connect(url) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """End the server at once."""
        self.process.send_signal(signal.SIGINT)  # without waiting for anybody to disconnect
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)  # without tidying up
            self.process.wait(10)


def _program(name: str) -> str | None:
    """Return the path of a server program, of the newest version that Debian has installed, or on the search path."""

    def version(path: Path) -> float:
        try:
            return float(path.parts[-3])
        except ValueError:
            return 0.0

    found = sorted(Path(_DEBIAN).glob(f"*/bin/{name}"), key=version)
    return str(found[-1]) if found else shutil.which(name)


def _start() -> PostgresServer:
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    pytest.importorskip("psycopg", reason="the extra trimtab[postgres] is not installed")
    who: dict[str, Any] = {}
    # A short path, because that of a socket may have 107 bytes at most, in a folder that any user may look into.
    folder = Path(tempfile.mkdtemp(prefix="trimtab-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        import pwd

        # The server refuses to run as root.
        other = pwd.getpwnam("postgres")
        who = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}
        os.chown(folder, other.pw_uid, other.pw_gid)
    folder.chmod(0o755)
    data = folder / "data"
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("PG")}, "LC_ALL": "C.UTF-8"}
    made = subprocess.run(
        [initdb, "-D", str(data), "-U", PostgresServer.user, "-E", "UTF8", "--auth=trust", "--no-sync"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        **who,
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr}")
    (data / "pg_hba.conf").write_text(
        f"local all {PostgresServer.guarded} scram-sha-256\nlocal all all trust\n", encoding="ascii"
    )
    options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [server, "-D", str(data), "-k", str(folder), *options],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            **who,
        )
    started = PostgresServer(folder, process)
    try:
        _wait(started)
        with started.connect(started.url("postgres")) as connection:
            connection.execute(f"CREATE DATABASE {PostgresServer.database}")
            connection.execute(f"CREATE ROLE {PostgresServer.guarded} LOGIN PASSWORD '{PostgresServer.password}'")
    except BaseException:
        started.stop()
        raise
    return started


def _wait(server: PostgresServer) -> None:
    import psycopg

    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            server.connect(server.url("postgres")).close()
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                said = (server.folder / "log").read_text(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{said}") from None
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a server, once per test process; skips where PostgreSQL is not installed."""
    server = _start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """Return the URL of an empty place in PostgreSQL."""
    return postgres.fresh()
