"""UDP on the wire (classic-api.md): listeners and health checks, and the errors that only they have."""

from typing import Any

import httpx
import pytest

from stand import Api

LISTENERS, CHECKS = "/elbaas/listeners", "/elbaas/healthcheck"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def load_balancer(api: Api) -> str:
    return str(api.create_load_balancer()["id"])


@pytest.fixture
def listener(api: Api) -> str:
    load_balancer = api.create_load_balancer()["id"]
    return str(api.create_listener(load_balancer, protocol="UDP", port=53)["id"])


def test_a_udp_listener_has_the_fields_of_the_contract(api: Api) -> None:
    body = api.listener_body(api.create_load_balancer()["id"], protocol="UDP", port=5353, udp_timeout=7)
    created = api.ok("POST", LISTENERS, json=body)
    assert created | body == created
    assert (created["status"], created["session_sticky"]) == ("ACTIVE", False)
    without = ("tcp_timeout", "tcp_draining", "tcp_draining_timeout", "sticky_session_type", "cookie_timeout")
    assert [created[name] for name in without] == [None] * 5
    assert api.ok("GET", f"{LISTENERS}/{created['id']}") == created


def test_the_time_out_is_null_unless_given_and_can_be_changed(api: Api) -> None:
    created = api.create_listener(api.create_load_balancer()["id"], protocol="UDP")
    assert created["udp_timeout"] is None
    path = f"{LISTENERS}/{created['id']}"
    assert api.ok("PUT", path, json={"udp_timeout": 1440, "lb_algorithm": "source"})["udp_timeout"] == 1440
    for wrong in (0, 1441, "x", True):
        assert refusal(api.call("PUT", path, json={"udp_timeout": wrong}))[0] == 400
    assert api.ok("GET", path)["udp_timeout"] == 1440


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"udp_timeout": 0}, "Bad Request"),
        ({"udp_timeout": 1441}, "Bad Request"),
        ({"backend_protocol": "TCP"}, "ELB.6071"),
    ],
)
def test_what_breaks_a_rule_is_refused(api: Api, load_balancer: str, fields: dict[str, Any], code: str) -> None:
    body = api.listener_body(load_balancer, protocol="UDP", port=6000) | fields
    assert refusal(api.call("POST", LISTENERS, json=body)) == (400, code)


def test_udp_is_refused_on_an_internal_load_balancer(api: Api) -> None:
    internal = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")["id"]
    body = api.listener_body(internal, protocol="UDP")
    assert refusal(api.call("POST", LISTENERS, json=body))[0] == 400
    assert api.ok("GET", LISTENERS, params={"loadbalancer_id": internal}) == []


def test_a_port_counts_once_for_udp_and_once_for_all_that_runs_over_tcp(api: Api) -> None:
    load_balancer = api.create_load_balancer()["id"]
    first = api.create_listener(load_balancer, protocol="TCP", port=7000)
    second = api.create_listener(load_balancer, protocol="UDP", port=7000)
    for protocol in ("UDP", "HTTP"):
        body = api.listener_body(load_balancer, protocol=protocol, port=7000)
        assert refusal(api.call("POST", LISTENERS, json=body))[1] == "ELB.6101"
    # One that moves away leaves its port to its own kind alone.
    assert api.ok("PUT", f"{LISTENERS}/{first['id']}", json={"port": 7001})["port"] == 7001
    assert api.ok("PUT", f"{LISTENERS}/{second['id']}", json={"port": 7001})["port"] == 7001


@pytest.mark.parametrize("given", ["UDP", "udp", "Udp"])
def test_a_udp_check_has_the_fields_of_the_contract(api: Api, listener: str, given: str) -> None:
    body = {"listener_id": listener, "healthcheck_protocol": given, "healthcheck_uri": "not looked at"}
    created = api.ok("POST", CHECKS, json=body)
    assert (created["healthcheck_protocol"], created["healthcheck_uri"]) == ("UDP", None)
    assert api.ok("GET", f"{CHECKS}/{created['id']}") == created
    assert api.ok("GET", f"{LISTENERS}/{listener}")["healthcheck_id"] == created["id"]
    changed = api.ok("PUT", f"{CHECKS}/{created['id']}", json={"healthcheck_interval": 9})
    assert changed["healthcheck_interval"] == 9
    assert api.call("DELETE", f"{CHECKS}/{created['id']}").status_code == 204


@pytest.mark.parametrize("protocol", ["TCP", "HTTP", None])
def test_a_udp_listener_takes_only_udp_checks(api: Api, listener: str, protocol: str | None) -> None:
    body = {"listener_id": listener} | ({"healthcheck_protocol": protocol} if protocol else {})
    assert refusal(api.call("POST", CHECKS, json=body)) == (400, "ELB.7001")
    created = api.ok("POST", CHECKS, json={"listener_id": listener, "healthcheck_protocol": "UDP"})
    if protocol:
        answer = api.call("PUT", f"{CHECKS}/{created['id']}", json={"healthcheck_protocol": protocol})
        assert refusal(answer) == (400, "ELB.7001")
    assert api.ok("GET", f"{CHECKS}/{created['id']}") == created
