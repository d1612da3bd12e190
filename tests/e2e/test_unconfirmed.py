"""A change that is not in force is never shown as ACTIVE: with an Envoy that is really stopped, and beside members
that are really silent."""

import socket
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certificates import ec_pair, rsa_pair
from tests.contract.wire import refusal
from tests.stand import Api, Backends, Service, ask, can_connect, eventually, running_backends, running_service
from tests.tls_client import served
from tests.traffic import halted

PENDING, ACTIVE = "PENDING_CREATE", "ACTIVE"
LISTENERS, LOAD_BALANCERS, CHECKS = "/elbaas/listeners", "/elbaas/loadbalancers", "/elbaas/healthcheck"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Synchronous operations answer soon; freezing is allowed, since the tests log in as administrator."""
    with running_service(tmp_path_factory.mktemp("unconfirmed") / "data", "api.sync_wait=0.2") as service:
        yield service


@pytest.fixture
def api(service: Service) -> Iterator[Api]:
    with Api(service) as client:
        yield client


class Place:
    """A load balancer, its listener and the address on which it serves."""

    def __init__(self, api: Api, **fields: Any) -> None:
        load_balancer = api.create_load_balancer()
        self.api = api
        self.address = load_balancer["vip_address"]
        self.load_balancer = f"{LOAD_BALANCERS}/{load_balancer['id']}"
        self.id = api.create_listener(load_balancer["id"], **fields)["id"]
        self.listener = f"{LISTENERS}/{self.id}"
        self.members = f"{self.listener}/members"
        self.becomes_active()

    def shown(self, path: str) -> str:
        """The status of a listener or a load balancer: alone, in the list and in the lists of each status the same."""
        one = self.api.ok("GET", path)
        for status in (None, PENDING, ACTIVE, "ERROR"):
            found = self.api.ok("GET", path.rpartition("/")[0], params={"status": status} if status else {})
            listed = found if isinstance(found, list) else found["loadbalancers"]
            mine = [each["status"] for each in listed if each["id"] == one["id"]]
            assert mine == ([one["status"]] if status in (None, one["status"]) else []), status
        return str(one["status"])

    def becomes_active(self) -> None:
        for path in (self.listener, self.load_balancer):
            eventually(partial(self._is_active, path))
            assert self.shown(path) == ACTIVE

    def _is_active(self, path: str) -> bool:
        return bool(self.api.ok("GET", path)["status"] == ACTIVE)


@pytest.mark.parametrize(
    "change",
    [
        {"backend_port": 9},
        {"lb_algorithm": "leastconn"},
        {"port": 8081},
        {"tcp_timeout": 7},
        {"admin_state_up": False},
        {"name": "other", "backend_port": 9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_listener_is_pending_until_its_update_is_in_force(
    service: Service, api: Api, backends: Backends, change: dict[str, Any]
) -> None:
    place = Place(api, backend_port=backends.port, protocol="TCP")
    api.add_members(place.id, *backends.addresses)
    with halted(service.envoy_pid):
        answer = api.call("PUT", place.listener, json=change)
        assert answer.status_code == 200
        assert answer.json().items() >= (change | {"status": PENDING}).items()
        assert place.shown(place.listener) == PENDING
        assert place.shown(place.load_balancer) == ACTIVE
    place.becomes_active()
    assert can_connect(place.address, change.get("port", 8080)) == change.get("admin_state_up", True)
    api.ok("PUT", place.listener, json={"admin_state_up": True, "port": 8080})
    place.becomes_active()
    assert can_connect(place.address, 8080)


def test_a_new_name_waits_for_a_change_that_is_under_way_and_for_nothing_else(service: Service, api: Api) -> None:
    place = Place(api)
    api.add_members(place.id, "127.0.1.1")
    with halted(service.envoy_pid):
        # The data plane has no part in it.
        api.ok("PUT", place.listener, json={"name": "first"})
        place.becomes_active()
        api.ok("PUT", place.listener, json={"backend_port": 9})
        assert api.ok("PUT", place.listener, json={"name": "second"})["status"] == PENDING
    place.becomes_active()


def test_an_update_is_in_force_when_it_is_shown_as_active(service: Service, api: Api, backends: Backends) -> None:
    place = Place(api, backend_port=9)
    api.add_members(place.id, *backends.addresses)
    with halted(service.envoy_pid):
        api.ok("PUT", place.listener, json={"backend_port": backends.port, "lb_algorithm": "source"})
        assert place.shown(place.listener) == PENDING
    eventually(lambda: api.ok("GET", place.listener)["status"] == ACTIVE)
    [(_, count)] = ask(place.address, 8080, 9).items()
    assert count == 9


def test_a_listener_is_pending_until_a_change_of_its_health_check_is_in_force(
    service: Service, api: Api, backends: Backends
) -> None:
    place = Place(api, backend_port=backends.port)
    api.add_members(place.id, *backends.addresses)
    body = {"listener_id": place.id, "healthcheck_protocol": "HTTP", "healthcheck_uri": "/health"}
    with halted(service.envoy_pid):
        check = api.ok("POST", CHECKS, json=body)
        path = f"{CHECKS}/{check['id']}"
        assert place.shown(place.listener) == PENDING
    place.becomes_active()
    with halted(service.envoy_pid):
        assert api.ok("PUT", path, json={"healthcheck_interval": 1})["healthcheck_interval"] == 1
        assert place.shown(place.listener) == PENDING
        assert api.ok("GET", place.listener)["healthcheck_id"] == check["id"]
    place.becomes_active()
    with halted(service.envoy_pid):
        assert api.call("DELETE", path).status_code == 204
        assert refusal(api.call("GET", path)) == (404, "ELB.7020")
        shown = api.ok("GET", place.listener)
        assert (shown["healthcheck_id"], shown["status"]) == (None, PENDING)
    place.becomes_active()


def test_every_listener_that_serves_a_renewed_certificate_is_pending_until_it_is_in_force_there(
    service: Service, api: Api
) -> None:
    first, second = rsa_pair(), ec_pair()
    certificate = api.ok("POST", "/elbaas/certificate", json=first.body)["id"]
    users = [Place(api, protocol="HTTPS", certificate_id=certificate) for _ in range(2)]
    beside = Place(api)
    # That of a load balancer that serves nothing is confirmed at once, whatever the data plane does.
    stopped = Place(api, protocol="HTTPS", certificate_id=certificate)
    api.succeed("PUT", stopped.load_balancer, json={"admin_state_up": 0})
    with halted(service.envoy_pid):
        answer = api.call("PUT", f"/elbaas/certificate/{certificate}", json=second.body)
        assert (answer.status_code, answer.json()["certificate"]) == (200, second.certificate)
        assert [each.shown(each.listener) for each in users] == [PENDING, PENDING]
        assert [each.shown(each.load_balancer) for each in users] == [ACTIVE, ACTIVE]
        stopped.becomes_active()
        beside.becomes_active()
        # What only describes it concerns no listener.
        assert api.ok("PUT", f"/elbaas/certificate/{certificate}", json={"name": "n"})["name"] == "n"
    for each in users:
        each.becomes_active()
        assert served((each.address, 8080)) == second.record.public_bytes(Encoding.DER)


@pytest.mark.parametrize("change", [{"admin_state_up": 0}, {"admin_state_up": 2}], ids=["stopped", "frozen"])
def test_a_load_balancer_and_its_listeners_are_pending_until_it_has_stopped_and_until_it_serves(
    service: Service, api: Api, change: dict[str, int]
) -> None:
    place, beside = Place(api), Place(api)
    for wanted in (change, {"admin_state_up": 1}):
        with halted(service.envoy_pid):
            task = api.ok("PUT", place.load_balancer, json=wanted)
            assert api.ok("GET", place.load_balancer)["admin_state_up"] == wanted["admin_state_up"]
            assert [place.shown(path) for path in (place.load_balancer, place.listener)] == [PENDING, PENDING]
            assert [beside.shown(path) for path in (beside.load_balancer, beside.listener)] == [ACTIVE, ACTIVE]
        assert api.ended(task["job_id"])["status"] == "SUCCESS"
        place.becomes_active()
        assert can_connect(place.address, 8080) == (wanted["admin_state_up"] == 1)


def test_a_member_that_is_added_again_is_pending_until_that_is_confirmed(
    service: Service, api: Api, backends: Backends
) -> None:
    place = Place(api, backend_port=backends.port)
    [id] = api.add_members(place.id, backends.addresses[0])
    with halted(service.envoy_pid):
        api.ok("POST", f"{place.members}/action", json={"removeMember": [{"id": id}]})
        assert api.ok("GET", place.members) == []
        body = [{"server_id": f"server-{backends.addresses[0]}", "address": backends.addresses[0]}]
        task = api.ok("POST", place.members, json=body)
        assert [(one["id"], one["status"]) for one in api.ok("GET", place.members)] == [(id, "PENDING")]
        assert len(api.ok("GET", place.members, params={"status": "PENDING"})) == 1
        assert api.ok("GET", place.members, params={"status": "ACTIVE"}) == []
        assert place.shown(place.listener) == ACTIVE
    assert api.ended(task["job_id"])["status"] == "SUCCESS"
    assert [one["status"] for one in api.ok("GET", place.members)] == ["ACTIVE"]
    assert ask(place.address, 8080) == Counter({backends.addresses[0]: 1})


class Silence:
    """A member that takes connections and says nothing, until it is ended: then they are reset."""

    def __init__(self, address: str, port: int) -> None:
        self._place = address, port
        self._taking: socket.socket | None = None

    def begin(self) -> None:
        self._taking = socket.create_server(self._place, backlog=1024)

    def end(self) -> None:
        if self._taking is not None:
            self._taking.close()


@pytest.fixture
def beside_silence(api: Api) -> Iterator[tuple[Place, Backends, Silence]]:
    """A listener with two members that serve and one that is silent again, and a check that has been in force."""
    with running_backends(3) as backends:
        backends.stop(2)
        silence = Silence(backends.addresses[2], backends.port)
        silence.begin()
        place = Place(api, backend_port=backends.port)
        api.add_members(place.id, *backends.addresses)
        body = {
            "listener_id": place.id,
            "healthcheck_protocol": "HTTP",
            "healthcheck_uri": "/health",
            "healthcheck_timeout": 50,
            "healthcheck_interval": 50,
            "healthy_threshold": 1,
            "unhealthy_threshold": 1,
        }
        api.ok("POST", CHECKS, json=body)
        # Envoy goes on with the cluster that it had until the first round of checks is over.
        assert place.shown(place.listener) == PENDING
        silence.end()
        place.becomes_active()
        silence.begin()
        yield place, backends, silence
        silence.end()
        backends.restart(2)


def test_an_algorithm_is_pending_beside_a_silent_member_and_in_force_when_it_is_active(
    api: Api, beside_silence: tuple[Place, Backends, Silence]
) -> None:
    place, backends, silence = beside_silence
    well = set(backends.addresses[:2])
    assert ask(place.address, 8080, 12).keys() == well
    assert api.ok("PUT", place.listener, json={"lb_algorithm": "source"})["status"] == PENDING
    # Until then the old one serves.
    assert ask(place.address, 8080, 12).keys() == well
    assert place.shown(place.listener) == PENDING
    silence.end()
    eventually(lambda: api.ok("GET", place.listener)["status"] == ACTIVE)
    [(member, count)] = ask(place.address, 8080, 12).items()
    assert (member in well, count) == (True, 12)


def test_a_load_balancer_that_is_started_beside_a_silent_member_serves_when_its_job_succeeds(
    api: Api, beside_silence: tuple[Place, Backends, Silence]
) -> None:
    place, backends, silence = beside_silence
    api.succeed("PUT", place.load_balancer, json={"admin_state_up": 0})
    task = api.ok("PUT", place.load_balancer, json={"admin_state_up": 1})
    assert (place.shown(place.load_balancer), place.shown(place.listener)) == (PENDING, PENDING)
    silence.end()
    assert api.ended(task["job_id"])["status"] == "SUCCESS"
    assert ask(place.address, 8080, 12).keys() == set(backends.addresses[:2])
