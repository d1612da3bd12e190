"""Asking the kernel whether there are TCP connections to an address. Linux only; whose they are is not told."""

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_ALL = 0x301
_DONE = 3
_ERROR = 2
_FILTER = 1
_PEER_CONDITION = 8
_ANY_PORT = -1
_STATES = (1 << 12) - 1 & ~(1 << 6) & ~(1 << 7) & ~(1 << 10)
"""All but TIME_WAIT, CLOSE and LISTEN: in those there is nothing to cut."""

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI48x")
_ATTRIBUTE = struct.Struct("=HH")
_OPERATION = struct.Struct("=BBH")
_HOST = struct.Struct("=BBHi4s")


def is_connected(address: str) -> bool:
    """Whether any process here has a connection to this IPv4 address, be it one that is only being opened.

    The kernel filters, so that it costs little however many connections there are. Raises OSError without netlink.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.send(_question(address))
        return any(kind == _BY_FAMILY for kind in _kinds(kernel))


def _question(address: str) -> bytes:
    host = _HOST.pack(socket.AF_INET, 32, 0, _ANY_PORT, IPv4Address(address).packed)
    size = _OPERATION.size + len(host)
    # A small program: met, it goes on behind itself, which accepts; not met, it jumps further, which rejects.
    program = _OPERATION.pack(_PEER_CONDITION, size, size + 4) + host
    about = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _STATES)
    about += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(program), _FILTER) + program
    return _HEADER.pack(_HEADER.size + len(about), _BY_FAMILY, _REQUEST_ALL, 1, 0) + about


def _kinds(kernel: socket.socket) -> Iterator[int]:
    """The kinds of the messages of an answer, up to its end."""
    while True:
        answer = kernel.recv(1 << 16)
        while answer:
            length, kind, *_ = _HEADER.unpack_from(answer)
            if kind == _DONE:
                return
            if kind == _ERROR:
                code = -struct.unpack_from("=i", answer, _HEADER.size)[0]
                raise OSError(code, "the kernel does not list connections")
            yield kind
            answer = answer[(length + 3) & ~3 :]
