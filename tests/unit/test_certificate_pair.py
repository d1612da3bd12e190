"""Which certificates and keys belong together, and what is said about those that do not."""

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from equipoise.certificates.pair import check_pair
from equipoise.core.errors import InvalidField, ServiceError
from stand.certificates import Key, chain, ec_key, ec_pair, issue, private_pem, rsa_key, rsa_pair

EC_PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def complaint(certificate: str, private_key: str) -> str:
    with pytest.raises(ServiceError) as caught:
        check_pair(certificate, private_key)
    assert type(caught.value) is InvalidField
    return caught.value.message


def key_usage(*, digital_signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature, False, True, False, False, False, False, False, False)


@pytest.mark.parametrize(
    "key",
    [
        lambda: rsa_key(),
        lambda: rsa_key(0, 3072),
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
    ],
    ids=["RSA-2048", "RSA-3072", "P-256", "P-384", "P-521"],
)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS8", "traditional"])
def test_every_kind_of_key_that_is_served_passes_in_either_form(key: Callable[[], Key], form: PrivateFormat) -> None:
    made = key()
    check_pair(issue("a.test", made).certificate, private_pem(made, form))


def test_text_around_the_blocks_and_other_line_ends_are_no_fault() -> None:
    pair = ec_pair()
    check_pair("Bag Attributes\n" + pair.certificate.replace("\n", "\r\n"), "  a comment\n" + pair.private_key)
    check_pair(pair.certificate, EC_PARAMETERS + private_pem(pair.key, PrivateFormat.TraditionalOpenSSL))


def test_an_expired_certificate_and_one_of_tomorrow_pass() -> None:
    check_pair(issue("a.test", rsa_key(), days=(-10, -1)).certificate, private_pem(rsa_key()))
    check_pair(issue("a.test", rsa_key(), days=(1, 10)).certificate, private_pem(rsa_key()))


def test_a_chain_in_order_passes_with_and_without_its_root() -> None:
    made = chain()
    check_pair(made.pem, made.own.private_key)
    check_pair(made.pem + made.root.certificate, made.own.private_key)


def test_a_chain_out_of_order_is_told() -> None:
    made = chain()
    upside_down = made.own.certificate + made.root.certificate + made.intermediate.certificate
    assert "the second one did not issue the first" in complaint(upside_down, made.own.private_key)
    with_a_stranger = made.pem + rsa_pair().certificate
    assert "the third one did not issue the second" in complaint(with_a_stranger, made.own.private_key)


def test_a_key_of_another_certificate_in_the_chain_is_told() -> None:
    made = chain()
    upside_down = made.intermediate.certificate + made.own.certificate
    assert "belongs to the second certificate; that one must come first" in complaint(upside_down, made.own.private_key)


def test_the_key_of_another_certificate_does_not_match() -> None:
    assert "does not match" in complaint(rsa_pair().certificate, rsa_pair(number=1).private_key)
    assert "does not match" in complaint(rsa_pair().certificate, ec_pair().private_key)


@pytest.mark.parametrize("certificate", ["garbage", "", "MIIB" * 100])
def test_a_certificate_that_is_not_pem_is_told(certificate: str) -> None:
    assert "certificate is not in PEM" in complaint(certificate, rsa_pair().private_key)


def test_a_certificate_that_is_cut_off_is_told_with_its_place() -> None:
    made = chain()
    lines = made.intermediate.certificate.splitlines(keepends=True)
    damaged = made.own.certificate + "".join([*lines[:5], *lines[-1:]])
    assert "the second one in it is cut off: " in complaint(damaged, made.own.private_key)


def test_a_private_key_among_the_certificates_is_never_stored_readable() -> None:
    pair = rsa_pair()
    assert "certificate holds a private key" in complaint(pair.certificate + pair.private_key, pair.private_key)


def test_a_chain_without_end_is_refused() -> None:
    pair = rsa_pair()
    assert "at most 10" in complaint(pair.certificate * 11, pair.private_key)


def test_a_key_that_is_not_pem_is_told() -> None:
    assert "private_key is not in PEM" in complaint(rsa_pair().certificate, "garbage")
    told = complaint(rsa_pair().certificate, rsa_pair().certificate)
    assert "private_key holds no private key, but CERTIFICATE" in told


def test_a_key_that_is_cut_off_is_told() -> None:
    lines = rsa_pair().private_key.splitlines(keepends=True)
    assert "without -----END PRIVATE KEY-----; is it cut off?" in complaint(rsa_pair().certificate, "".join(lines[:-1]))
    assert "private_key cannot be read" in complaint(rsa_pair().certificate, "".join([*lines[:5], *lines[-1:]]))


def test_two_keys_are_one_too_many() -> None:
    assert "holds 2 keys" in complaint(rsa_pair().certificate, rsa_pair().private_key + ec_pair().private_key)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS8", "traditional"])
def test_an_encrypted_key_is_told(form: PrivateFormat) -> None:
    encrypted = rsa_key().private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"word")).decode()
    assert "private_key is encrypted" in complaint(rsa_pair().certificate, encrypted)


@pytest.mark.parametrize(
    "key",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: ec.generate_private_key(ec.SECP224R1()),
        lambda: dsa.generate_private_key(2048),
        lambda: ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA-1024", "secp256k1", "P-224", "DSA", "Ed25519"],
)
def test_a_key_of_a_kind_that_is_not_served_is_told(key: Callable[[], Key]) -> None:
    pem = key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert "must be RSA with 2048 to 8192 bits, or ECDSA on P-256, P-384 or P-521" in complaint(
        rsa_pair().certificate, pem
    )


def test_a_key_whose_numbers_do_not_fit_each_other_is_damaged() -> None:
    good = rsa_key().private_numbers()
    bad = rsa.RSAPrivateNumbers(good.p, good.q, good.d, good.dmp1, good.dmq1 + 2, good.iqmp, good.public_numbers)
    pem = private_pem(bad.private_key(unsafe_skip_rsa_key_validation=True))
    assert "private_key is damaged" in complaint(rsa_pair().certificate, pem)


def test_an_ecdsa_certificate_that_may_not_sign_is_told() -> None:
    certificate = issue("a.test", ec_key(), extensions=[key_usage(digital_signature=False)]).certificate
    assert "does not allow digital signatures" in complaint(certificate, private_pem(ec_key()))
    check_pair(
        issue("a.test", ec_key(), extensions=[key_usage(digital_signature=True)]).certificate, private_pem(ec_key())
    )
    check_pair(
        issue("a.test", rsa_key(), extensions=[key_usage(digital_signature=False)]).certificate, private_pem(rsa_key())
    )


def test_no_complaint_quotes_the_key() -> None:
    line = rsa_pair().private_key.splitlines()[3]
    for certificate in ("garbage", ec_pair().certificate, rsa_pair().certificate + rsa_pair().private_key):
        assert line not in complaint(certificate, rsa_pair().private_key)
