"""What operations cost in SQL statements and commits: figures that do not depend on the machine.

Counted is what the service sends to the database, without what begins and ends a transaction.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, Engine, event

from equipoise.core.commands import AddMemberCommand, PutWebhookCommand
from equipoise.store import feed, nodes, watermark
from equipoise.store.database import Database, Transaction
from equipoise.store.jobs import queries
from equipoise.store.transaction import Unit, UnitOutcome
from equipoise.usecases import jobs, listeners, load_balancers, members, webhooks
from equipoise.usecases.context import Accepted
from tests.store.controller_stand import CALLER, NODE, Stand, new_load_balancer, open_stand

_BRACKETS = ("BEGIN", "SAVEPOINT", "RELEASE", "SELECT pg_advisory_xact_lock")

T = TypeVar("T")


@contextmanager
def statements_of(connection: Connection) -> Iterator[list[str]]:
    """The statements that go over this connection inside the block, with their values."""
    found: list[str] = []

    def on_statement(used: Connection, _cursor: object, statement: str, values: object, *_: object) -> None:
        if used is connection and not statement.startswith(_BRACKETS):
            found.append(f"{statement} {values}")

    event.listen(Engine, "before_cursor_execute", on_statement)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", on_statement)


@contextmanager
def writing_commits(database: Database) -> Iterator[list[list[str]]]:
    """What is executed in each group of units that is committed inside the block and has written."""
    commit = database._access.commit
    committed: list[list[str]] = []

    async def count(units: Sequence[Unit[Any]], now: Callable[[], int]) -> list[UnitOutcome]:
        statements: list[str] = []

        def noting(work: Callable[[Transaction], T], tx: Transaction) -> T:
            with statements_of(tx.connection) as found:
                result = work(tx)
            statements.extend(found)
            return result

        outcomes = await commit([Unit(partial(noting, unit.work), unit.future) for unit in units], now)
        if not all(statement.startswith("SELECT") for statement in statements):
            committed.append(statements)
        return outcomes

    with patch.object(database._access, "commit", count):
        yield committed


async def cost_of_reading(stand: Stand, work: Callable[[Connection], T]) -> tuple[T, list[str]]:
    def count(connection: Connection) -> tuple[T, list[str]]:
        with statements_of(connection) as found:
            return work(connection), found

    return await stand.database.read(count)


async def cost_of_writing(stand: Stand, work: Callable[[Transaction], T]) -> tuple[T, list[str]]:
    def count(tx: Transaction) -> tuple[T, list[str]]:
        with statements_of(tx.connection) as found:
            return work(tx), found

    return await stand.write(count)


async def test_reading_a_job_is_one_statement(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        await stand.ended(created)
        job, statements = await cost_of_reading(stand, lambda c: jobs.show_job(c, CALLER, created.job_id))
        assert job.ended
        assert len(statements) == 1, statements


async def test_reading_a_job_with_many_parts_is_one_statement(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        accepted, _ = await add_members(stand, listener_id, 50)
        job, statements = await cost_of_reading(stand, lambda c: jobs.show_job(c, CALLER, accepted.job_id))
        assert len(job.sub_jobs) == 50
        assert len(statements) == 1, statements


async def test_a_status_costs_no_statement_of_its_own(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        shown, statements = await cost_of_reading(stand, lambda c: listeners.show_listener(c, CALLER, listener_id))
        # The listener, its health check, its members.
        assert len(statements) == 3, statements
        wanted = shown.listener.load_balancer_id
        _, statements = await cost_of_reading(stand, lambda c: load_balancers.show_load_balancer(c, CALLER, wanted))
        assert len(statements) == 1, statements


async def test_what_others_changed_is_found_in_one_statement(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        kept, gone = await stand.create_load_balancer(), await stand.create_load_balancer()
        await stand.write(lambda tx: jobs.cancel_job(tx, CALLER, gone.job_id))
        found, statements = await cost_of_reading(stand, lambda c: feed.look(c, 0))
        assert [id for id, _ in found.moved] == [kept.resource_id]
        assert [id for id, _ in found.gone] == [gone.resource_id]
        # The controller writes beside it.
        assert found.newest >= max(revision for _, revision in (*found.moved, *found.gone))
        assert len(statements) == 1, statements


@pytest.mark.parametrize(
    "work",
    [
        queries.count_unfinished,
        lambda c: queries.states(c, ["a", "b"]),
        lambda c: queries.has_late(c, 1, 2),
        lambda c: nodes.any_expired(c, 1),
    ],
)
async def test_what_is_read_without_a_transaction_is_one_statement(
    server_url: str, work: Callable[[Connection], object]
) -> None:
    async with open_stand(server_url, connected=False) as stand:
        _, statements = await cost_of_reading(stand, work)
        assert len(statements) == 1, statements


async def test_accepting_a_load_balancer_takes_at_most_8_statements(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        accepted, statements = await cost_of_writing(
            stand,
            lambda tx: load_balancers.create_load_balancer(tx, CALLER, stand.policy, new_load_balancer()),
        )
        assert stand.job(accepted).id == accepted.job_id
        assert 0 < len(statements) <= 8, statements


async def test_a_load_balancer_is_one_commit_to_be_accepted_and_at_most_two_more_to_succeed(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        # Of the first one a part of the work is to note the node.
        await stand.ended(await stand.create_load_balancer())
        stand.node.confirms_at_once = False
        with writing_commits(stand.database) as committed:
            created = await stand.create_load_balancer()
            await stand.until(lambda: stand.story(created) == ["INIT", "RUNNING"])
            stand.node.confirm(created.resource_id)
            await stand.ended(created)
        assert stand.story(created) == ["INIT", "RUNNING", "SUCCESS"]
        about = [one for one in committed if any(created.resource_id in executed for executed in one)]
        assert 2 <= len(about) <= 3, about


async def test_what_is_in_force_is_written_down_in_two_statements_however_much_it_is(database_url: str) -> None:
    async with open_stand(database_url, connected=False, clock=lambda: 1_800_000_000.0) as stand:
        session = await stand.write(lambda tx: nodes.attach(tx, NODE))
        created = [(await stand.create_load_balancer()).resource_id for _ in range(20)]
        for some in (created[:1], created[1:]):
            revisions = {id: stand.newest(id).revision for id in some}
            observe = partial(watermark.observe, node_id=NODE, session=session, revisions=revisions)
            known, statements = await cost_of_writing(stand, observe)
            assert sorted(known) == sorted(some)
            assert len(statements) == 2, statements


async def test_the_number_of_members_does_not_count_in_statements(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        _, of_few = await add_members(stand, listener_id, 2)
        _, of_many = await add_members(stand, listener_id, 200)
        assert len(of_many) == len(of_few)


async def test_a_project_without_a_webhook_pays_no_statement_for_it_and_one_with_it_one(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:

        async def cancel() -> int:
            created = await stand.create_load_balancer()
            job, statements = await cost_of_writing(stand, lambda tx: jobs.cancel_job(tx, CALLER, created.job_id))
            assert job.ended
            return len(statements)

        without = await cancel()
        command = PutWebhookCommand("http://127.0.0.1:9/", None, keeps_secret=False)
        await stand.write(lambda tx: webhooks.put_webhook(tx, CALLER, stand.vault, command))
        assert await cancel() == without + 1


async def a_listener(stand: Stand) -> str:
    created = await stand.create_load_balancer()
    listener = await stand.create_listener(created.resource_id)
    await stand.ended(listener)
    return listener.resource_id


async def add_members(stand: Stand, listener_id: str, count: int) -> tuple[Accepted, list[str]]:
    wanted = [AddMemberCommand("server", f"127.0.{count}.{number}") for number in range(1, count + 1)]
    return await cost_of_writing(stand, lambda tx: members.add_members(tx, CALLER, stand.policy, listener_id, wanted))
