"""Traffic metrics on the wire (classic-api.md, Monitor)."""

from typing import TypedDict

from equipoise.api.classic.wire import types as t
from equipoise.api.classic.wire.times import resource_time
from equipoise.core.model import LoadBalancer
from equipoise.core.traffic import Traffic


# `cps` are the connections that there are at the same time, not those of a second.
class TrafficFigures(TypedDict):
    loadbalancer_id: t.Id
    loadbalancer_ip: t.IPv4
    loadbalancer_name: t.Name
    create_time: t.ResourceTime
    act_conn: int
    inact_conn: int
    cps: int
    ncps: int
    in_pps: int
    out_pps: int
    in_Bps: int
    out_Bps: int


def traffic(load_balancer: LoadBalancer, sample: Traffic) -> TrafficFigures:
    """The metrics of one load balancer."""
    return {
        "loadbalancer_id": load_balancer.id,
        "loadbalancer_ip": load_balancer.vip_address,
        "loadbalancer_name": load_balancer.name,
        "create_time": resource_time(sample.time),
        "act_conn": sample.act_conn,
        "inact_conn": sample.inact_conn,
        "cps": sample.act_conn + sample.inact_conn,
        "ncps": sample.ncps,
        "in_pps": sample.in_packets,
        "out_pps": sample.out_packets,
        "in_Bps": sample.in_bytes,
        "out_Bps": sample.out_bytes,
    }
