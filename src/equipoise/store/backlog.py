"""How many jobs have not ended: counted along with the commits, so that no request has to ask the database. What other
services on the same database write is counted anew when they notify.
"""

from collections.abc import Iterable
from functools import partial
from typing import Self

from equipoise.core.jobs import JobStatus
from equipoise.store.comparisons import AT_LEISURE
from equipoise.store.database import Database
from equipoise.store.events import Event, JobMoved
from equipoise.store.jobs import queries


class Backlog:
    """The unfinished jobs of this database, as far as this process has seen.

    Args:
        unfinished: how many there are now.
    """

    def __init__(self, unfinished: int) -> None:
        self.unfinished = unfinished
        self._own_moves = 0

    @classmethod
    async def open(cls, database: Database) -> Self:
        """Count what is there, then follow the commits. Nobody may write in between: open it before serving."""
        backlog = cls(await database.read(queries.count_unfinished))
        database.on_commit(backlog._count)
        database.on_foreign_write(partial(backlog._count_anew, database), AT_LEISURE)
        return backlog

    async def _count_anew(self, database: Database) -> None:
        before = self._own_moves
        unfinished = await database.read_one(queries.count_unfinished)
        # Of a move in between nobody knows whether it was counted; the next comparison tells.
        if self._own_moves == before:
            self.unfinished = unfinished

    def _count(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, JobMoved):
                self._own_moves += 1
                match event.status:
                    case JobStatus.INIT:
                        self.unfinished += 1
                    case JobStatus.SUCCESS | JobStatus.FAIL:
                        self.unfinished -= 1
