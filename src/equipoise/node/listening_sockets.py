"""The sockets on which a process takes in connections or datagrams, found by the address that they are bound to."""

import os
import socket
from contextlib import closing
from typing import Final, NamedTuple

from equipoise.node.borrowing import borrow, held, numbers

_SCHEMES: Final = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}


class ListeningSockets:
    """Those of one process, as they were when this was made. What is lent is looked at again.

    Addresses are as Envoy writes them: `tcp://127.0.0.1:80`.
    """

    def __init__(self, pid: int) -> None:
        """Look through all descriptors. Blocks. Raises OSError: gone, or the machine does not allow it."""
        self._pid = pid
        self._numbers: dict[str, list[int]] = {}
        self._lent: set[int] = set()
        seen = set()
        with held(pid) as process:
            for number in sorted(numbers(pid)):
                socket_address = _socket_address(process, number)
                # Workers can have several descriptors for one socket.
                if socket_address is not None and socket_address not in seen:
                    seen.add(socket_address)
                    self._numbers.setdefault(socket_address.address, []).append(number)

    def lend(self, address: str, worker: int) -> int | None:
        """A descriptor of ours for the socket of this worker, from 0 up, at the address; None if there is none.

        Raises OSError: the process is gone, or the machine does not allow it.
        """
        found = self._numbers.get(address, [])
        if worker >= len(found):
            return None
        with held(self._pid) as process:
            socket_address = _socket_address(process, found[worker])
            if socket_address is None or socket_address.address != address:
                return None
            self._lent.add(found[worker])
            return borrow(process, found[worker])

    def still_what_was_not_lent(self) -> None:
        """Let the other sockets for datagrams get none any more: the kernel spreads them over all that are open.

        Such a socket is connected to itself, and so hears nobody else. What it has got can still be read and answered.
        Those for connections hear of none once the process stops listening. Raises OSError.
        """
        with held(self._pid) as process:
            for address, found in self._numbers.items():
                for number in found:
                    if address.startswith(_SCHEMES[socket.SOCK_DGRAM]) and number not in self._lent:
                        _connect_to_itself(process, number, address)


def _connect_to_itself(process: int, number: int, address: str) -> None:
    socket_address = _socket_address(process, number)
    if socket_address is not None and socket_address.address == address:
        with socket.socket(fileno=borrow(process, number)) as found:
            found.connect(found.getsockname())


class _SocketAddress(NamedTuple):
    address: str
    socket: int
    """Which socket it is: the number of its inode."""


def _socket_address(process: int, number: int) -> _SocketAddress | None:
    """Where this descriptor takes something in, if it does."""
    try:
        descriptor = borrow(process, number)
    except FileNotFoundError:
        # Closed since it was found.
        return None
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        # No socket at all.
        os.close(descriptor)
        return None
    with closing(found):
        if found.family != socket.AF_INET or found.type not in _SCHEMES or not _takes_in(found):
            return None
        host, port = found.getsockname()
        return _SocketAddress(f"{_SCHEMES[found.type]}://{host}:{port}", os.fstat(descriptor).st_ino)


def _takes_in(found: socket.socket) -> bool:
    if found.type == socket.SOCK_STREAM:
        return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return True
