"""Keeps Envoy from running out of file descriptors: while few are left it takes in and opens no new connections.

Clients and sessions of UDP are limited by number (`bootstrap`). Connections to members are not: HTTP keeps some for
reuse, TCP some that have data left for a member that does not read, and Envoy has no limit for all of them together.
So descriptors are counted, and Envoy, which looks at a file, is told when to refuse and when to go on.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger("equipoise.guard")

REFUSE_FROM: Final = 0.8
"""Of its descriptors. Clients, a connection to a member for each, and sessions of UDP take seven tenths at most, so it
comes to this where connections are kept, or listeners take more than one. Sessions may take another tenth later."""

_GO_ON_BELOW: Final = 0.78

LEFT_TO_NOTICE: Final = 0.1
"""Of its descriptors: what may be taken until Envoy has been told and has noticed."""

TAKEN_IN_A_SECOND: Final = 100_000
"""More descriptors a second than Envoy takes: it opened some 10,000 connections a second on two cores."""

_LEAST_SECONDS: Final = 0.002
_MOST_SECONDS: Final = 0.25

_AGAIN_SECONDS: Final = 1.0

_SHARE_OF_TIME: Final = 0.1
"""Of one core, at most, for counting: kernels before 6.2 list every descriptor, 18,000 in 55 ms."""

REFUSE: Final = "1"
GO_ON: Final = "0"


def open_descriptors(pid: int) -> int:
    """How many file descriptors a process has open. Raises OSError if there is none, or it is not ours to look into."""
    folder = f"/proc/{pid}/fd"
    # Linux tells the number as the size since 6.2, and 0 before.
    return os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116, PTH208 - there may be a million of them


def is_refused(open_now: int, descriptors: int, refused_before: bool) -> bool:
    """Whether new connections are to be refused with so many open."""
    return open_now >= descriptors * (_GO_ON_BELOW if refused_before else REFUSE_FROM)


def pause(open_now: int, descriptors: int, took: float) -> float:
    """For how many seconds not to look again: less than it takes to come to the point where to refuse, at least.

    `took` is how many seconds this look needed.
    """
    shortest = max(_LEAST_SECONDS, took / _SHARE_OF_TIME)
    room = (descriptors * REFUSE_FROM - open_now) / TAKEN_IN_A_SECOND
    return max(shortest, min(room, _MOST_SECONDS))


class DescriptorGuard:
    """Watches one Envoy after the other from a thread of its own, which what else the service does cannot hold up.

    `file` is what Envoy looks at; `descriptors` its limit; `pid` tells the process that runs now. `shortages` counts
    how many times connections began to be refused.
    """

    def __init__(self, file: Path, descriptors: int, pid: Callable[[], int | None]) -> None:
        self._file = file
        self._descriptors = descriptors
        self._pid = pid
        self._asked_to_end = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_refused = False
        self.shortages = 0

    def prepare(self) -> None:
        """Make the file, which must be there when Envoy starts. Raises OSError."""
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        if not self._file.exists():
            self._tell(GO_ON)

    def start(self) -> None:
        """Begin to watch; the file is prepared. What it says from before may be of another Envoy."""
        self._is_refused = self._file.read_text() == REFUSE
        self._asked_to_end.clear()
        self._thread = threading.Thread(target=self._watch, name="descriptor guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more, and leave the file as it is. May be called again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._asked_to_end.set()
            thread.join()

    def _watch(self) -> None:
        seconds = 0.0
        while not self._asked_to_end.wait(seconds):
            before = time.monotonic()
            open_now = self._open()
            try:
                self._decide(open_now)
                seconds = pause(open_now, self._descriptors, time.monotonic() - before)
            except OSError as error:
                # The disk is full, or the directory gone with its data.
                log.error("descriptors_not_guarded", reason=str(error), open=open_now, retry_in=_AGAIN_SECONDS)
                seconds = _AGAIN_SECONDS

    def _open(self) -> int:
        pid = self._pid()
        if pid is None:
            return 0
        try:
            return open_descriptors(pid)
        except OSError:
            # It has just ended.
            return 0

    def _decide(self, open_now: int) -> None:
        refused = is_refused(open_now, self._descriptors, self._is_refused)
        if refused == self._is_refused:
            return
        self._tell(REFUSE if refused else GO_ON)
        self._is_refused = refused
        self.shortages += refused
        if refused:
            log.warning(
                "few_descriptors_left",
                open=open_now,
                limit=self._descriptors,
                effect="new connections are refused until some are closed",
            )

    def _tell(self, word: str) -> None:
        # Renamed into its place: Envoy reads a whole word, and notices.
        new = self._file.with_suffix(".new")
        new.write_text(word)
        new.replace(self._file)
