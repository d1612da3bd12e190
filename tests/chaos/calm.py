"""After the faults: what one of several services calls SUCCESS is in force everywhere at that moment, not later."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from stand import Api, Service, can_connect
from tests.chaos.workload import Members
from tests.traffic import ask_once

T = TypeVar("T")

_PORT = 8090
_WAIT_SECONDS = 10


class Calm:
    """Changes through each service in turn, read at the next one, and looked at in each network at once.

    The administrator asks, whose own project has nothing of the clients'.
    """

    def __init__(self, services: Sequence[Service], servers: Members) -> None:
        self._services = services
        self._servers = servers

    def check(self) -> list[str]:
        """Every violation."""
        with ExitStack() as stack:
            apis = [stack.enter_context(Api(service, self._services[0].credentials())) for service in self._services]
            found: list[str] = []
            for number, api in enumerate(apis):
                found += self._through(self._services[number], api, apis[(number + 1) % len(apis)])
            return found

    def _through(self, service: Service, api: Api, elsewhere: Api) -> Iterator[str]:
        said = f"SUCCESS at {service.data_dir.name}"
        body = {"name": "calm", "vpc_id": "v", "type": "Internal", "vip_subnet_id": "s", "security_group_id": "g"}
        made = yield from self._ended(elsewhere, api.ok("POST", "/elbaas/loadbalancers", json=body | _UP))
        if made is None:
            return
        one = made["entities"]["elb"]
        address = one["vip_address"]
        listener = api.create_listener(one["id"], protocol="HTTP", port=_PORT, backend_port=self._servers.port)
        if listener["status"] != "ACTIVE":
            yield f"a listener made at {service.data_dir.name} is {listener['status']} after the time to wait for it"
        for other, listens in self._everywhere(lambda: can_connect(address, _PORT)):
            if not listens:
                yield f"{said} of a listener, but {other} does not listen at {address}:{_PORT}"
        member = {"server_id": "calm", "address": self._servers.addresses[0]}
        path = f"/elbaas/listeners/{listener['id']}/members"
        if (yield from self._ended(elsewhere, api.ok("POST", path, json=[member]))) is not None:
            for other, got in self._everywhere(lambda: _asked(address)):
                if got != member["address"]:
                    yield f"{said} of a member, but {other} answers at {address}:{_PORT} with {got}"
        deleting = api.ok("DELETE", f"/elbaas/loadbalancers/{one['id']}")
        if (yield from self._ended(elsewhere, deleting)) is not None:
            for other, listens in self._everywhere(lambda: can_connect(address, _PORT)):
                if listens:
                    yield f"{said} of a deletion, but {other} still listens at {address}:{_PORT}"

    def _everywhere(self, look: Callable[[], T]) -> list[tuple[str, T]]:
        """What is seen in the network of each service, with the name of the service."""
        found = []
        for service in self._services:
            with service.inside():
                found.append((service.data_dir.name, look()))
        return found

    def _ended(self, elsewhere: Api, task: Mapping[str, str]) -> Generator[str, None, Any]:
        """Wait at another service for the success of a job; returns it, None with a violation."""
        job = elsewhere.ok("GET", f"/jobs/{task['job_id']}?wait={_WAIT_SECONDS}")
        if job["status"] == "SUCCESS":
            return job
        yield f"in calm, waited for elsewhere, a job is {job['status']} after {_WAIT_SECONDS} s at the most: {job}"
        return None


_UP = {"admin_state_up": 1}


def _asked(address: str) -> str:
    try:
        return ask_once(address, _PORT, timeout=5)[0]
    except OSError as error:
        return repr(error)
