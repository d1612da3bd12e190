"""Elastic IPs on the wire, as the address API of the same cloud shows them (classic-api.md, end of Operations)."""

from typing import Annotated, TypedDict

from equipoise.api.classic.wire import types as t
from equipoise.api.classic.wire.times import resource_time
from equipoise.core.model import Address


class ElasticIp(TypedDict):
    """An elastic IP."""

    id: t.Id
    status: Annotated[str, t.one_of("ACTIVE", "DOWN")]
    type: t.EipType | None
    public_ip_address: t.IPv4
    bandwidth_size: t.Bandwidth | None
    tenant_id: str
    create_time: t.ResourceTime


class ElasticIpDocument(TypedDict):
    """One elastic IP."""

    publicip: ElasticIp


class ElasticIpList(TypedDict):
    """One page of elastic IPs."""

    publicips: list[ElasticIp]


def elastic_ip(record: Address) -> ElasticIp:
    """An elastic IP: ACTIVE while a load balancer has it, DOWN while it is free for the project to use."""
    return {
        "id": record.id,
        "status": "DOWN" if record.load_balancer_id is None else "ACTIVE",
        "type": record.eip_type,
        "public_ip_address": record.address,
        "bandwidth_size": record.bandwidth,
        "tenant_id": record.project_id,
        "create_time": resource_time(record.create_time),
    }
