"""Certificates for tests: self-signed ones, chains, and keys of every kind. A key of each kind is made once a run."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from equipoise.certificates.vault import KEY_FILE, Vault

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate, with its chain if there is one, and the private key of the first in it; both in PEM."""

    certificate: str
    private_key: str
    record: x509.Certificate = field(repr=False)
    key: Key = field(repr=False)

    @property
    def body(self) -> dict[str, str]:
        """What a client sends."""
        return {"certificate": self.certificate, "private_key": self.private_key}


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key; another number is another key."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: Key, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def certificate_pem(*records: x509.Certificate) -> str:
    return "".join(record.public_bytes(Encoding.PEM).decode() for record in records)


def issue(
    name: str,
    key: Key,
    issuer: Pair | None = None,
    *,
    is_ca: bool = False,
    days: tuple[int, int] = (-1, 30),
    addresses: Sequence[str] = (),
    extensions: Sequence[x509.ExtensionType] = (),
) -> Pair:
    """A certificate for `name`, signed by itself or an issuer, valid from and to these days from now."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = [x509.DNSName(name), *(x509.IPAddress(IPv4Address(address)) for address in addresses)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.record.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    record = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    return Pair(certificate_pem(record), private_pem(key), record, key)


@cache
def rsa_pair(name: str = "rsa.test", number: int = 0) -> Pair:
    return issue(name, rsa_key(number))


@cache
def ec_pair(name: str = "ec.test", number: int = 0) -> Pair:
    return issue(name, ec_key(number))


@dataclass(frozen=True)
class Chain:
    """A root, what it issued, and the server's own certificate at the end."""

    root: Pair
    intermediate: Pair
    own: Pair

    @property
    def pem(self) -> str:
        """As a server sends it: its own first, without the root."""
        return self.own.certificate + self.intermediate.certificate


@cache
def chain(name: str = "chain.test") -> Chain:
    root = issue("root.test", rsa_key(100), is_ca=True)
    intermediate = issue("intermediate.test", rsa_key(101), root, is_ca=True)
    return Chain(root, intermediate, issue(name, rsa_key(102), intermediate))


def keep_as_earlier_versions_did(data_dir: Path, certificate_id: str, pair: Pair) -> None:
    """Put a pair in place of a stored one without any check, as a version may have done that had fewer."""
    sealed = Vault.open(data_dir / KEY_FILE, None).seal(pair.private_key)
    with closing(sqlite3.connect(data_dir / "equipoise.db", timeout=10, isolation_level=None)) as database:
        changed = database.execute(
            "UPDATE certificate_contents SET certificate = ?, private_key = ? WHERE certificate_id = ?",
            (pair.certificate, sealed, certificate_id),
        )
        assert changed.rowcount == 1
