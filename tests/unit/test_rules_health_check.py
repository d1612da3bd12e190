"""The rules of a health check."""

from typing import Any

import pytest

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.records import HealthCheckFields, HealthCheckUpdate
from equipoise.api.classic.rules import health_check as rules

LISTENER = "3ce8c4429478a5eb6ef4930de2d75b28"
CURRENT: dict[str, Any] = {
    "listener_id": LISTENER,
    "healthcheck_protocol": "HTTP",
    "healthcheck_uri": "/health",
    "healthcheck_connect_port": None,
    "healthy_threshold": 3,
    "unhealthy_threshold": 3,
    "healthcheck_timeout": 10,
    "healthcheck_interval": 5,
}


def create_health_check(body: object, listener_protocol: str = "HTTP") -> HealthCheckFields:
    return rules.create_health_check(body, listener_protocol=listener_protocol)


def update_health_check(body: object, *, current: dict[str, Any], listener_protocol: str = "HTTP") -> HealthCheckUpdate:
    return rules.update_health_check(body, current=current, listener_protocol=listener_protocol, backend_port=9000)


def test_what_is_not_given_has_the_published_values() -> None:
    assert create_health_check({"listener_id": LISTENER}) == HealthCheckFields(
        listener_id=LISTENER,
        healthcheck_protocol="TCP",
        healthcheck_uri=None,
        healthcheck_connect_port=None,
        healthy_threshold=3,
        unhealthy_threshold=3,
        healthcheck_timeout=10,
        healthcheck_interval=5,
    )


def test_everything_given_is_taken() -> None:
    body = CURRENT | {"healthcheck_connect_port": "8080", "healthcheck_interval": 50, "healthy_threshold": 10}
    command = create_health_check(body)
    assert (command.healthcheck_connect_port, command.healthcheck_interval, command.healthy_threshold) == (8080, 50, 10)


@pytest.mark.parametrize(("given", "protocol"), [("http", "HTTP"), ("Tcp", "TCP"), ("udp", "UDP"), ("", "TCP")])
def test_the_protocol_may_be_in_any_case(given: str, protocol: str) -> None:
    body = {"listener_id": LISTENER, "healthcheck_protocol": given}
    assert create_health_check(body, "UDP" if protocol == "UDP" else "TCP").healthcheck_protocol == protocol


def test_the_uri_has_two_names_and_a_default() -> None:
    http = {"listener_id": LISTENER, "healthcheck_protocol": "HTTP"}
    assert create_health_check(http).healthcheck_uri == "/"
    assert create_health_check(http | {"healthcheck_path": "/a"}).healthcheck_uri == "/a"
    assert (
        create_health_check(http | {"healthcheck_path": "/a", "healthcheck_uri": "/b?c=d"}).healthcheck_uri == "/b?c=d"
    )
    longest = "/" + "x" * 79
    assert create_health_check(http | {"healthcheck_uri": longest}).healthcheck_uri == longest


def test_the_uri_means_nothing_without_http() -> None:
    assert create_health_check({"listener_id": LISTENER, "healthcheck_uri": 5}).healthcheck_uri is None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"listener_id": None}, Rule.HEALTH_CHECK_LISTENER_MISSING),
        ({"listener_id": ""}, Rule.HEALTH_CHECK_LISTENER_MISSING),
        ({"listener_id": "x"}, Rule.HEALTH_CHECK_LISTENER_UNKNOWN),
        ({"listener_id": 5}, Rule.HEALTH_CHECK_LISTENER_UNKNOWN),
        ({"healthcheck_protocol": "ICMP"}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_protocol": 5}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_uri": "health"}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_uri": "/" + "x" * 80}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_uri": "/ "}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_uri": "/\n"}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_uri": 5}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_connect_port": 0}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_connect_port": 65536}, Rule.HEALTH_CHECK_INVALID),
        ({"healthy_threshold": 0}, Rule.HEALTH_CHECK_INVALID),
        ({"healthy_threshold": 11}, Rule.HEALTH_CHECK_INVALID),
        ({"unhealthy_threshold": 11}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_timeout": 51}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_timeout": True}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_interval": 0}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_interval": 1.5}, Rule.HEALTH_CHECK_INVALID),
        ({"healthcheck_interval": 0, "listener_id": None}, Rule.HEALTH_CHECK_LISTENER_MISSING),
    ],
)
def test_a_field_that_breaks_its_rule(changes: dict[str, Any], rule: Rule) -> None:
    with pytest.raises(RuleBroken) as caught:
        create_health_check(CURRENT | changes)
    assert caught.value.rule is rule


def test_an_object_sent_back_as_it_was_read_changes_nothing() -> None:
    assert update_health_check(CURRENT, current=CURRENT).changes == {}
    assert update_health_check({}, current=CURRENT).changes == {}


def test_the_backend_port_sent_back_is_no_port_of_its_own() -> None:
    read = CURRENT | {"healthcheck_connect_port": 9000}
    assert update_health_check(read, current=CURRENT) == update_health_check(CURRENT, current=CURRENT)
    own = CURRENT | {"healthcheck_connect_port": 81}
    assert update_health_check(read, current=own).changes == {"healthcheck_connect_port": 9000}


def test_update_takes_what_differs() -> None:
    body = {
        "healthcheck_interval": "7",
        "healthy_threshold": 3,
        "healthcheck_path": "/b",
        "healthcheck_connect_port": 81,
    }
    assert update_health_check(body, current=CURRENT).changes == {
        "healthcheck_interval": 7,
        "healthcheck_uri": "/b",
        "healthcheck_connect_port": 81,
    }


def test_a_change_of_protocol_carries_the_uri_with_it() -> None:
    to_tcp = update_health_check({"healthcheck_protocol": "tcp"}, current=CURRENT).changes
    assert to_tcp == {"healthcheck_protocol": "TCP", "healthcheck_uri": None}
    to_http = update_health_check({"healthcheck_protocol": "http"}, current={**CURRENT, **to_tcp}).changes
    assert to_http == {"healthcheck_protocol": "HTTP", "healthcheck_uri": "/"}


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"listener_id": "a" * 32}, Rule.HEALTH_CHECK_UPDATE_INVALID),
        ({"healthcheck_protocol": "x"}, Rule.HEALTH_CHECK_UPDATE_INVALID),
        ({"healthcheck_uri": "x"}, Rule.HEALTH_CHECK_UPDATE_INVALID),
        ({"healthcheck_connect_port": "x"}, Rule.HEALTH_CHECK_UPDATE_INVALID),
        ({"healthcheck_timeout": 0}, Rule.HEALTH_CHECK_UPDATE_INVALID),
        (None, Rule.BODY_MISSING),
        (5, Rule.BODY_MALFORMED),
    ],
)
def test_an_update_that_breaks_a_rule(body: object, rule: Rule) -> None:
    with pytest.raises(RuleBroken) as caught:
        update_health_check(body, current=CURRENT)
    assert caught.value.rule is rule


@pytest.mark.parametrize(
    ("protocol", "listener_protocol", "fits"),
    [("UDP", "UDP", True), ("TCP", "UDP", False), ("UDP", "TCP", False), ("HTTP", "TCP", True), ("TCP", "HTTPS", True)],
)
def test_udp_checks_are_for_udp_listeners(protocol: str, listener_protocol: str, fits: bool) -> None:
    body = {"listener_id": LISTENER, "healthcheck_protocol": protocol, "healthcheck_interval": 5 if fits else 0}
    current = CURRENT | {"healthcheck_protocol": "UDP" if listener_protocol == "UDP" else "HTTP"}
    if fits:
        assert create_health_check(body, listener_protocol).healthcheck_protocol == protocol
        update_health_check(body, current=current, listener_protocol=listener_protocol)
        return
    with pytest.raises(RuleBroken, match="healthcheck_protocol") as on_creation:
        create_health_check(body, listener_protocol)
    assert on_creation.value.rule is Rule.HEALTH_CHECK_INVALID
    with pytest.raises(RuleBroken, match="healthcheck_protocol") as on_update:
        update_health_check(body, current=current, listener_protocol=listener_protocol)
    assert on_update.value.rule is Rule.HEALTH_CHECK_UPDATE_INVALID


@pytest.mark.parametrize(
    ("listener_id", "rule"),
    [(None, Rule.HEALTH_CHECK_LISTENER_MISSING), ("x", Rule.HEALTH_CHECK_LISTENER_UNKNOWN), (LISTENER, None)],
)
def test_the_listener_is_told_before_anything_else_is_read(listener_id: object, rule: Rule | None) -> None:
    body = {"listener_id": listener_id, "healthcheck_interval": 0}
    if rule is None:
        assert rules.listener_id(body) == LISTENER
        return
    with pytest.raises(RuleBroken) as caught:
        rules.listener_id(body)
    assert caught.value.rule is rule
