"""Gives the place of one Envoy to another one without a cut: the new one gets the sockets that the old one listens on.

The new Envoy is started as at Envoy's hot restart, with us in the role of its parent (`hot_restart`). Whenever it wants
to open a port it asks for the socket of before, which we borrow from the old Envoy and pass on. When it serves it asks
that the old one drains. So the old Envoy can be of any version and may know nothing of hot restart, no piece of memory
is shared between the two, and none of this is there any more once the new one serves.
"""

import asyncio
import os
import random
import socket
import subprocess
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from equipoise.node import hot_restart
from equipoise.node.hot_restart import NOT_PASSED, Ask, HotRestartRequest
from equipoise.node.listening_sockets import ListeningSockets
from equipoise.node.process import Process
from equipoise.unix_path import short_path

log = structlog.get_logger("equipoise.envoy")

WITHOUT: Final = ("--disable-hot-restart",)
"""The options of an Envoy that takes nobody's place. Memory that it would share is one more thing that two data
directories on one machine must not have in common."""

OPTIONS: Final = ("--base-id", "--restart-epoch", "--socket-path", "--parent-shutdown-time-s")
FLAGS: Final = (*WITHOUT, "--skip-hot-restart-parent-stats")
"""All options that are about whose place is taken, with a value and without one."""

_SOCKETS: Final = "hot-restart"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where the C library keeps shared memory
_SPREAD: Final = 10
"""Envoy's own: what it calls by its base id has ten times that number."""

_LARGEST_ID: Final = 100_000_000
_MESSAGE_BYTES: Final = 4096

_PATIENCE_SECONDS: Final = 120.0
"""Thousands of load balancers come into force in a tenth of that."""


class HandOverError(Exception):
    """The new Envoy could not take the place of the old one, which is as it was. The message says why."""


async def hand_over(old: int, envoy: Path, home: Path, start: Callable[[list[str]], Process]) -> Process:
    """Start a new Envoy beside the old one and return it when it takes in connections as well.

    From then on the old one is no longer needed for new ones, but still takes some in, until it is told to drain.

    Args:
        old: the process of the Envoy whose place is taken.
        envoy: the binary of the new one.
        home: the directory in which the new one works.
        start: starts the new one with these options. Raises OSError.

    Raises:
        HandOverError: it did not come to that, and the new one is ended.
    """
    try:
        version = await asyncio.to_thread(_hot_restart_version, envoy)
        sockets = await asyncio.to_thread(ListeningSockets, old)
        with (
            _shared_memory(home, hot_restart.shared_memory(version)) as memory,
            _Parent(home, memory, sockets) as parent,
        ):
            new = start(parent.options)
            try:
                await _until(parent.is_done(), new)
                sockets.still_what_was_not_lent()
            except BaseException:
                # Also when this is cancelled: the old one still serves, and two must not.
                await new.end(0)
                raise
            return new
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise HandOverError(str(error)) from error


async def _until(done: "asyncio.Future[None]", new: Process) -> None:
    ended = asyncio.ensure_future(new.exited())
    try:
        await asyncio.wait((done, ended), timeout=_PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            done.result()
        elif ended.done():
            raise HandOverError("the new Envoy has ended; log/envoy.log says why")
        else:
            raise HandOverError(f"the new Envoy does not serve after {_PATIENCE_SECONDS:g} s")
    finally:
        ended.cancel()


def _hot_restart_version(envoy: Path) -> str:
    command = [str(envoy), "--hot-restart-version"]
    asked = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE_SECONDS)  # noqa: S603
    # It says so where others complain.
    return asked.stdout + asked.stderr


class _Memory(NamedTuple):
    """What a child finds by its base id. Once it has begun to ask it needs the name no more."""

    base_id: int
    file: Path


def forget(home: Path) -> None:
    """Remove what a service that was killed while it handed over to an Envoy with this home left outside of it."""
    # Gone, or somebody else's.
    with suppress(OSError):
        _memory(_id_of(home)).unlink()


def _id_of(home: Path) -> int:
    """The base id for an Envoy with this home: always the same, so that `forget` finds what has it. Raises OSError."""
    folder = home.stat()
    digest = blake2b(f"{folder.st_dev} {folder.st_ino}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _LARGEST_ID


def _memory(base_id: int) -> Path:
    return _MEMORY / f"envoy_shared_memory_{base_id * _SPREAD}"


@contextmanager
def _shared_memory(home: Path, content: bytes) -> Iterator[_Memory]:
    """Make the memory that a child wants to find."""
    base_id = _id_of(home)
    while True:
        file = _memory(base_id)
        try:
            memory = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            # Somebody else's.
            base_id = random.randrange(_LARGEST_ID)  # noqa: S311 - no secret: whoever may open it is told by its rights
            continue
        break
    try:
        with os.fdopen(memory, "wb") as written:
            written.write(content)
        yield _Memory(base_id, file)
    finally:
        file.unlink(missing_ok=True)


class _Parent:
    """Answers a child as an Envoy would that has these sockets; to be used as a context, on one event loop."""

    def __init__(self, home: Path, memory: _Memory, sockets: ListeningSockets) -> None:
        self._file = home / f"{_SOCKETS}_parent_{memory.base_id * _SPREAD}"
        self._memory = memory
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    @property
    def options(self) -> list[str]:
        """What makes an Envoy ask here."""
        return [
            *("--base-id", str(self._memory.base_id)),
            *("--restart-epoch", "1"),
            # Not in the abstract namespace, where everybody on the machine could take part.
            *("--socket-path", _SOCKETS),
            # What it wants of a parent is wanted at once: later nobody may be here to answer.
            *("--parent-shutdown-time-s", "0"),
            "--skip-hot-restart-parent-stats",
        ]

    def is_done(self) -> "asyncio.Future[None]":
        """Done when the child needs nothing any more; raises OSError or ValueError: the child cannot be helped."""
        return self._done

    def __enter__(self) -> "_Parent":
        self._socket.setblocking(False)
        self._file.unlink(missing_ok=True)
        with short_path(self._file) as name:
            self._socket.bind(name)
        self._loop.add_reader(self._socket, self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._file.unlink(missing_ok=True)
        self._done.cancel()

    def _answer(self) -> None:
        if self._done.done():
            return
        try:
            datagram, child = self._socket.recvfrom(_MESSAGE_BYTES)
            self._memory.file.unlink(missing_ok=True)
            self._answer_to(hot_restart.request(datagram), child)
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._done.set_exception(error)

    def _answer_to(self, request: HotRestartRequest, child: str) -> None:
        if request.ask is Ask.PASS_LISTEN_SOCKET:
            self._pass(request, child)
        elif request.ask is Ask.SHUTDOWN_ADMIN:
            self._reply(hot_restart.admin_closed(int(time.time())), child)
        elif request.ask is Ask.STATS:
            self._reply(hot_restart.no_stats(), child)
        elif request.ask is Ask.TERMINATE:
            # It comes right after DRAIN_LISTENERS, and is the last.
            self._done.set_result(None)

    def _pass(self, request: HotRestartRequest, child: str) -> None:
        lent = self._sockets.lend(request.address, request.worker)
        if lent is None:
            self._reply(hot_restart.socket_passed(NOT_PASSED), child)
            return
        try:
            self._reply(hot_restart.socket_passed(lent), child, lent)
        finally:
            os.close(lent)

    def _reply(self, reply: bytes, child: str, descriptor: int | None = None) -> None:
        # Envoy ends itself when anything comes along that it does not expect.
        along = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))]
        with short_path(self._file.parent / child) as name:
            self._socket.sendmsg([reply], along, 0, name)
