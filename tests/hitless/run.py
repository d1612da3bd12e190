"""Runs traffic of all kinds beside changes of all kinds, and counts what became of every request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import httpx

from equipoise.client import AsyncClient, Login
from equipoise.client.over_httpx import AsyncHttpxTransport
from stand import Api, Service
from stand.certificates import ec_pair
from tests.hitless.changes import Change, Scene, listener_body
from tests.hitless.clients import Load, Place
from tests.hitless.fates import Failure
from tests.hitless.member import Members

RATE: Final = 50
"""Changes in a second."""

CUT_AFTER: Final = 6.0
"""Seconds after which a change has cut what it is going to cut: Envoy's time for draining (node/supervisor.py), and
one more."""

_AT_ONCE: Final = 48
_PROTOCOLS: Final = {
    "HTTP kept": "HTTP",
    "HTTP new": "HTTP",
    "TCP": "TCP",
    "WebSocket": "HTTP",
    "UDP": "UDP",
    "HTTPS": "HTTPS",
}
_FIRST_PORT: Final = 8001


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of traffic beside one kind of change."""

    requests: int
    failures: tuple[Failure, ...]
    farewells: int


@dataclass
class Row:
    """One kind of change: how many were made, how fast, and what became of the traffic."""

    change: Change
    changes: int
    per_second: float
    cells: dict[str, Cell] = field(default_factory=dict)


@asynccontextmanager
async def scene(service: Service, members: Members) -> AsyncIterator[tuple[Scene, dict[str, Place]]]:
    """A load balancer with a listener for each kind of traffic, and where they are."""
    with Api(service) as api:
        load_balancer = await asyncio.to_thread(api.create_load_balancer, bandwidth=200)
    limits = httpx.Limits(max_connections=_AT_ONCE)
    http = httpx.AsyncClient(base_url=service.url, timeout=90, verify=False, limits=limits)
    async with AsyncClient(AsyncHttpxTransport(http), Login.of(service.credentials())) as client:
        await client.log_in()
        pairs = [ec_pair("hitless.test"), ec_pair("hitless.test")]
        found = Scene(client, load_balancer["id"], {}, members, [], pairs)
        for pair in pairs:
            found.certificates.append((await found.call("POST", "/elbaas/certificate", pair.body))["id"])
        more: dict[str, dict[str, Any]] = {
            "TCP": {"tcp_draining": True, "tcp_draining_timeout": 60},
            "HTTPS": {"certificate_id": found.certificates[0]},
        }
        listeners, places = {}, {}
        for port, (kind, protocol) in enumerate(_PROTOCOLS.items(), _FIRST_PORT):
            body = listener_body(found.load_balancer, protocol, port, members.port, **more.get(protocol, {}))
            listeners[kind] = (await found.call("POST", "/elbaas/listeners", body))["id"]
            places[kind] = (load_balancer["vip_address"], port)
            steady = [{"server_id": f"s-{address}", "address": address} for address in members.addresses[:3]]
            await found.task("POST", f"/elbaas/listeners/{listeners[kind]}/members", steady)
        found.listeners = listeners
        try:
            yield found, places
        finally:
            for listener in listeners.values():
                await found.call("DELETE", f"/elbaas/listeners/{listener}")
            await found.task("DELETE", f"/elbaas/loadbalancers/{found.load_balancer}")
            for certificate in found.certificates:
                await found.call("DELETE", f"/elbaas/certificate/{certificate}")


async def changed(found: Scene, load: Load, change: Change, number: int, settle: float) -> Row:
    """Make so many changes of one kind beside the traffic, `RATE` in a second, and return what it cost.

    `settle` is in seconds: how long to look on afterwards.
    """
    before = {kind: (each.begun, len(each.failures), each.farewells) for kind, each in load.fates.items()}
    if change.prepare is not None:
        await change.prepare(found)
    began = monotonic()
    await _paced(found, change, number)
    seconds = monotonic() - began
    if change.undo is not None:
        await change.undo(found)
    await asyncio.sleep(settle)
    await load.more(5)
    await load.settled()
    row = Row(change, number, number / seconds)
    for kind, each in load.fates.items():
        begun, failed, farewells = before[kind]
        row.cells[kind] = Cell(each.begun - begun, tuple(each.failures[failed:]), each.farewells - farewells)
    return row


async def _paced(found: Scene, change: Change, number: int) -> None:
    began = monotonic()
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(turn: int) -> None:
        async with at_once:
            await change.step(found, turn)

    async with asyncio.TaskGroup() as steps:
        for turn in range(number):
            await asyncio.sleep(max(0.0, began + turn / RATE - monotonic()))
            # Taken and given back here: a service that is slower than the pace is not buried under tasks.
            async with at_once:
                steps.create_task(one(turn))


async def run(
    service: Service, changes: Sequence[Change], number: int, clients: int = 2, settle: float = 0.0
) -> list[Row]:
    """Make `number` changes of each kind, one kind after the other, beside steady traffic of all kinds."""
    async with Members(6) as members, scene(service, members) as (found, places):
        load = Load(places, clients)
        try:
            await load.more(10)
            rows = [await changed(found, load, change, number, settle) for change in changes]
            if not settle:
                rows.append(await changed(found, load, Change("afterwards", _nothing), 1, CUT_AFTER))
        finally:
            await load.stop()
        assert all(each.is_complete() for each in load.fates.values()), "a request has no fate"
        return rows


async def _nothing(_found: Scene, _number: int) -> None:
    """No change: what the last kinds left behind is looked for."""
