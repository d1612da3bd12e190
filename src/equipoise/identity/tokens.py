"""Tokens: issued, checked without a database, revoked. Who may have one is decided elsewhere (`service`)."""

import re
import secrets
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from equipoise.core.errors import TokenExpired, TokenMalformed, TokenRevoked
from equipoise.identity.actor import Actor
from equipoise.identity.files import IdentityFileError, append_private, write_private

Clock = Callable[[], float]
"""Seconds since 1970, UTC."""

CACHED_TOKENS: Final = 4096
MAX_TOKEN_LENGTH: Final = 4096
_REVOKED_LINE: Final = re.compile(rb"(?P<expires>[0-9]{1,15}) (?P<audit_id>[A-Za-z0-9_-]{22})")
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
    """The audit ids that no longer count, each until its token would have expired anyway.

    On disk one line each, `EXPIRES AUDIT_ID`, appended and synced before `add` returns. Safe from several threads.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._expires = _read_revoked(path) if path.exists() else {}
        self._tidy()

    def __contains__(self, audit_id: str) -> bool:
        return audit_id in self._expires

    def add(self, claims: Claims) -> None:
        """Durable when this returns."""
        with self._lock:
            append_private(self._path, _revoked_line(claims.audit_id, claims.expires))
            self._expires[claims.audit_id] = claims.expires
            if len(self._expires) >= self._tidy_at:
                self._tidy()

    def _tidy(self) -> None:
        """Drop what has expired, from memory and from the file; heals a last line that a crash cut off."""
        now = self._clock()
        self._expires = {audit_id: expires for audit_id, expires in self._expires.items() if expires > now}
        # Twice what is alive: the cost of tidying stays a constant share of each revocation.
        self._tidy_at = max(_TIDY_AT_LEAST, 2 * len(self._expires))
        write_private(self._path, b"".join(_revoked_line(*item) for item in self._expires.items()))


class Tokens:
    """Issues and checks tokens under one key.

    Args:
        key: Fernet key.
        revocations: asked at every check.
        lifetime: seconds, at least 1.
        clock: the present.
    """

    def __init__(self, key: bytes, revocations: Revocations, lifetime: int, clock: Clock) -> None:
        self._fernet = Fernet(key)
        self._revocations = revocations
        self._lifetime = lifetime
        self._clock = clock
        self._decoder = msgspec.msgpack.Decoder(Claims)
        self._known: dict[str, Claims] = {}

    @classmethod
    def open(cls, folder: Path, lifetime: int, clock: Clock) -> Self:
        """With the key and the revocations in `folder`; what is missing is made.

        Raises:
            IdentityFileError: the key or the list of revocations cannot be used.
        """
        path = folder / "token.key"
        if not path.exists():
            write_private(path, Fernet.generate_key())
        try:
            return cls(path.read_bytes().strip(), Revocations(folder / "revoked", clock), lifetime, clock)
        except ValueError:
            # Without the cause: it quotes the key.
            raise IdentityFileError("keys/token.key: must hold 32 bytes in URL-safe Base64") from None

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
        if claims.audit_id in self._revocations:
            raise TokenRevoked("The token was revoked: ask for a new one.")
        return claims

    def revoke(self, claims: Claims) -> None:
        """From now on `verify` refuses the token, after a restart too. Waits for the disk."""
        self._revocations.add(claims)

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


def _revoked_line(audit_id: str, expires: int) -> bytes:
    return b"%d %s\n" % (expires, audit_id.encode())


def _read_revoked(path: Path) -> dict[str, int]:
    """Audit id -> expiry.

    Raises:
        IdentityFileError: a line other than a cut-off last one makes no sense. A forgotten revocation would let a
            stolen token in, so nothing is guessed.
    """
    # The part after the last line end is empty, or cut off by a crash before its revocation was answered.
    *lines, _ = path.read_bytes().split(b"\n")
    revoked: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        match = _REVOKED_LINE.fullmatch(line)
        if match is None:
            raise IdentityFileError(f"keys/{path.name}: line {number} must be: seconds, a space, audit id")
        revoked[match["audit_id"].decode()] = int(match["expires"])
    return revoked
