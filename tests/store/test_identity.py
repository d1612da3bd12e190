"""Identity as a whole: first start, log in, token, restart."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Connection, Engine, delete, event
from structlog.testing import capture_logs

from equipoise.certificates.vault import Vault
from equipoise.core.errors import (
    CredentialsWrong,
    ProjectForbidden,
    RoleTooWeak,
    ServiceError,
    TokenMalformed,
    TokenRevoked,
    Unavailable,
)
from equipoise.identity import changes, credentials
from equipoise.identity.directory import DirectoryError
from equipoise.identity.service import Identity
from equipoise.store import identity as store
from equipoise.store import rows, tables, tokens
from equipoise.store.database import Database, StoreUnavailable, Transaction
from tests.store.identity_stand import CHEAP, LIFETIME, NOW, PASSWORD, ROOT, IdentityStand, open_identity


@pytest.fixture
async def stand(database_url: str, tmp_path: Path) -> AsyncIterator[IdentityStand]:
    async with open_identity(database_url, tmp_path / "data") as opened:
        yield opened


async def refusal(identity: Identity, body: object) -> ServiceError:
    with pytest.raises(ServiceError) as broken:
        await identity.log_in(body)
    return broken.value


async def test_the_credentials_of_the_first_start_give_a_token_of_the_first_project(stand: IdentityStand) -> None:
    identity = stand.identity
    text, claims = await identity.log_in(stand.login())
    assert identity.verify(text) == claims
    document = (await identity.document(claims, ROOT))["token"]
    assert document["project"]["name"] == "region-1_demo"
    assert document["project"]["id"] == stand.credentials()["project_id"]
    assert document["user"]["name"] == "admin"
    assert [role["name"] for role in document["roles"]] == ["admin"]


async def test_a_restart_keeps_password_and_tokens_and_follows_the_address(
    stand: IdentityStand, database_url: str
) -> None:
    identity = stand.identity
    text, claims = await identity.log_in(stand.login())
    async with open_identity(database_url, stand.folder, auth_url="http://127.0.0.1:9/v3") as again:
        assert again.identity.verify(text) == claims
        await again.identity.log_in(again.login())
        assert again.credentials()["auth_url"] == "http://127.0.0.1:9/v3"


async def test_wrong_password_and_unknown_user_are_told_alike(stand: IdentityStand) -> None:
    identity = stand.identity
    wrong = await refusal(identity, stand.login(password="hunter2"))
    unknown = await refusal(identity, stand.login(username="nobody"))
    assert type(wrong) is type(unknown) is CredentialsWrong
    assert wrong.message == unknown.message
    assert "hunter2" not in str(wrong)


async def test_an_unknown_project_and_one_without_a_role_are_told_alike(stand: IdentityStand) -> None:
    identity = stand.identity
    await stand.add_user("stranger")
    own = {"username": "stranger", "password": PASSWORD}
    foreign = await refusal(identity, stand.login(**own))
    unknown = await refusal(identity, stand.login(**own, project_name="nothing"))
    assert type(foreign) is type(unknown) is CredentialsWrong
    assert foreign.message == unknown.message


async def test_a_user_added_by_another_program_logs_in_without_a_restart(
    stand: IdentityStand, database_url: str
) -> None:
    identity = stand.identity
    async with open_identity(database_url, stand.folder) as other:
        project, user = await other.add_project("shop"), await other.add_user("reader")
        await other.change(lambda tx: changes.assign(tx, user, project, "reader"))
        await other.change(lambda tx: changes.assign(tx, user, project, "reader"))
    body = stand.login(username="reader", password=PASSWORD, project_name="shop")
    _, claims = await identity.log_in(body)
    assert claims.roles == ("reader",)
    assert not claims.actor().may_write


async def test_another_password_takes_the_place_of_the_first_one(stand: IdentityStand) -> None:
    identity = stand.identity
    _, claims = await identity.log_in(stand.login())
    await stand.change(lambda tx: changes.set_password(tx, claims.user_id, CHEAP.hash(PASSWORD)))
    assert type(await refusal(identity, stand.login())) is CredentialsWrong
    await identity.log_in(stand.login(password=PASSWORD))
    with pytest.raises(DirectoryError, match="no user"):
        await stand.change(lambda tx: changes.set_password(tx, "f" * 32, CHEAP.hash(PASSWORD)))


async def test_a_change_that_breaks_a_rule_is_rejected_and_leaves_nothing(stand: IdentityStand) -> None:
    identity = stand.identity
    for name in ("admin", "", "x" * 256):
        with pytest.raises(DirectoryError, match="name"):
            await stand.add_user(name)
    with pytest.raises(DirectoryError, match="password_hash"):
        await stand.change(lambda tx: changes.add_user(tx, "new", "hunter2"))
    with pytest.raises(DirectoryError, match="name"):
        await stand.add_project("region-1_demo")
    user = await stand.add_user("new")
    with pytest.raises(DirectoryError, match="project_id"):
        await stand.change(lambda tx: changes.assign(tx, user, "f" * 32, "member"))
    await identity.refresh()
    assert [each.name for each in identity.directory.users()] == ["admin", "new"]


async def test_a_revoked_token_does_not_count_any_more(stand: IdentityStand, database_url: str) -> None:
    identity = stand.identity
    text, _ = await identity.log_in(stand.login())
    await identity.revoke(identity.verify(text))
    async with open_identity(database_url, stand.folder) as again:
        for one in (identity, again.identity):
            with pytest.raises(ServiceError) as broken:
                one.verify(text)
            assert type(broken.value) is TokenRevoked


async def test_a_token_may_be_revoked_twice_at_once(stand: IdentityStand) -> None:
    identity = stand.identity
    _, claims = await identity.log_in(stand.login())
    await asyncio.gather(identity.revoke(claims), identity.revoke(claims))


async def test_a_revocation_that_was_not_stored_is_told_and_does_not_count(
    stand: IdentityStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = stand.identity
    text, claims = await identity.log_in(stand.login())

    async def unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as away:
        away.setattr(Database, "write", unavailable)
        away.setattr(Database, "read", unavailable)
        with pytest.raises(Unavailable):
            await identity.revoke(claims)
        assert identity.verify(text) == claims
        # Who is known can log in.
        await identity.log_in(stand.login())
    await identity.revoke(claims)
    with pytest.raises(TokenRevoked):
        identity.verify(text)


async def test_revocations_are_forgotten_some_time_after_their_tokens_expired(
    database_url: str, tmp_path: Path
) -> None:
    now = [NOW]
    async with open_identity(database_url, tmp_path / "data", clock=lambda: now[0]) as stand:

        async def kept() -> int:
            return len(await stand.database.read(lambda connection: tokens.revoked_since(connection, 0, 0)))

        for hours, left in ((0, 1), (1, 2), (1.9, 3), (2, 3)):
            now[0] = NOW + hours * LIFETIME
            _, claims = stand.identity.tokens.issue("a" * 32, "", (), ("password",))
            await stand.identity.revoke(claims)
            assert await kept() == left


async def test_to_check_a_token_takes_no_statement(stand: IdentityStand) -> None:
    identity = stand.identity
    text, claims = await identity.log_in(stand.login())

    def unexpected(*_: object) -> None:
        raise AssertionError("the database was asked")

    event.listen(Engine, "before_cursor_execute", unexpected)
    event.listen(Engine, "begin", unexpected)
    try:
        assert await identity.authenticate(text) == claims.actor()
        assert await identity.has_project(claims.project_id, text)
        assert (await identity.document(claims, ROOT))["token"]["user"]["name"] == "admin"
    finally:
        event.remove(Engine, "before_cursor_execute", unexpected)
        event.remove(Engine, "begin", unexpected)


def by_token(token: str, scope: object) -> dict[str, Any]:
    return {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}}


async def test_a_token_is_exchanged_for_one_of_another_project_that_ends_no_later(stand: IdentityStand) -> None:
    identity = stand.identity
    shop = await stand.add_project("shop")
    text, first = await identity.log_in(stand.login())
    _, second = await identity.log_in(by_token(text, {"project": {"id": shop}}))
    assert (second.project_id, second.user_id, second.expires) == (shop, first.user_id, first.expires)
    assert second.methods == ("password", "token")
    assert second.audit_id != first.audit_id


async def test_a_revoked_token_gives_no_other_one(stand: IdentityStand) -> None:
    identity = stand.identity
    text, claims = await identity.log_in(stand.login())
    await identity.revoke(claims)
    assert type(await refusal(identity, by_token(text, None))) is TokenRevoked


async def test_a_token_of_a_removed_user_gives_no_other_one(stand: IdentityStand) -> None:
    identity = stand.identity
    text, _ = identity.tokens.issue("f" * 32, "", (), ("password",))
    assert type(await refusal(identity, by_token(text, None))) is TokenRevoked


async def test_a_token_without_a_scope_names_no_project_and_no_role(stand: IdentityStand) -> None:
    identity = stand.identity
    body = stand.login()
    del body["auth"]["scope"]
    _, claims = await identity.log_in(body)
    assert (claims.project_id, claims.domain_id, claims.roles) == ("", "", ())
    with pytest.raises(ServiceError) as broken:
        claims.actor().in_project("")
    assert type(broken.value) is ProjectForbidden


async def test_a_token_of_a_domain_has_the_roles_that_the_user_has_in_it(stand: IdentityStand) -> None:
    identity = stand.identity
    body = stand.login()
    body["auth"]["scope"] = {"domain": {"name": "Default"}}
    _, claims = await identity.log_in(body)
    assert (claims.project_id, claims.domain_id, claims.roles) == ("", "default", ("admin",))
    assert (await identity.document(claims, ROOT))["token"]["domain"] == {"id": "default", "name": "Default"}
    body["auth"]["scope"] = {"domain": {"name": "Elsewhere"}}
    assert type(await refusal(identity, body)) is CredentialsWrong


async def test_the_token_of_somebody_else_is_shown_to_administrators_only(stand: IdentityStand) -> None:
    identity = stand.identity
    own_text, own = identity.tokens.issue("1" * 32, "2" * 32, ("member",), ("password",))
    other_text, other = identity.tokens.issue("3" * 32, "2" * 32, ("admin",), ("password",))
    assert identity.verify_for(own, own_text) == own
    assert identity.verify_for(other, own_text) == own
    with pytest.raises(ServiceError) as broken:
        identity.verify_for(own, other_text)
    assert type(broken.value) is RoleTooWeak


async def test_a_user_sees_the_projects_of_its_roles_and_an_administrator_all(stand: IdentityStand) -> None:
    identity = stand.identity
    shop = await stand.add_project("shop")
    user = await stand.add_user("reader")
    await stand.change(lambda tx: changes.assign(tx, user, shop, "reader"))
    _, reader = identity.tokens.issue(user, "", (), ("password",))
    _, administrator = await identity.log_in(stand.login())
    assert [project.id for project in await identity.projects_of(reader)] == [shop]
    names = [project.name for project in await identity.projects_of(administrator)]
    assert names == ["region-1_demo", "shop"]


async def test_the_event_loop_goes_on_while_a_password_is_checked(stand: IdentityStand) -> None:
    identity = stand.identity
    login = asyncio.ensure_future(identity.log_in(stand.login()))
    turns = 0
    while not login.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 3


async def test_a_token_of_a_removed_project_is_not_described(stand: IdentityStand) -> None:
    identity = stand.identity
    _, claims = await identity.log_in(stand.login())

    def remove(tx: Transaction) -> None:
        store.move_directory(tx)
        rows.delete_rows(tx.connection, tables.projects, [claims.project_id])

    await stand.change(remove)
    await identity.refresh()
    with pytest.raises(TokenRevoked):
        await identity.document(claims, ROOT)


async def test_nothing_secret_is_in_the_database_as_it_is(stand: IdentityStand) -> None:
    def look(connection: Connection) -> list[str]:
        state = store.state(connection)
        assert state is not None
        assert state.password is not None
        return [
            state.password,
            *tokens.keys(connection),
            *(user.password_hash for user in store.content(connection).users),
        ]

    password = stand.credentials()["password"]
    vault = Vault.open(stand.folder.parent / "certificate.key", None)
    first, key, hashed = await stand.database.read(look)
    assert vault.unseal(first) == password
    Fernet(vault.unseal(key))
    for stored in (first, key, hashed):
        assert password not in stored
        assert vault.unseal(key) not in stored
    assert password not in repr(await stand.database.read(store.state))


async def test_removed_credentials_stay_away_and_no_password_changes(stand: IdentityStand, database_url: str) -> None:
    login = stand.login()
    (stand.folder / "credentials.json").unlink()
    with capture_logs() as logs:
        async with open_identity(database_url, stand.folder) as again:
            await again.identity.log_in(login)
    assert [log["event"] for log in logs] == ["credentials_file_unusable"]
    assert not (stand.folder / "credentials.json").exists()


async def test_whoever_lost_the_credentials_gets_the_same_again(stand: IdentityStand, database_url: str) -> None:
    before = stand.credentials()
    (stand.folder / "credentials.json").unlink()
    (stand.folder / "identity.id").unlink()
    async with open_identity(database_url, stand.folder) as again:
        assert again.credentials() == before


async def test_a_password_that_was_changed_is_handed_out_to_nobody(stand: IdentityStand, database_url: str) -> None:
    identity = stand.identity
    _, claims = await identity.log_in(stand.login())
    await stand.change(lambda tx: changes.set_password(tx, claims.user_id, CHEAP.hash(PASSWORD)))
    state = await stand.database.read(store.state)
    assert state is not None
    assert state.password is None
    with capture_logs() as logs:
        async with open_identity(database_url, stand.folder.parent / "other"):
            pass
    assert [log["event"] for log in logs] == ["credentials_file_unusable"]
    assert not (stand.folder.parent / "other" / "credentials.json").exists()


async def test_a_first_start_cut_off_before_the_credentials_is_finished_by_the_next(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as broken:
        broken.setattr(credentials, "write", cut_off)
        starting = open_identity(database_url, tmp_path / "data")
        with pytest.raises(OSError, match="cut off"):
            await starting.__aenter__()
    async with open_identity(database_url, tmp_path / "data") as again:
        await again.identity.log_in(again.login())


async def test_without_a_key_of_tokens_the_next_start_makes_one(stand: IdentityStand, database_url: str) -> None:
    identity = stand.identity
    """How to end all tokens: delete the rows of token_keys, and start the services again."""
    text, _ = await identity.log_in(stand.login())
    await stand.change(lambda tx: tx.connection.execute(delete(tables.token_keys)))
    async with open_identity(database_url, stand.folder) as again:
        with pytest.raises(TokenMalformed):
            again.identity.verify(text)
        await again.identity.log_in(again.login())
