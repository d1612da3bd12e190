"""The first field of the published table wins: of two fields that break a rule, the earlier one is told of."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.certificates import rsa_pair
from tests.contract.catalogue_cases import CERTIFICATES, CHECKS, EXTERNAL, INTERNAL, LB, LISTENERS, NOBODY, World
from tests.contract.wire import refusal

Broken = tuple[str, Any, str]
"""A field, a value that breaks a rule of it, and the code of that rule."""

OF_EXTERNAL: list[Broken] = [
    ("name", "a b", "ELB.1021"),
    ("description", "<", "ELB.1031"),
    ("vpc_id", "", "ELB.1081"),
    ("type", "external", "ELB.1041"),
    ("bandwidth", 0, "ELB.1051"),
    ("admin_state_up", None, "ELB.1001"),
    ("tenantId", NOBODY, "ELB.1001"),
    ("charge_mode", "prepaid", "Not Implemented"),
    ("eip_type", "5_none", "ELB.1001"),
]
# Whether an address is free is looked up after all fields; that it is one is seen in its turn.
OF_INTERNAL: list[Broken] = [
    ("name", "a b", "ELB.1021"),
    ("description", "<", "ELB.1031"),
    ("vpc_id", "", "ELB.1081"),
    ("admin_state_up", "on", "ELB.1001"),
    ("vip_subnet_id", None, "ELB.1061"),
    ("security_group_id", "a b", "ELB.1001"),
    ("az", "a z", "ELB.1001"),
]
OF_INTERNAL_ADDRESS: list[Broken] = [
    ("admin_state_up", "on", "ELB.1001"),
    ("vip_address", "nowhere", "ELB.1071"),
    ("tenantId", NOBODY, "ELB.1001"),
    ("az", "a z", "ELB.1001"),
]
OF_LB_CHANGE: list[Broken] = [
    ("name", "a b", "ELB.1035"),
    ("description", "<", "ELB.1045"),
    ("vpc_id", "other", "ELB.1015"),
    ("bandwidth", 0, "ELB.1005"),
    ("vip_address", "10.0.0.1", "ELB.1015"),
]
OF_LISTENER: list[Broken] = [
    ("name", "a b", "ELB.6021"),
    ("description", "<", "ELB.6031"),
    ("loadbalancer_id", "short", "ELB.6040"),
    ("protocol", "SCTP", "ELB.6061"),
    ("port", 0, "ELB.6041"),
    ("backend_protocol", "UDP", "ELB.6071"),
    ("backend_port", None, "ELB.6001"),
    ("lb_algorithm", "random", "ELB.6051"),
    ("session_sticky", "yes", "Bad Request"),
]
OF_STICKINESS: list[Broken] = [
    ("lb_algorithm", "random", "ELB.6051"),
    ("sticky_session_type", "none", "ELB.6081"),
    ("cookie_timeout", 1441, "Bad Request"),
]
OF_TCP: list[Broken] = [
    ("lb_algorithm", "random", "ELB.6051"),
    ("tcp_timeout", 0, "Bad Request"),
    ("tcp_draining", "yes", "Bad Request"),
    ("tcp_draining_timeout", 61, "Bad Request"),
]
OF_HTTPS: list[Broken] = [
    ("lb_algorithm", "random", "ELB.6051"),
    ("certificate_id", None, "ELB.6001"),
    ("ssl_protocols", "SSLv3", "Bad Request"),
    ("ssl_ciphers", "None", "Bad Request"),
]
OF_LISTENER_CHANGE: list[Broken] = [
    ("name", "a b", "ELB.6035"),
    ("description", "<", "ELB.6045"),
    ("protocol", "TCP", "ELB.6015"),
    ("port", 0, "ELB.6041"),
    ("backend_protocol", "TCP", "ELB.6015"),
    ("backend_port", 65536, "ELB.6041"),
    ("lb_algorithm", "random", "ELB.6051"),
    ("session_sticky", True, "ELB.6015"),
    ("admin_state_up", "on", "Bad Request"),
]
# What is looked up has its turn, too: the load balancer, the port, the certificate, the listener.
OF_LISTENER_LOOKUPS: list[Broken] = [
    ("name", "a b", "ELB.6021"),
    ("loadbalancer_id", NOBODY, "ELB.6040"),
    ("port", 0, "ELB.6041"),
    ("backend_protocol", "UDP", "ELB.6071"),
]
OF_TAKEN_PORT: list[Broken] = [
    ("protocol", "SCTP", "ELB.6061"),
    ("port", 8080, "ELB.6101"),
    ("backend_protocol", "UDP", "ELB.6071"),
]
OF_LISTENER_ON_INTERNAL: list[Broken] = [
    ("protocol", "UDP", "ELB.6061"),
    ("port", 0, "ELB.6041"),
]
OF_CERTIFICATE_LOOKUP: list[Broken] = [
    ("lb_algorithm", "random", "ELB.6051"),
    ("certificate_id", NOBODY, "Bad Request"),
    ("ssl_protocols", "SSLv3", "Bad Request"),
]
OF_HEALTH_CHECK_LOOKUPS: list[Broken] = [
    ("listener_id", NOBODY, "ELB.7010"),
    ("healthcheck_protocol", "UDP", "ELB.7001"),
    ("healthcheck_connect_port", 0, "ELB.7001"),
]
OF_HEALTH_CHECK: list[Broken] = [
    ("listener_id", "", "ELB.7000"),
    ("healthcheck_protocol", "ICMP", "ELB.7001"),
    ("healthcheck_uri", "no-slash", "ELB.7001"),
    ("healthcheck_connect_port", 0, "ELB.7001"),
    ("healthy_threshold", 0, "ELB.7001"),
    ("unhealthy_threshold", 11, "ELB.7001"),
    ("healthcheck_timeout", 51, "ELB.7001"),
    ("healthcheck_interval", 0, "ELB.7001"),
]
OF_CERTIFICATE: list[Broken] = [
    ("certificate", "", "ELB.1001"),
    ("private_key", "", "ELB.1001"),
    ("name", "x" * 65, "Bad Request"),
    ("description", "x" * 129, "Bad Request"),
    ("domain", "a b", "Bad Request"),
]

_STICKY = {"session_sticky": True}
_TCP = {"protocol": "TCP", "backend_protocol": "TCP"}
_LISTENER = {
    "name": "l",
    "protocol": "HTTP",
    "port": 7000,
    "backend_protocol": "HTTP",
    "backend_port": 80,
    "lb_algorithm": "roundrobin",
}

Target = Callable[[World], tuple[str, str, dict[str, Any]]]

TABLES: list[tuple[str, Target, list[Broken]]] = [
    ("External", lambda _: ("POST", LB, EXTERNAL), OF_EXTERNAL),
    ("Internal", lambda _: ("POST", LB, INTERNAL), OF_INTERNAL),
    ("Internal-address", lambda _: ("POST", LB, INTERNAL), OF_INTERNAL_ADDRESS),
    ("load-balancer-change", lambda world: ("PUT", f"{LB}/{world.external['id']}", {}), OF_LB_CHANGE),
    ("listener", lambda world: _listener(world), OF_LISTENER),
    ("sticky", lambda world: _listener(world, **_STICKY), OF_STICKINESS),
    ("TCP", lambda world: _listener(world, **_TCP), OF_TCP),
    ("HTTPS", lambda world: _https(world), OF_HTTPS),
    ("listener-lookups", lambda world: _listener(world), OF_LISTENER_LOOKUPS),
    ("taken-port", lambda world: _listener(world, loadbalancer_id=world.listener["loadbalancer_id"]), OF_TAKEN_PORT),
    (
        "on-internal",
        lambda world: _listener(world, loadbalancer_id=world.internal["id"]),
        OF_LISTENER_ON_INTERNAL,
    ),
    ("certificate-lookup", lambda world: _https(world), OF_CERTIFICATE_LOOKUP),
    (
        "health-check-lookups",
        lambda world: ("POST", CHECKS, {"listener_id": world.listener["id"]}),
        OF_HEALTH_CHECK_LOOKUPS,
    ),
    ("listener-change", lambda world: ("PUT", f"{LISTENERS}/{world.listener['id']}", {}), OF_LISTENER_CHANGE),
    (
        "health-check",
        lambda world: ("POST", CHECKS, {"listener_id": world.listener["id"], "healthcheck_protocol": "HTTP"}),
        OF_HEALTH_CHECK,
    ),
    ("certificate", lambda _: ("POST", CERTIFICATES, rsa_pair().body), OF_CERTIFICATE),
]


def _listener(world: World, **fields: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", LISTENERS, _LISTENER | {"loadbalancer_id": world.external["id"]} | fields


def _https(world: World) -> tuple[str, str, dict[str, Any]]:
    return _listener(world, protocol="HTTPS", certificate_id=world.certificate["id"])


@pytest.mark.parametrize(
    ("target", "first", "second"),
    [
        pytest.param(target, first, second, id=f"{name}-{first[0]}-{second[0]}")
        for name, target, fields in TABLES
        for first, second in pairwise(fields)
    ],
)
def test_of_two_broken_fields_the_earlier_one_is_told(
    world: World, target: Target, first: Broken, second: Broken
) -> None:
    method, path, good = target(world)
    for broken in ((first,), (second,), (second, first)):
        body = good | {field: value for field, value, _ in broken}
        answer = world.api.call(method, path, json=body)
        told = broken[-1]
        assert refusal(answer)[1] == told[2], (broken, answer.text)
        # Several fields share these codes: the sentence for people names the one that is meant.
        if told[2] in {"Bad Request", "ELB.7001", "ELB.1001", "ELB.6015", "ELB.1015"}:
            assert told[0] in answer.json()["detail"], answer.text
