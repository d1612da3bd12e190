"""What a process compares with the database when another service may have written to it, each thing at its own pace."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from equipoise.store.transaction import StoreUnavailable

AT_LEISURE: Final = 0.1
"""Seconds that a comparison waits on which no change waits. So it does not take turns with those that one waits for,
and the few commits of one change are compared together."""

_PAUSE_SECONDS: Final = 0.005
"""Between a comparison and the next one of the same kind, at least: others may write hundreds of times a second."""


class Comparison:
    """One kind of comparison, of which one runs at a time.

    Args:
        compare: may raise StoreUnavailable; it is compared again soon.
        after: seconds that it begins after it was wanted, and after the one before.
    """

    def __init__(self, compare: Callable[[], Awaitable[None]], after: float) -> None:
        self._compare = compare
        self._after = after
        self._is_wanted = False
        self._task: asyncio.Task[None] | None = None

    def want(self, running: asyncio.TaskGroup) -> None:
        """Compare what is stored now or later; what was wanted and has not begun is the same."""
        self._is_wanted = True
        if self._task is None or self._task.done():
            self._task = running.create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(self._after)
        while self._is_wanted:
            self._is_wanted = False
            with suppress(StoreUnavailable):
                await self._compare()
            await asyncio.sleep(max(self._after, _PAUSE_SECONDS))
