"""A client that costs as little as possible: one kept connection, no more layers than the standard library needs."""

import json
from http.client import HTTPConnection
from types import TracebackType
from typing import Any, Final, Self

from tests.stand import Service

_PATIENCE_SECONDS: Final = 60.0


class BenchmarkError(Exception):
    """The service answered something that makes a figure worthless."""


class Client:
    """Logged in as the administrator; paths given to `call` are below the project."""

    def __init__(self, service: Service) -> None:
        known = service.credentials()
        self._root = f"/v1.0/{known['project_id']}"
        self._connection = HTTPConnection("127.0.0.1", service.port, timeout=_PATIENCE_SECONDS)
        self._headers = {"X-Auth-Token": self._log_in(known)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def healthz(self) -> None:
        """The bare round trip."""
        self._send("GET", "/healthz", None)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded body of an answer that must be a success."""
        return self._send(method, self._root + path, None if body is None else json.dumps(body).encode())

    def task(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask for a task and wait for the success of its job; returns the job."""
        return self.wait(self.call(method, path, body)["job_id"])

    def wait(self, job_id: str) -> dict[str, Any]:
        """Poll a job without a pause until SUCCESS."""
        while True:
            job: dict[str, Any] = self.call("GET", f"/jobs/{job_id}")
            if job["status"] == "SUCCESS":
                return job
            if job["status"] == "FAIL":
                raise BenchmarkError(f"{job['job_type']} failed: {job['fail_reason']}")

    def create_load_balancer(self) -> str:
        """The id of a new load balancer, in force."""
        body = {"name": "bench", "vpc_id": "bench", "type": "External", "bandwidth": 100, "admin_state_up": 1}
        job = self.task("POST", "/elbaas/loadbalancers", body)
        return str(job["entities"]["elb"]["id"])

    def create_listener(self, load_balancer_id: str) -> str:
        """The id of a new listener, in force."""
        body = {
            "name": "bench",
            "loadbalancer_id": load_balancer_id,
            "protocol": "HTTP",
            "port": 8080,
            "backend_protocol": "HTTP",
            "backend_port": 9000,
            "lb_algorithm": "roundrobin",
        }
        answer = self.call("POST", "/elbaas/listeners", body)
        if answer["status"] != "ACTIVE":
            raise BenchmarkError(f"Listener {answer['id']} is {answer['status']}, not in force.")
        return str(answer["id"])

    def delete_load_balancer(self, id: str) -> None:
        """Delete one that has no members."""
        self.task("DELETE", f"/elbaas/loadbalancers/{id}")

    def _log_in(self, known: dict[str, str]) -> str:
        domain = {"name": known["user_domain_name"]}
        user = {"name": known["username"], "password": known["password"], "domain": domain}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": known["project_name"], "domain": domain}},
            }
        }
        self._connection.request("POST", "/v3/auth/tokens", json.dumps(body).encode())
        answer = self._connection.getresponse()
        answer.read()
        token = answer.getheader("X-Subject-Token")
        if token is None:
            raise BenchmarkError(f"No token, but {answer.status}.")
        return token

    def _send(self, method: str, path: str, body: bytes | None) -> Any:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in {200, 202, 204}:
            raise BenchmarkError(f"{method} {path}: {answer.status} {content.decode(errors='replace')}")
        return json.loads(content) if content else None
