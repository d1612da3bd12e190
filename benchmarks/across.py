"""How soon one service learns of a change through another one on the same database (`benchmarks.several`)."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from http.client import HTTPConnection
from itertools import count
from typing import Any, Final, NamedTuple, Self

from benchmarks.client import LOAD_BALANCER, BenchmarkError, Stand
from benchmarks.measure import Summary
from benchmarks.sides import Side
from equipoise.client import AsyncClient
from stand import Backends
from stand.namespaces import Namespace

PORT: Final = 10_000
"""Of the listener that gets members; the next ones are those of listeners."""

_WARM_UP: Final = 20
_LOOK_SECONDS: Final = 0.0005
_PATIENCE_SECONDS: Final = 30.0
_HELD_SECONDS: Final = 0.1
_ANYTHING: Final = range(100, 600)
_FROM_A_MEMBER: Final = (200,)


class Change(NamedTuple):
    """Of one change, what `Changes` has of many."""

    served: float
    answered: float
    running: float


Act = Callable[[AsyncClient, Namespace], Awaitable[Change]]
"""Makes a change, looks for it in a namespace, and undoes it."""


class Changes(NamedTuple):
    """Milliseconds from a request until a node does what was asked for, and until the caller knows that all nodes do;
    and from RUNNING to SUCCESS by the record of the job."""

    served: Summary
    answered: Summary
    running: Summary


class News(NamedTuple):
    """Milliseconds from the end of a job, as its record tells it, until clients that wait have read of it, and between
    the two. The record has the time at which the transaction began, so the commit is in it, too."""

    at_the_same: Summary
    at_the_other: Summary
    between: Summary


class Place:
    """A load balancer that is changed, and what a change brings about, as a client at a node sees it.

    Args:
        listener_id: of a listener without members; a member that is added to it answers.
    """

    def __init__(self, load_balancer: Mapping[str, Any], listener_id: str, member: str) -> None:
        self.address = load_balancer["vip_address"]
        self._id = load_balancer["id"]
        self._listener_id = listener_id
        self._member = member
        self._ports = count(PORT + 1)

    @classmethod
    async def on(cls, side: Side, backends: Backends) -> Self:
        """Make it."""
        async with await side.stands[0].connected() as client:
            load_balancer = (await client.create_load_balancer(LOAD_BALANCER)).entities["elb"]
            listener = await client.create_listener(
                load_balancer["id"], protocol="HTTP", port=PORT, backend_port=backends.port
            )
        return cls(load_balancer, listener["id"], backends.addresses[0])

    async def create_listener(self, client: AsyncClient, network: Namespace) -> Change:
        port = next(self._ports)
        looking = asyncio.create_task(asyncio.to_thread(_served, network, self.address, port, _ANYTHING))
        began = time.perf_counter()
        listener = await client.create_listener(self._id, protocol="HTTP", port=port, backend_port=9000)
        answered = time.perf_counter()
        if listener["status"] != "ACTIVE":
            raise BenchmarkError(f"Listener {listener['id']} is {listener['status']}, not in force.")
        served = await looking
        [job] = (await client.call("GET", "/jobs", query={"resource_id": listener["id"]}))["jobs"]
        running = await _running(client, job["job_id"])
        await client.call("DELETE", f"/elbaas/listeners/{listener['id']}")
        return Change((served - began) * 1000, (answered - began) * 1000, running)

    async def add_member(self, client: AsyncClient, network: Namespace) -> Change:
        looking = asyncio.create_task(asyncio.to_thread(_served, network, self.address, PORT, _FROM_A_MEMBER))
        began = time.perf_counter()
        job = await client.add_members(self._listener_id, [self._member])
        answered = time.perf_counter()
        served = await looking
        running = await _running(client, job.id)
        await client.remove_members(self._listener_id, [job.entities["members"][0]["id"]])
        return Change((served - began) * 1000, (answered - began) * 1000, running)


class Way(NamedTuple):
    """How a change is made and looked for: through each service of a side in turn, at its own node or elsewhere."""

    side: Side
    act: Act
    elsewhere: bool = False

    async def go(self, number: int) -> Change:
        stands, networks = self.side.stands, self.side.networks
        at = number % len(stands)
        async with await stands[at].connected() as client:
            return await self.act(client, networks[at - 1 if self.elsewhere else at])


async def changes(ways: Sequence[Way], rounds: int) -> list[Changes]:
    """Go each of the ways in turn, so many times; returns what was measured of each."""
    found: list[list[Change]] = [[] for _ in ways]
    for number in range(_WARM_UP + rounds):
        for way, into in zip(ways, found, strict=True):
            into.append(await way.go(number))
    return [Changes(*(Summary.of(each) for each in zip(*of_way[_WARM_UP:], strict=True))) for of_way in found]


async def _running(client: AsyncClient, job_id: str) -> float:
    """Milliseconds from RUNNING to SUCCESS."""
    history = (await client.call("GET", f"/jobs/{job_id}", query={"history": "true"}))["history"]
    times = {state["status"]: _milliseconds(state["time"]) for state in history}
    return times["SUCCESS"] - times["RUNNING"]


def _served(network: Namespace, address: str, port: int, statuses: Container[int]) -> float:
    """When a node answered first with one of these, by `time.perf_counter`."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with network.inside(), closing(HTTPConnection(address, port, timeout=_PATIENCE_SECONDS)) as connection:
        while time.monotonic() < deadline:
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                seen = time.perf_counter()
                answer.read()
                if answer.status in statuses:
                    return seen
            except (ConnectionRefusedError, ConnectionResetError):
                connection.close()
            time.sleep(_LOOK_SECONDS)
    raise BenchmarkError(f"{address}:{port} was not served within {_PATIENCE_SECONDS:g} s.")


async def news(side: Side, rounds: int) -> News:
    """Wait for jobs at both services, which end them in turn: the node of the one that is to end it is held up."""
    found = []
    for number in range(_WARM_UP + rounds):
        same, other = side.stands if number % 2 else side.stands[::-1]
        found.append(await _news_of_one(same, other))
    of_same, of_other = zip(*found[_WARM_UP:], strict=True)
    between = [late - soon for soon, late in found[_WARM_UP:]]
    return News(Summary.of(of_same), Summary.of(of_other), Summary.of(between))


async def _news_of_one(same: Stand, other: Stand) -> tuple[float, float]:
    envoy = same.service.envoy_pid
    async with await same.connected() as here, await other.connected() as there:
        os.kill(envoy, signal.SIGSTOP)
        try:
            job_id = (await here.call("POST", "/elbaas/loadbalancers", LOAD_BALANCER))["job_id"]
            ends = [asyncio.create_task(_heard(client, job_id)) for client in (here, there)]
            # Until both wait, and the other node has confirmed.
            await asyncio.sleep(_HELD_SECONDS)
        finally:
            os.kill(envoy, signal.SIGCONT)
        at_the_same, at_the_other = [await end for end in ends]
    return at_the_same, at_the_other


async def _heard(client: AsyncClient, job_id: str) -> float:
    """Milliseconds from the end of a job until this client knows."""
    job = await client.ended(job_id)
    heard = time.time() * 1000
    return heard - _milliseconds(job.document["end_time"])


def _milliseconds(written: str) -> float:
    """Since 1970."""
    return datetime.fromisoformat(written).timestamp() * 1000
