"""Frozen load balancers (classic-api.md, Load balancer): who freezes, and what stays possible."""

from typing import Any

import pytest

from stand import Api, Backends, ask, can_connect, eventually
from tests.contract.wire import member, refusal

FROZEN = (400, "ELB.1015")


def as_administrator(api: Api, project: Api, id: str, state: int) -> None:
    """Change the state of a tenant's load balancer and wait for it."""
    path = f"{project.root}/elbaas/loadbalancers/{id}"
    answer = api.http.put(path, json={"admin_state_up": state})
    assert answer.status_code == 200, answer.text
    assert project.ended(answer.json()["job_id"])["status"] == "SUCCESS"
    assert project.ok("GET", f"/elbaas/loadbalancers/{id}")["admin_state_up"] == state


def test_a_tenant_cannot_freeze(project: Api) -> None:
    body = {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 1}
    frozen = project.call("POST", "/elbaas/loadbalancers", json=body | {"admin_state_up": 2})
    assert refusal(frozen) == (403, "Forbidden")
    id = project.create_load_balancer()["id"]
    path = f"/elbaas/loadbalancers/{id}"
    assert refusal(project.call("PUT", path, json={"admin_state_up": 2})) == (403, "Forbidden")
    assert project.ok("GET", path)["admin_state_up"] == 1
    assert len(project.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]) == 1


def test_a_tenant_reads_a_frozen_load_balancer_and_changes_nothing_of_it(api: Api, project: Api) -> None:
    id = project.create_load_balancer()["id"]
    listener = project.create_listener(id)["id"]
    (member_id,) = project.add_members(listener, "127.9.0.9")
    check_body = {"listener_id": listener, "healthcheck_protocol": "TCP", "healthy_threshold": 1}
    check_body |= {"unhealthy_threshold": 1, "healthcheck_timeout": 1, "healthcheck_interval": 5}
    check = project.ok("POST", "/elbaas/healthcheck", json=check_body)["id"]
    as_administrator(api, project, id, 2)
    before = everything(project, id, listener, check)
    one, below, of_check = (
        f"/elbaas/loadbalancers/{id}",
        f"/elbaas/listeners/{listener}",
        f"/elbaas/healthcheck/{check}",
    )
    writes: list[tuple[str, str, Any]] = [
        ("PUT", one, {"name": "new"}),
        ("PUT", one, {"admin_state_up": 1}),
        ("DELETE", one, None),
        ("DELETE", f"{one}/keep-eip", None),
        ("POST", "/elbaas/listeners", project.listener_body(id, port=8081)),
        ("PUT", below, {"name": "new"}),
        ("DELETE", below, None),
        ("POST", f"{below}/members", [member(1)]),
        ("POST", f"{below}/members/action", {"removeMember": [{"id": member_id}]}),
        ("PUT", of_check, {"healthcheck_interval": 6}),
        ("DELETE", of_check, None),
    ]
    for method, path, body in writes:
        answer = project.call(method, path, json=body) if body is not None else project.call(method, path)
        assert refusal(answer) == FROZEN, (method, path)
        assert "frozen" in answer.json()["detail"]
    assert everything(project, id, listener, check) == before


def everything(project: Api, id: str, listener: str, check: str) -> list[Any]:
    members = project.ok("GET", f"/elbaas/listeners/{listener}/members")
    for each in members:
        # What the data plane saw before the freeze may become known later.
        del each["health_status"]
    paths = (f"loadbalancers/{id}", f"listeners?loadbalancer_id={id}", f"healthcheck/{check}")
    return [members, *(project.ok("GET", f"/elbaas/{path}") for path in paths)]


def test_frozen_the_address_stays_and_nothing_is_served_until_the_freeze_is_lifted(
    api: Api, project: Api, backends: Backends
) -> None:
    load_balancer = project.create_load_balancer()
    id, address = load_balancer["id"], load_balancer["vip_address"]
    listener = project.create_listener(id, backend_port=backends.port)["id"]
    project.add_members(listener, *backends.addresses)
    assert ask(address, 8080, 3).total() == 3
    as_administrator(api, project, id, 2)
    assert not can_connect(address, 8080)
    assert project.ok("GET", f"/elbaas/loadbalancers/{id}")["vip_address"] == address
    as_administrator(api, project, id, 1)
    eventually(lambda: set(ask(address, 8080, 3)) == set(backends.addresses))
    project.succeed("PUT", f"/elbaas/loadbalancers/{id}", json={"name": "free"})


@pytest.mark.parametrize("state", [0, 1])
def test_an_administrator_deletes_what_is_frozen_and_a_tenant_what_is_stopped(
    api: Api, project: Api, state: int
) -> None:
    id = project.create_load_balancer()["id"]
    as_administrator(api, project, id, 2)
    if state:
        task = api.http.delete(f"{project.root}/elbaas/loadbalancers/{id}").json()
        assert project.ended(task["job_id"])["status"] == "SUCCESS"
    else:
        as_administrator(api, project, id, 0)
        project.succeed("DELETE", f"/elbaas/loadbalancers/{id}")
    assert project.call("GET", f"/elbaas/loadbalancers/{id}").status_code == 404
