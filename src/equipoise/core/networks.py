"""The VPCs, subnets and zones that the operator has listed. Without any, everything of the right form is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from equipoise.core.addresses import contains
from equipoise.core.errors import InvalidField, NotFound, Unsupported
from equipoise.core.references import ResourceKind


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of a VPC, with the pool of private addresses that it has."""

    id: str
    vpc_id: str
    pool: IPv4Network


@dataclass(frozen=True, slots=True)
class Networks:
    """Subnets of each VPC, with the pool of private addresses of each (classic-api.md, Both sides of the real world).

    Args:
        subnets: VPC id -> subnet id -> pool; empty: nothing is listed.
        zones: the availability zones; empty: any.
    """

    subnets: Mapping[str, Mapping[str, IPv4Network]] = field(default_factory=dict)
    zones: Sequence[str] = ()

    def __str__(self) -> str:
        """The VPCs in one line for people, empty when none is listed."""
        return "; ".join(
            f"{vpc_id}: {', '.join(f'{id} {pool}' for id, pool in subnets.items()) or 'no subnet'}"
            for vpc_id, subnets in self.subnets.items()
        )

    def listed_vpcs(self) -> list[str]:
        """The ids of the VPCs that are listed, in their order."""
        return sorted(self.subnets)

    def listed_subnets(self) -> list[Subnet]:
        """The subnets of all VPCs that are listed, in the order of their ids."""
        found = (Subnet(id, vpc_id, pool) for vpc_id, subnets in self.subnets.items() for id, pool in subnets.items())
        return sorted(found, key=lambda subnet: (subnet.id, subnet.vpc_id))

    def check_vpc(self, vpc_id: str) -> None:
        """Raise NotFound for one that is not listed, where any is."""
        if self.subnets and vpc_id not in self.subnets:
            raise NotFound(
                ResourceKind.VPC, vpc_id, f"vpc_id: there is no VPC {vpc_id} here; {_there_are(self.subnets)}"
            )

    def check_subnet(self, vpc_id: str, subnet_id: str) -> None:
        """Raise NotFound for a subnet that is not one of this VPC, where any VPC is listed."""
        if self.subnets and subnet_id not in self.subnets[vpc_id]:
            raise NotFound(
                ResourceKind.SUBNET,
                subnet_id,
                f"vip_subnet_id: there is no subnet {subnet_id} in VPC {vpc_id}; {_there_are(self.subnets[vpc_id])}",
            )

    def check_zone(self, zone: str) -> None:
        """Raise Unsupported for a zone that is not listed, where any is."""
        if self.zones and zone not in self.zones:
            raise Unsupported(
                f"az: there is no availability zone {zone} here; leave it out, or use one of {', '.join(self.zones)}.",
            )

    def pool(self, vpc_id: str, subnet_id: str | None, address: str | None, otherwise: IPv4Network) -> IPv4Network:
        """The pool of a private address: that of the subnet, else of the one in the VPC that holds `address`.

        Args:
            otherwise: the pool where nothing is listed.

        Raises:
            InvalidField: no subnet of the VPC holds `address`.
        """
        if not self.subnets:
            return otherwise
        subnets = self.subnets[vpc_id]
        if subnet_id is not None:
            return subnets[subnet_id]
        for pool in subnets.values():
            if address is not None and contains(pool, address):
                return pool
        raise InvalidField(ResourceKind.LOAD_BALANCER, "vip_address", f"{address} is in no subnet of VPC {vpc_id}.")


def _there_are(ids: Mapping[str, object]) -> str:
    return f"there are {', '.join(ids)}." if ids else "there is none."
