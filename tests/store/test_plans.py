"""How statements that are executed often find their rows: by an index, however much else there is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from equipoise.store import feed, inheritance, listeners, load_balancers, watermark
from equipoise.store.database import Transaction, open_engine, sqlite_url
from equipoise.store.jobs import queries
from equipoise.store.migrate import upgrade
from equipoise.store.nodes import SessionLostError

UNFINISHED_WHOLE = "SEARCH jobs USING INDEX ix_jobs_unfinished (load_balancer_id=? AND parent_id=?)"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    url = sqlite_url(tmp_path / "test.db")
    upgrade(url)
    engine = open_engine(url)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def plan_of(connection: Connection, read: Callable[[Connection], Any]) -> list[str]:
    """What SQLite says of how it carries out the statements of a read."""
    executed: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        executed.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    read(connection)
    event.remove(connection, "before_cursor_execute", note)
    explained = [
        connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values) for statement, values in executed
    ]
    return [row[3] for rows in explained for row in rows]


@pytest.mark.parametrize(
    "read",
    [
        lambda c: listeners.get(c, "p", "id"),
        lambda c: listeners.list_of(c, "p", (), (), None, None, None),
        lambda c: load_balancers.get(c, "p", "id"),
        lambda c: load_balancers.list_of(c, "p", (), None, None),
    ],
)
def test_a_status_is_told_without_a_look_at_sub_jobs(connection: Connection, read: Callable[[Connection], Any]) -> None:
    assert UNFINISHED_WHOLE in plan_of(connection, read)


def test_members_under_way_are_found_without_a_look_at_other_load_balancers(connection: Connection) -> None:
    plan = plan_of(connection, lambda c: inheritance.members_under_way(c, "load balancer", "pool"))
    assert plan == ["SEARCH jobs USING INDEX ix_jobs_unfinished (load_balancer_id=?)"]


def test_what_a_watermark_passes_is_found_without_a_look_at_all_that_there_is(connection: Connection) -> None:
    def observe(opened: Connection) -> None:
        with pytest.raises(SessionLostError):
            watermark.observe(Transaction(opened, 1, 9), "node", 1, {"load balancer": 8})

    plan = plan_of(connection, observe)
    assert [step for step in plan if "jobs" in step or "load_balancers" in step] == [
        "SEARCH load_balancers USING INDEX sqlite_autoindex_load_balancers_1 (id=?)",
        "SEARCH load_balancers USING INDEX ix_load_balancers_revision (revision>? AND revision<?)",
        "SEARCH jobs USING INDEX ix_jobs_ended (end_time=? AND accepted_revision>? AND accepted_revision<?)",
    ]


def test_what_others_changed_is_found_without_a_look_at_all_that_there_is(connection: Connection) -> None:
    plan = plan_of(connection, lambda c: feed.look(c, 0))
    assert [step for step in plan if "jobs" in step or "load_balancers" in step] == [
        "SEARCH load_balancers USING INDEX ix_load_balancers_revision (revision>?)",
        "SEARCH jobs USING INDEX ix_jobs_ended_revision (revision>?)",
        "SEARCH load_balancers USING INDEX sqlite_autoindex_load_balancers_1 (id=?)",
    ]


def test_a_job_and_its_sub_jobs_are_found_without_a_look_at_the_others_of_the_project(connection: Connection) -> None:
    plan = plan_of(connection, lambda c: queries.get(c, "p", "id"))
    assert [step for step in plan if step.startswith("SEARCH")] == [
        "SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id=?)",
        "SEARCH jobs USING INDEX ix_jobs_parent_id (parent_id=?)",
    ]
