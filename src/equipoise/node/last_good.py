"""What this machine's Envoy was last seen to have in force, on disk: what a new Envoy is told while nobody else can.

It is no second truth: the service fills it from what Envoy has accepted, and what is desired is in the database alone.
It has to outlive the service and not the machine: after a boot the service is there before any Envoy. So nothing is
forced to the disk, and a kill at any moment leaves whole load balancers, by SQLite's journal.
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
import structlog

from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import SECRET
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.proxy.model import ListenAddress, Transport

log = structlog.get_logger("equipoise.last_good")

_SHAPE: Final = 3
"""Raised whenever what is stored looks different: what an older release left is then not read but written anew."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")

Seal = Callable[[str], str]
"""Private keys are stored sealed; the inverse opens them."""


class _Stored(msgspec.Struct, array_like=True):
    type_url: str
    name: str
    version: str
    body: bytes
    owner: str
    leads_to: str
    listen_address: tuple[str, str, int] | None


class LastGood:
    """The store. To be used by one thread; written by one process at a time.

    Args:
        path: the file; made, for its owner alone, when it is missing, of another shape or of before the last boot.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests: dict[str, bytes] = {}
        self._connection = self._open()

    def close(self) -> None:
        self._connection.close()

    def keep(self, in_force: Iterable[DesiredResources], gone: Iterable[str], seal: Seal) -> None:
        """Store these in place of what is known of them, and forget others; what is stored already costs nothing.

        Never raises on account of the disk: traffic and jobs must not hang on it. What is missing is then logged.
        """
        changed = [(each, _digest(each)) for each in in_force]
        changed = [(each, digest) for each, digest in changed if self._digests.get(each.load_balancer_id) != digest]
        lost = [id for id in gone if id in self._digests]
        if not changed and not lost:
            return
        rows = [(each.load_balancer_id, digest, _content(each, seal)) for each, digest in changed]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO load_balancer VALUES (?, ?, ?)", rows)
                self._connection.executemany(
                    "DELETE FROM load_balancer WHERE load_balancer_id = ?", [(id,) for id in lost]
                )
        except sqlite3.Error as error:
            log.error("last_good_configuration_not_stored", reason=str(error), load_balancers=len(rows) + len(lost))
            return
        self._digests.update((id, digest) for id, digest, _ in rows)
        for id in lost:
            del self._digests[id]

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget all load balancers but these."""
        self.keep((), [id for id in self._digests if id not in ids], str)

    def load(self, unseal: Callable[[str], str | None]) -> Iterator[DesiredResources]:
        """All that is stored, without the private keys that cannot be opened (None). Raises sqlite3.Error."""
        for id, content in self._connection.execute("SELECT load_balancer_id, content FROM load_balancer"):
            stored = msgspec.msgpack.decode(content, type=list[_Stored])
            resources = (_resource(each, unseal) for each in stored)
            yield DesiredResources(id, 0, tuple(each for each in resources if each is not None))

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._opened()

    def _opened(self) -> sqlite3.Connection:
        # The journal beside it gets the same rights from SQLite.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self._path, isolation_level="IMMEDIATE")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("CREATE TABLE IF NOT EXISTS made (shape INTEGER, boot TEXT)")
            known = connection.execute("SELECT shape, boot FROM made").fetchall()
            if known != [(_SHAPE, _boot())]:
                if known:
                    # A machine that lost power may have left anything.
                    raise sqlite3.DatabaseError("of another shape or boot")
                with connection:
                    connection.execute("INSERT INTO made VALUES (?, ?)", (_SHAPE, _boot()))
            connection.execute(
                "CREATE TABLE IF NOT EXISTS load_balancer"
                " (load_balancer_id TEXT PRIMARY KEY, digest BLOB NOT NULL, content BLOB NOT NULL)"
            )
            self._digests = dict(connection.execute("SELECT load_balancer_id, digest FROM load_balancer").fetchall())
        except BaseException:
            # Nobody else knows of the connection yet.
            connection.close()
            raise
        return connection


def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return "unknown"


def _digest(desired: DesiredResources) -> bytes:
    names = "\n".join(f"{each.type_url} {each.name} {each.version}" for each in desired.resources)
    return blake2b(names.encode(), digest_size=8).digest()


def _content(desired: DesiredResources, seal: Seal) -> bytes:
    return msgspec.msgpack.encode([_stored(each, seal) for each in desired.resources])


def _stored(resource: Resource, seal: Seal) -> _Stored:
    body = resource.body
    if resource.type_url == SECRET:
        body = seal(body.decode("latin-1")).encode()
    listen_address = resource.listen_address
    occupied = (
        None
        if listen_address is None
        else (listen_address.transport.value, listen_address.address, listen_address.port)
    )
    return _Stored(
        resource.type_url, resource.name, resource.version, body, resource.owner, resource.leads_to, occupied
    )


def _resource(stored: _Stored, unseal: Callable[[str], str | None]) -> Resource | None:
    body = stored.body
    if stored.type_url == SECRET:
        opened = unseal(body.decode())
        if opened is None:
            return None
        body = opened.encode("latin-1")
    listen_address = None
    if stored.listen_address is not None:
        transport, address, port = stored.listen_address
        listen_address = ListenAddress(Transport(transport), address, port)
    return Resource(stored.type_url, stored.name, stored.version, body, stored.owner, stored.leads_to, listen_address)
