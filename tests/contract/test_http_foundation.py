"""The foundation of the HTTP interface, on a real server and real sockets: ids, errors, limits, and stopping."""

import asyncio
import json
import logging
import re
import signal
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import structlog
import uvloop

from equipoise.api.classic.errors import render
from equipoise.http.middleware import RequestBoundary
from equipoise.http.protocol import HeadLimits
from equipoise.http.routing import Operation, router
from equipoise.http.server import HttpServer, ListenError
from tests.contract.http_stand import (
    MAX_BODY_BYTES,
    THINGS,
    Handlers,
    Stand,
    assert_is_error,
    captured,
    connected,
    exchange,
    read_answer,
    running,
)

RESET_AT_CLOSE = struct.pack("ii", 1, 0)
IMPATIENT = HeadLimits(request_seconds=0.5)
GENERATED_ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with running() as started:
        yield started


@pytest.fixture
async def impatient() -> AsyncIterator[Stand]:
    async with running(IMPATIENT) as started:
        yield started


# --- ids, log lines, defects ---------------------------------------------------------------------------------------


async def test_every_answer_has_an_id_and_no_two_are_alike(stand: Stand) -> None:
    paths = [THINGS, THINGS, "/nowhere", "/fail", "/refuse"]
    ids = [(await stand.client.get(path)).headers["x-request-id"] for path in paths]
    assert len(set(ids)) == len(paths)
    assert all(GENERATED_ID.fullmatch(request_id) for request_id in ids)


async def test_a_well_formed_id_of_the_client_is_kept_and_another_is_replaced(stand: Stand) -> None:
    for good in ("a", "x" * 64, "Trace-1_2.3"):
        assert (await stand.client.get(THINGS, headers={"X-Request-Id": good})).headers["x-request-id"] == good
    for bad in ("", "x" * 65, "a b", 'a"b', "a/b"):
        answer = await stand.client.get(THINGS, headers={"X-Request-Id": bad})
        assert GENERATED_ID.fullmatch(answer.headers["x-request-id"])


async def test_one_log_line_for_each_request_without_what_is_secret(stand: Stand) -> None:
    with captured() as lines:
        answer = await stand.client.post(
            THINGS + "?token=secret-1", json={"password": "secret-2"}, headers={"X-Auth-Token": "secret-3"}
        )
    (line,) = lines
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": THINGS,
        "status": 200,
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_path_is_logged_as_it_came_so_that_it_cannot_forge_lines(stand: Stand) -> None:
    with captured() as lines:
        await stand.client.get("/a%0Ab%1b[31m")
    assert lines[0]["path"] == "/a%0Ab%1b[31m"


async def test_a_defect_is_a_500_with_the_id_under_which_the_log_has_the_cause(stand: Stand) -> None:
    with captured() as lines:
        answer = await stand.client.get("/fail")
    assert_is_error(answer, 500, "Internal Server Error")
    assert "cause" not in answer.text
    assert "Traceback" not in answer.text
    assert [(line["event"], line["request_id"]) for line in lines] == [
        ("defect", answer.headers["x-request-id"]),
        ("request", answer.headers["x-request-id"]),
    ]
    assert lines[0]["exc_info"] is True
    assert (await stand.client.get(THINGS)).status_code == 200


async def test_a_broken_rule_becomes_its_answer(stand: Stand) -> None:
    answer = await stand.client.get("/refuse")
    assert_is_error(answer, 401, "Unauthorized")
    assert answer.headers["www-authenticate"] == f'Keystone uri="{stand.client.base_url.join("/v3")}"'


@pytest.mark.parametrize(("reset", "status"), [(False, 400), (True, 499)])
async def test_a_client_that_goes_away_gets_a_line_and_harms_nobody(stand: Stand, reset: bool, status: int) -> None:
    logged = asyncio.Event()

    def notice(_logger: object, _name: str, event: Any) -> Any:
        logged.set()
        return event

    with structlog.testing.capture_logs(processors=[notice]) as lines:
        async with connected(stand) as (_, writer):
            writer.write(f"POST {THINGS} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
            await writer.drain()
            if reset:
                await stand.handlers.reading.wait()
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        await asyncio.wait_for(logged.wait(), 10)
    assert [line["status"] for line in lines] == [status]
    assert (await stand.client.get(THINGS)).status_code == 200


# --- paths, methods, media types -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nowhere", 404, "Not Found"),
        ("/v1.0/p/elbaas/loadbalancers/x/y", 404, "ELB.1030"),
        ("/v1.0/p/elbaas/listeners/x/y", 404, "ELB.6020"),
        ("/v1.0/p/elbaas/listeners/x/members/y", 404, "ELB.2000"),
        ("/v1.0//elbaas/loadbalancers", 400, "ELB.0230"),
        ("/v1//jobs/x", 400, "ELB.0230"),
        (THINGS + "/", 404, "Not Found"),
    ],
)
async def test_unknown_paths_have_the_code_of_their_area(stand: Stand, path: str, status: int, code: str) -> None:
    assert_is_error(await stand.client.get(path), status, code)


async def test_another_method_is_answered_with_the_right_ones(stand: Stand) -> None:
    answer = await stand.client.put(THINGS)
    assert_is_error(answer, 405, "Method Not Allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert (await stand.client.options("/hold")).headers["allow"] == "GET, HEAD"
    assert (await stand.client.get(THINGS + "/1")).headers["allow"] == "DELETE"


async def test_head_is_a_get_without_its_body(stand: Stand) -> None:
    head, get = await stand.client.head(THINGS), await stand.client.get(THINGS)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_an_accept_header_that_admits_nothing_of_the_operation(stand: Stand) -> None:
    assert_is_error(await stand.client.get(THINGS, headers={"Accept": "text/html"}), 406, "Not Acceptable")
    assert_is_error(await stand.client.get("/page", headers={"Accept": "application/json"}), 406, "Not Acceptable")
    assert (await stand.client.get(THINGS, headers={"Accept": "text/html, application/*"})).status_code == 200
    assert (await stand.client.get("/page", headers={"Accept": "text/html"})).status_code == 200
    assert (await stand.client.get(THINGS, headers={"Accept": ""})).status_code == 200


async def test_no_content_has_no_body_and_no_type(stand: Stand) -> None:
    answer = await stand.client.delete(THINGS + "/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert "x-request-id" in answer.headers


def test_an_operation_is_there_once() -> None:
    handlers = Handlers()
    twice = Operation("a", "GET", "/a", handlers.show)
    with pytest.raises(ValueError, match="there already"):
        router([twice, Operation("b", "GET", "/a", handlers.show)])
    with pytest.raises(ValueError, match="there already"):
        router([twice, Operation("a", "GET", "/b", handlers.show)])


# --- bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"{}", b"[1, 2.5, true, null]", b'\xef\xbb\xbf{"a":1}', b' {"name":"\xe8\xb4\x9f"} '])
async def test_json_is_read_whatever_its_content_type(stand: Stand, body: bytes) -> None:
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=utf-8"}):
        answer = await stand.client.post(THINGS, content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, json.loads(body.decode("utf-8-sig")))


async def test_of_doubled_keys_the_last_one_counts(stand: Stand) -> None:
    assert (await stand.client.post(THINGS, content=b'{"a":1,"a":2}')).json() == {"a": 2}


@pytest.mark.parametrize("body", [b"", b" \r\n"])
async def test_a_missing_body(stand: Stand, body: bytes) -> None:
    assert_is_error(await stand.client.post(THINGS, content=body), 400, "ELB.0002")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b'{"a":1}{',
        b"NaN",
        b"[Infinity]",
        b"[1e999]",
        b"1" * 5000,
        b'"\xff"',
        b'"\\ud800"',
        '{"a":1}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_a_body_that_is_no_json(stand: Stand, body: bytes) -> None:
    assert_is_error(await stand.client.post(THINGS, content=body), 400, "Bad Request")


async def test_a_body_of_the_largest_size_is_read_and_one_byte_more_is_not(stand: Stand) -> None:
    largest = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    assert (await stand.client.post(THINGS, content=largest)).status_code == 200
    assert_is_error(await stand.client.post(THINGS, content=largest + b" "), 400, "Bad Request")

    async def in_chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * (MAX_BODY_BYTES // 10)

    assert_is_error(await stand.client.post(THINGS, content=in_chunks()), 400, "Bad Request")


async def test_zeros_before_the_length_of_a_body_are_no_defect(stand: Stand) -> None:
    length = b"0" * 5000 + b"9"
    sent = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %b\r\n\r\n" % (THINGS.encode(), length)
    assert (await exchange(stand, sent + b'{"a": 12}')).status == 200


# --- slow senders --------------------------------------------------------------------------------------------------

SLOW: dict[str, bytes] = {
    "request line": b"GE",
    "head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "body": b"POST " + THINGS.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    "chunked body": b"POST " + THINGS.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
async def test_a_request_that_stays_incomplete_is_answered_and_the_connection_closed(
    impatient: Stand, sent: bytes
) -> None:
    with captured() as lines:
        answer = await exchange(impatient, sent)
    assert_is_error(answer, 408, "Request Timeout")
    assert "date" in answer.headers
    assert [(line["event"], line["status"], line["request_id"]) for line in lines] == [
        ("request", 408, answer.headers["x-request-id"])
    ]


@pytest.mark.parametrize("drip", [b"a", b"X-Header: a\r\n"])
async def test_a_sender_that_never_stops_is_not_waited_for(impatient: Stand, drip: bytes) -> None:
    async with connected(impatient) as (reader, writer):

        async def drip_on() -> None:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
            while True:
                writer.write(drip)
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip_on())
        assert_is_error(await read_answer(reader), 408, "Request Timeout")
        assert await reader.read() == b""
        dripping.cancel()


async def test_the_id_of_a_slow_client_is_kept(impatient: Stand) -> None:
    answer = await exchange(impatient, b"GET / HTTP/1.1\r\nX-Request-Id: mine\r\nHost: x\r\n")
    assert answer.headers["x-request-id"] == "mine"


async def test_a_connection_without_a_request_is_closed_without_an_answer(impatient: Stand) -> None:
    for sent in (b"", b"\r\n\r\n"):
        async with connected(impatient) as (reader, writer):
            writer.write(sent)
            assert await reader.read() == b""


async def test_the_second_request_of_a_connection_has_the_same_limit(impatient: Stand) -> None:
    async with connected(impatient) as (reader, writer):
        writer.write(f"GET {THINGS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await read_answer(reader)).status == 200
        writer.write(b"GET /")
        assert_is_error(await read_answer(reader), 408, "Request Timeout")
        assert await reader.read() == b""


async def test_a_slow_handler_is_not_a_slow_sender(impatient: Stand) -> None:
    async with connected(impatient) as (reader, writer):
        # The second request is incomplete, but it is its turn only after the first one.
        writer.write(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\nGET /")
        await impatient.handlers.entered.wait()
        await asyncio.sleep(IMPATIENT.request_seconds * 2)
        impatient.handlers.released.set()
        assert (await read_answer(reader)).body == b'"held"'
        assert_is_error(await read_answer(reader), 408, "Request Timeout")


async def test_an_answer_that_does_not_wait_for_the_body_is_the_only_one(impatient: Stand) -> None:
    async with connected(impatient) as (reader, writer):
        writer.write(b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert (await read_answer(reader)).body == b'"not read"'
        assert await reader.read() == b""


async def test_a_connection_outlives_an_answer_that_did_not_wait_for_the_body(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        writer.write(b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        assert (await read_answer(reader)).status == 200
        writer.write(f"{{}}GET {THINGS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await read_answer(reader)).body == b'{"project":"p"}'


async def test_a_resting_connection_is_closed_after_its_time() -> None:
    async with running(HeadLimits(keep_alive_seconds=1)) as started, connected(started) as (reader, writer):
        writer.write(b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        assert (await read_answer(reader)).status == 200
        writer.write(b"{}")
        assert await reader.read() == b""


# --- what is no proper request -------------------------------------------------------------------------------------


async def test_a_url_of_the_longest_length_is_read_and_one_byte_more_is_not(stand: Stand) -> None:
    longest = HeadLimits().url_bytes - len(THINGS)
    assert (await stand.client.get(THINGS + "?" + "x" * (longest - 1))).status_code == 200
    with captured() as lines:
        answer = await exchange(stand, f"GET {THINGS}?{'x' * longest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert_is_error(answer, 400, "ELB.1000")
    assert [(line["path"], line["status"]) for line in lines] == [(THINGS, 400)]


async def test_an_answer_reaches_a_client_that_is_still_sending(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        writer.write(b"GET /" + b"x" * 1_000_000)
        assert_is_error(await read_answer(reader), 400, "ELB.1000")
        assert await reader.read() == b""


@pytest.mark.parametrize("headers", [b"X: " + b"x" * 40_000 + b"\r\n\r\n", b"X: x\r\n" * 20_000 + b"\r\n"])
async def test_headers_that_are_too_long(stand: Stand, headers: bytes) -> None:
    answer = await exchange(stand, b"GET / HTTP/1.1\r\nHost: x\r\n" + headers)
    assert_is_error(answer, 400, "Bad Request")
    assert "headers" in answer.error["detail"]


async def test_a_header_without_end_is_not_collected(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        answer = asyncio.create_task(read_answer(reader))
        sent = 0
        while not answer.done() and sent < 10_000_000:
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent += 10_000
            await asyncio.sleep(0)
        assert_is_error(await answer, 400, "Bad Request")


@pytest.mark.parametrize(
    "sent",
    [
        b"HELLO\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST " + THINGS.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=lambda sent: repr(sent[:24]),
)
async def test_what_is_no_http(stand: Stand, sent: bytes) -> None:
    with captured() as lines:
        answer = await exchange(stand, sent)
    assert_is_error(answer, 400, "Bad Request")
    assert [(line["event"], line["status"]) for line in lines] == [("request", 400)]


async def test_rubbish_after_a_request_does_not_spoil_its_answer(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        writer.write(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01rubbish")
        await stand.handlers.entered.wait()
        stand.handlers.released.set()
        assert (await read_answer(reader)).body == b'"held"'
        assert_is_error(await read_answer(reader), 400, "Bad Request")
        assert await reader.read() == b""


async def test_requests_sent_at_once_are_answered_in_their_order(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        stand.handlers.released.set()
        writer.write(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.write(b"POST " + THINGS.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]")
        writer.write(f"GET {THINGS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert [(await read_answer(reader)).body for _ in range(3)] == [b'"held"', b"[]", b'{"project":"p"}']


async def test_an_offer_to_upgrade_is_answered_in_the_same_protocol(stand: Stand) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    async with connected(stand) as (reader, writer):
        for _ in range(2):
            writer.write(b"POST " + THINGS.encode() + b" HTTP/1.1\r\nHost: x\r\n" + upgrade)
            writer.write(b"Content-Length: 2\r\n\r\n[]")
            assert (await read_answer(reader)).body == b"[]"


# --- starting and stopping -----------------------------------------------------------------------------------------


async def test_stopping_lets_an_answer_end_and_takes_no_more_connections() -> None:
    async with running() as stand, connected(stand) as (reader, writer):
        writer.write(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        await stand.handlers.entered.wait()
        stopping = asyncio.create_task(stand.server.stop(grace=30))
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", stand.server.port)
        stand.handlers.released.set()
        answer = await read_answer(reader)
        assert (answer.body, answer.headers["connection"]) == (b'"held"', "close")
        await asyncio.wait_for(stopping, 10)


async def test_stopping_closes_resting_connections_at_once() -> None:
    async with running() as stand, connected(stand) as (reader, writer):
        writer.write(f"GET {THINGS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await read_answer(reader)).status == 200
        await asyncio.wait_for(stand.server.stop(grace=30), 10)
        assert await reader.read() == b""


async def test_stopping_breaks_off_what_outlasts_the_grace() -> None:
    async with running() as stand, connected(stand) as (reader, writer):
        writer.write(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        await stand.handlers.entered.wait()
        await asyncio.wait_for(stand.server.stop(grace=0.1), 10)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await read_answer(reader)


async def test_stopping_twice_or_without_starting_is_no_error() -> None:
    async with running() as stand:
        await stand.server.stop(grace=1)
        await stand.server.stop(grace=1)
    await HttpServer(stand.handlers.page, "127.0.0.1", 0, render=render).stop(grace=1)  # type: ignore[arg-type]


async def test_a_port_that_is_taken_is_said_so(stand: Stand) -> None:
    second = HttpServer(RequestBoundary(router([]), render), "127.0.0.1", stand.server.port, render=render)
    with pytest.raises(ListenError, match=f"port {stand.server.port}: another program listens there.*choose another"):
        await second.start()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_ours_is_said_so(host: str) -> None:
    with pytest.raises(ListenError, match=f"Cannot listen on {host} port 0"):
        await HttpServer(RequestBoundary(router([]), render), host, 0, render=render).start()


async def test_the_port_is_free_again_after_stopping() -> None:
    async with running() as stand:
        await stand.client.get(THINGS)
        port = stand.server.port
    again = HttpServer(RequestBoundary(router([]), render), "127.0.0.1", port, render=render)
    await again.start()
    await again.stop(grace=1)


async def test_the_url_is_one_that_a_client_can_use() -> None:
    for host, seen in (("0.0.0.0", "http://127.0.0.1:"), ("localhost", "http://localhost:")):
        server = HttpServer(RequestBoundary(router([]), render), host, 0, render=render)
        await server.start()
        assert server.url == f"{seen}{server.port}"
        await server.stop(grace=1)
    assert HttpServer(RequestBoundary(router([]), render), "::1", 8080, render=render).url == "http://[::1]:8080"


async def test_signals_and_logging_are_left_to_the_service() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with running() as stand:
        await stand.client.get(THINGS)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        assert not logging.getLogger("uvicorn").handlers
        assert not logging.getLogger("uvicorn.access").handlers


CASES: list[Callable[[Stand], Awaitable[None]]] = [
    test_every_answer_has_an_id_and_no_two_are_alike,
    test_an_answer_reaches_a_client_that_is_still_sending,
    test_the_id_of_a_slow_client_is_kept,
    test_a_slow_handler_is_not_a_slow_sender,
    test_an_offer_to_upgrade_is_answered_in_the_same_protocol,
]


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_same_on_uvloop(case: Callable[[Stand], Awaitable[None]]) -> None:
    """The service runs on uvloop, the other tests on the loop of the standard library."""

    async def main() -> None:
        async with running(IMPATIENT) as stand:
            await case(stand)

    uvloop.run(main())


async def test_a_blocking_client_is_served_too(stand: Stand) -> None:
    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", stand.server.port), timeout=10) as connection:
            connection.sendall(f"GET {THINGS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))

    assert (await asyncio.to_thread(ask)).startswith(b"HTTP/1.1 200 OK\r\n")
