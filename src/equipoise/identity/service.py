"""Built-in identity as a whole: opened once, then asked for logins and tokens. Wire shapes are in `keystone`.

Users, keys and revocations are in the database, and all of them in memory too: to check a token takes no statement.
What other services write is compared when they notify, and often enough without that.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Final, Self

from sqlalchemy import Connection

from equipoise.core.errors import (
    CredentialsWrong,
    NotFound,
    NotKnown,
    ProjectForbidden,
    RoleTooWeak,
    TokenRevoked,
    Unavailable,
)
from equipoise.core.identity import DirectoryContent, Domain, IdentityState, Project, User
from equipoise.core.references import ResourceKind
from equipoise.identity import keystone
from equipoise.identity.actor import Actor
from equipoise.identity.credentials import Credentials
from equipoise.identity.directory import Directory, Reference
from equipoise.identity.establish import Sealing, give_credentials
from equipoise.identity.passwords import Passwords, authenticate
from equipoise.identity.tokens import Claims, Clock, Revocations, Tokens
from equipoise.store import identity as store
from equipoise.store import tokens as stored_tokens
from equipoise.store.comparisons import AT_LEISURE
from equipoise.store.database import Database, OutcomeUnknown, StoreUnavailable, Transaction

LEVEL_SECONDS: Final = 0.5
"""How long what another service wrote may stay unnoticed when its notification is lost: a revocation must count
within 1 s."""

_PAUSE_SECONDS: Final = 0.05
"""How long after a comparison the next one begins, at least: others may write hundreds of times a second."""

_FORGET_AFTER: Final = 3600
"""Seconds for which a revocation is kept after its token has expired: the clocks of services may differ."""

_EMPTY: Final = DirectoryContent((), (), (), ())


class Identity:
    """Who may come in. One object for a process; its methods belong to one event loop.

    Args:
        region: region id of the catalogue.
    """

    def __init__(self, database: Database, passwords: Passwords, tokens: Tokens, region: str, clock: Clock) -> None:
        self.directory = Directory(_EMPTY)
        self.passwords = passwords
        self.tokens = tokens
        self.region = region
        self._database = database
        self._clock = clock
        self._revision = 0
        self._begun = 0
        self._applied = 0
        self._written = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        database: Database,
        sealing: Sealing,
        data_dir: Path,
        *,
        region: str,
        token_lifetime: int,
        auth_url: str,
        passwords: Passwords | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Read the identity of the database (`establish`), and give the data directory its credentials.json.

        Args:
            sealing: with the key that the database was encrypted with.
            region: region id.
            token_lifetime: seconds.
            auth_url: for credentials.json (`credentials.auth_url`).
            clock: seconds since 1970; None: that of the database server, or of this machine without one.

        Raises:
            StoreUnavailable, OSError.
        """

        def look(connection: Connection) -> tuple[IdentityState | None, list[str]]:
            return store.state(connection), list(stored_tokens.keys(connection))

        state, sealed = await database.read(look)
        if state is None:
            raise RuntimeError("the identity was not established")
        passwords = passwords or Passwords()
        if clock is None:
            # Services may have clocks that differ; a token ends at all of them in the same moment.
            clock = (lambda: database.now() / 1000) if database.is_shared else time
        keys = [sealing.unseal(each).encode() for each in sealed]
        tokens = Tokens(keys, Revocations(clock), token_lifetime, clock)
        identity = cls(database, passwords, tokens, region, clock)
        await identity._compare()
        here = Credentials(auth_url, "", "", "", "", "", region)
        await give_credentials(data_dir, state, identity.directory, passwords, sealing, here)
        return identity

    def start(self) -> None:
        """Begin to follow what other services write, where there can be others."""
        if self._database.is_shared:
            self._database.on_foreign_write(self._wake, AT_LEISURE)
            self._following = asyncio.create_task(self._follow(), name="identity")

    async def stop(self) -> None:
        """Follow no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    async def failed(self) -> None:
        """Return only by raising, or at once where nothing is followed: what ended it. Nothing does but a defect."""
        if self._following is not None:
            await asyncio.shield(self._following)

    async def refresh(self) -> None:
        """Learn what is stored by now. While the database cannot be used, what is known stays in force."""
        with suppress(StoreUnavailable):
            await self._compare()

    async def log_in(self, body: object) -> tuple[str, Claims]:
        """Answer a request for a token: the token's text, and what it says.

        Args:
            body: as `keystone.parse_auth_request` takes it.

        Raises:
            as `keystone.parse_auth_request`; CredentialsWrong for a wrong user or password, and for a
                scope that does not exist or in which the user has no role, which Keystone does not tell apart; for a
                token in place of a password as `verify`.
        """
        request = keystone.parse_auth_request(body)
        await self.refresh()
        user_id, methods, expires = await self._proven(request.credential)
        project_id, domain_id, roles = self._scoped(user_id, request)
        return self.tokens.issue(user_id, project_id, roles, methods, domain_id=domain_id, expires=expires)

    async def authenticate(self, token: str) -> Actor:
        """Who the token stands for (`equipoise.identity.provider`); from memory."""
        return self.verify(token).actor()

    async def has_project(self, project_id: str, token: str) -> bool:  # noqa: ARG002 - whoever asks is an administrator
        """Whether there is such a project."""
        if self.directory.find_project(Reference(id=project_id)) is None:
            # Another service may have made it in this moment.
            await self.refresh()
        return self.directory.find_project(Reference(id=project_id)) is not None

    def verify(self, token: str) -> Claims:
        """What a token says, from memory: `Tokens.verify`."""
        return self.tokens.verify(token)

    def verify_for(self, asker: Claims, token: str) -> Claims:
        """What a token says, for somebody who may know: its user, or an administrator.

        Raises:
            as `verify`; RoleTooWeak for others.
        """
        claims = self.verify(token)
        if claims.user_id != asker.user_id and not asker.actor().is_admin:
            raise RoleTooWeak("Only an administrator may look at the token of somebody else.")
        return claims

    async def revoke(self, claims: Claims) -> None:
        """End a token: here at once, at other services within a second. Durable when this returns.

        Raises:
            Unavailable: nothing was stored, and the token counts still.
            NotKnown: the database went away while it stored it.
        """
        expires = {claims.audit_id: claims.expires}
        until = int(self._clock()) - _FORGET_AFTER

        def store_it(tx: Transaction) -> None:
            store.move(tx)
            stored_tokens.revoke(tx, expires)
            stored_tokens.forget(tx.connection, until)

        try:
            await self._database.write(store_it, lane=claims.user_id)
        except OutcomeUnknown:
            raise NotKnown(
                "The database went away while it stored this and has not told whether it did; revoke the token again."
            ) from None
        except StoreUnavailable:
            raise Unavailable(
                "The database cannot be used just now; the token was not revoked, try again in a few seconds."
            ) from None
        self.tokens.revocations.add(expires)

    async def projects_of(self, claims: Claims) -> tuple[Project, ...]:
        """The projects on which the user of a token has a role."""
        await self.refresh()
        return self.directory.projects_of(claims.user_id)

    async def project(self, claims: Claims, project_id: str) -> Project:
        """One project on which the user of a token has a role. Raises NotFound."""
        for project in await self.projects_of(claims):
            if project.id == project_id:
                return project
        raise NotFound(ResourceKind.PROJECT, project_id, "There is no such project in which this user has a role.")

    async def domains_of(self, claims: Claims) -> tuple[Domain, ...]:
        """The domains that the user of a token may log in to."""
        await self.refresh()
        return tuple(
            domain for domain in self.directory.domains() if self.directory.roles_in_domain(claims.user_id, domain.id)
        )

    async def known_domains(self, claims: Claims) -> tuple[Domain, ...]:
        """The domains that the user of a token may know of: beside those to log in to its own; an administrator all."""
        own = self.directory.find_user(Reference(id=claims.user_id))
        to_log_in = await self.domains_of(claims)
        return tuple(
            domain
            for domain in self.directory.domains()
            if domain in to_log_in or claims.actor().is_admin or (own is not None and own.domain_id == domain.id)
        )

    async def known_users(self, claims: Claims) -> tuple[User, ...]:
        """The users whom the user of a token may know of: itself; an administrator all."""
        await self.refresh()
        return tuple(user for user in self.directory.users() if user.id == claims.user_id or claims.actor().is_admin)

    async def projects_of_user(self, claims: Claims, user_id: str) -> tuple[Project, ...]:
        """The projects on which a user has a role whom the user of a token may know of. Raises IDENTITY_UNKNOWN."""
        if user_id not in (user.id for user in await self.known_users(claims)):
            raise NotFound(ResourceKind.IDENTITY, user_id, "There is no such user, or it is not this user's to see.")
        return self.directory.projects_of(user_id)

    def catalogue(self, claims: Claims, root_url: str) -> list[keystone.Document]:
        """Where each service is, for the scope of a token. Raises ProjectForbidden for one without."""
        if not claims.project_id and not claims.domain_id:
            raise ProjectForbidden("A token without a scope has no catalogue: ask for a token of a project.")
        return keystone.catalogue(root_url, self.region, claims.project_id or None)

    async def document(self, claims: Claims, root_url: str) -> keystone.Document:
        """The body of an answer about a token.

        Args:
            root_url: as the client reaches the service, without a slash at the end: the root of the catalogue.

        Raises:
            TokenRevoked when its user or project is not in the directory any more.
        """
        found = self._named_in(claims)
        if found is None:
            # Another service may have made them in this moment.
            await self.refresh()
            found = self._named_in(claims)
        if found is None:
            raise TokenRevoked("The user or the scope of the token was removed.")
        user, scope = found
        user_domain = self.directory.domain(user.domain_id)
        return keystone.token_document(
            claims,
            user=user,
            user_domain=user_domain,
            scope=scope,
            scope_domain=self.directory.domain(scope.project.domain_id) if scope.project else user_domain,
            catalogue=keystone.catalogue(root_url, self.region, claims.project_id or None),
        )

    def _named_in(self, claims: Claims) -> tuple[User, keystone.Scope] | None:
        """The user and the scope of a token; None when one of them is not in the directory."""
        user = self.directory.find_user(Reference(id=claims.user_id))
        project = self.directory.find_project(Reference(id=claims.project_id)) if claims.project_id else None
        domain = self.directory.find_domain(Reference(id=claims.domain_id)) if claims.domain_id else None
        if user is None or bool(project) != bool(claims.project_id) or bool(domain) != bool(claims.domain_id):
            return None
        return user, keystone.Scope(project, domain)

    async def _proven(self, credential: keystone.Credential) -> tuple[str, tuple[str, ...], int | None]:
        """The user who the credential proves to be, by which methods, and when that proof ends (None: a lifetime)."""
        if isinstance(credential, keystone.PasswordCredential):
            return (await authenticate(self.directory, self.passwords, credential)).id, (keystone.PASSWORD,), None
        claims = self.verify(credential.token)
        if self.directory.find_user(Reference(id=claims.user_id)) is None:
            raise TokenRevoked("The user of the token was removed.")
        # As in Keystone: a token got with a token does not live longer than that one.
        return claims.user_id, tuple(dict.fromkeys((*claims.methods, keystone.TOKEN))), claims.expires

    def _scoped(self, user_id: str, request: keystone.AuthRequest) -> tuple[str, str, tuple[str, ...]]:
        """Ids of the project and of the domain that the token shall name, and the roles of the user there."""
        if request.project is not None:
            project = self.directory.find_project(self._in_a_domain(user_id, request.project))
            roles = self.directory.roles(user_id, project.id) if project else ()
            if project is None or not roles:
                raise CredentialsWrong("There is no such project in which this user has a role.")
            return project.id, "", roles
        if request.domain is not None:
            domain = self.directory.find_domain(request.domain)
            roles = self.directory.roles_in_domain(user_id, domain.id) if domain else ()
            if domain is None or not roles:
                raise CredentialsWrong("There is no such domain in which this user has a role.")
            return "", domain.id, roles
        return "", "", ()

    def _in_a_domain(self, user_id: str, project: Reference) -> Reference:
        """A project that is named without a domain is one of the user's (identity.md)."""
        user = self.directory.find_user(Reference(id=user_id))
        if project.id is not None or project.domain_id or project.domain_name or user is None:
            return project
        return replace(project, domain_id=user.domain_id)

    async def _wake(self) -> None:
        self._written.set()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEVEL_SECONDS):
                    await self._written.wait()
            # Before the look: what is written after it wakes once more.
            self._written.clear()
            await self.refresh()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _compare(self) -> None:
        """Read what changed since the revision that is known. Raises StoreUnavailable."""
        self._begun += 1
        begun, known, now = self._begun, self._revision, int(self._clock())

        def look(connection: Connection) -> tuple[int, dict[str, int], DirectoryContent | None]:
            state = store.state(connection)
            if state is None or state.revision == known:
                return known, {}, None
            # A server that took the place of another one may lack what was committed last: then everything is read.
            since = known if state.revision > known else 0
            revoked = stored_tokens.revoked_since(connection, since, now)
            content = store.content(connection) if state.directory_revision > since else None
            return state.revision, dict(revoked), content

        revision, revoked, content = await self._database.read(look)
        self.tokens.revocations.add(revoked)
        if begun < self._applied:
            # What was read after this one is there already.
            return
        self._applied = begun
        self._revision = revision
        if content is not None:
            self.directory = Directory(content)
