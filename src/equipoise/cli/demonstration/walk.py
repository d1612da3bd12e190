"""The walk through the main job: from a start to balanced traffic. What it looks like is the screen's."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from equipoise.cli.demonstration.addresses import Addresses
from equipoise.cli.demonstration.backends import running_backends
from equipoise.cli.demonstration.failure import DemoFailed, explained
from equipoise.cli.demonstration.screen import Screen
from equipoise.cli.demonstration.service import ServiceProcess, running_service
from equipoise.client import AsyncClient, ClientError, JobRecord, Login
from equipoise.client.over_httpx import AsyncHttpxTransport
from equipoise.private_files import write_private

REQUESTS: Final = 10
_PORT: Final = 8080
_BACKEND_PORT: Final = 9000
_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Stand:
    """What the walk has built and leaves behind.

    Attributes:
        front: the URL at which the load balancer serves.
        api: the URL below which the load balancers of the project are.
        token: a file with a token, for the header X-Auth-Token.
    """

    service: ServiceProcess
    front: str
    api: str
    token: Path


async def walk(screen: Screen, folder: Path, parts: AsyncExitStack) -> Stand:
    """Go through the main job. What is started is handed to `parts`, which ends it.

    Raises:
        DemoFailed: with what to do.
    """
    addresses = Addresses.choose()
    http = await parts.enter_async_context(_http_client())
    with screen.step("Start the service") as step:
        service = await parts.enter_async_context(running_service(folder, addresses))
        http.base_url = service.url
        step.result = f"API at {service.url}"
    with screen.step("Start two backends") as step:
        port = _free_port(addresses, _BACKEND_PORT)
        texts = await parts.enter_async_context(running_backends(addresses.backends, port))
        step.result = " and ".join(f"{address}:{port}" for address in addresses.backends)
    client = AsyncClient(AsyncHttpxTransport(http), Login.load(service.credentials))
    try:
        job, front = await _balance(screen, client, addresses, port)
    except ClientError as error:
        raise explained(error) from error
    with screen.step(f"Send {REQUESTS} requests") as step:
        answers = await _ask(front)
        counts = (f"{answers.count(text)} from {text.partition(' at ')[0]}" for text in texts.values())
        step.result = ", ".join(counts)
    screen.requests(answers)
    screen.document("The job of the load balancer: GET /v1.0/{project_id}/jobs/{job_id}", job.document)
    token = folder / "token"
    write_private(token, client.token.encode())
    return Stand(service, front, f"{service.url}{client.root}/elbaas/loadbalancers", token)


async def _balance(
    screen: Screen, client: AsyncClient, addresses: Addresses, backend_port: int
) -> tuple[JobRecord, str]:
    """Put a load balancer before the backends; returns the job of its creation and the URL at which it serves."""
    with screen.step("Log in") as step:
        await client.log_in()
        step.result = f"a token for the project {client.login.project_name}"
    with screen.step("Create the load balancer") as step:
        job = await client.create_load_balancer(_LOAD_BALANCER)
        elb = job.entities["elb"]
        step.result = f"job SUCCESS: in force, at {elb['vip_address']}"
    with screen.step("Create a listener") as step:
        listener = await client.create_listener(
            elb["id"], name="web", protocol="HTTP", port=_free_port(addresses, _PORT), backend_port=backend_port
        )
        step.result = f"{listener['protocol']} on port {listener['port']}, {listener['status']}"
    with screen.step("Add the backends as members") as step:
        await client.add_members(listener["id"], addresses.backends)
        step.result = "job SUCCESS: the next request reaches them"
    return job, f"http://{elb['vip_address']}:{listener['port']}/"


def _http_client() -> httpx.AsyncClient:
    # A proxy of the environment cannot know the loopback addresses of this machine.
    return httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)


def _free_port(addresses: Addresses, preferred: int) -> int:
    try:
        return addresses.free_port(preferred)
    except OSError as error:
        raise DemoFailed(
            f"No port of {addresses.backends[0]} can be used: {error.strerror}.",
            "See that the loopback interface is up with all of 127.0.0.0/8 (it is on Linux), then start again.",
        ) from error


async def _ask(front: str) -> list[str]:
    """Send the requests one after the other, over one connection; returns the answers."""
    async with _http_client() as http:
        answers = []
        for number in range(1, REQUESTS + 1):
            try:
                answer = await http.get(front)
            except httpx.HTTPError as error:
                raise DemoFailed(
                    f"Request {number} to {front} failed: {error or type(error).__name__}.",
                    "See log/envoy.log in a data directory for what Envoy says; then start the demo again.",
                ) from error
            if answer.status_code != httpx.codes.OK:
                raise DemoFailed(
                    f"Request {number} to {front} was answered with {answer.status_code}.",
                    "The lines above are the answer. A 503 means that Envoy reaches no backend: a local firewall?",
                    answer.text,
                )
            answers.append(answer.text.strip())
    return answers


_LOAD_BALANCER: Final[dict[str, Any]] = {
    "name": "demo",
    "vpc_id": "demo-vpc",
    "type": "External",
    "bandwidth": 100,
    "admin_state_up": 1,
}
