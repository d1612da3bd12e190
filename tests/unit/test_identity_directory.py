"""The file of users and projects: found, changed, reloaded, and refused when it makes no sense."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from equipoise.identity.directory import Directory, Reference, first_content
from equipoise.identity.files import IdentityFileError

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASH = CHEAP.hash("correct horse")
HEX = re.compile("[0-9a-f]{32}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity.json"


@pytest.fixture
def directory(path: Path) -> Directory:
    return Directory.create(path, first_content("region-1", CHEAP.hash).content)


def change_on_disk(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def test_a_first_start_makes_an_administrator_and_a_project_named_after_the_region(directory: Directory) -> None:
    user = directory.find_user(Reference(name="admin", domain_name="Default"))
    project = directory.find_project(Reference(name="region-1_demo", domain_id="default"))
    assert user is not None
    assert project is not None
    assert HEX.fullmatch(user.id)
    assert HEX.fullmatch(project.id)
    assert directory.roles(user.id, project.id) == ("admin",)


def test_each_first_start_has_its_own_password_and_keeps_only_the_hash(path: Path) -> None:
    first, second = first_content("r", CHEAP.hash), first_content("r", CHEAP.hash)
    Directory.create(path, first.content)
    assert len(first.password) >= 32
    assert first.password != second.password
    assert first.password not in path.read_text()
    assert CHEAP.verify(first.administrator.password_hash, first.password)


def test_the_file_is_for_its_owner_only(directory: Directory, path: Path) -> None:
    directory.add_project("another")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_user_and_a_project_are_found_by_id_and_by_name_in_their_domain(directory: Directory) -> None:
    user = directory.add_user("小明", HASH)
    project = directory.add_project("shop")
    assert directory.find_user(Reference(id=user.id)) == user
    assert directory.find_user(Reference(name="小明", domain_id="default")) == user
    assert directory.find_project(Reference(id=project.id)) == project
    assert directory.find_project(Reference(name="shop", domain_name="Default")) == project


@pytest.mark.parametrize(
    "reference",
    [
        Reference(),
        Reference(id="f" * 32),
        Reference(name="admin"),
        Reference(name="admin", domain_name="default"),
        Reference(name="admin", domain_id="Default"),
        Reference(name="nobody", domain_id="default"),
    ],
)
def test_who_is_not_named_exactly_is_not_found(directory: Directory, reference: Reference) -> None:
    assert directory.find_user(reference) is None


def test_what_was_added_is_there_after_a_restart(directory: Directory, path: Path) -> None:
    project = directory.add_project("shop")
    user = directory.add_user("reader", HASH)
    directory.assign(user.id, project.id, "reader")
    directory.assign(user.id, project.id, "reader")
    again = Directory.load(path)
    assert again.find_user(Reference(id=user.id)) == user
    assert again.roles(user.id, project.id) == ("reader",)


def test_an_administrator_of_one_project_is_one_of_every_project(directory: Directory) -> None:
    administrator = directory.find_user(Reference(name="admin", domain_id="default"))
    assert administrator is not None
    assert directory.roles(administrator.id, directory.add_project("shop").id) == ("admin",)


def test_a_stranger_has_no_role(directory: Directory) -> None:
    assert directory.roles(directory.add_user("stranger", HASH).id, directory.add_project("shop").id) == ()


def test_two_programs_change_the_file_without_losing_each_others_change(directory: Directory, path: Path) -> None:
    other = Directory.load(path)
    mine, theirs = directory.add_project("mine"), other.add_project("theirs")
    assert other.find_project(Reference(id=mine.id)) == mine
    directory.refresh()
    assert directory.find_project(Reference(id=theirs.id)) == theirs


def test_a_refresh_without_a_change_does_not_read_the_file(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(_path: Path) -> bytes:
        raise AssertionError("the file was read")

    monkeypatch.setattr(Path, "read_bytes", unexpected)
    directory.refresh()


def test_a_broken_change_on_disk_keeps_the_last_good_content_and_is_told_once(directory: Directory, path: Path) -> None:
    path.write_text("{")
    with capture_logs() as logs:
        directory.refresh()
        directory.refresh()
    assert [log["event"] for log in logs] == ["identity_file_invalid"]
    assert directory.find_user(Reference(name="admin", domain_id="default")) is not None


def test_a_file_that_vanished_keeps_the_last_good_content(directory: Directory, path: Path) -> None:
    path.unlink()
    with capture_logs() as logs:
        directory.refresh()
    assert len(logs) == 1
    assert directory.find_user(Reference(name="admin", domain_id="default")) is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda all_: all_.pop("users"), "missing required field `users`"),
        (lambda all_: all_.update(version=2), "$.version"),
        (lambda all_: all_.update(extra=1), "unknown field `extra`"),
        (lambda all_: all_["users"][0].update(id="x"), "$.users[0].id"),
        (lambda all_: all_["users"][0].update(name=""), "$.users[0].name"),
        (lambda all_: all_["users"].append(all_["users"][0]), "$.users[1] has the same id as $.users[0]"),
        (
            lambda all_: all_["projects"].append({**all_["projects"][0], "id": "f" * 32}),
            "$.projects[1] has the same name in a domain as $.projects[0]",
        ),
        (lambda all_: all_["projects"][0].update(domain_id="e" * 32), "$.projects[0].domain_id"),
        (lambda all_: all_["assignments"][0].update(user_id="e" * 32), "$.assignments[0].user_id"),
        (lambda all_: all_["assignments"][0].update(role="hunter2"), "$.assignments[0].role"),
        (lambda all_: all_["users"][0].update(password_hash="hunter2"), "$.users[0].password_hash"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_place_and_without_secrets(
    directory: Directory, path: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    change_on_disk(path, change)
    with pytest.raises(IdentityFileError) as error:
        Directory.load(path)
    assert str(error.value).startswith("identity.json: ")
    assert told in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b"null"])
def test_a_file_that_is_no_json_object_is_refused(directory: Directory, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(IdentityFileError, match=r"identity\.json"):
        Directory.load(path)


def test_a_change_that_breaks_a_rule_is_refused_before_it_reaches_the_disk(directory: Directory, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(IdentityFileError, match="same name"):
        directory.add_user("admin", HASH)
    with pytest.raises(IdentityFileError, match="password_hash"):
        directory.add_user("new", "hunter2")
    with pytest.raises(IdentityFileError, match="project_id"):
        directory.assign(directory.add_user("new", HASH).id, "f" * 32, "member")
    assert before != path.read_bytes()
    assert Directory.load(path).find_user(Reference(name="new", domain_id="default")) is not None


def test_nothing_shows_a_password_or_its_hash() -> None:
    created = first_content("r", CHEAP.hash)
    assert created.password not in repr(created)
    assert created.administrator.password_hash not in repr(created.content)
