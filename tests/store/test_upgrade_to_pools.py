"""A database of the schema before pools, with jobs of every type ended and under way, goes on with the new one.

`before_pools.json` was written by the version that had that schema: its rows, and what it showed of them to users,
both of what was in force and with the changes that were under way.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import MetaData, text

from equipoise.api.classic.wire import jobs as job_wire
from equipoise.api.classic.wire import resources as wire
from equipoise.certificates.vault import Vault
from equipoise.core.jobs import FailureReason, JobStatus
from equipoise.core.model import Algorithm, PersistenceType
from equipoise.store import certificates, idempotency
from equipoise.store.database import open_engine
from equipoise.store.migrate import upgrade
from equipoise.usecases import health_monitors, jobs, listeners, load_balancers, members
from equipoise.usecases.context import Accepted
from equipoise.usecases.idempotency import Attempt, once
from equipoise.usecases.listeners import ListenerFilters
from tests.store.controller_stand import CALLER, PROJECT, Stand, open_stand
from tests.store.test_schema import bring_to

BEFORE_POOLS: Final = "0001"
BEFORE: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_name("before_pools.json").read_text())
NAMES: Final[Mapping[str, Any]] = BEFORE["names"]
KEY: Final = "a key"
ATTEMPT: Final = Attempt.of(KEY, "POST", "/v1.0/p/elbaas/listeners", b"{}")
UNFINISHED: Final = {name: Accepted(*ids) for name, ids in NAMES["jobs"].items()}


def upgraded(url: str) -> None:
    """Fill a database of the old schema, and bring it to the new one."""
    bring_to(url, BEFORE_POOLS)
    engine = open_engine(url)
    tables = MetaData()
    with engine.begin() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name in BEFORE["tables"]:
                connection.execute(table.insert(), BEFORE["tables"][table.name])
        key = {"project_id": PROJECT, "key": KEY, "fingerprint": ATTEMPT.fingerprint, "create_time": 1}
        found = UNFINISHED["createListener"]
        ids = {"job_id": found.job_id, "resource_id": found.resource_id}
        connection.execute(tables.tables["idempotency_keys"].insert(), key | ids)
    engine.dispose()
    upgrade(url)


def stand_on(url: str, **more: Any) -> Any:
    """The clock stands still where it stood, so that no time limit is over."""
    vault = Vault(BEFORE["key"].encode())
    return open_stand(url, clock=lambda: BEFORE["time"], vault=vault, connected=False, **more)


def shown(stand: Stand) -> dict[str, list[Any]]:
    """All that users see of what there is, as the old version has written it down."""

    def read(connection: Any) -> dict[str, list[Any]]:
        found = listeners.list_listeners(connection, CALLER, ListenerFilters(), None, None)
        own = [
            member
            for view in found
            for member in members.list_members(connection, CALLER, view.listener.id, (), None, None, None)
        ]
        checks = [
            health_monitors.show_health_monitor(connection, CALLER, view.health_monitor_id)
            for view in found
            if view.health_monitor_id is not None
        ]
        there = load_balancers.list_load_balancers(connection, CALLER, (), None, None)
        return {
            "load_balancers": [wire.load_balancer(one) for one in there],
            "listeners": [wire.listed_listener(view) for view in found],
            "members": [wire.member(view) for view in own],
            "health_checks": [wire.health_check(view) for view in checks],
        }

    return stand.read(read)


def without(documents: Mapping[str, Iterable[Mapping[str, Any]]], *names: str) -> dict[str, list[dict[str, Any]]]:
    """Without what later versions show in another way, or show more of; members in the order of their ids."""
    return {
        kind: sorted(
            ({name: value for name, value in one.items() if name not in names} for one in some),
            key=lambda one: str(one["id"]),
        )
        for kind, some in documents.items()
    }


def test_the_file_has_jobs_of_every_type_under_way() -> None:
    types = {row["job_type"] for row in BEFORE["tables"]["jobs"] if row["end_time"] is None and not row["parent_id"]}
    assert types == {
        "createELB",
        "updateELB",
        "deleteELB",
        "createMember",
        "removeMember",
        "createListener",
        "updateListener",
        "deleteListener",
        "createHealthCheck",
        "updateHealthCheck",
        "deleteHealthCheck",
        "updateCertificate",
    }


async def test_users_see_the_same_after_the_upgrade(empty_database_url: str) -> None:
    upgraded(empty_database_url)
    async with stand_on(empty_database_url) as stand:
        assert without(shown(stand), "status", "az") == without(BEFORE["shown"], "status", "az")
        for id, told in BEFORE["jobs"].items():
            found = stand.read(lambda c, id=id: jobs.show_job(c, CALLER, id))
            assert {**job_wire.job(found), "history": job_wire.history(found)} == told
        failed = stand.read(lambda c: jobs.show_job(c, CALLER, NAMES["failed"]))
        assert failed.failure is FailureReason.CANNOT_LISTEN


async def test_a_key_that_was_used_before_still_stands_for_its_write(empty_database_url: str) -> None:
    upgraded(empty_database_url)
    async with stand_on(empty_database_url) as stand:

        def never(_tx: object) -> Accepted:
            raise AssertionError("written twice")

        assert await stand.write(once(ATTEMPT, PROJECT, never)) == UNFINISHED["createListener"]
        assert await stand.write(lambda tx: idempotency.find(tx, PROJECT, "another")) is None


async def test_what_was_under_way_succeeds(empty_database_url: str) -> None:
    upgraded(empty_database_url)
    async with stand_on(empty_database_url) as stand:
        stand.node.connect()
        for accepted in UNFINISHED.values():
            assert (await stand.ended(accepted)).status == JobStatus.SUCCESS
        gone = {NAMES["gone"]}
        there = {view.listener.id: view for view in stand.read(_all_listeners)}
        assert not gone & there.keys()
        tcp = there[NAMES["tcp"]]
        assert (tcp.listener.port, tcp.listener.name, tcp.listener.idle_timeout) == (8180, "moved", 360_000)
        assert tcp.pool is not None
        assert (tcp.pool.id, tcp.pool.private_to) == (tcp.listener.id, tcp.listener.id)
        assert (tcp.pool.algorithm, tcp.pool.default_port) == (Algorithm.LEAST_CONNECTIONS, 9001)
        assert (tcp.pool.draining, tcp.pool.draining_timeout) == (True, 240_000)
        assert there[NAMES["udp"]].listener.idle_timeout == 180_000
        sticky = [there[NAMES[name]].pool for name in ("http", "sticky")]
        assert [pool and pool.persistence_type for pool in sticky] == [
            PersistenceType.HTTP_COOKIE,
            PersistenceType.SOURCE_IP,
        ]
        monitor = stand.read(lambda c: health_monitors.show_health_monitor(c, CALLER, NAMES["check"])).monitor
        assert (monitor.type, monitor.path, monitor.port) == ("HTTP", "/x", 9200)
        assert (monitor.timeout, monitor.interval) == (2_000, 8_000)
        addresses = [view.member.address for view in stand.read(lambda c: _members(c, NAMES["tcp"]))]
        assert sorted(addresses) == ["127.0.1.4", "127.0.1.5"]
        certificate = stand.read(lambda c: certificates.get(c, PROJECT, NAMES["certificate"]))
        assert certificate is not None
        content = stand.read(lambda c: certificates.contents(c, [certificate.content_id]))
        assert [one.certificate for one in content.values()] == ["second"]
        await stand.until(lambda: NAMES["internal"] not in stand.node.desired)


async def test_what_was_under_way_is_confirmed_anew(empty_database_url: str) -> None:
    upgraded(empty_database_url)
    async with stand_on(empty_database_url) as stand:
        stand.node.confirms_at_once = False
        stand.node.connect()
        under_way = [stand.job(accepted) for accepted in UNFINISHED.values()]
        ids = {job.load_balancer_id for job in under_way}
        for id in ids:
            await stand.handed_over(id)
        # By that nothing of the others is in force.
        last = max(ids, key=lambda id: stand.newest(id).revision)
        stand.node.confirm(last)
        for name, accepted in UNFINISHED.items():
            if stand.job(accepted).load_balancer_id == last:
                assert (await stand.ended(accepted)).status == JobStatus.SUCCESS, name
        assert {job.load_balancer_id for job in map(stand.job, UNFINISHED.values()) if not job.ended} == ids - {last}
        assert len(ids) > 1


def test_each_load_balancer_gets_a_revision_of_its_own(empty_database_url: str) -> None:
    upgraded(empty_database_url)
    engine = open_engine(empty_database_url)
    with engine.connect() as connection:
        given = connection.execute(text("SELECT revision FROM load_balancers ORDER BY revision")).scalars().all()
        assert given == list(range(1, len(given) + 1))
        assert connection.execute(text("SELECT value FROM revisions")).scalars().all() == [len(given)]
    engine.dispose()


async def test_what_was_under_way_is_taken_back_when_it_fails(empty_database_url: str) -> None:
    upgraded(empty_database_url)
    async with stand_on(empty_database_url) as stand:
        for accepted in UNFINISHED.values():
            if not stand.job(accepted).ended:
                await stand.write(lambda tx, id=accepted.job_id: jobs.cancel_job(tx, CALLER, id))
        assert {stand.job(accepted).failure for accepted in UNFINISHED.values()} == {FailureReason.CANCELLED}
        moved = ("status", "az", "update_time")
        assert without(shown(stand), *moved) == without(BEFORE["in_force"], *moved)


async def test_a_rejection_fails_what_it_is_about_and_nothing_else(empty_database_url: str) -> None:
    upgraded(empty_database_url)
    async with stand_on(empty_database_url) as stand:
        stand.node.confirms_at_once = False
        stand.node.connect()
        # Starting and stopping touches every listener.
        await stand.write(lambda tx: jobs.cancel_job(tx, CALLER, UNFINISHED["updateELB"].job_id))
        await stand.handed_over(NAMES["load_balancer"])
        stand.node.reject(NAMES["load_balancer"], NAMES["tcp"], "it is not wanted")
        about = ("updateListener", "createMember", "removeMember", "updateHealthCheck")
        for name in about:
            assert (await stand.ended(UNFINISHED[name])).failure is FailureReason.REJECTED, name
        await stand.handed_over(NAMES["load_balancer"])
        stand.node.confirm_all()
        for name, accepted in UNFINISHED.items():
            if name not in (*about, "updateELB"):
                assert (await stand.ended(accepted)).status == JobStatus.SUCCESS, name


def _all_listeners(connection: Any) -> Any:
    return listeners.list_listeners(connection, CALLER, ListenerFilters(), None, None)


def _members(connection: Any, listener_id: str) -> Any:
    return members.list_members(connection, CALLER, listener_id, (), None, None, None)
