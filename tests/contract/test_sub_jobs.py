"""Sub-jobs on the wire (jobs.md), and what deleting a load balancer takes along (classic-api.md)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stand import Api, can_connect, running_service
from tests.contract.wire import JOB, assert_shape, member, refusal
from tests.people import member_of_new_project


@pytest.fixture
def with_empty_lists(tmp_path: Path) -> Iterator[Api]:
    with (
        running_service(tmp_path / "data", "jobs.empty_sub_jobs=true") as service,
        member_of_new_project(service) as client,
    ):
        yield client


def test_an_internal_load_balancer_is_deleted_with_all_below_it_and_each_is_a_sub_job(project: Api) -> None:
    load_balancer = project.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
    id = load_balancer["id"]
    first = project.create_listener(id, port=8080)["id"]
    second = project.create_listener(id, port=8081, protocol="TCP")["id"]
    members = project.add_members(first, "127.9.0.1", "127.9.0.2")
    check_body = {"listener_id": second, "healthcheck_protocol": "TCP", "healthy_threshold": 1}
    check_body |= {"unhealthy_threshold": 1, "healthcheck_timeout": 1, "healthcheck_interval": 5}
    check = project.ok("POST", "/elbaas/healthcheck", json=check_body)["id"]
    job = project.succeed("DELETE", f"/elbaas/loadbalancers/{id}")
    assert_shape({name: value for name, value in job.items() if name != "sub_jobs"}, JOB)
    assert job["entities"] == {"elb_id": id}
    for each in job["sub_jobs"]:
        assert_shape(each, JOB)
        assert (each["status"], each["begin_time"], each["end_time"]) == ("SUCCESS", job["begin_time"], job["end_time"])
        assert project.job(each["job_id"]) == each
    removed = [each["entities"] for each in job["sub_jobs"] if each["job_type"] == "removeMember"]
    assert removed == [{"listener_id": first, "members": [{"id": one}]} for one in sorted(members)]
    rest = [(each["job_type"], each["entities"]) for each in job["sub_jobs"] if each["job_type"] != "removeMember"]
    assert rest == [
        ("deleteHealthCheck", {"listener_id": second, "healthcheck_id": check}),
        *(("deleteListener", {"listener_id": one}) for one in sorted([first, second])),
    ]
    for path in (f"loadbalancers/{id}", f"listeners/{first}", f"listeners/{second}", f"healthcheck/{check}"):
        assert project.call("GET", f"/elbaas/{path}").status_code == 404
    assert not can_connect(load_balancer["vip_address"], 8080)


def test_an_external_load_balancer_with_members_is_not_deleted_and_without_them_goes_with_its_listeners(
    project: Api,
) -> None:
    id = project.create_load_balancer()["id"]
    listener = project.create_listener(id)["id"]
    ids = project.add_members(listener, "127.9.0.1")
    for path in (f"/elbaas/loadbalancers/{id}", f"/elbaas/loadbalancers/{id}/keep-eip"):
        assert refusal(project.call("DELETE", path)) == (400, "ELB.1018")
    project.remove_members(listener, *ids)
    job = project.succeed("DELETE", f"/elbaas/loadbalancers/{id}")
    assert [each["job_type"] for each in job["sub_jobs"]] == ["deleteListener"]


def test_several_members_have_a_sub_job_each_and_one_has_none(project: Api) -> None:
    listener = project.create_listener(project.create_load_balancer()["id"])["id"]
    path = f"/elbaas/listeners/{listener}/members"
    several = project.succeed("POST", path, json=[member(number) for number in range(1, 4)])
    assert [each["entities"]["members"] for each in several["sub_jobs"]] == [
        [one] for one in several["entities"]["members"]
    ]
    for each in several["sub_jobs"]:
        assert_shape(each, JOB)
        assert each["entities"]["members"][0]["status"] == "ACTIVE"
    assert_shape(project.succeed("POST", path, json=[member(4)]), JOB)


def test_a_setting_gives_the_literal_empty_list(with_empty_lists: Api) -> None:
    body = {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 1, "admin_state_up": 1}
    assert with_empty_lists.succeed("POST", "/elbaas/loadbalancers", json=body)["sub_jobs"] == []
