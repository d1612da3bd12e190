"""A tiny application on the real HTTP server, and raw connections to it, for tests of the HTTP interface."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import httpx
import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from equipoise.api.classic.errors import render
from equipoise.core.errors import TokenMissing
from equipoise.http.body import decoded, raw_body
from equipoise.http.middleware import RequestBoundary
from equipoise.http.protocol import HeadLimits
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation, router
from equipoise.http.server import HttpServer

THINGS = "/v1.0/p/things"
MAX_BODY_BYTES = 1 << 20


class Paging(TypedDict, total=False):
    """The query parameters of `show`."""

    limit: int
    marker: str


class Handlers:
    """A tiny application; `entered` and `released` let a test hold a request under way."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.released = asyncio.Event()
        self.reading = asyncio.Event()

    async def show(self, request: Request) -> Response:
        return json_response({"project": request.path_params["project_id"]})

    async def echo(self, request: Request) -> Response:
        self.reading.set()
        return json_response(decoded(await raw_body(request, limit=MAX_BODY_BYTES)))

    async def list_headers(self, request: Request) -> Response:
        await raw_body(request, limit=MAX_BODY_BYTES)
        return json_response(list(request.headers.keys()))

    async def delete(self, _request: Request) -> Response:
        return no_content()

    async def fail(self, _request: Request) -> Response:
        raise ValueError("the cause, for the log only")

    async def refuse(self, _request: Request) -> Response:
        raise TokenMissing("Send a token.")

    async def hold(self, _request: Request) -> Response:
        self.entered.set()
        await self.released.wait()
        return json_response("held")

    async def ignore_body(self, _request: Request) -> Response:
        return json_response("not read")

    async def stream(self, _request: Request) -> Response:
        async def parts() -> AsyncIterator[str]:
            yield "one "
            self.entered.set()
            await self.released.wait()
            yield "two"

        return StreamingResponse(parts(), media_type="text/plain")

    async def give_headers(self, _request: Request) -> Response:
        given = ("x-subject-token", "vary", "cache-control", "proxy-authenticate", "x-openstack-request-id")
        return json_response({}, headers=dict.fromkeys(given, "given"))

    async def page(self, _request: Request) -> Response:
        return HTMLResponse("<p>hello</p>")

    def operations(self) -> list[Operation]:
        things = "/v1.0/{project_id}/things"
        return [
            Operation("show", "GET", things, self.show, query=Paging),
            Operation("echo", "POST", things, self.echo),
            Operation("delete", "DELETE", things + "/{thing_id}", self.delete, success=(204,)),
            Operation("fail", "GET", "/fail", self.fail),
            Operation("refuse", "GET", "/refuse", self.refuse),
            Operation("hold", "GET", "/hold", self.hold),
            Operation("ignore", "POST", "/ignore", self.ignore_body),
            Operation("listHeaders", "POST", "/headers", self.list_headers),
            Operation("stream", "GET", "/stream", self.stream, produces=("text/plain",)),
            Operation("headers", "GET", "/headers", self.give_headers),
            Operation("page", "GET", "/page", self.page, produces=("text/html",)),
        ]


@dataclass(frozen=True, slots=True)
class Stand:
    server: HttpServer
    handlers: Handlers
    client: httpx.AsyncClient


@asynccontextmanager
async def running(limits: HeadLimits | None = None) -> AsyncIterator[Stand]:
    handlers = Handlers()
    app = RequestBoundary(router(handlers.operations()), render)
    server = HttpServer(app, "127.0.0.1", 0, render=render, limits=limits)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url) as client:
            yield Stand(server, handlers, client)
    finally:
        handlers.released.set()
        await server.stop(grace=5)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        return json.loads(self.body)


@asynccontextmanager
async def connected(stand: Stand) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.server.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(head[0].split()[1]), headers, body)


async def exchange(stand: Stand, sent: bytes) -> Answer:
    """Send, read one answer, and see that the server closes the connection after it."""
    async with connected(stand) as (reader, writer):
        writer.write(sent)
        answer = await read_answer(reader)
        assert await reader.read() == b""
        assert answer.headers["connection"] == "close"
        return answer


def assert_is_error(answer: Answer | httpx.Response, status: int, code: str) -> None:
    """The shape of every error (return-values.md, Error body)."""
    body = json.loads(answer.body if isinstance(answer, Answer) else answer.content)
    assert (body["code"], answer.status if isinstance(answer, Answer) else answer.status_code) == (code, status)
    assert body["error"] == {"message": body["message"], "code": code}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["detail"]
    assert set(body) == {"error", "message", "code", "request_id", "detail"}
    assert answer.headers["content-type"] == "application/json"


def captured() -> Any:
    return structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars])
