"""What one side of a stream has still to send: frames in order, no more of them than memory is meant to hold.

Whoever takes them too slowly loses the stream: after a new hello it is told everything that counts by then, which may
be far less than all that was to be said.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

LIMIT: Final = 64 * 1024 * 1024
"""Bytes that may wait. A single frame may be larger, when no other one waits."""

ROOM: Final = LIMIT // 16
"""Bytes up to which there is room for what need not be said now."""


class OutboxClosedError(Exception):
    """Nothing more is to be sent. The text says why."""


class Outbox:
    """The frames to be sent on one stream.

    Args:
        roomy: called when there is room again.
    """

    def __init__(self, roomy: Callable[[], None] = lambda: None, limit: int = LIMIT, room: int = ROOM) -> None:
        self._roomy = roomy
        self._limit = limit
        self._room = room
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._closed_because: str | None = None

    @property
    def has_room(self) -> bool:
        """Whether few bytes wait."""
        return self._bytes < self._room

    def put(self, frame: bytes) -> None:
        """Send a frame when those before it are sent. Nothing is sent any more once it is closed."""
        if self._closed_because is not None:
            return
        if self._frames and self._bytes + len(frame) > self._limit:
            self.close(f"more than {self._limit} bytes would wait to be sent")
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        self._changed.set()

    def close(self, reason: str) -> None:
        """Forget what waits, and send nothing more. The first reason counts."""
        if self._closed_because is None:
            self._closed_because = reason
        self._frames.clear()
        self._bytes = 0
        self._changed.set()

    async def take(self) -> bytes:
        """The next frame, when there is one. Raises OutboxClosedError."""
        while not self._frames:
            if self._closed_because is not None:
                raise OutboxClosedError(self._closed_because)
            self._changed.clear()
            await self._changed.wait()
        had_room = self.has_room
        frame = self._frames.popleft()
        self._bytes -= len(frame)
        if self.has_room and not had_room:
            self._roomy()
        return frame
