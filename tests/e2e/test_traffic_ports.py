"""A port that somebody else holds: whoever asks is told, nothing is left behind, and nobody else is harmed."""

from collections import Counter
from collections.abc import Iterator

import pytest

from stand import Api, Backends, ask, can_connect
from tests.contract.wire import refusal
from tests.traffic import asking, port_taken


@pytest.fixture
def place(api: Api) -> Iterator[tuple[str, str]]:
    """Id and address of an Internal load balancer: it goes with all below it."""
    load_balancer = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
    yield load_balancer["id"], load_balancer["vip_address"]
    api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")


def assert_tells(reason: str, address: str, port: int) -> None:
    """The reason names address and port, and says why."""
    assert f"{address}:{port}" in reason
    assert "in use" in reason or "held by" in reason


def listeners(api: Api, load_balancer_id: str) -> list[object]:
    found: list[object] = api.ok("GET", "/elbaas/listeners", params={"loadbalancer_id": load_balancer_id})
    return found


@pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
def test_creating_a_listener_on_a_taken_port_is_409_and_leaves_nothing(
    api: Api, place: tuple[str, str], backends: Backends, protocol: str
) -> None:
    load_balancer, address = place
    serving = api.create_listener(load_balancer, port=8090, backend_port=backends.port)
    api.add_members(serving["id"], backends.addresses[0])
    before = listeners(api, load_balancer)
    body = api.listener_body(load_balancer, protocol=protocol, backend_port=backends.port)
    with asking(address, 8090) as asker:
        for shared in (False, True):
            with port_taken(address, 8080, shared=shared):
                for _ in range(2):
                    answer = api.call("POST", "/elbaas/listeners", json=body)
                    assert refusal(answer) == (409, "ELB.9007")
                    assert_tells(answer.json()["detail"], address, 8080)
                    assert listeners(api, load_balancer) == before
        with port_taken(address, 8080):
            assert api.call("POST", "/elbaas/listeners", json=body).status_code == 409
            # The refused one is in nobody's way.
            other = api.create_listener(load_balancer, port=8091)
            assert can_connect(address, 8091)
            api.ok("DELETE", f"/elbaas/listeners/{other['id']}")
        assert not can_connect(address, 8080)
        created = api.ok("POST", "/elbaas/listeners", json=body)
        assert created["status"] == "ACTIVE"
        api.add_members(created["id"], backends.addresses[0])
        assert ask(address, 8080) == Counter({backends.addresses[0]: 1})
        assert asker.failures == []


def test_moving_a_listener_to_a_taken_port_is_409_and_the_old_port_serves_the_whole_time(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    load_balancer, address = place
    listener = api.create_listener(load_balancer, backend_port=backends.port)
    api.add_members(listener["id"], backends.addresses[0])
    path = f"/elbaas/listeners/{listener['id']}"
    with asking(address, 8080) as asker:
        with port_taken(address, 8081):
            for _ in range(3):
                answer = api.call("PUT", path, json={"port": 8081, "name": "moved"})
                assert refusal(answer) == (409, "ELB.9007")
                assert_tells(answer.json()["detail"], address, 8081)
                shown = api.ok("GET", path)
                assert shown | {"update_time": listener["update_time"]} == listener
                asker.more(3)
        assert asker.failures == []
    assert api.ok("PUT", path, json={"port": 8081})["port"] == 8081
    assert ask(address, 8081) == Counter({backends.addresses[0]: 1})
    assert not can_connect(address, 8080)


def test_starting_a_load_balancer_whose_port_got_taken_fails_and_it_is_stopped_as_before(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    load_balancer, address = place
    path = f"/elbaas/loadbalancers/{load_balancer}"
    for port in (8080, 8081):
        listener = api.create_listener(load_balancer, port=port, backend_port=backends.port)
        api.add_members(listener["id"], backends.addresses[0])
    api.succeed("PUT", path, json={"admin_state_up": 0})
    before = api.ok("GET", path), listeners(api, load_balancer)
    with port_taken(address, 8080):
        job = api.ended(api.ok("PUT", path, json={"admin_state_up": 1})["job_id"])
        assert (job["status"], job["error_code"]) == ("FAIL", "ELB.9007")
        assert_tells(job["fail_reason"], address, 8080)
        assert job["end_time"] >= job["begin_time"]
        shown = api.ok("GET", path), listeners(api, load_balancer)
        assert shown[0]["admin_state_up"] == 0
        assert shown[1] == before[1]
        # Going back is one more generation: once a later change is confirmed, so is that.
        api.succeed("PUT", path, json={"description": "after"})
        assert not can_connect(address, 8081)
    api.succeed("PUT", path, json={"admin_state_up": 1})
    for port in (8080, 8081):
        assert ask(address, port) == Counter({backends.addresses[0]: 1})


def test_starting_a_listener_whose_port_got_taken_is_409_and_it_is_stopped_as_before(
    api: Api, place: tuple[str, str]
) -> None:
    load_balancer, address = place
    path = f"/elbaas/listeners/{api.create_listener(load_balancer)['id']}"
    stopped = api.ok("PUT", path, json={"admin_state_up": False})
    with port_taken(address, 8080):
        answer = api.call("PUT", path, json={"admin_state_up": True})
        assert refusal(answer) == (409, "ELB.9007")
        assert api.ok("GET", path) | {"update_time": stopped["update_time"]} == stopped
    assert api.ok("PUT", path, json={"admin_state_up": True})["admin_state_up"] is True
    assert can_connect(address, 8080)


def test_another_load_balancer_is_not_held_up_by_a_refusal(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    load_balancer, address = place
    other = api.create_load_balancer()
    listener = api.create_listener(other["id"], backend_port=backends.port)
    api.add_members(listener["id"], backends.addresses[0])
    with port_taken(address, 8080), asking(other["vip_address"], 8080) as asker:
        for number in range(5):
            body = api.listener_body(load_balancer)
            assert api.call("POST", "/elbaas/listeners", json=body).status_code == 409
            api.succeed("PUT", f"/elbaas/loadbalancers/{other['id']}", json={"name": f"n-{number}"})
            made = api.create_listener(other["id"], port=8081)
            api.ok("DELETE", f"/elbaas/listeners/{made['id']}")
        assert asker.failures == []
