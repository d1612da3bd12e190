"""Tokens: what they say, when they stop to count, and what happens to the list of revoked ones."""

import stat
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.core.errors import ServiceError, TokenExpired, TokenMalformed, TokenRevoked
from equipoise.identity import tokens as tokens_module
from equipoise.identity.files import IdentityFileError
from equipoise.identity.tokens import Claims, Tokens

USER, PROJECT = "a" * 32, "b" * 32
NOW, LIFETIME = 1_800_000_000.5, 3600


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens.open(tmp_path / "keys", LIFETIME, clock)


def issue(tokens: Tokens) -> tuple[str, Claims]:
    return tokens.issue(USER, PROJECT, ("member",), ("password",))


def refusal(tokens: Tokens, text: str) -> type[ServiceError]:
    with pytest.raises(ServiceError) as broken:
        tokens.verify(text)
    assert len(text) < 20 or text not in str(broken.value)
    assert broken.value.__cause__ is None
    return type(broken.value)


def test_a_token_says_what_was_put_into_it(tokens: Tokens) -> None:
    text, claims = issue(tokens)
    assert tokens.verify(text) == claims
    assert (claims.user_id, claims.project_id, claims.roles) == (USER, PROJECT, ("member",))
    assert (claims.issued, claims.expires) == (1_800_000_000, 1_800_003_600)
    assert claims.actor().may_write
    assert text.isascii()
    assert len(text) < 400


def test_a_token_counts_until_the_second_in_which_it_expires(tokens: Tokens, clock: Clock) -> None:
    text, claims = issue(tokens)
    clock.now = claims.expires - 0.001
    assert tokens.verify(text) == claims
    clock.now = claims.expires
    assert refusal(tokens, text) is TokenExpired


def test_an_expired_token_is_told_from_a_malformed_one_after_a_restart(
    tokens: Tokens, tmp_path: Path, clock: Clock
) -> None:
    text, claims = issue(tokens)
    clock.now = claims.expires + 1
    assert refusal(Tokens.open(tmp_path / "keys", LIFETIME, clock), text) is TokenExpired


def test_a_token_counts_after_a_restart(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    text, claims = issue(tokens)
    assert Tokens.open(tmp_path / "keys", LIFETIME, clock).verify(text) == claims


def test_a_revoked_token_is_refused_at_once_and_after_a_restart(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    text, claims = issue(tokens)
    other, _ = issue(tokens)
    tokens.verify(text)
    tokens.revoke(claims)
    assert refusal(tokens, text) is TokenRevoked
    tokens.verify(other)
    assert refusal(Tokens.open(tmp_path / "keys", LIFETIME, clock), text) is TokenRevoked


def test_a_token_of_another_key_is_malformed(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    text, _ = Tokens.open(tmp_path / "other", LIFETIME, clock).issue(USER, PROJECT, ("admin",), ("password",))
    assert refusal(tokens, text) is TokenMalformed


def test_a_text_under_the_right_key_that_is_no_token_is_malformed(tokens: Tokens, tmp_path: Path) -> None:
    fernet = Fernet((tmp_path / "keys" / "token.key").read_bytes())
    assert refusal(tokens, fernet.encrypt(b"\x91\x01").decode()) is TokenMalformed


@pytest.mark.parametrize("text", ["", " ", "gAAAA", "x" * 5000, "\ud800", "tökén", "\0"])
def test_a_strange_text_is_malformed(tokens: Tokens, text: str) -> None:
    assert refusal(tokens, text) is TokenMalformed


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens.open(tmp_path_factory.mktemp("keys"), LIFETIME, lambda: NOW)


@settings(deadline=None)
@given(text=st.text())
def test_no_text_but_a_token_is_a_token(steady: Tokens, text: str) -> None:
    assert refusal(steady, text) is TokenMalformed


@settings(deadline=None)
@given(data=st.data())
def test_a_token_with_one_character_changed_is_malformed(steady: Tokens, data: st.DataObject) -> None:
    genuine, _ = issue(steady)
    # The last characters before the padding carry bits that Base64 ignores.
    place = data.draw(st.integers(0, len(genuine.rstrip("=")) - 2))
    # Drawn by number: a token is another each time, and what is drawn must not depend on it.
    others = [character for character in "ABCDwxyz0189-_" if character != genuine[place]]
    changed = genuine[:place] + others[data.draw(st.integers(0, 11))] + genuine[place + 1 :]
    assert refusal(steady, changed) is TokenMalformed


def test_the_memory_of_known_tokens_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "CACHED_TOKENS", 3)
    texts = [issue(tokens)[0] for _ in range(5)]
    for text in texts * 2:
        tokens.verify(text)
    assert len(tokens._known) == 3


def test_a_known_token_is_not_decrypted_again(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    text, claims = issue(tokens)
    tokens.verify(text)
    monkeypatch.delattr(Fernet, "decrypt")
    assert tokens.verify(text) == claims


def test_the_files_are_for_their_owner_only(tokens: Tokens, tmp_path: Path) -> None:
    tokens.revoke(issue(tokens)[1])
    for name in ("token.key", "revoked"):
        assert stat.S_IMODE((tmp_path / "keys" / name).stat().st_mode) == 0o600


def test_a_broken_key_is_told_without_being_shown(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "token.key").write_text("hunter2")
    with pytest.raises(IdentityFileError, match=r"token\.key") as error:
        Tokens.open(tmp_path, LIFETIME, clock)
    assert "hunter2" not in str(error.value)


def test_expired_revocations_are_dropped_at_a_start(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    tokens.revoke(issue(tokens)[1])
    clock.now += LIFETIME
    _, claims = issue(tokens)
    tokens.revoke(claims)
    Tokens.open(tmp_path / "keys", LIFETIME, clock)
    assert (tmp_path / "keys" / "revoked").read_text() == f"{claims.expires} {claims.audit_id}\n"


def test_expired_revocations_are_dropped_while_running(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "_TIDY_AT_LEAST", 4)
    tokens = Tokens.open(tmp_path, LIFETIME, clock)
    for _ in range(3):
        tokens.revoke(issue(tokens)[1])
    clock.now += LIFETIME
    text, claims = issue(tokens)
    tokens.revoke(claims)
    assert len((tmp_path / "revoked").read_bytes().splitlines()) == 1
    assert refusal(tokens, text) is TokenRevoked


def test_a_line_cut_off_by_a_crash_is_healed(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    text, claims = issue(tokens)
    tokens.revoke(claims)
    path = tmp_path / "keys" / "revoked"
    path.write_bytes(path.read_bytes() + b"18000")
    again = Tokens.open(tmp_path / "keys", LIFETIME, clock)
    again.revoke(issue(again)[1])
    assert refusal(Tokens.open(tmp_path / "keys", LIFETIME, clock), text) is TokenRevoked


def test_a_line_that_makes_no_sense_stops_the_start(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    tokens.revoke(issue(tokens)[1])
    path = tmp_path / "keys" / "revoked"
    path.write_bytes(b"what\n" + path.read_bytes())
    with pytest.raises(IdentityFileError, match="line 1"):
        Tokens.open(tmp_path / "keys", LIFETIME, clock)


def test_a_token_of_before_there_were_domains_still_counts(tokens: Tokens) -> None:
    """The format of the token: fields are added at the end, with a default."""
    old = msgspec.msgpack.encode((USER, PROJECT, ("member",), ("password",), int(NOW), int(NOW) + LIFETIME, "x" * 22))
    assert msgspec.msgpack.decode(old, type=Claims).domain_id == ""
