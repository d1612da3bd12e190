"""Keeps one standby at hand for one data directory: the process that looks after Envoy while there is no service.

What a standby is, `equipoise.standby` tells. Here it is ended when a service begins, started anew by it, watched,
and ended for good when the service is stopped. As with Envoy, a lock that it inherits tells whether one exists.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from equipoise.node.files import DataPlaneFiles
from equipoise.node.lone_process import STABLE_SECONDS, Watched, cap, longer, note_number, start_unless_running
from equipoise.node.process import Process
from equipoise.node.supervisor import EnvoyOptions

log = structlog.get_logger("equipoise.standby")

MODULE: Final = "equipoise.standby"

_PATIENCE_SECONDS: Final = 3.0
_BIRTH_SECONDS: Final = 10.0
_LOG_BYTES: Final = 1024 * 1024


class StandbySettings(msgspec.Struct, frozen=True):
    """All that a standby is told; as JSON it is the argument of its process.

    `envoy` is what the service would start: only then is the Envoy of one the Envoy of the other. `key_file` opens the
    private keys that are stored. `service` is the process whose end makes the standby begin.
    """

    envoy: EnvoyOptions
    key_file: Path
    service: int

    def to_json(self) -> str:
        return msgspec.json.encode(self, enc_hook=str).decode()

    @classmethod
    def from_json(cls, text: str) -> "StandbySettings":
        """Raises msgspec.MsgspecError."""
        return msgspec.json.decode(text, type=cls, dec_hook=lambda kind, value: kind(value))


class Standby:
    """The standby of one data directory. To be used on one event loop."""

    def __init__(self, envoy: EnvoyOptions, key_file: Path) -> None:
        self._files = DataPlaneFiles(envoy.data_directory)
        self._settings = StandbySettings(envoy, key_file.absolute(), os.getpid())
        self._watched = Watched()

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        return self._watched.pid

    async def start(self) -> None:
        """End the standby of an earlier service, which lets go of Envoy and the control stream, and start one.

        Raises OSError if it cannot be started.
        """
        process = self._watched.process = await self._replace()
        self._watched.watch(self._watch(process), "standby")

    async def stop(self) -> None:
        """End it; nobody looks after Envoy from then on. May be called again."""
        process = await self._watched.leave()
        if process is not None:
            await process.end(_PATIENCE_SECONDS)
        self._files.standby_pid.unlink(missing_ok=True)

    async def release(self) -> None:
        """Stop watching and leave it as it is: it begins when this process is gone."""
        process = await self._watched.leave()
        if process is not None:
            process.release()

    async def _watch(self, process: Process) -> None:
        clock = asyncio.get_running_loop().time
        pause = 0.0
        while True:
            since = clock()
            await process.exited()
            pause = 0.0 if clock() - since > STABLE_SECONDS else longer(pause)
            log.error("standby_died", pid=process.pid, status=process.exit_status, restart_in=pause)
            await asyncio.sleep(pause)
            while (again := await self._try_again()) is None:
                pause = longer(pause)
                await asyncio.sleep(pause)
            process = self._watched.process = again

    async def _try_again(self) -> Process | None:
        try:
            return await self._replace()
        except OSError as error:
            log.error("standby_not_started", reason=str(error))
            return None

    async def _replace(self) -> Process:
        async for _ in _while_others_are_ended(self._settings.envoy.data_directory):
            process = start_unless_running(self._files.standby_lock, self._spawn)
            if process is not None:
                return process
        raise BlockingIOError(f"{self._files.standby_lock} is held, but not by a standby that can be found")

    def _spawn(self, lock: int) -> Process:
        cap(self._files.standby_log, _LOG_BYTES)
        command = [sys.executable, "-m", MODULE, self._settings.to_json()]
        with self._files.standby_log.open("ab") as output:
            # Not in our working directory: it may be one that somebody wants to take away.
            process = Process.spawn(command, Path("/"), output, lock)
        note_number(self._files.standby_pid, process)
        log.info("standby_started", pid=process.pid)
        return process


async def end_standby(data_directory: Path) -> None:
    """End the standby that a killed service left, if there is one, and leave Envoy as it is."""
    async for found in _while_others_are_ended(data_directory):
        if not found:
            return


async def _while_others_are_ended(data_directory: Path) -> AsyncIterator[int]:
    """End all standbys that are found, and yield before each look how many the last one has found; first 1."""
    deadline = asyncio.get_running_loop().time() + _BIRTH_SECONDS
    found = 1
    while asyncio.get_running_loop().time() < deadline:
        yield found
        found = 0
        for pid in _standbys_of(data_directory):
            with suppress(ProcessLookupError):
                older = Process(pid)
                log.info("standby_replaced", pid=pid)
                await older.end(_PATIENCE_SECONDS)
                found += 1
        # Whoever holds the lock and is not found is on its way to become one, or to its end.
        await asyncio.sleep(0.01)


def _standbys_of(data_directory: Path) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_standby_of(entry, data_directory):
            yield int(entry.name)


def _is_standby_of(process: Path, data_directory: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().decode().split("\0")
        if words[1:3] != ["-m", MODULE]:
            return False
        # Of another release it may have been told more, or less, but this.
        return Path(json.loads(words[3])["envoy"]["data_directory"]) == data_directory
    except (OSError, ValueError, LookupError, TypeError):
        # Gone meanwhile, or somebody else's.
        return False
