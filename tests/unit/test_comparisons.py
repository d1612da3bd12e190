"""At what pace a process compares what it knows with the database."""

import asyncio

from equipoise.store.comparisons import Comparison
from equipoise.store.transaction import StoreUnavailable
from stand import PATIENCE


class Compared:
    """A comparison that counts, and ends when it may."""

    def __init__(self) -> None:
        self.times = 0
        self.begun = asyncio.Semaphore(0)
        self.may_end = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.times += 1
        self.begun.release()
        await self.may_end.acquire()
        if self.error is not None:
            raise self.error


async def test_what_is_wanted_during_a_comparison_is_compared_once_more() -> None:
    compare = Compared()
    comparison = Comparison(compare, 0.0)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as running:
        comparison.want(running)
        await compare.begun.acquire()
        for _ in range(3):
            comparison.want(running)
        assert compare.times == 1
        compare.may_end.release()
        compare.may_end.release()
    assert compare.times == 2


async def test_what_may_come_later_is_compared_later_and_together() -> None:
    compare = Compared()
    compare.may_end.release()
    comparison = Comparison(compare, 0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as running:
        for _ in range(3):
            comparison.want(running)
        await compare.begun.acquire()
        assert loop.time() - began >= 0.05
    assert compare.times == 1


async def test_it_is_compared_again_after_the_database_did_not_answer() -> None:
    compare = Compared()
    compare.error = StoreUnavailable("on purpose")
    comparison = Comparison(compare, 0.0)
    for times in (1, 2):
        compare.may_end.release()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as running:
            comparison.want(running)
        assert compare.times == times
