"""Tokens: issued, and checked in memory. Who may have one, and what is stored, is elsewhere (`service`)."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from equipoise.core.errors import TokenExpired, TokenMalformed, TokenRevoked
from equipoise.identity.actor import Actor

Clock = Callable[[], float]
"""Seconds since 1970, UTC."""

CACHED_TOKENS: Final = 4096
MAX_TOKEN_LENGTH: Final = 4096
_TIDY_AT_LEAST: Final = 1024


class Claims(msgspec.Struct, frozen=True, array_like=True):
    """What a token says. The order of the fields is the format of the token: new ones go to the end, with a default.

    `issued` and `expires` are whole seconds since 1970; the token counts while the clock is below `expires`.
    `audit_id` names the token without giving it away. Of `project_id` and `domain_id` at most one is not empty.
    """

    user_id: str
    project_id: str
    roles: tuple[str, ...]
    methods: tuple[str, ...]
    issued: int
    expires: int
    audit_id: str
    domain_id: str = ""

    def actor(self) -> Actor:
        return Actor(self.user_id, self.project_id, frozenset(self.roles))


class Revocations:
    """The audit ids that no longer count, each until its token would have expired anyway; in memory.

    Args:
        clock: the present.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expires: dict[str, int] = {}
        self._tidy_at = _TIDY_AT_LEAST

    def __contains__(self, audit_id: str) -> bool:
        return audit_id in self._expires

    def add(self, expires: Mapping[str, int]) -> None:
        """Know these too: audit id -> when the token expires, in seconds since 1970."""
        self._expires.update(expires)
        if len(self._expires) >= self._tidy_at:
            self._tidy()

    def _tidy(self) -> None:
        now = self._clock()
        self._expires = {audit_id: expires for audit_id, expires in self._expires.items() if expires > now}
        # Twice what is alive: the cost of tidying stays a constant share of each revocation.
        self._tidy_at = max(_TIDY_AT_LEAST, 2 * len(self._expires))


class Tokens:
    """Issues and checks tokens.

    Args:
        keys: Fernet keys. The first one makes tokens, and those of all of them count. Raises ValueError for others.
        revocations: asked at every check.
        lifetime: seconds, at least 1.
        clock: the present.
    """

    def __init__(self, keys: Sequence[bytes], revocations: Revocations, lifetime: int, clock: Clock) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self.revocations = revocations
        self._lifetime = lifetime
        self._clock = clock
        self._decoder = msgspec.msgpack.Decoder(Claims)
        self._known: dict[str, Claims] = {}

    def issue(
        self,
        user_id: str,
        project_id: str,
        roles: Iterable[str],
        methods: Iterable[str],
        *,
        domain_id: str = "",
        expires: int | None = None,
    ) -> tuple[str, Claims]:
        """A new token: its text, and what it says.

        Args:
            expires: seconds since 1970; None: after the lifetime.
        """
        now = int(self._clock())
        claims = Claims(
            user_id=user_id,
            project_id=project_id,
            roles=tuple(roles),
            methods=tuple(methods),
            issued=now,
            expires=now + self._lifetime if expires is None else expires,
            audit_id=secrets.token_urlsafe(16),
            domain_id=domain_id,
        )
        return self._fernet.encrypt_at_time(msgspec.msgpack.encode(claims), now).decode(), claims

    def verify(self, text: str) -> Claims:
        """What the token says. A token seen before costs two dictionary look-ups.

        Raises:
            TokenMalformed (not made with this key), TokenExpired or TokenRevoked.
        """
        claims = self._known.get(text)
        if claims is None:
            claims = self._decode(text)
            self._remember(text, claims)
        if self._clock() >= claims.expires:
            self._known.pop(text, None)
            raise TokenExpired("The token has expired: ask for a new one.")
        if claims.audit_id in self.revocations:
            raise TokenRevoked("The token was revoked: ask for a new one.")
        return claims

    def _decode(self, text: str) -> Claims:
        try:
            if len(text) > MAX_TOKEN_LENGTH:
                raise InvalidToken
            return self._decoder.decode(self._fernet.decrypt(text.encode()))
        except (InvalidToken, UnicodeEncodeError, msgspec.DecodeError):
            raise TokenMalformed("The token is not one that this service has issued.") from None

    def _remember(self, text: str, claims: Claims) -> None:
        if len(self._known) >= CACHED_TOKENS:
            # The oldest goes: a dictionary keeps the order of insertion.
            del self._known[next(iter(self._known))]
        self._known[text] = claims
