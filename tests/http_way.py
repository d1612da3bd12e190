"""A listener of HTTP or HTTPS with one scripted member, and a client that speaks to it byte by byte."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from tests.certificates import rsa_pair
from tests.http_client import Received, ask_raw
from tests.scripted_member import ScriptedMember, scripted_member
from tests.stand import PATIENCE, Api, Service
from tests.tls_client import client_context, connect

_PORT = 8443


@dataclass
class Way:
    """From a client through a listener to a member."""

    scheme: Literal["http", "https"]
    address: str
    member: ScriptedMember

    def open(self) -> socket.socket:
        """A connection of a client."""
        if self.scheme == "https":
            return connect((self.address, _PORT), client_context(rsa_pair().certificate), "rsa.test")
        return socket.create_connection((self.address, _PORT), timeout=PATIENCE)

    def ask(self, text: bytes) -> Received:
        """What comes back for a request on a connection of its own."""
        with self.open() as client:
            return ask_raw(client, text)


@contextmanager
def http_way(service: Service, scheme: Literal["http", "https"]) -> Iterator[Way]:
    with Api(service) as api, scripted_member() as member:
        made = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
        fields = {}
        if scheme == "https":
            fields["certificate_id"] = api.ok("POST", "/elbaas/certificate", json=rsa_pair().body)["id"]
        listener = api.create_listener(
            made["id"], protocol=scheme.upper(), port=_PORT, backend_port=member.port, **fields
        )
        api.add_members(listener["id"], member.address)
        yield Way(scheme, made["vip_address"], member)
        api.succeed("DELETE", f"/elbaas/loadbalancers/{made['id']}")
