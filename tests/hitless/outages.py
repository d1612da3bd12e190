"""Outages beside the traffic: the service gone for a while, with changes under way; Envoy gone with many listeners."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from stand import Service
from tests.hitless.changes import Scene, listener_body
from tests.hitless.clients import Connection, Load, Place
from tests.hitless.fates import Failed, Failure
from tests.hitless.member import Members
from tests.hitless.run import scene
from tests.traffic import halted

_PATIENCE: Final = 60.0
_LOOK_SECONDS: Final = 0.02
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Outage:
    """What came of a service that was killed: requests and failures by kind of traffic, how many changes it had
    accepted that were not in force, and the seconds from `ready` until they were."""

    requests: dict[str, int]
    failures: dict[str, tuple[Failure, ...]]
    queued: int
    in_force_after: float


async def without_service(service: Service, seconds: float, clients: int = 2) -> Outage:
    """Kill the service in the middle of changes and start it again after so many seconds, always beside traffic."""
    async with Members(6) as members, scene(service, members) as (found, places):
        load = Load(places, clients)
        try:
            await load.more(10)
            jobs = await _killed_with_changes_under_way(service, found)
            await load.more(10)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(service.start)
            ready = monotonic()
            for job in jobs:
                ended = await found.client.ended(job)
                assert ended.status == "SUCCESS", ended
            in_force_after = monotonic() - ready
            await load.more(10)
            await load.settled()
        finally:
            await load.stop()
        requests = {kind: each.begun for kind, each in load.fates.items()}
        failures = {kind: tuple(each.failures) for kind, each in load.fates.items()}
        return Outage(requests, failures, len(jobs), in_force_after)


async def _killed_with_changes_under_way(service: Service, found: Scene) -> list[str]:
    """The jobs that were accepted: Envoy is held for that moment, so that none of them can be in force."""
    with halted(service.envoy_pid):
        jobs = []
        for listener in found.listeners.values():
            for address in found.members.addresses[3:]:
                body = [{"server_id": f"s-{address}", "address": address}]
                jobs.append((await found.call("POST", f"/elbaas/listeners/{listener}/members", body))["job_id"])
        await asyncio.to_thread(service.kill)
    return jobs


async def many(found: Scene, number: int) -> list[Place]:
    """So many load balancers with an HTTP listener and a member each; where they are."""
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one() -> Place:
        async with at_once:
            body = {"name": "many", "vpc_id": "v", "type": "External", "bandwidth": 10, "admin_state_up": 1}
            made = (await found.task("POST", "/elbaas/loadbalancers", body))["entities"]["elb"]
            body = listener_body(made["id"], "HTTP", 8080, found.members.port)
            listener = (await found.call("POST", "/elbaas/listeners", body))["id"]
            member = [{"server_id": "s", "address": found.members.addresses[0]}]
            await found.task("POST", f"/elbaas/listeners/{listener}/members", member)
            return made["vip_address"], 8080

    return await asyncio.gather(*(one() for _ in range(number)))


async def recovery(places: Sequence[Place], *killed: int) -> float:
    """Kill these processes; returns the seconds until every place has answered a request over HTTP with 200."""
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    began = monotonic()
    await asyncio.gather(*(_answers(place) for place in places))
    return monotonic() - began


async def _answers(place: Place) -> None:
    deadline = monotonic() + _PATIENCE
    while True:
        try:
            connection = await Connection.open(place)
            try:
                await connection.ask_http()
                return
            finally:
                connection.close()
        except (Failed, OSError, EOFError):
            if monotonic() > deadline:
                raise
            await asyncio.sleep(_LOOK_SECONDS)
