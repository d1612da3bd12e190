"""Who may be a node of this service: makes join tokens, and certificates for those who use one or have one already."""

import secrets
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self
from uuid import uuid4

from equipoise.certificates.vault import Vault
from equipoise.core.admission import AdmittedNode, StoredAuthority, StoredJoinToken
from equipoise.store import admission as store
from equipoise.store.database import Database, Transaction
from equipoise.wire.authority import Authority, KeyPair, PublicKey, fingerprint, utc
from equipoise.wire.join_token import JoinToken

TOKEN_SECONDS: Final = 3600
"""For how long a join token may be used."""

_KNOWN_SECONDS: Final = 86_400
"""For how long a controller says of a token why it may not be used any more."""

CONTROLLER_LIFETIME: Final = timedelta(days=1)

_ANOTHER: Final = "make another one with `equipoise node token`"


class JoinRejectedError(Exception):
    """A node may not join. The text says why, and what to do."""


class NotAdmittedError(Exception):
    """A node may not speak. The text says why, and what to do."""


class Joined(NamedTuple):
    """A node that has joined, with its certificate, PEM."""

    node_id: str
    certificate: bytes


class Admission:
    """The admission to one database.

    Args:
        lifetime: of the certificates of nodes, in seconds.
    """

    def __init__(self, database: Database, authority: Authority, lifetime: float) -> None:
        self._database = database
        self._authority = authority
        self._lifetime = timedelta(seconds=lifetime)

    @classmethod
    async def open(cls, database: Database, vault: Vault, lifetime: float) -> Self:
        """With the authority of the database, which is made if there is none. Raises StoreUnavailable."""

        def find_or_create(tx: Transaction) -> StoredAuthority:
            found = store.authority(tx.connection)
            if found is None:
                pair = Authority.create(utc(tx.now))
                found = StoredAuthority(pair.certificate.decode(), vault.seal(pair.key.decode()), tx.now)
                store.create_authority(tx.connection, found)
            return found

        stored = await database.read(store.authority)
        if stored is None:
            stored = await database.write(find_or_create)
        return cls(database, Authority(stored.certificate.encode(), vault.unseal(stored.key).encode()), lifetime)

    @property
    def certificate(self) -> bytes:
        """That of the authority, PEM."""
        return self._authority.certificate

    def for_controller(self) -> KeyPair:
        """A new certificate for this controller."""
        return self._authority.for_controller(self.now(), CONTROLLER_LIFETIME)

    def now(self) -> datetime:
        """The time by which certificates are made."""
        return utc(self._database.now())

    async def new_token(self) -> JoinToken:
        """A token with which one node can join, once. Raises StoreUnavailable."""
        id = uuid4().hex

        def add(tx: Transaction) -> JoinToken:
            expires = tx.now + TOKEN_SECONDS * 1000
            store.add_token(tx.connection, StoredJoinToken(id, expires), forget_before=tx.now - _KNOWN_SECONDS * 1000)
            known_for = timedelta(seconds=_KNOWN_SECONDS)
            return JoinToken(self._authority.certificate, self._authority.for_joining(id, utc(tx.now), known_for))

        return await self._database.write(add)

    async def join(self, token_id: str, name: str, key: PublicKey) -> Joined:
        """Admit a node that has a join token. One that asks again with the same key gets another certificate.

        Raises:
            JoinRejectedError, StoreUnavailable.
        """
        by = fingerprint(key)

        def admit(tx: Transaction) -> Joined:
            _use(tx, token_id, by)
            known = store.find_by_name(tx.connection, name)
            if known is not None and known.key_fingerprint != by:
                raise JoinRejectedError(
                    f"there is a node {name!r} already: choose another --name, or remove that one with "
                    f"`equipoise node remove {name}`"
                )
            node_id = secrets.token_hex(8) if known is None else known.id
            certificate, until = self._certificate(tx, node_id, key)
            if known is None:
                store.admit(tx.connection, AdmittedNode(node_id, name, by, tx.now, until))
            else:
                store.note_certificate(tx.connection, node_id, until)
            return Joined(node_id, certificate)

        return await self._database.write(admit)

    async def renew(self, node_id: str, key: PublicKey) -> bytes:
        """Another certificate, PEM, for a node. Raises NotAdmittedError, StoreUnavailable."""

        def renew(tx: Transaction) -> bytes:
            _found(store.find(tx.connection, node_id))
            certificate, until = self._certificate(tx, node_id, key)
            store.note_certificate(tx.connection, node_id, until)
            return certificate

        return await self._database.write(renew)

    async def check(self, node_id: str) -> AdmittedNode:
        """The node, if it may speak. Raises NotAdmittedError, StoreUnavailable."""
        return _found(await self._database.read(lambda connection: store.find(connection, node_id)))

    async def admitted(self) -> set[str]:
        """The ids of all that may speak. Raises StoreUnavailable."""
        return await self._database.read(store.ids)

    def _certificate(self, tx: Transaction, node_id: str, key: PublicKey) -> tuple[bytes, int]:
        certificate = self._authority.for_node(node_id, key, utc(tx.now), self._lifetime)
        return certificate, tx.now + int(self._lifetime.total_seconds() * 1000)


def _use(tx: Transaction, token_id: str, by: str) -> None:
    token = store.token(tx.connection, token_id)
    if token is None:
        raise JoinRejectedError(f"the join token is not known here any more: {_ANOTHER}")
    if token.used_by is not None and token.used_by != by:
        raise JoinRejectedError(f"the join token was used already, by another node: {_ANOTHER}")
    if tx.now >= token.expires:
        raise JoinRejectedError(f"the join token has expired; one can be used for an hour: {_ANOTHER}")
    store.use_token(tx.connection, token_id, by)


def _found(node: AdmittedNode | None) -> AdmittedNode:
    if node is None:
        raise NotAdmittedError(
            "this node was removed from the service: to let it back in, start it with a new --join-token"
        )
    return node
