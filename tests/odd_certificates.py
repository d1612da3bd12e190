"""Odd certificates and keys, with what must come of each: it is served whole, or refused with this reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from math import gcd
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from stand.certificates import ec_key, rsa_key
from tests.der import (
    NULL,
    PRINTABLE,
    TRUE,
    UTF8,
    alternative_names,
    bits,
    common_name,
    extension,
    generalized_time,
    integer,
    name,
    octets,
    oid,
    pem,
    sequence,
    tlv,
    unpem,
    utc_time,
)

Sign = Callable[[bytes], bytes]

DNS, URI, ADDRESS, EMAIL, OTHER = 0x82, 0x86, 0x87, 0x81, 0xA0
RSA, EC, PSS, CURVE = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.2.840.113549.1.1.10", "1.2.840.10045.3.1.7"
ORGANIZATION = "2.5.4.10"
NAMED = alternative_names((DNS, b"a.test"))
CA = extension("2.5.29.19", sequence(TRUE), critical=True)
VALID = sequence(utc_time("250101000000Z"), utc_time("491231235959Z"))
EXPIRED = sequence(utc_time("200101000000Z"), utc_time("210101000000Z"))

_SERIALS = count(1000)


@dataclass(frozen=True)
class Odd:
    """One case. `told` is part of the reason for which it is refused; without one it is served, whole."""

    name: str
    certificate: str
    private_key: str = field(repr=False)
    told: str | None = None

    @property
    def chain(self) -> Sequence[bytes]:
        """What clients get, in DER."""
        return unpem(self.certificate)


@cache
def other_key(kind: str) -> PrivateKeyTypes:
    """A key of a kind that is rarely met."""
    match kind:
        case "DSA":
            return dsa.generate_private_key(2048)
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "Ed448":
            return ed448.Ed448PrivateKey.generate()
        case _:
            curve: type[ec.EllipticCurve] = getattr(ec, kind)
            return ec.generate_private_key(curve())


@cache
def exponent_key(length: int) -> rsa.RSAPrivateKey:
    """An RSA key whose public exponent is the largest that has so many bits."""
    old = rsa_key().private_numbers()
    order = (old.p - 1) * (old.q - 1)
    exponent = next(e for e in range(2**length - 1, 2 ** (length - 1), -2) if gcd(e, order) == 1)
    secret = pow(exponent, -1, order)
    numbers = rsa.RSAPrivateNumbers(
        old.p,
        old.q,
        secret,
        secret % (old.p - 1),
        secret % (old.q - 1),
        old.iqmp,
        rsa.RSAPublicNumbers(exponent, old.public_numbers.n),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def key_pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(key: PrivateKeyTypes, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, form)


def signing(key: PrivateKeyTypes, digest: hashes.HashAlgorithm | None = None) -> Sign:
    """How a key signs, by default with SHA-256 where there is a choice."""
    digest = digest or hashes.SHA256()

    def sign(data: bytes) -> bytes:
        match key:
            case rsa.RSAPrivateKey():
                return key.sign(data, padding.PKCS1v15(), digest)
            case ec.EllipticCurvePrivateKey():
                return key.sign(data, ec.ECDSA(digest))
            case dsa.DSAPrivateKey():
                return key.sign(data, digest)
            case ed25519.Ed25519PrivateKey() | ed448.Ed448PrivateKey():
                return key.sign(data)
        raise AssertionError(key)

    return sign


def algorithm(key: PrivateKeyTypes) -> bytes:
    match key:
        case rsa.RSAPrivateKey():
            return sequence(oid("1.2.840.113549.1.1.11"), NULL)
        case ec.EllipticCurvePrivateKey():
            return sequence(oid("1.2.840.10045.4.3.2"))
        case dsa.DSAPrivateKey():
            return sequence(oid("2.16.840.1.101.3.4.3.2"))
        case ed448.Ed448PrivateKey():
            return sequence(oid("1.3.101.113"))
        case _:
            return sequence(oid("1.3.101.112"))


def certificate(
    key: PrivateKeyTypes,
    *extensions: bytes,
    signer: PrivateKeyTypes | None = None,
    sign: Sign | None = None,
    signed_with: bytes = b"",
    subject: bytes = b"",
    issuer: bytes = b"",
    version: int | None = 2,
    serial: bytes = b"",
    validity: bytes = VALID,
    spki: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """A certificate, sound but for what is given. `version` is as it is written: 2 means 3; None leaves it out."""
    subject = subject or common_name("a.test")
    signed_with = signed_with or algorithm(signer or key)
    body = sequence(
        b"" if version is None else tlv(0xA0, integer(version)),
        serial or integer(next(_SERIALS)),
        signed_with,
        issuer or subject,
        validity,
        subject,
        spki or public(key),
        more,
        tlv(0xA3, sequence(*extensions)) if extensions else b"",
    )
    return sequence(body, signed_with, bits((sign or signing(signer or key))(body)))


def odd(case: str, data: bytes, key: PrivateKeyTypes | str, told: str | None = None) -> Odd:
    return Odd(case, pem(data), key if isinstance(key, str) else key_pem(key), told)


@cache
def odd_pairs() -> Sequence[Odd]:
    return (
        *_kinds_of_keys(),
        *_signatures(),
        *_versions_and_numbers(),
        *_times(),
        *_names(),
        *_alternative_names(),
        *_extensions(),
        *_points(),
        *_private_keys(),
        *_chains(),
        *_sizes(),
    )


def _kinds_of_keys() -> Sequence[Odd]:
    not_served = "has a key of a kind that is not served"
    small = rsa.generate_private_key(65537, 1024)
    modulus = rsa_key().public_key().public_numbers().n
    return (
        *(
            odd(kind, certificate(other_key(kind), NAMED), other_key(kind))
            for kind in ("SECP256R1", "SECP384R1", "SECP521R1")
        ),
        *(
            odd(kind, certificate(other_key(kind), NAMED), other_key(kind), f"{not_served} (ECDSA on {kind.lower()})")
            for kind in ("SECP224R1", "SECP256K1")
        ),
        odd(
            "brainpool",
            certificate(other_key("BrainpoolP256R1"), NAMED),
            other_key("BrainpoolP256R1"),
            f"{not_served} (ECDSA on brainpoolP256r1)",
        ),
        *(
            odd(kind, certificate(other_key(kind), NAMED), other_key(kind), f"{not_served} ({kind})")
            for kind in ("DSA", "Ed25519", "Ed448")
        ),
        odd("RSA-1024", certificate(small, NAMED), small, f"{not_served} (RSA with 1024 bits)"),
        odd("RSA-2049", certificate(rsa_key(0, 2049), NAMED), rsa_key(0, 2049)),
        odd("RSA-4096", certificate(rsa_key(0, 4096), NAMED), rsa_key(0, 4096)),
        odd(
            "RSA of more than 8192 bits",
            certificate(rsa_key(), NAMED, spki=_rsa(sequence(integer(modulus << 6200 | 1), integer(65537)))),
            rsa_key(),
            "(RSA with 8248 bits)",
        ),
        odd("exponent of 33 bits", certificate(exponent_key(33), NAMED), exponent_key(33)),
        odd("exponent of 34 bits", certificate(exponent_key(34), NAMED), exponent_key(34), "longer than 33 bits"),
        odd("RSA for PSS alone", certificate(rsa_key(), NAMED, spki=_rsa(kind=PSS, parameters=b"")), rsa_key(), "PSS"),
        odd(
            "RSA without NULL", certificate(rsa_key(), NAMED, spki=_rsa(parameters=b"")), rsa_key(), "without the NULL"
        ),
        odd("a damaged key", certificate(rsa_key(), NAMED, spki=_rsa(b"xx")), rsa_key(), "has a key that is damaged"),
        odd("a kind without a name", certificate(rsa_key(), NAMED, spki=_rsa(kind="1.2.3.4")), rsa_key(), "(1.2.3.4)"),
    )


def _rsa(key: bytes = b"", *, kind: str = RSA, parameters: bytes = NULL) -> bytes:
    return sequence(sequence(oid(kind), parameters), bits(key or public(rsa_key(), PublicFormat.PKCS1)))


def _signatures() -> Sequence[Odd]:
    key = rsa_key()
    old = {"SHA-1": (hashes.SHA1(), 5), "MD5": (hashes.MD5(), 4), "SHA-224": (hashes.SHA224(), 14)}
    by = {
        f"signed with {label}": (sequence(oid(f"1.2.840.113549.1.1.{arc}"), NULL), signing(rsa_key(9), digest))
        for label, (digest, arc) in old.items()
    }
    by["signed with PSS"] = (_pss(), lambda data: rsa_key(9).sign(data, _PSS_PADDING, hashes.SHA256()))
    by["signed with PSS and an endless salt"] = (_pss(1 << 64), lambda _: b"who knows")
    by["signed with something unknown"] = (sequence(oid("1.2.3.4")), lambda _: b"who knows")
    return (
        *(
            Odd(
                label,
                pem(certificate(key, NAMED, issuer=common_name("ca"), signed_with=kind, sign=sign))
                + pem(certificate(rsa_key(9), CA, subject=common_name("ca"))),
                key_pem(key),
            )
            for label, (kind, sign) in by.items()
        ),
        *(
            Odd(
                f"issued by {kind}",
                pem(certificate(key, NAMED, issuer=common_name("ca"), signer=other_key(kind)))
                + pem(certificate(other_key(kind), CA, subject=common_name("ca"))),
                key_pem(key),
            )
            for kind in ("DSA", "Ed25519", "Ed448", "BrainpoolP256R1", "SECP256K1", "SECP224R1", "SECP521R1")
        ),
        odd("a signature of nothing", certificate(key, NAMED, sign=lambda _: b""), key),
        odd(
            "ECDSA with NULL",
            certificate(ec_key(), NAMED, signed_with=sequence(oid("1.2.840.10045.4.3.2"), NULL)),
            ec_key(),
        ),
        odd(
            "parameters of no known type",
            certificate(key, NAMED, signed_with=sequence(oid("1.2.3.4"), b"\x00\x00")),
            key,
            "holds a value of a type that is not known here",
        ),
    )


_PSS_PADDING = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


def _pss(salt: int = 32) -> bytes:
    sha256 = sequence(oid("2.16.840.1.101.3.4.2.1"), NULL)
    mask = sequence(oid("1.2.840.113549.1.1.8"), sha256)
    return sequence(oid(PSS), sequence(tlv(0xA0, sha256), tlv(0xA1, mask), tlv(0xA2, integer(salt))))


def _versions_and_numbers() -> Sequence[Odd]:
    key = rsa_key()
    needless = "has more bytes than it needs"
    return (
        odd("version 1", certificate(key, version=None), key),
        odd("version 1, spelled out", certificate(key, version=0), key),
        odd("version 2", certificate(key, version=1), key),
        odd("version 3 without extensions", certificate(key), key),
        odd("version 4", certificate(key, NAMED, version=3), key, "has version 4, but X.509 knows 1 to 3"),
        odd(
            "a version of 20,000 bits",
            certificate(key, NAMED, version=1 << 20_000),
            key,
            "has version a number far out of range, but X.509 knows 1 to 3",
        ),
        odd("a type of 128 bits", certificate(key, NAMED, extension(f"2.25.{2**128 - 1}", b"")), key),
        odd(
            "a type of 129 bits",
            certificate(key, NAMED, extension(f"2.25.{2**128}", b"")),
            key,
            "has an object identifier with a number of more than 128 bits",
        ),
        odd(
            "a type of 280,000 bits",
            certificate(key, signed_with=sequence(tlv(0x06, b"\x2a" + b"\xff" * 40_000 + b"\x7f"))),
            key,
            "has an object identifier with a number of more than 128 bits",
        ),
        odd("version 1 with extensions", certificate(key, NAMED, version=None), key, "which version 1 has not"),
        odd("version 2 with extensions", certificate(key, NAMED, version=1), key, "which version 2 has not"),
        odd("unique identifiers", certificate(key, NAMED, more=tlv(0x81, b"\0a") + tlv(0x82, b"\0b")), key),
        odd("a negative serial number", certificate(key, NAMED, serial=integer(-5)), key),
        odd("serial number 0", certificate(key, NAMED, serial=integer(0)), key),
        odd("a serial number of 50 bytes", certificate(key, NAMED, serial=integer(1 << 400)), key),
        odd("a padded serial number", certificate(key, NAMED, serial=tlv(2, b"\0\0\5")), key, needless),
        odd("bytes after the end", certificate(key, NAMED) + b"\0\0", key, "has 2 bytes after its end"),
        odd("cut off", certificate(key, NAMED)[:-9], key, "is cut off: "),
        odd("a length with a zero", _with_long_length(certificate(key, NAMED)), key, needless),
    )


def _with_long_length(data: bytes) -> bytes:
    return b"\x30\x83\x00" + data[2:]


def _times() -> Sequence[Odd]:
    key = rsa_key()
    form, missing = "is not written as RFC 5280 asks", "to a time that does not exist"
    times = {
        "expired": (EXPIRED, None),
        "not yet valid": (sequence(utc_time("480101000000Z"), utc_time("490101000000Z")), None),
        "valid to the end of time": (sequence(utc_time("200101000000Z"), generalized_time("99991231235959Z")), None),
        "GeneralizedTime before 2050": (sequence(*[generalized_time("20200229000000Z")] * 2), None),
        "a time with an offset": (sequence(utc_time("200101000000+0100"), utc_time("300101000000-0230")), None),
        "a time without seconds": (sequence(utc_time("2001010000Z"), utc_time("3001010000Z")), form),
        "fractions of a second": (sequence(*[generalized_time("20200101000000.5Z")] * 2), form),
        "a time without a zone": (sequence(*[utc_time("200101000000")] * 2), form),
        "the 30th of February": (sequence(*[utc_time("200230000000Z")] * 2), missing),
        "month 13": (sequence(*[utc_time("201301000000Z")] * 2), missing),
    }
    return [odd(case, certificate(key, NAMED, validity=each), key, told) for case, (each, told) in times.items()]


def _names() -> Sequence[Odd]:
    key = rsa_key()
    type_told, encoded, character = "ASN.1 type that clients do not read", "not encoded as it says", "is no character"
    texts: dict[str, tuple[int, bytes, str | None]] = {
        "PrintableString with a star": (PRINTABLE, b"*.a_b.test", None),
        "T61String": (0x14, b"a\xe9", None),
        "IA5String of 8 bits": (0x16, b"\xe9", None),
        "NumericString": (0x12, b"12", None),
        "BMPString": (0x1E, b"\0a\0b", None),
        "UniversalString": (0x1C, b"\0\1\xf6\0", None),
        "a NUL in a name": (UTF8, b"a\0b", None),
        "a name of 3,000 characters": (UTF8, b"x" * 3000, None),
        "an emoji": (UTF8, b"\xf0\x9f\x98\x80", None),
        "BMPString of three bytes": (0x1E, b"\0a\0", encoded),
        "BMPString with surrogates": (0x1E, b"\xd8\0\xdc\0", character),
        "UTF8String of no UTF-8": (UTF8, b"\xff\xfe", encoded),
        "U+FFFE": (UTF8, b"\xef\xbf\xbe", character),
        "VisibleString": (0x1A, b"ab", type_told),
        "GeneralString": (0x1B, b"ab", type_told),
        "a name that is a number": (0x02, b"\1", type_told),
        "an empty common name": (UTF8, b"", "the common name (CN) of its subject is empty"),
    }
    nobody = name((ORGANIZATION, UTF8, b"Org"))
    no_server = "it names no server"
    return (
        *(
            odd(case, certificate(key, NAMED, subject=common_name(text, tag)), key, told)
            for case, (tag, text, told) in texts.items()
        ),
        odd("no subject", certificate(key, NAMED, subject=name(), issuer=common_name("x")), key),
        odd("no issuer", certificate(key, NAMED, issuer=name()), key),
        odd("no subject and no other name", certificate(key, subject=name(), issuer=nobody), key, no_server),
        odd("no common name and no other name", certificate(key, subject=nobody), key, no_server),
        odd("a mailbox alone", certificate(key, alternative_names((EMAIL, b"a@b")), subject=nobody), key, no_server),
        odd("an address alone", certificate(key, alternative_names((ADDRESS, b"\1\2\3\4")), subject=nobody), key),
        odd("a URI alone", certificate(key, alternative_names((URI, b"urn:x")), subject=nobody), key),
        odd("a name with an empty set", certificate(key, NAMED, subject=sequence(tlv(0x31))), key, "an empty set"),
        odd(
            "a unique identifier in the name",
            certificate(key, NAMED, subject=name(("2.5.4.45", 0x03, b"\0\1"), ("2.5.4.3", UTF8, b"a"))),
            key,
        ),
        odd(
            "a set in the wrong order",
            certificate(
                key,
                NAMED,
                subject=sequence(
                    tlv(
                        0x31,
                        sequence(oid(ORGANIZATION), tlv(UTF8, b"o")),
                        sequence(oid("2.5.4.3"), tlv(UTF8, b"a")),
                    )
                ),
            ),
            key,
        ),
    )


def _alternative_names() -> Sequence[Odd]:
    key = ec_key()
    principal = oid("1.3.6.1.4.1.311.20.2.3") + tlv(0xA0, tlv(UTF8, b"u@a.test"))
    wrong = "has an extension (subject alternative names) that"
    names: dict[str, tuple[tuple[int, bytes], str | None]] = {
        "wildcard": ((DNS, b"*.a.test"), None),
        "DNS name of 8 bits": ((DNS, b"\xe9.test"), None),
        "DNS name with a NUL": ((DNS, b"a\0b"), None),
        "address of five bytes": ((ADDRESS, b"12345"), None),
        "user principal": ((OTHER, principal), None),
        "X.400 address": ((0xA3, b""), None),
        "EDI party": ((0xA5, tlv(0xA1, tlv(UTF8, b"x"))), None),
        "registered identifier": ((0x88, b"\x2a\3"), None),
        "directory name": ((0xA4, common_name("x")), None),
        "general name of no kind": ((0x89, b"x"), wrong),
        "other name without a value": ((OTHER, oid("1.2.3")), wrong),
    }
    return [
        odd(f"alternative name: {case}", certificate(key, alternative_names(each)), key, told)
        for case, (each, told) in names.items()
    ]


def _extensions() -> Sequence[Odd]:
    key = ec_key()
    usage = "key usage does not allow digital signatures"
    features = "1.3.6.1.5.5.7.1.24"
    cases: dict[str, tuple[Sequence[bytes], str | None]] = {
        "a CA": ([CA], None),
        "CA:FALSE, spelled out": ([extension("2.5.29.19", sequence(tlv(1, b"\0")))], None),
        "a path of -1": ([extension("2.5.29.19", sequence(TRUE, integer(-1)))], "to a negative number"),
        "basic constraints of garbage": ([extension("2.5.29.19", b"xx")], "has an extension (basic constraints) that"),
        "for clients alone": ([extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.2")))], None),
        "usages of garbage": ([extension("2.5.29.37", b"zz")], "has an extension (extended key usage) that"),
        "points of garbage": ([extension("2.5.29.31", b"zz")], "has an extension (CRL distribution points) that"),
        "a point named from the issuer on": ([_relative_point(oid("2.5.4.3"))], None),
        "a point that is named by nothing": (
            [_relative_point(b"\x06\x00")],
            "has an extension (CRL distribution points)",
        ),
        "authority of garbage": ([extension("2.5.29.35", b"zz")], "has an extension (authority key identifier) that"),
        "policies of garbage": ([extension("2.5.29.32", b"zz")], None),
        "critical and unknown": ([extension("1.2.3.4.5", b"x", critical=True)], None),
        "critical with a TRUE of 1": ([sequence(oid("1.2.3.4.5"), tlv(1, b"\1"), octets(b"x"))], None),
        "the same twice": ([extension("1.2.3.4.5", b"x")] * 2, "has the extension 1.2.3.4.5 twice"),
        "must-staple": ([extension(features, sequence(integer(5)))], "demands a stapled OCSP answer"),
        "must-staple for several": ([extension(features, sequence(integer(17)))], None),
        "may sign": ([extension("2.5.29.15", bits(b"\x80", 7))], None),
        "may sign, with trailing zeros": ([extension("2.5.29.15", bits(b"\x80"))], None),
        "may agree on keys alone": ([extension("2.5.29.15", bits(b"\x08", 3))], usage),
        "may sign certificates alone": ([extension("2.5.29.15", bits(b"\x04", 2))], usage),
        "may do nothing": ([extension("2.5.29.15", bits(b""))], usage),
        "usage of garbage": ([extension("2.5.29.15", octets(b"\1"))], "has an extension (key usage) that"),
        "a precertificate": ([extension("1.3.6.1.4.1.11129.2.4.3", NULL, critical=True)], None),
    }
    transport = extension("2.5.29.15", bits(b"\x20", 5))
    return (
        *(odd(case, certificate(key, NAMED, *more), key, told) for case, (more, told) in cases.items()),
        odd("RSA that may transport keys alone", certificate(rsa_key(), NAMED, transport), rsa_key()),
        odd("no extension at all", certificate(key, more=tlv(0xA3, sequence())), key),
    )


def _relative_point(kind: bytes) -> bytes:
    relative = tlv(0xA1, sequence(kind, tlv(UTF8, b"x")))
    return extension("2.5.29.31", sequence(sequence(tlv(0xA0, relative))))


def _points() -> Sequence[Odd]:
    key = ec_key()
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    compressed = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    cases = {
        "explicit parameters": (explicit_p256(), point, "does not name its curve"),
        "the curve of the issuer": (NULL, point, "does not name its curve"),
        "a compressed point": (oid(CURVE), compressed, "whose point is compressed"),
        "a hybrid point": (oid(CURVE), bytes((6 | point[-1] & 1,)) + point[1:], "whose point is compressed"),
        "a point beside the curve": (oid(CURVE), point[:-1] + bytes((point[-1] ^ 1,)), "has a key that is damaged"),
        "a curve nobody knows": (oid("1.2.3.4"), point, "of a kind that is not served"),
    }
    return [
        odd(case, certificate(key, NAMED, spki=sequence(sequence(oid(EC), curve), bits(where))), key, told)
        for case, (curve, where, told) in cases.items()
    ]


def explicit_p256() -> bytes:
    """The parameters of P-256, spelled out as `openssl ecparam -param_enc explicit` does (SEC 2, section 2.4.2)."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    x = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    y = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return sequence(
        integer(1),
        sequence(oid("1.2.840.10045.1.1"), integer(prime)),
        sequence(octets((prime - 3).to_bytes(32, "big")), octets(b.to_bytes(32, "big"))),
        octets(b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")),
        integer(order),
        integer(1),
    )


def _private_keys() -> Sequence[Odd]:
    own, of_rsa = certificate(ec_key(), NAMED), certificate(rsa_key(), NAMED)
    secret = ec_key().private_numbers().private_value.to_bytes(32, "big")
    bare = sequence(integer(1), octets(secret))
    pkcs1 = rsa_key().private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    sec1 = ec_key().private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    explicit = sequence(integer(1), octets(secret), tlv(0xA0, explicit_p256()))
    encrypted = ec_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    numbers = rsa_key().private_numbers()
    order = (numbers.p - 1) * (numbers.q - 1)

    def pkcs8(kind: bytes, key: bytes) -> str:
        return pem(sequence(integer(0), kind, octets(key)), "PRIVATE KEY")

    def rsa_numbers(d: int, inverse: int) -> str:
        modulus = numbers.public_numbers
        fields = (0, modulus.n, modulus.e, d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, inverse)
        return pem(sequence(*map(integer, fields)), "RSA PRIVATE KEY")

    return (
        odd("PKCS#1", of_rsa, pem(pkcs1, "RSA PRIVATE KEY")),
        odd("PKCS#1 under the label of PKCS#8", of_rsa, pem(pkcs1, "PRIVATE KEY")),
        odd("PKCS#8 under the label of PKCS#1", of_rsa, key_pem(rsa_key()).replace("PRIVATE", "RSA PRIVATE")),
        odd("PKCS#8 without NULL", of_rsa, pkcs8(sequence(oid(RSA)), pkcs1)),
        odd("key for PSS alone", of_rsa, pkcs8(sequence(oid(PSS)), pkcs1)),
        odd("SEC 1", own, pem(sec1, "EC PRIVATE KEY")),
        odd("SEC 1 under the label of PKCS#8", own, pem(sec1, "PRIVATE KEY")),
        odd("key without its public half", own, pkcs8(sequence(oid(EC), oid(CURVE)), bare)),
        odd("key with explicit parameters", own, pem(explicit, "EC PRIVATE KEY")),
        odd("key without a curve", own, pem(bare, "EC PRIVATE KEY"), "private_key cannot be read"),
        odd("key of another label", own, key_pem(ec_key()).replace("PRIVATE", "ANY PRIVATE")),
        odd("encrypted under another label", own, pem(encrypted, "PRIVATE KEY"), "private_key is encrypted"),
        odd("key of OpenSSH", own, pem(b"openssh-key-v1\0", "OPENSSH PRIVATE KEY"), "in the form of OpenSSH"),
        odd("exponent out of range", of_rsa, rsa_numbers(numbers.d + order, numbers.iqmp), "private_key is damaged"),
        odd("inverse out of range", of_rsa, rsa_numbers(numbers.d, numbers.iqmp + numbers.p), "private_key is damaged"),
        odd("key and certificate of two kinds", of_rsa, key_pem(ec_key()), "private_key does not match"),
    )


def _chains() -> Sequence[Odd]:
    key, issuer = rsa_key(), rsa_key(9)
    own = pem(certificate(key, NAMED, issuer=common_name("ca"), signer=issuer))
    authority = pem(certificate(issuer, CA, subject=common_name("ca")))
    above = pem(certificate(issuer, CA, subject=common_name("ca"), issuer=common_name("root"), signer=rsa_key(10)))
    root = pem(certificate(rsa_key(10), CA, subject=common_name("root")))
    order = "put the server's own first, then each issuer after what it issued"

    def issued_by(*extensions: bytes, subject: bytes = common_name("ca"), **odds: Any) -> str:
        return own + pem(certificate(issuer, *extensions, subject=subject, **odds))

    texts: dict[str, tuple[str, str | None]] = {
        "root included": (own + above + root, None),
        "root left out": (own + above, None),
        "root twice": (own + authority * 2, None),
        "ten": (own + authority * 9, None),
        "eleven": (own + authority * 10, "certificate has 11 certificates; at most 10 are allowed"),
        "the own one twice": (own * 2 + authority, "the second one is the first once more; leave one out"),
        "the wrong way round": (authority + own, "private_key belongs to the second certificate"),
        "issuers out of order": (own + root + above, f"did not issue the first, the third did; {order}"),
        "a stranger": (own + root, f'did not issue the first: the issuer is "ca", and not "root"; {order}'),
        "a stranger at the end": (own + above + root + own, "the 4th one is the first once more"),
        "another key of the issuer": (
            own + pem(certificate(rsa_key(10), CA, subject=common_name("ca"))),
            'it has the issuer\'s name, "ca", but another key than made the signature',
        ),
        "something after one's own": (
            pem(certificate(key, NAMED)) + authority,
            'did not issue the first, which "a.test" issued for itself; nothing may follow it',
        ),
        "issuer in another type of text": (issued_by(CA, subject=common_name("ca", PRINTABLE)), None),
        "issuer in capitals": (issued_by(CA, subject=common_name(" CA ")), None),
        "issuer that has expired": (issued_by(CA, validity=EXPIRED), None),
        "issuer of version 1": (issued_by(version=None), None),
        "issuer that is no CA": (issued_by(), None),
        "issuer with a negative serial number": (issued_by(CA, serial=integer(-7)), None),
        "issuer with a key of no known kind": (issued_by(CA, spki=_rsa(kind="1.2.3.4")), None),
        "issuer of version 4": (issued_by(CA, version=3), "the second one in it has version 4"),
        "issuer with an extension twice": (issued_by(CA, CA), "the second one in it has the extension"),
        "issuer with a broken extension": (
            issued_by(extension("2.5.29.19", b"xx")),
            "the second one in it has an extension (basic constraints) that is cut off",
        ),
        "issuer with a broken name": (issued_by(CA, subject=common_name(b"\xff")), "the second one in it has a text"),
    }
    return [Odd(f"chain: {case}", text, key_pem(key), told) for case, (text, told) in texts.items()]


def _sizes() -> Sequence[Odd]:
    """Clients with OpenSSL end the handshake for a chain of more than 102,400 bytes, with three for each length."""
    key = rsa_key()

    def padded(size: int) -> bytes:
        return certificate(key, NAMED, extension("1.2.3.4.5", b"x" * size), serial=integer(1000))

    room = 102_400 - 3 - 3 - len(padded(100_000)) + 100_000
    return (
        odd("the largest chain", padded(room), key),
        odd("a chain that is too large", padded(room + 1), key, "bytes with its chain (in DER); clients take 102400"),
        odd("a thousand names", certificate(key, alternative_names(*[(DNS, b"host.example.test")] * 1000)), key),
    )
