"""Elastic IPs on the wire, as the address API of the same cloud shows them (classic-api.md, end of Operations)."""

from equipoise.domain.model import Address
from equipoise.http.wire.resources import Document
from equipoise.http.wire.times import resource_time


def elastic_ip(record: Address) -> Document:
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
