"""Jobs beyond the seed: list, wait, follow, history, cancel; and writes that are sent twice."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from stand import Api, Service, eventually

LOAD_BALANCER = {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 5, "admin_state_up": 1}


@contextmanager
def stopped_data_plane(service: Service) -> Iterator[None]:
    """Jobs are handed over and not confirmed inside the block."""
    pid = service.envoy_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def a_listener(api: Api) -> str:
    load_balancer = api.create_load_balancer()
    id: str = api.create_listener(load_balancer["id"], protocol="TCP", port=9001)["id"]
    return id


def add_member(api: Api, listener_id: str) -> str:
    body = [{"server_id": "s", "address": "127.0.0.9"}]
    job_id: str = api.ok("POST", f"/elbaas/listeners/{listener_id}/members", json=body)["job_id"]
    return job_id


def a_finished_job(api: Api) -> dict[str, object]:
    return api.ended(api.ok("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER)["job_id"])


def test_jobs_are_listed_newest_first_and_filtered(api: Api) -> None:
    first = api.ended(api.ok("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER)["job_id"])
    second = a_finished_job(api)
    resource = first["entities"]["elb"]["id"]
    found = api.ok("GET", "/jobs", params={"status": "SUCCESS", "job_type": "createELB", "limit": 1000})["jobs"]
    ids = [job["job_id"] for job in found]
    assert found[ids.index(first["job_id"])] == first
    assert first["begin_time"] == second["begin_time"] or ids.index(second["job_id"]) < ids.index(first["job_id"])
    of_resource = api.ok("GET", "/jobs", params={"resource_id": resource})["jobs"]
    assert [job["job_id"] for job in of_resource] == [first["job_id"]]
    later = api.ok("GET", "/jobs", params={"begin_time_from": second["begin_time"]})["jobs"]
    assert first["begin_time"] == second["begin_time"] or first["job_id"] not in [job["job_id"] for job in later]
    earlier = api.ok("GET", "/jobs", params={"resource_id": resource, "begin_time_to": "2000-01-01T00:00:00Z"})
    assert earlier == {"jobs": []}


def test_pages_of_jobs_join_without_gap_or_double(api: Api) -> None:
    created = {api.ok("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER)["job_id"] for _ in range(5)}
    whole = [job["job_id"] for job in api.ok("GET", "/jobs")["jobs"]]
    paged: list[str] = []
    while page := api.ok("GET", "/jobs", params={"limit": 3} | ({"marker": paged[-1]} if paged else {}))["jobs"]:
        paged += [job["job_id"] for job in page]
    assert paged == whole
    assert created <= set(paged)


@pytest.mark.parametrize(
    "query",
    [
        {"status": "DONE"},
        {"job_type": "x"},
        {"resource_id": "x"},
        {"begin_time_from": "now"},
        {"limit": "-1"},
        {"a": "b"},
    ],
)
def test_a_filter_that_cannot_be_is_refused(api: Api, query: dict[str, str]) -> None:
    answer = api.call("GET", "/jobs", params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["detail"]


def test_a_waiting_client_is_answered_when_the_job_ends(api: Api, shared_service: Service) -> None:
    listener_id = a_listener(api)
    answers: list[httpx.Response] = []
    with stopped_data_plane(shared_service):
        job_id = add_member(api, listener_id)
        eventually(lambda: api.job(job_id)["status"] == "RUNNING")
        waiting = threading.Thread(target=lambda: answers.append(api.call("GET", f"/jobs/{job_id}?wait=60")))
        waiting.start()
        assert api.ok("GET", f"/jobs/{job_id}?wait=0.05")["status"] == "RUNNING"
        assert not answers
    waiting.join()
    assert answers[0].json()["status"] == "SUCCESS"
    assert api.call("GET", f"/jobs/{'0' * 32}?wait=60").status_code == 404
    assert api.call("GET", f"/jobs/{job_id}?wait=never").status_code == 400


def test_the_history_tells_every_state_with_time_and_cause(api: Api) -> None:
    job = a_finished_job(api)
    assert "history" not in job
    history = api.ok("GET", f"/jobs/{job['job_id']}?history=true")["history"]
    assert [entry["status"] for entry in history] == ["INIT", "RUNNING", "SUCCESS"]
    assert [entry["time"] for entry in history] == sorted(entry["time"] for entry in history)
    assert (history[0]["time"], history[-1]["time"]) == (job["begin_time"], job["end_time"])
    assert all(entry["cause"] for entry in history)


def test_a_job_is_followed_to_its_end_and_taken_up_again_behind_the_last_event(
    api: Api, shared_service: Service
) -> None:
    listener_id = a_listener(api)
    with stopped_data_plane(shared_service):
        job_id = add_member(api, listener_id)
        eventually(lambda: api.job(job_id)["status"] == "RUNNING")
        with api.http.stream("GET", f"{api.root}/jobs/{job_id}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            seen = [next(line for line in lines if line.startswith("event: ")) for _ in range(2)]
            assert seen == ["event: INIT", "event: RUNNING"]
    rest = api.call("GET", f"/jobs/{job_id}/events", headers={"Last-Event-ID": "2"}).text
    assert [line for line in rest.splitlines() if line.startswith(("id: ", "event: "))] == ["id: 3", "event: SUCCESS"]
    assert api.call("GET", f"/jobs/{'0' * 32}/events").status_code == 404


@pytest.mark.parametrize("event", ["x", "-1", "1" * 5000], ids=["word", "negative", "endless"])
def test_what_is_the_id_of_no_event_is_refused(api: Api, event: str) -> None:
    job_id = a_finished_job(api)["job_id"]
    answer = api.call("GET", f"/jobs/{job_id}/events", headers={"Last-Event-ID": event})
    assert answer.status_code == 400
    assert "Last-Event-ID" in answer.json()["detail"]


def test_only_a_job_that_has_not_begun_can_be_cancelled(api: Api) -> None:
    answer = api.call("DELETE", f"/jobs/{a_finished_job(api)['job_id']}")
    assert answer.status_code == 409
    assert "INIT" in answer.json()["detail"]
    assert api.call("DELETE", f"/jobs/{'0' * 32}").status_code == 404


def test_the_same_key_and_body_give_the_same_job(api: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    answers = [api.call("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    other = api.call("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER | {"name": "b"}, headers=key)
    assert other.status_code == 409
    assert "Idempotency-Key" in other.json()["detail"]
    malformed = api.call("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER, headers={"Idempotency-Key": "a b"})
    assert malformed.status_code == 400


def test_a_synchronous_write_sent_twice_under_a_key_is_one(api: Api) -> None:
    load_balancer = api.create_load_balancer()
    key = {"Idempotency-Key": uuid4().hex}
    body = api.listener_body(load_balancer["id"], protocol="TCP", port=9002)
    first, second = (api.ok("POST", "/elbaas/listeners", json=body, headers=key) for _ in range(2))
    assert first == second
    gone = {"Idempotency-Key": uuid4().hex}
    for _ in range(2):
        assert api.call("DELETE", f"/elbaas/listeners/{first['id']}", headers=gone).status_code == 204


def test_keys_that_arrive_at_once_make_one_load_balancer(api: Api) -> None:
    headers = {"Idempotency-Key": uuid4().hex, "X-Auth-Token": api.token}
    url = f"{api.http.base_url}{api.root}/elbaas/loadbalancers"
    answers: list[str] = []

    def create() -> None:
        answers.append(httpx.post(url, json=LOAD_BALANCER, headers=headers, timeout=30).json()["job_id"])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1
