"""Health checks: who gets traffic, what users are told, and how soon."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from stand import Api, Backends, ask, assert_even, eventually
from tests.traffic import asking

PORT = 8080
INTERVAL = 1
THRESHOLD = 2
BOUND = THRESHOLD * INTERVAL + INTERVAL
"""Seconds within which a change of health is to be seen."""
SLACK = 4.0
"""Seconds that a slow machine may take for everything else."""


@pytest.fixture
def place(api: Api, backends: Backends) -> Iterator[tuple[str, str]]:
    """Id of a listener with three members and the address that it serves on."""
    load_balancer = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
    listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
    api.add_members(listener["id"], *backends.addresses)
    yield listener["id"], load_balancer["vip_address"]
    api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")


def check(api: Api, listener_id: str, **fields: Any) -> str:
    body = {
        "listener_id": listener_id,
        "healthcheck_protocol": "HTTP",
        "healthcheck_uri": "/health",
        "healthy_threshold": THRESHOLD,
        "unhealthy_threshold": THRESHOLD,
        "healthcheck_timeout": 1,
        "healthcheck_interval": INTERVAL,
    }
    return str(api.ok("POST", "/elbaas/healthcheck", json=body | fields)["id"])


def health(api: Api, listener_id: str) -> dict[str, str]:
    members = api.ok("GET", f"/elbaas/listeners/{listener_id}/members")
    return {member["address"]: member["health_status"] for member in members}


def eventually_health(api: Api, listener_id: str, wanted: dict[str, str]) -> None:
    """Wait for the health of some members; it must come within the bound."""
    eventually(lambda: health(api, listener_id) | wanted == health(api, listener_id), BOUND + SLACK)


def test_a_member_that_fails_its_check_is_abnormal_in_time_gets_nothing_and_comes_back(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    listener, address = place
    well, failing, down = backends.addresses
    assert set(health(api, listener).values()) == {"UNAVAILABLE"}
    id = check(api, listener)
    eventually_health(api, listener, dict.fromkeys(backends.addresses, "NORMAL"))
    assert_even(ask(address, PORT, 12), backends.addresses)

    # One failure less than the threshold is none.
    checks = backends[0].checks
    backends[0].failing_checks = THRESHOLD - 1
    backends[1].healthy = False
    backends.stop(2)
    eventually_health(api, listener, {failing: "ABNORMAL", down: "ABNORMAL"})
    eventually(lambda: backends[0].checks > checks + THRESHOLD)
    assert health(api, listener) == {well: "NORMAL", failing: "ABNORMAL", down: "ABNORMAL"}
    for status, expected in (("NORMAL", [well]), ("ABNORMAL", sorted([failing, down])), ("UNAVAILABLE", [])):
        found = api.ok("GET", f"/elbaas/listeners/{listener}/members", params={"health_status": status})
        assert sorted(member["address"] for member in found) == expected
    assert ask(address, PORT, 20) == Counter({well: 20})

    backends[1].healthy = True
    backends.restart(2)
    eventually_health(api, listener, dict.fromkeys(backends.addresses, "NORMAL"))
    # Members that have come back get few requests at first.
    eventually(lambda: set(ask(address, PORT, 12)) == set(backends.addresses))

    backends[1].healthy = False
    eventually_health(api, listener, {failing: "ABNORMAL"})
    api.ok("DELETE", f"/elbaas/healthcheck/{id}")
    assert set(health(api, listener).values()) == {"UNAVAILABLE"}
    # Nothing checks it any more: it counts as able to serve.
    assert_even(ask(address, PORT, 12), backends.addresses)


def test_with_every_member_abnormal_clients_get_503_and_nobody_a_request(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    listener, address = place
    for number in range(3):
        backends[number].healthy = False
    check(api, listener)
    eventually_health(api, listener, dict.fromkeys(backends.addresses, "ABNORMAL"))
    before = backends.counts()
    assert ask(address, PORT, 5) == Counter({"503": 5})
    assert backends.counts() == before


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_the_check_may_be_on_another_port_and_of_either_protocol(
    api: Api, place: tuple[str, str], backends: Backends, protocol: str
) -> None:
    listener, address = place
    backends.stop(1)
    nobody = backends.port + 1 if backends.port < 65535 else backends.port - 1
    id = check(api, listener, healthcheck_protocol=protocol, healthcheck_connect_port=nobody)
    eventually_health(api, listener, dict.fromkeys(backends.addresses, "ABNORMAL"))
    api.ok("PUT", f"/elbaas/healthcheck/{id}", json={"healthcheck_connect_port": backends.port})
    well, down, other = backends.addresses
    eventually_health(api, listener, {well: "NORMAL", down: "ABNORMAL", other: "NORMAL"})
    assert_even(ask(address, PORT, 12), [well, other])
    backends.restart(1)
    eventually_health(api, listener, {down: "NORMAL"})


def test_a_member_that_goes_down_costs_requests_only_until_it_is_abnormal(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    listener, address = place
    check(api, listener)
    eventually_health(api, listener, dict.fromkeys(backends.addresses, "NORMAL"))
    with asking(address, PORT) as asker:
        backends.stop(2)
        eventually_health(api, listener, {backends.addresses[2]: "ABNORMAL"})
        seen = time.monotonic()
        asker.more(20)
        answers = asker.since(seen)
    assert sorted(answers) == backends.addresses[:2], answers
