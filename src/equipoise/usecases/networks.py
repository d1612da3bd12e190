"""VPCs and subnets: list and show those that the operator has listed. They belong to all projects alike."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from equipoise.domain.commands import Column
from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.networks import Networks, Subnet
from equipoise.domain.rules.fields import shown

T = TypeVar("T")

ENTERPRISE_PROJECT: Final = "0"
"""The id of the enterprise project that everything belongs to where there are no others."""
ALL_ENTERPRISE_PROJECTS: Final = "all_granted_eps"
"""What clients write for those of which they may see anything."""


def list_vpcs(networks: Networks, filters: Mapping[str, Column], limit: int | None, marker: str | None) -> list[str]:
    """One page of the ids of VPCs; a VPC has no name but its id."""
    if filters.get("enterprise_project_id", ENTERPRISE_PROJECT) not in (ENTERPRISE_PROJECT, ALL_ENTERPRISE_PROJECTS):
        return []
    wanted = [filters[name] for name in ("id", "name") if name in filters]
    found = (id for id in networks.listed_vpcs() if all(id == one for one in wanted))
    return _page(found, str, limit, marker)


def show_vpc(networks: Networks, id: str) -> str:
    """The id of a VPC that there is. Raises RuleBroken: VPC_NOT_FOUND."""
    if id not in networks.subnets:
        raise RuleBroken(Rule.VPC_NOT_FOUND, f"There is no VPC {shown(id)} here; list them to see which there are.")
    return id


def list_subnets(
    networks: Networks, filters: Mapping[str, Column], limit: int | None, marker: str | None
) -> list[Subnet]:
    """One page of subnets; a subnet has no name but its id."""
    names = {"id": "id", "name": "id", "vpc_id": "vpc_id"}
    found = (
        subnet
        for subnet in networks.listed_subnets()
        if all(getattr(subnet, names[name]) == value for name, value in filters.items())
    )
    return _page(found, lambda subnet: subnet.id, limit, marker)


def show_subnet(networks: Networks, id: str) -> Subnet:
    """A subnet; of several VPCs with one of that id, the first. Raises RuleBroken: SUBNET_NOT_FOUND."""
    for subnet in networks.listed_subnets():
        if subnet.id == id:
            return subnet
    raise RuleBroken(Rule.SUBNET_NOT_FOUND, f"There is no subnet {shown(id)} here; list them to see which there are.")


def _page(found: Iterable[T], id_of: Callable[[T], str], limit: int | None, marker: str | None) -> list[T]:
    """Those after `marker`, at most `limit`; `found` is in the order of ids."""
    rest: Sequence[T] = [one for one in found if marker is None or id_of(one) > marker]
    return list(rest[:limit])
