"""A PostgreSQL server of one's own on a free port, with its data in a temporary folder."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from stand.addresses import free_port
from stand.waiting import PATIENCE, eventually

IN_HASTE = ("fsync=off",)
"""No test cuts the power: what the server would do for that case only costs time."""

_UNPRIVILEGED = "postgres"
_NAMES = itertools.count(1)


def programs() -> Path:
    """Where Debian puts the programs of its newest PostgreSQL server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise AssertionError("PostgreSQL is not installed: make test installs Debian's package")
    return found[-1].parent


class Postgres:
    """A server of one's own; `start` and `stop` may follow each other, and what was stored stays.

    Args:
        folder: where it keeps everything.
        host: the address on which it listens.
        settings: of the server, as `name=value`.
    """

    def __init__(self, folder: Path, host: str, settings: Sequence[str]) -> None:
        self.host = host
        self._settings = settings
        self.port = free_port(host)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = (f"listen_addresses={self.host}", f"unix_socket_directories={self._folder}", *self._settings)
        options = [option for setting in settings for option in ("-c", setting)]
        data, port = self._folder / "data", str(self.port)
        command: list[str | Path] = [programs() / "postgres", "-D", data, "-p", port, *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*_unprivileged(), *command], stdout=log, stderr=log, cwd="/")
        eventually(self.answers)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT ends its connections first, SIGQUIT is a crash."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def new_database(self, like: str = "template1") -> str:
        """Make a database, empty or like another one of this server, and return its URL."""
        name = f"test_{next(_NAMES)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}".encode())
        return self._address(name)

    @property
    def url(self) -> str:
        """Of the database that every server has."""
        return self._address("postgres")

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, name: str) -> str:
        return f"postgresql://equipoise@{self.host}:{self.port}/{name}"


@contextmanager
def running_postgres(
    host: str = "127.0.0.1", clients: str = "127.0.0.0/8", settings: Sequence[str] = IN_HASTE
) -> Iterator[Postgres]:
    """A server that is gone, with all that it stored, at the end of the block.

    Args:
        clients: the network of those who may come.
        settings: of the server, as `name=value`.
    """
    # Not below pytest's folders: the server does not run as root, and may not enter them.
    with TemporaryDirectory(prefix="equipoise-postgres-", dir="/tmp") as temporary:
        folder = Path(temporary)
        data = folder / "data"
        if os.geteuid() == 0:
            shutil.chown(folder, _UNPRIVILEGED)
        _run(programs() / "initdb", "--pgdata", data, "--username", "equipoise", "--auth", "trust", "--no-sync")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {clients} trust\n")
        server = Postgres(folder, host, settings)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _run(*command: str | Path) -> None:
    subprocess.run([*_unprivileged(), *command], check=True, capture_output=True, cwd="/")


def _unprivileged() -> list[str]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(_UNPRIVILEGED)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
