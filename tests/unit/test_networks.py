"""The VPCs and subnets that the operator lists."""

from ipaddress import IPv4Network

import pytest

from equipoise.api.classic.rules import create_load_balancer
from equipoise.core.errors import InvalidField, NotFound
from equipoise.core.networks import Networks
from equipoise.core.references import ResourceKind

POOLS = {"front": IPv4Network("10.1.0.0/24"), "back": IPv4Network("10.2.0.0/24")}
LISTED = Networks({"vpc-1": POOLS, "vpc-2": {}})
ELSEWHERE = IPv4Network("127.78.0.0/16")


def unknown(**fields: object) -> ResourceKind | None:
    body = {
        "name": "lb",
        "vpc_id": "vpc-1",
        "type": "Internal",
        "admin_state_up": 1,
        "vip_subnet_id": "front",
        "security_group_id": "sg",
    }
    try:
        create_load_balancer(body | fields, project_id="p", may_freeze=False, networks=LISTED)
    except NotFound as error:
        return error.kind
    return None


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, None),
        ({"vpc_id": "vpc-3"}, ResourceKind.VPC),
        ({"vpc_id": "vpc-3", "type": "External", "bandwidth": 1}, ResourceKind.VPC),
        ({"vpc_id": "vpc-2", "type": "External", "bandwidth": 1}, None),
        ({"vip_subnet_id": "cellar"}, ResourceKind.SUBNET),
        ({"vpc_id": "vpc-2"}, ResourceKind.SUBNET),
        ({"vip_subnet_id": None, "vip_address": "10.2.0.7"}, None),
    ],
)
def test_only_what_is_listed_exists(fields: dict[str, object], kind: ResourceKind | None) -> None:
    assert unknown(**fields) is kind


def test_where_nothing_is_listed_everything_exists_and_has_the_common_pool() -> None:
    Networks().check_vpc("any")
    Networks().check_subnet("any", "any")
    assert Networks().pool("any", "any", None, ELSEWHERE) == ELSEWHERE


def test_the_pool_is_that_of_the_subnet_or_of_the_one_that_holds_the_address() -> None:
    assert LISTED.pool("vpc-1", "front", "10.2.0.7", ELSEWHERE) == POOLS["front"]
    assert LISTED.pool("vpc-1", None, "10.2.0.7", ELSEWHERE) == POOLS["back"]
    with pytest.raises(InvalidField) as error:
        LISTED.pool("vpc-1", None, "10.3.0.7", ELSEWHERE)
    assert (error.value.kind, error.value.field) == (ResourceKind.LOAD_BALANCER, "vip_address")
