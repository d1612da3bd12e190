"""What of HTTP reaches member and client as the other sent it, and what is ignored (docs/reference/http.md)."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.http_client import ask_raw, offer, read_until, request, until_the_end
from tests.http_way import Way, http_way
from tests.scripted_member import Connection, show_head
from tests.stand import PATIENCE, Service


@pytest.fixture(scope="module", params=["http", "https"])
def listener(request: pytest.FixtureRequest, shared_service: Service) -> Iterator[Way]:
    with http_way(shared_service, request.param) as made:
        yield made


@pytest.fixture
def way(listener: Way) -> Way:
    listener.member.script = show_head
    return listener


@pytest.mark.parametrize(
    "offered",
    [
        ["TLS/1.2"],
        ["TLS/1.0"],
        ["tls/1.3"],
        ["HTTP/2.0"],
        ["h2c"],
        ["h2,h2c"],
        ["IRC/6.9, RTA/x11"],
        ["TLS/1.2", "h2c"],
        ["websocket/13"],
        ["webdav"],
        ["SPDY/3"],
        ["SPDY/2, SPDY/3"],
        ["tcp/1"],
        ["tc"],
        ["tls"],
        ["foo"],
        [""],
    ],
    ids=str,
)
def test_an_offer_of_another_protocol_is_ignored(way: Way, offered: list[str]) -> None:
    answer = way.ask(request("GET /", "Connection: Upgrade, close", *(f"Upgrade: {each}" for each in offered)))
    assert answer.status == 200, answer
    assert b"upgrade" not in answer.body.lower()


def test_a_request_with_a_body_keeps_it_when_its_offer_is_ignored(way: Way) -> None:
    def script(connection: Connection) -> None:
        connection.answer("200 OK", connection.read_until(lambda body: len(body) == 5))

    way.member.script = script
    lines = ("Connection: Upgrade, close", "Upgrade: TLS/1.2", "Content-Length: 5")
    assert way.ask(request("POST /", *lines, body=b"hello")).body == b"hello"


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (["websocket"], "websocket"),
        (["WebSocket"], "WebSocket"),
        (["websocket, foo"], "websocket"),
        (["TLS/1.2,websocket"], "websocket"),
        (["h2c", "websocket"], "websocket"),
        (["SPDY/3.1"], "SPDY/3.1"),
        (["tcp"], "tcp"),
        (["tcp, TLS/1.2"], "tcp"),
    ],
    ids=str,
)
def test_a_member_is_offered_what_can_be_passed_on_and_bytes_go_both_ways(
    way: Way, offered: list[str], taken: str
) -> None:
    def script(connection: Connection) -> None:
        [line] = [line for line in connection.head.split(b"\r\n") if line.lower().startswith(b"upgrade:")]
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + line + b"\r\n\r\n")
        while received := connection.socket.recv(100):
            connection.send(received.upper())

    way.member.script = script
    with way.open() as client:
        client.sendall(offer(*offered))
        head = read_until(client, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert f"\r\nupgrade: {taken}\r\n".encode() in head
        client.sendall(b"hello")
        assert read_until(client, b"HELLO") == b"HELLO"


METHODS = ["LIST", "BAN", "VERSION-CONTROL", "RPC_IN_DATA", "PROPFIND", "M-SEARCH", "PRI", "get", "A!#$%&'*+.^_`|~9"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_reaches_the_member(way: Way, method: str) -> None:
    answer = way.ask(request(f"{method} /path"))
    assert answer.status == 200, answer
    assert answer.body.startswith(f"{method} /path HTTP/1.1\r\n".encode())


def test_query_reaches_the_member_with_its_question(way: Way) -> None:
    def script(connection: Connection) -> None:
        connection.answer("200 OK", connection.head.split(b" ")[0] + connection.read_until(lambda body: len(body) == 5))

    way.member.script = script
    lines = ("Content-Type: text/plain", "Content-Length: 5")
    assert way.ask(request("QUERY /", *lines, body=b"hello")).body == b"QUERYhello"


@pytest.mark.parametrize("count", [120, 4_900])
def test_many_lines_are_let_through_in_requests_and_answers(way: Way, count: int) -> None:
    def script(connection: Connection) -> None:
        came = connection.head.count(b"\r\nx-")
        connection.answer("200 OK", b"%d" % came, *(f"Set-Cookie: c{number}=v" for number in range(count)))

    way.member.script = script
    answer = way.ask(request("GET /", *(f"X-{number}: v" for number in range(count))))
    assert answer.status == 200, answer.head[:200]
    # The lines that say who asks are among those that the member gets.
    assert int(answer.body) == count + 2
    assert answer.head.count(b"\r\nset-cookie: ") == count


def test_long_lines_are_let_through_in_requests_and_answers(way: Way) -> None:
    def script(connection: Connection) -> None:
        connection.answer("200 OK", b"%d" % len(connection.head), f"X-Long: {'a' * 200_000}")

    way.member.script = script
    answer = way.ask(request("GET /", f"X-Long: {'q' * 120_000}"))
    assert int(answer.body) > 120_000
    assert b"a" * 200_000 in answer.head


def expecting(path: str = "/", version: str = "1.1") -> bytes:
    head = f"PUT {path} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n"
    return head.encode() + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize("status", [413, 417, 401, 302])
def test_who_waits_for_a_100_gets_the_refusal_of_the_member_alone(way: Way, status: int) -> None:
    way.member.script = lambda connection: connection.answer(f"{status} No", b"no")
    answer = way.ask(expecting())
    assert answer.status == status, answer
    assert answer.body == b"no"


def test_who_waits_for_a_100_gets_that_of_the_member_and_sends_its_body(way: Way) -> None:
    def script(connection: Connection) -> None:
        assert b"\r\nexpect: 100-continue" in connection.head
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.answer("200 OK", connection.read_until(lambda body: len(body) == 5))

    way.member.script = script
    with way.open() as client:
        client.sendall(expecting())
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert ask_raw(client, b"hello").body == b"hello"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_who_no_longer_waits_for_a_100_sends_its_body_to_a_member_that_knows_none(way: Way, version: str) -> None:
    waiting = threading.Event()

    def script(connection: Connection) -> None:
        waiting.set()
        connection.answer("200 OK", connection.read_until(lambda body: len(body) == 5))

    way.member.script = script
    with way.open() as client:
        client.sendall(expecting(version=version))
        assert waiting.wait(PATIENCE)
        answer = ask_raw(client, b"hello")
    assert answer.text.startswith(f"HTTP/{version} 200 ".encode()), answer
    assert answer.body == b"hello"


def test_hints_before_the_answer_reach_the_client(way: Way) -> None:
    def script(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        connection.answer("200 OK", b"page")

    way.member.script = script
    answer = way.ask(request("GET /"))
    assert answer.status == 103
    assert b"\r\nlink: </style.css>" in answer.head
    assert answer.body.startswith(b"HTTP/1.1 200 OK\r\n")


def test_trailers_reach_the_member(way: Way) -> None:
    def script(connection: Connection) -> None:
        connection.answer("200 OK", connection.read_until(lambda body: body.endswith(b"\r\n\r\n")))

    way.member.script = script
    lines = ("Transfer-Encoding: chunked", "Trailer: X-Sum")
    answer = way.ask(request("PUT /", *lines, body=b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"))
    assert answer.body == b"5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"


def test_trailers_reach_the_client(way: Way) -> None:
    way.member.script = lambda connection: connection.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"
    )
    answer = way.ask(request("GET /", "TE: trailers", "Connection: TE, close"))
    assert b"\r\ntrailer: X-Sum" in answer.head
    assert answer.body == b"5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"


def test_a_refusal_in_the_middle_of_an_upload_reaches_the_client(way: Way) -> None:
    def script(connection: Connection) -> None:
        connection.answer("413 Payload Too Large", b"no")
        connection.socket.shutdown(socket.SHUT_WR)
        while connection.socket.recv(1 << 20):
            pass

    way.member.script = script
    with way.open() as client:
        client.sendall(request("PUT /", f"Content-Length: {1 << 30}", body=b"x" * 100_000))
        answer = until_the_end(client)
    assert answer.status == 413, answer
