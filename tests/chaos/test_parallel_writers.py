"""Many clients change one load balancer at once: they queue in order, and what comes of it is one whole state."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from stand import Api, Backends, Service, running_backends
from tests.chaos.checker import Checker
from tests.chaos.journal import Journal

WRITERS = 8
ROUNDS = 4
SHARED_PORT = 9000


def change_all(api: Api, load_balancer: str, shared: str, backends: Backends, number: int) -> list[httpx.Response]:
    """What one writer does: to a listener of its own, to one that all share, and to the load balancer itself."""
    address = backends.addresses[number % len(backends.addresses)]
    answers = []
    for round in range(ROUNDS):
        own = api.create_listener(load_balancer, port=9001 + number, backend_port=backends.port, protocol="TCP")
        wanted = [{"server_id": f"s-{address}", "address": address}]
        answers += [
            api.call("POST", f"/elbaas/listeners/{own['id']}/members", json=wanted),
            api.call("POST", f"/elbaas/listeners/{shared}/members", json=wanted),
            api.call(
                "PUT", f"/elbaas/listeners/{shared}", json={"lb_algorithm": "source" if round % 2 else "roundrobin"}
            ),
            api.call("PUT", f"/elbaas/loadbalancers/{load_balancer}", json={"description": f"{number}-{round}"}),
        ]
        if round < ROUNDS - 1:
            answers.append(api.call("DELETE", f"/elbaas/listeners/{own['id']}"))
    return answers


def test_parallel_writers_of_one_load_balancer_leave_one_state_and_it_is_served(own_service: Service) -> None:
    with Api(own_service) as api, running_backends(3) as backends:
        load_balancer = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")["id"]
        shared = api.create_listener(load_balancer, port=SHARED_PORT, backend_port=backends.port)["id"]
        begin = threading.Barrier(WRITERS)

        def write(number: int) -> list[httpx.Response]:
            with Api(own_service) as own:
                begin.wait()
                return change_all(own, load_balancer, shared, backends, number)

        with ThreadPoolExecutor(WRITERS) as pool:
            answers = [answer for of_one in pool.map(write, range(WRITERS)) for answer in of_one]
        assert {answer.status_code for answer in answers} <= {200, 204}
        jobs = [answer.json()["job_id"] for answer in answers if answer.content and "job_id" in answer.json()]
        assert {api.ended(job)["status"] for job in jobs} == {"SUCCESS"}
        assert len(set(jobs)) == len(jobs) == WRITERS * ROUNDS * 3

        listeners = {one["port"]: one for one in api.ok("GET", "/elbaas/listeners")}
        assert listeners.keys() == {SHARED_PORT, *(9001 + number for number in range(WRITERS))}
        assert {one["status"] for one in listeners.values()} == {"ACTIVE"}
        members = api.ok("GET", f"/elbaas/listeners/{shared}/members")
        assert sorted(one["address"] for one in members) == sorted(backends.addresses)
        shown = api.ok("GET", f"/elbaas/loadbalancers/{load_balancer}")
        assert shown["description"] in {f"{number}-{ROUNDS - 1}" for number in range(WRITERS)}
        assert Checker([own_service], [api], Journal()).check_in_force() == []
