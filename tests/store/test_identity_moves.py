"""What the files of older versions hold comes into the database once; others join what is there already."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from equipoise.core.errors import CredentialsWrong, TokenMalformed, TokenRevoked
from equipoise.core.identity import DirectoryContent, Project, RoleAssignment, User
from equipoise.identity import former_files
from equipoise.identity.credentials import Credentials, write
from equipoise.identity.directory import first_content, new_id
from equipoise.identity.former_files import IdentityFileError
from equipoise.store import identity as store
from equipoise.store import tables
from equipoise.store.database import Database
from stand.postgres import Postgres
from tests.store.identity_stand import CHEAP, LIFETIME, NOW, PASSWORD, IdentityStand, open_identity

SERVICES = 4


@dataclass(frozen=True)
class Former:
    """A data directory as 0.2.0 has left it, with a token that counts and one that was revoked."""

    folder: Path
    content: DirectoryContent
    token: str
    revoked: str

    @property
    def project(self) -> Project:
        return self.content.projects[0]


def former(folder: Path, member: str = "member") -> Former:
    """Make one, with an administrator and a member of its project."""
    created = first_content("region-1", CHEAP.hash)
    user = User(new_id(), member, "default", CHEAP.hash(PASSWORD))
    content = replace(
        created.content,
        users=(*created.content.users, user),
        assignments=(*created.content.assignments, RoleAssignment(user.id, created.project.id, "member")),
    )
    key = Fernet.generate_key()
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "token.key").write_bytes(key)
    (folder / "keys" / "revoked").write_text(f"{int(NOW) + LIFETIME} {'r' * 22}\n")
    (folder / "identity.json").write_text(json.dumps({"version": 1, **asdict(content)}))
    known = ("", "admin", created.password, "Default", created.project.name, created.project.id, "region-1")
    write(folder, Credentials(*known))

    def token(audit_id: str) -> str:
        claims = (user.id, created.project.id, ("member",), ("password",), int(NOW), int(NOW) + LIFETIME, audit_id)
        return Fernet(key).encrypt(msgspec.msgpack.encode(claims)).decode()

    return Former(folder, content, token("t" * 22), token("r" * 22))


async def logs_in(stand: IdentityStand, **changed: str) -> bool:
    try:
        await stand.identity.log_in(stand.login(**changed))
    except CredentialsWrong:
        return False
    return True


async def own_something(stand: IdentityStand, project_id: str) -> None:
    """Give a project an address in the database."""
    row = {"id": new_id(), "address": "127.0.0.1", "project_id": project_id, "type": "External", "create_time": 0}
    await stand.change(lambda tx: tx.connection.execute(tables.addresses.insert(), row))


async def test_users_tokens_and_revocations_of_the_files_count_on(database_url: str, tmp_path: Path) -> None:
    before = former(tmp_path / "data")
    password = json.loads((before.folder / "credentials.json").read_text())["password"]
    for _ in range(2):
        async with open_identity(database_url, before.folder) as stand:
            identity = stand.identity
            assert stand.credentials()["password"] == password
            assert stand.credentials()["auth_url"].startswith("http://127.0.0.1:8080")
            assert await logs_in(stand)
            assert await logs_in(stand, username="member", password=PASSWORD)
            assert identity.verify(before.token).actor().may_write
            with pytest.raises(TokenRevoked):
                identity.verify(before.revoked)
            found = await stand.database.read(store.content)
            assert sorted(map(repr, found.users)) == sorted(map(repr, before.content.users))
            assert set(found.assignments) == set(before.content.assignments)
        names = {str(path.relative_to(before.folder)) for path in before.folder.rglob("*") if path.is_file()}
        moved = {"identity.json.old", "keys/token.key.old", "keys/revoked.old"}
        assert names == {"credentials.json", "identity.id", *moved}


async def test_the_password_of_the_file_is_handed_to_who_joins(database_url: str, tmp_path: Path) -> None:
    before = former(tmp_path / "data")
    async with (
        open_identity(database_url, before.folder) as first,
        open_identity(database_url, tmp_path / "other") as second,
    ):
        assert second.credentials() == first.credentials()
        assert await logs_in(second)


async def test_without_a_password_in_the_file_nobody_gets_one(database_url: str, tmp_path: Path) -> None:
    before = former(tmp_path / "data")
    (before.folder / "credentials.json").unlink()
    with capture_logs() as logs:
        async with open_identity(database_url, before.folder), open_identity(database_url, tmp_path / "other"):
            assert not (before.folder / "credentials.json").exists()
            assert not (tmp_path / "other" / "credentials.json").exists()
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["credentials_file_unusable"] * 2


@pytest.mark.parametrize("name", ["identity.json", "keys/token.key", "keys/revoked"])
async def test_a_file_that_makes_no_sense_stops_the_start_and_everything_stays(
    database_url: str, tmp_path: Path, name: str
) -> None:
    before = former(tmp_path / "data")
    (before.folder / name).write_text("hunter2\n")
    with pytest.raises(IdentityFileError, match=name) as error:
        await open_identity(database_url, before.folder).__aenter__()
    assert "hunter2" not in str(error.value)
    assert (before.folder / name).read_text() == "hunter2\n"
    database = Database(database_url)
    database.start()
    assert await database.read(store.state) is None
    await database.stop()


async def test_a_move_that_was_cut_off_after_the_commit_is_finished_by_the_next_start(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = former(tmp_path / "data")

    def cut_off(_: Path) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as broken:
        broken.setattr(former_files, "set_aside", cut_off)
        with pytest.raises(OSError, match="cut off"):
            await open_identity(database_url, before.folder).__aenter__()
    assert (before.folder / "identity.json").exists()
    with capture_logs() as logs:
        async with open_identity(database_url, before.folder) as stand:
            assert await logs_in(stand)
            stand.identity.verify(before.token)
    assert logs == []
    assert not (before.folder / "identity.json").exists()


async def test_of_a_second_data_directory_nobody_comes_in_and_what_it_owns_stays_reachable(
    database_url: str, tmp_path: Path
) -> None:
    one, two, three = (former(tmp_path / name, name) for name in ("one", "two", "three"))
    async with open_identity(database_url, one.folder) as first:
        await own_something(first, two.project.id)
        with capture_logs() as logs:
            async with open_identity(database_url, two.folder) as second, open_identity(database_url, three.folder):
                # Its users, roles and tokens count at no service any more.
                for stand in (first, second):
                    assert not await logs_in(stand, username="two", password=PASSWORD)
                    with pytest.raises(TokenMalformed):
                        stand.identity.verify(two.token)
                    assert await logs_in(stand, username="one", password=PASSWORD)
                    assert stand.identity.verify(one.token)
                    assert [user.name for user in stand.identity.directory.users()] == ["admin", "one"]
                # What a project has in the database can be reached by the administrators of the first one.
                assert await first.identity.has_project(two.project.id, "")
                assert not await first.identity.has_project(three.project.id, "")
                name = f"region-1_demo_{two.project.id}"
                assert await logs_in(second, project_name=name)
                assert not await logs_in(second, project_name=name, username="one", password=PASSWORD)
                # The credentials are those of the first one, and the old ones are kept.
                assert second.credentials() == first.credentials()
                old = json.loads((two.folder / "credentials.json.old").read_text())
                assert not await logs_in(second, password=old["password"])
    told = [log for log in logs if log["event"] == "identity_not_taken_over"]
    assert [log["users"] for log in told] == [["admin", "two"], ["admin", "three"]]
    assert [log["projects_taken_over"] for log in told] == [[name], []]


@pytest.mark.parametrize("with_files", [False, True], ids=["new", "old"])
async def test_of_services_that_start_at_once_one_brings_the_identity(
    postgres: Postgres, postgres_pattern: str, tmp_path: Path, with_files: bool
) -> None:
    url = postgres.new_database(like=postgres_pattern)
    folders = [tmp_path / str(number) for number in range(SERVICES)]
    if with_files:
        for folder in folders:
            former(folder, folder.name)
    async with AsyncExitStack() as running:
        starting = [open_identity(url, folder) for folder in folders]
        stands = await asyncio.gather(*map(running.enter_async_context, starting))
        assert len({json.dumps(stand.credentials(), sort_keys=True) for stand in stands}) == 1
        token, claims = await stands[0].identity.log_in(stands[0].login())
        for stand in stands:
            assert await logs_in(stand)
            assert stand.identity.verify(token)
            assert len(stand.identity.directory.users()) == (2 if with_files else 1)
            projects = stand.identity.directory.projects_of(claims.user_id)
            assert [project.name for project in projects] == ["region-1_demo"]
