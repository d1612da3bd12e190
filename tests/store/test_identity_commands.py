"""`equipoise identity`: what an operator does to users and projects, beside a service that runs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from equipoise.cli.identity import identity
from equipoise.cli.main import main
from equipoise.core.errors import CredentialsWrong
from equipoise.store.migrate import upgrade
from tests.store.identity_stand import IdentityStand, open_identity


def run(url: str, folder: Path, *words: str, told: str = "") -> Result:
    return CliRunner().invoke(
        main, ["identity", "--data-dir", str(folder), "--set", f"database.url={url}", *words], input=told
    )


def done(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


async def logs_in(stand: IdentityStand, **changed: str) -> tuple[str, ...]:
    """The roles with which one logs in; none for who cannot."""
    try:
        _, claims = await stand.identity.log_in(stand.login(**changed))
    except CredentialsWrong:
        return ()
    return claims.roles


async def test_users_and_passwords_are_changed_beside_a_service_that_runs(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"

    async def command(*words: str, told: str = "") -> dict[str, Any]:
        return done(await asyncio.to_thread(run, database_url, folder, *words, told=told))

    async with open_identity(database_url, folder) as stand:
        project = await command("add-project", "shop")
        assert project["project_name"] == "shop"
        made = await command("add-user", "reader", "--project", "shop", "--role", "reader")
        assert made["project_id"] == project["project_id"]
        reader = {"username": "reader", "project_name": "shop"}
        assert await logs_in(stand, **reader, password=made["password"]) == ("reader",)
        told = await command("set-password", "reader", "--password-stdin", told="correct horse\n")
        assert told == {"user_id": made["user_id"], "username": "reader"}
        assert await logs_in(stand, **reader, password=made["password"]) == ()
        assert await logs_in(stand, **reader, password="correct horse") == ("reader",)
        by_id = ("--project", project["project_id"], "--password-stdin")
        await command("add-user", "member", *by_id, told="battery staple\n")
        assert await logs_in(stand, username="member", project_name="shop", password="battery staple") == ("member",)


async def test_what_cannot_be_done_is_told_and_changes_nothing(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with open_identity(database_url, folder) as stand:
        for words, told in (
            (("add-project", "region-1_demo"), "same name"),
            (("add-user", "admin", "--project", "region-1_demo"), "same name"),
            (("add-user", "new", "--project", "nothing"), "no project 'nothing'"),
            (("set-password", "nobody"), "no user 'nobody'"),
            (("set-password", "admin", "--password-stdin"), "no password"),
        ):
            result = await asyncio.to_thread(run, database_url, folder, *words)
            assert result.exit_code == 1
            assert told in result.output
        assert await logs_in(stand) == ("admin",)
        assert [user.name for user in stand.identity.directory.users()] == ["admin"]


def test_a_database_that_no_service_has_made_is_left_alone(empty_database_url: str, tmp_path: Path) -> None:
    assert "start the service" in run(empty_database_url, tmp_path, "add-project", "shop").output
    upgrade(empty_database_url)
    assert "has no users" in run(empty_database_url, tmp_path, "add-project", "shop").output


def test_a_folder_without_a_database_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQUIPOISE_DATABASE_URL", raising=False)
    result = CliRunner().invoke(main, ["identity", "--data-dir", str(tmp_path), "add-project", "shop"])
    assert result.exit_code == 1
    assert "There is no database" in result.output
    assert list(tmp_path.iterdir()) == []


def test_the_help_of_a_command_needs_no_data_directory() -> None:
    runner = CliRunner()
    for command in ("add-project", "add-user", "set-password"):
        assert runner.invoke(identity, [command, "--help"]).exit_code == 0
    asked = runner.invoke(identity, ["add-project", "name"])
    assert asked.exit_code == 2
    assert "Missing option '--data-dir'" in asked.output
