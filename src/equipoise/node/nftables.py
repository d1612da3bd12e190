"""The rules by which the kernel limits the traffic of load balancers, in the language of nftables. Pure.

One table belongs to one service. In it:

- `services` holds each address, transport and port that is served. It tells the traffic of a load balancer from other
  traffic of its address: connections to members may come from that address too, and must not count.
- `answers` and `requests` hold one limit each for an address: one bucket for all listeners and connections together,
  and the two directions apart.

A lookup costs the same however many load balancers there are, and so does adding or changing one: the limits are part
of set elements, since for named limits `nft` reads all existing ones before it adds another.

Traffic from this machine itself is dropped where it is sent, not where it is received: there the sender is told and
waits, in place of losing packets and sending them again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from equipoise.proxy.model import ProxyLoadBalancer

BYTES_A_SECOND = 125_000
"""In one Mbit/s."""

LARGEST_BURST_BYTES = 131_072
"""On top of the one second of traffic that a limit by bytes always stores: twice the largest packet."""

BURST_BYTES_A_MEGABIT = 16_384
"""At low rates less: what is stored passes at once after a pause, and should be used up soon."""

CHAIN = "output"
"""The chain that is looked for to tell whether the table is there."""

ServedPort = tuple[str, int]
"""Transport and port."""

_SETS = """\
    set services { type ipv4_addr . inet_proto . inet_service; }
    set answers { type ipv4_addr; limit rate over 1 bytes/second; }
    set requests { type ipv4_addr; limit rate over 1 bytes/second; }
"""

# After the rules of the machine's own firewall: what that refuses does not count.
_CHAINS = """\
    chain output {
        type filter hook output priority 100; policy accept;
        ip saddr . meta l4proto . th sport @services ip saddr @answers drop
        oif lo ip daddr . meta l4proto . th dport @services ip daddr @requests drop
    }
    chain input {
        type filter hook input priority 100; policy accept;
        iif != lo ip daddr . meta l4proto . th dport @services ip daddr @requests drop
    }
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of one load balancer: Mbit/s in each direction for all that is served on its ports together."""

    address: str
    bandwidth: int
    ports: frozenset[ServedPort]


def limit_of(load_balancer: ProxyLoadBalancer) -> Limit | None:
    """The limit of a load balancer; None when it has none or serves nothing."""
    ports = frozenset((listener.transport, listener.port) for listener in load_balancer.listeners)
    if load_balancer.bandwidth is None or not ports:
        return None
    return Limit(load_balancer.address, load_balancer.bandwidth, ports)


def whole(table: str, limits: Iterable[Limit]) -> str:
    """Put this table in the place of whatever it was, at once: at no instant is there none."""
    return (
        f"add table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n{_SETS}{_CHAINS}}}\n"
        f"{difference(table, [(None, limit) for limit in limits])}"
    )


def trial(table: str) -> str:
    """Everything that will ever be needed, made and taken away again at once: succeeds where the kernel can do it."""
    example = Limit("127.0.0.1", 1, frozenset({("tcp", 1), ("udp", 1)}))
    return f"{whole(table, [example])}{difference(table, [(example, None)])}{removal(table)}"


def removal(table: str) -> str:
    """Take the table away, if it is there."""
    return f"add table ip {table}\ndelete table ip {table}\n"


def presence(table: str) -> str:
    """Fails when the table is not there."""
    return f"list chain ip {table} {CHAIN}\n"


def difference(table: str, changes: Iterable[tuple[Limit | None, Limit | None]]) -> str:
    """Change the limits of some load balancers, each from what it was to what it is to be; None is no limit.

    A limit whose rate stays keeps its bucket. All is taken away before anything is added: an address may have
    gone from one load balancer to another.
    """
    pairs = [(_elements(before), _elements(after)) for before, after in changes]
    gone: dict[str, list[str]] = {}
    new: dict[str, list[str]] = {}
    for before, after in pairs:
        for (name, key), statement in before.items():
            if after.get((name, key)) != statement:
                gone.setdefault(name, []).append(key)
        for (name, key), statement in after.items():
            if before.get((name, key)) != statement:
                new.setdefault(name, []).append(f"{key} {statement}".rstrip())
    return _lines("delete", table, gone) + _lines("add", table, new)


def _elements(limit: Limit | None) -> dict[tuple[str, str], str]:
    """Set and key -> what is to be done with traffic that is found there."""
    if limit is None:
        return {}
    burst = min(limit.bandwidth * BURST_BYTES_A_MEGABIT, LARGEST_BURST_BYTES)
    statement = f"limit rate over {limit.bandwidth * BYTES_A_SECOND} bytes/second burst {burst} bytes"
    services = {("services", f"{limit.address} . {transport} . {port}"): "" for transport, port in sorted(limit.ports)}
    return services | {("answers", limit.address): statement, ("requests", limit.address): statement}


def _lines(verb: str, table: str, elements: Mapping[str, list[str]]) -> str:
    return "".join(f"{verb} element ip {table} {name} {{ {', '.join(of)} }}\n" for name, of in elements.items())
