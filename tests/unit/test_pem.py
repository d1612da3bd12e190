"""PEM in whatever form it comes is brought into the strict one, and a block is never passed over in silence."""

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from equipoise.certificates.pair import check_pair, served_certificate, served_key
from equipoise.certificates.pem import Block, PemFault
from equipoise.core.errors import InvalidField
from stand.certificates import Key, chain, ec_key, ec_pair, issue, private_pem, rsa_pair
from tests.odd_pem import FAULTS, FORMS


@pytest.mark.parametrize("base64", ["QUI=QUI", "QU=JD", "Q=UJD", "QQ==QQ"])
def test_padding_in_the_middle_is_told_whatever_the_length(base64: str) -> None:
    with pytest.raises(PemFault, match="in the middle"):
        Block("CERTIFICATE", base64).decoded()


@pytest.mark.parametrize("form", FORMS)
def test_a_chain_in_any_form_is_served_whole(form: str) -> None:
    text = FORMS[form](chain().pem + chain().root.certificate)
    check_pair(text, chain().own.private_key)
    assert served_certificate(text) == chain().pem + chain().root.certificate


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", [chain().own.key, ec_key()], ids=["RSA", "ECDSA"])
@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS8", "traditional"])
def test_a_key_in_any_form_is_served(form: str, key: Key, kind: PrivateFormat) -> None:
    made = issue("a.test", key)
    text = FORMS[form](private_pem(made.key, kind))
    check_pair(made.certificate, text)
    assert served_key(text) == made.private_key


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_understood_is_told(fault: str) -> None:
    change, told = FAULTS[fault]
    for certificate, key, part in (
        (change(chain().pem), chain().own.private_key, "certificate"),
        (chain().pem, change(chain().own.private_key), "private_key"),
    ):
        with pytest.raises(InvalidField) as caught:
            check_pair(certificate, key)
        assert caught.value.message.startswith(part)
        assert told in caught.value.message


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("CERTIFICATE REQUEST", "holds a certificate request"),
        ("NEW CERTIFICATE REQUEST", "holds a certificate request"),
        ("PKCS7", "holds a bundle (PKCS7)"),
        ("CMS", "holds a bundle (CMS)"),
        ("CERTIFCATE", "holds a block of another label than CERTIFICATE"),
        ("RSA PRIVATE KEY", "holds a private key"),
    ],
)
def test_a_block_that_may_hide_a_certificate_or_a_key_is_not_passed_over(label: str, told: str) -> None:
    made = chain()
    with pytest.raises(InvalidField, match="certificate") as caught:
        check_pair(made.own.certificate + made.intermediate.certificate.replace("CERTIFICATE", label), "")
    assert told in caught.value.message


@pytest.mark.parametrize("label", ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"])
def test_other_labels_of_certificates_are_understood(label: str) -> None:
    text = chain().pem.replace("CERTIFICATE", label)
    check_pair(text, chain().own.private_key)
    assert served_certificate(text) == chain().pem


def test_what_stands_beside_a_key_is_ignored() -> None:
    pair = ec_pair()
    text = pair.certificate + pair.private_key + chain().pem
    check_pair(pair.certificate, text)
    assert served_key(text) == pair.private_key


def test_what_was_stored_and_cannot_be_understood_is_served_as_it_is() -> None:
    text = rsa_pair().certificate + "-----BEGIN CERTIFICATE-----\n"
    assert served_certificate(text) == text
    assert served_key("a key") == "a key"


@pytest.mark.parametrize("text", ["-BEGIN A" * 120_000, "- " * 500_000, "-BEGIN" + " " * 1_000_000, "MII" * 330_000])
def test_a_megabyte_that_only_looks_like_pem_is_read_in_one_pass(text: str) -> None:
    """A pattern that starts again at each character would take hours."""
    with pytest.raises(InvalidField, match="certificate is not in PEM"):
        check_pair(text, text)
