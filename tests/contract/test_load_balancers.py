"""Load balancers on the wire (classic-api.md): fields, filters, updates, deletes and their errors."""

import gzip
import json
from typing import Any

import pytest

from tests.contract.wire import JOB_LOAD_BALANCER, LOAD_BALANCER, NO_SUCH_ID, TASK, assert_job, assert_shape, refusal
from tests.stand import Api

PATH = "/elbaas/loadbalancers"
EXTERNAL: dict[str, Any] = {
    "name": "lb",
    "vpc_id": "vpc-1",
    "type": "External",
    "bandwidth": 10,
    "admin_state_up": 1,
}
INTERNAL: dict[str, Any] = {
    "name": "lb",
    "vpc_id": "vpc-1",
    "type": "Internal",
    "admin_state_up": 1,
    "vip_subnet_id": "subnet-1",
    "security_group_id": "group-1",
}
MISSING = object()
FILTERS = (
    "id",
    "name",
    "description",
    "type",
    "bandwidth",
    "vpc_id",
    "vip_address",
    "vip_subnet_id",
    "security_group_id",
    "admin_state_up",
)


def changed(body: dict[str, Any], **fields: object) -> dict[str, Any]:
    return {name: value for name, value in (body | fields).items() if value is not MISSING}


def listed(api: Api, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.ok("GET", PATH, params=query)["loadbalancers"]
    return found


def test_an_external_load_balancer_has_exactly_the_fields_and_types_of_the_contract(project: Api) -> None:
    answer = project.call("POST", PATH, json=changed(EXTERNAL, name="web-网_1", description="front", eip_type="5_bgp"))
    assert answer.status_code == 200
    task = answer.json()
    assert_shape(task, TASK)
    assert task["uri"] == f"/v1/{project.project_id}/jobs/{task['job_id']}"
    job = project.ended(task["job_id"])
    assert_job(job)
    assert job["job_type"] == "createELB"
    assert list(job["entities"]) == ["elb"]
    entity = job["entities"]["elb"]
    assert_shape(entity, JOB_LOAD_BALANCER)
    shown = project.ok("GET", f"{PATH}/{entity['id']}")
    assert_shape(shown, LOAD_BALANCER)
    assert (
        shown
        | {
            "name": "web-网_1",
            "description": "front",
            "type": "External",
            "status": "ACTIVE",
            "bandwidth": 10,
            "vpc_id": "vpc-1",
            "vip_subnet_id": None,
            "security_group_id": None,
            "admin_state_up": 1,
        }
        == shown
    )
    assert entity["tenant_id"] == project.project_id
    assert entity["admin_state_up"] is True
    same = ("id", "name", "description", "type", "status", "bandwidth", "vip_address", "vpc_id")
    assert {name: entity[name] for name in same} == {name: shown[name] for name in same}
    everything = project.ok("GET", PATH)
    assert everything == {"loadbalancers": [shown], "instance_num": "1"}


def test_an_internal_load_balancer_keeps_its_network_and_has_no_bandwidth(project: Api) -> None:
    load_balancer = project.create_load_balancer(**INTERNAL)
    assert_shape(load_balancer, LOAD_BALANCER)
    assert load_balancer["type"] == "Internal"
    assert load_balancer["vip_subnet_id"] == "subnet-1"
    assert load_balancer["security_group_id"] == "group-1"


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"bandwidth": "25"}, {"bandwidth": 25}),
        ({"admin_state_up": True}, {"admin_state_up": 1}),
        ({"admin_state_up": False}, {"admin_state_up": 0}),
        ({"admin_state_up": 0}, {"admin_state_up": 0}),
        ({"admin_state_up": "true"}, {"admin_state_up": 1}),
        ({"admin_state_up": "False"}, {"admin_state_up": 0}),
        ({"charge_mode": "anything"}, {}),
        ({"description": None}, {"description": ""}),
        ({"description": "d" * 128, "name": "n" * 64}, {"description": "d" * 128, "name": "n" * 64}),
        ({"security_group_id": "ignored-here"}, {"security_group_id": None}),
        ({"unknown_field": [1]}, {}),
    ],
)
def test_what_clients_send_is_accepted(project: Api, fields: dict[str, Any], stored: dict[str, Any]) -> None:
    load_balancer = project.create_load_balancer(**changed(EXTERNAL, **fields))
    assert load_balancer | stored == load_balancer
    assert_shape(load_balancer, LOAD_BALANCER)


def test_tenant_id_may_be_given_if_it_is_the_project(project: Api) -> None:
    project.create_load_balancer(**changed(INTERNAL, tenantId=project.project_id))
    answer = project.call("POST", PATH, json=changed(INTERNAL, tenantId=NO_SUCH_ID))
    assert refusal(answer) == (400, "ELB.1001")


REFUSED_ON_CREATE: list[tuple[dict[str, Any], dict[str, Any], tuple[int, str]]] = [
    (EXTERNAL, {"name": MISSING}, (400, "ELB.1001")),
    (EXTERNAL, {"name": ""}, (400, "ELB.1001")),
    (EXTERNAL, {"name": None}, (400, "ELB.1001")),
    (EXTERNAL, {"name": 5}, (400, "ELB.1001")),
    (EXTERNAL, {"name": "n" * 65}, (400, "ELB.1001")),
    (EXTERNAL, {"name": "a b"}, (400, "ELB.1021")),
    (EXTERNAL, {"name": "naïve"}, (400, "ELB.1021")),
    (EXTERNAL, {"description": "d" * 129}, (400, "ELB.1031")),
    (EXTERNAL, {"description": "<"}, (400, "ELB.1031")),
    (EXTERNAL, {"description": ">"}, (400, "ELB.1031")),
    (EXTERNAL, {"description": 1}, (400, "ELB.1001")),
    (EXTERNAL, {"vpc_id": MISSING}, (400, "ELB.1081")),
    (EXTERNAL, {"vpc_id": ""}, (400, "ELB.1081")),
    (EXTERNAL, {"vpc_id": 7}, (400, "ELB.1001")),
    (EXTERNAL, {"type": MISSING}, (400, "ELB.1001")),
    (EXTERNAL, {"type": "external"}, (400, "ELB.1041")),
    (EXTERNAL, {"type": []}, (400, "ELB.1001")),
    (EXTERNAL, {"bandwidth": MISSING}, (400, "ELB.1051")),
    (EXTERNAL, {"bandwidth": 0}, (400, "ELB.1051")),
    (EXTERNAL, {"bandwidth": 2001}, (400, "ELB.1051")),
    (EXTERNAL, {"bandwidth": -1}, (400, "ELB.1051")),
    (EXTERNAL, {"bandwidth": "ten"}, (400, "ELB.1051")),
    (EXTERNAL, {"bandwidth": 1.5}, (400, "ELB.1001")),
    (EXTERNAL, {"bandwidth": True}, (400, "ELB.1001")),
    (EXTERNAL, {"admin_state_up": MISSING}, (400, "ELB.1001")),
    (EXTERNAL, {"admin_state_up": 3}, (400, "ELB.1001")),
    (EXTERNAL, {"admin_state_up": "on"}, (400, "ELB.1001")),
    (EXTERNAL, {"admin_state_up": 2}, (403, "Forbidden")),
    (EXTERNAL, {"vip_address": "not-an-address"}, (400, "ELB.1071")),
    (EXTERNAL, {"vip_address": "8.8.8.8"}, (400, "ELB.1071")),
    (EXTERNAL, {"vip_address": 5}, (400, "ELB.1001")),
    (EXTERNAL, {"eip_type": "6_bgp"}, (400, "ELB.1001")),
    (EXTERNAL, {"charge_mode": "prepaid"}, (501, "Not Implemented")),
    (INTERNAL, {"vip_subnet_id": MISSING}, (400, "ELB.1061")),
    (INTERNAL, {"security_group_id": MISSING}, (400, "ELB.1001")),
    (INTERNAL, {"security_group_id": "s" * 201}, (400, "ELB.1001")),
    (INTERNAL, {"security_group_id": "a_b"}, (400, "ELB.1001")),
    (INTERNAL, {"az": "a z"}, (400, "ELB.1001")),
    # The first field of the published table that breaks a rule is named, whatever the order in the body.
    ({"bandwidth": 0, **EXTERNAL}, {"bandwidth": 0, "name": "a b"}, (400, "ELB.1021")),
    (EXTERNAL, {"admin_state_up": MISSING, "bandwidth": 0, "type": "no"}, (400, "ELB.1041")),
    (EXTERNAL, {"admin_state_up": MISSING, "bandwidth": 0}, (400, "ELB.1051")),
    (EXTERNAL, {"vpc_id": MISSING, "type": MISSING}, (400, "ELB.1081")),
]


@pytest.mark.parametrize(("body", "fields", "expected"), REFUSED_ON_CREATE)
def test_what_breaks_a_rule_is_refused_and_nothing_is_stored(
    tables: Api, body: dict[str, Any], fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = tables.ok("GET", PATH)
    assert refusal(tables.call("POST", PATH, json=changed(body, **fields))) == expected
    assert tables.ok("GET", PATH) == before


MALFORMED: list[tuple[bytes, tuple[int, str]]] = [
    (b"", (400, "ELB.0002")),
    (b"  ", (400, "ELB.0002")),
    (b"null", (400, "ELB.0002")),
    (b"{", (400, "Bad Request")),
    (b"[]", (400, "Bad Request")),
    (b'"text"', (400, "Bad Request")),
    (b"{'name': 'single quotes'}", (400, "Bad Request")),
    (b'{"name": "\xff"}', (400, "Bad Request")),
    (b"[" * 100_000, (400, "Bad Request")),
    (b'{"name": NaN}', (400, "Bad Request")),
]


@pytest.mark.parametrize(("body", "expected"), MALFORMED, ids=[body[:12].decode("latin-1") for body, _ in MALFORMED])
@pytest.mark.parametrize("path", [PATH, "/elbaas/listeners", "/elbaas/healthcheck"])
def test_a_body_that_is_no_json_object_is_refused(
    tables: Api, path: str, body: bytes, expected: tuple[int, str]
) -> None:
    assert refusal(tables.call("POST", path, content=body)) == expected


def test_a_compressed_body_is_refused_by_its_name(project: Api) -> None:
    body = gzip.compress(json.dumps(EXTERNAL).encode())
    answer = project.call("POST", PATH, content=body, headers={"Content-Encoding": "gzip"})
    assert refusal(answer) == (400, "Bad Request")
    assert 'Content-Encoding "gzip"' in answer.json()["detail"]
    assert project.call("POST", PATH, json=EXTERNAL, headers={"Content-Encoding": "identity"}).status_code == 200


def test_two_load_balancers_never_share_an_address(project: Api) -> None:
    first, second = project.create_load_balancer(), project.create_load_balancer()
    assert first["vip_address"] != second["vip_address"]


def test_the_filters_find_by_every_field(project: Api) -> None:
    external = project.create_load_balancer(name="one", description="first", bandwidth=7, vpc_id="vpc-a")
    internal = project.create_load_balancer(**changed(INTERNAL, name="two", admin_state_up=0))
    for field in FILTERS:
        for load_balancer, other in ((external, internal), (internal, external)):
            if load_balancer[field] not in (None, ""):
                assert listed(project, **{field: load_balancer[field]}) == [load_balancer], field
            assert load_balancer[field] != other[field]
    assert listed(project, status="PENDING_CREATE") == []
    both = sorted([external, internal], key=lambda one: str(one["id"]))
    assert listed(project, status="ACTIVE") == both
    assert listed(project, type="Internal", name="one") == []
    assert listed(project, name="nobody") == []


def test_limit_and_marker_page_through_the_list(project: Api) -> None:
    ids = sorted(project.create_load_balancer(name=f"lb-{number}")["id"] for number in range(5))
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while page := listed(project, **query):
        assert len(page) <= 2
        seen += [one["id"] for one in page]
        query["marker"] = page[-1]["id"]
    assert seen == ids
    assert listed(project, limit=0) == []
    assert project.ok("GET", PATH, params={"limit": 2})["instance_num"] == "2"


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"limit": "-1"},
        {"limit": "many"},
        {"limit": "1.5"},
        {"marker": "x"},
        {"id": "x"},
        {"status": "SLEEPING"},
        {"type": "external"},
        {"bandwidth": "wide"},
        {"vip_address": "256.0.0.1"},
        {"admin_state_up": "on"},
    ],
)
def test_a_bad_filter_is_refused(tables: Api, query: dict[str, str]) -> None:
    assert refusal(tables.call("GET", PATH, params=query)) == (400, "ELB.1004")


def test_an_update_changes_what_can_be_changed_and_nothing_else(project: Api) -> None:
    before = project.create_load_balancer(description="old")
    path = f"{PATH}/{before['id']}"
    expected = dict(before)
    for change in ({"name": "new"}, {"description": "new"}, {"bandwidth": 20}, {"admin_state_up": 0}):
        job = project.succeed("PUT", path, json=change)
        assert job["job_type"] == "updateELB"
        expected |= change
        shown = project.ok("GET", path)
        assert shown | {"update_time": before["update_time"]} == expected
        entity = job["entities"]["elb"]
        assert_shape(entity, JOB_LOAD_BALANCER)
        assert {name: entity[name] for name in ("name", "description", "bandwidth")} == {
            name: expected[name] for name in ("name", "description", "bandwidth")
        }
        assert entity["admin_state_up"] is (expected["admin_state_up"] == 1)
    project.succeed("PUT", path, json={"name": "all", "description": "", "bandwidth": "30", "admin_state_up": True})
    shown = project.ok("GET", path)
    assert [shown[name] for name in ("name", "description", "bandwidth", "admin_state_up")] == ["all", "", 30, 1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "n" * 65}, "ELB.1025"),
        ({"name": "a b"}, "ELB.1035"),
        ({"name": ""}, "ELB.1035"),
        ({"name": 1}, "ELB.1005"),
        ({"description": "d" * 129}, "ELB.1045"),
        ({"description": "<b>"}, "ELB.1045"),
        ({"bandwidth": 0}, "ELB.1005"),
        ({"bandwidth": 2001}, "ELB.1005"),
        ({"bandwidth": "wide"}, "ELB.1005"),
        ({"admin_state_up": 3}, "ELB.1005"),
        ({"admin_state_up": "on"}, "ELB.1005"),
        ({"vpc_id": "vpc-2"}, "ELB.1015"),
        ({"type": "Internal"}, "ELB.1015"),
        ({"vip_address": "127.0.0.1"}, "ELB.1015"),
        ({"id": NO_SUCH_ID}, "ELB.1015"),
        # In the order of the table, the first counts and nothing of the others is stored.
        ({"vpc_id": "vpc-2", "name": "a b"}, "ELB.1035"),
        ({"bandwidth": 0, "vpc_id": "vpc-2"}, "ELB.1015"),
        ({"name": "good", "bandwidth": 0}, "ELB.1005"),
    ],
)
def test_an_update_that_breaks_a_rule_changes_nothing(
    one_for_all: tuple[Api, str], change: dict[str, Any], expected: str
) -> None:
    api, path = one_for_all
    before = api.ok("GET", path)
    assert refusal(api.call("PUT", path, json=change)) == (400, expected)
    assert api.ok("GET", path) == before


@pytest.fixture(scope="module")
def one_for_all(tables: Api) -> tuple[Api, str]:
    """A load balancer for tests that change nothing."""
    return tables, f"{PATH}/{tables.create_load_balancer()['id']}"


@pytest.mark.parametrize("id", ["x", "0" * 31, "0" * 33, "g" * 32, "A" * 32, "00000000-0000-0000-0000-000000000000"])
def test_a_malformed_id_is_refused_by_every_operation(tables: Api, id: str) -> None:
    for method, path in (("GET", id), ("PUT", id), ("DELETE", id), ("DELETE", f"{id}/keep-eip")):
        answer = tables.call(method, f"{PATH}/{path}", json={})
        assert refusal(answer) == (400, "ELB.1020"), method


@pytest.mark.parametrize(
    ("method", "tail", "code"),
    [
        ("GET", "", "ELB.1003"),
        ("PUT", "", "ELB.1003"),
        ("DELETE", "", "ELB.1002"),
        ("DELETE", "/keep-eip", "ELB.1002"),
        ("GET", "/no/such/path", "ELB.1030"),
    ],
)
def test_an_unknown_load_balancer_is_404(tables: Api, method: str, tail: str, code: str) -> None:
    assert refusal(tables.call(method, f"{PATH}/{NO_SUCH_ID}{tail}", json={"name": "n"})) == (404, code)


@pytest.mark.parametrize(("method", "path"), [("PUT", PATH), ("POST", f"{PATH}/{NO_SUCH_ID}"), ("PATCH", PATH)])
def test_another_method_is_405_and_names_the_right_ones(tables: Api, method: str, path: str) -> None:
    answer = tables.call(method, path, json={})
    assert refusal(answer) == (405, "Method Not Allowed")
    assert "GET" in answer.headers["allow"]


def test_deleting_gives_the_address_back(project: Api) -> None:
    load_balancer = project.create_load_balancer()
    job = project.succeed("DELETE", f"{PATH}/{load_balancer['id']}")
    assert job["job_type"] == "deleteELB"
    assert job["entities"] == {"elb_id": load_balancer["id"]}
    assert project.ok("GET", PATH) == {"loadbalancers": [], "instance_num": "0"}
    body = changed(EXTERNAL, vip_address=load_balancer["vip_address"])
    assert refusal(project.call("POST", PATH, json=body)) == (404, "ELB.4003")


def test_a_kept_address_is_used_again_by_its_project_only(project: Api, tables: Api) -> None:
    load_balancer = project.create_load_balancer(bandwidth=5)
    address = load_balancer["vip_address"]
    body = changed(EXTERNAL, vip_address=address)
    assert refusal(project.call("POST", PATH, json=body)) == (400, "ELB.1101")
    job = project.succeed("DELETE", f"{PATH}/{load_balancer['id']}/keep-eip")
    assert job["job_type"] == "deleteELB"
    assert refusal(project.call("GET", f"{PATH}/{load_balancer['id']}")) == (404, "ELB.1003")
    assert refusal(tables.call("POST", PATH, json=body)) == (404, "ELB.4003")
    again = project.create_load_balancer(**changed(EXTERNAL, vip_address=address, bandwidth=MISSING))
    assert again["vip_address"] == address
    assert again["id"] != load_balancer["id"]
    assert refusal(project.call("POST", PATH, json=body)) == (400, "ELB.1101")


def test_an_internal_address_can_be_chosen_and_is_never_given_twice(project: Api) -> None:
    first = project.create_load_balancer(**INTERNAL)
    chosen = changed(INTERNAL, vip_address=first["vip_address"], vip_subnet_id=MISSING)
    assert refusal(project.call("POST", PATH, json=chosen)) == (400, "ELB.1101")
    project.succeed("DELETE", f"{PATH}/{first['id']}")
    assert project.create_load_balancer(**chosen)["vip_address"] == first["vip_address"]


def test_an_external_one_with_members_cannot_be_deleted_either_way(project: Api) -> None:
    load_balancer = project.create_load_balancer()
    listener = project.create_listener(load_balancer["id"])
    members = project.add_members(listener["id"], "127.9.0.1")
    for tail in ("", "/keep-eip"):
        answer = project.call("DELETE", f"{PATH}/{load_balancer['id']}{tail}")
        assert refusal(answer) == (400, "ELB.1018")
    assert listed(project) == [load_balancer]
    project.remove_members(listener["id"], *members)
    project.succeed("DELETE", f"{PATH}/{load_balancer['id']}")
    assert project.ok("GET", "/elbaas/listeners") == []


def test_an_internal_one_is_deleted_with_all_below_it(project: Api) -> None:
    load_balancer = project.create_load_balancer(**INTERNAL)
    listener = project.create_listener(load_balancer["id"])
    project.add_members(listener["id"], "127.9.0.1", "127.9.0.2")
    check = project.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener["id"]})
    answer = project.call("DELETE", f"{PATH}/{load_balancer['id']}/keep-eip")
    assert refusal(answer)[0] == 400
    project.succeed("DELETE", f"{PATH}/{load_balancer['id']}")
    assert listed(project) == []
    assert project.ok("GET", "/elbaas/listeners") == []
    assert refusal(project.call("GET", f"/elbaas/listeners/{listener['id']}")) == (404, "ELB.6010")
    assert refusal(project.call("GET", f"/elbaas/listeners/{listener['id']}/members")) == (404, "ELB.6010")
    assert refusal(project.call("GET", f"/elbaas/healthcheck/{check['id']}")) == (404, "ELB.7020")
