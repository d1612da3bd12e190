"""Holds every answer of a client against the OpenAPI document of the service, more strictly than clients would."""

import json
import re
from typing import Any

import httpx
import jsonschema_rs

from stand import Api


class Conformance:
    """Watches a client; an answer that the document does not allow fails the call.

    `seen` is the operations that have answered with a success. An object may have no property that is not described.
    """

    def __init__(self, api: Api) -> None:
        self.document: dict[str, Any] = closed(api.http.get("/openapi.json").json())
        self.seen: set[str] = set()
        self._operations = [
            (re.compile(re.sub(r"{\w+}", "[^/]+", path)), method.upper(), operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        ]
        api.http.event_hooks["response"].append(self._check)

    @property
    def operations(self) -> set[str]:
        return {operation["operationId"] for _, _, operation in self._operations}

    def operation_of(self, method: str, path: str) -> dict[str, Any]:
        found: dict[str, Any]
        [found] = [one for pattern, verb, one in self._operations if verb == method and pattern.fullmatch(path)]
        return found

    def _check(self, answer: httpx.Response) -> None:
        answer.read()
        operation = self.operation_of(answer.request.method, answer.request.url.path)
        described = operation["responses"].get(str(answer.status_code))
        assert described, f"{operation['operationId']} does not describe {answer.status_code}: {answer.text}"
        if "$ref" in described:
            described = self.document["components"]["responses"][described["$ref"].rpartition("/")[2]]
        assert {name.lower() for name in described["headers"]} <= answer.headers.keys()
        content = described.get("content")
        if content is None:
            assert not answer.content
        else:
            kind = answer.headers["content-type"].partition(";")[0]
            schema = content[kind]["schema"] | {"components": self.document["components"]}
            validator = jsonschema_rs.validator_for(schema)
            for value in _values(answer, kind):
                validator.validate(value)
        if answer.is_success:
            self.seen.add(operation["operationId"])


def _values(answer: httpx.Response, kind: str) -> list[Any]:
    """What a body holds, as its media type says."""
    if kind == "text/event-stream":
        return list(_events(answer.text))
    return [answer.text if kind == "text/plain" else answer.json()]


def _events(stream: str) -> list[dict[str, str]]:
    """The events of a stream that has ended: the fields of each."""
    blocks = [block for block in stream.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def closed(document: Any) -> Any:
    """The same document with no room for properties that are not described."""
    text = json.dumps(document)

    def close(value: dict[str, Any]) -> dict[str, Any]:
        if isinstance(value.get("properties"), dict) and value.get("type") == "object":
            return value | {"additionalProperties": False}
        return value

    return json.loads(text, object_hook=close)
