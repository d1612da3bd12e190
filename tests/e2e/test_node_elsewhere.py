"""A controller and a node as processes of their own: the main job, outages of either side, and who is kept out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path

import pytest

from stand import PATIENCE, Api, Backends, Service, ask, eventually, process_is_there
from stand.elsewhere import ControllerService, NodeProcess
from stand.postgres import Postgres
from tests.e2e.test_main_job import play_the_main_job


@pytest.fixture(params=["sqlite", "postgresql"])
def controller(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControllerService]:
    settings = []
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        settings = [f"database.url={server.new_database()}"]
    controller = ControllerService(tmp_path / "controller", *settings)
    try:
        controller.start()
        yield controller
    finally:
        controller.stop()


@pytest.fixture
def node(controller: ControllerService, tmp_path: Path) -> Iterator[NodeProcess]:
    node = NodeProcess(tmp_path / "node", controller.listens_for_nodes, name="one", token=controller.new_token())
    try:
        yield node
    finally:
        node.stop()


def is_live(controller: ControllerService) -> bool:
    return [each["live"] for each in controller.nodes()] == [True]


class Connection:
    """One connection of a client, which nobody makes anew."""

    def __init__(self, address: str, port: int) -> None:
        self._http = HTTPConnection(address, port, timeout=PATIENCE)
        self._http.connect()
        self._socket = self._http.sock

    def works(self) -> bool:
        self._http.request("GET", "/")
        answer = self._http.getresponse()
        answer.read()
        return answer.status == 200 and self._http.sock is self._socket

    def close(self) -> None:
        self._http.close()


def test_traffic_goes_on_whoever_dies(controller: ControllerService, node: NodeProcess, backends: Backends) -> None:
    node.start()
    assert node.token is not None
    assert node.token.encode() not in Path(f"/proc/{node.pid}/cmdline").read_bytes()
    with Api(controller) as api:
        play_the_main_job(api, backends)
        address = api.create_load_balancer()["vip_address"]
        [load_balancer] = api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], *backends.addresses[:1])
        envoy = node.envoy_pid
        client = Connection(address, 8080)
        assert client.works()

        controller.kill()
        assert client.works()
        assert ask(address, 8080, 3) == Counter({backends.addresses[0]: 3})
        controller.start()
        eventually(lambda: is_live(controller))
        api.create_listener(load_balancer["id"], port=8081, backend_port=backends.port)
        assert ask(address, 8081) == Counter({"503": 1})

        node.kill()
        assert client.works()
        eventually(lambda: not is_live(controller))
        # The certificate of before is enough, whatever became of the token.
        node.start()
        api.add_members(listener["id"], *backends.addresses[1:2])
        assert set(ask(address, 8080, 10)) == set(backends.addresses[:2])
        assert client.works()
        assert node.envoy_pid == envoy
        client.close()
    for each in (controller, node):
        assert node.token not in each.log()
        assert "PRIVATE KEY" not in each.log()
        assert "Traceback" not in each.log()
        # Every line is one event.
        assert all(line.startswith("{") for line in each.log().splitlines())


def test_who_is_kept_out_is_told_why(controller: ControllerService, node: NodeProcess, tmp_path: Path) -> None:
    node.start()
    other = NodeProcess(tmp_path / "other", controller.listens_for_nodes, name="two", token=node.token)
    try:
        other.begin()
        assert other.wait() == 1
        assert other.log().strip().splitlines()[-1] == (
            f"Error: {controller.listens_for_nodes} does not let this node join: the join token was used already, by "
            "another node: make another one with `equipoise node token`."
        )
    finally:
        other.stop()
    assert [each["id"] for each in controller.nodes()] == [node.node_id]
    assert controller.tell("remove", "one").returncode == 0
    rejected = eventually(lambda: [each for each in node.log_events() if each["event"] == "node_rejected"])
    assert rejected[0]["reason"].startswith("this node was removed from the service: to let it back in, start it with")
    # Nobody has said that its traffic is to end.
    assert node.is_running
    assert process_is_there(node.envoy_pid)


def test_both_end_cleanly_on_a_signal(controller: ControllerService, node: NodeProcess) -> None:
    node.start()
    for each in (node, controller):
        each.signal(15)
        assert each.wait() == 0
        assert each.log_events()[-1]["event"] == "stopped"
    assert not (node.data_dir / "run" / "envoy.pid").exists()


class WithNodeOfItsOwn(ControllerService):
    """`equipoise up` that accepts nodes, too."""

    def arguments(self) -> Sequence[str]:
        return Service.arguments(self)


def test_a_service_with_a_node_of_its_own_accepts_others(tmp_path: Path) -> None:
    service = WithNodeOfItsOwn(tmp_path / "up")
    node = NodeProcess(tmp_path / "node", service.listens_for_nodes, name="one")
    try:
        service.start()
        node.token = service.new_token()
        node.start()
        assert is_live(service)
    finally:
        node.stop()
        service.stop()
