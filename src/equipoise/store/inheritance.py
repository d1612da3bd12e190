"""What a job that ends leaves alone, and hands on, because later jobs have changed the same things since.

A change remembers what it found. When a job fails, the next unfinished one that has written the same column, or has
marked the same row, takes over what the failed one had found; then nothing of the failed one is left to take back.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from equipoise.core.changes import Change, Created, Removed, Updated, Wanted
from equipoise.core.commands import Column
from equipoise.core.jobs import JobType
from equipoise.store import changes
from equipoise.store.tables import jobs, unfinished

_RowKey = tuple[str, str]
"""Table and id."""

_UNFINISHED_CHANGES = (
    select(jobs.c.id, jobs.c.generation, jobs.c.changes)
    .where(
        or_(
            jobs.c.load_balancer_id.in_(bindparam("lb_ids", expanding=True)),
            jobs.c.job_type == JobType.UPDATE_CERTIFICATE,
        ),
        unfinished,
    )
    .order_by(jobs.c.generation, jobs.c.position)
)
# Of jobs about members, and of their sub-jobs, the pool is the resource.
_CHANGES_OF_MEMBERS = select(jobs.c.changes).where(
    jobs.c.load_balancer_id == bindparam("lb_id"),
    jobs.c.resource_id == bindparam("pool_id"),
    jobs.c.job_type.in_([JobType.CREATE_MEMBER, JobType.REMOVE_MEMBER]),
    unfinished,
)
_SET_CHANGES = update(jobs).where(jobs.c.id == bindparam("job_id")).values(changes=bindparam("made"))


def columns_under_way(connection: Connection, load_balancer_id: str) -> Mapping[_RowKey, set[str]]:
    """The columns of rows that unfinished jobs of a load balancer have written, by table and id."""
    columns: defaultdict[_RowKey, set[str]] = defaultdict(set)
    for row in connection.execute(_UNFINISHED_CHANGES, {"lb_ids": [load_balancer_id]}):
        for one in changes.from_json(row.changes):
            if isinstance(one, Updated):
                columns[_key(one)] |= one.after.keys()
    return columns


def members_under_way(connection: Connection, load_balancer_id: str, pool_id: str) -> set[str]:
    """The members of a pool that unfinished jobs have made, marked as deleting, or wanted."""
    found = connection.execute(_CHANGES_OF_MEMBERS, {"lb_id": load_balancer_id, "pool_id": pool_id}).scalars()
    return {
        one.id
        for value in found
        for one in changes.from_json(value)
        if isinstance(one, Created | Removed | Wanted) and _of_member(one)
    }


def left_to_roll_back(connection: Connection, failed: Sequence[Row[Any]]) -> list[Change]:
    """The changes of failed jobs without what unfinished jobs have written over since; those inherit what was there."""
    made = [(row.generation, change) for row in failed for change in changes.from_json(row.changes)]
    if not any(_may_be_inherited(change) for _, change in made):
        return [change for _, change in made]
    writers = _Writers(connection, {row.load_balancer_id for row in failed})
    # The last one first: so each finds with its heir what it had written itself.
    left = [writers.inherit(change, generation) for generation, change in reversed(made)]
    writers.save(connection)
    return [change for change in reversed(left) if change is not None]


def left_to_finalize(connection: Connection, succeeded: Sequence[Row[Any]]) -> list[Change]:
    """The changes of jobs that succeeded without the removals of what later jobs have wanted again.

    A later job that is unfinished has then made the row, for the case that it fails.
    """
    made = [(row.generation, change) for row in succeeded for change in changes.from_json(row.changes)]
    # Of a later job that has made the row in place of an earlier one, too.
    last_wanted = {
        _key(change): number for number, (_, change) in enumerate(made) if isinstance(change, Created | Wanted)
    }
    wanted_again = {
        number
        for number, (_, change) in enumerate(made)
        if isinstance(change, Removed) and last_wanted.get(_key(change), -1) > number
    }
    if any(isinstance(change, Removed) and change.table == "members" for _, change in made):
        writers = _Writers(connection, {row.load_balancer_id for row in succeeded})
        wanted_again |= {
            number
            for number, (generation, change) in enumerate(made)
            if isinstance(change, Removed) and number not in wanted_again and writers.let_make(change, generation)
        }
        writers.save(connection)
    return [change for number, (_, change) in enumerate(made) if number not in wanted_again]


def _may_be_inherited(change: Change) -> bool:
    """Of rows, only members are wanted by several jobs."""
    return isinstance(change, Updated) or (isinstance(change, Created | Removed | Wanted) and _of_member(change))


def _of_member(change: Created | Removed | Wanted) -> bool:
    return change.table == "members"


def _key(change: Created | Removed | Wanted | Updated) -> _RowKey:
    return change.table, change.id


@dataclass(slots=True)
class _Writer:
    """An unfinished job and what it has changed."""

    id: str
    generation: int
    changes: list[Change]
    has_inherited: bool = False


_Heir = tuple[_Writer, int]
"""An unfinished job, and the place of a change among its changes."""


class _Writers:
    """The unfinished jobs of some load balancers, and those that renew a certificate, in the order of acceptance."""

    def __init__(self, connection: Connection, load_balancer_ids: Collection[str]) -> None:
        found = connection.execute(_UNFINISHED_CHANGES, {"lb_ids": list(load_balancer_ids)})
        self._all = [_Writer(row.id, row.generation, changes.from_json(row.changes)) for row in found]
        self._of_row: defaultdict[_RowKey, list[_Heir]] = defaultdict(list)
        for writer in self._all:
            for number, change in enumerate(writer.changes):
                if isinstance(change, Created | Removed | Wanted | Updated):
                    self._of_row[_key(change)].append((writer, number))

    def save(self, connection: Connection) -> None:
        """Store what has been inherited."""
        for writer in self._all:
            if writer.has_inherited:
                connection.execute(_SET_CHANGES, {"job_id": writer.id, "made": changes.to_json(writer.changes)})

    def inherit(self, failed: Change, generation: int) -> Change | None:
        """Hand on what a change of a failed job had found; returns what is left of it to take back."""
        match failed:
            case Updated(table="certificates"):
                return self._inherit_columns(failed, self._renewals_since(failed))
            case Updated():
                return self._inherit_columns(failed, ([heir] for heir in self._since(failed, generation)))
            case Created(table="members"):
                return None if self.let_make(failed, generation) else failed
            case Removed(table="members") | Wanted():
                return self._inherit_mark(failed, generation)
        return failed

    def let_make(self, ended: Created | Removed, generation: int) -> bool:
        """Whether a later job wants the row, which then has made it: without it there is none."""
        for writer, number in self._since(ended, generation):
            match writer.changes[number]:
                case Wanted(table, id):
                    self._put(writer, number, Created(table, id))
                    return True
                case Created():
                    return True
        return False

    def _inherit_mark(self, failed: Removed | Wanted, generation: int) -> Change | None:
        for writer, number in self._since(failed, generation):
            change = writer.changes[number]
            if isinstance(change, Removed | Wanted):
                self._put(writer, number, replace(change, was_deleting=failed.was_deleting))
            return None
        return failed

    def _inherit_columns(self, failed: Updated, since: Iterable[Sequence[_Heir]]) -> Updated:
        left = failed.after
        for heirs in since:
            names = set(left)
            for writer, number in heirs:
                change = writer.changes[number]
                if isinstance(change, Updated) and (common := names & change.after.keys()):
                    before = change.before | _some(failed.before, common)
                    self._put(writer, number, replace(change, before=before))
                    left = _some(left, names - common)
        return replace(failed, before=_some(failed.before, left), after=left)

    def _renewals_since(self, failed: Updated) -> Iterator[Sequence[_Heir]]:
        """One renewal after the other, each with all the jobs that carry it.

        They may be of several load balancers and have no common order. But the id of a content is given once, so it
        says which renewal came next.
        """
        content_id = failed.after["content_id"]
        while heirs := [heir for heir in self._of_row[_key(failed)] if _contents(heir)[0] == content_id]:
            content_id = _contents(heirs[0])[1]
            yield heirs

    def _since(self, change: Created | Removed | Wanted | Updated, generation: int) -> list[_Heir]:
        return [(writer, number) for writer, number in self._of_row[_key(change)] if writer.generation > generation]

    def _put(self, writer: _Writer, number: int, change: Change) -> None:
        writer.changes[number] = change
        writer.has_inherited = True


def _contents(heir: _Heir) -> tuple[Column, Column]:
    """The content of a certificate that a renewal has found, and the one that it has put in its place."""
    writer, number = heir
    change = writer.changes[number]
    return (change.before["content_id"], change.after["content_id"]) if isinstance(change, Updated) else (None, None)


def _some(values: Mapping[str, Column], names: Collection[str]) -> dict[str, Column]:
    return {name: value for name, value in values.items() if name in names}
