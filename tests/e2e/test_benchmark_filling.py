"""What the benchmarks of thousands of load balancers start from is what the API would have made of them."""

from ipaddress import IPv4Network
from pathlib import Path

from benchmarks.filling import PORT, fill
from equipoise.backends.envoy.xds.listening import is_listening
from stand import Api, running_service, unused_network


def test_filled_load_balancers_are_in_force_with_the_next_start(tmp_path: Path) -> None:
    pool = unused_network()
    with running_service(tmp_path / "data") as service:
        project_id = service.credentials()["project_id"]
    fill(tmp_path / "data", project_id, IPv4Network(pool), 3, "HTTP", 2)
    with running_service(tmp_path / "data", f"addresses.external={pool}") as service, Api(service) as api:
        found = api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]
        assert [each["status"] for each in found] == ["ACTIVE"] * 3
        assert all(is_listening(each["vip_address"], PORT) for each in found)
        listeners = [api.ok("GET", f"/elbaas/listeners?loadbalancer_id={each['id']}") for each in found]
        assert [len(api.ok("GET", f"/elbaas/listeners/{one['id']}/members")) for [one] in listeners] == [2] * 3
