"""Asking the kernel whether somebody listens on an address and port. Linux only; who it is, is not told."""

import errno
import socket
import struct
import sys
from collections.abc import Collection
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from equipoise.netlink import ask

_UDP_TABLE = Path("/proc/net/udp")

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NO_COOKIE = 0xFFFFFFFF
_LISTEN = 10

_REQUEST = struct.Struct("=BBBBI")
_SOCKET_ID = struct.Struct("!HH16s16s")
_SOCKET_ID_END = struct.Struct("=III")
_STATE_OFFSET = 1
_ADDRESS_OFFSET = 8


def is_listening(address: str, port: int) -> bool:
    """Return whether exactly this IPv4 address (not only 0.0.0.0) is listened on. Raises OSError without netlink."""
    wanted = IPv4Address(address).packed
    try:
        _, answer = next(ask(_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _question(wanted, port)))
    except FileNotFoundError:
        # There is no such socket.
        return False
    return answer[_STATE_OFFSET] == _LISTEN and answer[_ADDRESS_OFFSET : _ADDRESS_OFFSET + 4] == wanted


def is_taken_for_datagrams(address: str, port: int, unless_by: Collection[int] = ()) -> bool:
    """Return whether a socket of UDP holds this address and port, by itself or by holding the port on all addresses.

    Told by trying to have it alone: a socket that would share it with others keeps this one out as well. False too
    where nothing can be told, because the address is of another machine or the port is one for privileged processes.

    Args:
        unless_by: processes whose own sockets do not count. Envoy keeps those of a deleted listener until it has
            drained it, and takes them up again for a new one in that place; an Envoy that takes the place of another
            takes up the other's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE and not _hold_alone(unless_by, address, port)
    return False


def _hold_alone(pids: Collection[int], address: str, port: int) -> bool:
    packed = int.from_bytes(IPv4Address(address).packed, sys.byteorder)
    wanted = {f"{packed:08X}:{port:04X}", f"{0:08X}:{port:04X}"}
    entries = (line.split() for line in _UDP_TABLE.read_text().splitlines()[1:])
    holders = {f"socket:[{entry[9]}]" for entry in entries if entry[1] in wanted}
    # Whoever has the port for IPv6 and IPv4 alike stands in another table: then nobody is found here.
    return bool(holders) and holders <= set().union(*map(_sockets, pids))


def _sockets(pid: int) -> set[str]:
    found: set[str] = set()
    # It may have ended, or be none of ours to look into.
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(str(descriptor.readlink()))
    return found


def _question(address: bytes, port: int) -> bytes:
    about = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN)
    return about + _SOCKET_ID.pack(port, 0, address, b"") + _SOCKET_ID_END.pack(0, _NO_COOKIE, _NO_COOKIE)
