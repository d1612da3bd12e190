"""Two services on one PostgreSQL: what one of them writes wakes those who wait at the other one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from unittest.mock import Mock

import pytest
from psycopg import AsyncConnection
from sqlalchemy import make_url, text

from equipoise.core.jobs import Job, JobStatus
from equipoise.store import foreign_writes
from equipoise.store.backlog import Backlog
from equipoise.store.feed import newest_revision
from equipoise.store.foreign_writes import CHANNEL
from equipoise.store.jobs import queries
from equipoise.store.waiting import JobWaiters
from stand import PATIENCE
from tests.store.controller_stand import PROJECT, Stand, open_database, open_stand

LONG = 10 * PATIENCE
"""Longer than a test waits: who is not woken is not seen to end."""


async def an_unfinished_job(stand: Stand) -> str:
    stand.node.confirms_at_once = False
    accepted = await stand.create_load_balancer()
    await stand.handed_over(stand.job(accepted).load_balancer_id)
    await stand.until(lambda: stand.job(accepted).status is JobStatus.RUNNING)
    return accepted.job_id


@asynccontextmanager
async def waiting_elsewhere(server_url: str) -> AsyncIterator[tuple[Stand, asyncio.Task[Job | None]]]:
    """A service with an unfinished job, and somebody who waits for it at another service."""
    async with open_stand(server_url) as stand, open_database(server_url) as other:
        waiters = JobWaiters(other)
        id = await an_unfinished_job(stand)
        waiting = asyncio.create_task(waiters.wait(PROJECT, id, LONG))
        await stand.until(lambda: id in waiters._compared)
        yield stand, waiting


async def test_who_waits_at_another_service_learns_of_the_end(server_url: str) -> None:
    async with waiting_elsewhere(server_url) as (stand, waiting):
        stand.node.confirm_all()
        async with asyncio.timeout(PATIENCE):
            job = await waiting
        assert job is not None
        assert job.status is JobStatus.SUCCESS


async def test_who_follows_at_another_service_sees_each_state_once(server_url: str) -> None:
    async with open_stand(server_url) as stand, open_database(server_url) as other:
        waiters = JobWaiters(other)
        id = await an_unfinished_job(stand)
        seen: list[Job] = []

        async def follow() -> None:
            async for job in waiters.follow(PROJECT, id, LONG):
                assert job is not None
                seen.append(job)

        following = asyncio.create_task(follow())
        await stand.until(lambda: id in waiters._compared)
        stand.node.confirm_all()
        async with asyncio.timeout(PATIENCE):
            await following
        assert [job.status for job in seen] == [JobStatus.RUNNING, JobStatus.SUCCESS]


async def test_the_backlog_counts_the_jobs_of_all_services(server_url: str) -> None:
    async with open_stand(server_url) as stand, open_database(server_url) as other:
        backlog = await Backlog.open(other)
        assert backlog.unfinished == 0
        await an_unfinished_job(stand)
        await stand.until(lambda: backlog.unfinished == 1)
        stand.node.confirm_all()
        await stand.until(lambda: backlog.unfinished == 0)


async def test_what_was_written_while_nobody_listened_is_seen_by_the_next_look(server_url: str) -> None:
    async with waiting_elsewhere(server_url) as (stand, waiting):
        # All connections that listen break; a notification now has nobody to come to.
        stand.read(
            lambda connection: connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
            ).all()
        )
        stand.node.confirm_all()
        async with asyncio.timeout(PATIENCE):
            job = await waiting
        assert job is not None
        assert job.ended


async def test_a_service_wakes_the_others_and_not_itself(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_writes, "LEVEL_SECONDS", LONG)
    async with open_database(server_url) as one, open_database(server_url) as other:
        woken: asyncio.Queue[str] = asyncio.Queue()

        async def note(name: str) -> None:
            woken.put_nowait(name)

        one.on_foreign_write(partial(note, "one"))
        other.on_foreign_write(partial(note, "other"))
        async with asyncio.timeout(PATIENCE):
            # Both listen once they have looked for the first time.
            assert {await woken.get(), await woken.get()} == {"one", "other"}
            for writer, heard in ((one, "other"), (other, "one"), (one, "other")):
                await writer.write(lambda _: None)
                assert await woken.get() == heard


async def test_a_write_that_is_no_news_wakes_nobody_but_does_not_silence_one_that_is(server_url: str) -> None:
    address = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with (
        open_database(server_url) as database,
        await AsyncConnection.connect(address, autocommit=True) as listening,
        asyncio.timeout(PATIENCE),
    ):
        await listening.execute(f"LISTEN {CHANNEL}")
        first = await database.read(newest_revision)
        await database.write(lambda _: None, is_news=False)
        await database.write(lambda _: None)
        await asyncio.gather(database.write(lambda _: None), database.write(lambda _: None, is_news=False))
        # Notifications come in the order of commits, so the first write has sent none.
        told = [int(each.payload.split()[1]) async for each in listening.notifies(stop_after=2)]
        assert told == [first + 2, first + 3]


async def test_a_comparison_that_takes_long_holds_up_no_other(server_url: str) -> None:
    async with open_database(server_url) as one, open_database(server_url) as other:
        compared = asyncio.Semaphore(0)

        async def take_long() -> None:
            await asyncio.Event().wait()

        async def note() -> None:
            compared.release()

        other.on_foreign_write(take_long)
        other.on_foreign_write(note)
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                await one.write(lambda _: None)
                await compared.acquire()


async def test_the_backlog_is_counted_anew_ten_times_a_second_at_most(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Mock(wraps=queries.count_unfinished)
    monkeypatch.setattr(queries, "count_unfinished", count)
    async with open_database(server_url) as one, open_database(server_url) as other:
        began = time.monotonic()
        await Backlog.open(other)
        async with asyncio.timeout(PATIENCE):
            while count.call_count < 4:
                await one.write(lambda _: None)
        # The first count is that of the opening.
        assert time.monotonic() - began >= 3 * 0.1
