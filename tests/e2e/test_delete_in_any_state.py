"""A load balancer can be deleted whatever state it is in (docs/explanation/jobs.md)."""

from pathlib import Path

from stand import Api, Backends, Service, can_connect, eventually, running_service
from tests.traffic import halted, port_taken


def test_a_deletion_waits_for_the_creation_that_is_still_under_way(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", "api.sync_wait=0.2") as service, Api(service) as api:
        with halted(service.envoy_pid):
            # Something that Envoy has to confirm: an empty load balancer is nothing to it.
            body = {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 5, "admin_state_up": 1}
            created = api.ok("POST", "/elbaas/loadbalancers", json=body)["job_id"]
            id = api.job(created)["entities"]["elb"]["id"]
            api.create_listener(id)
            deleted = api.ok("DELETE", f"/elbaas/loadbalancers/{id}")["job_id"]
            # What Envoy was sent after it had stopped is on its way still: it will take it, and then let it go.
            assert api.ok("GET", f"/jobs/{deleted}?wait=1")["status"] in ("INIT", "RUNNING")
        first, last = api.ended(created), api.ended(deleted)
        assert (first["status"], last["status"]) == ("SUCCESS", "SUCCESS")
        assert first["end_time"] <= last["end_time"]
        assert api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"] == []
        assert api.http.get(f"/v1/{api.project_id}/publicips").json()["publicips"] == []


def test_a_load_balancer_with_a_listener_in_error_is_deleted(own_service: Service, backends: Backends) -> None:
    service = own_service
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        id, address = load_balancer["id"], load_balancer["vip_address"]
        listener = api.create_listener(id, backend_port=backends.port)
        # Its port is gone when Envoy comes back: what was in force is refused.
        service.kill_all()
        eventually(lambda: not can_connect(address, 8080))
        with port_taken(address, 8080):
            service.start()
            eventually(lambda: api.ok("GET", f"/elbaas/listeners/{listener['id']}")["status"] == "ERROR")
            assert api.succeed("DELETE", f"/elbaas/loadbalancers/{id}")["entities"] == {"elb_id": id}
        assert api.ok("GET", "/elbaas/listeners") == []
