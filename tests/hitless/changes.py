"""The kinds of change that the API has, each as a step that is made again and again beside the traffic."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from equipoise.client import AsyncClient
from equipoise.client.calls import listener_fields
from stand.certificates import Pair
from tests.hitless.member import Members

Json = Any


@dataclass
class Scene:
    """What the steps work on: listeners by kind of traffic, the load balancer above them, and members.

    The first three members carry the long-lived traffic and are never removed; the others come and go.
    """

    client: AsyncClient
    load_balancer: str
    listeners: Mapping[str, str]
    members: Members
    certificates: list[str]
    pairs: list[Pair]
    number: "count[int]" = field(default_factory=count)
    requests: int = 0

    async def call(self, method: str, path: str, body: Json = None) -> Json:
        """The decoded body of an answer that must be a success."""
        self.requests += 1
        return await self.client.call(method, path, body)

    async def task(self, method: str, path: str, body: Json = None) -> Json:
        """Ask for a task and wait for the success of its job."""
        self.requests += 1
        return (await self.client.task(method, path, body)).document

    def listener(self, number: int) -> str:
        """The listeners by turns."""
        return list(self.listeners.values())[number % len(self.listeners)]

    async def update_listener(self, number: int, **fields: Json) -> None:
        await self.call("PUT", f"/elbaas/listeners/{self.listener(number)}", fields)

    async def update(self, **fields: Json) -> None:
        await self.task("PUT", f"/elbaas/loadbalancers/{self.load_balancer}", fields)


@dataclass
class Change:
    """One kind of change. `step` makes the n-th of it; `undo` takes away what the steps left, `prepare` comes first."""

    name: str
    step: Callable[[Scene, int], Awaitable[None]]
    prepare: Callable[[Scene], Awaitable[None]] | None = None
    undo: Callable[[Scene], Awaitable[None]] | None = None
    about: frozenset[str] = frozenset()
    """Kinds of traffic that the change is about, so that it may end their connections, or their sessions of UDP with
    the datagrams that are on their way (docs/explanation/traffic.md)."""


class _Coming:
    """Things that are created by one step and deleted by a later one."""

    ALIVE: Final = 12

    def __init__(
        self, create: Callable[[Scene, int], Awaitable[Json]], delete: Callable[[Scene, Json], Awaitable[None]]
    ) -> None:
        self._create = create
        self._delete = delete
        self._there: list[Json] = []
        self._being_made = 0

    async def step(self, scene: Scene, number: int) -> None:
        if self._there and (len(self._there) + self._being_made >= self.ALIVE or number % 2):
            await self._delete(scene, self._there.pop(0))
            return
        self._being_made += 1
        try:
            self._there.append(await self._create(scene, number))
        finally:
            self._being_made -= 1

    async def undo(self, scene: Scene) -> None:
        while self._there:
            await self._delete(scene, self._there.pop())


def _change(name: str, coming: _Coming) -> Change:
    return Change(name, coming.step, undo=coming.undo)


async def _create_other(scene: Scene, _: int) -> Json:
    body = {"name": "other", "vpc_id": "v", "type": "External", "bandwidth": 10, "admin_state_up": 1}
    job = await scene.task("POST", "/elbaas/loadbalancers", body)
    id = job["entities"]["elb"]["id"]
    await scene.call("POST", "/elbaas/listeners", listener_body(id, "HTTP", 8080, scene.members.port))
    return id


async def _delete_other(scene: Scene, id: Json) -> None:
    await scene.task("DELETE", f"/elbaas/loadbalancers/{id}")


async def _create_sibling(scene: Scene, number: int) -> Json:
    protocol = ("HTTP", "TCP", "UDP")[number % 3]
    body = listener_body(scene.load_balancer, protocol, 20_000 + next(scene.number), scene.members.port)
    return (await scene.call("POST", "/elbaas/listeners", body))["id"]


async def _delete_sibling(scene: Scene, id: Json) -> None:
    await scene.call("DELETE", f"/elbaas/listeners/{id}")


async def _add_member(scene: Scene, number: int) -> Json:
    listener = scene.listener(number)
    # Each its own: the same address twice on a listener is one member to Envoy.
    extra = scene.members.addresses[3:]
    address = extra[next(scene.number) % len(extra)]
    path = f"/elbaas/listeners/{listener}/members"
    job = await scene.task("POST", path, [{"server_id": f"s-{number}", "address": address}])
    return listener, job["entities"]["members"][0]["id"]


async def _remove_member(scene: Scene, made: Json) -> None:
    listener, id = made
    await scene.task("POST", f"/elbaas/listeners/{listener}/members/action", {"removeMember": [{"id": id}]})


async def _algorithm(scene: Scene, number: int) -> None:
    turn = number // len(scene.listeners)
    await scene.update_listener(number, lb_algorithm=("leastconn", "source", "roundrobin")[turn % 3])


async def _timeouts(scene: Scene, number: int) -> None:
    await scene.call("PUT", f"/elbaas/listeners/{scene.listeners['TCP']}", {"tcp_timeout": 1 + number % 1000})


async def _udp_timeout(scene: Scene, number: int) -> None:
    await scene.call("PUT", f"/elbaas/listeners/{scene.listeners['UDP']}", {"udp_timeout": 1 + number % 1000})


async def _draining(scene: Scene, number: int) -> None:
    await scene.call("PUT", f"/elbaas/listeners/{scene.listeners['TCP']}", {"tcp_draining_timeout": 50 + number % 10})


async def _names(scene: Scene, number: int) -> None:
    if number % 2:
        await scene.update(name=f"name-{number}", description=f"description {number}")
    else:
        await scene.update_listener(number // 2, name=f"name-{number}", description=f"description {number}")


async def _bandwidth(scene: Scene, number: int) -> None:
    await scene.update(bandwidth=100 + number % 100)


async def _renewal(scene: Scene, number: int) -> None:
    await scene.call("PUT", f"/elbaas/certificate/{scene.certificates[0]}", scene.pairs[number % 2].body)


async def _other_certificate(scene: Scene, number: int) -> None:
    path = f"/elbaas/listeners/{scene.listeners['HTTPS']}"
    await scene.call("PUT", path, {"certificate_id": scene.certificates[(number + 1) % 2]})


async def _tls(scene: Scene, number: int) -> None:
    path = f"/elbaas/listeners/{scene.listeners['HTTPS']}"
    await scene.call("PUT", path, {"ssl_ciphers": ("Extended", "Strict", "Default")[number % 3]})


async def _backend_port(scene: Scene, number: int) -> None:
    turn = number // len(scene.listeners)
    ports = scene.members.other_port, scene.members.port
    await scene.update_listener(number, backend_port=ports[turn % 2])


async def _backend_port_back(scene: Scene) -> None:
    for number in range(len(scene.listeners)):
        await scene.update_listener(number, backend_port=scene.members.port)


async def _create_checks(scene: Scene) -> None:
    for listener in scene.listeners.values():
        await scene.call("POST", "/elbaas/healthcheck", _check(scene, listener))


async def _delete_checks(scene: Scene) -> None:
    for listener in scene.listeners.values():
        found = await scene.call("GET", f"/elbaas/listeners/{listener}")
        if found["healthcheck_id"]:
            await scene.call("DELETE", f"/elbaas/healthcheck/{found['healthcheck_id']}")


def _check(scene: Scene, listener: str) -> Json:
    is_udp = listener == scene.listeners["UDP"]
    protocol = {"healthcheck_protocol": "UDP"} if is_udp else {"healthcheck_protocol": "HTTP"}
    path = {} if is_udp else {"healthcheck_uri": "/health"}
    # Members that fail say so at once. Those that are well share this process, which may stand still for a moment.
    times = {"healthcheck_interval": 1, "healthcheck_timeout": 3, "healthy_threshold": 1, "unhealthy_threshold": 1}
    return {"listener_id": listener} | protocol | path | times


class _Checks:
    """Every listener gets a check, which is changed, and deleted: by turns."""

    def __init__(self) -> None:
        self._checks: dict[str, str] = {}
        self._busy: set[str] = set()

    async def step(self, scene: Scene, number: int) -> None:
        listener = next((id for id in self._by_turns(scene, number) if id not in self._busy), None)
        if listener is None:
            return
        self._busy.add(listener)
        check = self._checks.get(listener)
        if check is None:
            self._checks[listener] = (await scene.call("POST", "/elbaas/healthcheck", _check(scene, listener)))["id"]
        elif next(scene.number) % 4 == 0:
            del self._checks[listener]
            await scene.call("DELETE", f"/elbaas/healthcheck/{check}")
        else:
            await scene.call("PUT", f"/elbaas/healthcheck/{check}", {"unhealthy_threshold": 1 + number % 10})
        self._busy.discard(listener)

    def _by_turns(self, scene: Scene, number: int) -> list[str]:
        return [scene.listener(number + offset) for offset in range(len(scene.listeners))]

    async def undo(self, scene: Scene) -> None:
        while self._checks:
            await scene.call("DELETE", f"/elbaas/healthcheck/{self._checks.popitem()[1]}")


class _Health:
    """The last of the members that come and go fails and passes its checks by turns, and so does one that carries
    long-lived traffic; those that fail are joined and left by others."""

    TURN: Final = 60

    def __init__(self) -> None:
        self._coming = _Coming(_add_member, _remove_member)

    async def step(self, scene: Scene, number: int) -> None:
        healthy = bool(number // self.TURN % 2)
        scene.members.all[2].healthy = scene.members.all[-1].healthy = healthy
        await self._coming.step(scene, number)

    async def undo(self, scene: Scene) -> None:
        scene.members.all[2].healthy = scene.members.all[-1].healthy = True
        await self._coming.undo(scene)
        await _delete_checks(scene)


def all_changes() -> list[Change]:
    """Every kind, new for each run."""
    checks, health = _Checks(), _Health()
    return [
        _change("other load balancers", _Coming(_create_other, _delete_other)),
        _change("other listeners of the load balancer", _Coming(_create_sibling, _delete_sibling)),
        _change("other members of the listeners", _Coming(_add_member, _remove_member)),
        Change("health of members", health.step, prepare=_create_checks, undo=health.undo),
        Change("health checks: create, update, delete", checks.step, undo=checks.undo),
        Change("algorithm", _algorithm, about=frozenset({"UDP"})),
        Change("backend_port", _backend_port, undo=_backend_port_back, about=frozenset({"UDP"})),
        Change("tcp_timeout", _timeouts),
        Change("tcp_draining_timeout", _draining),
        Change("udp_timeout", _udp_timeout, about=frozenset({"UDP"})),
        Change("certificate renewed", _renewal),
        Change("another certificate", _other_certificate),
        Change("ssl_ciphers", _tls, about=frozenset({"HTTPS"})),
        Change("names and descriptions", _names),
        Change("bandwidth", _bandwidth),
    ]


def listener_body(load_balancer: str, protocol: str, port: int, backend_port: int, **more: Json) -> Json:
    """A listener as it is asked for."""
    return listener_fields(
        load_balancer, name="hitless", protocol=protocol, port=port, backend_port=backend_port, **more
    )
