"""What a starting Envoy and the one before it say to each other at Envoy's hot restart. Pure: bytes in, bytes out.

Datagrams on unix sockets, each the length of a `HotRestartMessage` (8 bytes, big-endian) and the message itself, as in
Envoy's `source/server/hot_restart.proto`. Only what a child asks and is answered is here. Both also share a piece of
memory, whose size and version `envoy --hot-restart-version` tells as VERSION.SIZE.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

NOT_PASSED: Final = -1
"""In place of a descriptor: the parent has no such socket, and the child opens one of its own."""

_LENGTH: Final = struct.Struct(">Q")
_SIZE_AND_VERSION: Final = struct.Struct("=QQ")

_REQUEST: Final = 1
_REPLY: Final = 2
_VARINT: Final = 0
_BYTES: Final = 2
_MORE: Final = 0x80


class Ask(IntEnum):
    """What a child asks: the number of the field of `HotRestartRequest`, and of `Reply` where there is one."""

    PASS_LISTEN_SOCKET = 1
    SHUTDOWN_ADMIN = 2
    STATS = 3
    DRAIN_LISTENERS = 4
    TERMINATE = 5


@dataclass(frozen=True, slots=True)
class HotRestartRequest:
    """`address` (such as `tcp://127.0.0.1:80`) and `worker`, counted from 0, are those of PASS_LISTEN_SOCKET."""

    ask: Ask
    address: str = ""
    worker: int = 0


def request(datagram: bytes) -> HotRestartRequest:
    """Read what a child has sent. Raises ValueError: it is nothing that this release knows."""
    (length,) = _LENGTH.unpack_from(datagram.ljust(_LENGTH.size, b"\0"))
    message = datagram[_LENGTH.size :]
    if length != len(message):
        raise ValueError(f"a message of {len(message)} bytes says that it has {length}")
    asked = dict(_fields(_bytes(dict(_fields(message)).get(_REQUEST))))
    if len(asked) != 1:
        raise ValueError(f"not one request but {len(asked)}")
    [(number, body)] = asked.items()
    ask = Ask(number)
    if ask is not Ask.PASS_LISTEN_SOCKET:
        return HotRestartRequest(ask)
    details = dict(_fields(_bytes(body)))
    worker = details.get(2, 0)
    if not isinstance(worker, int):
        raise ValueError("a worker is a number")
    return HotRestartRequest(ask, _bytes(details.get(1)).decode(), worker)


def socket_passed(descriptor: int) -> bytes:
    """The reply that says which descriptor goes with it, or `NOT_PASSED`."""
    return _reply(Ask.PASS_LISTEN_SOCKET, _number(1, descriptor))


def admin_closed(started: int) -> bytes:
    """The reply that says that the admin socket is free; `started` in seconds since 1970."""
    return _reply(Ask.SHUTDOWN_ADMIN, _number(1, started))


def no_stats() -> bytes:
    """The reply that tells of no counters."""
    return _reply(Ask.STATS, b"")


def shared_memory(hot_restart_version: str) -> bytes:
    """The memory as the first Envoy leaves it. Raises ValueError.

    Behind size and version are locks that nobody holds and flags of which none is set: zeros all.
    """
    version, _, size = hot_restart_version.strip().partition(".")
    head = _SIZE_AND_VERSION.pack(int(size), int(version))
    if int(size) < len(head):
        raise ValueError(f"{size} bytes are too few")
    return head.ljust(int(size), b"\0")


def _reply(ask: Ask, body: bytes) -> bytes:
    message = _nested(_REPLY, _nested(ask, body))
    return _LENGTH.pack(len(message)) + message


def _nested(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(body)) + body


def _number(number: int, value: int) -> bytes:
    # Below zero it is the number that has the same 64 bits.
    return _varint(number << 3 | _VARINT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= _MORE:
        written.append(value % _MORE | _MORE)
        value //= _MORE
    return bytes((*written, value))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if key & 7 == _VARINT:
            yield key >> 3, value
        elif key & 7 == _BYTES and at + value <= len(message):
            yield key >> 3, message[at : at + value]
            at += value
        else:
            raise ValueError("a field that is neither a number nor a message")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for at in range(at, len(message)):  # noqa: B020 - goes on from where it was
        value |= (message[at] & ~_MORE) << shift
        shift += 7
        if message[at] < _MORE:
            return value, at + 1
    raise ValueError("a number without an end")


def _bytes(value: int | bytes | None) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field that should be a message or a text")
    return value
