"""The messages of Envoy's hot restart, as a child of 1.40 writes and reads them (recorded)."""

import struct

import pytest

from equipoise.node.hot_restart import (
    NOT_PASSED,
    Ask,
    HotRestartRequest,
    admin_closed,
    no_stats,
    request,
    shared_memory,
    socket_passed,
)


def datagram(message: bytes) -> bytes:
    return struct.pack(">Q", len(message)) + message


ADDRESS = b"tcp://127.0.0.1:80"


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (b"\x0a\x02\x12\x00", HotRestartRequest(Ask.SHUTDOWN_ADMIN)),
        (b"\x0a\x16\x0a\x14\x0a\x12" + ADDRESS, HotRestartRequest(Ask.PASS_LISTEN_SOCKET, ADDRESS.decode())),
        (
            b"\x0a\x18\x0a\x16\x0a\x12" + ADDRESS + b"\x10\x03",
            HotRestartRequest(Ask.PASS_LISTEN_SOCKET, ADDRESS.decode(), 3),
        ),
        (b"\x0a\x02\x1a\x00", HotRestartRequest(Ask.STATS)),
        (b"\x0a\x02\x22\x00", HotRestartRequest(Ask.DRAIN_LISTENERS)),
        (b"\x0a\x02\x2a\x00", HotRestartRequest(Ask.TERMINATE)),
    ],
)
def test_what_a_child_asks_is_read(message: bytes, read: HotRestartRequest) -> None:
    assert request(datagram(message)) == read


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00" * 7,
        datagram(b""),
        datagram(b"\x0a\x00"),
        datagram(b"\x0a\x02\x32\x00"),
        datagram(b"\x0a\x05\x12\x00"),
        datagram(b"\x0a\x02\x12\x80"),
        datagram(b"\x08\x01"),
        datagram(b"\x0a\x04\x12\x00\x1a\x00"),
        struct.pack(">Q", 3) + b"\x0a\x02\x12\x00",
    ],
)
def test_what_is_no_request_of_that_protocol_is_told_from_one(sent: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ, what is done about it does not
        request(sent)


def test_a_parent_answers_in_the_same_way() -> None:
    assert socket_passed(300) == datagram(b"\x12\x05\x0a\x03\x08\xac\x02")
    assert socket_passed(NOT_PASSED) == datagram(b"\x12\x0d\x0a\x0b\x08" + b"\xff" * 9 + b"\x01")
    assert admin_closed(5) == datagram(b"\x12\x04\x12\x02\x08\x05")
    assert no_stats() == datagram(b"\x12\x02\x1a\x00")


def test_the_memory_begins_with_its_size_and_version() -> None:
    assert shared_memory("11.104\n") == struct.pack("=QQ", 104, 11) + bytes(88)


@pytest.mark.parametrize("told", ["", "11", "11.x", "11.8", "disabled"])
def test_a_version_that_says_no_size_is_refused(told: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        shared_memory(told)
