"""Networks that the operator lists: VPCs and subnets to be looked up, availability zones to be named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stand import Api, Service, running_service, unused_network
from tests.contract.wire import LOAD_BALANCER, assert_shape, refusal
from tests.people import member_of_new_project
from tests.upgrade import make as upgrade
from tests.upgrade.archive import unpack

LB = "/elbaas/loadbalancers"
LISTED = "loadbalancers"
INTERNAL: dict[str, Any] = {
    "name": "lb",
    "type": "Internal",
    "admin_state_up": 1,
    "vpc_id": "vpc-1",
    "vip_subnet_id": "back",
    "security_group_id": "group",
}
BACK, FRONT, OTHER = unused_network(), unused_network(), unused_network()
VPCS = (
    f'networks.vpcs={{"vpc-2": {{}}, "vpc-1": {{"subnets": {{"front": "{FRONT}", "back": "{BACK}"}}}}, '
    f'"vpc-3": {{"subnets": {{"other": "{OTHER}"}}}}}}'
)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A member of a project where networks and zones are listed."""
    folder = tmp_path_factory.mktemp("listed") / "data"
    with (
        running_service(folder, VPCS, "networks.zones=eu-de-01,eu-de-02") as service,
        member_of_new_project(service) as client,
    ):
        yield client


def vpcs(api: Api, **query: object) -> list[str]:
    answer = api.http.get(f"/v1/{api.project_id}/vpcs", params=query)  # type: ignore[arg-type]
    return [one["id"] for one in answer.raise_for_status().json()["vpcs"]]


def subnets(api: Api, **query: object) -> list[str]:
    answer = api.http.get(f"/v1/{api.project_id}/subnets", params=query)  # type: ignore[arg-type]
    return [one["id"] for one in answer.raise_for_status().json()["subnets"]]


def test_a_vpc_is_shown_as_published(listed: Api) -> None:
    shown = listed.http.get(f"/v1/{listed.project_id}/vpcs/vpc-1").raise_for_status().json()
    assert shown == {
        "vpc": {
            "id": "vpc-1",
            "name": "vpc-1",
            "description": "",
            "cidr": "",
            "status": "OK",
            "routes": [],
            "enterprise_project_id": "0",
        }
    }


def test_a_subnet_is_shown_as_published_and_its_id_is_taken_for_a_load_balancer(listed: Api) -> None:
    shown = listed.http.get(f"/v1/{listed.project_id}/subnets/back").raise_for_status().json()["subnet"]
    assert shown == {
        "id": "back",
        "name": "back",
        "description": "",
        "cidr": BACK,
        "gateway_ip": "",
        "ipv6_enable": False,
        "dhcp_enable": False,
        "primary_dns": "",
        "secondary_dns": "",
        "dnsList": [],
        "availability_zone": "",
        "vpc_id": "vpc-1",
        "status": "ACTIVE",
        "neutron_network_id": "back",
        "neutron_subnet_id": "back",
    }
    for id in ("id", "neutron_network_id", "neutron_subnet_id"):
        body = INTERNAL | {"vpc_id": shown["vpc_id"], "vip_subnet_id": shown[id]}
        assert listed.create_load_balancer(**body)["vip_subnet_id"] == "back"


def test_lists_of_networks_have_filters_and_pages(listed: Api) -> None:
    assert vpcs(listed) == vpcs(listed, id="", limit="", marker="") == ["vpc-1", "vpc-2", "vpc-3"]
    assert vpcs(listed, id="vpc-2") == vpcs(listed, name="vpc-2") == ["vpc-2"]
    assert vpcs(listed, id="vpc-2", name="vpc-1") == []
    assert vpcs(listed, limit=2) == ["vpc-1", "vpc-2"]
    assert vpcs(listed, limit=2, marker="vpc-2") == ["vpc-3"]
    assert vpcs(listed, limit=0) == []
    for everything in ("0", "all_granted_eps"):
        assert vpcs(listed, enterprise_project_id=everything) == ["vpc-1", "vpc-2", "vpc-3"]
    assert vpcs(listed, enterprise_project_id="b261ac1f-2489-4bc7-b31b-c33c3346a439") == []
    assert subnets(listed) == subnets(listed, vpc_id="", limit=1024) == ["back", "front", "other"]
    assert subnets(listed, vpc_id="vpc-1") == ["back", "front"]
    assert subnets(listed, vpc_id="vpc-1", limit=1, marker="back") == ["front"]
    assert subnets(listed, name="other") == subnets(listed, id="other", vpc_id="vpc-3") == ["other"]


def test_where_nothing_is_listed_the_lists_are_empty(tables: Api) -> None:
    assert vpcs(tables, limit=1024) == subnets(tables, vpc_id="") == []


@pytest.mark.parametrize("what", ["vpcs", "subnets"])
def test_networks_are_refused_like_everything_else(listed: Api, api: Api, what: str) -> None:
    path = f"/v1/{listed.project_id}/{what}"
    assert refusal(listed.http.get(f"{path}/nowhere")) == (404, "Not Found")
    assert refusal(listed.http.get(path, params={"colour": "red"})) == (400, "Bad Request")
    assert refusal(listed.http.get(path, params={"limit": "many"})) == (400, "Bad Request")
    assert refusal(listed.http.get(path, params={"marker": "a b"})) == (400, "Bad Request")
    assert refusal(listed.http.get(path, headers={"x-auth-token": ""}))[0] == 401
    assert refusal(listed.http.get(f"/v1/{api.project_id}/{what}"))[0] == 403
    assert refusal(listed.http.post(path, json={}))[0] == 405


def test_a_zone_is_taken_shown_again_and_found_until_zones_are_listed(project: Api) -> None:
    body = INTERNAL | {"az": "eu-de-01"}
    made = project.create_load_balancer(**body)
    assert_shape(made, LOAD_BALANCER)
    assert made["az"] == "eu-de-01"
    without = project.create_load_balancer(**INTERNAL)
    external = project.create_load_balancer(az="eu-de-01")
    assert (without["az"], external["az"]) == (None, None)
    found = project.ok("GET", LB, params={"az": "eu-de-01"})["loadbalancers"]
    assert found == [made]
    project.succeed("PUT", f"{LB}/{made['id']}", json={"az": "eu-de-01", "name": "other"})
    assert project.ok("GET", f"{LB}/{made['id']}")["az"] == "eu-de-01"
    assert refusal(project.call("PUT", f"{LB}/{made['id']}", json={"az": "eu-de-02"})) == (400, "ELB.1015")
    for malformed in ("a z", "x" * 65, 7, ["eu-de-01"]):
        answer = project.call("POST", LB, json=INTERNAL | {"az": malformed})
        assert refusal(answer) == (400, "ELB.1001")
        assert answer.json()["detail"].startswith("az must be")


def test_where_zones_are_listed_another_one_is_not_offered(listed: Api) -> None:
    assert listed.create_load_balancer(**INTERNAL, az="eu-de-02")["az"] == "eu-de-02"
    assert listed.create_load_balancer(**INTERNAL, az="")["az"] is None
    answer = listed.call("POST", LB, json=INTERNAL | {"az": "eu-de-03"})
    assert refusal(answer) == (501, "Not Implemented")
    assert "eu-de-01, eu-de-02" in answer.json()["detail"]
    # It means nothing for External, whatever it is.
    external = listed.create_load_balancer(vpc_id="vpc-1", az="eu-de-03")
    assert external["az"] is None


def test_a_data_directory_from_before_zones_is_taken_over(tmp_path: Path) -> None:
    """What the service made before it kept zones is served after the upgrade, and new ones keep theirs."""
    kept = unpack("0.1.0", tmp_path / "kept")
    service = Service(tmp_path / "kept", *kept.settings)
    service.settings[:2] = [f"addresses.external={upgrade.EXTERNAL}", f"addresses.internal={upgrade.INTERNAL}"]
    try:
        service.start()
        with Api(service) as api:
            [before] = [told[LISTED] for path, told in kept.told.items() if path.endswith(LB)]
            first = next(each for each in before if each["name"] == "first")
            assert "az" not in first
            assert api.ok("GET", f"{LB}/{first['id']}") == first | {"az": None}
            api.succeed("PUT", f"{LB}/{first['id']}", json={"name": "after"})
            assert api.create_load_balancer(**INTERNAL, az="eu-de-02")["az"] == "eu-de-02"
    finally:
        service.stop()
