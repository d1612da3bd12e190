"""What Envoy does with HTTP that no configuration changes (docs/reference/http.md, "What is not passed on").

Each test holds a sentence of that page. Where one fails with a newer Envoy the page has become better than it says.
"""

import socket
import threading
from collections.abc import Iterator

import pytest

from stand import PATIENCE, Service
from tests.http_client import ask_raw, offer, read_until, request, until_the_end
from tests.http_way import Way, http_way
from tests.scripted_member import Connection, show_head
from tests.traffic import halted


@pytest.fixture(scope="module")
def listener(shared_service: Service) -> Iterator[Way]:
    with http_way(shared_service, "http") as made:
        yield made


@pytest.fixture
def way(listener: Way) -> Way:
    listener.member.script = show_head
    return listener


@pytest.mark.parametrize(("line", "status"), [("OPTIONS *", 404), ("CONNECT a.test:443", 404), ("QUERY /", 400)])
def test_requests_that_are_answered_without_a_member(way: Way, line: str, status: int) -> None:
    assert way.ask(request(line)).status == status


@pytest.mark.parametrize("offered", [["websocket, tcp"], ["websocket", "websocket"], ["webs12345"]], ids=str)
def test_offers_that_are_refused(way: Way, offered: list[str]) -> None:
    assert way.ask(offer(*offered)).status == 403


@pytest.mark.parametrize(("count", "status"), [(5_001, 431), (4_990, 200)])
def test_a_request_may_have_5_000_lines(way: Way, count: int, status: int) -> None:
    assert way.ask(request("GET /", *(f"X-{number}: v" for number in range(count)))).status == status


@pytest.mark.parametrize(("size", "status"), [(131_072, 431), (130_000, 200)])
def test_the_head_of_a_request_may_have_128_kib(way: Way, size: int, status: int) -> None:
    assert way.ask(request("GET /", f"X-Long: {'q' * size}")).status == status


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"X-{number}: v" for number in range(5_001)], 502),
        ([f"X-{number}: v" for number in range(4_990)], 200),
        ([f"X-Long: {'a' * 262_144}"], 502),
        ([f"X-Long: {'a' * 261_000}"], 200),
    ],
    ids=["5,001 lines", "4,990 lines", "256 KiB", "less"],
)
def test_the_head_of_an_answer_may_have_5_000_lines_and_256_kib(way: Way, lines: list[str], status: int) -> None:
    way.member.script = lambda connection: connection.answer("200 OK", b"", *lines)
    assert way.ask(request("GET /")).status == status


@pytest.mark.parametrize("status", [200, 201, 302])
def test_an_answer_to_websocket_that_is_no_error_loses_its_body(way: Way, status: int) -> None:
    lines = ("Content-Type: text/html", "Location: /login", "Set-Cookie: a=b")
    way.member.script = lambda connection: connection.answer(f"{status} No", b"hello", *lines)
    answer = way.ask(offer("websocket"))
    assert answer.status == status
    assert answer.body == b""
    assert b"\r\nlocation: /login" in answer.head
    assert b"\r\nset-cookie: a=b" in answer.head
    assert b"content-type" not in answer.head


@pytest.mark.parametrize("status", [400, 401, 403, 426, 500])
def test_an_answer_to_websocket_that_is_an_error_keeps_its_body(way: Way, status: int) -> None:
    way.member.script = lambda connection: connection.answer(f"{status} No", b"hello")
    answer = way.ask(offer("websocket"))
    assert (answer.status, answer.body) == (status, b"hello")


def test_who_ends_its_side_before_the_answer_gets_none(way: Way) -> None:
    arrived = threading.Event()

    def script(connection: Connection) -> None:
        arrived.set()
        # Envoy breaks off: nothing comes any more.
        assert connection.socket.recv(1) == b""

    way.member.script = script
    with way.open() as client:
        client.sendall(request("GET /"))
        assert arrived.wait(PATIENCE)
        client.shutdown(socket.SHUT_WR)
        assert until_the_end(client).text == b""


@pytest.mark.parametrize(
    ("length", "end"),
    [
        ("", b"0\r\n\r\n"),
        ("Content-Length: 2000\r\n", b"x" * 1000),
        ("Transfer-Encoding: chunked\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
    ],
    ids=["until the end", "length", "chunks"],
)
def test_only_an_answer_without_a_length_looks_whole_when_its_member_breaks_off(
    way: Way, length: str, end: bytes
) -> None:
    passed_on = threading.Event()
    chunk = b"3e8\r\n" if "chunked" in length else b""

    def script(connection: Connection) -> None:
        connection.send(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode() + chunk + b"x" * 1000 + (chunk and b"\r\n"))
        assert passed_on.wait(PATIENCE)
        connection.reset()

    way.member.script = script
    with way.open() as client:
        client.sendall(request("GET /"))
        head = read_until(client, b"x" * 1000 + (b"" if "Length" in length else b"\r\n"))
        passed_on.set()
        answer = head + until_the_end(client).text
    assert answer.endswith(end), answer[-100:]


def test_a_refusal_in_the_middle_of_an_upload_is_lost_when_the_member_closes_at_once(
    way: Way, shared_service: Service
) -> None:
    """Envoy is halted, so that refusal and reset are there together when it looks: otherwise it is a race."""
    is_full, is_closed = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        assert is_full.wait(PATIENCE)
        connection.answer("413 Payload Too Large", b"no")
        connection.socket.close()
        is_closed.set()

    way.member.script = script
    with way.open() as client:
        client.sendall(request("PUT /", f"Content-Length: {1 << 30}"))
        # Envoy then has something to write.
        fill(client)
        with halted(shared_service.envoy_pid):
            is_full.set()
            assert is_closed.wait(PATIENCE)
        answer = until_the_end(client)
    assert answer.status == 503, answer


def fill(client: socket.socket) -> None:
    """Send until nobody takes any more. One pause may be that of a busy machine, a second one in a row is not."""
    client.settimeout(0.5)
    pauses = 0
    while pauses < 2:
        try:
            client.send(bytes(1 << 20))
            pauses = 0
        except TimeoutError:
            pauses += 1


def test_an_old_client_gets_the_hints_that_it_cannot_know(way: Way) -> None:
    def script(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        connection.answer("200 OK", b"page")

    way.member.script = script
    with way.open() as client:
        answer = ask_raw(client, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.text.startswith(b"HTTP/1.0 103 ")
    assert answer.text.endswith(b"page")
