"""Tokens: what they say, when they stop to count, and what happens to the list of revoked ones."""

from collections.abc import Callable

import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.core.errors import ServiceError, TokenExpired, TokenMalformed, TokenRevoked
from equipoise.identity import tokens as tokens_module
from equipoise.identity.tokens import Claims, Revocations, Tokens

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


KEY = Fernet.generate_key()


def with_keys(*keys: bytes, clock: Callable[[], float]) -> Tokens:
    return Tokens(keys, Revocations(clock), LIFETIME, clock)


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return with_keys(KEY, clock=clock)


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


def test_an_expired_token_is_told_from_a_malformed_one_after_a_restart(tokens: Tokens, clock: Clock) -> None:
    text, claims = issue(tokens)
    clock.now = claims.expires + 1
    assert refusal(with_keys(KEY, clock=clock), text) is TokenExpired


def test_a_token_counts_after_a_restart(tokens: Tokens, clock: Clock) -> None:
    text, claims = issue(tokens)
    assert with_keys(KEY, clock=clock).verify(text) == claims


def test_a_revoked_token_is_refused_at_once_and_no_other_one(tokens: Tokens) -> None:
    text, claims = issue(tokens)
    other, _ = issue(tokens)
    tokens.verify(text)
    tokens.revocations.add({claims.audit_id: claims.expires})
    assert refusal(tokens, text) is TokenRevoked
    tokens.verify(other)


def test_the_first_key_makes_tokens_and_those_of_all_keys_count(clock: Clock) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    before, _ = issue(with_keys(old, clock=clock))
    both = with_keys(new, old, clock=clock)
    both.verify(before)
    with_keys(new, clock=clock).verify(issue(both)[0])


def test_a_token_of_another_key_is_malformed(tokens: Tokens, clock: Clock) -> None:
    text, _ = with_keys(Fernet.generate_key(), clock=clock).issue(USER, PROJECT, ("admin",), ("password",))
    assert refusal(tokens, text) is TokenMalformed


def test_a_text_under_the_right_key_that_is_no_token_is_malformed(tokens: Tokens) -> None:
    assert refusal(tokens, Fernet(KEY).encrypt(b"\x91\x01").decode()) is TokenMalformed


@pytest.mark.parametrize("text", ["", " ", "gAAAA", "x" * 5000, "\ud800", "tökén", "\0"])
def test_a_strange_text_is_malformed(tokens: Tokens, text: str) -> None:
    assert refusal(tokens, text) is TokenMalformed


@pytest.fixture(scope="module")
def steady() -> Tokens:
    return with_keys(KEY, clock=lambda: NOW)


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


def test_revocations_of_expired_tokens_are_forgotten(tokens: Tokens, clock: Clock) -> None:
    revocations = Revocations(clock)
    revocations._tidy_at = 4
    revocations.add({f"old-{number}": int(NOW) + LIFETIME for number in range(3)})
    clock.now += LIFETIME
    revocations.add({"alive": int(clock.now) + 1})
    assert "alive" in revocations
    assert "old-1" not in revocations


def test_a_token_of_before_there_were_domains_still_counts(tokens: Tokens) -> None:
    """The format of the token: fields are added at the end, with a default."""
    old = msgspec.msgpack.encode((USER, PROJECT, ("member",), ("password",), int(NOW), int(NOW) + LIFETIME, "x" * 22))
    assert msgspec.msgpack.decode(old, type=Claims).domain_id == ""
