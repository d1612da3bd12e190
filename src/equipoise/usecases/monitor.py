"""Traffic of the load balancers of a project. Who counted it is `equipoise.node.telemetry.traffic`."""

from collections.abc import Sequence

from sqlalchemy import Connection

from equipoise.core.model import LoadBalancer
from equipoise.core.traffic import Traffic
from equipoise.store import load_balancers, traffic
from equipoise.usecases.context import Caller

MonitorView = tuple[LoadBalancer, Traffic]


def show_traffic(connection: Connection, caller: Caller, now: int, longest: int) -> Sequence[MonitorView]:
    """The newest metrics of each load balancer; zeros as of `now` for one without traffic.

    Args:
        now: milliseconds since 1970 (UTC).
        longest: milliseconds for which a sample counts: an older one is of a node that tells nothing any more.
    """
    samples = traffic.of_project(connection, caller.project_id, now - longest)
    found = load_balancers.list_of(connection, caller.project_id, (), None, None)
    return [(each, samples.get(each.id, Traffic(each.id, now))) for each in found]
