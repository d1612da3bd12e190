"""Clients that ask for everything there is, at random but by a seed, and note what they were answered."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from equipoise.client import ClientError
from stand import Service
from stand.certificates import ec_pair
from tests.chaos.doors import Doors
from tests.chaos.journal import Asked, Journal, Outcome, What

PORTS = (8080, 8081, 8082, 8083)
PROTOCOLS = ("HTTP", "TCP", "HTTPS", "UDP")
PAIRS = 4
"""Certificates that clients choose from."""
ALGORITHMS = ("roundrobin", "leastconn", "source")

_LOAD_BALANCERS = 4
_LISTENERS = 3
_PAUSE = 0.02
_PASSING = (503, 504)
"""The database cannot be used, and it has not told whether it has stored something."""


@dataclass(frozen=True, slots=True)
class Members:
    """Servers that are really there: addresses and the port on which each of them answers."""

    addresses: Sequence[str]
    port: int


@dataclass(slots=True)
class KnownListener:
    """A listener that the client believes to exist."""

    name: str
    id: str
    protocol: str
    health_check: str = ""


@dataclass(slots=True)
class KnownLoadBalancer:
    """A load balancer that the client believes to exist, and the tasks about it in the order of their acceptance."""

    name: str
    id: str
    external: bool
    elastic_ip: str = ""
    listeners: list[KnownListener] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class KnownCertificate:
    """A certificate that the client believes to exist."""

    name: str
    id: str


class Client:
    """One client in a thread of its own; nobody else changes its load balancers.

    Args:
        services: whom it asks, the first of them first.
        servers: who can be a member, for TCP and HTTP under "TCP" and for UDP under "UDP".
    """

    def __init__(
        self,
        name: str,
        services: Sequence[Service],
        known: Mapping[str, str],
        journal: Journal,
        servers: Mapping[str, Members],
    ) -> None:
        self.name = name
        self._doors = Doors(services, known)
        self._journal = journal
        self._servers = servers
        self._chance = random.Random(name)
        self._certificates: list[KnownCertificate] = []
        self._load_balancers: list[KnownLoadBalancer] = []
        self._elastic_ips: list[tuple[str, str]] = []
        self._made = 0
        self._stopping = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=name)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the request under way come to its end."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the end. Raises what ended the client before it was asked to."""
        self._thread.join()
        self._doors.close()
        if self.failure is not None:
            raise self.failure

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._step()
                self._stopping.wait(self._chance.random() * _PAUSE)
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where the client is joined
            self.failure = error

    def _step(self) -> None:
        chance = self._chance
        if not self._load_balancers or (len(self._load_balancers) < _LOAD_BALANCERS and chance.random() < 0.15):
            self._create_load_balancer()
            return
        one = chance.choice(self._load_balancers)
        if chance.random() < 0.3 or not one.listeners:
            action = chance.choices(
                [
                    self._create_listener,
                    self._update_load_balancer,
                    self._delete_load_balancer,
                    self._elastic_ip,
                    self._certificate,
                    self._look_at_order,
                ],
                [8, 3, 2, 2, 3, 2],
            )[0]
            action(one)
            return
        listener = chance.choice(one.listeners)
        change = chance.choices(
            [
                self._add_members,
                self._remove_members,
                self._update_listener,
                self._health_check,
                self._delete_listener,
            ],
            [6, 3, 4, 3, 2],
        )[0]
        change(one, listener)

    # Load balancers

    def _create_load_balancer(self) -> None:
        name = self._new_name()
        external = self._chance.random() < 0.5
        body: dict[str, Any] = {"name": name, "vpc_id": "v", "admin_state_up": 1, "description": "d0"}
        elastic_ip = ""
        if external:
            body |= {"type": "External", "bandwidth": 100}
            if self._elastic_ips and self._chance.random() < 0.7:
                elastic_ip, body["vip_address"] = self._elastic_ips.pop()
                del body["bandwidth"]
        else:
            body |= {"type": "Internal", "vip_subnet_id": "s", "security_group_id": "g"}
        asked = Asked(self.project, What.CREATE_LOAD_BALANCER, name, values={**body, "elastic_ip": elastic_ip})
        answer = self._ask(asked, "POST", "/elbaas/loadbalancers", body)
        if asked.outcome is Outcome.ACCEPTED and answer is not None:
            job = self._read(f"/jobs/{asked.job_id}")
            if job is None:
                self._journal.violation(f"the job of an accepted task is not there when it is read at once: {asked}")
                return
            asked.id = job["entities"]["elb"]["id"]
            self._load_balancers.append(KnownLoadBalancer(name, asked.id, external, elastic_ip, jobs=[asked.job_id]))

    def _update_load_balancer(self, one: KnownLoadBalancer) -> None:
        number = self._chance.randint(1, 1000)
        body: dict[str, Any] = self._chance.choice(
            [
                {"description": f"d{number}"},
                {"description": f"d{number}"},
                {"admin_state_up": self._chance.choice([0, 1, 1])},
            ]
        )
        asked = Asked(self.project, What.UPDATE_LOAD_BALANCER, one.name, values=body)
        self._ask(asked, "PUT", f"/elbaas/loadbalancers/{one.id}", body)
        self._follow_up(one, asked)
        self._maybe_cancel(asked)

    def _delete_load_balancer(self, one: KnownLoadBalancer) -> None:
        if one.external:
            for listener in list(one.listeners):
                self._delete_listener(one, listener)
        keep = one.external and self._chance.random() < 0.4
        what = What.DELETE_KEEPING_ADDRESS if keep else What.DELETE_LOAD_BALANCER
        asked = Asked(self.project, what, one.name, values={"elastic_ip": one.elastic_ip})
        self._ask(asked, "DELETE", f"/elbaas/loadbalancers/{one.id}" + "/keep-eip" * keep)
        if asked.outcome is not Outcome.REFUSED or asked.status == 404:
            self._load_balancers.remove(one)

    def _elastic_ip(self, _: KnownLoadBalancer) -> None:
        if len(self._elastic_ips) < 2:
            body = {"publicip": {"type": "5_bgp"}, "bandwidth": {"name": "b", "size": 20, "share_type": "PER"}}
            asked = Asked(self.project, What.CREATE_ELASTIC_IP)
            answer = self._ask(asked, "POST", f"/v1/{self.project}/publicips", body)
            if asked.outcome is Outcome.ACCEPTED and answer is not None:
                asked.id = answer["publicip"]["id"]
                self._elastic_ips.append((asked.id, answer["publicip"]["public_ip_address"]))
            return
        id, _address = self._elastic_ips.pop(0)
        self._ask(Asked(self.project, What.DELETE_ELASTIC_IP, id=id), "DELETE", f"/v1/{self.project}/publicips/{id}")

    # Certificates

    def _certificate(self, _: KnownLoadBalancer) -> None:
        if len(self._certificates) < 2:
            self._create_certificate()
            return
        one = self._chance.choice(self._certificates)
        path = f"/elbaas/certificate/{one.id}"
        if self._chance.random() < 0.7:
            pair = self._pair()
            description = f"d{self._chance.randint(1, 1000)}"
            values = {"certificate": pair["certificate"], "description": description}
            asked = Asked(self.project, What.UPDATE_CERTIFICATE, certificate=one.name, values=values, id=one.id)
            self._ask(asked, "PUT", path, {**pair, "description": description})
        else:
            asked = Asked(self.project, What.DELETE_CERTIFICATE, certificate=one.name, id=one.id)
            self._ask(asked, "DELETE", path)
        gone = asked.what is What.DELETE_CERTIFICATE and asked.outcome is not Outcome.REFUSED
        if gone or asked.status == 404:
            self._certificates.remove(one)

    def _create_certificate(self) -> None:
        name = self._new_name()
        body = {"name": name, "description": "d0", **self._pair()}
        values = {"certificate": body["certificate"], "description": "d0"}
        asked = Asked(self.project, What.CREATE_CERTIFICATE, certificate=name, values=values)
        answer = self._ask(asked, "POST", "/elbaas/certificate", body)
        if asked.outcome is Outcome.ACCEPTED and answer is not None:
            asked.id = answer["id"]
            self._certificates.append(KnownCertificate(name, asked.id))

    def _pair(self) -> dict[str, str]:
        number = self._chance.randrange(PAIRS)
        return ec_pair(f"chaos-{number}.test", number).body

    # Listeners and what is below them

    def _create_listener(self, one: KnownLoadBalancer) -> None:
        if len(one.listeners) >= _LISTENERS:
            return
        name = self._new_name()
        protocols = [each for each in PROTOCOLS if one.external or each != "UDP"]
        protocol = self._chance.choice([each for each in protocols if self._certificates or each != "HTTPS"])
        body = self._doors.api.listener_body(
            one.id,
            name=name,
            protocol=protocol,
            port=self._chance.choice(PORTS),
            backend_port=self._of(protocol).port,
            lb_algorithm=self._chance.choice(ALGORITHMS),
        )
        if protocol == "HTTPS":
            body["certificate_id"] = self._chance.choice(self._certificates).id
        asked = Asked(self.project, What.CREATE_LISTENER, one.name, name, body)
        answer = self._ask(asked, "POST", "/elbaas/listeners", body)
        if asked.outcome is Outcome.ACCEPTED and answer is not None:
            asked.id = answer["id"]
            one.listeners.append(KnownListener(name, asked.id, protocol))
            if self._doors.several and answer["status"] == "ACTIVE" and protocol != "UDP":
                self._look_everywhere(one, body["port"])

    def _look_everywhere(self, one: KnownLoadBalancer, port: int) -> None:
        """A listener was said to be in force: who is live listens now. Nobody else changes its load balancer."""
        shown = self._read(f"/elbaas/loadbalancers/{one.id}")
        if shown is not None and shown["admin_state_up"] == 1:
            self._journal.seen(self._doors.not_listening(shown["vip_address"], port))

    def _update_listener(self, one: KnownLoadBalancer, listener: KnownListener) -> None:
        certificate = self._chance.choice(self._certificates).id if self._certificates else None
        body: dict[str, Any] = self._chance.choice(
            [
                *([{"certificate_id": certificate}] if certificate and listener.protocol == "HTTPS" else []),
                {"lb_algorithm": self._chance.choice(ALGORITHMS)},
                {"port": self._chance.choice(PORTS)},
                {"admin_state_up": self._chance.choice([True, True, False])},
                {"description": f"d{self._chance.randint(1, 1000)}"},
            ]
        )
        asked = Asked(self.project, What.UPDATE_LISTENER, one.name, listener.name, body, id=listener.id)
        self._ask(asked, "PUT", f"/elbaas/listeners/{listener.id}", body)
        self._forget_if_gone(one, listener, asked)

    def _delete_listener(self, one: KnownLoadBalancer, listener: KnownListener) -> None:
        asked = Asked(self.project, What.DELETE_LISTENER, one.name, listener.name, id=listener.id)
        self._ask(asked, "DELETE", f"/elbaas/listeners/{listener.id}")
        if asked.outcome is not Outcome.REFUSED or asked.status == 404:
            one.listeners.remove(listener)

    def _add_members(self, one: KnownLoadBalancer, listener: KnownListener) -> None:
        everybody = list(self._of(listener.protocol).addresses)
        addresses = self._chance.sample(everybody, self._chance.randint(1, len(everybody)))
        body = [{"server_id": f"s-{address}", "address": address} for address in addresses]
        values = {"addresses": addresses}
        asked = Asked(self.project, What.ADD_MEMBERS, one.name, listener.name, values, id=listener.id)
        self._ask(asked, "POST", f"/elbaas/listeners/{listener.id}/members", body)
        self._follow_up(one, asked)
        self._forget_if_gone(one, listener, asked)
        self._maybe_cancel(asked)

    def _remove_members(self, one: KnownLoadBalancer, listener: KnownListener) -> None:
        found = self._read(f"/elbaas/listeners/{listener.id}/members") or []
        if not found:
            return
        chosen = self._chance.sample(found, self._chance.randint(1, len(found)))
        body = {"removeMember": [{"id": member["id"]} for member in chosen]}
        values = {"addresses": [member["address"] for member in chosen]}
        asked = Asked(self.project, What.REMOVE_MEMBERS, one.name, listener.name, values, id=listener.id)
        self._ask(asked, "POST", f"/elbaas/listeners/{listener.id}/members/action", body)
        self._follow_up(one, asked)
        self._maybe_cancel(asked)

    def _health_check(self, one: KnownLoadBalancer, listener: KnownListener) -> None:
        if not listener.health_check:
            kind = {"UDP": "UDP"}.get(listener.protocol) or self._chance.choice(["HTTP", "TCP"])
            body: dict[str, Any] = {
                "listener_id": listener.id,
                "healthcheck_protocol": kind,
                "healthcheck_interval": 1,
                "healthcheck_timeout": 1,
                "healthy_threshold": 1,
                "unhealthy_threshold": self._chance.randint(3, 10),
            }
            if kind == "HTTP":
                body["healthcheck_uri"] = "/health"
            asked = Asked(self.project, What.CREATE_HEALTH_CHECK, one.name, listener.name, body)
            answer = self._ask(asked, "POST", "/elbaas/healthcheck", body)
            if asked.outcome is Outcome.ACCEPTED and answer is not None:
                asked.id = listener.health_check = answer["id"]
            return
        path = f"/elbaas/healthcheck/{listener.health_check}"
        if self._chance.random() < 0.5:
            body = {"unhealthy_threshold": self._chance.randint(3, 10)}
            asked = Asked(
                self.project, What.UPDATE_HEALTH_CHECK, one.name, listener.name, body, id=listener.health_check
            )
            self._ask(asked, "PUT", path, body)
        else:
            asked = Asked(self.project, What.DELETE_HEALTH_CHECK, one.name, listener.name, id=listener.health_check)
            self._ask(asked, "DELETE", path)
        if asked.status == 404 or (asked.what is What.DELETE_HEALTH_CHECK and asked.outcome is not Outcome.REFUSED):
            listener.health_check = ""

    # Jobs

    def _follow_up(self, one: KnownLoadBalancer, asked: Asked) -> None:
        if asked.job_id:
            one.jobs.append(asked.job_id)

    def _maybe_cancel(self, task: Asked) -> None:
        if not task.job_id or self._chance.random() > 0.1:
            return
        asked = Asked(self.project, What.CANCEL_JOB, task.load_balancer, id=task.job_id)
        self._ask(asked, "DELETE", f"/jobs/{task.job_id}", keyed=False)
        if asked.outcome is Outcome.ACCEPTED:
            self._journal.cancelled.add(task.job_id)

    def _look_at_order(self, one: KnownLoadBalancer) -> None:
        """One look at all jobs of a load balancer: none may have succeeded before one that was accepted earlier."""
        found = self._read(f"/jobs?resource_id={one.id}")
        if not found:
            return
        states = {job["job_id"]: job["status"] for job in found["jobs"]}
        story = [states[job] for job in one.jobs if job in states]
        waiting = [number for number, state in enumerate(story) if state in ("INIT", "RUNNING")]
        if waiting and "SUCCESS" in story[waiting[0] :]:
            self._journal.violation(f"a job of load balancer {one.name} overtook another: {story}")
        for quota in self._read("/elbaas/quotas")["quotas"]["resources"]:
            if quota["type"] == "elb" and quota["used"] > quota["quota"]:
                self._journal.violation(f"a quota was given twice: {quota}")

    # Asking

    @property
    def project(self) -> str:
        return self._doors.api.project_id

    def _of(self, protocol: str) -> Members:
        return self._servers["UDP" if protocol == "UDP" else "TCP"]

    def _new_name(self) -> str:
        self._made += 1
        return f"{self.name.replace('/', '-')}-{self._made}"

    def _forget_if_gone(self, one: KnownLoadBalancer, listener: KnownListener, asked: Asked) -> None:
        gone = asked.status == 404 or (asked.what is What.ADD_MEMBERS and asked.status == 400)
        if gone and listener in one.listeners:
            one.listeners.remove(listener)

    def _ask(self, asked: Asked, method: str, path: str, body: object = None, *, keyed: bool = True) -> Any:
        """Send a change and note what is known of it then; returns the decoded body of a success.

        Some changes go out under an idempotency key. Then they are sent until there is an answer, and some once more.
        """
        key = str(UUID(int=self._chance.getrandbits(128))) if keyed and self._chance.random() < 0.4 else ""
        more: dict[str, Any] = {"headers": {"Idempotency-Key": key}} if key else {}
        if body is not None:
            more["json"] = body
        answer = self._send(method, path, **more)
        try:
            while key and (answer is None or answer.status_code in _PASSING):
                time.sleep(0.05)
                answer = self._send(method, path, **more)
        finally:
            self._judge(asked, answer)
            self._journal.note(asked)
        if answer is None or not answer.is_success:
            return None
        found = answer.json() if answer.content else {}
        asked.job_id = "" if asked.what is What.CANCEL_JOB else found.get("job_id", "")
        if key and self._chance.random() < 0.3:
            self._ask_again(asked, found, self._send(method, path, elsewhere=True, **more))
        return found

    def _ask_again(self, asked: Asked, first: Any, answer: httpx.Response | None) -> None:
        """The same write under the same key, at once: it leads to what the first one led to."""
        if answer is None or not answer.is_success or not answer.content:
            return
        again = answer.json()
        names = [first.get(name) == again.get(name) for name in ("job_id", "id")]
        if not all(names):
            self._journal.violation(f"{asked.what} under one key led to {first} and to {again}")

    def _judge(self, asked: Asked, answer: httpx.Response | None) -> None:
        if answer is None:
            return
        asked.status = answer.status_code
        if answer.is_success:
            asked.outcome = Outcome.ACCEPTED
        elif answer.status_code not in _PASSING or "nothing was stored" in answer.text:
            asked.outcome = Outcome.REFUSED
        if answer.status_code >= 500 and answer.status_code not in _PASSING:
            self._journal.violation(f"{asked.what} was answered with {answer.status_code}: {answer.text}")

    def _read(self, path: str) -> Any:
        """The decoded body of a read, None for what is not there; asked again until there is an answer.

        Where there are several services, another one is asked than the one that was told to do something.
        """
        while True:
            answer = self._send("GET", path, elsewhere=True)
            if answer is not None and answer.is_success:
                return answer.json()
            if answer is not None and answer.status_code < 500:
                return None
            if answer is not None and answer.status_code != 503:
                self._journal.violation(f"GET {path} was answered with {answer.status_code}: {answer.text}")
            time.sleep(0.05)

    def _send(self, method: str, path: str, *, elsewhere: bool = False, **more: Any) -> httpx.Response | None:
        """The answer; None when the connection was cut before it came. Waits for a service that is not there."""
        while True:
            try:
                answer = self._doors.send(method, path, elsewhere=elsewhere, **more)
            except httpx.ConnectError:
                # Not sent: it is as if it had never been asked.
                self._doors.move_on()
                if self._stopping.wait(0.05):
                    raise _Stopped from None
            except httpx.TransportError:
                self._doors.move_on()
                return None
            else:
                if answer.status_code in _PASSING:
                    self._doors.move_on()
                if answer.status_code != 401:
                    return answer
                self._log_in(answer)

    def _log_in(self, refused: httpx.Response) -> None:
        """The clock jumped past the life of the token: only where a clock jumps as far as that."""
        if self._doors.several:
            self._journal.violation(f"a token is not good everywhere: {refused.url} answers {refused.text}")
        try:
            self._doors.log_in()
        except ClientError:
            time.sleep(0.05)


class _Stopped(Exception):
    """The client was asked to stop while there was nobody to ask."""
