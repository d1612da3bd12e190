"""The file with the first password."""

import json
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from equipoise.identity.credentials import Credentials, auth_url, follow_address, is_for, mark, read, write

URL = "http://127.0.0.1:8080/v3"
KNOWN = Credentials(URL, "admin", "hunter2", "Default", "region-1_demo", "a" * 32, "region-1")


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


def test_a_first_start_writes_what_a_client_needs(tmp_path: Path) -> None:
    write(tmp_path, KNOWN)
    path = tmp_path / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "auth_url": URL,
        "username": "admin",
        "password": "hunter2",
        "user_domain_name": "Default",
        "project_name": "region-1_demo",
        "project_id": "a" * 32,
        "region": "region-1",
    }


def test_another_address_changes_the_url_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, KNOWN)
    path = tmp_path / "credentials.json"
    before = json.loads(path.read_text())
    follow_address(tmp_path, "http://127.0.0.1:9090/v3")
    assert json.loads(path.read_text()) == {**before, "auth_url": "http://127.0.0.1:9090/v3"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_address_leaves_the_file_untouched(tmp_path: Path) -> None:
    write(tmp_path, KNOWN)
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
    assert "identity.id" in logs[0]["remedy"]
    assert (path.read_bytes() if path.exists() else None) == content


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(KNOWN)


def test_a_file_of_another_identity_is_kept_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("of before")
    write(tmp_path, KNOWN)
    assert read(tmp_path) == KNOWN
    assert (tmp_path / "credentials.json.old").read_text() == "of before"


def test_a_folder_is_given_the_credentials_of_an_identity_once(tmp_path: Path) -> None:
    assert not is_for(tmp_path, "a" * 32)
    mark(tmp_path, "a" * 32)
    assert is_for(tmp_path, "a" * 32)
    assert not is_for(tmp_path, "b" * 32)
