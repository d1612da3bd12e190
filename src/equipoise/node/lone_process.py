"""What it takes that a data directory has one process of a kind and no more, whatever happens to who started it.

The process inherits a locked file: while the lock is held there is one, even if its starter died before it could write
down its number. Which process it is, and what it is for, is the supervisors' business.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from equipoise.node.process import Process

log = structlog.get_logger("equipoise.node")

STABLE_SECONDS: Final = 10.0
"""Whoever lived that long is started again at once."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0


class Watched:
    """The process that runs now, and the task that starts another one when it ends. For one event loop."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process, if one runs now."""
        process = self.process
        return None if process is None or process.has_exited else process.pid

    def watch(self, watch: Coroutine[Any, Any, None], name: str) -> None:
        """Run `watch` until `leave`; it sets `process` when it has started another one."""
        self._watching = asyncio.create_task(watch, name=name)

    async def leave(self) -> Process | None:
        """Stop watching; returns the process, which is the caller's from then on. May be called again."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        process, self.process = self.process, None
        return process


def start_unless_running(lock_file: Path, spawn: Callable[[int], Process]) -> Process | None:
    """Start one with the lock as its descriptor to inherit, or return None if one holds it. Raises OSError."""
    lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return spawn(lock)
    except BlockingIOError:
        return None
    finally:
        # The lock goes with the last copy of the descriptor, and that is the process's.
        os.close(lock)


def note_number(file: Path, process: Process) -> None:
    """Write its number for people and scripts, whole at every moment; it is never trusted.

    The process runs, whether that can be written or not: on a full disk the file goes, so that it names no other one.
    """
    new = file.with_suffix(".new")
    try:
        new.write_text(f"{process.pid}\n")
        new.replace(file)
    except OSError as error:
        log.warning("number_not_written", file=str(file), pid=process.pid, reason=str(error))
        with suppress(OSError):
            file.unlink(missing_ok=True)


def cap(log: Path, size: int) -> None:
    """Put a log longer than `size` bytes aside, in place of the one before; only done while nobody writes to it."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > size:
            log.replace(log.with_suffix(".log.1"))


def longer(pause: float) -> float:
    """The pause, in seconds, before the next attempt after one that did not last."""
    return min(max(2 * pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
