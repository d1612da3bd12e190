"""How many jobs have not ended: counted along with the commits, so that nobody has to ask the database."""

from collections.abc import Iterable
from typing import Self

from equipoise.core.jobs import JobStatus
from equipoise.store.database import Database
from equipoise.store.events import Event, JobMoved
from equipoise.store.jobs import queries


class Backlog:
    """The unfinished jobs of this database, as far as this process has seen."""

    def __init__(self, unfinished: int) -> None:
        self.unfinished = unfinished

    @classmethod
    async def open(cls, database: Database) -> Self:
        """Count what is there, then follow the commits. Nobody may write in between: open it before serving."""
        backlog = cls(await database.read(queries.count_unfinished))
        database.on_commit(backlog._count)
        return backlog

    def _count(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, JobMoved):
                match event.status:
                    case JobStatus.INIT:
                        self.unfinished += 1
                    case JobStatus.SUCCESS | JobStatus.FAIL:
                        self.unfinished -= 1
