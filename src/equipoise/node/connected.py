"""Asking the kernel whether there are TCP connections to an address. Linux only; whose they are is not told."""

import socket
import struct
from ipaddress import IPv4Address

from equipoise.netlink import ask, attribute

_SOCK_DIAG = 4
_BY_FAMILY = 20
_FILTER = 1
_PEER_CONDITION = 8
_ANY_PORT = -1
_STATES = (1 << 12) - 1 & ~(1 << 6) & ~(1 << 7) & ~(1 << 10)
"""All but TIME_WAIT, CLOSE and LISTEN: in those there is nothing to cut."""

_REQUEST = struct.Struct("=BBBBI48x")
_OPERATION = struct.Struct("=BBH")
_HOST = struct.Struct("=BBHi4s")


def is_connected(address: str) -> bool:
    """Whether any process here has a connection to this IPv4 address, be it one that is only being opened.

    The kernel filters, so that it costs little however many connections there are. Raises OSError without netlink.
    """
    return any(kind == _BY_FAMILY for kind, _ in ask(_SOCK_DIAG, _BY_FAMILY, _question(address), all=True))


def _question(address: str) -> bytes:
    host = _HOST.pack(socket.AF_INET, 32, 0, _ANY_PORT, IPv4Address(address).packed)
    size = _OPERATION.size + len(host)
    # A small program: met, it goes on behind itself, which accepts; not met, it jumps further, which rejects.
    program = _OPERATION.pack(_PEER_CONDITION, size, size + 4) + host
    about = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _STATES)
    return about + attribute(_FILTER, program)
