"""A join token is one line that gives nothing away when it is wrong, and certificates say who somebody is."""

from datetime import UTC, datetime, timedelta

import pytest

from equipoise.wire.authority import (
    Authority,
    NoPeerError,
    Peer,
    PeerKind,
    fingerprint,
    new_key,
    peer_of,
    request,
    requested_key,
)
from equipoise.wire.join_token import JoinToken, JoinTokenError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PAIR = Authority.create(NOW)
AUTHORITY = Authority(PAIR.certificate, PAIR.key)


def test_a_token_is_read_as_it_was_written() -> None:
    token = JoinToken(PAIR.certificate, AUTHORITY.for_joining("ab", NOW, DAY))
    text = token.to_text()
    assert len(text.split()) == 1
    assert JoinToken.from_text(f" {text}\n") == token
    assert peer_of(token.pair.certificate) == Peer(PeerKind.JOIN, "ab")
    assert "PRIVATE" not in repr(token)
    assert not token.has_expired(NOW + DAY - timedelta(seconds=1))
    assert token.has_expired(NOW + DAY)


def test_what_is_no_token_is_not_quoted() -> None:
    whole = JoinToken(PAIR.certificate, AUTHORITY.for_joining("ab", NOW, DAY)).to_text()
    for text in ("", "hunter2", whole[:-20], whole[:60] + "A" + whole[61:][:-1], "equipoise-join-1.é"):
        with pytest.raises(JoinTokenError, match="must be the whole line") as told:
            JoinToken.from_text(text)
        assert "hunter2" not in str(told.value)
        assert told.value.__cause__ is None


def test_a_certificate_of_a_controller_names_no_node() -> None:
    with pytest.raises(NoPeerError):
        peer_of(AUTHORITY.for_controller(NOW, DAY).certificate)
    with pytest.raises(NoPeerError):
        peer_of(PAIR.certificate)


def test_a_request_proves_its_key() -> None:
    key = new_key()
    asked = request(key)
    assert fingerprint(requested_key(asked)) == fingerprint(requested_key(request(key)))
    assert fingerprint(requested_key(request(new_key()))) != fingerprint(requested_key(asked))
    for wrong in (b"", b"x", asked[:-60] + b"AAAA" + asked[-56:]):
        with pytest.raises(NoPeerError):
            requested_key(wrong)
