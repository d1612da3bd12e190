"""Two services on one PostgreSQL have one identity: what one of them changes counts at the other one."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import text

from equipoise.core.errors import CredentialsWrong, TokenExpired, TokenRevoked
from equipoise.identity import changes, service
from equipoise.identity.service import Identity
from equipoise.store import foreign_writes, tables
from equipoise.store.database import Database, Transaction
from stand import PATIENCE
from tests.store.identity_stand import CHEAP, PASSWORD, ROOT, IdentityStand, open_identity

PROMISED = 1.0
"""Seconds within which a revocation counts at every service."""

LONG = 10 * PATIENCE

Pair = tuple[IdentityStand, IdentityStand]


@pytest.fixture
async def pair(server_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with (
        open_identity(server_url, tmp_path / "here") as here,
        open_identity(server_url, tmp_path / "there") as there,
    ):
        yield here, there


async def refused(identity: Identity, token: str) -> None:
    """Wait until a token counts no more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                identity.verify(token)
            except TokenRevoked:
                return
            await asyncio.sleep(0.005)


async def test_both_have_credentials_that_count_at_both(pair: Pair) -> None:
    here, there = pair
    assert here.credentials() == there.credentials()
    for one, other in ((here, there), (there, here)):
        token, claims = await one.identity.log_in(other.login())
        assert other.identity.verify(token) == claims
        assert await other.identity.authenticate(token) == claims.actor()


async def test_a_revocation_counts_at_the_other_service_when_it_is_notified(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LEVEL_SECONDS", LONG)
    monkeypatch.setattr(foreign_writes, "LEVEL_SECONDS", LONG)
    async with (
        open_identity(server_url, tmp_path / "here") as here,
        open_identity(server_url, tmp_path / "there") as there,
    ):
        token, claims = await here.identity.log_in(here.login())
        there.identity.verify(token)
        await here.identity.revoke(claims)
        await refused(there.identity, token)


async def test_a_revocation_counts_at_the_other_service_when_the_notification_is_lost(
    pair: Pair,
) -> None:
    here, there = pair
    token, claims = await here.identity.log_in(here.login())
    there.identity.verify(token)

    there.database._comparisons.clear()
    await here.identity.revoke(claims)
    await refused(there.identity, token)
    # It was the look that comes without a notification. The rest of the second is for the look itself.
    assert service.LEVEL_SECONDS + service._PAUSE_SECONDS < 0.6 * PROMISED


async def test_it_counts_when_the_connection_that_listens_breaks(pair: Pair) -> None:
    here, there = pair
    token, claims = await here.identity.log_in(here.login())
    await here.database.read(
        lambda connection: connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
        ).all()
    )
    await here.identity.revoke(claims)
    await refused(there.identity, token)


async def test_another_password_counts_at_the_other_service_at_once(pair: Pair) -> None:
    here, there = pair
    _, claims = await there.identity.log_in(there.login())
    await here.change(lambda tx: changes.set_password(tx, claims.user_id, CHEAP.hash(PASSWORD)))
    with pytest.raises(CredentialsWrong):
        await there.identity.log_in(there.login())
    await there.identity.log_in(there.login(password=PASSWORD))


async def test_what_was_made_in_this_moment_is_known_at_the_other_service(pair: Pair) -> None:
    here, there = pair
    there.database._comparisons.clear()
    project, user = await here.add_project("shop"), await here.add_user("new")
    await here.change(lambda tx: changes.assign(tx, user, project, "member"))
    assert await there.identity.has_project(project, "")
    another, other = await here.add_project("another"), await here.add_user("other")
    token, claims = here.identity.tokens.issue(other, another, ("member",), ("password",))
    document = await there.identity.document(there.identity.verify(token), ROOT)
    assert document["token"]["user"]["name"] == "other"
    assert [each.name for each in await there.identity.projects_of(claims)] == []


async def test_a_server_that_lacks_what_was_committed_last_is_followed(
    pair: Pair,
) -> None:
    """After a failover that lost commits, revisions are given a second time."""
    here, there = pair
    for number in range(3):
        await here.add_project(f"lost-{number}")
    await there.identity.refresh()
    token, claims = await here.identity.log_in(here.login())
    assert len(there.identity.directory.projects_of(claims.user_id)) == 4

    def go_back(tx: Transaction) -> None:
        tx.connection.execute(tables.projects.delete().where(tables.projects.c.name.like("lost-%")))
        tx.connection.execute(tables.identity.update().values(revision=1, directory_revision=1))
        tx.connection.execute(tables.revisions.update().values(value=1))

    await here.change(go_back)
    await here.identity.revoke(claims)
    await refused(there.identity, token)
    names = [project.name for project in there.identity.directory.projects_of(claims.user_id)]
    assert names == ["region-1_demo"]


async def test_many_writes_of_others_lead_to_few_looks(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = pair
    looks = 0
    compare = there.identity._compare

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await compare()

    monkeypatch.setattr(there.identity, "_compare", counted)
    began = time.monotonic()
    for _ in range(100):
        await here.change(lambda tx: tx.connection.execute(tables.nodes.delete()))
    assert looks <= (time.monotonic() - began) / service._PAUSE_SECONDS + 2


async def test_tokens_begin_and_end_by_the_clock_of_the_server(server_url: str, tmp_path: Path) -> None:
    async with open_identity(server_url, tmp_path / "here", clock=None) as here:
        with patch.object(Database, "now", lambda _: 5_000):
            token, claims = here.identity.tokens.issue("a" * 32, "", (), ("password",))
            assert claims.issued == 5
            assert here.identity.verify(token) == claims
        with pytest.raises(TokenExpired):
            here.identity.verify(token)
