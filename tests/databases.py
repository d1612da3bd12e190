"""Databases for tests: SQLite files, and a PostgreSQL server of the tests' own on a free port in a temporary folder."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from stand import PATIENCE, eventually, free_port

_UNPRIVILEGED = "postgres"
_NAMES = itertools.count(1)


def programs() -> Path:
    """Where Debian puts the programs of its newest PostgreSQL server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise AssertionError("PostgreSQL is not installed: make test installs Debian's package")
    return found[-1].parent


class Postgres:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def new_database(self, like: str = "template1") -> str:
        """Make a database, empty or like another one of this server, and return its URL."""
        name = f"test_{next(_NAMES)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}".encode())
        return self._address(name)

    def answers(self) -> bool:
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, name: str) -> str:
        return f"postgresql://equipoise@127.0.0.1:{self.port}/{name}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server that is gone, with all that it stored, at the end of the block."""
    # Not below pytest's folders: the server does not run as root, and may not enter them.
    with TemporaryDirectory(prefix="equipoise-postgres-", dir="/tmp") as folder:
        data = Path(folder) / "data"
        if os.geteuid() == 0:
            shutil.chown(folder, _UNPRIVILEGED)
        _run(programs() / "initdb", "--pgdata", data, "--username", "equipoise", "--auth", "trust", "--no-sync")
        server = Postgres(free_port("127.0.0.1"))
        # No test here cuts the power: what the server would do for that case only costs time.
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off")
        options = [option for setting in settings for option in ("-c", setting)]
        command: list[str | Path] = [
            *_unprivileged(),
            programs() / "postgres",
            "-D",
            data,
            "-p",
            str(server.port),
            *options,
        ]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        try:
            eventually(server.answers)
            yield server
        finally:
            # Not SIGTERM, at which it waits for the end of every connection.
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def _run(*command: str | Path) -> None:
    subprocess.run([*_unprivileged(), *command], check=True, capture_output=True, cwd="/")


def _unprivileged() -> list[str]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(_UNPRIVILEGED)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
