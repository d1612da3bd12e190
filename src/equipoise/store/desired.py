"""Reads what is desired of whole load balancers at once: the controller's input."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import BindParameter, Connection, and_, bindparam, select

from equipoise.core.model import CertificateContent, HealthMonitor, Listener, LoadBalancer, Pool
from equipoise.store import rows
from equipoise.store.draining import HAS_REMOVALS, RemovedMember, removed
from equipoise.store.tables import (
    certificate_contents,
    certificates,
    health_monitors,
    listeners,
    load_balancers,
    members,
    pools,
)

_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_OF_LISTENER = rows.columns_of(Listener, listeners)
_PRESENT = (listeners.c.load_balancer_id.in_(_IDS), listeners.c.deleting.is_(False))
_POOLS_OF = select(listeners.c.default_pool_id).where(*_PRESENT)
_LOAD_BALANCERS = select(HAS_REMOVALS, *rows.columns_of(LoadBalancer, load_balancers)).where(
    load_balancers.c.id.in_(_IDS)
)
_LISTENERS = (
    select(*_OF_LISTENER, *rows.columns_of(Pool, pools))
    .outerjoin_from(listeners, pools, and_(pools.c.id == listeners.c.default_pool_id, pools.c.deleting.is_(False)))
    .where(*_PRESENT)
)
_MEMBERS = select(
    members.c.pool_id,
    members.c.healthy,
    members.c.address,
    members.c.port,
    members.c.weight,
    members.c.backup,
    members.c.monitor_address,
    members.c.monitor_port,
).where(members.c.pool_id.in_(_POOLS_OF), members.c.deleting.is_(False), members.c.admin_state_up.is_(True))
_HEALTH_MONITORS = select(*rows.columns_of(HealthMonitor, health_monitors)).where(
    health_monitors.c.pool_id.in_(_POOLS_OF), health_monitors.c.deleting.is_(False)
)
_CERTIFICATES = (
    select(certificate_contents)
    .join(certificates, certificates.c.content_id == certificate_contents.c.id)
    .where(certificates.c.id.in_(bindparam("certificate_ids", expanding=True)))
)
_ALL_IDS = select(load_balancers.c.id).order_by(load_balancers.c.id)


class DesiredMember(NamedTuple):
    """A member as the data plane is to have it; see `Member`. A tuple: thousands are read at once."""

    healthy: bool | None
    address: str
    port: int | None
    weight: int
    backup: bool
    monitor_address: str | None
    monitor_port: int | None

    @property
    def failing(self) -> bool:
        """Whether it was last seen unhealthy."""
        return self.healthy is False


@dataclass(frozen=True, slots=True)
class DesiredLoadBalancer:
    """One load balancer with all below it that is desired. One that is being deleted has `load_balancer.deleting`.

    `pools` are those that its listeners use, by their id; so are `members` and `health_monitors`, one at most each.
    `certificates` are by their id. `removals` are of members whose connections have to end, or ended lately.
    """

    load_balancer: LoadBalancer
    listeners: Sequence[Listener]
    pools: Mapping[str, Pool]
    members: Mapping[str, Sequence[DesiredMember]]
    health_monitors: Mapping[str, HealthMonitor]
    certificates: Mapping[str, CertificateContent]
    removals: Sequence[RemovedMember] = ()


def load(connection: Connection, ids: Sequence[str]) -> Sequence[DesiredLoadBalancer]:
    """What is desired of these load balancers, in one snapshot. Those that do not exist any more are left out."""
    values = {"ids": list(ids)}
    found = [(row[0], _make_load_balancer(row[1:])) for row in connection.execute(_LOAD_BALANCERS, values)]
    with_removals = [each.id for has_removals, each in found if has_removals]
    own_removals = removed(connection, with_removals) if with_removals else {}
    own_listeners: dict[str, list[Listener]] = defaultdict(list)
    own_pools: dict[str, Pool] = {}
    own_members: dict[str, list[DesiredMember]] = defaultdict(list)
    own_monitors: dict[str, HealthMonitor] = {}
    own_certificates: dict[str, CertificateContent] = {}
    for row in connection.execute(_LISTENERS, values):
        listener, pool = _make_listener(row[: len(_OF_LISTENER)]), _make_pool(row[len(_OF_LISTENER) :])
        own_listeners[listener.load_balancer_id].append(listener)
        if pool is not None:
            own_pools[pool.id] = pool
    if own_pools:
        for pool_id, *member in connection.execute(_MEMBERS, values).all():
            own_members[pool_id].append(DesiredMember._make(member))
        for row in connection.execute(_HEALTH_MONITORS, values):
            monitor = _make_monitor(row)
            own_monitors[monitor.pool_id] = monitor
    used = {each.certificate_id for some in own_listeners.values() for each in some if each.certificate_id}
    if used:
        for mapping in connection.execute(_CERTIFICATES, {"certificate_ids": sorted(used)}).mappings():
            own_certificates[mapping["certificate_id"]] = _read_content(mapping)
    return [
        DesiredLoadBalancer(
            each,
            own_listeners.get(each.id, []),
            own_pools,
            own_members,
            own_monitors,
            own_certificates,
            own_removals.get(each.id, ()),
        )
        for _, each in found
    ]


def all_ids(connection: Connection) -> Sequence[str]:
    """Every load balancer there is."""
    return connection.execute(_ALL_IDS).scalars().all()


_make_load_balancer = rows.maker(LoadBalancer)
_make_listener = rows.maker(Listener)
_make_pool = rows.outer(rows.maker(Pool))
_make_monitor = rows.maker(HealthMonitor)
_read_content = rows.reader(CertificateContent)
