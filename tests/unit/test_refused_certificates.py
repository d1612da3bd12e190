"""The page of TLS lists every reason for which a certificate, chain or key is refused, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipoise.api.classic.codes import RuleBroken
from equipoise.api.classic.errors import translated
from equipoise.api.classic.rules import create_certificate
from equipoise.certificates.pair import check_pair
from equipoise.core.errors import InvalidField
from stand.certificates import chain, ec_pair, rsa_pair
from tests.odd_certificates import odd_pairs
from tests.odd_pem import FAULTS

TLS_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tls.md"


def documented() -> list[re.Pattern[str]]:
    """The first column of the table of reasons; `…` stands for anything."""
    table = TLS_PAGE.read_text("utf-8").partition("### Why a certificate is refused")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `(.+)` \| .+ \|$", table, re.MULTILINE)
    return [re.compile(".+".join(map(re.escape, row.split("…")))) for row in rows]


def refused() -> Iterator[tuple[str, str]]:
    """Certificates and keys of which each is refused, for all reasons that there are."""
    made, pair = chain(), ec_pair()
    yield from ((odd.certificate, odd.private_key) for odd in odd_pairs() if odd.told)
    for change, _ in FAULTS.values():
        yield change(made.pem), made.own.private_key
        yield made.pem, change(made.own.private_key)
    for label in ("CERTIFICATE REQUEST", "PKCS7", "CERTIFCATE", "PRIVATE KEY"):
        yield made.own.certificate + made.intermediate.certificate.replace("CERTIFICATE", label), pair.private_key
    for key in ("garbage", pair.certificate, pair.private_key * 2, pair.private_key.replace("PRIV", "ENCRYPTED PRIV")):
        yield pair.certificate, key
    yield "garbage", pair.private_key
    yield pair.certificate, rsa_pair().private_key
    yield "a\0", pair.private_key
    yield pair.certificate, "\ud800"
    yield pair.certificate, next(odd.private_key for odd in odd_pairs() if odd.name == "Ed25519")


def upload(certificate: str, private_key: str) -> None:
    command = create_certificate({"certificate": certificate, "private_key": private_key})
    check_pair(command.certificate, command.private_key)


def detail(certificate: str, private_key: str) -> str:
    with pytest.raises((InvalidField, RuleBroken)) as caught:
        upload(certificate, private_key)
    told = translated(caught.value, "createCertificate")
    assert told is not None
    return told.detail


def test_every_reason_is_documented_and_every_documented_one_is_met() -> None:
    patterns = documented()
    assert len(patterns) > 50
    told = [detail(*pair) for pair in refused()]
    assert [each for each in told if not any(pattern.search(each) for pattern in patterns)] == []
    assert [pattern.pattern for pattern in patterns if not any(pattern.search(each) for each in told)] == []
    parts = re.compile(r"certificate |certificate: (the \w+ one|it|its) |certificate: the common name|private_key ")
    assert [each for each in told if not parts.match(each)] == []
