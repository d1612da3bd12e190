"""What many clients get from one service and from two, and what that costs (`benchmarks.several`)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address
from itertools import count
from statistics import median
from typing import Final, NamedTuple, Self

from benchmarks.client import LOAD_BALANCER, times_a_second
from benchmarks.measure import Figures, percentile_99
from benchmarks.sides import Side
from equipoise.client import AsyncClient, JobFailed

CLIENTS: Final = 16

_LISTENERS: Final = 16
_COUNTED: Final = 60
_IDLE_SECONDS: Final = 10.0
_QUIET_SECONDS: Final = 0.05
_FIRST_MEMBER: Final = int(IPv4Address("10.0.0.1"))
_LOAD_BALANCER: Final = {**LOAD_BALANCER, "bandwidth": 1}

Act = Callable[[AsyncClient], Awaitable[str | None]]
"""An operation; returns the id of the job if it has one."""


class Counted(NamedTuple):
    """Statements of one operation until it is in force: without and with what begins and ends transactions."""

    statements: float
    with_transactions: float


class Crowd:
    """Clients of a side.

    Args:
        listeners: the ids of those that get members.

    Attributes:
        operations: what the clients may ask for, by name.
    """

    def __init__(self, side: Side, listeners: Sequence[str], load_balancer_id: str, job_id: str) -> None:
        self._side = side
        self._listeners = listeners
        self._numbers = count()

        async def read_job(client: AsyncClient) -> None:
            await client.job(job_id)

        async def read_load_balancer(client: AsyncClient) -> None:
            await client.call("GET", f"/elbaas/loadbalancers/{load_balancer_id}")

        self.operations: Mapping[str, Act] = {
            "GET of a job": read_job,
            "GET of a load balancer": read_load_balancer,
            "create a load balancer": _create,
            "add a member": self._add_member,
        }

    @classmethod
    async def of(cls, side: Side) -> Self:
        """Make what the operations are about."""
        listeners = []
        async with await side.stands[0].connected() as client:
            for _ in range(_LISTENERS):
                job = await client.create_load_balancer(_LOAD_BALANCER)
                id = job.entities["elb"]["id"]
                listener = await client.create_listener(id, protocol="HTTP", port=8080, backend_port=9000)
                listeners.append(listener["id"])
        return cls(side, listeners, id, job.id)

    async def _add_member(self, client: AsyncClient) -> str:
        number = next(self._numbers)
        body = [{"server_id": f"server-{number}", "address": str(IPv4Address(_FIRST_MEMBER + number))}]
        path = f"/elbaas/listeners/{self._listeners[number % len(self._listeners)]}/members"
        return str((await client.call("POST", path, body))["job_id"])

    async def load(self, name: str, seconds: float) -> Figures:
        """Let the clients do this for so long, spread over the services, and wait until all of it is in force."""
        act, took, is_task = self.operations[name], list[float](), False

        async def timed(client: AsyncClient) -> None:
            nonlocal is_task
            began = time.perf_counter()
            is_task = await act(client) is not None
            took.append((time.perf_counter() - began) * 1000)

        before, began = self._side.spent(), time.perf_counter()
        rate = await times_a_second(self._side.stands, timed, CLIENTS, seconds)
        figures = {"per second": rate, "median, ms": median(took), "99 %, ms": percentile_99(took)}
        if is_task:
            await self._at_rest()
            figures["in force per second"] = len(took) / (time.perf_counter() - began)
        after = self._side.spent()
        figures["processor time of services and Envoy, ms"] = (after.services - before.services) * 1000 / len(took)
        figures["processor time of PostgreSQL, ms"] = (after.postgres - before.postgres) * 1000 / len(took)
        await self._remove_members()
        return figures

    async def _at_rest(self) -> None:
        """Return once every job has succeeded."""
        async with await self._side.stands[0].connected() as client:
            for status in ("INIT", "RUNNING", "FAIL"):
                query = {"status": status, "limit": 1}
                while newest := (await client.call("GET", "/jobs", query=query))["jobs"]:
                    if (job := await client.ended(newest[0]["job_id"])).status == "FAIL":
                        raise JobFailed(job)

    async def _remove_members(self) -> None:
        # A pool that grows from round to round would cost more and more.
        async with await self._side.stands[0].connected() as client:
            for listener_id in self._listeners:
                found = await client.call("GET", f"/elbaas/listeners/{listener_id}/members")
                if ids := [member["id"] for member in found]:
                    await client.remove_members(listener_id, ids)

    async def statements(self, name: str, idle: Counted) -> Counted:
        """Of one operation on its own, in turns through each of the services.

        Args:
            idle: what the services ask for in a second without any operation.
        """
        async with await self._side.stands[0].connected() as one, await self._side.stands[-1].connected() as other:
            before, began = self._side.statements(), time.perf_counter()
            for _ in range(_COUNTED // 2):
                for client in (one, other):
                    job_id = await self.operations[name](client)
                    if job_id is not None:
                        await client.ended(job_id)
                    # Until the services have looked at what the other one wrote.
                    await asyncio.sleep(_QUIET_SECONDS)
            seconds, after = time.perf_counter() - began, self._side.statements()
        await self._at_rest()
        await self._remove_members()
        each = zip(before, after, idle, strict=True)
        return Counted(*((late - soon - rate * seconds) / _COUNTED for soon, late, rate in each))

    async def idle_statements(self) -> Counted:
        """In a second without any operation."""
        before = self._side.statements()
        await asyncio.sleep(_IDLE_SECONDS)
        each = zip(before, self._side.statements(), strict=True)
        return Counted(*((late - soon) / _IDLE_SECONDS for soon, late in each))


async def _create(client: AsyncClient) -> str:
    return str((await client.call("POST", "/elbaas/loadbalancers", _LOAD_BALANCER))["job_id"])
