"""The job on the wire (jobs.md), and its story in the log."""

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from stand import Api, Service, eventually
from tests.contract.wire import ID, JOB_TIME, NO_SUCH_ID, assert_job, member, refusal

STORY = ["INIT", "RUNNING", "SUCCESS"]


def test_jobs_of_every_type_have_exactly_the_fields_and_types_of_the_contract(project: Api) -> None:
    jobs = [project.succeed("POST", "/elbaas/loadbalancers", json=body())]
    lb = jobs[0]["entities"]["elb"]["id"]
    jobs.append(project.succeed("PUT", f"/elbaas/loadbalancers/{lb}", json={"name": "n"}))
    listener = project.create_listener(lb)["id"]
    jobs.append(project.succeed("POST", f"/elbaas/listeners/{listener}/members", json=[member(1)]))
    removal = {"removeMember": [{"id": jobs[-1]["entities"]["members"][0]["id"]}]}
    jobs.append(project.succeed("POST", f"/elbaas/listeners/{listener}/members/action", json=removal))
    jobs.append(project.succeed("DELETE", f"/elbaas/loadbalancers/{lb}"))
    types = ["createELB", "updateELB", "createMember", "removeMember", "deleteELB"]
    assert [job["job_type"] for job in jobs] == types
    for job in jobs:
        assert_job(job)
        assert ID.fullmatch(job["job_id"])
        assert JOB_TIME.fullmatch(job["begin_time"])
        assert JOB_TIME.fullmatch(job["end_time"])
        assert job["begin_time"] <= job["end_time"]
        assert (job["error_code"], job["fail_reason"]) == (None, None)
        # What was true when a job ended stays readable, whatever became of its subject.
        assert project.job(job["job_id"]) == job


def test_sub_jobs_tell_of_each_part_and_are_left_out_where_there_is_only_one(project: Api) -> None:
    created = project.succeed("POST", "/elbaas/loadbalancers", json=body())
    lb = created["entities"]["elb"]["id"]
    listener = project.create_listener(lb)["id"]
    path = f"/elbaas/listeners/{listener}/members"
    one = project.succeed("POST", path, json=[member(1)])
    assert "sub_jobs" not in created
    assert "sub_jobs" not in one
    several = project.succeed("POST", path, json=[member(2), member(3)])
    assert_job(several)
    for part, entity in zip(several["sub_jobs"], several["entities"]["members"], strict=True):
        assert (part["job_type"], part["status"]) == ("createMember", "SUCCESS")
        assert part["entities"] == {"members": [entity]}
        assert project.job(part["job_id"]) == part


def test_the_times_of_a_job_are_utc(project: Api) -> None:
    job = project.succeed("POST", "/elbaas/loadbalancers", json=body())
    end = datetime.strptime(job["end_time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - end).total_seconds()) < 60


def test_a_job_answers_at_both_paths_and_the_uri_of_the_task_is_one_of_them(project: Api) -> None:
    task = project.ok("POST", "/elbaas/loadbalancers", json=body())
    job = project.ended(task["job_id"])
    for version in ("v1", "v1.0"):
        answer = project.http.get(f"/{version}/{project.project_id}/jobs/{task['job_id']}")
        assert (answer.status_code, answer.json()) == (200, job)
    assert project.http.get(task["uri"]).json() == job


@pytest.mark.parametrize("version", ["v1", "v1.0"])
@pytest.mark.parametrize("id", [NO_SUCH_ID, "x", "' OR 1=1", "%00"])
def test_an_unknown_job_is_404_with_an_error_body(tables: Api, version: str, id: str) -> None:
    answer = tables.http.get(f"/{version}/{tables.project_id}/jobs/{id}")
    assert refusal(answer) == (404, "Not Found")


def test_a_job_of_another_project_does_not_exist(tables: Api, project: Api) -> None:
    task = project.ok("POST", "/elbaas/loadbalancers", json=body())
    for version in ("v1", "v1.0"):
        answer = tables.http.get(f"/{version}/{tables.project_id}/jobs/{task['job_id']}")
        assert refusal(answer) == (404, "Not Found")


def test_the_log_tells_each_transition_once_under_the_id_of_the_request(project: Api, shared_service: Service) -> None:
    request_id = uuid.uuid4().hex
    answer = project.call("POST", "/elbaas/loadbalancers", json=body(), headers={"X-Request-Id": request_id})
    assert answer.headers["x-request-id"] == request_id
    job = project.ended(answer.json()["job_id"])

    def logged() -> list[dict[str, Any]]:
        return [line for line in shared_service.log_events() if line.get("job_id") == job["job_id"]]

    # A reader can see a commit a moment before it is told to the log.
    eventually(lambda: len(logged()) >= len(STORY))
    lines = logged()
    assert [line["status"] for line in lines] == STORY
    for line in lines:
        assert line["request_id"] == request_id
        assert line["load_balancer_id"] == job["entities"]["elb"]["id"]
        assert line["job_type"] == "createELB"
        assert line["project_id"] == project.project_id
        assert type(line["generation"]) is int
        assert type(line["duration_ms"]) is int
        assert JOB_TIME.fullmatch(line["time"])
    durations = [line["duration_ms"] for line in lines]
    assert durations == sorted(durations)
    assert len({line["generation"] for line in lines}) == 1


def test_the_jobs_of_synchronous_operations_are_in_the_log_too(project: Api, shared_service: Service) -> None:
    request_id = uuid.uuid4().hex
    load_balancer = project.create_load_balancer()["id"]
    listener = project.listener_body(load_balancer)
    project.ok("POST", "/elbaas/listeners", json=listener, headers={"X-Request-Id": request_id})

    def lines(event: str) -> list[dict[str, Any]]:
        of_request = [line for line in shared_service.log_events() if line.get("request_id") == request_id]
        return [line for line in of_request if line["event"] == event]

    # The line of the request is written when its answer is on its way already.
    eventually(lambda: [line["status"] for line in lines("request")] == [200])
    eventually(lambda: len(lines("job")) >= len(STORY))
    story = [(line["job_type"], line["status"]) for line in lines("job")]
    assert story == [("createListener", status) for status in STORY]


def test_no_password_and_no_token_is_in_the_log(api: Api, project: Api, shared_service: Service) -> None:
    secret = f"secret-{uuid.uuid4().hex}"
    domain = {"name": "Default"}
    user = {"name": "admin", "password": secret, "domain": domain}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": "region-1_demo", "domain": domain}}
    login = {"auth": {"identity": identity, "scope": scope}}
    root = shared_service.url
    assert httpx.post(f"{root}/v3/auth/tokens", json=login).status_code == 401
    assert httpx.post(f"{root}/v3/auth/tokens", content=f'{{"auth": {{"password": "{secret}"').status_code == 400
    path = f"{root}/v1.0/{api.project_id}/elbaas/loadbalancers"
    assert httpx.get(path, headers={"X-Auth-Token": secret}).status_code == 401
    assert httpx.get(path, params={"token": secret}, headers={"X-Auth-Token": api.token}).status_code == 400
    log = shared_service.log()
    known = shared_service.credentials()
    for text in (secret, known["password"], api.token, project.token):
        assert text not in log
    assert not re.search(r"gAAAAA[\w-]{40}", log), "a token of the service's own form"


def body(**fields: Any) -> dict[str, Any]:
    return {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 1, "admin_state_up": 1} | fields
