"""Clients for benchmarks: the API's client over the transport that costs least, and the bodies that benchmarks send."""

from collections.abc import Mapping
from typing import Any, Final

from equipoise.client import Client, LeanTransport, Login
from stand import Service

LOAD_BALANCER: Final[Mapping[str, Any]] = {
    "name": "bench",
    "vpc_id": "bench",
    "type": "External",
    "bandwidth": 100,
    "admin_state_up": 1,
}


class BenchmarkError(Exception):
    """The service answered something that makes a figure worthless."""


def logged_in(service: Service) -> Client:
    """A client of the administrator's project; close it."""
    client = Client(LeanTransport(service.url), Login.of(service.credentials()))
    client.log_in()
    return client


def create_load_balancer(client: Client) -> str:
    """The id of a new load balancer, in force."""
    return str(client.create_load_balancer(LOAD_BALANCER).entities["elb"]["id"])


def create_listener(client: Client, load_balancer_id: str) -> str:
    """The id of a new listener, in force."""
    created = client.create_listener(load_balancer_id, name="bench", protocol="HTTP", port=8080, backend_port=9000)
    if created["status"] != "ACTIVE":
        raise BenchmarkError(f"Listener {created['id']} is {created['status']}, not in force.")
    return str(created["id"])
