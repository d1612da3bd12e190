"""Quotas on the wire (classic-api.md, Operations), and that they are enforced for the project that asks."""

import json
import signal
from pathlib import Path
from typing import Any

from stand import Api, running_service
from tests.contract.wire import refusal
from tests.people import add_project, add_user, member_of_new_project

FIELDS = {"type": str, "used": int, "quota": int, "max": int, "min": int}


def quotas(api: Api) -> dict[str, dict[str, Any]]:
    body = api.ok("GET", "/elbaas/quotas")
    assert list(body) == ["quotas"]
    assert list(body["quotas"]) == ["resources"]
    resources = body["quotas"]["resources"]
    for resource in resources:
        assert {name: type(value) for name, value in resource.items()} == FIELDS
        assert resource["min"] <= resource["quota"] <= resource["max"]
    assert [resource["type"] for resource in resources] == ["elb", "listener"]
    return {resource["type"]: resource for resource in resources}


def test_used_counts_what_the_project_has(project: Api) -> None:
    before = quotas(project)
    assert (before["elb"]["used"], before["listener"]["used"]) == (0, 0)
    assert (before["elb"]["quota"], before["listener"]["quota"]) == (1000, 100)
    first, second = (project.create_load_balancer()["id"] for _ in range(2))
    project.create_listener(first)
    listener = project.create_listener(second)["id"]
    assert {type: each["used"] for type, each in quotas(project).items()} == {"elb": 2, "listener": 2}
    project.ok("DELETE", f"/elbaas/listeners/{listener}")
    assert quotas(project)["listener"]["used"] == 1
    project.succeed("DELETE", f"/elbaas/loadbalancers/{first}")
    assert {type: each["used"] for type, each in quotas(project).items()} == {"elb": 1, "listener": 0}


def test_a_project_has_quotas_of_its_own_by_a_setting_and_they_are_enforced(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", "quotas.elb=2") as service:
        known = add_user(service, add_project(service))
        with Api(service, known) as client:
            assert quotas(client)["elb"]["quota"] == 2
        service.signal(signal.SIGTERM)
        service.wait()
        own = {known["project_id"]: {"elb": 1, "listener": 1, "member": 1}}
        service.settings.append(f"quotas.projects={json.dumps(own)}")
        service.start()
        with Api(service, known) as client, member_of_new_project(service) as other:
            assert {type: each["quota"] for type, each in quotas(client).items()} == {"elb": 1, "listener": 1}
            assert quotas(other)["elb"]["quota"] == 2
            id = client.create_load_balancer()["id"]
            body = {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 1, "admin_state_up": 1}
            assert refusal(client.call("POST", "/elbaas/loadbalancers", json=body)) == (403, "ELB.1091")
            assert quotas(client)["elb"]["used"] == 1
            listener = client.create_listener(id)["id"]
            second = client.call("POST", "/elbaas/listeners", json=client.listener_body(id, port=8081))
            assert refusal(second) == (403, "ELB.6091")
            client.add_members(listener, "127.0.1.1")
            path = f"/elbaas/listeners/{listener}/members"
            third = client.call("POST", path, json=[{"server_id": "s", "address": "127.0.1.2"}])
            assert refusal(third) == (403, "ELB.2001")
            for _ in range(2):
                other.create_load_balancer()
            assert refusal(other.call("POST", "/elbaas/loadbalancers", json=body)) == (403, "ELB.1091")
