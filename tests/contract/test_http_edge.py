"""The edge held against RFC 9110, RFC 9112 and RFC 3986: what each form of a request is answered, on real sockets.

The right answers are stated here on their own, from the standards and from docs/reference/api-requests.md.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Sequence

import pytest

from equipoise.http.protocol import LINGER_SECONDS, HeadLimits
from stand import Api
from tests.contract.http_stand import (
    MAX_BODY_BYTES,
    THINGS,
    Answer,
    Stand,
    assert_is_error,
    captured,
    connected,
    read_answer,
    running,
)

SHOWN = b'{"project":"p"}'
END = b"\r\n"
HOST = b"Host: x\r\n"
GET = f"GET {THINGS} HTTP/1.1\r\n".encode()
POST = f"POST {THINGS} HTTP/1.1\r\n".encode()
LAST = GET + HOST + b"Connection: close\r\n" + END
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ASKING = b"Expect: 100-continue\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
NO_BODY = "ELB.0002"
BAD = "Bad Request"
NOT_OFFERED = "Not Implemented"


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with running() as started:
        started.handlers.released.set()
        yield started


def parsed(raw: bytes) -> list[Answer]:
    """Everything that a server has sent on one connection; no answer may be cut off."""
    answers = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 [1-5]\d\d [A-Za-z ]+", line)
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        length = int(headers.get("content-length", "0"))
        assert len(raw) >= length
        answers.append(Answer(int(line.split()[1]), headers, raw[:length]))
        raw = raw[length:]
    return answers


async def answers_to(stand: Stand, *sent: bytes, half_close: bool = False) -> list[Answer]:
    """All answers until the server ends the connection, which the client then does, too."""
    async with connected(stand) as (reader, writer):
        for piece in sent:
            writer.write(piece)
            await writer.drain()
        if half_close:
            writer.write_eof()
        return parsed(await reader.read())


def shortened(value: object) -> str:
    return repr(value[:60]) if isinstance(value, bytes) else ""


def told(answer: Answer) -> tuple[int, str]:
    """Status, and the body of a success or the code of an error."""
    if answer.status >= 400:
        code = json.loads(answer.body)["code"]
        assert_is_error(answer, answer.status, code)
        return answer.status, code
    return answer.status, answer.body.decode()


# --- every combination of what ends a message and what happens to a connection --------------------------------------

CONNECTIONS = (
    b"",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Upgrade\r\n",
    b"Connection: upgrade, close\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Connection: close\r\nConnection: Upgrade\r\n",
)
UPGRADES = (
    b"",
    b"Upgrade: h2c\r\n",
    b"Upgrade: websocket\r\n",
    b"Upgrade: TLS/1.2\r\nUpgrade: HTTP/2.0\r\n",
)
EXPECTATIONS = (b"", ASKING, b"Expect: something-else\r\n")
MESSAGES = (
    (b"GET", b"", b""),
    (b"GET", b"Content-Length: 2\r\n", b"[]"),
    (b"GET", CHUNKED, b"0\r\n\r\n"),
    (b"POST", b"", b""),
    (b"POST", b"Content-Length: 0\r\n", b""),
    (b"POST", b"Content-Length: 2\r\n", b"[]"),
    (b"POST", CHUNKED, b"1\r\n[\r\n1;a=b\r\n]\r\n0\r\nTrailer: x\r\n\r\n"),
    (b"POST", b"Content-Length: 2\r\n" + CHUNKED, b"2\r\n[]\r\n0\r\n\r\n"),
)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("connection", CONNECTIONS)
async def test_every_complete_request_is_answered_at_once_or_refused(
    stand: Stand, version: bytes, connection: bytes
) -> None:
    async def try_one(upgrade: bytes, expect: bytes, message: tuple[bytes, bytes, bytes], number: int) -> None:
        method, framing, body = message
        line = b"%b %b HTTP/%b\r\n" % (method, THINGS.encode(), version)
        request = line + HOST + connection + upgrade + expect + framing + END + body
        has_length, has_chunks = b"Content-Length" in framing, b"Transfer-Encoding" in framing
        if has_chunks and (has_length or version == b"1.0"):
            right, goes_on = (400, BAD), False
        else:
            right = (200, SHOWN.decode()) if method == b"GET" else (200, "[]") if b"]" in body else (400, NO_BODY)
            goes_on = version == b"1.1" and b"close" not in connection
        # A connection that goes on has room for another request; what follows the last one gets no answer.
        answers = await answers_to(stand, request * number + LAST)
        expected = [right] * number + [(200, SHOWN.decode())] if goes_on else [right]
        assert [told(answer) for answer in answers] == expected, request
        assert [answer.headers.get("connection") for answer in answers] == [None] * (len(expected) - 1) + ["close"]

    cases = itertools.product(UPGRADES, EXPECTATIONS, MESSAGES, (1, 2))
    await asyncio.gather(*(try_one(*case) for case in cases))


@pytest.mark.parametrize(
    "request_",
    [
        GET + HOST + UPGRADE + END,
        POST + HOST + b"Connection: upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 2\r\n" + END + b"[]",
        POST + HOST + UPGRADE + CHUNKED + END + b"1\r\n[\r\n1\r\n]\r\n0\r\nA: b\r\n\r\n",
        POST + HOST + b"Content-Length: 2\r\n" + END + b"[]",
    ],
    ids=["offer", "last offer", "offer with chunks", "length"],
)
async def test_it_is_the_same_wherever_the_network_cuts(stand: Stand, request_: bytes) -> None:
    right = await answers_to(stand, request_ + LAST)
    for cut in range(1, len(request_)):
        got = await answers_to(stand, request_[:cut], request_[cut:] + LAST)
        assert [told(answer) for answer in got] == [told(answer) for answer in right]


# --- what is refused ------------------------------------------------------------------------------------------------

ONE_HOST = "The header Host is"
LENGTH = "Content-Length"
CODING = "Transfer-Encoding"
FIELD = "a header is not of the form `Name: value`"
CHUNK = "chunk"


def chunks(body: bytes) -> bytes:
    return POST + HOST + CHUNKED + END + body


def target(text: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (text, HOST)


def line(text: bytes) -> bytes:
    return b"%b\r\n%b\r\n" % (text, HOST)


REFUSED: list[tuple[bytes, int, str]] = [
    # Whom it is for (RFC 9112, section 3.2; RFC 9110, section 7.2)
    (GET + END, 400, "The header Host is missing"),
    (b"GET http://x/ HTTP/1.1\r\n" + END, 400, "The header Host is missing"),
    (GET + HOST + HOST + END, 400, "The header Host is there more than once"),
    (b"GET / HTTP/1.0\r\n" + HOST + b"Host: y\r\n" + END, 400, "The header Host is there more than once"),
    *(
        (GET + b"Host: " + host + END + END, 400, ONE_HOST)
        for host in (
            b"",
            b"a b",
            b"a/b",
            b"u@a",
            b"a:8x",
            b"a:65536",
            b"a:" + b"1" * 5000,
            b"[::1",
            b"[::g]",
            b"[fe80::1%25a]",
            b'a"b',
            b"a%zz",
        )
    ),
    # The target (RFC 9112, section 3.2; RFC 3986, section 2.1)
    (target(b"https://x/"), 400, "this connection is for http"),
    (target(b"ftp://x/"), 400, "this connection is for http"),
    (target(b"http://u:p@x/"), 400, "The host of the URL"),
    (target(b"http:///a"), 400, "The host of the URL"),
    (target(b"x:80"), 400, "begins neither with a slash nor with http://"),
    (target(b"v1.0/p"), 400, "begins neither with a slash nor with http://"),
    (target(b"*"), 400, "The URL * belongs to OPTIONS"),
    (line(b"OPTIONS * HTTP/1.1"), 501, "OPTIONS is not offered"),
    (line(b"CONNECT x:80 HTTP/1.1"), 400, "no proxy"),
    (line(b"CONNECT /a HTTP/1.1"), 400, "no proxy"),
    (target(b"/a#b"), 400, "The URL has a fragment"),
    (target(b"/a%zz"), 400, "a % at character 3 without two hexadecimal digits"),
    (target(b"/a%4"), 400, "a % at character 3"),
    (target(b"/a?b=%"), 400, "a % at character 6"),
    (target(b"/a%c3%28"), 400, "%C3, which is not part of UTF-8"),
    (target(b"/a?b=%ff"), 400, "%FF, which is not part of UTF-8"),
    (target("/a?b=ü".encode()), 400, "its URL has the byte 0xC3, which is sent as %C3"),
    (target("/ü".encode()), 400, "its URL has the byte 0xC3, which is sent as %C3"),
    (target(b"/a\x01"), 400, "its URL has the byte 0x01, which is sent as %01"),
    # The line (RFC 9112, sections 2.3 and 3)
    (line(b"FOO / HTTP/1.1"), 501, "This method is not known here"),
    (line(b"VERSION-CONTROL / HTTP/1.1"), 501, "This method is not known here"),
    (line(b"get / HTTP/1.1"), 501, "This method is not known here"),
    (line(b"GET / HTTP/0.9"), 400, "HTTP/0.9; the service speaks HTTP/1.1 and HTTP/1.0"),
    (line(b"GET / HTTP/2.0"), 400, "HTTP/2.0; the service speaks HTTP/1.1 and HTTP/1.0"),
    (line(b"GET / HTTP/1.2"), 400, "the service speaks HTTP/1.1 and HTTP/1.0"),
    (line(b"GET / HTTP/3.0"), 400, "the service speaks HTTP/1.1 and HTTP/1.0"),
    (line(b"GET / HTTP/11"), 400, "the service speaks HTTP/1.1 and HTTP/1.0"),
    (line(b"GET / http/1.1"), 400, "after the URL comes HTTP/1.1"),
    (line(b"GET /a b HTTP/1.1"), 400, "a blank in the URL is sent as %20"),
    (line(b"GET / HTTP/1.1 "), 400, "nothing stands between the version and that"),
    (line(b" GET / HTTP/1.1"), 400, "it does not begin with a method, a URL and HTTP/1.1"),
    (b"GET / HTTP/1.1\nHost: x\n\n", 400, "each line ends with CR LF"),
    # What is no HTTP/1
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "it is HTTP/2"),
    (bytes.fromhex("16030100f8010000f40303"), 400, "it is TLS"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", 400, "it does not begin with a method"),
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + LAST, 400, "it does not begin with a method"),
    # Headers (RFC 9112, section 5)
    (GET + HOST + b"A: b\r\n c\r\n" + END, 400, FIELD),
    (GET + b" A: b\r\n" + HOST + END, 400, FIELD),
    (GET + HOST + b"A : b\r\n" + END, 400, FIELD),
    (GET + HOST + b"A\t: b\r\n" + END, 400, FIELD),
    (GET + HOST + b"A\r\n" + END, 400, FIELD),
    (GET + HOST + b": b\r\n" + END, 400, FIELD),
    (GET + HOST + b"A(: b\r\n" + END, 400, FIELD),
    (GET + HOST + "Ä: b\r\n".encode() + END, 400, FIELD),
    (GET + HOST + b"A: b\0c\r\n" + END, 400, FIELD),
    (GET + HOST + b"A: b\x7fc\r\n" + END, 400, FIELD),
    (GET + HOST + b"A: b\rc\r\n" + END, 400, FIELD),
    (GET + b"Host: x\n" + END, 400, FIELD),
    (GET + HOST + b"\n", 400, FIELD),
    *(
        (GET + HOST + (name + b": a\r\n") * 2 + END, 400, f'The header \\"{name.decode().lower()}\\" is there more')
        for name in (b"X-Auth-Token", b"X-Subject-Token", b"Authorization", b"Proxy-Authorization", b"Idempotency-Key")
    ),
    # Where the body ends (RFC 9112, section 6)
    (POST + HOST + b"Content-Length: 2\r\n" * 2 + END + b"[]", 400, LENGTH),
    (POST + HOST + b"Content-Length: 2\r\nContent-Length: 3\r\n" + END + b"[] ", 400, LENGTH),
    *(
        (POST + HOST + b"Content-Length: " + value + END + END + b"[]", 400, LENGTH)
        for value in (b"2, 2", b"2, 3", b"+2", b"-2", b"0x2", b"", b"2 2", b"2.0", b"9" * 30)
    ),
    (POST + HOST + b"Content-Length : 2\r\n" + END + b"[]", 400, FIELD),
    (POST + HOST + b"Content-Length: 2\r\n" + CHUNKED + END + b"2\r\n[]\r\n0\r\n\r\n", 400, "send one"),
    (POST + HOST + CHUNKED + b"Content-Length: 2\r\n" + END + b"2\r\n[]\r\n0\r\n\r\n", 400, "send one"),
    (POST + HOST + CHUNKED + CHUNKED + END + b"2\r\n[]\r\n0\r\n\r\n", 400, CODING),
    *(
        (POST + HOST + b"Transfer-Encoding: " + value + END + END + b"2\r\n[]\r\n0\r\n\r\n", 400, CODING)
        for value in (
            b"gzip",
            b"identity",
            b"xchunked",
            b'"chunked"',
            b"chunked;a=b",
            b"chunked, gzip",
            b"chunked,chunked",
            b"",
        )
    ),
    (POST + HOST + b"Transfer-Encoding:\x0bchunked\r\n" + END + b"2\r\n[]\r\n0\r\n\r\n", 400, FIELD),
    (POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n" + END + b"2\r\n[]\r\n0\r\n\r\n", 501, CODING),
    (POST + HOST + b"Transfer-Encoding: gzip\r\n" + CHUNKED + END + b"2\r\n[]\r\n0\r\n\r\n", 501, CODING),
    (POST.replace(b"1.1", b"1.0") + CHUNKED + END + b"2\r\n[]\r\n0\r\n\r\n", 400, "HTTP/1.0 has no Transfer-Encoding"),
    # Chunks (RFC 9112, section 7.1)
    *(
        (chunks(body + b"\r\n[]\r\n0\r\n\r\n"), 400, CHUNK)
        for body in (b"2 ", b" 2", b"0x2", b"+2", b"-2", b"", b"g", b"f" * 17, b"2;", b"2;a=\x01", b"1", b"2;a\n")
    ),
    (chunks(b"2\n[]\n0\n\n"), 400, CHUNK),
    (chunks(b"2\r\n[]\n0\r\n\r\n"), 400, CHUNK),
    (chunks(b"2\r\n[]\r\n0\r\nContent-Length: 5\r\n\r\n"), 400, LENGTH),
    (chunks(b"2\r\n[]\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, CODING),
    (chunks(b"2\r\n[]\r\n0\r\nA(: b\r\n\r\n"), 400, FIELD),
]


@pytest.mark.parametrize(("sent", "status", "detail"), REFUSED, ids=shortened)
async def test_what_is_malformed_or_can_be_read_in_two_ways_is_refused(
    stand: Stand, sent: bytes, status: int, detail: str
) -> None:
    (answer,) = await answers_to(stand, sent + LAST)
    assert_is_error(answer, status, NOT_OFFERED if status == 501 else BAD)
    assert detail in answer.body.decode()
    assert answer.headers["connection"] == "close"


async def test_the_same_after_another_request_is_refused_in_its_turn(stand: Stand) -> None:
    for sent, status, _ in REFUSED:
        answers = await answers_to(stand, GET + HOST + END + sent + LAST)
        # Where the second request cannot be told from rubbish, the method may not be told from it, either.
        assert answers[0].body == SHOWN
        assert [answer.status for answer in answers[1:]] in ([status], [400]), sent


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    """Also one in the middle of a body, whose own answer has not begun."""
    for refused in (target(b"/a%"), chunks(b"x\r\n"), b"rubbish"):
        async with running() as stand, connected(stand) as (reader, writer):
            writer.write(b"GET /hold HTTP/1.1\r\n" + HOST + END + GET + HOST + END + refused)
            await stand.handlers.entered.wait()
            stand.handlers.released.set()
            assert [told(answer) for answer in parsed(await reader.read())] == [
                (200, '"held"'),
                (200, SHOWN.decode()),
                (400, BAD),
            ]


async def test_a_refused_host_gets_into_no_answer(stand: Stand) -> None:
    (answer,) = await answers_to(stand, GET + b"Host: a b\r\nX-Request-Id: mine\r\n" + END)
    assert answer.headers["x-request-id"] == "mine"
    assert "a b" in answer.error["detail"]


async def test_a_refused_head_is_answered_without_a_body(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        writer.write(b"HEAD / HTTP/1.1\r\n" + END)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body == b""


async def test_what_stands_between_and_after_chunks_has_its_limit(stand: Stand) -> None:
    limit = HeadLimits().head_bytes
    for sent in (
        chunks(b"2\r\n[]\r\n0\r\n") + b"A: b\r\n" * limit,
        chunks(b"2\r\n[]\r\n0\r\nA: ") + b"b" * 20 * limit,
        chunks(b"2;a=") + b"b" * 20 * limit,
    ):
        async with connected(stand) as (reader, writer):
            writer.write(sent)
            assert_is_error(await read_answer(reader), 400, BAD)
            assert await reader.read() == b""


# --- what is taken --------------------------------------------------------------------------------------------------

TAKEN: list[tuple[bytes, str]] = [
    *(
        (GET + b"Host: " + host + END + END, SHOWN.decode())
        for host in (b"a", b"a:80", b"a:", b"[::1]:80", b"a_b.c-d", b"%41")
    ),
    (b"GET " + THINGS.encode() + b" HTTP/1.0\r\n" + END, SHOWN.decode()),
    (target(b"http://y" + THINGS.encode()), SHOWN.decode()),
    (target(b"HTTP://y:80" + THINGS.encode() + b"?limit=1"), SHOWN.decode()),
    (target(b"/v1.0/p/%74hings"), SHOWN.decode()),
    (target(b"/v1.0/%E8%B4%9F/things"), '{"project":"负"}'),
    (target(b"/v1.0/a%2Fb/things"), '{"project":"a%2Fb"}'),
    (target(b"/v1.0/a%2fb/things"), '{"project":"a%2Fb"}'),
    (target(b"/v1.0/a%3Fb%23/things"), '{"project":"a?b#"}'),
    (b"\r\n\r\n" + GET + HOST + END, SHOWN.decode()),
    (GET + HOST + b"A:\r\nB:\tb\t\r\nC: \xe9\r\n" + END, SHOWN.decode()),
    (POST + HOST + b"Content-Length: 002 \r\n" + END + b"[]", "[]"),
    (POST + HOST + b"Transfer-Encoding: Chunked\r\n" + END + b"02\r\n[]\r\n00\r\n\r\n", "[]"),
    (chunks(b'2;a=b;c="d;e"\r\n[]\r\n0;f\r\nA: b\r\n\r\n'), "[]"),
]


@pytest.mark.parametrize(("sent", "body"), TAKEN, ids=shortened)
async def test_what_the_standards_allow_is_taken(stand: Stand, sent: bytes, body: str) -> None:
    answers = await answers_to(stand, sent, half_close=True)
    assert [told(answer) for answer in answers] == [(200, body)]


@pytest.mark.parametrize(
    "path",
    [b"/v1.0%2fp/things", b"//v1.0/p/things", THINGS.encode() + b"/", b"/v1.0/p/x/../things", b"/v1.0/p/things%3fa"],
)
async def test_a_path_is_compared_segment_by_segment(stand: Stand, path: bytes) -> None:
    (answer,) = await answers_to(stand, target(path), half_close=True)
    assert told(answer) == (404, "Not Found")


async def test_the_host_of_an_absolute_url_counts_and_not_the_header(stand: Stand) -> None:
    (answer,) = await answers_to(stand, target(b"http://other:81/refuse"), half_close=True)
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://other:81/v3"'


async def test_a_trailer_is_no_header(stand: Stand) -> None:
    sent = b"POST /headers HTTP/1.1\r\n" + HOST + CHUNKED + END + b"2\r\n[]\r\n0\r\nX-Auth-Token: a\r\n\r\n"
    (answer,) = await answers_to(stand, sent, half_close=True)
    assert json.loads(answer.body) == ["host", "transfer-encoding"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1&limit=2", 400),
        ("limit=1&limit=", 400),
        ("limit=1&limit=1", 200),
        ("x=1&x=2", 200),
        ("limit=1&marker=2", 200),
    ],
)
async def test_a_parameter_has_one_value(stand: Stand, query: str, status: int) -> None:
    answer = await stand.client.get(f"{THINGS}?{query}")
    assert answer.status_code == status
    if status == 400:
        assert_is_error(answer, 400, BAD)
        assert "limit" in answer.json()["detail"]


# --- 100 Continue (RFC 9110, section 10.1.1) ------------------------------------------------------------------------


async def test_a_client_that_asks_is_told_to_go_on_and_the_connection_goes_on(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        for _ in range(2):
            writer.write(POST + HOST + ASKING + b"Content-Length: 2\r\n" + END)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"[]")
            assert told(await read_answer(reader)) == (200, "[]")


@pytest.mark.parametrize(
    ("start", "length", "right"),
    [
        (b"POST /nowhere HTTP/1.1\r\n", 2, (404, "Not Found")),
        (b"POST /ignore HTTP/1.1\r\n", 2, (200, '"not read"')),
        (b"PUT " + THINGS.encode() + b" HTTP/1.1\r\n", 2, (405, "Method Not Allowed")),
        (POST, MAX_BODY_BYTES + 1, (400, BAD)),
    ],
    ids=["unknown path", "not read", "other method", "too large"],
)
async def test_a_final_answer_in_place_of_100_ends_the_connection(
    stand: Stand, start: bytes, length: int, right: tuple[int, str]
) -> None:
    """Another request could not be told from the body that was announced."""
    async with connected(stand) as (reader, writer):
        writer.write(start + HOST + ASKING + b"Content-Length: %d\r\n" % length + END)
        answer = await read_answer(reader)
        assert told(answer) == right
        assert answer.headers["connection"] == "close"
        writer.write(LAST)
        assert await reader.read() == b""


@pytest.mark.parametrize(
    "head",
    [
        POST.replace(b"1.1", b"1.0") + ASKING,
        POST + HOST + b"Expect: something-else\r\nConnection: close\r\n",
        POST + HOST + b"Connection: close\r\n",
    ],
    ids=["HTTP/1.0", "other", "none"],
)
async def test_who_does_not_ask_gets_no_100(stand: Stand, head: bytes) -> None:
    async with connected(stand) as (reader, writer):
        stand.handlers.reading.clear()
        writer.write(head + b"Content-Length: 2\r\n" + END)
        await stand.handlers.reading.wait()
        writer.write(b"[]")
        assert [told(answer) for answer in parsed(await reader.read())] == [(200, "[]")]


# --- the end of a connection (RFC 9112, section 9.6) ----------------------------------------------------------------


async def test_a_client_that_sends_no_more_gets_all_its_answers() -> None:
    async with running() as stand, connected(stand) as (reader, writer):
        writer.write(b"GET /hold HTTP/1.1\r\n" + HOST + END + (GET + HOST + END) * 2)
        writer.write_eof()
        await stand.handlers.entered.wait()
        stand.handlers.released.set()
        answers = parsed(await reader.read())
        assert [told(answer) for answer in answers] == [(200, '"held"'), *[(200, SHOWN.decode())] * 2]
        assert answers[-1].headers["connection"] == "close"


@pytest.mark.parametrize(
    "sent",
    [
        b"GE",
        GET,
        GET + b"Hos",
        POST + HOST + b"Content-Length: 9\r\n" + END + b"[",
        chunks(b"5\r\n[]"),
        chunks(b"2\r\n[]\r\n0\r\n"),
    ],
    ids=["line", "no headers", "head", "body", "chunk", "trailers"],
)
async def test_a_client_that_ends_in_the_middle_is_told(stand: Stand, sent: bytes) -> None:
    (answer,) = await answers_to(stand, sent, half_close=True)
    assert_is_error(answer, 400, BAD)
    assert "before the request was complete" in answer.error["detail"]
    answers = await answers_to(stand, GET + HOST + END + sent, half_close=True)
    assert [answer.status for answer in answers] == [200, 400]


async def test_a_client_that_only_ends_gets_nothing(stand: Stand) -> None:
    assert await answers_to(stand, b"", half_close=True) == []
    assert len(await answers_to(stand, GET + HOST + END, half_close=True)) == 1


@pytest.mark.parametrize("path", [b"/ignore", b"/nowhere", THINGS.encode()])
async def test_an_answer_before_the_end_of_an_upload_reaches_the_client(stand: Stand, path: bytes) -> None:
    """The rest is taken and thrown away; to close at once would reset the connection and lose the answer."""
    size = 20 * MAX_BODY_BYTES
    head = b"POST %b HTTP/1.1\r\n%bConnection: close\r\nContent-Length: %d\r\n\r\n" % (path, HOST, size)
    async with connected(stand) as (reader, writer):
        writer.write(head)
        for _ in range(size // MAX_BODY_BYTES):
            writer.write(b"x" * MAX_BODY_BYTES)
            await writer.drain()
        (answer,) = parsed(await reader.read())
        assert answer.status in (200, 400, 404)


async def test_a_client_that_never_ends_is_not_waited_for(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        writer.write(LAST)
        assert len(parsed(await reader.read())) == 1
        started = asyncio.get_running_loop().time()
        while not writer.transport.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert asyncio.get_running_loop().time() - started > LINGER_SECONDS / 2


# --- answers --------------------------------------------------------------------------------------------------------


async def heads(stand: Stand, *requests: bytes) -> Sequence[str]:
    """The names of the headers of each answer, as they are sent."""
    found = []
    for request in requests:
        async with connected(stand) as (reader, writer):
            writer.write(request)
            writer.write_eof()
            head = (await reader.read()).partition(b"\r\n\r\n")[0].decode()
            found += [each.partition(":")[0] for each in head.split("\r\n")[1:]]
    return found


async def test_headers_are_sent_in_their_documented_case(stand: Stand) -> None:
    names = await heads(
        stand,
        target(b"/headers"),
        target(b"/refuse"),
        target(b"/nowhere"),
        target(b"/stream"),
        line(b"PUT %b HTTP/1.1" % THINGS.encode()),
        target(b"*"),
        GET + HOST + b"Content-Length: 9\r\n" + END + b"x",
    )
    assert set(names) == {
        "Allow",
        "Cache-Control",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Date",
        "Proxy-Authenticate",
        "Transfer-Encoding",
        "Vary",
        "WWW-Authenticate",
        "X-Openstack-Request-Id",
        "X-Request-Id",
        "X-Subject-Token",
    }


async def test_a_head_of_a_stream_does_not_wait_for_its_end() -> None:
    async with running() as stand, connected(stand) as (reader, writer):
        writer.write(b"HEAD /stream HTTP/1.1\r\n" + HOST + END + LAST)
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert [answer.body for answer in parsed(rest)] == [SHOWN]
        assert not stand.handlers.released.is_set()


def test_head_is_answered_wherever_get_is_and_never_with_a_body(api: Api) -> None:
    paths = [path for path, methods in api.http.get("/openapi.json").json()["paths"].items() if "get" in methods]
    assert len(paths) > 20
    for path in paths:
        filled = re.sub(r"{[^}]+}", "0" * 32, path.replace("{project_id}", api.project_id))
        for headers in ({}, {"X-Auth-Token": ""}):
            get, head = api.http.get(filled, headers=headers), api.http.head(filled, headers=headers)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            # How a body is framed need not be said where there is none (RFC 9110, section 9.3.2).
            assert set(head.headers) == set(get.headers) - {"transfer-encoding"}, path


def test_scripts_find_the_token_by_the_documented_name_of_its_header(api: Api) -> None:
    assert (b"X-Subject-Token", api.login.headers["x-subject-token"].encode()) in api.login.headers.raw


async def test_a_client_of_http_1_0_gets_no_chunks(stand: Stand) -> None:
    async with connected(stand) as (reader, writer):
        writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"one two"


async def test_each_answer_has_its_line_in_the_log(stand: Stand) -> None:
    with captured() as lines:
        await answers_to(stand, GET + HOST + END + target(b"/a%zz"))
        await answers_to(stand, b"\x16\x03\x01")
    assert [(each["method"], each["path"], each["status"]) for each in lines] == [
        ("GET", THINGS, 200),
        ("GET", "/a%zz", 400),
        ("-", "", 400),
    ]
