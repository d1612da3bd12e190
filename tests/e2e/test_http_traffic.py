"""What HTTP and HTTPS listeners let through: headers about the client, WebSocket, and large bodies without a buffer."""

import base64
import hashlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from stand import PATIENCE, Api, Service
from stand.certificates import rsa_pair
from tests.tls_client import ask_on, client_context, connect, read_answer
from tests.versatile_member import BLOCK, VersatileMember, body_digest, versatile_member

BLOCKS = 1024
"""64 MiB."""


@dataclass
class Way:
    """A listener with one member."""

    scheme: str
    place: tuple[str, int]
    member: VersatileMember

    def open(self) -> socket.socket:
        if self.scheme == "https":
            return connect(self.place, client_context(rsa_pair().certificate), "rsa.test")
        return socket.create_connection(self.place, timeout=PATIENCE)


@pytest.fixture(params=["http", "https"])
def way(request: pytest.FixtureRequest, shared_service: Service) -> Iterator[Way]:
    with Api(shared_service) as api, versatile_member() as member:
        made = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
        fields = {}
        if request.param == "https":
            fields["certificate_id"] = api.ok("POST", "/elbaas/certificate", json=rsa_pair().body)["id"]
        listener = api.create_listener(
            made["id"], protocol=request.param.upper(), port=8443, backend_port=member.port, **fields
        )
        api.add_members(listener["id"], member.address)
        yield Way(request.param, (made["vip_address"], 8443), member)
        api.succeed("DELETE", f"/elbaas/loadbalancers/{made['id']}")


def headers(head: bytes) -> dict[str, str]:
    lines = [line.partition(":") for line in head.decode().split("\r\n")[1:]]
    return {name.lower(): value.strip() for name, _, value in lines}


def test_members_learn_who_asked_and_over_what(way: Way) -> None:
    with way.open() as client:
        seen = headers(ask_on(client, "/head", host="www.example.com"))
        assert seen["x-forwarded-proto"] == way.scheme
        assert seen["x-forwarded-for"] == client.getsockname()[0]
        assert seen["host"] == "www.example.com"
        assert "x-envoy-external-address" not in seen


def test_a_client_cannot_claim_another_way_in(way: Way) -> None:
    with way.open() as client:
        client.sendall(
            b"GET /head HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
        )
        seen = headers(read_answer(client))
        assert seen["x-forwarded-proto"] == way.scheme
        assert seen["x-forwarded-for"] == f"192.0.2.7,{client.getsockname()[0]}"


def test_a_websocket_is_let_through_both_ways(way: Way) -> None:
    key = base64.b64encode(os.urandom(16))
    with way.open() as client:
        client.sendall(
            b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 "), head
        for frame in (b"\x81\x05hello", b"\x82\x7e\x04\x00" + os.urandom(1024)):
            client.sendall(frame)
            echoed = b""
            while len(echoed) < len(frame):
                echoed += client.recv(4096)
            assert echoed == frame


def test_a_large_body_streams_to_a_member_at_the_pace_at_which_it_reads(way: Way) -> None:
    way.member.flows.clear()
    with way.open() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (BLOCKS * len(BLOCK)))
        client.settimeout(0.5)
        sent = sent_unread = 0
        while sent < BLOCKS * len(BLOCK):
            try:
                sent += client.send(memoryview(BLOCK)[sent % len(BLOCK) :])
            except TimeoutError:
                # Nobody reads and no buffer takes more: what is under way lies in the kernel.
                sent_unread = sent_unread or sent
                way.member.flows.set()
        assert 0 < sent_unread < BLOCKS * len(BLOCK) / 2
        client.settimeout(PATIENCE)
        assert read_answer(client).decode() == body_digest(BLOCKS)


def test_a_large_body_streams_from_a_member_at_the_pace_at_which_the_client_reads(way: Way) -> None:
    with way.open() as client:
        client.sendall(b"GET /blocks/%d HTTP/1.1\r\nHost: a\r\n\r\n" % BLOCKS)
        assert way.member.is_held_up.wait(PATIENCE)
        assert way.member.sent < BLOCKS * len(BLOCK) / 2
        body = read_answer(client)
        assert hashlib.sha256(body).hexdigest() == body_digest(BLOCKS)
