"""Asking the kernel whether somebody listens on an address and port. Linux only; who it is, is not told."""

import socket
import struct
from ipaddress import IPv4Address

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NO_COOKIE = 0xFFFFFFFF
_LISTEN = 10

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_SOCKET_ID = struct.Struct("!HH16s16s")
_SOCKET_ID_END = struct.Struct("=III")
_STATE_OFFSET = _HEADER.size + 1
_ADDRESS_OFFSET = _HEADER.size + 8


def is_listening(address: str, port: int) -> bool:
    """Return whether exactly this IPv4 address (not only 0.0.0.0) is listened on. Raises OSError without netlink."""
    wanted = IPv4Address(address).packed
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_question(wanted, port))
        answer = kernel.recv(4096)
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        # The answer is an error then, and the only one that a question about a free port can have.
        return False
    return answer[_STATE_OFFSET] == _LISTEN and answer[_ADDRESS_OFFSET : _ADDRESS_OFFSET + 4] == wanted


def _question(address: bytes, port: int) -> bytes:
    about = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN)
    about += _SOCKET_ID.pack(port, 0, address, b"") + _SOCKET_ID_END.pack(0, _NO_COOKIE, _NO_COOKIE)
    return _HEADER.pack(_HEADER.size + len(about), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + about
