"""Cuts connections of a running Envoy to members: those of one listener to certain addresses, and no others.

Whose a connection is, is told by the label that the cluster of its listener put on the socket (`labels`). Each
descriptor is borrowed from Envoy for a moment (pidfd_getfd), and a socket that is meant is disconnected: the member
is sent a reset, and Envoy finds the connection broken and closes the client's side. When to cut is not known here.
"""

import asyncio
import ctypes
import errno
import os
import socket
from collections.abc import Callable, Collection
from contextlib import suppress

from equipoise.backends.envoy.build.labels import LABEL_BYTES, LABEL_LEVEL, LABEL_OPTION, label
from equipoise.node.borrowing import borrow, held, numbers
from equipoise.node.connected import is_connected

_NO_ADDRESS = socket.AF_UNSPEC.to_bytes(16, "little")
"""A socket address of no family: connecting to it takes a TCP connection down (connect(2))."""

_SYN_SENT = 2
"""The first byte of `struct tcp_info` is the state of the connection."""

_libc = ctypes.CDLL(None, use_errno=True)


class EnvoyCutter:
    """Cuts connections of the Envoys whose process ids `pids` tells: the one at work, and those that drain."""

    def __init__(self, pids: Callable[[], Collection[int]]) -> None:
        self._pids = pids

    def unavailable_reason(self) -> str | None:
        """Return why connections cannot be cut on this machine, None if they can, as far as is known."""
        try:
            for pid in self._pids():
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
        pids = self._pids()
        if not pids:
            raise ProcessLookupError(errno.ESRCH, "Envoy does not run")
        return sum([await asyncio.to_thread(cut, pid, label(listener_id), addresses) for pid in pids])


def check(envoy_pid: int) -> None:
    """Raise OSError if `cut` would not work on this process."""
    with suppress(ProcessLookupError), held(envoy_pid) as process:
        os.close(borrow(process, 0))


def cut(envoy_pid: int, of_listener: bytes, addresses: Collection[str]) -> int:
    """Cut the connections with this label to these addresses, and those of this label that are just being opened.

    Returns how many there were; a process that is gone has none. Blocks: the time grows with the connections that
    Envoy has.

    Raises:
        OSError: the machine does not allow it; nothing was cut.
    """
    wanted = frozenset(address for address in addresses if _may_be_connected(address))
    if not wanted:
        return 0
    with suppress(ProcessLookupError), held(envoy_pid) as process:
        return sum(_cut(process, number, of_listener, wanted) for number in numbers(envoy_pid))
    return 0


def _may_be_connected(address: str) -> bool:
    """A quick look: mostly a removed member has no connections, and Envoy thousands of descriptors."""
    try:
        return is_connected(address)
    except OSError:
        # Some sandboxes have no netlink.
        return True


def _cut(process: int, number: int, of_listener: bytes, addresses: Collection[str]) -> bool:
    try:
        descriptor = borrow(process, number)
    except FileNotFoundError:
        # Closed since it was found.
        return False
    try:
        # Whether it is a socket at all is told by the question for its label.
        if not _has_label(descriptor, of_listener):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            leads_there = _is_being_opened(connection) or _peer(connection) in addresses
        return bool(leads_there and _libc.connect(descriptor, _NO_ADDRESS, len(_NO_ADDRESS)) == 0)
    finally:
        os.close(descriptor)


def _is_being_opened(connection: socket.socket) -> bool:
    """Such a connection does not tell to whom. Cutting one too many does no harm: Envoy tries another member."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _SYN_SENT


def _peer(connection: socket.socket) -> str | None:
    try:
        address: str = connection.getpeername()[0]
    except OSError:
        # It has ended.
        return None
    return address


def _has_label(descriptor: int, of_listener: bytes) -> bool:
    value = ctypes.create_string_buffer(LABEL_BYTES)
    size = ctypes.c_uint32(LABEL_BYTES)
    answer = _libc.getsockopt(descriptor, LABEL_LEVEL, LABEL_OPTION, value, ctypes.byref(size))
    return answer == 0 and value.raw == of_listener
