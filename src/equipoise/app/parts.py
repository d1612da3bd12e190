"""Parts of the service that start and stop themselves."""

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import Protocol


class Part(Protocol):
    """What can be started once and stopped. A part whose start failed has nothing to stop."""

    def start(self) -> Awaitable[None] | None: ...

    async def stop(self) -> None: ...


class MayFail(Protocol):
    """What has a task of its own."""

    async def failed(self) -> None:
        """Return only by raising: a defect that ended it."""


async def begin(parts: AsyncExitStack, *those: Part) -> None:
    """Start parts in order; they are stopped, in the reverse order, with the stack."""
    for part in those:
        starting = part.start()
        if starting is not None:
            await starting
        parts.push_async_callback(part.stop)
