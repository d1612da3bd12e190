"""kill -9 of the service at any moment: traffic goes on, nothing accepted is lost, everything comes to an end."""

import os
import random
import signal
import threading
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from equipoise.client import ClientError, NoAnswer
from stand import Api, Backends, Service, ask, can_connect, eventually
from tests.contract.wire import member
from tests.traffic import asking, halted

ROUNDS = 5


@dataclass
class Workload:
    """Changes everything all the time, in a thread of its own, and notes what was accepted: answers received."""

    api: Api
    chance: random.Random
    jobs: list[str] = field(default_factory=list)
    listeners: dict[str, str] = field(default_factory=dict)  # id -> that of its load balancer
    deleted: set[str] = field(default_factory=set)
    asked_to_delete: set[str] = field(default_factory=set)
    answered: int = 0

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._failed: ClientError | None = None
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def await_answers(self, count: int) -> None:
        eventually(lambda: self.answered >= count)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._one_load_balancer()
        except NoAnswer:
            pass  # the service was killed: what this one was about to say is not known
        except ClientError as error:
            self._failed = error

    def _one_load_balancer(self) -> None:
        body = {"name": "work", "vpc_id": "v", "type": "Internal", "vip_subnet_id": "s", "security_group_id": "g"}
        task = self._task("POST", "/elbaas/loadbalancers", body | {"admin_state_up": 1})
        load_balancer = self.api.job(task)["entities"]["elb"]["id"]
        for port in (8080, 8081):
            listener = self._ask("POST", "/elbaas/listeners", self.api.listener_body(load_balancer, port=port))
            self.listeners[listener["id"]] = load_balancer
            path = f"/elbaas/listeners/{listener['id']}"
            self._task("POST", f"{path}/members", [member(number) for number in range(self.chance.randint(1, 5))])
            if self.chance.random() < 0.5:
                self._ask("POST", "/elbaas/healthcheck", {"listener_id": listener["id"]})
            self._ask("PUT", path, {"lb_algorithm": self.chance.choice(["leastconn", "source"])})
        self._task("PUT", f"/elbaas/loadbalancers/{load_balancer}", {"name": "changed"})
        if self.chance.random() < 0.5:
            self.asked_to_delete.add(load_balancer)
            self._task("DELETE", f"/elbaas/loadbalancers/{load_balancer}", None)
            self.deleted.add(load_balancer)

    def _task(self, method: str, path: str, body: object) -> str:
        job: str = self._ask(method, path, body)["job_id"]
        self.jobs.append(job)
        return job

    def _ask(self, method: str, path: str, body: object) -> Any:
        answer = self.api.ok(method, path, json=body)
        self.answered += 1
        return answer


def settled(api: Api) -> bool:
    """Whether nothing waits any more."""
    load_balancers = api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]
    return all(one["status"] == "ACTIVE" for one in load_balancers + api.ok("GET", "/elbaas/listeners"))


def test_kill_9_at_any_moment_costs_no_request_and_loses_no_job(own_service: Service, backends: Backends) -> None:
    # The seed only makes the moments differ; which they are must not matter.
    chance = random.Random(2017)
    service = own_service
    with Api(service) as api:
        load_balancer = api.create_load_balancer(name="steady")
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], *backends.addresses)
        envoy = service.envoy_pid
        works: list[Workload] = []
        with asking(load_balancer["vip_address"], 8080) as asker:
            for _ in range(ROUNDS):
                work = Workload(api, chance)
                works.append(work)
                busy = chance.randint(1, 12)
                work.await_answers(busy)
                threading.Event().wait(chance.random() * 0.02)
                service.kill()
                work.stop()
                asker.more(20)
                service.start()
                assert service.envoy_pid == envoy
            jobs = [job for work in works for job in work.jobs]
            assert {api.ended(job)["status"] for job in jobs} == {"SUCCESS"}
            eventually(lambda: settled(api))
            assert asker.failures == []
        shown = api.ok("GET", f"/elbaas/loadbalancers/{load_balancer['id']}")
        assert shown == load_balancer
        present = {one["id"]: one for one in api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]}
        assert len({one["vip_address"] for one in present.values()}) == len(present)
        listeners = {one["id"]: one for one in api.ok("GET", "/elbaas/listeners")}
        for one in listeners.values():
            assert can_connect(present[one["loadbalancer_id"]]["vip_address"], one["port"])
        for work in works:
            assert present.keys().isdisjoint(work.deleted)
            # What was answered is there, unless it went with its load balancer.
            lost = {work.listeners[id] for id in work.listeners.keys() - listeners.keys()}
            assert lost <= work.asked_to_delete
        ask(load_balancer["vip_address"], 8080, 3)


def test_a_killed_service_finishes_what_it_had_accepted_after_its_next_start(
    own_service: Service, backends: Backends
) -> None:
    service = own_service
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        with halted(service.envoy_pid):
            wanted = [{"server_id": f"s-{address}", "address": address} for address in backends.addresses]
            task = api.ok("POST", f"/elbaas/listeners/{listener['id']}/members", json=wanted)
            ids = [one["id"] for one in api.job(task["job_id"])["entities"]["members"]]
            service.kill()
        service.start()
        # The same token counts, the same job ends, and what it made was made once.
        assert api.ended(task["job_id"])["status"] == "SUCCESS"
        members = api.ok("GET", f"/elbaas/listeners/{listener['id']}/members")
        assert sorted(one["id"] for one in members) == sorted(ids)
        assert sorted(ask(load_balancer["vip_address"], 8080, 30)) == sorted(backends.addresses)
        story = [event["status"] for event in service.log_events() if event.get("job_id") == task["job_id"]]
        assert story[0] == "INIT"
        assert story[-1] == "SUCCESS"
        assert story.count("SUCCESS") == 1


def test_envoy_and_service_killed_together_come_back_as_they_were(own_service: Service, backends: Backends) -> None:
    service = own_service
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], *backends.addresses)
        before = api.ok("GET", "/elbaas/loadbalancers"), api.ok("GET", "/elbaas/listeners")
        envoy = service.envoy_pid
        service.kill()
        os.kill(envoy, signal.SIGKILL)
        service.start()
        assert service.envoy_pid != envoy
        eventually(lambda: can_connect(load_balancer["vip_address"], 8080))
        assert sorted(ask(load_balancer["vip_address"], 8080, 30)) == sorted(backends.addresses)
        assert (api.ok("GET", "/elbaas/loadbalancers"), api.ok("GET", "/elbaas/listeners")) == before


def transitions(service: Service) -> list[tuple[str, str]]:
    return [(event["job_type"], event["status"]) for event in service.log_events() if event["event"] == "job"]


def delete_unanswered(api: Api, listener_id: str) -> None:
    with pytest.raises(httpx.TransportError):
        api.call("DELETE", f"/elbaas/listeners/{listener_id}")


def test_a_listener_created_after_a_takeover_serves_and_what_went_meanwhile_is_gone(
    own_service: Service, backends: Backends
) -> None:
    service = own_service
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        address = load_balancer["vip_address"]
        goes = api.create_listener(load_balancer["id"], port=8081, backend_port=backends.port)
        with halted(service.envoy_pid):
            # Accepted but not seen by the data plane when the service dies.
            removed = threading.Thread(target=delete_unanswered, args=(api, goes["id"]))
            removed.start()
            eventually(lambda: '"job_type":"deleteListener"' in service.log())
            service.kill()
            removed.join()
        service.start()
        # The port is free for another listener when the job has ended, not when it has stopped answering.
        eventually(lambda: ("deleteListener", "SUCCESS") in transitions(service))
        assert not can_connect(address, 8081)
        assert api.ok("GET", "/elbaas/listeners") == []
        made = api.create_listener(load_balancer["id"], port=8081, backend_port=backends.port)
        api.add_members(made["id"], *backends.addresses)
        assert sorted(ask(address, 8081, 30)) == sorted(backends.addresses)
