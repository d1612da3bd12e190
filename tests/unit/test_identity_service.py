"""Identity as a whole: first start, log in, token, restart."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from equipoise.core.errors import CredentialsWrong, ProjectForbidden, RoleTooWeak, ServiceError, TokenRevoked
from equipoise.identity.service import Identity

ROOT = "http://127.0.0.1:8080"
NOW = 1_800_000_000.0


def opened(folder: Path, auth_url: str = f"{ROOT}/v3") -> Identity:
    return Identity.open(folder, region="region-1", token_lifetime=3600, auth_url=auth_url, clock=lambda: NOW)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return opened(tmp_path)


def request_of(folder: Path, **changes: str) -> dict[str, Any]:
    written = json.loads((folder / "credentials.json").read_text()) | changes
    domain = {"name": written["user_domain_name"]}
    user = {"name": written["username"], "domain": domain, "password": written["password"]}
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": written["project_name"], "domain": domain}},
        }
    }


async def refusal(identity: Identity, body: object) -> ServiceError:
    with pytest.raises(ServiceError) as broken:
        await identity.log_in(body)
    return broken.value


async def test_the_credentials_of_the_first_start_give_a_token_of_the_first_project(
    identity: Identity, tmp_path: Path
) -> None:
    text, claims = await identity.log_in(request_of(tmp_path))
    assert identity.verify(text) == claims
    document = identity.document(claims, ROOT)["token"]
    assert document["project"]["name"] == "region-1_demo"
    assert document["project"]["id"] == json.loads((tmp_path / "credentials.json").read_text())["project_id"]
    assert document["user"]["name"] == "admin"
    assert [role["name"] for role in document["roles"]] == ["admin"]


async def test_a_restart_keeps_password_and_tokens_and_follows_the_address(identity: Identity, tmp_path: Path) -> None:
    text, claims = await identity.log_in(request_of(tmp_path))
    again = opened(tmp_path, "http://127.0.0.1:9/v3")
    assert again.verify(text) == claims
    await again.log_in(request_of(tmp_path))
    assert json.loads((tmp_path / "credentials.json").read_text())["auth_url"] == "http://127.0.0.1:9/v3"


async def test_wrong_password_and_unknown_user_are_told_alike(identity: Identity, tmp_path: Path) -> None:
    wrong = await refusal(identity, request_of(tmp_path, password="hunter2"))
    unknown = await refusal(identity, request_of(tmp_path, username="nobody"))
    assert type(wrong) is type(unknown) is CredentialsWrong
    assert wrong.message == unknown.message
    assert "hunter2" not in str(wrong)


async def test_an_unknown_project_and_one_without_a_role_are_told_alike(identity: Identity, tmp_path: Path) -> None:
    password_hash = await asyncio.to_thread(identity.passwords.hash, "correct horse")
    identity.directory.add_user("stranger", password_hash)
    own = {"username": "stranger", "password": "correct horse"}
    foreign = await refusal(identity, request_of(tmp_path, **own))
    unknown = await refusal(identity, request_of(tmp_path, **own, project_name="nothing"))
    assert type(foreign) is type(unknown) is CredentialsWrong
    assert foreign.message == unknown.message


async def test_a_user_added_by_another_program_logs_in_without_a_restart(identity: Identity, tmp_path: Path) -> None:
    other = opened(tmp_path)
    project = other.directory.add_project("shop")
    user = other.directory.add_user("reader", other.passwords.hash("correct horse"))
    other.directory.assign(user.id, project.id, "reader")
    body = request_of(tmp_path, username="reader", password="correct horse", project_name="shop")
    _, claims = await identity.log_in(body)
    assert claims.roles == ("reader",)
    assert not claims.actor().may_write


async def test_a_revoked_token_does_not_count_any_more(identity: Identity, tmp_path: Path) -> None:
    text, _ = await identity.log_in(request_of(tmp_path))
    await identity.revoke(identity.verify(text))
    for one in (identity, opened(tmp_path)):
        with pytest.raises(ServiceError) as broken:
            one.verify(text)
        assert type(broken.value) is TokenRevoked


def by_token(token: str, scope: object) -> dict[str, Any]:
    return {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}}


async def test_a_token_is_exchanged_for_one_of_another_project_that_ends_no_later(
    identity: Identity, tmp_path: Path
) -> None:
    shop = identity.directory.add_project("shop")
    text, first = await identity.log_in(request_of(tmp_path))
    _, second = await identity.log_in(by_token(text, {"project": {"id": shop.id}}))
    assert (second.project_id, second.user_id, second.expires) == (shop.id, first.user_id, first.expires)
    assert second.methods == ("password", "token")
    assert second.audit_id != first.audit_id


async def test_a_revoked_token_gives_no_other_one(identity: Identity, tmp_path: Path) -> None:
    text, claims = await identity.log_in(request_of(tmp_path))
    await identity.revoke(claims)
    assert type(await refusal(identity, by_token(text, None))) is TokenRevoked


async def test_a_token_of_a_removed_user_gives_no_other_one(identity: Identity, tmp_path: Path) -> None:
    text, _ = identity.tokens.issue("f" * 32, "", (), ("password",))
    assert type(await refusal(identity, by_token(text, None))) is TokenRevoked


async def test_a_token_without_a_scope_names_no_project_and_no_role(identity: Identity, tmp_path: Path) -> None:
    body = request_of(tmp_path)
    del body["auth"]["scope"]
    _, claims = await identity.log_in(body)
    assert (claims.project_id, claims.domain_id, claims.roles) == ("", "", ())
    with pytest.raises(ServiceError) as broken:
        claims.actor().in_project("")
    assert type(broken.value) is ProjectForbidden


async def test_a_token_of_a_domain_has_the_roles_that_the_user_has_in_it(identity: Identity, tmp_path: Path) -> None:
    body = request_of(tmp_path)
    body["auth"]["scope"] = {"domain": {"name": "Default"}}
    _, claims = await identity.log_in(body)
    assert (claims.project_id, claims.domain_id, claims.roles) == ("", "default", ("admin",))
    assert identity.document(claims, ROOT)["token"]["domain"] == {"id": "default", "name": "Default"}
    body["auth"]["scope"] = {"domain": {"name": "Elsewhere"}}
    assert type(await refusal(identity, body)) is CredentialsWrong


async def test_the_token_of_somebody_else_is_shown_to_administrators_only(identity: Identity, tmp_path: Path) -> None:
    own_text, own = identity.tokens.issue("1" * 32, "2" * 32, ("member",), ("password",))
    other_text, other = identity.tokens.issue("3" * 32, "2" * 32, ("admin",), ("password",))
    assert identity.verify_for(own, own_text) == own
    assert identity.verify_for(other, own_text) == own
    with pytest.raises(ServiceError) as broken:
        identity.verify_for(own, other_text)
    assert type(broken.value) is RoleTooWeak


async def test_a_user_sees_the_projects_of_its_roles_and_an_administrator_all(
    identity: Identity, tmp_path: Path
) -> None:
    shop = identity.directory.add_project("shop")
    user = identity.directory.add_user("reader", identity.passwords.hash("correct horse"))
    identity.directory.assign(user.id, shop.id, "reader")
    _, reader = identity.tokens.issue(user.id, "", (), ("password",))
    _, administrator = await identity.log_in(request_of(tmp_path))
    assert [project.id for project in identity.projects_of(reader)] == [shop.id]
    names = [project.name for project in identity.projects_of(administrator)]
    assert names == ["region-1_demo", "shop"]


async def test_the_event_loop_goes_on_while_a_password_is_checked(identity: Identity, tmp_path: Path) -> None:
    login = asyncio.ensure_future(identity.log_in(request_of(tmp_path)))
    turns = 0
    while not login.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 3


async def test_a_token_of_a_removed_project_is_not_described(identity: Identity, tmp_path: Path) -> None:
    _, claims = await identity.log_in(request_of(tmp_path))
    path = tmp_path / "identity.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"projects": [], "assignments": []}))
    identity.directory.refresh()
    with pytest.raises(ServiceError) as broken:
        identity.document(claims, ROOT)
    assert type(broken.value) is TokenRevoked


def test_lost_credentials_never_reset_a_password(identity: Identity, tmp_path: Path) -> None:
    before = (tmp_path / "identity.json").read_bytes()
    (tmp_path / "credentials.json").unlink()
    with capture_logs() as logs:
        opened(tmp_path)
    assert [log["event"] for log in logs] == ["credentials_file_unusable"]
    assert (tmp_path / "identity.json").read_bytes() == before
    assert not (tmp_path / "credentials.json").exists()


async def test_a_first_start_cut_off_half_way_is_done_again(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "identity.json").unlink()
    again = opened(tmp_path)
    await again.log_in(request_of(tmp_path))
