"""One socket that sends datagrams to any number of members, and hears from them or of them. Linux only.

What it means is not known here. One socket serves all because the kernel, asked with IP_RECVERR, keeps the errors
that come back in a queue together with the address that each is about.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from typing import Final

PROBE: Final = b"equipoise health check\n"
"""Something to read for whoever finds it in a log; not empty, as some servers take an empty datagram for an end."""

_IP_RECVERR: Final = 11
_MSG_ERRQUEUE: Final = 0x2000
_ERROR: Final = struct.Struct("=IBBBBII")
_AT_ONCE: Final = 256
"""Messages taken in one turn of the event loop."""

_NOT_ABOUT_THE_MEMBER: Final = frozenset({errno.EMSGSIZE, errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EPERM})

OnPlace = Callable[[str, int], None]


class UdpProbe:
    """Calls `on_answer` when a member answers and `on_unreachable` when its host, a router or our own says that the
    member cannot be reached, with its address and port, on the event loop on which `open` was called."""

    def __init__(self, on_answer: OnPlace, on_unreachable: OnPlace) -> None:
        self._on_answer = on_answer
        self._on_unreachable = on_unreachable
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Begin to listen for what comes back. Raises OSError."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        asyncio.get_running_loop().add_reader(self._socket, self.take)

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def send(self, address: str, port: int) -> None:
        """Send a probe. A member to which there is no way at all is reported as unreachable before this returns."""
        if self._socket is None:
            return
        # The kernel reports an error that came back for an earlier datagram at the next call, whomever that is for.
        self._take_errors()
        try:
            self._socket.sendto(PROBE, (address, port))
        except OSError as error:
            if error.errno not in _NOT_ABOUT_THE_MEMBER:
                self._on_unreachable(address, port)

    def take(self) -> None:
        """Report what has come back, a bounded number at a time; the event loop calls again for the rest."""
        self._take_errors()
        self._take_answers()

    def _take_errors(self) -> None:
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                _, ancillary, _, about = self._socket.recvmsg(0, 512, _MSG_ERRQUEUE)
            except BlockingIOError:
                return
            number = _error_number(ancillary)
            if number is not None and number not in _NOT_ABOUT_THE_MEMBER:
                self._on_unreachable(about[0], about[1])

    def _take_answers(self) -> None:
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                _, (address, port) = self._socket.recvfrom(1)
            except BlockingIOError:
                return
            except OSError:
                # An error that came in since; it is in the queue, too, with the address that it is about.
                self._take_errors()
                continue
            self._on_answer(address, port)


def _error_number(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR):
            number: int = _ERROR.unpack_from(data)[0]
            return number
    return None
