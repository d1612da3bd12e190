"""The rules of a certificate's fields, and of the ids and queries that name certificates."""

import pytest

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import certificate_filters, certificate_id, create_certificate, update_certificate
from equipoise.core.commands import CreateCertificateCommand, UpdateCertificateCommand

BODY = {"certificate": "a certificate", "private_key": "a key"}


def rule_of(body: object, *, update: bool = False) -> Rule:
    with pytest.raises(RuleBroken) as caught:
        (update_certificate if update else create_certificate)(body)
    return caught.value.rule


def test_only_certificate_and_key_are_mandatory() -> None:
    assert create_certificate(BODY) == CreateCertificateCommand("a certificate", "a key", "", "", "")


def test_every_field_is_taken() -> None:
    more = {"name": "证书 of *.example", "description": "d", "domain": "www.example-1.com"}
    assert create_certificate(BODY | more) == CreateCertificateCommand(
        "a certificate", "a key", "证书 of *.example", "d", "www.example-1.com"
    )


@pytest.mark.parametrize("field", ["certificate", "private_key"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_certificate_or_key_has_its_own_rule_and_comes_first(field: str, value: object) -> None:
    assert rule_of(BODY | {field: value, "name": 5}) is Rule.CERTIFICATE_FIELD_MISSING


@pytest.mark.parametrize(
    "field",
    [
        {"certificate": 5},
        {"certificate": ["x"]},
        {"private_key": {"x": 1}},
        {"private_key": "half a character: \ud800"},
        {"certificate": "a\0b"},
        {"name": 5},
        {"name": "n" * 65},
        {"name": "a\nb"},
        {"description": "d" * 129},
        {"description": "<b>"},
        {"domain": "d" * 255},
        {"domain": "a_b"},
        {"domain": "*.example.com"},
        {"domain": True},
    ],
)
def test_a_value_out_of_its_range_is_refused(field: dict[str, object]) -> None:
    assert rule_of(BODY | field) is Rule.CERTIFICATE_INVALID
    assert rule_of(field, update=True) is Rule.CERTIFICATE_INVALID


def test_the_longest_values_are_taken() -> None:
    create_certificate(BODY | {"name": "n" * 64, "description": "d" * 128, "domain": "d" * 254})


def test_other_characters_than_those_of_ascii_may_stand_around_the_blocks() -> None:
    text = "\ufeffAussteller: Prüfstelle 证书"
    assert create_certificate(BODY | {"certificate": text, "private_key": text}).certificate == text
    assert update_certificate({"private_key": text}).private_key == text


def test_no_sentence_quotes_what_may_be_a_key() -> None:
    for field in ("certificate", "private_key"):
        for value in (5555, "the secret\0", "the secret\udfff"):
            with pytest.raises(RuleBroken) as caught:
                create_certificate(BODY | {field: value})
            assert "5555" not in str(caught.value)
            assert "the secret" not in str(caught.value)


def test_an_update_holds_what_is_given_and_nothing_else() -> None:
    assert update_certificate({}) == UpdateCertificateCommand(None, None, {})
    assert update_certificate({"name": "n", "private_key": None, "tenant_id": "x"}) == UpdateCertificateCommand(
        None, None, {"name": "n"}
    )
    assert update_certificate({**BODY, "domain": ""}) == UpdateCertificateCommand(
        "a certificate", "a key", {"domain": ""}
    )


def test_the_mask_of_an_answer_sent_back_means_the_key_as_it_is() -> None:
    assert update_certificate({"certificate": "c", "private_key": "******"}).private_key is None


@pytest.mark.parametrize("field", ["certificate", "private_key"])
def test_an_update_with_an_empty_text_says_so(field: str) -> None:
    assert rule_of({field: ""}, update=True) is Rule.CERTIFICATE_FIELD_MISSING


@pytest.mark.parametrize("text", ["x", "A" * 32, "a" * 31])
def test_what_cannot_be_an_id_names_no_certificate(text: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        certificate_id(text)
    assert caught.value.rule is Rule.CERTIFICATE_UNKNOWN


def test_certificates_are_found_by_what_describes_them() -> None:
    wanted = certificate_filters({"name": "n", "domain": "d", "limit": "2", "marker": "a" * 32})
    assert (wanted.filters, wanted.limit, wanted.marker) == ({"name": "n", "domain": "d"}, 2, "a" * 32)
    with pytest.raises(RuleBroken) as caught:
        certificate_filters({"private_key": "x"})
    assert caught.value.rule is Rule.CERTIFICATE_QUERY_INVALID
