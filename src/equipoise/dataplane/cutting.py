"""Cuts connections of a running Envoy to members: those of one listener to certain addresses, and no others.

Whose a connection is, is told by the label that the cluster of its listener put on the socket (`labels`). The
socket is borrowed from Envoy for a moment (pidfd_getfd) and disconnected: the member is sent a reset, and Envoy
finds the connection broken and closes the client's side. Linux 5.6 or later. When to cut is not known here.
"""

import asyncio
import ctypes
import errno
import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

from equipoise.dataplane.labels import LABEL_BYTES, LABEL_LEVEL, LABEL_OPTION, label

_SYS_PIDFD_GETFD = 438
"""The same on every architecture; Python has no name for it."""

_NO_ADDRESS = socket.AF_UNSPEC.to_bytes(16, "little")
"""A socket address of no family: connecting to it takes a TCP connection down (connect(2))."""

_libc = ctypes.CDLL(None, use_errno=True)


class EnvoyCutter:
    """Cuts connections of the Envoy whose process id `pid` tells; None says that none is known to run."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid

    def obstacle(self) -> str | None:
        """Return why connections cannot be cut on this machine, None if they can, as far as is known."""
        pid = self._pid()
        try:
            if pid is not None:
                check(pid)
        except OSError as error:
            return (
                f"this machine does not let the service touch the sockets of Envoy ({error.strerror}): the system call "
                "pidfd_getfd needs Linux 5.6 and the right to trace Envoy (as the same user; in a container "
                "CAP_SYS_PTRACE)"
            )
        return None

    async def cut(self, listener_id: str, addresses: Collection[str]) -> int:
        """Cut the connections of a listener to these addresses; returns how many.

        Raises:
            ProcessLookupError: no Envoy is known to run.
            OSError: the machine does not allow it.
        """
        pid = self._pid()
        if pid is None:
            raise ProcessLookupError(errno.ESRCH, "Envoy does not run")
        return await asyncio.to_thread(cut, pid, label(listener_id), addresses)


def check(envoy_pid: int) -> None:
    """Raise OSError if `cut` would not work on this process."""
    with suppress(ProcessLookupError), _process(envoy_pid) as process:
        os.close(_borrow(process, 0))


def cut(envoy_pid: int, of_listener: bytes, addresses: Collection[str]) -> int:
    """Cut the connections with this label to these addresses, those that are just being opened included.

    Returns how many there were; a process that is gone has none. Blocks: the time grows with the connections that
    Envoy has.

    Raises:
        OSError: the machine does not allow it; nothing was cut.
    """
    inodes = _inodes(envoy_pid, addresses)
    if not inodes:
        return 0
    with suppress(ProcessLookupError), _process(envoy_pid) as process:
        return sum(_cut(process, number, of_listener) for number in _numbers(envoy_pid, inodes))
    return 0


@contextmanager
def _process(pid: int) -> Iterator[int]:
    """A descriptor of the process, so that its number cannot come to mean another. Raises ProcessLookupError."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _inodes(pid: int, addresses: Collection[str]) -> set[str]:
    """The sockets that are connected to any of the addresses, also those of other processes beside it."""
    try:
        table = Path("/proc", str(pid), "net", "tcp").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return set()
    # The kernel writes an address as the number that its bytes are to this machine.
    wanted = {f"{int.from_bytes(IPv4Address(address).packed, 'little'):08X}" for address in addresses}
    if not any(f" {address}:" in table for address in wanted):
        return set()
    rows = (line.split() for line in table.splitlines()[1:])
    return {f"socket:[{row[9]}]" for row in rows if row[2].partition(":")[0] in wanted}


def _numbers(pid: int, inodes: Collection[str]) -> Iterator[int]:
    directory = f"/proc/{pid}/fd"
    with suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(directory):  # noqa: PTH208 - thousands of them: paths as objects take thrice the time
            # It may have been closed since the directory was read.
            with suppress(FileNotFoundError):
                if os.readlink(f"{directory}/{name}") in inodes:  # noqa: PTH115
                    yield int(name)


def _cut(process: int, number: int, of_listener: bytes) -> bool:
    try:
        descriptor = _borrow(process, number)
    except FileNotFoundError:
        # Closed since it was found.
        return False
    with socket.socket(fileno=descriptor) as connection:
        if connection.getsockopt(LABEL_LEVEL, LABEL_OPTION, LABEL_BYTES) != of_listener:
            return False
        return bool(_libc.connect(connection.fileno(), _NO_ADDRESS, len(_NO_ADDRESS)) == 0)


def _borrow(process: int, number: int) -> int:
    descriptor: int = _libc.syscall(_SYS_PIDFD_GETFD, process, number, 0)
    if descriptor >= 0:
        return descriptor
    code = ctypes.get_errno()
    if code == errno.EBADF:
        raise FileNotFoundError(code, os.strerror(code))
    raise OSError(code, os.strerror(code))
