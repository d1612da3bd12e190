"""A stream between a controller and a node, as either side holds it: what waits is sent, what comes is taken.

A path that is dead says nothing about it. So each side says something at least every `BEAT_SECONDS`, if only an empty
frame, and gives up a stream on which it hears nothing for `SILENCE_SECONDS`. That is less than a lease: a node that is
cut off from its controller reaches another one before anybody counts it as gone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NoReturn

from equipoise.wire.outbox import Outbox

BEAT_SECONDS: Final = 1.0
SILENCE_SECONDS: Final = 4.0

_BEAT: Final = b""


class StreamEndedError(Exception):
    """The other side has ended the stream, or says nothing any more. The text says which."""


async def converse(
    frames: AsyncIterator[bytes],
    write: Callable[[bytes], Awaitable[None]],
    outbox: Outbox,
    take: Callable[[bytes], None],
) -> NoReturn:
    """Send and take until the stream ends; return only by raising.

    Args:
        frames: what comes from the other side.
        write: sends one frame, and waits while the other side takes none.
        take: called with each frame that says something; what it raises ends the stream.

    Raises:
        OutboxClosedError, StreamEndedError, and whatever `frames`, `write` and `take` raise.
    """
    both = (asyncio.create_task(_write(write, outbox)), asyncio.create_task(_read(frames, take)))
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    [ended, *_] = done
    ended.result()


async def _write(write: Callable[[bytes], Awaitable[None]], outbox: Outbox) -> NoReturn:
    while True:
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                frame = await outbox.take()
        except TimeoutError:
            frame = _BEAT
        await write(frame)


async def _read(frames: AsyncIterator[bytes], take: Callable[[bytes], None]) -> NoReturn:
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                frame = await anext(frames, None)
        except TimeoutError:
            raise StreamEndedError(f"nothing was heard for {SILENCE_SECONDS:g} s") from None
        if frame is None:
            raise StreamEndedError("the other side has ended the stream")
        if frame != _BEAT:
            take(frame)
