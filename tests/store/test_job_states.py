"""The states of a job: the table in the domain, the guards in SQL and the diagram in the documentation say the same."""

import re
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

from sqlalchemy import update

from equipoise.core.jobs import SOURCES, UNFINISHED, FailureReason, JobStatus
from equipoise.store import nodes, watermark
from equipoise.store.database import Transaction
from equipoise.store.jobs import rollback, transitions
from equipoise.store.tables import jobs as job_table
from equipoise.usecases import load_balancers
from equipoise.usecases.context import Policy
from equipoise.usecases.jobs import show_job
from tests.store.controller_stand import CALLER, NODE, new_load_balancer, open_stand

PAGE = Path(__file__).parents[2] / "docs/explanation/jobs.md"
ARROW = re.compile(r"^\s*(\w+) --> (\w+): ([\w, ]+)$", re.MULTILINE)

Statement = Callable[[Transaction, str, str], object]
STATEMENTS: dict[str, tuple[JobStatus, Statement]] = {
    "begin": (JobStatus.RUNNING, lambda tx, load_balancer, _: transitions.begin(tx, [load_balancer])),
    "begin_confirmed": (
        JobStatus.RUNNING,
        lambda tx, load_balancer, _: transitions.begin_confirmed(tx, [load_balancer]),
    ),
    "succeed": (JobStatus.SUCCESS, lambda tx, load_balancer, _: transitions.succeed(tx, [load_balancer])),
    "fail": (JobStatus.FAIL, lambda tx, _, job: rollback.fail(tx, [job], FailureReason.REJECTED, "a reason")),
}


def test_the_diagram_shows_the_transitions_of_the_table_and_names_functions_that_there_are() -> None:
    drawn = {(source, target): names.split(", ") for source, target, names in ARROW.findall(PAGE.read_text())}
    table = {(source.value, target.value) for target, sources in SOURCES.items() for source in sources}
    assert drawn.keys() == table
    named = {name for names in drawn.values() for name in names}
    assert named >= STATEMENTS.keys()
    assert all(callable(getattr(transitions, name, None) or getattr(rollback, name)) for name in named)


async def test_a_statement_moves_a_job_only_along_the_table(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        for (name, (target, statement)), source in product(STATEMENTS.items(), JobStatus):
            became = await stand.write(partial(put_and_move, stand.policy, statement, source))
            expected = target if source in SOURCES[target] else source
            assert became == expected, f"{name} from {source}"


def put_and_move(policy: Policy, statement: Statement, source: JobStatus, tx: Transaction) -> JobStatus:
    """Put a job into a state, let everything but that state allow it to go on, and execute the statement.

    In one transaction, so that no controller moves the job meanwhile.
    """
    accepted = load_balancers.create_load_balancer(tx, CALLER, policy, new_load_balancer())
    session = nodes.attach(tx, NODE)
    before = tx.revision - 1
    watermark.observe(tx, NODE, session, {accepted.resource_id: before})
    ended = None if source in UNFINISHED else 1
    put = update(job_table).where(job_table.c.id == accepted.job_id)
    tx.connection.execute(put.values(status=source, end_time=ended, accepted_revision=before))
    statement(tx, accepted.resource_id, accepted.job_id)
    return show_job(tx.connection, CALLER, accepted.job_id).status


def test_what_has_ended_leads_nowhere_and_everything_begins_with_init() -> None:
    ended = set(JobStatus) - set(UNFINISHED)
    assert SOURCES.keys() == set(JobStatus)
    assert not ended & {source for sources in SOURCES.values() for source in sources}
    assert SOURCES[JobStatus.INIT] == ()
