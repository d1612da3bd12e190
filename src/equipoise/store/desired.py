"""Reads what is desired of whole load balancers at once: the controller's input."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, Connection, bindparam, select, update

from equipoise.domain.model import CertificateContent, HealthCheck, Listener, LoadBalancer, Status
from equipoise.store import rows
from equipoise.store.tables import (
    certificate_contents,
    certificates,
    health_checks,
    listeners,
    load_balancers,
    members,
)

_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_LISTENERS_OF = select(listeners.c.id).where(listeners.c.load_balancer_id.in_(_IDS), listeners.c.deleting.is_(False))
_LOAD_BALANCERS = select(load_balancers).where(load_balancers.c.id.in_(_IDS))
_LISTENERS = select(listeners).where(listeners.c.load_balancer_id.in_(_IDS), listeners.c.deleting.is_(False))
_MEMBERS = select(members.c.listener_id, members.c.address, members.c.healthy).where(
    members.c.listener_id.in_(_LISTENERS_OF), members.c.deleting.is_(False)
)
_HEALTH_CHECKS = select(health_checks).where(
    health_checks.c.listener_id.in_(_LISTENERS_OF), health_checks.c.deleting.is_(False)
)
_CERTIFICATES = (
    select(certificate_contents)
    .join(certificates, certificates.c.content_id == certificate_contents.c.id)
    .where(certificates.c.id.in_(bindparam("certificate_ids", expanding=True)))
)
_ALL_IDS = select(load_balancers.c.id).order_by(load_balancers.c.id)
_IN_ERROR = select(listeners.c.load_balancer_id).where(listeners.c.status == Status.ERROR).distinct()
_SET_ERROR = update(listeners).where(listeners.c.id == bindparam("listener_id")).values(status=Status.ERROR)
_CLEAR_ERRORS = (
    update(listeners)
    .where(listeners.c.load_balancer_id.in_(_IDS), listeners.c.status == Status.ERROR)
    .values(status=Status.ACTIVE)
)


@dataclass(frozen=True, slots=True)
class Desired:
    """One load balancer with all below it that is desired. One that is being deleted has `load_balancer.deleting`.

    `members` are addresses, `failing` those of them that were last seen unhealthy, `health_checks` one at most, all
    by listener; `certificates` are by their id.
    """

    load_balancer: LoadBalancer
    listeners: Sequence[Listener]
    members: Mapping[str, Sequence[str]]
    failing: Mapping[str, Collection[str]]
    health_checks: Mapping[str, HealthCheck]
    certificates: Mapping[str, CertificateContent]


def load(connection: Connection, ids: Sequence[str]) -> Sequence[Desired]:
    """What is desired of these load balancers, in one snapshot. Those that do not exist any more are left out."""
    values = {"ids": list(ids)}
    found = connection.execute(_LOAD_BALANCERS, values).mappings().all()
    own_listeners: dict[str, list[Listener]] = defaultdict(list)
    own_members: dict[str, list[str]] = defaultdict(list)
    own_failing: dict[str, set[str]] = defaultdict(set)
    own_checks: dict[str, HealthCheck] = {}
    for row in connection.execute(_LISTENERS, values).mappings():
        own_listeners[row["load_balancer_id"]].append(_read_listener(row))
    own_certificates: dict[str, CertificateContent] = {}
    if own_listeners:
        for member in connection.execute(_MEMBERS, values):
            own_members[member.listener_id].append(member.address)
            if member.healthy is False:
                own_failing[member.listener_id].add(member.address)
        for row in connection.execute(_HEALTH_CHECKS, values).mappings():
            own_checks[row["listener_id"]] = _read_check(row)
        used = {each.certificate_id for found in own_listeners.values() for each in found if each.certificate_id}
        if used:
            for row in connection.execute(_CERTIFICATES, {"certificate_ids": sorted(used)}).mappings():
                own_certificates[row["certificate_id"]] = _read_content(row)
    return [
        Desired(
            _read_load_balancer(row),
            own_listeners.get(row["id"], []),
            own_members,
            own_failing,
            own_checks,
            own_certificates,
        )
        for row in found
    ]


def all_ids(connection: Connection) -> Sequence[str]:
    """Every load balancer there is."""
    return connection.execute(_ALL_IDS).scalars().all()


def in_error(connection: Connection) -> Sequence[str]:
    """The load balancers with a listener that the data plane refused although it had been in force."""
    return connection.execute(_IN_ERROR).scalars().all()


def set_error(connection: Connection, listener_id: str) -> None:
    """The data plane refuses a listener that no job is about: after a restart its port was gone, for example."""
    connection.execute(_SET_ERROR, {"listener_id": listener_id})


def clear_errors(connection: Connection, load_balancer_ids: Sequence[str]) -> None:
    """The data plane has everything of these load balancers in force again."""
    connection.execute(_CLEAR_ERRORS, {"ids": list(load_balancer_ids)})


_read_load_balancer = rows.reader(LoadBalancer)
_read_listener = rows.reader(Listener)
_read_content = rows.reader(CertificateContent)
_read_check = rows.reader(HealthCheck)
