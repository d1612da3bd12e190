"""Health checks on the wire (classic-api.md): fields, ranges, updates, deletes and their errors."""

from typing import Any

import pytest

from stand import Api
from tests.contract.wire import HEALTH_CHECK, NO_SUCH_ID, assert_shape, refusal

PATH = "/elbaas/healthcheck"
NUMBERS = {
    "healthcheck_connect_port": 65535,
    "healthy_threshold": 10,
    "unhealthy_threshold": 10,
    "healthcheck_timeout": 50,
    "healthcheck_interval": 50,
}


@pytest.fixture(scope="module")
def load_balancer(tables: Api) -> str:
    return str(tables.create_load_balancer()["id"])


@pytest.fixture(scope="module")
def without(tables: Api, load_balancer: str) -> str:
    """The id of a listener that never gets a health check."""
    return str(tables.create_listener(load_balancer, port=7001)["id"])


@pytest.fixture(scope="module")
def fixed(tables: Api, load_balancer: str) -> dict[str, Any]:
    """A health check that no test changes."""
    listener = tables.create_listener(load_balancer, port=7002)["id"]
    found: dict[str, Any] = tables.ok("POST", PATH, json={"listener_id": listener, "healthcheck_protocol": "HTTP"})
    return found


@pytest.fixture
def listener(project: Api) -> str:
    return str(project.create_listener(project.create_load_balancer()["id"])["id"])


def test_an_http_check_has_exactly_the_fields_and_types_of_the_contract(project: Api, listener: str) -> None:
    body = {"listener_id": listener, "healthcheck_protocol": "HTTP", "healthcheck_uri": "/ok-1/.%?#&_=", **NUMBERS}
    answer = project.call("POST", PATH, json=body)
    assert answer.status_code == 200
    created = answer.json()
    assert_shape(created, HEALTH_CHECK)
    assert created | body == created
    assert project.ok("GET", f"{PATH}/{created['id']}") == created


def test_what_is_not_given_has_defaults_and_a_tcp_check_has_no_uri(project: Api, listener: str) -> None:
    created = project.ok("POST", PATH, json={"listener_id": listener, "healthcheck_uri": "not looked at"})
    assert_shape(created, HEALTH_CHECK)
    assert (
        created | {"healthcheck_protocol": "TCP", "healthcheck_uri": None, "healthcheck_connect_port": 9000} == created
    )


def test_the_port_of_a_check_is_the_backend_port_until_it_has_one_of_its_own(project: Api, listener: str) -> None:
    check = f"{PATH}/{project.ok('POST', PATH, json={'listener_id': listener})['id']}"

    def moved_to(port: int) -> int:
        project.ok("PUT", f"/elbaas/listeners/{listener}", json={"backend_port": port})
        return int(project.ok("GET", check)["healthcheck_connect_port"])

    assert moved_to(9001) == 9001
    # Clients send whole objects back: that makes no port of its own of the one that was read.
    assert project.ok("PUT", check, json=project.ok("GET", check))["healthcheck_connect_port"] == 9001
    assert moved_to(9002) == 9002
    assert project.ok("PUT", check, json={"healthcheck_connect_port": 81})["healthcheck_connect_port"] == 81
    assert moved_to(9003) == 81


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"healthcheck_protocol": "http"}, {"healthcheck_protocol": "HTTP", "healthcheck_uri": "/"}),
        ({"healthcheck_protocol": "Tcp"}, {"healthcheck_protocol": "TCP"}),
        ({"healthcheck_protocol": "HTTP", "healthcheck_path": "/p"}, {"healthcheck_uri": "/p"}),
        ({"healthcheck_protocol": "HTTP", "healthcheck_uri": "/" + "u" * 79}, {"healthcheck_uri": "/" + "u" * 79}),
        ({"healthcheck_interval": "7"}, {"healthcheck_interval": 7}),
        (dict.fromkeys(NUMBERS, 1), dict.fromkeys(NUMBERS, 1)),
    ],
)
def test_what_clients_send_is_accepted(
    project: Api, listener: str, given: dict[str, Any], stored: dict[str, Any]
) -> None:
    created = project.ok("POST", PATH, json={"listener_id": listener, **given})
    assert created | stored == created


REFUSED: list[dict[str, Any]] = [
    {"healthcheck_protocol": "ICMP"},
    {"healthcheck_protocol": 1},
    {"healthcheck_protocol": "UDP"},
    {"healthcheck_protocol": "HTTP", "healthcheck_uri": "no-slash"},
    {"healthcheck_protocol": "HTTP", "healthcheck_uri": "/" + "u" * 80},
    {"healthcheck_protocol": "HTTP", "healthcheck_uri": "/a b"},
    {"healthcheck_protocol": "HTTP", "healthcheck_uri": "/\r\nX: y"},
    {"healthcheck_protocol": "HTTP", "healthcheck_path": "x"},
    *({name: value} for name, most in NUMBERS.items() for value in (0, most + 1, "x", 1.5, True)),
]


@pytest.mark.parametrize("fields", REFUSED)
def test_what_breaks_a_rule_is_refused_on_create_and_nothing_is_stored(
    tables: Api, without: str, fields: dict[str, Any]
) -> None:
    answer = tables.call("POST", PATH, json={"listener_id": without, **fields})
    assert refusal(answer) == (400, "ELB.7001")
    assert tables.ok("GET", f"/elbaas/listeners/{without}")["healthcheck_id"] is None


@pytest.mark.parametrize("fields", [*REFUSED, {"listener_id": NO_SUCH_ID}])
def test_what_breaks_a_rule_is_refused_on_update_and_nothing_changes(
    tables: Api, fixed: dict[str, Any], fields: dict[str, Any]
) -> None:
    path = f"{PATH}/{fixed['id']}"
    answer = tables.call("PUT", path, json=fields)
    assert refusal(answer) == (400, "ELB.7001")
    assert answer.json()["message"] == "Healthcheck update condition is not valid."
    assert tables.ok("GET", path) == fixed


@pytest.mark.parametrize(
    ("listener_id", "code"),
    [(None, "ELB.7000"), ("", "ELB.7000"), (NO_SUCH_ID, "ELB.7010"), ("x", "ELB.7010"), (5, "ELB.7010")],
)
def test_a_check_needs_a_listener_of_the_project(tables: Api, listener_id: object, code: str) -> None:
    assert refusal(tables.call("POST", PATH, json={"listener_id": listener_id})) == (400, code)
    assert refusal(tables.call("POST", PATH, json={})) == (400, "ELB.7000")


def test_a_listener_has_at_most_one_check(tables: Api, fixed: dict[str, Any]) -> None:
    answer = tables.call("POST", PATH, json={"listener_id": fixed["listener_id"]})
    assert refusal(answer) == (409, "Conflict")
    assert tables.ok("GET", f"/elbaas/listeners/{fixed['listener_id']}")["healthcheck_id"] == fixed["id"]


def test_every_field_is_updated_alone(project: Api, listener: str) -> None:
    created = project.ok("POST", PATH, json={"listener_id": listener})
    path = f"{PATH}/{created['id']}"
    expected = created
    for name, value in NUMBERS.items():
        answer = project.call("PUT", path, json={name: value})
        assert answer.status_code == 200
        expected = expected | {name: value}
        assert answer.json() | {"update_time": created["update_time"]} == expected
    changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"healthcheck_protocol": "HTTP"}, {"healthcheck_protocol": "HTTP", "healthcheck_uri": "/"}),
        ({"healthcheck_uri": "/other"}, {"healthcheck_uri": "/other"}),
        ({"healthcheck_protocol": "tcp"}, {"healthcheck_protocol": "TCP", "healthcheck_uri": None}),
        ({"listener_id": listener}, {}),
    ]
    for change, stored in changes:
        expected = expected | stored
        assert project.ok("PUT", path, json=change) | {"update_time": created["update_time"]} == expected
    assert_shape(project.ok("GET", path), HEALTH_CHECK)


@pytest.mark.parametrize("id", ["x", "0" * 31, "g" * 32, "A" * 32])
def test_a_malformed_id_is_refused_by_every_operation(tables: Api, id: str) -> None:
    assert refusal(tables.call("GET", f"{PATH}/{id}")) == (400, "ELB.7004")
    assert refusal(tables.call("PUT", f"{PATH}/{id}", json={}))[0] == 400
    assert refusal(tables.call("DELETE", f"{PATH}/{id}")) == (400, "ELB.7002")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_check_is_404(tables: Api, method: str) -> None:
    assert refusal(tables.call(method, f"{PATH}/{NO_SUCH_ID}", json={})) == (404, "ELB.7020")


def test_a_deleted_check_is_gone_and_another_may_be_made(project: Api, listener: str) -> None:
    for root in (project.root, "/v1.0"):
        created = project.ok("POST", PATH, json={"listener_id": listener})
        answer = project.http.delete(f"{root}{PATH}/{created['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert refusal(project.call("GET", f"{PATH}/{created['id']}")) == (404, "ELB.7020")
        assert refusal(project.call("DELETE", f"{PATH}/{created['id']}")) == (404, "ELB.7020")
        assert project.ok("GET", f"/elbaas/listeners/{listener}")["healthcheck_id"] is None
