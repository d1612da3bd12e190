"""Built-in identity as a whole: opened once, then asked for logins and tokens. Wire shapes are in `keystone`."""

import asyncio
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Final, Self

from equipoise.core.errors import CredentialsWrong, NotFound, ProjectForbidden, RoleTooWeak, TokenRevoked
from equipoise.core.references import ResourceKind
from equipoise.identity import credentials, keystone
from equipoise.identity.actor import Actor
from equipoise.identity.directory import Directory, Domain, Project, Reference, User, first_content
from equipoise.identity.passwords import Passwords, authenticate
from equipoise.identity.tokens import Claims, Clock, Tokens

DIRECTORY_FILE: Final = "identity.json"


class Identity:
    """Who may come in. One object for a process; its methods belong to one event loop.

    Args:
        region: region id of the catalogue.
    """

    def __init__(self, directory: Directory, passwords: Passwords, tokens: Tokens, region: str) -> None:
        self.directory = directory
        self.passwords = passwords
        self.tokens = tokens
        self.region = region

    @classmethod
    def open(cls, data_dir: Path, *, region: str, token_lifetime: int, auth_url: str, clock: Clock = time) -> Self:
        """Read the files below `data_dir`; at a first start make them, with an administrator and a project.

        Args:
            data_dir: holds identity.json, credentials.json and keys/.
            region: region id.
            token_lifetime: seconds.
            auth_url: for credentials.json (`credentials.auth_url`).
            clock: seconds since 1970.

        Raises:
            IdentityFileError: a file cannot be used; identity.json and keys are left as they were.
        """
        passwords = Passwords()
        path = data_dir / DIRECTORY_FILE
        if path.exists():
            directory = Directory.load(path)
            credentials.follow_address(data_dir, auth_url)
        else:
            created = first_content(region, passwords.hash)
            # In this order: after a crash in between, the next start is a first start again and no password is lost.
            credentials.write_first(data_dir, created, region, auth_url)
            directory = Directory.create(path, created.content)
        return cls(directory, passwords, Tokens.open(data_dir / "keys", token_lifetime, clock), region)

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
        self.directory.refresh()
        user_id, methods, expires = await self._proven(request.credential)
        project_id, domain_id, roles = self._scoped(user_id, request)
        return self.tokens.issue(user_id, project_id, roles, methods, domain_id=domain_id, expires=expires)

    async def authenticate(self, token: str) -> Actor:
        """Who the token stands for (`equipoise.identity.provider`); from memory."""
        return self.verify(token).actor()

    async def has_project(self, project_id: str, token: str) -> bool:  # noqa: ARG002 - whoever asks is an administrator
        """Whether there is such a project."""
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
        """End a token; durable when this returns."""
        await asyncio.to_thread(self.tokens.revoke, claims)

    def projects_of(self, claims: Claims) -> tuple[Project, ...]:
        """The projects on which the user of a token has a role."""
        self.directory.refresh()
        return self.directory.projects_of(claims.user_id)

    def project(self, claims: Claims, project_id: str) -> Project:
        """One project on which the user of a token has a role. Raises NotFound."""
        for project in self.projects_of(claims):
            if project.id == project_id:
                return project
        raise NotFound(ResourceKind.PROJECT, project_id, "There is no such project in which this user has a role.")

    def domains_of(self, claims: Claims) -> tuple[Domain, ...]:
        """The domains that the user of a token may log in to."""
        self.directory.refresh()
        return tuple(
            domain for domain in self.directory.domains() if self.directory.roles_in_domain(claims.user_id, domain.id)
        )

    def known_domains(self, claims: Claims) -> tuple[Domain, ...]:
        """The domains that the user of a token may know of: beside those to log in to its own; an administrator all."""
        own = self.directory.find_user(Reference(id=claims.user_id))
        to_log_in = self.domains_of(claims)
        return tuple(
            domain
            for domain in self.directory.domains()
            if domain in to_log_in or claims.actor().is_admin or (own is not None and own.domain_id == domain.id)
        )

    def known_users(self, claims: Claims) -> tuple[User, ...]:
        """The users whom the user of a token may know of: itself; an administrator all."""
        self.directory.refresh()
        return tuple(user for user in self.directory.users() if user.id == claims.user_id or claims.actor().is_admin)

    def projects_of_user(self, claims: Claims, user_id: str) -> tuple[Project, ...]:
        """The projects on which a user has a role whom the user of a token may know of. Raises IDENTITY_UNKNOWN."""
        if user_id not in (user.id for user in self.known_users(claims)):
            raise NotFound(ResourceKind.IDENTITY, user_id, "There is no such user, or it is not this user's to see.")
        return self.directory.projects_of(user_id)

    def catalogue(self, claims: Claims, root_url: str) -> list[keystone.Document]:
        """Where each service is, for the scope of a token. Raises ProjectForbidden for one without."""
        if not claims.project_id and not claims.domain_id:
            raise ProjectForbidden("A token without a scope has no catalogue: ask for a token of a project.")
        return keystone.catalogue(root_url, self.region, claims.project_id or None)

    def document(self, claims: Claims, root_url: str) -> keystone.Document:
        """The body of an answer about a token.

        Args:
            root_url: as the client reaches the service, without a slash at the end: the root of the catalogue.

        Raises:
            TokenRevoked when its user or project is not in the directory any more.
        """
        user = self.directory.find_user(Reference(id=claims.user_id))
        project = self.directory.find_project(Reference(id=claims.project_id)) if claims.project_id else None
        domain = self.directory.find_domain(Reference(id=claims.domain_id)) if claims.domain_id else None
        if user is None or bool(project) != bool(claims.project_id) or bool(domain) != bool(claims.domain_id):
            raise TokenRevoked("The user or the scope of the token was removed.")
        user_domain = self.directory.domain(user.domain_id)
        return keystone.token_document(
            claims,
            user=user,
            user_domain=user_domain,
            scope=keystone.Scope(project, domain),
            scope_domain=self.directory.domain(project.domain_id) if project else user_domain,
            catalogue=keystone.catalogue(root_url, self.region, claims.project_id or None),
        )

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
