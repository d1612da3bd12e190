"""Turns of the event loop, for tests in which nothing waits for a clock, a thread or a socket."""

import asyncio


async def settle() -> None:
    """Let all that can be done be done: it takes fewer turns than these."""
    for _ in range(100):
        await asyncio.sleep(0)
