"""The table of operations, and how it becomes routes. The handlers themselves are in the modules of their resources.

A path is matched letter for letter: a trailing slash is another path, and nothing is ever redirected, because
clients do not send their token and body again to another place. Where clients ask with a slash, both are listed.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from equipoise.http.accept import admits
from equipoise.http.errors import Malformed, MethodNotAllowed, NotAcceptable, PathUnknown
from equipoise.http.state import STATE_OPERATION

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    Args:
        name: its unique name, also the operationId of an OpenAPI document.
        method: in capitals. GET answers HEAD, too.
        path: with parameters in braces, such as `/v1.0/{project_id}/jobs/{job_id}`.
        handler: what answers it.
        summary: one line for the documentation.
        success: the statuses of success (classic-api.md, Operations).
        produces: the media types of its answer, which Accept must admit one of.
        body: the type of the body that it takes, None for none.
        query: a TypedDict of the query parameters that it takes, None for none.
        answer: the type of the body of a success, None for none.
        open: whether it needs no token.
        takes: headers that it needs beside the token: name -> meaning.
        gives: headers of a success beside the request id: name -> meaning.
        errors: statuses of errors beside those that follow from the rest (`equipoise.api.common.openapi`).
    """

    name: str
    method: str
    path: str
    handler: Handler
    summary: str = ""
    success: tuple[int, ...] = (200,)
    produces: tuple[str, ...] = ("application/json",)
    body: Any = None
    query: Any = None
    answer: Any = None
    open: bool = False
    takes: Mapping[str, str] = field(default_factory=dict)
    gives: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[int, ...] = ()


def router(operations: Iterable[Operation]) -> ASGIApp:
    """An application that hands each request to its operation.

    It raises RequestError for an unknown path, for a known path with another method, and for an Accept header that
    admits nothing of what the operation produces. Raises ValueError when two operations have the same name or the
    same path and method.
    """
    by_path: dict[str, dict[str, Operation]] = {}
    names: set[str] = set()
    for operation in operations:
        methods = by_path.setdefault(operation.path, {})
        if operation.method in methods or operation.name in names:
            raise ValueError(f"Operation {operation.name} ({operation.method} {operation.path}) is there already.")
        methods[operation.method] = operation
        names.add(operation.name)
    routes = [Route(path, _Path(methods), name=path) for path, methods in by_path.items()]
    return Router(routes, redirect_slashes=False, default=_unknown_path)


class _Path:
    """All operations of one path."""

    def __init__(self, methods: Mapping[str, Operation]) -> None:
        self._operations = dict(methods)
        if "GET" in methods:
            self._operations.setdefault("HEAD", methods["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["method"])
        if operation is None:
            allow = ", ".join(sorted(self._operations))
            raise MethodNotAllowed(scope["method"], allow)
        # So that an error of the handler is told in the words of its operation.
        scope["state"][STATE_OPERATION] = operation.name
        request = Request(scope, receive, send)
        _check_accept(request, operation)
        _check_query(request, operation)
        response = await operation.handler(request)
        await response(scope, receive, send)


def _check_accept(request: Request, operation: Operation) -> None:
    accept = ",".join(request.headers.getlist("accept"))
    if not admits(accept, operation.produces):
        raise NotAcceptable(
            f"The answer is {' or '.join(operation.produces)}, which the Accept header does not admit; "
            "send Accept: */* or leave it out.",
        )


def _check_query(request: Request, operation: Operation) -> None:
    """Of two values of a parameter nobody could say which one counts. What an operation does not take is ignored."""
    if operation.query is None or not request.scope["query_string"]:
        return
    for name in operation.query.__annotations__:
        if len(set(request.query_params.getlist(name))) > 1:
            raise Malformed(f"The query gives {name} more than one value; give it once.")


async def _unknown_path(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise PathUnknown(scope["path"])
