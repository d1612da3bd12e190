"""A process held by a descriptor (pidfd) instead of a number: what it names cannot be reused. Linux only.

Which process it is and what it is for is the supervisor's business.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO


class Process:
    """A running process, our child or not. Must be made on the event loop; `exited` closes what it holds."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        """Take hold of a process. Raises ProcessLookupError if there is none of this number."""
        self.pid = pid
        self._child = child
        self._descriptor = os.pidfd_open(pid)
        self._exited = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._on_exit)

    @classmethod
    def spawn(cls, command: Sequence[str], directory: Path, log: IO[bytes], inherited: int) -> "Process":
        """Start a command in a session of its own, so that Ctrl-C at our terminal is not meant for it.

        `inherited` is a descriptor that it keeps open for as long as it lives. Raises OSError.
        """
        child = subprocess.Popen(  # noqa: S603
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(inherited,),
            start_new_session=True,
        )
        return cls(child.pid, child)

    @property
    def has_exited(self) -> bool:
        return self._exited.is_set()

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs and for a process that is not our child."""
        return self._child.returncode if self._child is not None else None

    async def exited(self) -> None:
        await self._exited.wait()

    async def end(self, patience: float) -> None:
        """Ask it to end, and kill it after `patience` seconds. Returns when it is gone."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience):
                await self.exited()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.exited()

    def release(self) -> None:
        """Let go of it without ending it."""
        if not self.has_exited:
            self._close()
        if self._child is not None:
            # Whoever takes hold of it next reaps it; without this, Popen would complain about a child left alone.
            self._child.returncode = 0

    def _signal(self, number: signal.Signals) -> None:
        if not self.has_exited:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def _on_exit(self) -> None:
        self._close()
        if self._child is not None:
            self._child.wait()
        else:
            # It can be ours all the same, from an earlier supervisor of this process; nobody else would reap it.
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        self._exited.set()

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
