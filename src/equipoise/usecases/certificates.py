"""Certificates: create, show, list, update, delete. What their PEM must hold: `equipoise.certificates.pair`."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from equipoise.certificates.pair import check_pair
from equipoise.certificates.vault import Vault
from equipoise.core.commands import CreateCertificateCommand, Filter, UpdateCertificateCommand
from equipoise.core.errors import ChangedMeanwhile, InUse
from equipoise.core.jobs import JobType
from equipoise.core.model import Certificate, CertificateContent
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.core.references import listeners as listener_refs
from equipoise.store import certificates, rows, tables
from equipoise.store.database import Transaction
from equipoise.store.jobs import queries
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import Write, accept_change, write_changes
from equipoise.usecases.context import Accepted, Caller, Policy, new_id


@dataclass(frozen=True, slots=True)
class CertificateView:
    """A certificate as users see it; the private key in `content` is encrypted still."""

    certificate: Certificate
    content: CertificateContent


@dataclass(frozen=True, slots=True)
class Renewal:
    """Checked PEM that takes the place of the content `replaces`, its private key encrypted."""

    replaces: str
    certificate: str
    private_key: str


def create_certificate(tx: Transaction, caller: Caller, vault: Vault, command: CreateCertificateCommand) -> Accepted:
    """Store a certificate whose pair was checked; the data plane hears of it with the first listener that uses it."""
    record = Certificate(
        id=new_id(),
        project_id=caller.project_id,
        name=command.name,
        description=command.description,
        domain=command.domain,
        content_id=new_id(),
        create_time=tx.now,
        update_time=tx.now,
    )
    rows.insert(tx.connection, tables.certificates, record)
    _insert_content(tx, record.content_id, record.id, command.certificate, vault.seal(command.private_key))
    return Accepted("", record.id)


def show_certificate(connection: Connection, caller: Caller, id: str) -> CertificateView:
    """One certificate. Raises NotFound."""
    return _views(connection, [lookup.certificate(connection, caller, id)])[0]


def list_certificates(
    connection: Connection, caller: Caller, filters: Iterable[Filter], limit: int | None, marker: str | None
) -> Sequence[CertificateView]:
    """One page of the project's certificates."""
    return _views(connection, certificates.list_of(connection, caller.project_id, filters, limit, marker))


def prepare_renewal(
    connection: Connection, caller: Caller, vault: Vault, id: str, command: UpdateCertificateCommand
) -> Renewal | None:
    """Check new PEM, with what stays of the old; None when it is what is there already.

    This is work for a processor, and so it is done before the transaction and not in it.

    Raises:
        NotFound, or InvalidField (the PEM).
    """
    current = show_certificate(connection, caller, id).content
    current_key = vault.unseal(current.private_key)
    certificate = current.certificate if command.certificate is None else command.certificate
    private_key = current_key if command.private_key is None else command.private_key
    if (certificate, private_key) == (current.certificate, current_key):
        return None
    check_pair(certificate, private_key)
    return Renewal(current.id, certificate, vault.seal(private_key))


def update_certificate(
    tx: Transaction, caller: Caller, policy: Policy, id: str, command: UpdateCertificateCommand, renewal: Renewal | None
) -> Accepted:
    """Change a certificate: at once what describes it, and with a job for each listener that uses it what is served.

    The jobs succeed or fail together, so that all listeners always serve the same (`store.jobs.fail`).

    Raises:
        NotFound, or ChangedMeanwhile: the renewal was checked against what is there no more.
    """
    current = lookup.certificate(tx.connection, caller, id)
    wanted = dict(command.changes)
    if renewal is not None:
        if renewal.replaces != current.content_id:
            raise ChangedMeanwhile(ResourceKind.CERTIFICATE, id)
        content_id = wanted["content_id"] = new_id()
        _insert_content(tx, content_id, id, renewal.certificate, renewal.private_key)
    changes = write_changes(tx, [Write("certificates", id, asdict(current), wanted)])
    users = () if renewal is None else certificates.served_users(tx.connection, id)
    accepted = [
        accept_change(
            tx, caller, policy, JobType.UPDATE_CERTIFICATE, user.load_balancer_id, id, changes, listener_refs(user.id)
        )
        for user in users
    ]
    if renewal is not None and not accepted:
        certificates.prune(tx.connection, id, kept=())
    first, *others = [one.job_id for one in accepted] or [""]
    return Accepted(first, id, tuple(others))


def delete_certificate(tx: Transaction, caller: Caller, id: str) -> Accepted:
    """Delete a certificate that no listener uses, or may use again.

    Raises:
        NotFound or InUse.
    """
    lookup.certificate(tx.connection, caller, id)
    users = certificates.users(tx.connection, id)
    if users:
        raise InUse(
            ResourceKind.CERTIFICATE,
            id,
            ResourceRef(ResourceKind.LISTENER, users[0].id),
            f"Listener {users[0].id} uses certificate {id}; give it another one or delete it first.",
        )
    if queries.gives_up_certificate(tx.connection, id):
        raise InUse(
            ResourceKind.CERTIFICATE, id, None, f"Certificate {id} is still being given up by a listener; try again."
        )
    rows.delete_rows(tx.connection, tables.certificates, [id])
    return Accepted("", id)


def _insert_content(tx: Transaction, id: str, certificate_id: str, certificate: str, sealed: str) -> None:
    content = CertificateContent(id=id, certificate_id=certificate_id, certificate=certificate, private_key=sealed)
    rows.insert(tx.connection, tables.certificate_contents, content)


def _views(connection: Connection, found: Sequence[Certificate]) -> list[CertificateView]:
    contents = certificates.contents(connection, [one.content_id for one in found])
    return [CertificateView(one, contents[one.content_id]) for one in found]
