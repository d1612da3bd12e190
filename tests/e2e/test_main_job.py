"""The main job, end to end: from a login to balanced traffic, jobs that say so, and everything taken down again."""

import re
from collections import Counter
from pathlib import Path

from stand import Api, Backends, ask, assert_even, can_connect, running_service
from stand.postgres import Postgres


def test_the_main_job_from_login_to_balanced_traffic_and_back(api: Api, backends: Backends) -> None:
    play_the_main_job(api, backends)


def test_the_main_job_is_the_same_on_postgresql(tmp_path: Path, postgres: Postgres, backends: Backends) -> None:
    url = postgres.new_database()
    with running_service(tmp_path / "data", f"database.url={url}") as service:
        with Api(service) as api:
            play_the_main_job(api, backends)
            kept = api.create_load_balancer()
        service.kill()
        service.start()
        with Api(service) as api:
            assert api.ok("GET", f"/elbaas/loadbalancers/{kept['id']}") == kept
        assert not list(service.data_dir.glob("*.db"))


def play_the_main_job(api: Api, backends: Backends) -> None:
    catalogue = {service["type"]: service for service in api.login.json()["token"]["catalog"]}
    assert catalogue["elbv1"]["endpoints"][0]["url"].endswith(f"/v1.0/{api.project_id}")

    created = api.ok(
        "POST",
        "/elbaas/loadbalancers",
        json={"name": "web", "vpc_id": "v", "type": "External", "bandwidth": 300, "admin_state_up": 1},
    )
    assert created["uri"] == f"/v1/{api.project_id}/jobs/{created['job_id']}"
    job = api.ended(created["job_id"])
    assert job["status"] == "SUCCESS"
    assert job["job_type"] == "createELB"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["end_time"])
    assert api.http.get(created["uri"]).json() == job
    elb = job["entities"]["elb"]
    assert elb["status"] == "ACTIVE"

    load_balancer = api.ok("GET", f"/elbaas/loadbalancers/{elb['id']}")
    address = load_balancer["vip_address"]
    listener = api.create_listener(elb["id"], backend_port=backends.port)
    assert listener["status"] == "ACTIVE"
    assert can_connect(address, 8080)
    assert ask(address, 8080) == Counter({"503": 1})

    ids = api.add_members(listener["id"], *backends.addresses)
    answers = ask(address, 8080, 30)
    assert_even(answers, backends.addresses)
    assert backends.counts() == answers

    api.remove_members(listener["id"], ids[0])
    assert_even(ask(address, 8080, 20), backends.addresses[1:])
    assert [member["id"] for member in api.ok("GET", f"/elbaas/listeners/{listener['id']}/members")] == sorted(ids[1:])

    refused = api.call("DELETE", f"/elbaas/loadbalancers/{elb['id']}")
    assert (refused.status_code, refused.json()["code"]) == (400, "ELB.1018")
    api.remove_members(listener["id"], *ids[1:])
    assert api.call("DELETE", f"/elbaas/listeners/{listener['id']}").status_code == 204
    assert not can_connect(address, 8080)
    deleted = api.succeed("DELETE", f"/elbaas/loadbalancers/{elb['id']}")
    assert deleted["entities"] == {"elb_id": elb["id"]}
    assert api.call("GET", f"/elbaas/loadbalancers/{elb['id']}").status_code == 404
