"""An external Keystone: tokens are checked by asking it, and what clients want of an identity is passed on to it.

Its answers about tokens are kept for a while, so that nobody is asked on the hot path. Who may do what is decided in
`actor`, as with the built-in identity.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Annotated, Final, TypeVar

import httpx
import msgspec
import structlog

from equipoise.core.errors import (
    IdentityUnavailable,
    TokenExpired,
    TokenMalformed,
    TokenRevoked,
    UpstreamInvalid,
    UpstreamTimeout,
)
from equipoise.identity.actor import ADMIN, MEMBER, READER, Actor
from equipoise.identity.tokens import MAX_TOKEN_LENGTH, Clock

_log = structlog.get_logger(__name__)

CACHED: Final = 4096
MAX_ANSWER_BYTES: Final = 4 << 20

ROLES: Final[Mapping[str, str]] = {ADMIN: ADMIN, MEMBER: MEMBER, "_member_": MEMBER, READER: READER}
"""Names of Keystone's roles, in lower case, and what they are here. `_member_` is the name that older releases gave."""


class _Named(msgspec.Struct, frozen=True):
    name: str


class _WithId(msgspec.Struct, frozen=True):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class _Token(msgspec.Struct, frozen=True):
    user: _WithId
    expires_at: datetime
    project: _WithId | None = None
    roles: tuple[_Named, ...] = ()


class _TokenAnswer(msgspec.Struct, frozen=True):
    token: _Token


@dataclass(frozen=True, slots=True)
class Answer:
    """What Keystone said, for a client; headers are those of `PASSED_BACK` that there were."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Known:
    """`until`: seconds since 1970 up to which the answer counts; `expires`: up to which the token itself does."""

    actor: Actor
    until: float
    expires: float


K = TypeVar("K")
V = TypeVar("V")

PASSED_ON: Final = ("x-auth-token", "x-subject-token", "content-type", "accept", "accept-language", "x-request-id")
PASSED_BACK: Final = ("content-type", "x-subject-token", "vary", "www-authenticate")


class ExternalKeystone:
    """One Keystone. Belongs to one event loop.

    Args:
        url: its root, with or without `/v3`.
        timeout: seconds in which an answer must be complete.
        keep: seconds for which an answer about a token counts.
        clock: seconds since 1970.
    """

    def __init__(self, url: str, *, timeout: float, keep: float, clock: Clock = time) -> None:
        self._root = url.rstrip("/").removesuffix("/v3")
        self._timeout = timeout
        self._keep = keep
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=None, follow_redirects=False)  # noqa: S113 - `_asked` has the limit
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[Actor]] = {}
        self._projects: dict[tuple[str, str], float] = {}

    async def failed(self) -> None:
        """Return at once: nothing here can fail for good."""

    async def stop(self) -> None:
        """End what is under way and close the connections."""
        under_way = list(self._asking.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._client.aclose()

    async def authenticate(self, token: str) -> Actor:
        """Who the token stands for: from memory, else from Keystone; asked once however many wait for the answer.

        Raises:
            TokenMalformed, TokenExpired or TokenRevoked; IdentityUnavailable (cannot be reached),
                UpstreamTimeout, UpstreamInvalid.
        """
        known = self._known.get(token)
        now = self._clock()
        if known is not None:
            if now >= known.expires:
                raise _expired()
            if now < known.until:
                return known.actor
        return await asyncio.shield(self._asked_once(token))

    async def has_project(self, project_id: str, token: str) -> bool:
        """Whether Keystone shows the project to the bearer of the token.

        Raises:
            IdentityUnavailable, UpstreamTimeout or UpstreamInvalid.
        """
        if self._projects.get((project_id, token), 0) > self._clock():
            return True
        if not project_id.isalnum() or not project_id.isascii():
            return False
        answer = await self._asked("GET", f"/v3/projects/{project_id}", {"x-auth-token": token})
        if answer.status == httpx.codes.OK:
            _put(self._projects, (project_id, token), self._clock() + self._keep)
            return True
        if answer.status in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
            return False
        raise _nonsense(f"status {answer.status} about a project")

    async def log_in(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Pass a request for a token on. Raises as `pass_on`, and IdentityUnavailable when no token comes back."""
        answer = await self._asked("POST", "/v3/auth/tokens", _some(headers, PASSED_ON), body)
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR or (
            answer.status == httpx.codes.CREATED and "x-subject-token" not in answer.headers
        ):
            raise _unavailable(f"it gave no token but status {answer.status}")
        return answer

    async def pass_on(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """Pass a request without a body on. A token that is revoked on this way counts no longer at once.

        Args:
            path: with its query, beginning with `/v3`.

        Raises:
            IdentityUnavailable, UpstreamTimeout or UpstreamInvalid.
        """
        answer = await self._asked(method, path, _some(headers, PASSED_ON))
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _nonsense(f"status {answer.status}")
        if method == "DELETE" and answer.status == httpx.codes.NO_CONTENT:
            known = self._known.get(headers.get("x-subject-token", ""))
            if known is not None:
                self._known[headers["x-subject-token"]] = _Known(known.actor, 0, known.expires)
        return answer

    def _asked_once(self, token: str) -> asyncio.Task[Actor]:
        task = self._asking.get(token)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._validated(token))
            self._asking[token] = task
            task.add_done_callback(lambda done: self._answered(token, done))
        return task

    def _answered(self, token: str, done: asyncio.Task[Actor]) -> None:
        del self._asking[token]
        if not done.cancelled():
            # Those who asked may all have gone away: then nobody else looks at what went wrong.
            done.exception()

    async def _validated(self, token: str) -> Actor:
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii() or not token.isprintable():
            raise _not_a_token()
        answer = await self._asked("GET", "/v3/auth/tokens", {"x-auth-token": token, "x-subject-token": token})
        if answer.status in (httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND):
            if token in self._known:
                raise TokenRevoked("The token was revoked: ask for a new one.")
            raise _not_a_token()
        if answer.status != httpx.codes.OK:
            raise _nonsense(f"status {answer.status} about a token")
        found = _token_in(answer.body)
        expires = found.expires_at.timestamp()
        now = self._clock()
        if expires <= now:
            raise _expired()
        actor = Actor(
            found.user.id,
            found.project.id if found.project else "",
            frozenset(ROLES[role.name.lower()] for role in found.roles if role.name.lower() in ROLES),
        )
        self._known.pop(token, None)
        _put(self._known, token, _Known(actor, min(now + self._keep, expires), expires))
        return actor

    async def _asked(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        async with (
            _translated(self._timeout),
            self._client.stream(method, self._root + path, headers=headers, content=body or None) as response,
        ):
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise _nonsense("an answer without end")
            return Answer(response.status_code, _some(response.headers, PASSED_BACK), bytes(content))


@asynccontextmanager
async def _translated(seconds: float) -> AsyncIterator[None]:
    """What goes wrong on the way to Keystone, by the rules of return-values.md."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        _log.warning("keystone_timeout", seconds=seconds)
        raise UpstreamTimeout(
            f"The identity service did not answer within {seconds:g} seconds; try again later."
        ) from None
    except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
        raise _unavailable(str(error)) from error
    except httpx.HTTPError as error:
        raise _nonsense(str(error) or type(error).__name__) from error


def _put(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= CACHED:
        # The oldest goes: a dictionary keeps the order of insertion.
        del memory[next(iter(memory))]
    memory[key] = value


def _some(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _token_in(body: bytes) -> _Token:
    try:
        found = msgspec.json.decode(body, type=_TokenAnswer).token
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Without the cause: it may quote the answer.
        raise _nonsense("something that is no token") from None
    if found.expires_at.tzinfo is None:
        raise _nonsense("a time without a zone")
    return found


def _not_a_token() -> TokenMalformed:
    return TokenMalformed("The identity service does not know this token: ask for a new one.")


def _expired() -> TokenExpired:
    return TokenExpired("The token has expired: ask for a new one.")


def _unavailable(reason: str) -> IdentityUnavailable:
    _log.warning("keystone_unavailable", reason=reason)
    return IdentityUnavailable("The identity service cannot be reached; try again later.")


def _nonsense(reason: str) -> UpstreamInvalid:
    _log.warning("keystone_invalid_answer", reason=reason)
    return UpstreamInvalid("The identity service gave an answer that makes no sense; tell the operator.")
