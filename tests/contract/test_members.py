"""Members on the wire (classic-api.md): adding, removing, lists, filters and their errors."""

from typing import Any

import pytest

from stand import Api
from tests.contract.wire import JOB_MEMBER, MEMBER, NO_SUCH_ID, TASK, assert_job, assert_shape, member, refusal


@pytest.fixture
def path(project: Api) -> str:
    """Members of a new listener."""
    return f"/elbaas/listeners/{project.create_listener(project.create_load_balancer()['id'])['id']}/members"


@pytest.fixture(scope="module")
def fixed(tables: Api) -> str:
    """Members of a listener that has two, for tests that change nothing."""
    listener = tables.create_listener(tables.create_load_balancer()["id"])["id"]
    tables.add_members(listener, "127.9.0.1", "127.9.0.2")
    return f"/elbaas/listeners/{listener}/members"


def listed(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    found = api.ok("GET", path, params=query)
    assert isinstance(found, list)
    return found


def test_adding_members_is_a_job_with_one_entity_for_each_that_was_sent(project: Api, path: str) -> None:
    answer = project.call("POST", path, json=[member(1), member(2)])
    assert answer.status_code == 200
    assert_shape(answer.json(), TASK)
    job = project.ended(answer.json()["job_id"])
    assert_job(job)
    assert job["job_type"] == "createMember"
    assert list(job["entities"]) == ["members"]
    entities = job["entities"]["members"]
    for entity, sent in zip(entities, [member(1), member(2)], strict=True):
        assert_shape(entity, JOB_MEMBER)
        assert entity | sent == entity
        assert entity["listener_id"] == path.split("/")[3]
        assert entity["status"] == "ACTIVE"
    assert sorted(one["id"] for one in listed(project, path)) == sorted(entity["id"] for entity in entities)


def test_a_member_has_exactly_the_fields_and_types_of_the_contract(project: Api, path: str) -> None:
    project.succeed("POST", path, json=[member(1)])
    [one] = listed(project, path)
    assert_shape(one, MEMBER)
    assert (
        one
        | {
            "server_id": "server-1",
            "server_name": None,
            "server_address": "127.9.0.1",
            "address": "127.9.0.1",
            "status": "ACTIVE",
            "health_status": "UNAVAILABLE",
            "listeners": [{"id": path.split("/")[3]}],
        }
        == one
    )


def test_a_listener_without_members_has_an_empty_list(project: Api, path: str) -> None:
    assert listed(project, path) == []


def test_a_job_names_as_many_members_as_were_sent(project: Api, path: str) -> None:
    one = {"server_id": "s1", "address": "127.0.1.1"}
    other = {"server_id": "s2", "address": "127.0.1.2"}
    job = project.succeed("POST", path, json=[one, other, one])
    named = [(member["server_id"], member["address"]) for member in job["entities"]["members"]]
    assert named == [("s1", "127.0.1.1"), ("s2", "127.0.1.2"), ("s1", "127.0.1.1")]
    assert job["entities"]["members"][0] == job["entities"]["members"][2]
    assert len(job["sub_jobs"]) == len(project.ok("GET", path)) == 2


def test_adding_the_same_member_again_adds_nothing_and_names_it(project: Api, path: str) -> None:
    first = project.succeed("POST", path, json=[member(1)])["entities"]["members"]
    again = project.succeed("POST", path, json=[member(1), member(2)])["entities"]["members"]
    assert again[0]["id"] == first[0]["id"]
    assert len(again) == 2
    assert len(listed(project, path)) == 2
    project.succeed("POST", path, json=[member(1) | {"server_id": "another"}])
    assert len(listed(project, path)) == 3


def test_removing_members_is_a_job_and_extra_keys_are_ignored(project: Api, path: str) -> None:
    ids = [one["id"] for one in project.succeed("POST", path, json=[member(1), member(2)])["entities"]["members"]]
    body = {"removeMember": [{"id": ids[0], "address": "127.9.0.1"}], "more": 1}
    answer = project.call("POST", f"{path}/action", json=body)
    assert answer.status_code == 200
    assert_shape(answer.json(), TASK)
    job = project.ended(answer.json()["job_id"])
    assert job["job_type"] == "removeMember"
    assert job["entities"] == {"listener_id": path.split("/")[3], "members": [{"id": ids[0]}]}
    assert [one["id"] for one in listed(project, path)] == [ids[1]]
    assert refusal(project.call("POST", f"{path}/action", json=body)) == (404, "ELB.2012")
    assert refusal(project.call("GET", path, params={"id": ids[0]})) == (404, "ELB.2012")


def test_removing_several_of_which_one_is_unknown_removes_none(tables: Api, fixed: str) -> None:
    before = listed(tables, fixed)
    body = {"removeMember": [{"id": before[0]["id"]}, {"id": NO_SUCH_ID}]}
    assert refusal(tables.call("POST", f"{fixed}/action", json=body)) == (404, "ELB.2012")
    assert listed(tables, fixed) == before


def test_a_member_of_another_listener_is_unknown_here(project: Api, tables: Api, path: str, fixed: str) -> None:
    other = project.create_listener(project.create_load_balancer()["id"])["id"]
    [id] = project.add_members(other, "127.9.0.1")
    answer = project.call("POST", f"{path}/action", json={"removeMember": [{"id": id}]})
    assert refusal(answer) == (404, "ELB.2012")
    foreign = {"removeMember": [{"id": listed(tables, fixed)[0]["id"]}]}
    assert refusal(project.call("POST", f"{path}/action", json=foreign)) == (404, "ELB.2012")


REFUSED_ON_ADD: list[tuple[object, tuple[int, str]]] = [
    (None, (400, "ELB.0002")),
    ({}, (400, "Bad Request")),
    (member(3), (400, "Bad Request")),
    ([], (400, "Bad Request")),
    (["x"], (400, "Bad Request")),
    ([{"address": "127.9.0.3"}], (400, "Bad Request")),
    ([{"server_id": 5, "address": "127.9.0.3"}], (400, "Bad Request")),
    ([{"server_id": "s" * 65, "address": "127.9.0.3"}], (400, "Bad Request")),
    ([{"server_id": "s"}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": None}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": ""}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": 5}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": "::1"}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": "10.0.0"}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": "0.0.0.0"}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": "224.0.0.1"}], (400, "ELB.2021")),
    ([{"server_id": "s", "address": "host.example"}], (400, "ELB.2021")),
    ([member(3), {"server_id": "s"}], (400, "ELB.2021")),
    ([{}], (400, "Bad Request")),
]


@pytest.mark.parametrize(("body", "expected"), REFUSED_ON_ADD)
def test_adding_what_breaks_a_rule_adds_nothing(
    tables: Api, fixed: str, body: object, expected: tuple[int, str]
) -> None:
    before = listed(tables, fixed)
    assert refusal(tables.call("POST", fixed, json=body)) == expected
    assert listed(tables, fixed) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"removeMember": None},
        {"removeMember": []},
        {"removeMember": {}},
        {"removeMember": ["x"]},
        {"removeMember": [{}]},
        {"removeMember": [{"id": 5}]},
        {"removeMember": [{"id": "x"}]},
        {"addMember": [{"id": NO_SUCH_ID}]},
    ],
)
def test_a_removal_that_is_none_is_refused(tables: Api, fixed: str, body: object) -> None:
    before = listed(tables, fixed)
    assert refusal(tables.call("POST", f"{fixed}/action", json=body)) == (400, "ELB.2002")
    assert listed(tables, fixed) == before


@pytest.mark.parametrize("tail", ["members", "members/action"])
@pytest.mark.parametrize(
    ("id", "code"), [("x", "ELB.2010"), ("0" * 33, "ELB.2010"), ("g" * 32, "ELB.2020"), ("A" * 32, "ELB.2020")]
)
def test_a_malformed_listener_id_is_refused(tables: Api, tail: str, id: str, code: str) -> None:
    assert refusal(tables.call("POST", f"/elbaas/listeners/{id}/{tail}", json={})) == (400, code)
    if tail == "members":
        assert refusal(tables.call("GET", f"/elbaas/listeners/{id}/{tail}")) == (400, code)


def test_an_unknown_listener_has_the_error_of_each_operation(tables: Api) -> None:
    path = f"/elbaas/listeners/{NO_SUCH_ID}/members"
    assert refusal(tables.call("POST", path, json=[member(1)])) == (400, "ELB.2011")
    assert refusal(tables.call("GET", path)) == (404, "ELB.6010")
    assert refusal(tables.call("POST", f"{path}/action", json={"removeMember": [{"id": NO_SUCH_ID}]}))[0] == 404
    assert refusal(tables.call("GET", f"{path}/no/such")) == (404, "ELB.2000")


def test_the_filters_find_by_every_field_of_the_contract(tables: Api, fixed: str) -> None:
    first, second = listed(tables, fixed)
    for one in (first, second):
        for field in ("id", "address", "server_address", "server_id"):
            assert listed(tables, fixed, **{field: one[field]}) == [one], field
    assert listed(tables, fixed, status="ACTIVE") == [first, second]
    assert listed(tables, fixed, status="PENDING") == []
    assert listed(tables, fixed, health_status="UNAVAILABLE") == [first, second]
    assert listed(tables, fixed, health_status="NORMAL") == []
    assert listed(tables, fixed, address="127.9.0.99") == []
    assert refusal(tables.call("GET", fixed, params={"id": NO_SUCH_ID})) == (404, "ELB.2012")
    assert refusal(tables.call("GET", fixed, params={"id": "gone"})) == (404, "ELB.2012")


def test_limit_and_marker_page_through_the_list(tables: Api, fixed: str) -> None:
    first, second = listed(tables, fixed)
    assert listed(tables, fixed, limit=1) == [first]
    assert listed(tables, fixed, limit=1, marker=first["id"]) == [second]
    assert listed(tables, fixed, marker=second["id"]) == []
    assert listed(tables, fixed, limit=0) == []
    assert listed(tables, fixed, limit=1000) == [first, second]


@pytest.mark.parametrize(
    "query",
    [{"colour": "x"}, {"limit": "-1"}, {"limit": "x"}, {"marker": "x"}, {"status": "UP"}, {"health_status": "WELL"}],
)
def test_a_bad_filter_is_refused(tables: Api, fixed: str, query: dict[str, str]) -> None:
    assert refusal(tables.call("GET", fixed, params=query))[0] == 400


def test_a_hundred_members_are_added_by_one_job(project: Api, path: str) -> None:
    wanted = [member(number) for number in range(1, 101)]
    job = project.succeed("POST", path, json=wanted)
    assert [entity["address"] for entity in job["entities"]["members"]] == [one["address"] for one in wanted]
    assert len(listed(project, path)) == 100
    assert project.ok("GET", "/elbaas/listeners")[0]["member_number"] == 100
