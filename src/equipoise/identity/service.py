"""Built-in identity as a whole: opened once, then asked for logins and tokens. Wire shapes are in `keystone`."""

import asyncio
from pathlib import Path
from time import time
from typing import Final, Self

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.identity import credentials, keystone
from equipoise.identity.directory import Directory, Reference, first_content
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
        self._region = region

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
            RuleBroken: as `keystone.parse_auth_request`; CREDENTIALS_WRONG for a wrong user or password, and for a
                project that does not exist or on which the user has no role, which Keystone does not tell apart.
        """
        request = keystone.parse_auth_request(body)
        self.directory.refresh()
        user = await authenticate(self.directory, self.passwords, request.credential)
        project = self.directory.find_project(request.project)
        roles = self.directory.roles(user.id, project.id) if project else ()
        if project is None or not roles:
            raise RuleBroken(Rule.CREDENTIALS_WRONG, "There is no such project in which this user has a role.")
        return self.tokens.issue(user.id, project.id, roles, (keystone.PASSWORD,))

    def verify(self, token: str) -> Claims:
        """What a token says, from memory: `Tokens.verify`."""
        return self.tokens.verify(token)

    async def revoke(self, token: str) -> None:
        """End a token; durable when this returns.

        Raises:
            RuleBroken: as `verify`.
        """
        await asyncio.to_thread(self.tokens.revoke, self.verify(token))

    def document(self, claims: Claims, root_url: str) -> keystone.Document:
        """The body of an answer about a token.

        Args:
            root_url: as the client reaches the service, without a slash at the end: the root of the catalogue.

        Raises:
            RuleBroken: TOKEN_REVOKED when its user or project is not in the directory any more.
        """
        user = self.directory.find_user(Reference(id=claims.user_id))
        project = self.directory.find_project(Reference(id=claims.project_id))
        if user is None or project is None:
            raise RuleBroken(Rule.TOKEN_REVOKED, "The user or the project of the token was removed.")
        return keystone.token_document(
            claims,
            user=user,
            user_domain=self.directory.domain(user.domain_id),
            project=project,
            project_domain=self.directory.domain(project.domain_id),
            catalogue=keystone.catalogue(root_url, self._region, project.id),
        )
