"""Listeners on the wire (classic-api.md): fields, filters, updates, deletes and their errors."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.wire import LISTED_LISTENER, LISTENER, NO_SUCH_ID, assert_shape, refusal
from tests.stand import Api, Service

PATH = "/elbaas/listeners"
MISSING = object()


@pytest.fixture(scope="module")
def load_balancer(tables: Api) -> str:
    """The id of one load balancer that all tests of this module share; each uses ports of its own."""
    return str(tables.create_load_balancer()["id"])


@pytest.fixture(scope="module")
def fixed(tables: Api, load_balancer: str) -> dict[str, Any]:
    """A listener that no test changes."""
    return tables.create_listener(load_balancer, name="fixed", protocol="TCP", port=9999)


@pytest.fixture
def internal(tables: Api) -> str:
    body = {"type": "Internal", "vip_subnet_id": "subnet-1", "security_group_id": "group-1"}
    return str(tables.create_load_balancer(**body)["id"])


def listed(api: Api, **query: Any) -> list[dict[str, Any]]:
    found = api.ok("GET", PATH, params=query)
    assert isinstance(found, list)
    return found


def test_a_tcp_listener_has_exactly_the_fields_and_types_of_the_contract(project: Api) -> None:
    load_balancer = project.create_load_balancer()["id"]
    body = project.listener_body(
        load_balancer, protocol="TCP", tcp_timeout=5, tcp_draining=True, tcp_draining_timeout=3, description="d"
    )
    answer = project.call("POST", PATH, json=body)
    assert answer.status_code == 200
    created = answer.json()
    assert_shape(created, LISTENER)
    assert created | body == created
    assert (
        created
        | {
            "status": "ACTIVE",
            "admin_state_up": True,
            "session_sticky": False,
            "healthcheck_id": None,
            "sticky_session_type": None,
            "cookie_timeout": None,
            "udp_timeout": None,
            "certificate_id": None,
            "ssl_protocols": None,
            "ssl_ciphers": None,
        }
        == created
    )
    assert project.ok("GET", f"{PATH}/{created['id']}") == created
    assert listed(project) == [created | {"member_number": 0}]


def test_an_http_listener_has_exactly_the_fields_and_types_of_the_contract(project: Api) -> None:
    created = project.create_listener(project.create_load_balancer()["id"], name="网页-1_x")
    assert_shape(created, LISTENER)
    assert [created[name] for name in ("tcp_timeout", "tcp_draining", "tcp_draining_timeout")] == [None, None, None]
    [one] = listed(project)
    assert_shape(one, LISTED_LISTENER)


def test_the_list_tells_the_number_of_members_and_the_health_check(project: Api) -> None:
    listener = project.create_listener(project.create_load_balancer()["id"])
    project.add_members(listener["id"], "127.9.0.1", "127.9.0.2")
    check = project.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener["id"]})
    [one] = listed(project)
    assert (one["member_number"], one["healthcheck_id"]) == (2, check["id"])
    assert project.ok("GET", f"{PATH}/{listener['id']}")["healthcheck_id"] == check["id"]


def test_fields_without_meaning_for_the_protocol_are_taken_and_answered_with_null(
    tables: Api, load_balancer: str
) -> None:
    meaningless = {
        "session_sticky": False,
        "sticky_session_type": "insert",
        "cookie_timeout": 100,
        "ssl_protocols": "TLSv1.2",
        "ssl_ciphers": "Default",
        "certificate_id": "",
        "udp_timeout": 99999,
        "unknown_field": {"a": [1]},
    }
    created = tables.create_listener(load_balancer, protocol="TCP", port=7001, **meaningless)
    assert_shape(created, LISTENER)
    nulls = ("sticky_session_type", "cookie_timeout", "ssl_protocols", "ssl_ciphers", "certificate_id", "udp_timeout")
    assert {created[name] for name in nulls} == {None}
    created = tables.create_listener(load_balancer, port=7002, tcp_timeout="soon", tcp_draining="x")
    assert created["tcp_timeout"] is None
    assert created["tcp_draining"] is None


REFUSED_ON_CREATE: list[tuple[dict[str, Any], tuple[int, str]]] = [
    *(
        ({field: value}, (400, "ELB.6001"))
        for field in ("loadbalancer_id", "port", "backend_protocol", "backend_port", "lb_algorithm")
        for value in (MISSING, None, "")
    ),
    ({"name": MISSING}, (400, "ELB.6001")),
    ({"name": ""}, (400, "ELB.6021")),
    ({"name": "a b"}, (400, "ELB.6021")),
    ({"name": 1}, (400, "ELB.6021")),
    ({"name": "n" * 65}, (400, "ELB.6011")),
    ({"description": "d" * 129}, (400, "ELB.6031")),
    ({"description": "a<b"}, (400, "ELB.6031")),
    ({"loadbalancer_id": NO_SUCH_ID}, (400, "ELB.6040")),
    ({"loadbalancer_id": "x"}, (400, "ELB.6040")),
    ({"loadbalancer_id": 1}, (400, "ELB.6040")),
    ({"protocol": "tcp"}, (400, "ELB.6061")),
    ({"protocol": "SCTP"}, (400, "ELB.6061")),
    ({"protocol": ["TCP"]}, (400, "ELB.6061")),
    *(({field: value}, (400, "ELB.6041")) for field in ("port", "backend_port") for value in (0, 65536, -1, "x", 1.5)),
    ({"port": True}, (400, "ELB.6041")),
    ({"backend_protocol": "TCP"}, (400, "ELB.6071")),
    ({"protocol": "TCP", "backend_protocol": "HTTP"}, (400, "ELB.6071")),
    ({"lb_algorithm": "random"}, (400, "ELB.6051")),
    ({"lb_algorithm": "ROUNDROBIN"}, (400, "ELB.6051")),
    ({"session_sticky": "yes"}, (400, "Bad Request")),
    ({"session_sticky": True, "lb_algorithm": "source"}, (400, "ELB.6081")),
    ({"session_sticky": True, "sticky_session_type": "rewrite"}, (400, "ELB.6081")),
    ({"session_sticky": True, "cookie_timeout": 0}, (400, "Bad Request")),
    ({"session_sticky": True, "cookie_timeout": 1441}, (400, "Bad Request")),
    *(
        ({"protocol": "TCP", "backend_protocol": "TCP", field: value}, (400, "Bad Request"))
        for field, value in (
            ("tcp_timeout", 0),
            ("tcp_timeout", 1441),
            ("tcp_draining", "yes"),
            ("tcp_draining_timeout", -1),
            ("tcp_draining_timeout", 61),
        )
    ),
    # The first field of the published table that breaks a rule is named.
    ({"lb_algorithm": "random", "port": 0}, (400, "ELB.6041")),
    ({"port": 0, "protocol": "SCTP"}, (400, "ELB.6061")),
    ({"name": "a b", "loadbalancer_id": MISSING}, (400, "ELB.6021")),
    ({"loadbalancer_id": NO_SUCH_ID, "port": 0}, (400, "ELB.6040")),
]


@pytest.mark.parametrize(("fields", "expected"), REFUSED_ON_CREATE)
def test_what_breaks_a_rule_is_refused_and_nothing_is_stored(
    tables: Api, load_balancer: str, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = listed(tables)
    protocol_of_base = {"protocol": "HTTP", "backend_protocol": "HTTP"}
    body = {**tables.listener_body(load_balancer, port=7003), **protocol_of_base, **fields}
    given = {name: value for name, value in body.items() if value is not MISSING}
    assert refusal(tables.call("POST", PATH, json=given)) == expected
    assert listed(tables) == before


def test_a_missing_field_is_named_in_the_message(tables: Api, load_balancer: str) -> None:
    body = tables.listener_body(load_balancer)
    del body["lb_algorithm"]
    answer = tables.call("POST", PATH, json=body)
    assert answer.json()["message"] == 'Request parameters error, "lb_algorithm" is nil.'


def test_udp_is_refused_on_an_internal_load_balancer(tables: Api, internal: str) -> None:
    body = tables.listener_body(internal, protocol="UDP")
    assert refusal(tables.call("POST", PATH, json=body)) == (400, "ELB.6061")


def test_a_port_is_taken_once_per_load_balancer(tables: Api, load_balancer: str, internal: str) -> None:
    tables.create_listener(load_balancer, port=7010)
    for protocol in ("HTTP", "TCP"):
        body = tables.listener_body(load_balancer, protocol=protocol, port=7010)
        assert refusal(tables.call("POST", PATH, json=body)) == (400, "ELB.6101")
    tables.create_listener(internal, port=7010)


def test_an_update_to_a_port_of_another_listener_is_refused(
    tables: Api, load_balancer: str, fixed: dict[str, Any]
) -> None:
    listener = tables.create_listener(load_balancer, port=7011)
    answer = tables.call("PUT", f"{PATH}/{listener['id']}", json={"port": fixed["port"]})
    assert refusal(answer) == (400, "ELB.6101")
    assert tables.ok("GET", f"{PATH}/{listener['id']}") == listener


def test_the_filters_find_by_every_answer_field(project: Api) -> None:
    load_balancers = [project.create_load_balancer()["id"] for _ in range(2)]
    one = project.create_listener(
        load_balancers[0],
        name="one",
        description="first",
        protocol="TCP",
        port=7100,
        backend_port=7200,
        lb_algorithm="source",
        tcp_timeout=7,
        tcp_draining=True,
        tcp_draining_timeout=8,
    )
    other = project.create_listener(load_balancers[1], name="two", port=7101)
    check = project.ok("POST", "/elbaas/healthcheck", json={"listener_id": one["id"]})
    one |= {"healthcheck_id": check["id"], "member_number": 0}
    unfiltered = {"update_time", "create_time", "admin_state_up", "session_sticky", "member_number"}
    shared = {"status"}
    for field, value in one.items():
        if field in unfiltered | shared or value is None:
            continue
        text = str(value).lower() if isinstance(value, bool) else value
        found = listed(project, **{field: text})
        assert [each["id"] for each in found] == [one["id"]], field
    assert len(listed(project, status="ACTIVE")) == 2
    assert listed(project, status="ERROR") == []
    assert [each["id"] for each in listed(project, loadbalancer_id=load_balancers[1])] == [other["id"]]
    assert listed(project, loadbalancer_id=load_balancers[1], name="one") == []
    for field in unfiltered:
        answer = project.call("GET", PATH, params={field: "1"})
        assert refusal(answer) == (400, "ELB.6003"), field


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"limit": "x"},
        {"limit": "-1"},
        {"marker": "x"},
        {"port": "x"},
        {"protocol": "tcp"},
        {"tcp_draining": "1"},
        {"lb_algorithm": "random"},
        {"loadbalancer_id": "x"},
    ],
)
def test_a_bad_filter_is_refused(tables: Api, query: dict[str, str]) -> None:
    assert refusal(tables.call("GET", PATH, params=query)) == (400, "ELB.6003")


def test_limit_and_marker_page_through_the_list(project: Api) -> None:
    load_balancer = project.create_load_balancer()["id"]
    ids = sorted(project.create_listener(load_balancer, port=7300 + number)["id"] for number in range(5))
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while page := listed(project, **query):
        assert len(page) <= 2
        seen += [one["id"] for one in page]
        query["marker"] = page[-1]["id"]
    assert seen == ids
    assert listed(project, limit=0) == []


@pytest.fixture(scope="module")
def changing(tables: Api, load_balancer: str) -> Iterator[str]:
    """The path of a TCP listener that one test after the other updates."""
    listener = tables.create_listener(load_balancer, protocol="TCP", port=7400, tcp_timeout=1, tcp_draining_timeout=1)
    yield f"{PATH}/{listener['id']}"
    assert tables.call("DELETE", f"{PATH}/{listener['id']}").status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        {"name": "renamed"},
        {"description": "described"},
        {"port": 7401},
        {"backend_port": 7402},
        {"lb_algorithm": "leastconn"},
        {"lb_algorithm": "source"},
        {"tcp_timeout": 1440},
        {"tcp_draining": True},
        {"tcp_draining_timeout": 60},
        {"tcp_draining_timeout": 0},
        {"admin_state_up": False},
        {"admin_state_up": True},
        {"name": "several", "port": 7403, "backend_port": 7404, "tcp_draining": False},
        {},
    ],
    ids=lambda change: "-".join(change) or "nothing",
)
def test_every_updatable_field_is_updated_alone(tables: Api, changing: str, change: dict[str, Any]) -> None:
    before = tables.ok("GET", changing)
    answer = tables.call("PUT", changing, json=change)
    assert answer.status_code == 200
    assert_shape(answer.json(), LISTENER)
    assert answer.json() | {"update_time": before["update_time"]} == before | change
    assert tables.ok("GET", changing) == answer.json()


def test_a_whole_object_sent_back_is_no_change(tables: Api, changing: str) -> None:
    before = tables.ok("GET", changing)
    assert tables.ok("PUT", changing, json=before) == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "n" * 65}, "ELB.6025"),
        ({"name": "a b"}, "ELB.6035"),
        ({"name": ""}, "ELB.6035"),
        ({"description": "d" * 129}, "ELB.6045"),
        ({"port": 0}, "ELB.6041"),
        ({"backend_port": 65536}, "ELB.6041"),
        ({"lb_algorithm": "random"}, "ELB.6051"),
        ({"tcp_timeout": 0}, "Bad Request"),
        ({"tcp_draining_timeout": 61}, "Bad Request"),
        ({"admin_state_up": 1}, "Bad Request"),
        ({"protocol": "HTTP"}, "ELB.6015"),
        ({"backend_protocol": "HTTP"}, "ELB.6015"),
        ({"loadbalancer_id": NO_SUCH_ID}, "ELB.6015"),
        ({"id": NO_SUCH_ID}, "ELB.6015"),
        ({"session_sticky": True}, "ELB.6015"),
        ({"port": 7500, "protocol": "HTTP"}, "ELB.6015"),
        ({"name": "good", "port": 0}, "ELB.6041"),
    ],
)
def test_an_update_that_breaks_a_rule_changes_nothing(
    tables: Api, fixed: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    path = f"{PATH}/{fixed['id']}"
    assert refusal(tables.call("PUT", path, json=change)) == (400, expected)
    assert tables.ok("GET", path) == fixed


@pytest.mark.parametrize(
    ("id", "code"),
    [
        ("x", "ELB.6000"),
        ("0" * 31, "ELB.6000"),
        ("0" * 33, "ELB.6000"),
        ("g" * 32, "ELB.6010"),
        ("A" * 32, "ELB.6010"),
    ],
)
def test_a_malformed_id_is_refused_by_every_operation(tables: Api, id: str, code: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert refusal(tables.call(method, f"{PATH}/{id}", json={})) == (400, code), method


@pytest.mark.parametrize(
    ("method", "tail", "code"),
    [("GET", "", "ELB.6010"), ("PUT", "", "ELB.6010"), ("DELETE", "", "ELB.6002"), ("GET", "/no/path", "ELB.6020")],
)
def test_an_unknown_listener_is_404(tables: Api, method: str, tail: str, code: str) -> None:
    assert refusal(tables.call(method, f"{PATH}/{NO_SUCH_ID}{tail}", json={"name": "n"})) == (404, code)


def test_deleting_takes_members_and_health_check_along(project: Api) -> None:
    load_balancer = project.create_load_balancer()
    listener = project.create_listener(load_balancer["id"])
    project.add_members(listener["id"], "127.9.0.1")
    check = project.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener["id"]})
    answer = project.call("DELETE", f"{PATH}/{listener['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert listed(project) == []
    assert refusal(project.call("GET", f"{PATH}/{listener['id']}")) == (404, "ELB.6010")
    assert refusal(project.call("GET", f"{PATH}/{listener['id']}/members")) == (404, "ELB.6010")
    assert refusal(project.call("GET", f"/elbaas/healthcheck/{check['id']}")) == (404, "ELB.7020")
    assert refusal(project.call("DELETE", f"{PATH}/{listener['id']}")) == (404, "ELB.6002")
    # What it held is free again, and nothing is in the way of deleting the load balancer.
    project.create_listener(load_balancer["id"])
    project.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")


def test_the_quota_of_listeners_is_of_the_load_balancer(small_quotas: Api) -> None:
    load_balancer = small_quotas.create_load_balancer()["id"]
    small_quotas.create_listener(load_balancer, port=7601)
    body = small_quotas.listener_body(load_balancer, port=7602)
    assert refusal(small_quotas.call("POST", PATH, json=body)) == (403, "ELB.6091")
    small_quotas.ok("DELETE", f"{PATH}/{listed(small_quotas)[0]['id']}")
    listener = small_quotas.create_listener(load_balancer, port=7602)["id"]
    members = [{"server_id": f"s-{number}", "address": f"127.9.0.{number}"} for number in (1, 2)]
    answer = small_quotas.call("POST", f"{PATH}/{listener}/members", json=members)
    assert refusal(answer) == (403, "ELB.2001")
    assert small_quotas.ok("GET", f"{PATH}/{listener}/members") == []
    small_quotas.add_members(listener, "127.9.0.1")
    fields = {"name": "b", "vpc_id": "v", "type": "External", "bandwidth": 1, "admin_state_up": 1}
    assert refusal(small_quotas.call("POST", "/elbaas/loadbalancers", json=fields)) == (403, "ELB.1091")


@pytest.fixture
def small_quotas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service in which there may be one of everything."""
    quotas = ("quotas.elb=1", "quotas.listener=1", "quotas.member=1")
    service = Service(tmp_path_factory.mktemp("quotas") / "data", *quotas)
    try:
        with Api(service.start()) as client:
            yield client
    finally:
        service.stop()
