"""How each condition of the error catalogue is provoked: a case for each entry, by code, operation and place.

A case does what a user or the world would do, to a real service, and hands over what came back: an answer, or the job
that tells of the error. `test_catalogue_walk.py` looks whether it is what the entry says.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from stand import Api, Service, eventually, running_service, unused_network
from stand.certificates import rsa_pair
from tests.contract.odd_identity import OddIdentity, odd_identity
from tests.people import member_of_new_project

Job = dict[str, Any]
Key = tuple[str, str, int]
"""Code, operation, and which of those with the same code and operation, counted from 0."""

NOBODY = "0" * 32
LONG = "x" * 65
LB = "/elbaas/loadbalancers"
LISTENERS = "/elbaas/listeners"
CHECKS = "/elbaas/healthcheck"
CERTIFICATES = "/elbaas/certificate"

EXTERNAL = {"name": "lb", "vpc_id": "vpc", "type": "External", "bandwidth": 5, "admin_state_up": 1}
INTERNAL = {
    "name": "lb",
    "vpc_id": "vpc",
    "type": "Internal",
    "admin_state_up": 1,
    "vip_subnet_id": "subnet",
    "security_group_id": "group",
}


class World:
    """The services that the cases need, each started when the first case asks for it, and things in them."""

    def __init__(self, shared: Service, folder: Path) -> None:
        self.shared = shared
        self._folder = folder
        self._open = ExitStack()
        self._services: dict[str, Service] = {}

    def close(self) -> None:
        self._open.close()

    @cached_property
    def api(self) -> Api:
        """A member of a project of its own in the shared service."""
        return self._open.enter_context(member_of_new_project(self.shared))

    @cached_property
    def external(self) -> dict[str, Any]:
        """An External load balancer with a listener that has a member."""
        return self.api.create_load_balancer()

    @cached_property
    def listener(self) -> dict[str, Any]:
        made = self.api.create_listener(self.external["id"])
        self.api.add_members(made["id"], "127.9.9.9")
        return made

    @cached_property
    def internal(self) -> dict[str, Any]:
        return self.api.create_load_balancer(**INTERNAL)

    @cached_property
    def certificate(self) -> dict[str, Any]:
        made: dict[str, Any] = self.api.ok("POST", CERTIFICATES, json=rsa_pair().body)
        return made

    @cached_property
    def health_check(self) -> dict[str, Any]:
        made: dict[str, Any] = self.api.ok("POST", CHECKS, json={"listener_id": self.listener["id"]})
        return made

    @cached_property
    def strict(self) -> Api:
        """An administrator where quotas are small, networks are listed and the pools have two addresses each."""
        subnet = unused_network().replace(".0/24", ".0/30")
        networks = f'networks.vpcs={{"vpc": {{"subnets": {{"subnet": "{subnet}"}}}}}}'
        quotas = ("quotas.elb=3", "quotas.listener=1", "quotas.member=1")
        service = Service(self._folder / "strict", networks, *quotas)
        service.settings[0] = service.settings[0].replace(".0/24", ".0/30")
        self._open.callback(service.stop)
        return self._open.enter_context(Api(service.start()))

    @cached_property
    def forgetful(self) -> Api:
        """An administrator whose token counts for a second."""
        return self._administrator("forgetful", "identity.token_lifetime=1")

    @cached_property
    def impatient(self) -> Api:
        """An administrator where jobs have little time."""
        return self._administrator("impatient", "jobs.time_limit=5")

    @cached_property
    def unlimited(self) -> Api:
        """An administrator where bandwidth limits cannot be put in force."""
        return self._administrator("unlimited", "bandwidth.enforcement=off")

    @property
    def impatient_service(self) -> Service:
        assert self.impatient
        return self._services["impatient"]

    @cached_property
    def odd_identity(self) -> OddIdentity:
        return self._open.enter_context(odd_identity())

    @cached_property
    def orphan(self) -> httpx.Client:
        """A client where identity is a service that misbehaves."""
        settings = (f"identity.keystone_url={self.odd_identity.url}", "identity.keystone_timeout=20")
        service = self._open.enter_context(running_service(self._folder / "orphan", *settings))
        return self._open.enter_context(httpx.Client(base_url=service.url, headers={"x-auth-token": "any"}, timeout=30))

    def _administrator(self, name: str, *settings: str) -> Api:
        service = self._open.enter_context(running_service(self._folder / name, *settings))
        self._services[name] = service
        return self._open.enter_context(Api(service))


Case = Callable[[World], httpx.Response | Job]

CASES: dict[Key, Case] = {}


def case(code: str, operation: str = "", nth: int = 0) -> Callable[[Case], Case]:
    """Register how an entry is provoked; the operation only where the code stands more than once."""

    def register(provoke: Case) -> Case:
        assert (code, operation, nth) not in CASES
        CASES[code, operation, nth] = provoke
        return provoke

    return register


_MARKS = {"{lb}": "external", "{internal}": "internal", "{listener}": "listener", "{check}": "health_check"}


@dataclass(frozen=True)
class Request:
    """A case that is one request: a row of a table. The marks stand for the ids of things of the world."""

    method: str
    path: str
    body: Any = field(default=None)

    def __call__(self, world: World) -> httpx.Response:
        text = self.path + repr(self.body)
        ids = {mark: getattr(world, name)["id"] for mark, name in _MARKS.items() if mark in text}
        return world.api.call(self.method, _filled(self.path, ids), json=_filled(self.body, ids))


def _filled(value: Any, ids: dict[str, str]) -> Any:
    match value:
        case str():
            for name, id in ids.items():
                value = value.replace(name, id)
            return value
        case dict():
            return {key: _filled(inner, ids) for key, inner in value.items()}
        case list():
            return [_filled(inner, ids) for inner in value]
        case _:
            return value


def _lb(**changes: Any) -> Request:
    return Request("POST", LB, EXTERNAL | changes)


def _internal(**changes: Any) -> Request:
    return Request("POST", LB, INTERNAL | changes)


def _lb_change(**changes: Any) -> Request:
    return Request("PUT", LB + "/{lb}", changes)


def _new_listener(**changes: Any) -> Request:
    body = {
        "name": "l",
        "loadbalancer_id": "{lb}",
        "protocol": "HTTP",
        "port": 7000,
        "backend_protocol": "HTTP",
        "backend_port": 80,
        "lb_algorithm": "roundrobin",
    }
    return Request("POST", LISTENERS, body | changes)


def _listener_change(**changes: Any) -> Request:
    return Request("PUT", LISTENERS + "/{listener}", changes)


def _check(**changes: Any) -> Request:
    return Request("POST", CHECKS, {"listener_id": "{listener}"} | changes)


_ANY = "listener, any operation"
_MEMBERS = LISTENERS + "/{listener}/members"

CASES |= {
    ("ELB.1020", "", 0): Request("GET", LB + "/short"),
    ("ELB.1030", "", 0): Request("GET", LB + "/" + NOBODY + "/nothing"),
    ("ELB.1001", "create load balancer", 0): _lb(name=""),
    ("ELB.1001", "create load balancer", 1): _lb(name=LONG),
    ("ELB.1021", "", 0): _lb(name="a b"),
    ("ELB.1031", "", 0): _lb(description="<b>"),
    ("ELB.1041", "", 0): _lb(type="external"),
    ("ELB.1051", "", 0): _lb(bandwidth=2001),
    ("ELB.1061", "", 0): _internal(vip_subnet_id=None),
    ("ELB.1071", "", 0): _internal(vip_address="10.9.8.7"),
    ("ELB.1081", "", 0): _lb(vpc_id=""),
    ("ELB.1002", "", 0): Request("DELETE", LB + "/" + NOBODY),
    ("ELB.1005", "", 0): _lb_change(bandwidth=0),
    ("ELB.1015", "", 0): _lb_change(type="Internal"),
    ("ELB.1025", "", 0): _lb_change(name=LONG),
    ("ELB.1035", "", 0): _lb_change(name="a b"),
    ("ELB.1045", "", 0): _lb_change(description=">"),
    ("ELB.1003", "", 0): Request("GET", LB + "/" + NOBODY),
    ("ELB.1004", "", 0): Request("GET", LB + "?colour=red"),
    ("ELB.6000", "", 0): Request("GET", LISTENERS + "/short"),
    ("ELB.6010", _ANY, 0): Request("GET", LISTENERS + "/" + "g" * 32),
    ("ELB.6010", "show, update listener", 0): Request("GET", LISTENERS + "/" + NOBODY),
    ("ELB.6040", "", 0): _new_listener(loadbalancer_id=NOBODY),
    ("ELB.6020", "", 0): Request("GET", LISTENERS + "/" + NOBODY + "/nothing"),
    ("ELB.6001", "", 0): _new_listener(port=None),
    ("ELB.6011", "", 0): _new_listener(name=LONG),
    ("ELB.6021", "", 0): _new_listener(name=""),
    ("ELB.6031", "", 0): _new_listener(description="<"),
    ("ELB.6041", "", 0): _new_listener(backend_port=0),
    ("ELB.6051", "", 0): _new_listener(lb_algorithm="random"),
    ("ELB.6061", "", 0): _new_listener(loadbalancer_id="{internal}", protocol="UDP", backend_protocol="UDP"),
    ("ELB.6071", "", 0): _new_listener(backend_protocol="TCP"),
    ("ELB.6081", "", 0): _new_listener(lb_algorithm="source", session_sticky=True),
    ("ELB.6002", "", 0): Request("DELETE", LISTENERS + "/" + NOBODY),
    ("ELB.6015", "", 0): _listener_change(protocol="TCP"),
    ("ELB.6025", "", 0): _listener_change(name=LONG),
    ("ELB.6035", "", 0): _listener_change(name=""),
    ("ELB.6045", "", 0): _listener_change(description=">"),
    ("ELB.6003", "", 0): Request("GET", LISTENERS + "?port=x"),
    ("ELB.2000", "", 0): Request("GET", _MEMBERS + "/nothing"),
    ("ELB.2010", "", 0): Request("GET", LISTENERS + "/short/members"),
    ("ELB.2020", "", 0): Request("GET", LISTENERS + "/" + "g" * 32 + "/members"),
    ("ELB.2011", "", 0): Request("POST", LISTENERS + f"/{NOBODY}/members", [{"server_id": "s", "address": "10.0.0.1"}]),
    ("ELB.2021", "", 0): Request("POST", _MEMBERS, [{"server_id": "s"}]),
    ("ELB.2002", "", 0): Request("POST", _MEMBERS + "/action", {"remove": []}),
    ("ELB.2012", "", 0): Request("POST", _MEMBERS + "/action", {"removeMember": [{"id": NOBODY}]}),
    ("ELB.7000", "", 0): _check(listener_id=""),
    ("ELB.7010", "", 0): _check(listener_id=NOBODY),
    ("ELB.7020", "", 0): Request("GET", CHECKS + "/" + NOBODY),
    ("ELB.7001", "create health check", 0): _check(healthcheck_interval=51),
    ("ELB.7002", "", 0): Request("DELETE", CHECKS + "/short"),
    ("ELB.7001", "update health check", 0): Request("PUT", CHECKS + "/{check}", {"unhealthy_threshold": 11}),
    ("ELB.7004", "", 0): Request("GET", CHECKS + "/short"),
}


@case("ELB.0002")
def _(world: World) -> httpx.Response:
    return world.api.call("POST", LB)


@case("ELB.0230")
def _(world: World) -> httpx.Response:
    return world.api.http.get("/v1.0//elbaas/loadbalancers")


@case("ELB.1000")
def _(world: World) -> httpx.Response:
    return world.api.call("GET", f"{LB}?name={'x' * 9000}")


@case("ELB.1018")
def _(world: World) -> httpx.Response:
    assert world.listener
    return world.api.call("DELETE", f"{LB}/{world.external['id']}")


@case("ELB.1101")
def _(world: World) -> httpx.Response:
    return world.api.call("POST", LB, json=INTERNAL | {"vip_address": world.internal["vip_address"]})


@case("ELB.4003")
def _(world: World) -> httpx.Response:
    with member_of_new_project(world.shared) as other:
        foreign = other.create_load_balancer()["vip_address"]
    return world.api.call("POST", LB, json=EXTERNAL | {"vip_address": foreign})


@case("ELB.1102")
def _(world: World) -> httpx.Response:
    return world.api.call("GET", LB, headers={"x-auth-token": "no token at all"})


@case("ELB.1103")
def _(world: World) -> httpx.Response:
    eventually(lambda: world.forgetful.call("GET", LB).status_code == 401)
    return world.forgetful.call("GET", LB)


@case("ELB.1104")
def _(world: World) -> httpx.Response:
    with Api(world.shared) as leaving:
        own = {"x-subject-token": leaving.token}
        assert leaving.http.delete("/v3/auth/tokens", headers=own).status_code == 204
        return leaving.call("GET", LB)


@case("ELB.1109")
def _(world: World) -> httpx.Response:
    user = {"name": "admin", "domain": {"id": "default"}, "password": "wrong"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    return world.api.http.post("/v3/auth/tokens", json=body)


@case("ELB.1201")
def _(world: World) -> httpx.Response:
    assert world.orphan
    world.odd_identity.mood = "tokenless"
    return world.orphan.post("/v3/auth/tokens", json={})


@case("ELB.0004")
def _(world: World) -> httpx.Response:
    assert world.orphan
    world.odd_identity.mood = "nonsense"
    return world.orphan.get("/v1.0/p/elbaas/loadbalancers")


@case("ELB.8103")
def _(world: World) -> httpx.Response:
    return world.strict.call("POST", LB, json=EXTERNAL | {"vpc_id": "elsewhere"})


@case("ELB.8203")
def _(world: World) -> httpx.Response:
    return world.strict.call("POST", LB, json=INTERNAL | {"vip_subnet_id": "elsewhere"})


@case("ELB.6091")
def _(world: World) -> httpx.Response:
    load_balancer = world.strict.create_load_balancer(vpc_id="vpc")
    world.strict.create_listener(load_balancer["id"])
    answer = world.strict.call("POST", LISTENERS, json=world.strict.listener_body(load_balancer["id"], port=8081))
    world.strict.succeed("DELETE", f"{LB}/{load_balancer['id']}")
    return answer


@case("ELB.2001")
def _(world: World) -> httpx.Response:
    load_balancer = world.strict.create_load_balancer(**INTERNAL)
    listener = world.strict.create_listener(load_balancer["id"])
    wanted = [{"server_id": "s", "address": f"127.9.9.{last}"} for last in (1, 2)]
    answer = world.strict.call("POST", f"{LISTENERS}/{listener['id']}/members", json=wanted)
    world.strict.succeed("DELETE", f"{LB}/{load_balancer['id']}")
    return answer


@case("ELB.1091")
def _(world: World) -> httpx.Response:
    with _taken(world.strict, EXTERNAL, 2), _taken(world.strict, INTERNAL, 1):
        return world.strict.call("POST", LB, json=EXTERNAL)


@case("ELB.3001")
def _(world: World) -> Job:
    with _taken(world.strict, INTERNAL, 2):
        return world.strict.ended(world.strict.ok("POST", LB, json=INTERNAL)["job_id"])


@case("ELB.4001")
def _(world: World) -> Job:
    with _taken(world.strict, EXTERNAL, 2):
        return world.strict.ended(world.strict.ok("POST", LB, json=EXTERNAL)["job_id"])


@case("ELB.5005")
def _(world: World) -> Job:
    """The job of a load balancer whose bandwidth is not limited: it succeeds, with a warning."""
    return world.unlimited.succeed("POST", LB, json=EXTERNAL)


@case("ELB.9006")
def _(world: World) -> Job:
    api = world.impatient
    listener = api.create_listener(api.create_load_balancer()["id"])
    with stopped(world.impatient_service):
        wanted = [{"server_id": "s", "address": "127.9.9.9"}]
        return api.ended(api.ok("POST", f"{LISTENERS}/{listener['id']}/members", json=wanted)["job_id"])


@case("ELB.6101")
def _(world: World) -> httpx.Response:
    body = world.api.listener_body(world.external["id"], port=world.listener["port"])
    return world.api.call("POST", LISTENERS, json=body)


@case("ELB.9007")
def _(world: World) -> httpx.Response:
    with held(world.external["vip_address"], 7007):
        return world.api.call("POST", LISTENERS, json=world.api.listener_body(world.external["id"], port=7007))


@contextmanager
def _taken(api: Api, body: dict[str, Any], count: int) -> Iterator[None]:
    """As many load balancers as the pool has addresses, for a while."""
    made = [api.create_load_balancer(**body)["id"] for _ in range(count)]
    yield
    for id in made:
        api.succeed("DELETE", f"{LB}/{id}")


@contextmanager
def stopped(service: Service) -> Iterator[None]:
    """The data plane does not answer for a while."""
    os.kill(service.envoy_pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.envoy_pid, signal.SIGCONT)


@contextmanager
def held(address: str, port: int) -> Iterator[None]:
    """Another program listens there for a while."""
    with socket.create_server((address, port)):
        yield
