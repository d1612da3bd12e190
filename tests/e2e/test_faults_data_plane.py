"""What jobs and synchronous operations say while the data plane does not answer, is gone, or comes back."""

import fcntl
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stand import Api, Backends, Service, ask, can_connect, eventually, running_service
from tests.contract.wire import assert_job, member, refusal
from tests.traffic import await_answers, halted

SOON = 4
"""Seconds: what is to succeed does so in time, even if the machine stands still for a moment."""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Synchronous operations answer soon, jobs have all the time that they need."""
    with running_service(tmp_path_factory.mktemp("patient") / "data", "api.sync_wait=0.2") as service:
        yield service


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Jobs fail soon, before synchronous operations give up waiting."""
    settings = (f"jobs.time_limit={SOON}", "api.sync_wait=20")
    with running_service(tmp_path_factory.mktemp("impatient") / "data", *settings) as it:
        yield it


def with_listener(api: Api, backend_port: int, **fields: Any) -> tuple[str, str, str]:
    """Ids of a load balancer and its listener, and the address."""
    load_balancer = api.create_load_balancer()
    listener = api.create_listener(load_balancer["id"], backend_port=backend_port, **fields)
    return load_balancer["id"], listener["id"], load_balancer["vip_address"]


def everything(api: Api, *listeners: str) -> list[object]:
    paths = ["/elbaas/loadbalancers", "/elbaas/listeners", *(f"/elbaas/listeners/{id}/members" for id in listeners)]
    return [api.ok("GET", path) for path in paths]


def test_a_job_is_running_while_the_data_plane_does_not_answer_and_succeeds_once_it_does(
    patient: Service, backends: Backends
) -> None:
    with Api(patient) as api:
        load_balancer, listener, address = with_listener(api, backends.port)
        with halted(patient.envoy_pid):
            task = api.ok("POST", f"/elbaas/listeners/{listener}/members", json=[member(1)])
            job = eventually(lambda: job if (job := api.job(task["job_id"]))["status"] == "RUNNING" else {})
            assert_job(job)
            assert job["end_time"] == ""
            assert (job["error_code"], job["fail_reason"]) == (None, None)
            [entity] = job["entities"]["members"]
            assert entity["status"] == "PENDING"
            path = f"/elbaas/listeners/{listener}/members"
            assert [one["status"] for one in api.ok("GET", path)] == ["PENDING"]
            assert len(api.ok("GET", path, params={"status": "PENDING"})) == 1
            # Jobs of one load balancer take effect in order; the later one waits as well.
            later = api.ok("PUT", f"/elbaas/loadbalancers/{load_balancer}", json={"name": "later"})
            # Another load balancer, about which the data plane has nothing to say, goes on.
            api.create_load_balancer()
            assert api.job(task["job_id"])["status"] == "RUNNING"
            assert api.job(later["job_id"])["end_time"] == ""
        ended = api.ended(task["job_id"])
        assert ended["status"] == "SUCCESS"
        assert ended["entities"]["members"] == [entity | {"status": "ACTIVE"}]
        assert api.ended(later["job_id"])["status"] == "SUCCESS"
        assert can_connect(address, 8080)


def test_a_listener_that_is_not_confirmed_in_time_is_pending_and_becomes_active(
    patient: Service, backends: Backends
) -> None:
    with Api(patient) as api:
        load_balancer = api.create_load_balancer()
        with halted(patient.envoy_pid):
            answer = api.call("POST", "/elbaas/listeners", json=api.listener_body(load_balancer["id"]))
            assert answer.status_code == 200
            listener = answer.json()
            assert listener["status"] == "PENDING_CREATE"
            assert api.ok("GET", f"/elbaas/listeners/{listener['id']}")["status"] == "PENDING_CREATE"
            found = api.ok("GET", "/elbaas/listeners", params={"status": "PENDING_CREATE"})
            assert [one["id"] for one in found] == [listener["id"]]
        path = f"/elbaas/listeners/{listener['id']}"
        eventually(lambda: api.ok("GET", path)["status"] == "ACTIVE")
        assert can_connect(load_balancer["vip_address"], 8080)


def test_updates_and_deletes_that_are_not_confirmed_in_time_come_into_force_later(
    patient: Service, backends: Backends
) -> None:
    with Api(patient) as api:
        _, listener, address = with_listener(api, backends.port)
        path = f"/elbaas/listeners/{listener}"
        with halted(patient.envoy_pid):
            moved = api.ok("PUT", path, json={"port": 8081})
            assert moved["port"] == 8081
            check = api.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener})
            assert api.call("DELETE", f"/elbaas/healthcheck/{check['id']}").status_code == 204
        eventually(lambda: can_connect(address, 8081))
        eventually(lambda: not can_connect(address, 8080))
        with halted(patient.envoy_pid):
            assert api.call("DELETE", path).status_code == 204
            assert refusal(api.call("GET", path)) == (404, "ELB.6010")
            assert refusal(api.call("DELETE", path)) == (404, "ELB.6002")
        eventually(lambda: not can_connect(address, 8081))


def test_a_load_balancer_that_is_being_deleted_takes_no_more_changes(patient: Service, backends: Backends) -> None:
    with Api(patient) as api:
        load_balancer, listener, address = with_listener(api, backends.port)
        path = f"/elbaas/loadbalancers/{load_balancer}"
        with halted(patient.envoy_pid):
            task = api.ok("DELETE", path)
            calls: list[tuple[str, str, object]] = [
                ("PUT", path, {"name": "n"}),
                ("DELETE", path, None),
                ("POST", "/elbaas/listeners", api.listener_body(load_balancer, port=8081)),
                ("POST", f"/elbaas/listeners/{listener}/members", [member(1)]),
            ]
            for method, call_path, body in calls:
                answer = api.call(method, call_path, json=body)
                assert refusal(answer) == (409, "Conflict"), (method, call_path)
        assert api.ended(task["job_id"])["status"] == "SUCCESS"
        assert not can_connect(address, 8080)


def test_what_is_not_confirmed_within_the_time_limit_fails_and_is_taken_back(
    impatient: Service, backends: Backends
) -> None:
    with Api(impatient) as api:
        load_balancer, listener, address = with_listener(api, backends.port)
        [kept] = api.add_members(listener, backends.addresses[0])
        path = f"/elbaas/listeners/{listener}"
        lb_path = f"/elbaas/loadbalancers/{load_balancer}"
        before = everything(api, listener)
        tasks: list[tuple[str, str, object]] = [
            ("POST", f"{path}/members", [member(1), member(2)]),
            ("POST", f"{path}/members/action", {"removeMember": [{"id": kept}]}),
            ("PUT", lb_path, {"name": "other", "description": "d", "bandwidth": 9}),
            ("PUT", lb_path, {"admin_state_up": 0}),
        ]
        with halted(impatient.envoy_pid):
            accepted = [api.ok(method, call_path, json=body)["job_id"] for method, call_path, body in tasks]
            for job_id in accepted:
                job = api.ended(job_id)
                assert_job(job)
                assert (job["status"], job["error_code"]) == ("FAIL", "ELB.9006")
                assert f"time limit of {SOON} s" in job["fail_reason"]
                assert job["end_time"] > job["begin_time"]
            # Going back is a change as well, which the data plane has not seen yet; users see it at once.
            assert same(everything(api, listener), before)
            body = api.listener_body(load_balancer, port=8081)
            answer = api.call("POST", "/elbaas/listeners", json=body)
            assert refusal(answer) == (409, "ELB.9007")
            assert f"time limit of {SOON} s" in answer.json()["detail"]
            for method, call_path, change in (
                ("PUT", path, {"port": 8082, "name": "n"}),
                ("DELETE", path, None),
                ("POST", "/elbaas/healthcheck", {"listener_id": listener}),
            ):
                assert refusal(api.call(method, call_path, json=change)) == (409, "ELB.9007"), (method, call_path)
            assert same(everything(api, listener), before)
        api.succeed("PUT", lb_path, json={"description": ""})
        assert ask(address, 8080, 3) == Counter({backends.addresses[0]: 3})
        assert not can_connect(address, 8081)
        assert not can_connect(address, 8082)
        api.create_listener(load_balancer, port=8081)


def test_a_deletion_that_is_not_confirmed_within_the_time_limit_is_taken_back(
    impatient: Service, backends: Backends
) -> None:
    with Api(impatient) as api:
        load_balancer, _, address = with_listener(api, backends.port)
        path = f"/elbaas/loadbalancers/{load_balancer}"
        before = everything(api)
        for tail in ("", "/keep-eip"):
            with halted(impatient.envoy_pid):
                job = api.ended(api.ok("DELETE", path + tail)["job_id"])
                assert (job["status"], job["error_code"]) == ("FAIL", "ELB.9006")
                assert same(everything(api), before)
            api.succeed("PUT", path, json={"description": ""})
            assert can_connect(address, 8080)
        api.succeed("DELETE", path)
        assert not can_connect(address, 8080)


def test_without_any_node_a_job_stays_init_and_succeeds_when_one_is_back(patient: Service, backends: Backends) -> None:
    with Api(patient) as api:
        _, listener, address = with_listener(api, backends.port)
        with no_envoy(patient):
            task = api.ok("POST", "/elbaas/loadbalancers", json=new_load_balancer())
            job = api.job(task["job_id"])
            assert (job["status"], job["end_time"]) == ("INIT", "")
            assert job["entities"]["elb"]["status"] == "PENDING_CREATE"
            shown = api.ok("GET", f"/elbaas/loadbalancers/{job['entities']['elb']['id']}")
            assert shown["status"] == "PENDING_CREATE"
            assert shown["vip_address"] == job["entities"]["elb"]["vip_address"]
            # A client that waits for a job to leave INIT sees nothing else until a node is there.
            members = api.ok("POST", f"/elbaas/listeners/{listener}/members", json=[member(1)])
            assert api.job(task["job_id"])["status"] == "INIT"
        for accepted in (task, members):
            assert api.ended(accepted["job_id"])["status"] == "SUCCESS"
        assert can_connect(address, 8080)


def test_without_any_node_a_job_fails_at_its_time_limit_and_gives_the_address_back(impatient: Service) -> None:
    with Api(impatient) as api:
        before = everything(api)
        with no_envoy(impatient):
            job = api.ended(api.ok("POST", "/elbaas/loadbalancers", json=new_load_balancer())["job_id"])
            assert (job["status"], job["error_code"]) == ("FAIL", "ELB.9006")
            assert "No data-plane node was connected" in job["fail_reason"]
            assert job["entities"]["elb"]["status"] == "ERROR"
            assert everything(api) == before
            address = job["entities"]["elb"]["vip_address"]
            answer = api.call("POST", "/elbaas/loadbalancers", json=new_load_balancer(vip_address=address))
            assert refusal(answer) == (404, "ELB.4003")
        api.create_load_balancer()


def test_an_exhausted_pool_fails_the_job_with_its_own_code_and_takes_nothing(tmp_path: Path) -> None:
    pools = ("addresses.external=127.11.0.0/30", "addresses.internal=127.11.0.4/30")
    with running_service(tmp_path / "data", *pools) as service, Api(service) as api:
        internal = {"type": "Internal", "vip_subnet_id": "s", "security_group_id": "g"}
        kinds: list[tuple[dict[str, Any], str]] = [({}, "ELB.4001"), (internal, "ELB.3001")]
        for fields, code in kinds:
            made = [api.create_load_balancer(**fields) for _ in range(2)]
            before = everything(api)
            task = api.ok("POST", "/elbaas/loadbalancers", json=new_load_balancer(**fields))
            job = api.ended(task["job_id"])
            assert (job["status"], job["error_code"]) == ("FAIL", code)
            assert "in use" in job["fail_reason"]
            assert everything(api) == before
            api.succeed("DELETE", f"/elbaas/loadbalancers/{made[0]['id']}")
            api.create_load_balancer(**fields)


def test_a_killed_envoy_is_started_again_and_every_listener_serves(patient: Service, backends: Backends) -> None:
    with Api(patient) as api:
        places = []
        for port in (8080, 8081, 8082):
            _, listener, address = with_listener(api, backends.port, port=port, protocol=("TCP", "HTTP")[port % 2])
            api.add_members(listener, *backends.addresses)
            places.append((address, port))
        for _ in range(2):
            killed = patient.envoy_pid
            os.kill(killed, signal.SIGKILL)
            await_another_envoy(patient, killed)
            for place in places:
                await_answers(*place)
                assert ask(*place, 3).keys() <= set(backends.addresses)
            api.succeed("PUT", f"/elbaas/loadbalancers/{api.create_load_balancer()['id']}", json={"name": "n"})


def await_another_envoy(service: Service, than: int) -> None:
    eventually(lambda: service.envoy_pid != than)


@contextmanager
def no_envoy(service: Service) -> Iterator[None]:
    """End Envoy and keep its place taken, so that none can be started."""
    with (service.data_dir / "run" / "envoy.lock").open("rb+") as lock:
        # Asked for before the place is free, and so given to us and not to the next Envoy.
        taking = threading.Thread(target=fcntl.flock, args=(lock, fcntl.LOCK_EX))
        taking.start()
        os.kill(service.envoy_pid, signal.SIGKILL)
        taking.join()
        gone = '"event":"node_disconnected"'
        before = service.log().count('"event":"node_connected"')
        eventually(lambda: service.log().count(gone) == before)
        yield
        # Before the place is free: the next Envoy may be there at once.
        lines = service.log().count('"event":"node_connected"')
    eventually(lambda: service.log().count('"event":"node_connected"') > lines)


def same(now: list[object], before: list[object]) -> bool:
    """Equal but for the times of updates."""
    return without_times(now) == without_times(before)


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key != "update_time"}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def new_load_balancer(**fields: Any) -> dict[str, Any]:
    return {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 1, "admin_state_up": 1} | fields
