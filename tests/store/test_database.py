"""The writer: groups, turns, and a database that cannot be used for a while."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from equipoise.store import nodes
from equipoise.store.database import Database, StoreUnavailable, Transaction, open_engine, sqlite_url
from equipoise.store.events import LoadBalancerMoved
from equipoise.store.migrate import upgrade
from equipoise.store.sqlite import SqliteAccess
from tests.databases import Postgres


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    upgrade(database_url)
    opened = Database(database_url)
    opened.start()
    yield opened
    await opened.stop()


def put(tx: Transaction, name: str) -> None:
    nodes.set_live(tx.connection, name, True)


def names(database_url: str) -> list[str]:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        found = sorted(connection.execute(text("SELECT id FROM nodes")).scalars())
    engine.dispose()
    return found


def test_a_commit_is_on_the_disk_and_not_only_handed_to_the_system(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "test.db")
    upgrade(url)
    engine = open_engine(url)
    with engine.connect() as connection:
        # 2 is FULL: the file is synced before a commit returns.
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    engine.dispose()


async def test_a_unit_that_fails_takes_no_other_of_its_group_with_it(database: Database, database_url: str) -> None:
    def fail(tx: Transaction) -> None:
        nodes.set_live(tx.connection, "bad", True)
        raise ValueError("on purpose")

    a, b = partial(put, name="a"), partial(put, name="b")
    results = await asyncio.gather(database.write(a), database.write(fail), database.write(b), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ValueError, type(None)]
    assert names(database_url) == ["a", "b"]


async def test_a_unit_that_fails_alone_stores_nothing(database: Database, database_url: str) -> None:
    def fail(tx: Transaction) -> None:
        nodes.set_live(tx.connection, "bad", True)
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await database.write(fail)
    assert names(database_url) == []


async def test_a_writer_waits_for_a_lock_without_holding_up_the_loop(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "test.db")
    upgrade(url)
    database = Database(url)
    database.start()
    other = open_engine(url)
    with other.connect() as connection:
        connection.connection.driver_connection.execute("BEGIN IMMEDIATE")  # type: ignore[union-attr]
        waiting = asyncio.ensure_future(database.write(partial(put, name="a")))
        # The loop goes on: this look would never come if the writer waited inside SQLite.
        assert await database.read(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1
        await asyncio.sleep(0)
        assert not waiting.done()
        connection.connection.driver_connection.execute("COMMIT")  # type: ignore[union-attr]
        await waiting
    assert names(url) == ["a"]
    other.dispose()
    await database.stop()


async def test_a_full_disk_is_told_and_the_next_write_works_when_there_is_room(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "test.db")
    upgrade(url)
    database = Database(url)
    database.start()

    def limit(pages: str) -> None:
        assert isinstance(database._used, SqliteAccess)
        database._used._writing.execute(f"PRAGMA max_page_count={pages}")

    def fill(tx: Transaction) -> None:
        for number in range(2000):
            nodes.set_live(tx.connection, f"node-{number:050}", True)

    limit("1")
    with pytest.raises(StoreUnavailable, match="full"):
        await database.write(fill)
    assert names(url) == []
    limit("1000000")
    await database.write(partial(put, name="a"))
    assert names(url) == ["a"]
    await database.stop()


async def test_writes_accepted_before_the_stop_are_done(database_url: str) -> None:
    upgrade(database_url)
    database = Database(database_url)
    database.start()
    writes = [asyncio.ensure_future(database.write(partial(put, name=str(number)))) for number in range(100)]
    await asyncio.sleep(0)
    await database.stop()
    await asyncio.gather(*writes)
    assert len(names(database_url)) == 100


async def test_a_commit_that_fails_stores_nothing_and_the_next_write_goes_on(
    database: Database, database_url: str
) -> None:
    def point_nowhere(tx: Transaction) -> None:
        nodes.set_live(tx.connection, "bad", True)
        # Noticed by the commit, not by the statement.
        tx.connection.execute(text("INSERT INTO pointers VALUES ('nobody')"))

    reference = "node_id VARCHAR(64) REFERENCES nodes (id) DEFERRABLE INITIALLY DEFERRED"
    await database.write(lambda tx: tx.connection.execute(text(f"CREATE TABLE pointers ({reference})")))
    violated = (IntegrityError, sqlite3.IntegrityError)
    with pytest.raises(violated):
        await database.write(point_nowhere)
    await database.write(partial(put, name="a"))
    together = await asyncio.gather(
        database.write(point_nowhere), database.write(partial(put, name="b")), return_exceptions=True
    )
    assert all(isinstance(result, violated) for result in together)
    await database.write(partial(put, name="c"))
    assert names(database_url) == ["a", "c"]


class Cutting:
    """Stands between a client and the server, and cuts a connection at its next commit when it was told to.

    Args:
        delivered: whether the server still hears of the commit; its answer is lost then.
    """

    def __init__(self, port: int, *, delivered: bool) -> None:
        self._port = port
        self._delivered = delivered
        self.armed = False
        self.cuts = 0
        self.serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        to_server = await asyncio.open_connection("127.0.0.1", self._port)
        answers = asyncio.create_task(self._pass_on(to_server[0], writer))
        while data := await reader.read(65536):
            if self.armed and b"COMMIT" in data:
                self.armed = False
                self.cuts += 1
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
                if self._delivered:
                    to_server[1].write(data)
                    await to_server[0].read(65536)
                break
            to_server[1].write(data)
        to_server[1].close()
        writer.close()
        await asyncio.gather(answers, to_server[1].wait_closed(), writer.wait_closed(), return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


@pytest.mark.parametrize("delivered", [True, False])
async def test_a_commit_whose_answer_is_lost_is_told_as_what_the_server_made_of_it(
    postgres: Postgres, postgres_pattern: str, delivered: bool
) -> None:
    url = postgres.new_database(like=postgres_pattern)
    cutting = Cutting(postgres.port, delivered=delivered)
    server = await asyncio.start_server(cutting.serve, "127.0.0.1", 0)
    own_port = server.sockets[0].getsockname()[1]
    opened = Database(url.replace(f":{postgres.port}/", f":{own_port}/"))
    opened.start()
    told: list[object] = []
    opened.on_commit(told.extend)

    def put_and_tell(tx: Transaction) -> None:
        put(tx, "a")
        tx.emit(LoadBalancerMoved("a"))

    try:
        await opened.write(partial(put, name="before"))
        cutting.armed = True
        if delivered:
            await opened.write(put_and_tell)
        else:
            with pytest.raises(StoreUnavailable):
                await opened.write(put_and_tell)
        assert cutting.cuts == 1
        await opened.write(partial(put, name="c"))
    finally:
        await opened.stop()
        server.close()
        await asyncio.gather(*(task for task in cutting.serving if task is not None))
    assert names(url) == (["a", "before", "c"] if delivered else ["before", "c"])
    assert told == ([LoadBalancerMoved("a")] if delivered else [])
