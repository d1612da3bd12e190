"""Who may be a node: there is one authority, a join token counts once and for an hour, and a removed node is out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec

from equipoise.certificates.vault import Vault
from equipoise.controller.admission import TOKEN_SECONDS, Admission, JoinRejectedError, NotAdmittedError
from equipoise.store import admission as store
from equipoise.store.database import Database
from equipoise.wire.authority import Peer, PeerKind, PublicKey, Validity, fingerprint, key_of, peer_of, utc
from equipoise.wire.join_token import JoinToken

LIFETIME = 86_400.0
VAULT = Vault(Fernet.generate_key())


class Clock:
    seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def opened(url: str, clock: Clock | None = None) -> AsyncIterator[tuple[Admission, Database]]:
    database = Database(url, clock)
    database.start()
    try:
        yield await Admission.open(database, VAULT, LIFETIME), database
    finally:
        await database.stop()


def new_key() -> PublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


async def token_id(admission: Admission) -> str:
    token = JoinToken.from_text((await admission.new_token()).to_text())
    assert token.authority == admission.certificate
    peer = peer_of(token.pair.certificate)
    assert peer.kind is PeerKind.JOIN
    return peer.id


async def test_there_is_one_authority_and_its_key_is_stored_encrypted(database_url: str) -> None:
    async with opened(database_url) as (admission, database):
        others = await asyncio.gather(*(Admission.open(database, VAULT, LIFETIME) for _ in range(3)))
        assert {each.certificate for each in others} == {admission.certificate}
        sealed = await database.read(store.any_sealed)
        assert sealed is not None
        assert "PRIVATE" not in sealed
        assert VAULT.unseal(sealed).startswith("-----BEGIN PRIVATE KEY-----")


async def test_a_token_admits_one_node_once(database_url: str) -> None:
    clock = Clock()
    async with opened(database_url, clock) as (admission, database):
        id, key = await token_id(admission), new_key()
        joined = await admission.join(id, "one", key)
        assert peer_of(joined.certificate) == Peer(PeerKind.NODE, joined.node_id)
        assert fingerprint(key_of(joined.certificate)) == fingerprint(key)
        end = clock.seconds + LIFETIME
        assert Validity.of(joined.certificate) == (utc(int(end - LIFETIME / 2) * 1000), utc(int(end) * 1000))
        assert (await admission.check(joined.node_id)).name == "one"
        # The answer was lost: the same node asks once more.
        assert (await admission.join(id, "one", key)).node_id == joined.node_id
        with pytest.raises(JoinRejectedError, match="was used already"):
            await admission.join(id, "two", new_key())
        assert [each.admitted.name for each in await database.read(store.shown)] == ["one"]


async def test_a_token_expires_after_an_hour(database_url: str) -> None:
    clock = Clock()
    async with opened(database_url, clock) as (admission, _):
        late, in_time = await token_id(admission), await token_id(admission)
        clock.seconds += TOKEN_SECONDS - 1
        await admission.join(in_time, "one", new_key())
        clock.seconds += 1
        with pytest.raises(JoinRejectedError, match="has expired"):
            await admission.join(late, "two", new_key())
        clock.seconds += 86_401
        await admission.new_token()
        with pytest.raises(JoinRejectedError, match="not known here any more"):
            await admission.join(late, "two", new_key())


async def test_a_name_is_of_one_node(database_url: str) -> None:
    async with opened(database_url) as (admission, database):
        key = new_key()
        first = await admission.join(await token_id(admission), "one", key)
        unused = await token_id(admission)
        with pytest.raises(JoinRejectedError, match="there is a node 'one' already"):
            await admission.join(unused, "one", new_key())
        # A token that brought nothing was not used; and a node that joins again stays who it is.
        assert (await admission.join(unused, "one", key)).node_id == first.node_id
        assert await admission.admitted() == {first.node_id}
        assert await database.write(lambda tx: store.remove(tx.connection, "one"))
        assert (await admission.join(await token_id(admission), "one", key)).node_id != first.node_id


async def test_a_removed_node_is_out(database_url: str) -> None:
    clock = Clock()
    async with opened(database_url, clock) as (admission, database):
        key = new_key()
        joined = await admission.join(await token_id(admission), "one", key)
        clock.seconds += LIFETIME / 2
        renewed = await admission.renew(joined.node_id, key)
        assert Validity.of(renewed).end > Validity.of(joined.certificate).end
        [shown] = await database.read(store.shown)
        assert utc(shown.admitted.certificate_until) == Validity.of(renewed).end
        assert not shown.live
        assert await database.write(lambda tx: store.remove(tx.connection, "one"))
        assert not await database.write(lambda tx: store.remove(tx.connection, "one"))
        for asked in (admission.check(joined.node_id), admission.renew(joined.node_id, key)):
            with pytest.raises(NotAdmittedError, match="was removed from the service"):
                await asked
