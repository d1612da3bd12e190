"""What ends a demo from outside: a signal, or that nobody is there any more to look at it."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

_LOOK_SECONDS: Final = 0.5
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Tells when the demo is to end. One instance a demo; must be made on its event loop.

    Args:
        needs_input: whether it is to end when standard input loses its other end: who runs it from a program that
            goes away would never see it again. A demo that ends by itself is better left to do so.
    """

    def __init__(self, *, needs_input: bool) -> None:
        self._streams = (sys.stdin, sys.stdout) if needs_input else (sys.stdout,)
        self._asked = asyncio.Event()
        self.signal: signal.Signals | None = None

    async def wait(self) -> None:
        """Return when a signal has come, or when input or output has lost its other end."""
        with _hang_ups(self._streams) as hung_up:
            while not self._asked.is_set() and not hung_up.poll(0):
                # A terminal or pipe that goes away raises nothing that could be waited for without reading from it,
                # and reading would stop a demo in the background of a shell.
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._asked.wait()
                except TimeoutError:
                    continue

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Let signals end the demo within the block; a second one hurries nothing, so that nothing is left over."""
        loop = asyncio.get_running_loop()
        # nohup has SIGHUP ignored, and means it. SIGINT is ignored in whatever a script starts in the background, and
        # nobody who sends it there means it to be.
        hang_up_is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        taken = [number for number in _SIGNALS if number != signal.SIGHUP or not hang_up_is_ignored]
        for number in taken:
            loop.add_signal_handler(number, self._take, number)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)

    def _take(self, number: signal.Signals) -> None:
        self.signal = self.signal or number
        self._asked.set()


@contextmanager
def _hang_ups(streams: Iterable[TextIO | None]) -> Iterator[select.poll]:
    """Tells when the other end of a stream goes away. /dev/null and files have none."""
    # Copies: what is looked at must stay the same when the screen turns away from an output that is gone.
    copies = [os.dup(stream.fileno()) for stream in streams if stream is not None and not stream.closed]
    watched = select.poll()
    for copy in copies:
        watched.register(copy, select.POLLRDHUP)
    try:
        yield watched
    finally:
        for copy in copies:
            os.close(copy)
