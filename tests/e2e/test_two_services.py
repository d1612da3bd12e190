"""Two services on one PostgreSQL, each with a data directory of its own, have one identity."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from stand import Api, Service, eventually
from stand.postgres import Postgres
from tests.contract.wire import refusal
from tests.people import add_project, add_user, set_password


@pytest.fixture
def pair(tmp_path: Path, postgres: Postgres) -> Iterator[tuple[Service, Service]]:
    """Two services that started at the same time on an empty database, with one key file that was not there."""
    settings = (f"database.url={postgres.new_database()}", f"certificates.key_file={tmp_path / 'shared.key'}")
    services = [Service(tmp_path / name, *settings) for name in ("here", "there")]
    with ExitStack() as running, ThreadPoolExecutor(len(services)) as threads:
        for service in services:
            running.callback(service.stop)
        here, there = threads.map(Service.start, services)
        yield here, there


def test_two_services_have_one_identity(pair: tuple[Service, Service]) -> None:
    here, there = pair
    known = [service.credentials() for service in pair]
    assert [each.pop("auth_url") for each in known] == [f"{service.url}/v3" for service in pair]
    assert known[0] == known[1]
    for service in pair:
        assert (service.data_dir / "credentials.json").stat().st_mode & 0o777 == 0o600
        assert not (service.data_dir / "keys" / "token.key").exists()
    with Api(here) as one, Api(there, here.credentials()) as other:
        # Whoever has a token of one service is known at the other one.
        assert one.project_id == other.project_id
        assert status(there, one) == 200
        assert status(here, other) == 200

        # A user that was made through one service works at both at once, and with the newest password only.
        member = add_user(here, project := add_project(here))
        for service in pair:
            with Api(service, member) as client:
                assert client.project_id == project["project_id"]
                assert one.http.get(f"{service.url}/v1.0/{client.project_id}/elbaas/loadbalancers").is_success
                user_id = client.login.json()["token"]["user"]["id"]
        set_password(here, user_id, "another password")
        for service in pair:
            assert refusal(login(service, member))[0] == 401
            assert login(service, {**member, "password": "another password"}).status_code == 201

        # A revocation counts everywhere.
        revoked = one.http.delete("/v3/auth/tokens", headers={"X-Subject-Token": one.token})
        assert revoked.status_code == 204
        assert status(here, one) == 401
        eventually(lambda: status(there, one) == 401)
        assert status(here, other) == 200


def test_a_service_with_another_key_says_so_at_its_start(tmp_path: Path, postgres: Postgres) -> None:
    url = f"database.url={postgres.new_database()}"
    first, second = (Service(tmp_path / name, url) for name in ("first", "second"))
    try:
        first.start()
        for key, told in (("", "is missing"), (first.credentials()["project_id"], "must hold 32 bytes")):
            if key:
                (second.data_dir / "keys").mkdir()
                (second.data_dir / "keys" / "certificate.key").write_text(key)
            with pytest.raises(AssertionError, match="no ready line"):
                second.start()
            assert second.wait() == 1
            last = eventually(second.log).strip().splitlines()[-1]
            assert last.startswith(f"Error: {second.data_dir}/keys/certificate.key {told}")
        (second.data_dir / "keys" / "certificate.key").write_bytes(
            (first.data_dir / "keys" / "certificate.key").read_bytes()
        )
        second.start()
        assert json.loads((second.data_dir / "credentials.json").read_text())["password"]
    finally:
        second.stop()
        first.stop()


def status(service: Service, client: Api) -> int:
    """What a service answers to the token of a client."""
    url = f"{service.url}/v1.0/{client.project_id}/elbaas/loadbalancers"
    return httpx.get(url, headers={"X-Auth-Token": client.token}).status_code


def login(service: Service, known: dict[str, str]) -> httpx.Response:
    user = {"name": known["username"], "password": known["password"], "domain": {"name": known["user_domain_name"]}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    return httpx.post(f"{service.url}/v3/auth/tokens", json={"auth": auth})
