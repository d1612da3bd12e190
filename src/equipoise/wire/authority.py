"""The certificate authority of the controllers and nodes, and what its certificates say.

A controller has a DNS name that is the same for all of them, whatever its address: nodes check that name. A node, and
whoever has a join token, is named by a URI. A certificate may be used for its own side of a connection only.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CONTROLLER_NAME: Final = "controller.equipoise.internal"

CLOCK_TOLERANCE: Final = timedelta(hours=1)
"""How far the clock of a machine may be behind that of the one that made a certificate."""

_AUTHORITY_DAYS: Final = 36_500
_SCHEME: Final = "equipoise://"
_URI: Final = re.compile(rf"{_SCHEME}(?P<kind>node|join)/(?P<id>[0-9a-f]{{1,64}})")

PublicKey = ec.EllipticCurvePublicKey


class PeerKind(StrEnum):
    """What a URI of a certificate names."""

    NODE = "node"
    JOIN = "join"


class Peer(NamedTuple):
    """Whom a certificate names: a node or a join token, by its id."""

    kind: PeerKind
    id: str

    @property
    def uri(self) -> str:
        return f"{_SCHEME}{self.kind}/{self.id}"


class NoPeerError(Exception):
    """A certificate names neither a node nor a join token, or a request for one proves no key."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


class Authority:
    """Makes certificates.

    Args:
        certificate: its own, PEM.
        key: its private key, PEM.

    Raises:
        ValueError: they cannot be read.
    """

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self.certificate = certificate
        self._name = x509.load_pem_x509_certificate(certificate).subject
        self._key = read_private_key(key)

    @staticmethod
    def create(now: datetime) -> KeyPair:
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        # A name of its own: who trusts another authority then says so, and not that a signature is wrong.
        common_name = f"Equipoise nodes {fingerprint(key.public_key())[:16]}"
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            _builder(name, name, key.public_key(), now, timedelta(days=_AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, SHA256())
        )
        return KeyPair(certificate.public_bytes(Encoding.PEM), to_pem(key))

    def for_controller(self, now: datetime, lifetime: timedelta) -> KeyPair:
        """A certificate with which a controller is known to nodes."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.DNSName(CONTROLLER_NAME)
        return KeyPair(self._sign(key.public_key(), name, ExtendedKeyUsageOID.SERVER_AUTH, now, lifetime), to_pem(key))

    def for_joining(self, token_id: str, now: datetime, lifetime: timedelta) -> KeyPair:
        """A certificate with which a node that has no other one may ask for one."""
        key = ec.generate_private_key(ec.SECP256R1())
        return KeyPair(self._for_peer(Peer(PeerKind.JOIN, token_id), key.public_key(), now, lifetime), to_pem(key))

    def for_node(self, node_id: str, key: PublicKey, now: datetime, lifetime: timedelta) -> bytes:
        """A certificate, PEM, with which a node is known to controllers."""
        return self._for_peer(Peer(PeerKind.NODE, node_id), key, now, lifetime)

    def _for_peer(self, peer: Peer, key: PublicKey, now: datetime, lifetime: timedelta) -> bytes:
        name = x509.UniformResourceIdentifier(peer.uri)
        return self._sign(key, name, ExtendedKeyUsageOID.CLIENT_AUTH, now, lifetime)

    def _sign(
        self, key: PublicKey, name: x509.GeneralName, usage: ObjectIdentifier, now: datetime, lifetime: timedelta
    ) -> bytes:
        certificate = (
            _builder(x509.Name([]), self._name, key, now, lifetime)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


class Validity(NamedTuple):
    """For how long a certificate holds, and when half of that is over."""

    half: datetime
    end: datetime

    @classmethod
    def of(cls, certificate: bytes) -> Self:
        """Raises ValueError for what is no certificate."""
        read = x509.load_pem_x509_certificate(certificate)
        begin, end = read.not_valid_before_utc + CLOCK_TOLERANCE, read.not_valid_after_utc
        return cls(begin + (end - begin) / 2, end)


def new_key() -> bytes:
    """A private key, PEM."""
    return to_pem(ec.generate_private_key(ec.SECP256R1()))


def read_private_key(key: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of a PEM. Raises ValueError."""
    read = load_pem_private_key(key, None)
    if not isinstance(read, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not for ECDSA")
    return read


def request(key: bytes) -> bytes:
    """A request for a certificate, PEM, which proves that its sender has the private key. Raises ValueError."""
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(read_private_key(key), SHA256())
    return asked.public_bytes(Encoding.PEM)


def requested_key(asked: bytes) -> PublicKey:
    """The public key of a request. Raises NoPeerError if it does not prove that its sender has the private key."""
    try:
        read = x509.load_pem_x509_csr(asked)
        if read.is_signature_valid and isinstance(key := read.public_key(), PublicKey):
            return key
    except (ValueError, InvalidSignature):
        pass
    raise NoPeerError("the request for a certificate is not one, or is not signed with an ECDSA key of its own")


def key_of(certificate: bytes) -> PublicKey:
    """The public key of a certificate. Raises NoPeerError."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    if not isinstance(key, PublicKey):
        raise NoPeerError("the certificate is not for an ECDSA key")
    return key


def fingerprint(key: PublicKey) -> str:
    """The SHA-256 of a public key, in hexadecimal digits."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def peer_of(certificate: bytes) -> Peer:
    """Whom a certificate names that the authority has signed. Raises NoPeerError."""
    try:
        names = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        [uri] = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound):
        raise NoPeerError("the certificate names neither a node nor a join token") from None
    found = _URI.fullmatch(uri)
    if found is None:
        raise NoPeerError("the certificate names neither a node nor a join token")
    return Peer(PeerKind(found["kind"]), found["id"])


def utc(milliseconds: int) -> datetime:
    """A time in milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The PEM of a private key, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + lifetime)
    )
