"""Elastic IPs on the wire (classic-api.md, end of Operations), and how load balancers take, keep and reuse them."""

from collections.abc import Iterator
from typing import Any

import pytest

from stand import Api, Service, running_service
from tests.contract.wire import ID, NO_SUCH_ID, RESOURCE_TIME, refusal
from tests.people import add_project, add_user, member_of_new_project

FIELDS = {
    "id": str,
    "status": str,
    "type": str,
    "public_ip_address": str,
    "bandwidth_size": int,
    "tenant_id": str,
    "create_time": str,
}
MISSING = object()


class ElasticIps:
    """The address API of one project."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.path = f"/v1/{api.project_id}/publicips"

    def post(self, body: object) -> Any:
        return self.api.http.post(self.path, json=body)

    def create(self, **fields: object) -> dict[str, Any]:
        answer = self.post(body(**fields))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["publicip"]
        return found

    def list(self, **query: object) -> list[dict[str, Any]]:
        answer = self.api.http.get(self.path, params=query)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["publicips"]
        return found

    def show(self, id: str) -> Any:
        return self.api.http.get(f"{self.path}/{id}")

    def delete(self, id: str) -> Any:
        return self.api.http.delete(f"{self.path}/{id}")


@pytest.fixture
def eips(project: Api) -> ElasticIps:
    return ElasticIps(project)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose pool has two elastic IPs."""
    network = "127.252.7.0/30"
    with running_service(tmp_path_factory.mktemp("small") / "data", f"addresses.external={network}") as service:
        yield service


def body(**fields: object) -> dict[str, Any]:
    """A body that is right, but for fields such as `bandwidth__size`."""
    made: dict[str, Any] = {
        "publicip": {"type": "5_bgp"},
        "bandwidth": {"name": "bandwidth-1", "size": 20, "share_type": "PER", "charge_mode": "traffic"},
    }
    for place, value in fields.items():
        *above, name = place.split("__")
        target = made[above[0]] if above else made
        if value is MISSING:
            del target[name]
        else:
            target[name] = value
    return made


def test_an_elastic_ip_has_exactly_the_fields_and_types_of_the_contract(eips: ElasticIps) -> None:
    created = eips.create(publicip__type="5_sbgp")
    assert {name: type(value) for name, value in created.items()} == FIELDS
    assert ID.fullmatch(created["id"])
    assert RESOURCE_TIME.fullmatch(created["create_time"])
    assert (created["status"], created["type"], created["bandwidth_size"]) == ("DOWN", "5_sbgp", 20)
    assert created["tenant_id"] == eips.api.project_id
    assert eips.show(created["id"]).json() == {"publicip": created}
    assert eips.list() == [created]


def test_what_was_deleted_is_gone_and_free_for_the_next_who_asks(eips: ElasticIps) -> None:
    created = eips.create()
    answer = eips.delete(created["id"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(eips.show(created["id"])) == refusal(eips.delete(created["id"])) == (404, "Not Found")
    assert eips.list() == []
    again = eips.create(publicip__ip_address=created["public_ip_address"])
    assert again["public_ip_address"] == created["public_ip_address"]


def test_lists_page_in_the_order_of_ids_and_filter_by_address(eips: ElasticIps) -> None:
    created = sorted((eips.create() for _ in range(3)), key=lambda each: str(each["id"]))
    assert eips.list() == created
    assert eips.list(limit=2) == created[:2]
    assert eips.list(limit=2, marker=created[1]["id"]) == created[2:]
    assert eips.list(limit=0) == []
    assert eips.list(public_ip_address=created[1]["public_ip_address"]) == [created[1]]


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "marker=x", "colour=red", "public_ip_address=x"])
def test_a_bad_query_is_refused(tables: Api, query: str) -> None:
    answer = tables.http.get(f"/v1/{tables.project_id}/publicips?{query}")
    assert refusal(answer) == (400, "Bad Request")
    assert query.split("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"publicip": MISSING}, 400, "publicip must be an object"),
        ({"publicip": []}, 400, "publicip must be an object"),
        ({"publicip__type": MISSING}, 400, "publicip.type"),
        ({"publicip__type": "bgp"}, 400, "publicip.type"),
        ({"publicip__ip_address": "x"}, 400, "publicip.ip_address"),
        ({"publicip__ip_address": 1}, 400, "publicip.ip_address"),
        ({"publicip__ip_address": "8.8.8.8"}, 400, "not an address of the pool"),
        ({"publicip__ip_version": 6}, 501, "publicip.ip_version"),
        ({"bandwidth": MISSING}, 400, "bandwidth must be an object"),
        ({"bandwidth__name": MISSING}, 400, "bandwidth.name"),
        ({"bandwidth__name": "x" * 65}, 400, "bandwidth.name"),
        ({"bandwidth__size": MISSING}, 400, "bandwidth.size"),
        ({"bandwidth__size": 0}, 400, "bandwidth.size"),
        ({"bandwidth__size": 2001}, 400, "bandwidth.size"),
        ({"bandwidth__size": True}, 400, "bandwidth.size"),
        ({"bandwidth__share_type": MISSING}, 400, "bandwidth.share_type"),
        ({"bandwidth__share_type": "WHOLE"}, 501, "bandwidth.share_type"),
        ({"bandwidth__charge_mode": 1}, 400, "bandwidth.charge_mode"),
        ({"bandwidth__charge_mode": "prepaid"}, 501, "bandwidth.charge_mode"),
        # The first field of the tables wins.
        ({"publicip__type": "x", "bandwidth": MISSING}, 400, "publicip.type"),
        ({"bandwidth__size": 0, "bandwidth__share_type": "x"}, 400, "bandwidth.size"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named_and_nothing_is_taken(
    tables: Api, fields: dict[str, object], status: int, told: str
) -> None:
    eips = ElasticIps(tables)
    answer = eips.post(body(**fields))
    assert refusal(answer) == (status, {400: "Bad Request", 501: "Not Implemented"}[status])
    assert told in answer.json()["detail"]
    assert eips.list() == []


@pytest.mark.parametrize(("content", "code"), [(b"", "ELB.0002"), (b"[", "Bad Request"), (b"[]", "Bad Request")])
def test_a_body_that_is_no_object_is_refused(tables: Api, content: bytes, code: str) -> None:
    answer = tables.http.post(f"/v1/{tables.project_id}/publicips", content=content)
    assert refusal(answer) == (400, code)


def test_what_clients_send_besides_is_taken(eips: ElasticIps) -> None:
    created = eips.create(
        publicip__ip_version=4, bandwidth__size="300", bandwidth__charge_mode="who knows", enterprise_project_id="0"
    )
    assert created["bandwidth_size"] == 300
    eips.create(bandwidth__charge_mode=MISSING)


def test_an_address_in_use_cannot_be_asked_for(eips: ElasticIps) -> None:
    taken = eips.create()["public_ip_address"]
    answer = eips.post(body(publicip__ip_address=taken))
    assert refusal(answer) == (409, "Conflict")


@pytest.mark.parametrize("id", [NO_SUCH_ID, "x", "%00"])
def test_an_unknown_elastic_ip_is_404(tables: Api, id: str) -> None:
    eips = ElasticIps(tables)
    assert refusal(eips.show(id)) == refusal(eips.delete(id)) == (404, "Not Found")


def test_what_another_project_owns_does_not_exist(eips: ElasticIps, tables: Api) -> None:
    created, other = eips.create(), ElasticIps(tables)
    assert refusal(other.show(created["id"])) == refusal(other.delete(created["id"])) == (404, "Not Found")
    assert other.list() == []
    assert eips.list() == [created]
    wanted = {"name": "lb", "vpc_id": "v", "type": "External", "admin_state_up": 1}
    wanted["vip_address"] = created["public_ip_address"]
    assert refusal(tables.call("POST", "/elbaas/loadbalancers", json=wanted)) == (404, "ELB.4003")


def test_a_reader_sees_elastic_ips_and_takes_or_releases_none(shared_service: Service) -> None:
    project = add_project(shared_service)
    with (
        Api(shared_service, add_user(shared_service, project, "reader")) as reader,
        Api(shared_service, add_user(shared_service, project)) as member,
    ):
        created, seen = ElasticIps(member).create(), ElasticIps(reader)
        assert seen.list() == [created]
        assert refusal(seen.post(body())) == refusal(seen.delete(created["id"])) == (403, "Forbidden")


def test_without_a_token_nothing_is_told(shared_service: Service, tables: Api) -> None:
    answer = tables.http.get(f"/v1/{tables.project_id}/publicips", headers={"X-Auth-Token": ""})
    assert answer.status_code == 401


def test_a_load_balancer_has_an_elastic_ip_of_its_own_and_takes_it_along(eips: ElasticIps) -> None:
    load_balancer = eips.api.create_load_balancer(bandwidth=77, eip_type="5_union")
    (bound,) = eips.list()
    assert {**bound, "status": "ACTIVE", "bandwidth_size": 77, "type": "5_union"} == bound
    assert bound["public_ip_address"] == load_balancer["vip_address"]
    answer = eips.delete(bound["id"])
    assert refusal(answer) == (409, "Conflict")
    assert load_balancer["id"] in answer.json()["detail"]
    eips.api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")
    assert eips.list() == []


def test_a_private_address_is_no_elastic_ip(eips: ElasticIps) -> None:
    eips.api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
    assert eips.list() == []


def test_keep_eip_leaves_the_address_down_and_vip_address_takes_it_again(eips: ElasticIps) -> None:
    first = eips.api.create_load_balancer(bandwidth=10)
    path = f"/elbaas/loadbalancers/{first['id']}"
    eips.api.succeed("PUT", path, json={"bandwidth": 30})
    (bound,) = eips.list()
    assert (bound["status"], bound["bandwidth_size"]) == ("ACTIVE", 30)
    eips.api.succeed("DELETE", f"{path}/keep-eip")
    (kept,) = eips.list()
    assert kept == bound | {"status": "DOWN"}
    # Its own bandwidth counts, not the one that is sent.
    again = eips.api.create_load_balancer(vip_address=kept["public_ip_address"], bandwidth=999, eip_type="5_telcom")
    assert (again["vip_address"], again["bandwidth"]) == (kept["public_ip_address"], 30)
    assert eips.list() == [bound]
    taken = eips.api.call("POST", "/elbaas/loadbalancers", json=new(vip_address=kept["public_ip_address"]))
    assert refusal(taken) == (400, "ELB.1101")


def test_an_elastic_ip_taken_before_serves_a_load_balancer(eips: ElasticIps) -> None:
    created = eips.create()
    load_balancer = eips.api.create_load_balancer(vip_address=created["public_ip_address"])
    assert load_balancer["bandwidth"] == 20
    assert eips.list() == [created | {"status": "ACTIVE"}]
    eips.api.succeed("PUT", f"/elbaas/loadbalancers/{load_balancer['id']}", json={"bandwidth": 21})
    assert eips.list()[0]["bandwidth_size"] == 21
    eips.api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")
    # Deleted without keep-eip: the elastic IP goes with it, whoever took it first.
    assert eips.list() == []


def test_an_exhausted_pool_is_a_conflict_with_a_code_of_its_own(small: Service) -> None:
    with member_of_new_project(small) as client:
        eips = ElasticIps(client)
        held = [eips.create() for _ in range(2)]
        answer = eips.post(body())
        assert refusal(answer) == (409, "ELB.4001")
        assert "127.252.7.0/30" in answer.json()["detail"]
        job = client.ended(client.ok("POST", "/elbaas/loadbalancers", json=new(bandwidth=1))["job_id"])
        assert (job["status"], job["error_code"]) == ("FAIL", "ELB.4001")
        eips.delete(held[0]["id"])
        assert eips.create()["public_ip_address"] == held[0]["public_ip_address"]


def new(**fields: object) -> dict[str, object]:
    return {"name": "lb", "vpc_id": "v", "type": "External", "admin_state_up": 1} | fields
