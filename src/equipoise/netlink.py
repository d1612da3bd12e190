"""Messages and attributes of netlink: how questions to the kernel are packed, and answers told apart. Linux only.

What is asked, and what an answer means, is known to those who ask.
"""

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

_HEADER: Final = struct.Struct("=IHHII")
"""Length with itself, kind, flags, sequence number, port."""

_ATTRIBUTE: Final = struct.Struct("=HH")
_CODE: Final = struct.Struct("=i")

_REQUEST: Final = 0x1
_ALL: Final = 0x300
_ERROR: Final = 2
_DONE: Final = 3
_KIND: Final = 0x3FFF
"""Above it are marks of an attribute that holds others."""

_ANSWER_BYTES: Final = 1 << 16
_PATIENCE: Final = 5.0


def ask(protocol: int, kind: int, question: bytes, *, all: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each message that the kernel answers with: one, or `all` that there are.

    Raises:
        OSError: netlink is not there, or the kernel refuses; `errno` tells why.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
        kernel.settimeout(_PATIENCE)
        flags = _REQUEST | _ALL if all else _REQUEST
        kernel.send(_HEADER.pack(_HEADER.size + len(question), kind, flags, 1, 0) + question)
        while True:
            data, at = kernel.recv(_ANSWER_BYTES), 0
            while at < len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                content = data[at + _HEADER.size : at + length]
                if kind in {_ERROR, _DONE}:
                    code = -_CODE.unpack_from(content)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                yield kind, content
                at += _aligned(length)
            if not all:
                return


def attribute(kind: int, content: bytes) -> bytes:
    """An attribute as it is sent."""
    length = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(length, kind) + content.ljust(_aligned(length) - _ATTRIBUTE.size, b"\0")


def attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each attribute in a message or in an attribute that holds others."""
    at = 0
    while at < len(content):
        length, kind = _ATTRIBUTE.unpack_from(content, at)
        yield kind & _KIND, content[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)


def attribute_of(content: bytes, wanted: int) -> bytes:
    """The content of the first attribute of this kind. Raises KeyError: there is none."""
    for kind, inner in attributes(content):
        if kind == wanted:
            return inner
    raise KeyError(wanted)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
