"""The rules of a load balancer (classic-api.md, Load balancer): from a JSON value to a command.

What has to be looked up (whether an address is free, a quota is left) is the use case's.
"""

import re
from collections.abc import Mapping
from typing import Final

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import fields
from equipoise.api.classic.rules.fields import JsonObject, NameRules, is_blank
from equipoise.core.commands import Column, CreateLoadBalancerCommand, UpdateLoadBalancerCommand
from equipoise.core.model import EXTERNAL, INTERNAL, AdminState
from equipoise.core.networks import Networks
from equipoise.core.references import is_reference
from equipoise.quoting import shown

TYPES = (INTERNAL, EXTERNAL)
BANDWIDTHS = range(1, 2001)
EIP_TYPES = ("5_telcom", "5_union", "5_bgp", "5_sbgp")
DEFAULT_EIP_TYPE = "5_bgp"

_SECURITY_GROUP = re.compile(r"[A-Za-z0-9-]{1,200}")

_NAME_ON_CREATE = NameRules(
    wrong_type=Rule.LB_FIELD_INVALID,
    empty=Rule.LB_FIELD_MISSING,
    too_long=Rule.LB_FIELD_INVALID,
    bad_character=Rule.LB_NAME_INVALID,
)
_NAME_ON_UPDATE = NameRules(
    wrong_type=Rule.LB_UPDATE_FIELD_INVALID,
    empty=Rule.LB_UPDATE_NAME_INVALID,
    too_long=Rule.LB_UPDATE_NAME_TOO_LONG,
    bad_character=Rule.LB_UPDATE_NAME_INVALID,
)

WITHOUT_MEANING: Final[Mapping[str, frozenset[str]]] = {
    INTERNAL: frozenset({"bandwidth", "charge_mode", "eip_type"}),
    EXTERNAL: frozenset({"vip_subnet_id", "security_group_id", "az"}),
}
"""The fields that mean nothing for a type: not looked at, whatever they hold and whatever the operation is."""

# In the order of the published table, with the id, which only answers have, at the end.
_PROPERTIES = (
    "name",
    "description",
    "vpc_id",
    "type",
    "bandwidth",
    "admin_state_up",
    "vip_subnet_id",
    "security_group_id",
    "vip_address",
    "tenantId",
    "az",
    "charge_mode",
    "eip_type",
    "id",
)


def create_load_balancer(
    body: object, *, project_id: str, may_freeze: bool, networks: Networks | None = None
) -> CreateLoadBalancerCommand:
    """What to create. Raises RuleBroken for the first field, in the order of the published table, that breaks a rule.

    Args:
        body: the decoded JSON value.
        project_id: the project of the path, which a tenantId in the body must equal.
        may_freeze: whether the user may set admin_state_up to 2 (administrators only).
        networks: the VPCs, subnets and zones that there are; None: any.
    """
    given = fields.json_object(body)
    networks = networks or Networks()
    name = _name(given)
    description = fields.description(
        given.get("description"), wrong_type=Rule.LB_FIELD_INVALID, invalid=Rule.LB_DESCRIPTION_INVALID
    )
    vpc_id = _vpc_id(given)
    networks.check_vpc(vpc_id)
    lb_type = _type(given)
    external = lb_type == EXTERNAL
    # An elastic IP that is there already brings its own bandwidth, charge mode and type.
    new_elastic_ip = external and is_blank(given.get("vip_address"))
    bandwidth = _bandwidth(given) if new_elastic_ip else None
    admin_state_up = _admin_state_up(given, may_freeze)
    vip_subnet_id = None if external else _vip_subnet_id(given)
    if vip_subnet_id is not None:
        networks.check_subnet(vpc_id, vip_subnet_id)
    security_group_id = None if external else _security_group_id(given)
    vip_address = _vip_address(given)
    _check_tenant(given, project_id)
    az = None if external else _az(given)
    if az is not None:
        networks.check_zone(az)
    return CreateLoadBalancerCommand(
        name=name,
        description=description,
        vpc_id=vpc_id,
        type=lb_type,
        bandwidth=bandwidth,
        admin_state_up=admin_state_up,
        vip_subnet_id=vip_subnet_id,
        security_group_id=security_group_id,
        vip_address=vip_address,
        az=az,
        charge_mode=fields.charge_mode(given.get("charge_mode"), Rule.LB_FIELD_INVALID) if new_elastic_ip else None,
        eip_type=_eip_type(given) if new_elastic_ip else None,
    )


def update_load_balancer(body: object, *, current: Mapping[str, object], may_freeze: bool) -> UpdateLoadBalancerCommand:
    """What to change: name, description, bandwidth and admin_state_up, as far as given; nothing given is no error.

    Any other property raises LB_UPDATE_FORBIDDEN, unless it is given as it is now: clients send whole objects back.
    What is no property is ignored, and so is what only the service writes (status, times), because it may well have
    moved on since the client read it.

    Args:
        body: the decoded JSON value.
        current: the present values by their names on the wire, `type` and `tenantId` among them.
        may_freeze: as for `create_load_balancer`.
    """
    given = fields.json_object(body)
    changes: dict[str, Column] = {}
    for field in _PROPERTIES:
        value = given.get(field)
        if value is None or field in WITHOUT_MEANING[str(current["type"])]:
            continue
        if field in ("name", "description", "bandwidth", "admin_state_up"):
            changes[field] = _changed(field, value, may_freeze)
        elif value != "":
            _check_unchanged(field, value, current)
    return UpdateLoadBalancerCommand(changes)


def _changed(field: str, value: object, may_freeze: bool) -> Column:
    invalid = Rule.LB_UPDATE_FIELD_INVALID
    match field:
        case "name":
            return fields.name(value, _NAME_ON_UPDATE)
        case "description":
            return fields.description(value, wrong_type=invalid, invalid=Rule.LB_UPDATE_DESCRIPTION_INVALID)
        case "bandwidth":
            return fields.integer_in(value, BANDWIDTHS, "bandwidth", invalid)
        case _:
            return _admin_state(value, may_freeze, invalid)


def _check_unchanged(field: str, value: object, current: Mapping[str, object]) -> None:
    meant = fields.charge_mode(value, Rule.LB_UPDATE_FIELD_INVALID) if field == "charge_mode" else value
    if meant != current.get(field):
        raise RuleBroken(
            Rule.LB_UPDATE_FORBIDDEN,
            f"{field} cannot be changed; only name, description, bandwidth and admin_state_up can. Leave it out.",
        )


def _name(given: JsonObject) -> str:
    value = given.get("name")
    if value is None:
        raise RuleBroken(Rule.LB_FIELD_MISSING, "name is mandatory; give 1 to 64 characters.")
    return fields.name(value, _NAME_ON_CREATE)


def _vpc_id(given: JsonObject) -> str:
    value = given.get("vpc_id")
    if is_blank(value):
        raise RuleBroken(Rule.LB_VPC_MISSING, "vpc_id is mandatory; give the id of a VPC.")
    return _reference(value, "vpc_id")


def _type(given: JsonObject) -> str:
    value = given.get("type")
    if is_blank(value):
        raise RuleBroken(Rule.LB_FIELD_MISSING, "type is mandatory; give Internal or External.")
    if not isinstance(value, str):
        raise RuleBroken(Rule.LB_FIELD_INVALID, f"type must be a string, but it is {shown(value)}.")
    return fields.one_of(value, TYPES, "type", Rule.LB_TYPE_INVALID)


def _bandwidth(given: JsonObject) -> int:
    value = given.get("bandwidth")
    if is_blank(value):
        raise RuleBroken(
            Rule.LB_BANDWIDTH_INVALID,
            "bandwidth is mandatory for an External load balancer without vip_address; give 1 to 2000 Mbit/s.",
        )
    if not isinstance(value, str) and fields.integer(value) is None:
        raise RuleBroken(Rule.LB_FIELD_INVALID, f"bandwidth must be an integer, but it is {shown(value)}.")
    return fields.integer_in(value, BANDWIDTHS, "bandwidth", Rule.LB_BANDWIDTH_INVALID)


def _admin_state_up(given: JsonObject, may_freeze: bool) -> int:
    value = given.get("admin_state_up")
    if is_blank(value):
        raise RuleBroken(Rule.LB_FIELD_MISSING, "admin_state_up is mandatory; give 1 (on) or 0 (stopped).")
    return _admin_state(value, may_freeze, Rule.LB_FIELD_INVALID)


def admin_state(value: object) -> int | None:
    """An administrative state, given as an integer or a boolean, either of them in a string, too; None otherwise."""
    on = fields.truth(value)
    state = fields.integer(value) if on is None else int(on)
    return state if state in (AdminState.STOPPED, AdminState.ON, AdminState.FROZEN) else None


def _admin_state(value: object, may_freeze: bool, rule: Rule) -> int:
    state = admin_state(value)
    if state is None:
        raise RuleBroken(
            rule,
            f"admin_state_up must be 0 or false (stopped), 1 or true (on) or 2 (frozen), but it is {shown(value)}.",
        )
    if state == AdminState.FROZEN and not may_freeze:
        raise RuleBroken(Rule.ROLE_TOO_WEAK, "Only an administrator may freeze a load balancer (admin_state_up 2).")
    return state


def _vip_subnet_id(given: JsonObject) -> str | None:
    value = given.get("vip_subnet_id")
    if not is_blank(value):
        return _reference(value, "vip_subnet_id")
    if is_blank(given.get("vip_address")):
        raise RuleBroken(
            Rule.LB_SUBNET_AND_VIP_MISSING,
            "An Internal load balancer needs vip_subnet_id, the id of an IPv4 subnet, or vip_address.",
        )
    return None


def _security_group_id(given: JsonObject) -> str:
    value = given.get("security_group_id")
    if not isinstance(value, str) or not _SECURITY_GROUP.fullmatch(value):
        # The rule of missing fields names three others in its text, so that this one is "not valid" also when missing.
        raise RuleBroken(
            Rule.LB_FIELD_INVALID,
            "security_group_id is mandatory for an Internal load balancer: 1 to 200 letters, digits and -, "
            f"but it is {shown(value)}.",
        )
    return value


def _vip_address(given: JsonObject) -> str | None:
    value = given.get("vip_address")
    if is_blank(value):
        return None
    if not isinstance(value, str):
        raise RuleBroken(Rule.LB_FIELD_INVALID, f"vip_address must be a string, but it is {shown(value)}.")
    address = fields.ipv4(value)
    if address is None:
        raise RuleBroken(Rule.LB_VIP_INVALID, f"vip_address must be an IPv4 address, but it is {shown(value)}.")
    return address


def _check_tenant(given: JsonObject, project_id: str) -> None:
    value = given.get("tenantId")
    if not is_blank(value) and value != project_id:
        raise RuleBroken(
            Rule.LB_FIELD_INVALID,
            f"tenantId must be the project of the path or be left out, but it is {shown(value)}.",
        )


def _az(given: JsonObject) -> str | None:
    value = given.get("az")
    return None if is_blank(value) else _reference(value, "az")


def _eip_type(given: JsonObject) -> str:
    value = given.get("eip_type")
    if is_blank(value):
        return DEFAULT_EIP_TYPE
    return fields.one_of(value, EIP_TYPES, "eip_type", Rule.LB_FIELD_INVALID)


def _reference(value: object, field: str) -> str:
    if not isinstance(value, str) or not is_reference(value):
        raise RuleBroken(
            Rule.LB_FIELD_INVALID,
            f"{field} must be an id of 1 to 64 letters, digits, - _ . and :, but it is {shown(value)}.",
        )
    return value
