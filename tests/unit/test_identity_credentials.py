"""The file with the first password."""

import json
import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from equipoise.identity.credentials import Credentials, auth_url, follow_address, write_first
from equipoise.identity.directory import CreatedDirectory, first_content

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
URL = "http://127.0.0.1:8080/v3"


@pytest.fixture
def created() -> CreatedDirectory:
    return first_content("region-1", CHEAP.hash)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/v3"),
        ("", "http://127.0.0.1:80/v3"),
        ("0.0.0.0", "http://127.0.0.1:80/v3"),
        ("::", "http://[::1]:80/v3"),
        ("fe80::1", "http://[fe80::1]:80/v3"),
        ("elb.example", "http://elb.example:80/v3"),
    ],
)
def test_the_url_is_one_that_a_client_on_this_machine_reaches(host: str, url: str) -> None:
    assert auth_url(host, 80) == url


def test_a_first_start_writes_what_a_client_needs(tmp_path: Path, created: CreatedDirectory) -> None:
    write_first(tmp_path, created, "region-1", URL)
    path = tmp_path / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "auth_url": URL,
        "username": "admin",
        "password": created.password,
        "user_domain_name": "Default",
        "project_name": "region-1_demo",
        "project_id": created.project.id,
        "region": "region-1",
    }


def test_another_address_changes_the_url_and_nothing_else(tmp_path: Path, created: CreatedDirectory) -> None:
    write_first(tmp_path, created, "region-1", URL)
    path = tmp_path / "credentials.json"
    before = json.loads(path.read_text())
    follow_address(tmp_path, "http://127.0.0.1:9090/v3")
    assert json.loads(path.read_text()) == {**before, "auth_url": "http://127.0.0.1:9090/v3"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_address_leaves_the_file_untouched(tmp_path: Path, created: CreatedDirectory) -> None:
    write_first(tmp_path, created, "region-1", URL)
    before = (tmp_path / "credentials.json").stat()
    follow_address(tmp_path, URL)
    assert (tmp_path / "credentials.json").stat() == before


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_lost_or_strange_file_is_reported_and_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "credentials.json"
    if content is not None:
        path.write_bytes(content)
    with capture_logs() as logs:
        follow_address(tmp_path, URL)
    assert [log["event"] for log in logs] == ["credentials_file_unusable"]
    assert "identity.json" in logs[0]["remedy"]
    assert (path.read_bytes() if path.exists() else None) == content


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Credentials(URL, "admin", "hunter2", "Default", "p", "a" * 32, "r"))
