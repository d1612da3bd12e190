"""VPCs and subnets: list and show those that the operator has listed. They belong to all projects alike."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from equipoise.core.commands import Column, Filter
from equipoise.core.errors import NotFound
from equipoise.core.networks import Networks, Subnet
from equipoise.core.references import ResourceKind
from equipoise.quoting import shown

T = TypeVar("T")


def list_vpcs(networks: Networks, ids: Sequence[Column], limit: int | None, marker: str | None) -> list[str]:
    """One page of the ids of VPCs, of those that equal every one of `ids`."""
    found = (id for id in networks.listed_vpcs() if all(id == one for one in ids))
    return _page(found, str, limit, marker)


def show_vpc(networks: Networks, id: str) -> str:
    """The id of a VPC that there is. Raises NotFound."""
    if id not in networks.subnets:
        raise NotFound(ResourceKind.VPC, id, f"There is no VPC {shown(id)} here; list them to see which there are.")
    return id


def list_subnets(networks: Networks, filters: Sequence[Filter], limit: int | None, marker: str | None) -> list[Subnet]:
    """One page of subnets, of those whose fields equal the filters."""
    found = (
        subnet for subnet in networks.listed_subnets() if all(getattr(subnet, name) == value for name, value in filters)
    )
    return _page(found, lambda subnet: subnet.id, limit, marker)


def show_subnet(networks: Networks, id: str) -> Subnet:
    """A subnet; of several VPCs with one of that id, the first. Raises NotFound."""
    for subnet in networks.listed_subnets():
        if subnet.id == id:
            return subnet
    raise NotFound(ResourceKind.SUBNET, id, f"There is no subnet {shown(id)} here; list them to see which there are.")


def _page(found: Iterable[T], id_of: Callable[[T], str], limit: int | None, marker: str | None) -> list[T]:
    """Those after `marker`, at most `limit`; `found` is in the order of ids."""
    rest: Sequence[T] = [one for one in found if marker is None or id_of(one) > marker]
    return list(rest[:limit])
