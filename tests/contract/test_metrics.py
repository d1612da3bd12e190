"""Who may read the figures, which tell of all projects (docs/howto/watch-with-prometheus.md)."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stand import Api, Service, running_service

SECRET = "a-secret-of-the-gateway"


def ask(service: Service, **headers: str) -> httpx.Response:
    return httpx.get(f"{service.url}/metrics", headers=headers, verify=False)


def token_of(service: Service) -> str:
    return (service.data_dir / "metrics.token").read_text().strip()


def test_who_asks_from_the_machine_itself_needs_no_token(shared_service: Service) -> None:
    answer = ask(shared_service)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "equipoise_build_info{" in answer.text


def test_what_prometheus_asks_for_is_given(shared_service: Service) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    assert ask(shared_service, Accept=accept).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"X-Real-IP": "203.0.113.9"},
        {"Via": "1.1 gateway"},
        {"Host": "figures.example.com"},
        {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer wrong"},
    ],
)
def test_who_asks_through_a_proxy_or_by_another_name_needs_the_token(
    shared_service: Service, headers: dict[str, str]
) -> None:
    refused = ask(shared_service, **headers)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="metrics"'
    assert "metrics.token" in refused.json()["detail"]
    assert "equipoise_" not in refused.text
    assert ask(shared_service, **(headers | {"Authorization": f"Bearer {token_of(shared_service)}"})).status_code == 200


def test_the_token_of_a_user_opens_nothing(shared_service: Service, api: Api) -> None:
    headers = {"Host": "figures.example.com", "X-Auth-Token": api.token, "Authorization": f"Bearer {api.token}"}
    assert ask(shared_service, **headers).status_code == 401


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is reached through a gateway."""
    folder = tmp_path_factory.mktemp("guarded")
    token = folder / "collectors"
    token.write_text("a-token-of-my-own-choice\n")
    gateway = ("env", f"EQUIPOISE_HTTP_GATEWAY_SECRET={SECRET}")
    with running_service(folder / "data", f"metrics.token_file={token}", through=gateway) as service:
        yield service


def test_behind_a_gateway_the_token_is_needed_and_enough(guarded: Service) -> None:
    through = {"Proxy-Authorization": "Basic Z3c6YS1zZWNyZXQtb2YtdGhlLWdhdGV3YXk="}
    assert httpx.get(f"{guarded.url}/", headers=through, verify=False).status_code == 200
    assert ask(guarded, **through).status_code == 401
    assert ask(guarded, Authorization="Bearer a-token-of-my-own-choice").status_code == 200
    assert not (guarded.data_dir / "metrics.token").exists()


def test_a_token_file_that_holds_none_ends_the_start_with_its_name(tmp_path: Path) -> None:
    token = tmp_path / "collectors"
    token.write_text("short\n")
    service = Service(tmp_path / "data", f"metrics.token_file={token}")
    with pytest.raises(AssertionError, match=f"{token} must hold"):
        service.start()
    assert service.wait() == 1
