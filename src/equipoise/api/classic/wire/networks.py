"""VPCs and subnets on the wire, as the address API of the same cloud shows them (VPC API v1).

What a machine does not have (routers, DHCP, name servers, a range of the VPC as a whole) is empty, as published for
what was not given.
"""

from typing import Annotated, Final, TypedDict

from equipoise.api.classic.wire import types as t
from equipoise.core.networks import Subnet

Cidr = Annotated[str, t.described("A network in CIDR form.")]
Empty = Annotated[str, t.one_of("")]

ENTERPRISE_PROJECT: Final = "0"
"""The id of the enterprise project that everything belongs to where there are no others."""
VISIBLE_ENTERPRISE_PROJECTS: Final = (ENTERPRISE_PROJECT, "all_granted_eps")
"""And what clients write for those of which they may see anything."""


class Route(TypedDict):
    """A route of a VPC."""

    destination: str
    nexthop: str


class Vpc(TypedDict):
    """A VPC; its name is its id."""

    id: t.Reference
    name: t.Reference
    description: Empty
    cidr: Empty
    status: Annotated[str, t.one_of("OK")]
    routes: list[Route]
    enterprise_project_id: Annotated[str, t.one_of(ENTERPRISE_PROJECT)]


class VpcDocument(TypedDict):
    """One VPC."""

    vpc: Vpc


class VpcList(TypedDict):
    """One page of VPCs."""

    vpcs: list[Vpc]


class SubnetEntry(TypedDict):
    """A subnet; its name is its id, and so are the ids that it has as a network and as a subnet of Neutron."""

    id: t.Reference
    name: t.Reference
    description: Empty
    cidr: Cidr
    gateway_ip: Empty
    ipv6_enable: bool
    dhcp_enable: bool
    primary_dns: Empty
    secondary_dns: Empty
    dnsList: list[str]
    availability_zone: Empty
    vpc_id: t.Reference
    status: Annotated[str, t.one_of("ACTIVE")]
    neutron_network_id: t.Reference
    neutron_subnet_id: t.Reference


class SubnetDocument(TypedDict):
    """One subnet."""

    subnet: SubnetEntry


class SubnetList(TypedDict):
    """One page of subnets."""

    subnets: list[SubnetEntry]


def vpc(id: str) -> Vpc:
    """A VPC."""
    return {
        "id": id,
        "name": id,
        "description": "",
        "cidr": "",
        "status": "OK",
        "routes": [],
        "enterprise_project_id": ENTERPRISE_PROJECT,
    }


def subnet(record: Subnet) -> SubnetEntry:
    """A subnet, with its pool as its network."""
    return {
        "id": record.id,
        "name": record.id,
        "description": "",
        "cidr": str(record.pool),
        "gateway_ip": "",
        "ipv6_enable": False,
        "dhcp_enable": False,
        "primary_dns": "",
        "secondary_dns": "",
        "dnsList": [],
        "availability_zone": "",
        "vpc_id": record.vpc_id,
        "status": "ACTIVE",
        "neutron_network_id": record.id,
        "neutron_subnet_id": record.id,
    }
