"""The OpenAPI 3.1 document of the service, made from its operations and the types of what they take and give.

Nothing is described here that stands elsewhere: a status, a field or a range is written once, in the code that obeys
it. `tests/contract/test_openapi.py` holds real answers against the document.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec

from equipoise.api.classic.wire import types as t
from equipoise.api.classic.wire.errors import Error
from equipoise.api.classic.wire.jobs import ENTITIES
from equipoise.http.routing import Operation

Document = dict[str, Any]

REFERENCE: Final = "#/components/schemas/{name}"
SECURITY: Final = "token"

_PARAMETER: Final = re.compile(r"{(\w+)}")
# Of ids in a path that this service does not make itself.
_PATTERNS: Final = dict.fromkeys(("vpc_id", "subnet_id", "domain_id", "region_id"), t.REFERENCE_PATTERN)
_OF_ALL: Final = (400, 406, 407, 408, 500, 503)
_WITH_TOKEN: Final = (401, 403, 502, 504)
_WITH_BODY_OR_CHANGE: Final = (409,)
_WHAT: Final = {
    400: "A rule is broken; the code says which.",
    401: "The token is missing, malformed, expired or revoked, or the credentials are wrong.",
    403: "Another project, a role that is too weak, or a quota that is used up.",
    404: "There is no such thing in this project.",
    406: "The Accept header admits nothing that is produced.",
    407: "The request did not come through the gateway.",
    408: "The request did not arrive in time.",
    409: "The thing takes no such change now, or the data plane refuses it.",
    500: "A defect; the log has the cause under the request id.",
    501: "Documented, but not offered here.",
    502: "The identity service, or a component behind the API, gave an invalid answer.",
    503: "Starting, stopping, overloaded, or the database cannot be used.",
    504: "The identity service, or the database during a write, did not answer in time: the write may be stored.",
}
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "Where tokens are given out."},
    407: {"Proxy-Authenticate": "The scheme that the gateway uses."},
    503: {"Retry-After": "Seconds after which to try again."},
}


def document(operations: Iterable[Operation]) -> Document:
    """The document; operations in the order given.

    Raises:
        ValueError: an operation does not say what it takes or gives.
    """
    operations = list(operations)
    for operation in operations:
        _check_described(operation)
    types = [kind for operation in operations for kind in (operation.body, operation.query, operation.answer)]
    known = [kind for kind in types if kind is not None]
    schemas, components = msgspec.json.schema_components([*known, Error, *ENTITIES], ref_template=REFERENCE)
    schema_of = dict(zip(map(id, known), schemas[: len(known)], strict=True))
    paths: dict[str, Document] = {}
    for operation in operations:
        described = _operation(operation, schema_of, components)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Equipoise",
            "version": version("equipoise"),
            "description": "Elastic load balancing: the classic API v1.0, jobs, identity in the way of Keystone v3.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: _plain(schema) for name, schema in components.items()},
            "responses": {f"Error{status}": _error(status) for status in _WHAT},
            "securitySchemes": {SECURITY: {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def statuses_of_errors(operation: Operation) -> tuple[int, ...]:
    """The statuses of errors that the operation can answer with."""
    found = {*_OF_ALL, *operation.errors}
    if not operation.open:
        found |= {*_WITH_TOKEN}
    if _PARAMETER.search(operation.path):
        found |= {404}
    if operation.method not in ("GET", "HEAD"):
        found |= {*_WITH_BODY_OR_CHANGE}
    return tuple(sorted(found))


def _check_described(operation: Operation) -> None:
    if (operation.answer is None) != (operation.success == (HTTPStatus.NO_CONTENT,)):
        raise ValueError(f"{operation.name}: an operation has an answer, or its success is 204.")
    if operation.method in ("POST", "PUT") and operation.body is None:
        raise ValueError(f"{operation.name}: {operation.method} needs the type of its body.")


def _operation(operation: Operation, schema_of: Mapping[int, Document], components: Mapping[str, Document]) -> Document:
    described: Document = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            *_path_parameters(operation.path),
            *_query_parameters(operation, schema_of, components),
            *(
                {"name": name, "in": "header", "required": True, "description": meaning, "schema": {"type": "string"}}
                for name, meaning in operation.takes.items()
            ),
        ],
        "responses": _responses(operation, schema_of),
        "security": [] if operation.open else [{SECURITY: []}],
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _plain(schema_of[id(operation.body)])}},
        }
    return described


def _path_parameters(path: str) -> list[Document]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _PATTERNS.get(name, t.ID_PATTERN)},
        }
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(
    operation: Operation, schema_of: Mapping[int, Document], components: Mapping[str, Document]
) -> list[Document]:
    if operation.query is None:
        return []
    schema = components[schema_of[id(operation.query)]["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _plain(of_one)}
        for name, of_one in schema["properties"].items()
    ]


def _responses(operation: Operation, schema_of: Mapping[int, Document]) -> Document:
    responses: Document = {}
    for status in operation.success:
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "headers": _headers(operation.gives),
        }
        if operation.answer is not None:
            schema = _plain(schema_of[id(operation.answer)])
            responses[str(status)]["content"] = {kind: {"schema": schema} for kind in operation.produces}
    for status in statuses_of_errors(operation):
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    return responses


def _error(status: int) -> Document:
    return {
        "description": _WHAT[status],
        "headers": _headers(_HEADERS.get(status, {})),
        "content": {"application/json": {"schema": {"$ref": REFERENCE.format(name="Error")}}},
    }


def _headers(headers: Mapping[str, str]) -> Document:
    common = {"X-Request-Id": "The id of the request, as in the log."}
    return {
        name: {"description": meaning, "required": True, "schema": {"type": "string"}}
        for name, meaning in (common | dict(headers)).items()
    }


def _plain(schema: Document) -> Document:
    """Without the titles that only repeat the name."""
    return {key: value for key, value in schema.items() if key != "title"}
