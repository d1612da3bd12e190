"""What a node is told that has just been taken over, whatever becomes of its session or of other nodes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection

from equipoise.controller.compile import ProxySettings
from equipoise.controller.fleet import Fleet
from equipoise.controller.patience import PatientDatabase
from equipoise.controller.reconcile import BATCH, Reconciler
from equipoise.controller.slow_start import SlowStart
from equipoise.proxy.link import AllAssigned, Assign, ToNode
from equipoise.store import desired
from equipoise.store.events import HealthMoved
from tests.unit.turns import settle


class HeldUp(PatientDatabase):
    """A database of which each batch is gone when it is to be compiled. So many batches can be read as `may_load`."""

    def __init__(self) -> None:
        self.batches = 1
        self.loaded: list[list[str]] = []
        self.may_list = asyncio.Event()
        self.may_list.set()
        self.may_load = asyncio.Semaphore(0)

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        if work is desired.all_ids:
            await self.may_list.wait()
            return [str(number) for number in range(BATCH * self.batches)]
        assert isinstance(work, partial)
        self.loaded.append(work.keywords["ids"])
        await self.may_load.acquire()
        return []

    def load(self, batches: int) -> None:
        for _ in range(batches):
            self.may_load.release()

    def now(self) -> int:
        return 0


class Told:
    """A reconciler at work, with what each node was told."""

    def __init__(self) -> None:
        self.database = HeldUp()
        self.fleet = Fleet()
        self.reconciler = Reconciler(self.database, str, SlowStart(0), ProxySettings(), self.fleet)
        self.messages: dict[str, list[ToNode]] = {"one": [], "two": []}
        self.nodes = {id: self.fleet.connect(id, messages.append) for id, messages in self.messages.items()}

    async def attach(self, node_id: str, session: int) -> None:
        """As the observer does after the session before has been lost. What was told in that one is forgotten."""
        node = self.nodes[node_id]
        node.session, node.behind = session, None
        self.messages[node_id].clear()
        await self.reconciler.fill(node)


@asynccontextmanager
async def at_work() -> AsyncIterator[Told]:
    told = Told()
    running = asyncio.create_task(told.reconciler.run())
    try:
        yield told
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


ALL = [Assign([]), AllAssigned()]


async def test_a_node_is_told_everything_and_that_it_is_all() -> None:
    async with at_work() as told:
        await told.attach("one", 1)
        told.database.load(1)
        await settle()
        assert told.messages["one"] == ALL


async def test_what_was_told_in_a_lost_session_does_not_count_in_the_next_one() -> None:
    """Else the node withdraws all that it serves: nothing of it was assigned in its new session."""
    async with at_work() as told:
        await told.attach("one", 1)
        await settle()
        # The last batch for its old session is under way, and the list for its new one, too.
        told.database.may_list.clear()
        attaching = asyncio.create_task(told.attach("one", 2))
        await settle()
        told.database.load(1)
        await settle()
        assert AllAssigned() not in told.messages["one"]
        told.database.may_list.set()
        told.database.load(1)
        await attaching
        await settle()
        assert told.messages["one"][-2:] == ALL


async def test_a_session_that_begins_while_another_node_is_told_is_told_everything() -> None:
    async with at_work() as told:
        told.database.batches = 2
        await told.attach("one", 1)
        told.database.batches = 1
        await told.attach("two", 1)
        told.database.load(2)
        await settle()
        # The second batch for the one is under way. The other has all of its own, and has not been told that yet.
        await told.attach("two", 2)
        told.database.load(2)
        await settle()
        assert told.messages["two"] == ALL


async def test_a_change_is_told_between_the_batches_of_all_that_a_node_is_told() -> None:
    """Else it would wait until thousands are told."""
    async with at_work() as told:
        told.database.batches = 3
        await told.attach("one", 1)
        await settle()
        # The first batch is under way.
        told.reconciler.follow([HealthMoved("changed")])
        told.database.load(4)
        await settle()
        assert [len(ids) for ids in told.database.loaded] == [BATCH, 1, BATCH, BATCH]
        assert told.database.loaded[1] == ["changed"]
