"""The OpenAPI document as a function of the operations; that it is true is tested in tests/contract."""

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.wire.requests import MemberQuery, NewMembers
from equipoise.api.classic.wire.resources import Named
from equipoise.api.common import openapi
from equipoise.http.routing import Operation


async def handler(_request: Request) -> Response:
    return Response()


def described(method: str = "GET", path: str = "/things/{thing_id}", **more: Any) -> dict[str, Any]:
    document = openapi.document([Operation("doIt", method, path, handler, **more)])
    operation: dict[str, Any] = document["paths"][path][method.lower()]
    return operation


def test_parameters_come_from_the_path_the_query_and_the_headers() -> None:
    parameters = described(answer=Named, query=MemberQuery, takes={"X-Subject-Token": "which"})["parameters"]
    places = {parameter["name"]: (parameter["in"], parameter["required"]) for parameter in parameters}
    assert places["thing_id"] == ("path", True)
    assert places["server_id"] == ("query", False)
    assert places["X-Subject-Token"] == ("header", True)


def test_a_body_and_an_answer_are_described_by_their_types() -> None:
    operation = described("POST", body=NewMembers, answer=Named)
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/NewMember"}}
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Named"}


def test_errors_follow_from_what_the_operation_is() -> None:
    of_reading = described(answer=Named)["responses"]
    assert {"400", "401", "403", "404", "500", "503", "504"} <= of_reading.keys()
    assert "409" not in of_reading
    assert "409" in described("DELETE", success=(204,))["responses"]
    open_to_all = described(path="/", answer=Named, open=True)
    assert open_to_all["security"] == []
    assert not {"401", "403", "404"} & open_to_all["responses"].keys()


@pytest.mark.parametrize(
    ("method", "more"),
    [("GET", {}), ("DELETE", {"success": (204,), "answer": Named}), ("PUT", {"answer": Named})],
)
def test_an_operation_that_does_not_say_what_it_takes_or_gives_is_refused(method: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="doIt"):
        described(method, **more)
