"""What other services on the same database changed, told to this process as its own commits are.

Each writing transaction has a revision, and every row that others have to know of bears that of its last change. So a
look finds all that moved since the look before, whatever notification was lost.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from sqlalchemy import Connection, bindparam, exists, literal_column, select, union_all

from equipoise.store.database import Database
from equipoise.store.events import Event, LoadBalancerGone, LoadBalancerMoved
from equipoise.store.tables import has_ended, jobs, load_balancers, revisions

NOTHING_SEEN: Final = -1
"""Before every revision."""

_NEWEST = select(revisions.c.value)
_MOVED = select(literal_column("'moved'"), load_balancers.c.id, load_balancers.c.revision).where(
    load_balancers.c.revision > bindparam("after")
)
# A load balancer goes with the end of a job, which is kept much longer than any service is behind: it is the tombstone.
_GONE = (
    select(literal_column("'gone'"), jobs.c.load_balancer_id, jobs.c.revision)
    .where(
        has_ended,
        jobs.c.revision > bindparam("after"),
        ~exists().where(load_balancers.c.id == jobs.c.load_balancer_id),
    )
    .distinct()
)
# One statement, so that all three are of one moment without a transaction around them.
_LOOK = union_all(
    select(literal_column("'newest'"), literal_column("''"), revisions.c.value.label("revision")), _MOVED, _GONE
).order_by("revision")


@dataclass(frozen=True, slots=True)
class ForeignChanges:
    """What a look found: load balancers with the revisions at which they moved or went, and the newest revision."""

    newest: int
    moved: Sequence[tuple[str, int]]
    gone: Sequence[tuple[str, int]]


class Feed:
    """Follows the other services from the revision at which it was opened."""

    def __init__(self, database: Database, fell_back: Callable[[], None], revision: int) -> None:
        self._database = database
        self._fell_back = fell_back
        self._seen = revision

    @classmethod
    async def open(cls, database: Database, fell_back: Callable[[], None]) -> Self:
        """Begin with what happens after this call: read what is desired after it. Raises StoreUnavailable.

        Args:
            fell_back: called when the database has lost changes that were seen before.
        """
        feed = cls(database, fell_back, await database.read(newest_revision))
        database.on_foreign_write(feed.look)
        return feed

    async def look(self) -> None:
        """Tell what others changed since the last look. Raises StoreUnavailable."""
        found = await self._database.read_one(partial(look, after=self._seen))
        has_fallen_back = found.newest < self._seen
        self._seen = found.newest
        own = self._database.take_own_revisions(found.newest)
        events: list[Event] = [
            event(id)
            for event, changed in ((LoadBalancerMoved.elsewhere, found.moved), (LoadBalancerGone, found.gone))
            for id, revision in changed
            if revision not in own
        ]
        if events:
            self._database.tell(events)
        if has_fallen_back:
            self._fell_back()


def newest_revision(connection: Connection) -> int:
    """The revision of the newest change that this read sees."""
    newest: int = connection.execute(_NEWEST).scalar_one()
    return newest


def look(connection: Connection, after: int) -> ForeignChanges:
    """What moved or went after this revision."""
    found = _found(connection, after)
    # A database that fell back, to a replica or a backup, has lost revisions: what it has is told from the beginning.
    return found if found.newest >= after else _found(connection, NOTHING_SEEN)


def _found(connection: Connection, after: int) -> ForeignChanges:
    by_kind: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for kind, id, revision in connection.execute(_LOOK, {"after": after}):
        by_kind[kind].append((id, revision))
    [(_, newest)] = by_kind["newest"]
    return ForeignChanges(newest, by_kind["moved"], by_kind["gone"])
