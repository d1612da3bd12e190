"""The writer: groups, turns, and a database that cannot be used for a while."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from equipoise.store import nodes, server
from equipoise.store.database import (
    Database,
    OutcomeUnknown,
    StoreUnavailable,
    Transaction,
    open_engine,
    sqlite_url,
)
from equipoise.store.events import LoadBalancerMoved
from equipoise.store.migrate import upgrade
from equipoise.store.sqlite import SqliteAccess
from stand import PATIENCE
from stand.postgres import Postgres
from tests.cutting import Cutting, Fate, cutting


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    upgrade(database_url)
    opened = Database(database_url)
    opened.start()
    yield opened
    await opened.stop()


def put(tx: Transaction, name: str) -> None:
    nodes.attach(tx, name)


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


def test_who_waits_for_a_turn_waits_longer_than_a_service_that_stopped_may_keep_it(postgres: Postgres) -> None:
    engine = open_engine(postgres.new_database())
    with engine.connect() as connection:
        names = "'idle_in_transaction_session_timeout', 'lock_timeout'"
        found = connection.exec_driver_sql(f"SELECT name, setting FROM pg_settings WHERE name IN ({names})").all()
    engine.dispose()
    milliseconds = {name: int(setting) for name, setting in found}
    assert 0 < milliseconds["idle_in_transaction_session_timeout"] <= milliseconds["lock_timeout"] / 2


async def test_a_unit_that_fails_takes_no_other_of_its_group_with_it(database: Database, database_url: str) -> None:
    def fail(tx: Transaction) -> None:
        nodes.attach(tx, "bad")
        raise ValueError("on purpose")

    a, b = partial(put, name="a"), partial(put, name="b")
    results = await asyncio.gather(database.write(a), database.write(fail), database.write(b), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ValueError, type(None)]
    assert names(database_url) == ["a", "b"]


async def test_a_unit_that_fails_alone_stores_nothing(database: Database, database_url: str) -> None:
    def fail(tx: Transaction) -> None:
        nodes.attach(tx, "bad")
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
            nodes.attach(tx, f"node-{number:050}")

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
        nodes.attach(tx, "bad")
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


def close_connections(url: str) -> None:
    """As a server does that starts anew."""
    engine = open_engine(url)
    with engine.connect() as connection:
        others = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid != pg_backend_pid() AND client_port IS NOT NULL"
        )
        assert others.all()
    engine.dispose()


@pytest.fixture
async def used(server_url: str) -> AsyncIterator[Database]:
    """A database with a connection to read and one to write."""
    opened = Database(server_url)
    opened.start()
    await opened.write(partial(put, name="before"))
    await opened.read(nodes.live)
    yield opened
    await opened.stop()


async def test_connections_that_the_server_has_closed_are_replaced_without_an_error(
    used: Database, server_url: str
) -> None:
    close_connections(server_url)
    assert await used.read(nodes.live) == ["before"]
    close_connections(server_url)
    await used.write(partial(put, name="a"))
    assert names(server_url) == ["a", "before"]


async def test_no_connection_is_tried_before_it_is_used(used: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Mock(return_value=True)
    monkeypatch.setattr(used._engine.dialect, "do_ping", trial)
    await used.read(nodes.live)
    await used.write(partial(put, name="a"))
    trial.assert_not_called()


async def test_several_statements_of_a_read_are_one_snapshot_and_one_alone_takes_no_transaction(
    used: Database, server_url: str
) -> None:
    def read_alone(connection: Connection) -> object:
        nodes.live(connection)
        return connection.connection.driver_connection.info.transaction_status  # type: ignore[union-attr]

    def read_twice(connection: Connection) -> list[Sequence[str]]:
        before = nodes.live(connection)
        engine = open_engine(server_url)
        with engine.begin() as other:
            other.execute(text("DELETE FROM nodes"))
        engine.dispose()
        return [before, nodes.live(connection)]

    assert await used.read_one(read_alone) is TransactionStatus.IDLE
    # Over the same connections.
    assert await used.read(read_twice) == [["before"], ["before"]]
    assert await used.read_one(nodes.live) == []


async def test_a_write_whose_connection_is_closed_after_its_beginning_is_not_done_twice(
    used: Database, server_url: str
) -> None:
    begun = 0

    def put_and_lose(tx: Transaction) -> None:
        nonlocal begun
        begun += 1
        put(tx, "a")
        close_connections(server_url)
        put(tx, "b")

    with pytest.raises(StoreUnavailable):
        await used.write(put_and_lose)
    assert begun == 1
    assert names(server_url) == ["before"]


async def test_a_read_that_has_waited_for_a_lost_connection_does_not_wait_for_another_one(
    used: Database, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_AT_ONCE", 0.0)
    close_connections(server_url)
    with pytest.raises(StoreUnavailable):
        await used.read(nodes.live)


@asynccontextmanager
async def through(
    postgres: Postgres, pattern: str, fate: Fate, *, stays_away: bool = False
) -> AsyncIterator[tuple[Database, Cutting, str]]:
    """A database in use through a way that can be cut, and the URL of the straight one."""
    url = postgres.new_database(like=pattern)
    async with cutting(postgres.port, fate, stays_away=stays_away) as between:
        opened = Database(url.replace(f":{postgres.port}/", f":{between.own_port}/"))
        opened.start()
        try:
            await opened.write(partial(put, name="before"))
            between.arm()
            yield opened, between, url
        finally:
            await opened.stop()


def put_and_tell(tx: Transaction) -> None:
    put(tx, "a")
    tx.emit(LoadBalancerMoved("a"))


@pytest.mark.parametrize("fate", [Fate.DELIVERED, Fate.LOST])
async def test_a_commit_whose_answer_is_lost_is_told_as_what_the_server_made_of_it(
    postgres: Postgres, postgres_pattern: str, fate: Fate
) -> None:
    told: list[object] = []
    async with through(postgres, postgres_pattern, fate) as (opened, between, url):
        opened.on_commit(told.extend)
        if fate is Fate.DELIVERED:
            await opened.write(put_and_tell)
        else:
            with pytest.raises(StoreUnavailable) as caught:
                await opened.write(put_and_tell)
            assert type(caught.value) is StoreUnavailable
        assert between.cuts == 1
        await opened.write(partial(put, name="c"))
    assert names(url) == (["a", "before", "c"] if fate is Fate.DELIVERED else ["before", "c"])
    assert told == ([LoadBalancerMoved("a")] if fate is Fate.DELIVERED else [])


@pytest.mark.parametrize("fate", Fate)
async def test_a_commit_of_which_nobody_tells_is_told_as_unknown_and_carried_out_when_the_server_tells(
    postgres: Postgres, postgres_pattern: str, fate: Fate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_DOUBT_PATIENCE", 0.2)
    told: list[object] = []
    # The server that waits for the commit can be asked, and says that it waits.
    stays_away = fate is not Fate.AWAITED
    async with through(postgres, postgres_pattern, fate, stays_away=stays_away) as (opened, between, url):
        opened.on_commit(told.extend)

        def break_a_rule(tx: Transaction) -> None:
            put(tx, "bad")
            raise ValueError("on purpose")

        results = await asyncio.gather(opened.write(put_and_tell), opened.write(break_a_rule), return_exceptions=True)
        assert [type(result) for result in results] == [OutcomeUnknown, ValueError]
        # Of what comes now it is known: until the server tells nothing is stored.
        with pytest.raises(StoreUnavailable) as caught:
            await opened.write(partial(put, name="b"))
        assert type(caught.value) is StoreUnavailable
        assert told == []
        if stays_away:
            await between.come_back()
        between.hang_up()
        if fate is Fate.DELIVERED:
            # Nobody has to write anything for that.
            async with asyncio.timeout(PATIENCE):
                while not told:
                    await asyncio.sleep(0.01)
        await _written(opened, "c")
    assert names(url) == (["a", "before", "c"] if fate is Fate.DELIVERED else ["before", "c"])
    assert told == ([LoadBalancerMoved("a")] if fate is Fate.DELIVERED else [])


async def test_a_service_that_ends_in_doubt_does_not_wait(
    postgres: Postgres, postgres_pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_DOUBT_PATIENCE", 0.2)
    async with through(postgres, postgres_pattern, Fate.DELIVERED, stays_away=True) as (opened, _, url):
        with pytest.raises(OutcomeUnknown):
            await opened.write(put_and_tell)
        async with asyncio.timeout(PATIENCE):
            await opened.stop()
    # The next start compares what is desired with what is in force.
    assert names(url) == ["a", "before"]


async def test_a_transaction_that_a_server_has_never_seen_is_not_stored(
    postgres: Postgres, postgres_pattern: str
) -> None:
    engine = open_engine(postgres.new_database(like=postgres_pattern))
    access = server.ServerAccess(engine)
    access._doubt = server._Doubt("4611686018427387904", [])
    assert await access.settle() == []
    assert not access.is_in_doubt
    access.close()
    engine.dispose()


async def test_a_service_that_stops_inside_a_transaction_holds_up_no_other_writer_for_good(
    postgres: Postgres, postgres_pattern: str
) -> None:
    url = postgres.new_database(like=postgres_pattern)
    program = "import sys; from tests.store.stopped_writer import stop; stop(sys.argv[1])"
    stopped = await asyncio.create_subprocess_exec(sys.executable, "-c", program, url)
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(os.waitid, os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
        database = Database(url)
        database.start()
        await database.write(partial(put, name="other"))
        await database.stop()
    finally:
        stopped.send_signal(signal.SIGCONT)
        # What it wrote before was not stored, and it hears so.
        assert await stopped.wait() == 0
    assert names(url) == ["other"]


async def _written(database: Database, name: str) -> None:
    """Write as soon as the database can be used again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(StoreUnavailable):
                return await database.write(partial(put, name=name))
            await asyncio.sleep(0.01)
