"""Statements about certificates and their contents."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, select

from equipoise.core.commands import Filter
from equipoise.core.model import Certificate, CertificateContent, Listener
from equipoise.store import rows
from equipoise.store.tables import certificate_contents, certificates, listeners, load_balancers

_read = rows.reader(Certificate)
_read_content = rows.reader(CertificateContent)
_make_listener = rows.maker(Listener)

_GET = select(certificates).where(
    certificates.c.id == bindparam("id"), certificates.c.project_id == bindparam("project_id")
)
_CONTENTS = select(certificate_contents).where(certificate_contents.c.id.in_(bindparam("ids", expanding=True)))
_ANY_SEALED = select(certificate_contents.c.private_key).limit(1)
_USERS = (
    select(*rows.columns_of(Listener, listeners))
    .where(listeners.c.certificate_id == bindparam("id"))
    .order_by(listeners.c.id)
)
_SERVED_USERS = _USERS.join(load_balancers, load_balancers.c.id == listeners.c.load_balancer_id).where(
    listeners.c.deleting.is_(False), load_balancers.c.deleting.is_(False)
)
_PRUNE = delete(certificate_contents).where(
    certificate_contents.c.certificate_id == bindparam("certificate_id"),
    certificate_contents.c.id.not_in(bindparam("kept", expanding=True)),
    certificate_contents.c.id
    != select(certificates.c.content_id).where(certificates.c.id == bindparam("certificate_id")).scalar_subquery(),
)


def get(connection: Connection, project_id: str, id: str) -> Certificate | None:
    """The certificate of that project."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def list_of(
    connection: Connection, project_id: str, filters: Iterable[Filter], limit: int | None, marker: str | None
) -> Sequence[Certificate]:
    """One page of the certificates of a project."""
    statement = select(certificates).where(certificates.c.project_id == project_id)
    found = connection.execute(rows.page(statement, certificates, filters, limit, marker))
    return [_read(row) for row in found.mappings()]


def contents(connection: Connection, ids: Sequence[str]) -> Mapping[str, CertificateContent]:
    """Contents by id."""
    found = connection.execute(_CONTENTS, {"ids": list(ids)}).mappings()
    return {row["id"]: _read_content(row) for row in found}


def any_sealed(connection: Connection) -> str | None:
    """The encrypted private key of any content, None when there is none."""
    return connection.execute(_ANY_SEALED).scalars().first()


def users(connection: Connection, id: str) -> Sequence[Listener]:
    """The listeners that use a certificate, those whose deletion is not confirmed included: they may come back."""
    return [_make_listener(row) for row in connection.execute(_USERS, {"id": id})]


def served_users(connection: Connection, id: str) -> Sequence[Listener]:
    """The listeners that use a certificate and are not being deleted, nor is their load balancer."""
    return [_make_listener(row) for row in connection.execute(_SERVED_USERS, {"id": id})]


def prune(connection: Connection, certificate_id: str, kept: Sequence[str]) -> None:
    """Delete the contents that the certificate does not point to, apart from those `kept`."""
    connection.execute(_PRUNE, {"certificate_id": certificate_id, "kept": list(kept)})
