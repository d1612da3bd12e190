"""Holds what is there against what may be there. It reads the API, the traffic and Envoy's configuration, no more."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from equipoise.node.admin import EnvoyAdmin
from stand import Api, Service, can_connect, eventually
from tests.chaos.expected import (
    Effect,
    Expected,
    Possible,
    PossibleListener,
    PossibleLoadBalancer,
    effect_unless_job,
    expect,
)
from tests.chaos.journal import Asked, Journal, What
from tests.tls_client import client_context, served
from tests.traffic import ask_once
from tests.udp import ask as ask_udp

Place = tuple[str, str, int]
"""Transport, address and port."""

_PAGE = 500
_TRAFFIC_SECONDS = 30.0
_CONFIGURATION_SECONDS = 20.0
_OWN_JOBS = {
    What.CREATE_LISTENER: "createListener",
    What.UPDATE_LISTENER: "updateListener",
    What.DELETE_LISTENER: "deleteListener",
    What.CREATE_HEALTH_CHECK: "createHealthCheck",
    What.UPDATE_HEALTH_CHECK: "updateHealthCheck",
    What.DELETE_HEALTH_CHECK: "deleteHealthCheck",
    What.UPDATE_CERTIFICATE: "updateCertificate",
}
_POLICIES = {"roundrobin": "ROUND_ROBIN", "leastconn": "LEAST_REQUEST", "source": "MAGLEV"}


@dataclass
class Listener:
    """A listener as the API shows it, with what is below it."""

    shown: dict[str, Any]
    members: list[dict[str, Any]]
    health_check: dict[str, Any] | None

    @property
    def udp(self) -> bool:
        return bool(self.shown["protocol"] == "UDP")

    @property
    def serving(self) -> set[str]:
        """The members that are to get traffic: UDP has no health in Envoy, so the failing are left out there."""
        checked = self.udp and self.health_check is not None
        return {one["address"] for one in self.members if not (checked and one["health_status"] == "ABNORMAL")}


@dataclass
class World:
    """Everything of all projects as the API shows it."""

    load_balancers: list[dict[str, Any]] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    certificates: list[dict[str, Any]] = field(default_factory=list)
    elastic_ips: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def serving(self) -> Iterator[tuple[Place, Listener, str]]:
        """Where something is to be served, by which listener, and of which load balancer."""
        by_id = {one["id"]: one for one in self.load_balancers}
        for listener in self.listeners:
            above = by_id[listener.shown["loadbalancer_id"]]
            if above["admin_state_up"] == 1 and listener.shown["admin_state_up"]:
                transport = "udp" if listener.udp else "tcp"
                yield (transport, above["vip_address"], listener.shown["port"]), listener, above["id"]


class Checker:
    """One look at everything after the faults are over.

    Args:
        services: all that there are; each must have the same in force.
        apis: a client of each project, at any of them.
    """

    def __init__(self, services: Sequence[Service], apis: Sequence[Api], journal: Journal) -> None:
        self._services = services
        self._apis = apis
        self._journal = journal
        self.jobs: Counter[str] = Counter()

    def check(self, patience: float) -> list[str]:
        """Every violation found; waits at most `patience` seconds for the last jobs to end."""
        found = list(self._journal.violations)
        try:
            eventually(self._all_ended, patience)
        except AssertionError:
            found.append("jobs that do not end")
        world = world_of(self._apis)
        self.jobs.update(f"{job['status']} {job['error_code'] or ''}".strip() for job in world.jobs.values())
        expected = expect(self._journal, self._effects(world))
        checks: list[Iterable[str]] = [
            self._jobs(world),
            self._ids(),
            _things(world, expected),
            _certificates(world, expected),
            _addresses(world, expected),
            self._quotas(),
            self._in_force(world),
        ]
        return found + [violation for check in checks for violation in check]

    def check_in_force(self) -> list[str]:
        """What the API shows, against the traffic and Envoy's configuration; the journal does not matter here."""
        return list(self._in_force(world_of(self._apis)))

    def give_all_back(self, pools: Mapping[str, int], filling: Api) -> list[str]:
        """Delete everything; then the whole of both pools must be there to be taken.

        Args:
            pools: how many addresses the pools External and Internal have.
            filling: takes all of them.
        """
        for api in self._apis:
            self._delete_all(api)
        world = world_of(self._apis)
        everything = (*world.load_balancers, *world.listeners, *world.certificates, *world.elastic_ips)
        found = [f"left over: {one}" for one in everything]
        found += self._everywhere(world, self._configuration, _CONFIGURATION_SECONDS)
        found += self._pools(pools, filling)
        self._delete_all(filling)
        return found

    # What is there

    def _all_ended(self) -> bool:
        states = ("INIT", "RUNNING")
        return not any(api.ok("GET", f"/jobs?status={state}&limit=1")["jobs"] for api in self._apis for state in states)

    def _effects(self, world: World) -> Callable[[Asked], Effect]:
        by_project = {api.project_id: api for api in self._apis}
        own: dict[tuple[str, str], set[str]] = {}

        def ends(asked: Asked) -> set[str]:
            """How the jobs of this kind about a listener or a health check ended; which is whose is not told."""
            key = asked.id, _OWN_JOBS[asked.what]
            if key not in own:
                query = {"resource_id": asked.id, "job_type": key[1]}
                jobs = by_project[asked.project].ok("GET", "/jobs", params=query)["jobs"]
                own[key] = {job["status"] for job in jobs}
            return own[key]

        def effect(asked: Asked) -> Effect:
            known = effect_unless_job(asked)
            if known is not None:
                return known
            if asked.job_id:
                job = world.jobs.get(asked.job_id)
                return Effect.HAPPENED if job is not None and job["status"] == "SUCCESS" else Effect.DID_NOT
            if asked.what not in _OWN_JOBS:
                return Effect.HAPPENED
            match sorted(ends(asked)):
                case ["SUCCESS"]:
                    return Effect.HAPPENED
                case [] if asked.what is What.UPDATE_CERTIFICATE:
                    # Nobody used it.
                    return Effect.HAPPENED
                case ["FAIL"] if asked.what is not What.UPDATE_CERTIFICATE:
                    # Of a certificate there may have been other changes, without a job.
                    return Effect.DID_NOT
            # A deletion that succeeded was the last one.
            return Effect.HAPPENED if asked.what is What.DELETE_LISTENER else Effect.UNKNOWN

        return effect

    # Jobs and ids

    def _jobs(self, world: World) -> Iterator[str]:
        for asked in self._journal:
            if asked.job_id and asked.job_id not in world.jobs:
                yield f"the job of an accepted task is lost: {asked}"
        for job in world.jobs.values():
            if job["status"] not in ("SUCCESS", "FAIL"):
                yield f"a job has not ended: {job}"
            if job["status"] == "FAIL" and not (job["error_code"] and job["fail_reason"]):
                yield f"a job does not say why it failed: {job}"
            if not job["begin_time"] <= job["end_time"]:
                yield f"a job ended before it began: {job}"
            if job["job_id"] in self._journal.cancelled and job["status"] != "FAIL":
                yield f"a cancelled job went on: {job}"

    def _ids(self) -> Iterator[str]:
        made = Counter(asked.id for asked in self._journal if asked.id and asked.what.value.startswith("create"))
        jobs = Counter(asked.job_id for asked in self._journal if asked.job_id)
        for id, times in (made + jobs).items():
            if times > 1:
                yield f"{id} was given {times} times"

    # Quotas and pools

    def _quotas(self) -> Iterator[str]:
        for api in self._apis:
            quotas = api.ok("GET", "/elbaas/quotas")["quotas"]["resources"]
            used = {quota["type"]: quota["used"] for quota in quotas}
            load_balancers = len(api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"])
            listeners = len(api.ok("GET", "/elbaas/listeners"))
            if (used["elb"], used["listener"]) != (load_balancers, listeners):
                yield f"quota: {used} counted, but there are {load_balancers} load balancers and {listeners} listeners"

    def _pools(self, pools: Mapping[str, int], api: Api) -> Iterator[str]:
        body = {"publicip": {"type": "5_bgp"}, "bandwidth": {"name": "b", "size": 1, "share_type": "PER"}}
        taken = 0
        while api.http.post(f"/v1/{api.project_id}/publicips", json=body).is_success:
            taken += 1
        if taken != pools["External"]:
            yield f"of {pools['External']} addresses of the external pool {taken} could be taken"
        internal = {"name": "fill", "vpc_id": "v", "type": "Internal", "vip_subnet_id": "s", "security_group_id": "g"}
        jobs = [
            api.ok("POST", "/elbaas/loadbalancers", json=internal | {"admin_state_up": 1})["job_id"]
            for _ in range(pools["Internal"] + 1)
        ]
        ends = Counter(api.ended(job)["error_code"] for job in jobs)
        if ends != {None: pools["Internal"], "ELB.3001": 1}:
            yield f"of {pools['Internal']} addresses of the internal pool: {dict(ends)}"

    def _delete_all(self, api: Api) -> None:
        for listener in api.ok("GET", "/elbaas/listeners"):
            api.ok("DELETE", f"/elbaas/listeners/{listener['id']}")
        deleting = [
            api.ok("DELETE", f"/elbaas/loadbalancers/{one['id']}")["job_id"]
            for one in api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]
        ]
        for job in deleting:
            api.ended(job)
        for one in api.ok("GET", "/elbaas/certificate")["certificates"]:
            api.ok("DELETE", f"/elbaas/certificate/{one['id']}")
        for one in api.http.get(f"/v1/{api.project_id}/publicips").json()["publicips"]:
            api.http.delete(f"/v1/{api.project_id}/publicips/{one['id']}")

    # What is in force

    def _in_force(self, world: World) -> Iterator[str]:
        yield from self._everywhere(world, self._traffic, _TRAFFIC_SECONDS)
        yield from self._everywhere(world, self._configuration, _CONFIGURATION_SECONDS)

    def _everywhere(
        self, world: World, look: Callable[[World, Service, float], Iterable[str]], patience: float
    ) -> Iterator[str]:
        """What a look at each service finds, with its name where there are several. They share the patience: who
        waits for the first waits for all."""
        until = time.monotonic() + patience
        for service in self._services:
            with service.inside():
                found = list(look(world, service, until))
            where = f"at {service.data_dir.name}: " if len(self._services) > 1 else ""
            yield from (f"{where}{violation}" for violation in found)

    def _traffic(self, world: World, _: Service, until: float) -> Iterator[str]:
        serving = {place: listener for place, listener, _ in world.serving()}
        for place, listener in serving.items():
            patience = max(until - time.monotonic(), 0.0)
            try:
                eventually(lambda place=place, listener=listener: _serves(place, listener), patience)  # type: ignore[misc]
            except AssertionError:
                yield f"{place} does not serve as it should: {listener}"
        yield from _served_certificates(world, serving)
        for address in {one["vip_address"] for one in world.load_balancers}:
            for port in {asked.values["port"] for asked in self._journal if "port" in asked.values}:
                if ("tcp", address, port) not in serving and can_connect(address, port):
                    yield f"{address}:{port} answers although nothing is to be served there"

    # Envoy's own account

    def _configuration(self, world: World, service: Service, until: float) -> list[str]:
        """Differences that last: what was just learnt of a member's health may be on its way."""
        last: list[str] = []

        def equal() -> bool:
            last[:] = _differences(world, service)
            return not last

        try:
            eventually(equal, max(until - time.monotonic(), 0.0))
        except AssertionError:
            return list(last)
        return []


def _differences(world: World, service: Service) -> Iterator[str]:
    """Envoy's own account of its configuration, against what the API shows."""
    admin = EnvoyAdmin(service.data_dir / "run" / "admin.sock")
    dump = json.loads(asyncio.run(admin.read("/config_dump?include_eds")))
    parts = {part["@type"].rpartition(".")[2]: part for part in dump["configs"]}
    wanted = {f"{id}/{place[0]}/{place[2]}": (place, listener) for place, listener, id in world.serving()}
    listeners = parts["ListenersConfigDump"].get("dynamic_listeners", [])
    clusters = {
        one["cluster"]["name"]: one["cluster"] for one in parts["ClustersConfigDump"].get("dynamic_active_clusters", [])
    }
    members = _members_of(parts.get("EndpointsConfigDump", {}))
    yield from _unequal("listeners", {one["name"] for one in listeners}, set(wanted))
    yield from _unequal("clusters", set(clusters), {one.shown["id"] for _, one in wanted.values()})
    for one in listeners:
        if one.get("error_state"):
            yield f"Envoy has refused {one['name']}: {one['error_state']}"
        if one["name"] in wanted:
            place, listener = wanted[one["name"]]
            yield from _unequal(one["name"], _place_of(one), place)
            id = listener.shown["id"]
            if id not in json.dumps(one):
                yield f"{one['name']} does not lead to {id}"
            if id in clusters:
                yield from _cluster_differences(clusters[id], listener)
            wanted_members = {(address, listener.shown["backend_port"]) for address in listener.serving}
            yield from _unequal(f"members of {id}", members.get(id, set()), wanted_members)


def world_of(apis: Iterable[Api]) -> World:
    """What the API shows of these projects."""
    world = World()
    for api in apis:
        world.load_balancers += api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]
        world.listeners += [_listener(api, shown) for shown in api.ok("GET", "/elbaas/listeners")]
        world.certificates += api.ok("GET", "/elbaas/certificate")["certificates"]
        world.elastic_ips += api.http.get(f"/v1/{api.project_id}/publicips").json()["publicips"]
        world.jobs |= {job["job_id"]: job for job in _all_jobs(api)}
    return world


def _listener(api: Api, shown: dict[str, Any]) -> Listener:
    members = api.ok("GET", f"/elbaas/listeners/{shown['id']}/members")
    check = shown["healthcheck_id"]
    return Listener(shown, members, api.ok("GET", f"/elbaas/healthcheck/{check}") if check else None)


def _all_jobs(api: Api) -> Iterator[dict[str, Any]]:
    marker = ""
    while True:
        page = api.ok("GET", f"/jobs?limit={_PAGE}" + (f"&marker={marker}" if marker else ""))["jobs"]
        yield from page
        if len(page) < _PAGE:
            return
        marker = page[-1]["job_id"]


def _things(world: World, expected: Expected) -> Iterator[str]:
    """Load balancers, listeners, members and health checks against the journal."""
    shown = _by_name("load balancer", world.load_balancers)
    yield from shown.twice
    yield from (f"load balancer {name} came from nowhere" for name in shown.by_name.keys() - expected.load_balancers)
    below: dict[str, list[Listener]] = defaultdict(list)
    for listener in world.listeners:
        below[listener.shown["loadbalancer_id"]].append(listener)
    for name, possible in expected.load_balancers.items():
        one = shown.by_name.get(name)
        yield from _compare(f"load balancer {name}", possible, one)
        if one is not None:
            yield from _listeners(below[one["id"]], possible)


def _listeners(present: Sequence[Listener], above: PossibleLoadBalancer) -> Iterator[str]:
    shown = _by_name("listener", [listener.shown for listener in present])
    yield from shown.twice
    yield from (f"listener {name} came from nowhere" for name in shown.by_name.keys() - above.listeners)
    by_id = {listener.shown["id"]: listener for listener in present}
    for name, possible in above.listeners.items():
        one = shown.by_name.get(name)
        yield from _compare(f"listener {name}", possible, one)
        if one is not None:
            yield from _below_listener(name, by_id[one["id"]], possible)


def _below_listener(name: str, listener: Listener, possible: PossibleListener) -> Iterator[str]:
    addresses = Counter(member["address"] for member in listener.members)
    for address, times in addresses.items():
        if times > 1:
            yield f"listener {name} has member {address} {times} times"
    for address, there in possible.members.items():
        if (address in addresses) not in there:
            yield f"member {address} of listener {name}: there is {addresses[address]}, it should be {there}"
    for address in addresses.keys() - possible.members:
        yield f"member {address} of listener {name} came from nowhere"
    for member in listener.members:
        if member["status"] != "ACTIVE":
            yield f"member {member} of listener {name} is not ACTIVE"
    yield from _compare(f"health check of listener {name}", possible.health_check, listener.health_check)


def _compare(what: str, possible: Possible, shown: dict[str, Any] | None) -> Iterator[str]:
    if (shown is not None) not in possible.there:
        yield f"{what}: {'there' if shown else 'not there'}, but may be there only if {possible.there}"
    if shown is None:
        return
    if shown.get("status", "ACTIVE") != "ACTIVE":
        yield f"{what} is {shown['status']}"
    if possible.ids and shown["id"] not in possible.ids:
        yield f"{what} has the id {shown['id']}, but {possible.ids} was answered"
    for name, values in possible.fields.items():
        if values and shown[name] not in values:
            yield f"{what}: {name} is {shown[name]!r}, but may be only {values}"


def _certificates(world: World, expected: Expected) -> Iterator[str]:
    """Certificates against the journal; which one is served is a matter of the traffic."""
    shown = _by_name("certificate", world.certificates)
    yield from shown.twice
    yield from (f"certificate {name} came from nowhere" for name in shown.by_name.keys() - expected.certificates)
    for name, possible in expected.certificates.items():
        yield from _compare(f"certificate {name}", possible, shown.by_name.get(name))


def _addresses(world: World, expected: Expected) -> Iterator[str]:
    vips = Counter(one["vip_address"] for one in world.load_balancers)
    yield from (f"{times} load balancers have {address}" for address, times in vips.items() if times > 1)
    external = {one["vip_address"] for one in world.load_balancers if one["type"] == "External"}
    in_use = {one["public_ip_address"] for one in world.elastic_ips if one["status"] == "ACTIVE"}
    yield from _unequal("elastic IPs in use", in_use, external)
    kept = sum(one.kept == {True} for one in expected.load_balancers.values())
    may_be_kept = sum(True in one.kept for one in expected.load_balancers.values())
    by_id = {one["id"]: one for one in world.elastic_ips}
    for id, possible in expected.elastic_ips.items():
        if (id in by_id) not in possible.there:
            yield f"elastic IP {id}: {by_id.get(id)}, but may be there only if {possible.there}"
    # Those that a load balancer brought along and left behind have an id that nobody was told.
    others = [one for id, one in by_id.items() if one["status"] == "DOWN" and id not in expected.elastic_ips]
    if not kept - len(expected.elastic_ips) <= len(others) <= may_be_kept + expected.unanswered_elastic_ips:
        yield f"{len(others)} free elastic IPs of unknown origin; {kept} to {may_be_kept} were kept"


@dataclass
class _Named:
    by_name: dict[str, dict[str, Any]]
    twice: list[str]


def _by_name(what: str, shown: Sequence[dict[str, Any]]) -> _Named:
    names = Counter(one["name"] for one in shown)
    twice = [f"{what} {name} is there {times} times" for name, times in names.items() if times > 1]
    return _Named({one["name"]: one for one in shown}, twice)


def _unequal(what: str, found: Any, wanted: Any) -> Iterator[str]:
    if found != wanted:
        if isinstance(found, set) and isinstance(wanted, set):
            yield f"{what}: too many {found - wanted}, missing {wanted - found}"
        else:
            yield f"{what}: {found}, but wanted is {wanted}"


def _serves(place: Place, listener: Listener) -> bool:
    """Whether a real client gets what the API promises there."""
    transport, address, port = place
    if transport == "udp":
        return not listener.serving or set(ask_udp((address, port), patience=1.0)) <= listener.serving
    if not can_connect(address, port):
        return False
    try:
        tls = listener.shown["protocol"] == "HTTPS"
        text, ok = ask_tls(address, port) if tls else ask_once(address, port, timeout=10)
    except (OSError, HTTPException):
        return not listener.members and listener.shown["protocol"] == "TCP"
    return text in listener.serving if ok else not listener.members


def ask_tls(address: str, port: int) -> tuple[str, bool]:
    """As `tests.traffic.ask_once`, over TLS."""
    connection = HTTPSConnection(address, port, timeout=10, context=client_context(None))
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.read().decode(), answer.status == 200
    finally:
        connection.close()


def _served_certificates(world: World, serving: Mapping[Place, Listener]) -> Iterator[str]:
    pems = {one["id"]: one["certificate"] for one in world.certificates}
    for (_, address, port), listener in serving.items():
        if listener.shown["protocol"] == "HTTPS":
            wanted = x509.load_pem_x509_certificate(pems[listener.shown["certificate_id"]].encode())
            try:
                found = served((address, port))
            except OSError as error:
                yield f"{address}:{port} does not speak TLS: {error}"
            else:
                yield from _unequal(f"certificate at {address}:{port}", found, wanted.public_bytes(Encoding.DER))


def _place_of(dumped: dict[str, Any]) -> Place:
    socket = dumped["active_state"]["listener"]["address"]["socket_address"]
    return socket.get("protocol", "TCP").lower(), socket["address"], socket["port_value"]


def _cluster_differences(cluster: dict[str, Any], listener: Listener) -> Iterator[str]:
    id = listener.shown["id"]
    algorithm = listener.shown["lb_algorithm"]
    # Envoy does not count sessions of UDP: docs/reference/udp.md.
    wanted_policy = _POLICIES["roundrobin" if listener.udp and algorithm == "leastconn" else algorithm]
    least = "least_request" in json.dumps(cluster.get("load_balancing_policy", {}))
    policy = "LEAST_REQUEST" if least else cluster.get("lb_policy", "ROUND_ROBIN")
    yield from _unequal(f"policy of {id}", policy, wanted_policy)
    check = listener.health_check
    found = [one["unhealthy_threshold"] for one in cluster.get("health_checks", [])]
    # Envoy has no checks for UDP: these are made beside it.
    wanted = [check["unhealthy_threshold"]] if check is not None and not listener.udp else []
    yield from _unequal(f"health checks of {id}", found, wanted)


def _members_of(dump: dict[str, Any]) -> dict[str, set[tuple[str, int]]]:
    found: dict[str, set[tuple[str, int]]] = {}
    for part in dump.get("dynamic_endpoint_configs", []):
        assignment = part["endpoint_config"]
        found[assignment["cluster_name"]] = {
            (place["address"], place["port_value"])
            for locality in assignment.get("endpoints", [])
            for endpoint in locality.get("lb_endpoints", [])
            for place in [endpoint["endpoint"]["address"]["socket_address"]]
        }
    return found
