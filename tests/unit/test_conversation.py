"""What is sent on a stream keeps its order and its bounds, and a stream that says nothing any more is given up."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from equipoise.wire import conversation
from equipoise.wire.conversation import StreamEndedError, converse
from equipoise.wire.outbox import Outbox, OutboxClosedError


async def test_frames_come_out_in_their_order() -> None:
    outbox = Outbox()
    for frame in (b"1", b"2", b"3"):
        outbox.put(frame)
    assert [await outbox.take() for _ in range(3)] == [b"1", b"2", b"3"]
    taking = asyncio.ensure_future(outbox.take())
    await asyncio.sleep(0)
    outbox.put(b"4")
    assert await taking == b"4"


async def test_too_much_that_waits_closes_it_and_is_forgotten() -> None:
    outbox = Outbox(limit=10)
    # One alone may be of any size.
    outbox.put(b"x" * 20)
    outbox.put(b"y")
    with pytest.raises(OutboxClosedError, match="more than 10 bytes would wait"):
        await outbox.take()
    outbox.put(b"z")
    outbox.close("another reason")
    with pytest.raises(OutboxClosedError, match="more than 10 bytes would wait"):
        await outbox.take()


async def test_it_says_when_there_is_room_again() -> None:
    told: list[bool] = []
    outbox = Outbox(lambda: told.append(outbox.has_room), room=4)
    for frame in (b"12", b"34", b"56"):
        outbox.put(frame)
    assert not outbox.has_room
    await outbox.take()
    assert told == []
    await outbox.take()
    assert told == [True]
    await outbox.take()
    assert told == [True]


async def given(*frames: bytes) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame


async def nothing() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


class Sent(list[bytes]):
    async def write(self, frame: bytes) -> None:
        self.append(frame)


async def test_the_end_of_the_other_side_ends_it() -> None:
    taken: list[bytes] = []
    with pytest.raises(StreamEndedError, match="has ended the stream"):
        await converse(given(b"1", b"", b"2"), Sent().write, Outbox(), taken.append)
    # An empty frame says nothing but that the other side is there.
    assert taken == [b"1", b"2"]


async def test_silence_ends_it_and_it_is_never_silent_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(conversation, "SILENCE_SECONDS", 0.2)
    sent = Sent()
    with pytest.raises(StreamEndedError, match="nothing was heard for"):
        await converse(nothing(), sent.write, Outbox(), sent.append)
    assert set(sent) == {b""}
    assert len(sent) > 1


async def test_who_takes_nothing_does_not_keep_it_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "SILENCE_SECONDS", 0.05)

    async def write(_: bytes) -> None:
        await asyncio.Event().wait()

    outbox = Outbox()
    outbox.put(b"1")
    with pytest.raises(StreamEndedError, match="nothing was heard for"):
        await converse(nothing(), write, outbox, Sent().append)


async def test_what_cannot_be_taken_ends_it() -> None:
    def take(_: bytes) -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await converse(given(b"1"), Sent().write, Outbox(), take)
