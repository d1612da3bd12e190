"""API versions (classic-api.md, Operations): what a client learns before it has a token."""

from typing import Any

import httpx
import pytest

from stand import Service
from tests.contract.wire import refusal

FIELDS = ["id", "links", "status", "updated", "version", "min_version"]


def get(service: Service, path: str) -> dict[str, Any]:
    answer = httpx.get(service.url + path)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_versions_are_listed_without_a_token(shared_service: Service) -> None:
    body = get(shared_service, "/")
    assert list(body) == ["versions"]
    assert [version["id"] for version in body["versions"]] == ["v1.0", "v3.14"]
    for version in body["versions"]:
        assert list(version) == FIELDS
        assert (version["status"], version["version"], version["min_version"]) == ("CURRENT", "", "")
        (link,) = version["links"]
        assert link["rel"] == "self"
        # Where the link leads, the same version says so itself.
        assert httpx.get(link["href"]).json()["version"]["id"] == version["id"]


@pytest.mark.parametrize("path", ["/v1.0", "/v1.0/"])
def test_one_version_is_shown_with_and_without_a_slash(shared_service: Service, path: str) -> None:
    body = get(shared_service, path)
    assert body == {"version": get(shared_service, "/")["versions"][0]}
    assert body["version"]["links"] == [{"href": f"{shared_service.url}/v1.0", "rel": "self"}]


def test_links_lead_to_the_host_that_the_client_asked(shared_service: Service) -> None:
    answer = httpx.get(f"{shared_service.url}/v1.0", headers={"Host": "lb.example.org"})
    assert answer.json()["version"]["links"][0]["href"] == "http://lb.example.org/v1.0"


def test_versions_are_only_read(shared_service: Service) -> None:
    answer = httpx.post(f"{shared_service.url}/v1.0", json={})
    assert refusal(answer) == (405, "Method Not Allowed")
