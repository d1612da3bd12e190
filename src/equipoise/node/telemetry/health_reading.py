"""What Envoy writes about its members' health, read into facts. Pure; when to read is decided in `health`."""

import json
from collections.abc import Iterable

from equipoise.proxy.link import Member

Health = dict[Member, bool]
"""True for healthy, False for unhealthy."""

_FACTS = {
    "add_healthy_event": True,
    "eject_unhealthy_event": False,
    # Written for the first check of a member only, as that one changes nothing.
    "health_check_failure_event": False,
}


def from_events(lines: Iterable[str]) -> Health:
    """Read lines of the event log; the last one about a member counts.

    A line that is no event (cut by a full disk, or begun before the file was emptied) says nothing: the level is
    read from `/clusters` in all cases in which events can be lost.
    """
    health: Health = {}
    for line in lines:
        try:
            event = json.loads(line)
            member = event["cluster_name"], event["host"]["socket_address"]["address"]
            health[member] = next(fact for kind, fact in _FACTS.items() if kind in event)
        except (ValueError, KeyError, TypeError, StopIteration):
            continue
    return health


def from_clusters(text: str) -> Health:
    """Read the text of `/clusters`, whose lines are `cluster::address:port::name::value`.

    Members of a cluster without a health check are shown, and returned, as healthy.
    """
    health: Health = {}
    for line in text.splitlines():
        match line.split("::"):
            # The control stream's own cluster has a socket file instead of an address and port.
            case [cluster, endpoint, "health_flags", flags] if ":" in endpoint:
                health[cluster, endpoint.rpartition(":")[0]] = "/failed_active_hc" not in flags
    return health
