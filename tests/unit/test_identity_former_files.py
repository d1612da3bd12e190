"""The files in which older versions kept users, the key of tokens and revocations: read once, whole or not at all."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from cryptography.fernet import Fernet

from equipoise.identity.directory import first_content
from equipoise.identity.former_files import IdentityFileError, read, set_aside

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CONTENT = first_content("region-1", CHEAP.hash).content
KEY = Fernet.generate_key()
ID = "x" * 22


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "identity.json").write_text(json.dumps({"version": 1, **asdict(CONTENT)}))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "token.key").write_bytes(KEY + b"\n")
    (tmp_path / "keys" / "revoked").write_text(f"1800003600 {ID}\n")
    return tmp_path


def told(folder: Path) -> str:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(IdentityFileError) as error:
        read(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert "hunter2" not in str(error.value)
    return str(error.value)


def test_what_the_files_hold_is_read(folder: Path) -> None:
    former = read(folder)
    assert former is not None
    assert (former.content, former.token_key, former.revoked) == (CONTENT, KEY, {ID: 1_800_003_600})
    assert KEY.decode() not in repr(former)


def test_without_users_there_is_nothing_to_read(folder: Path) -> None:
    (folder / "identity.json").unlink()
    assert read(folder) is None


def test_without_keys_no_token_of_before_counts(folder: Path) -> None:
    (folder / "keys" / "token.key").unlink()
    (folder / "keys" / "revoked").unlink()
    former = read(folder)
    assert former is not None
    assert (former.token_key, former.revoked) == (None, {})


def test_they_are_read_no_more_when_they_were_set_aside(folder: Path) -> None:
    set_aside(folder)
    set_aside(folder)
    assert read(folder) is None
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == ["identity.json.old", "keys/revoked.old", "keys/token.key.old"]
    assert (folder / "keys" / "token.key.old").read_bytes().strip() == KEY


@pytest.mark.parametrize(
    ("change", "reason"),
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
    folder: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    path = folder / "identity.json"
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))
    assert told(folder).startswith("identity.json: ")
    assert reason in told(folder)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b"null"])
def test_a_file_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "identity.json").write_bytes(content)
    assert told(folder).startswith("identity.json: ")


def test_a_broken_key_is_told_without_being_shown(folder: Path) -> None:
    (folder / "keys" / "token.key").write_text("hunter2")
    assert "keys/token.key" in told(folder)


def test_a_line_cut_off_by_a_crash_is_left_out(folder: Path) -> None:
    path = folder / "keys" / "revoked"
    path.write_bytes(path.read_bytes() + b"18000")
    former = read(folder)
    assert former is not None
    assert former.revoked == {ID: 1_800_003_600}


def test_a_line_that_makes_no_sense_is_an_error(folder: Path) -> None:
    path = folder / "keys" / "revoked"
    path.write_bytes(b"what\n" + path.read_bytes())
    assert "line 1" in told(folder)
