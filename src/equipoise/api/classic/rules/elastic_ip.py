"""The rules of an elastic IP: from a JSON value to a command.

Source: the published address API of the same cloud (VPC API v1, publicips), of which the contract names the fields.
"""

import re
from collections.abc import Mapping

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import fields
from equipoise.api.classic.rules.fields import JsonObject, is_blank
from equipoise.api.classic.rules.load_balancer import BANDWIDTHS, EIP_TYPES
from equipoise.core.commands import CreateElasticIpCommand
from equipoise.quoting import shown

_INVALID = Rule.ELASTIC_IP_INVALID
_BANDWIDTH_NAME = re.compile(r"[\w.-]{1,64}")
OWN_BANDWIDTH = "PER"


def create_elastic_ip(body: object) -> CreateElasticIpCommand:
    """What to create. Raises RuleBroken for the first field of the published tables that breaks a rule."""
    given = fields.json_object(body)
    publicip = _part(given, "publicip")
    eip_type = fields.one_of(publicip.get("type"), EIP_TYPES, "publicip.type", _INVALID)
    _check_version(publicip.get("ip_version"))
    address = _address(publicip.get("ip_address"))
    bandwidth = _part(given, "bandwidth")
    _check_name(bandwidth.get("name"))
    size = fields.integer_in(bandwidth.get("size"), BANDWIDTHS, "bandwidth.size", _INVALID)
    _check_share_type(bandwidth.get("share_type"))
    charge_mode = fields.charge_mode(bandwidth.get("charge_mode"), _INVALID, "bandwidth.charge_mode")
    return CreateElasticIpCommand(eip_type, address, size, charge_mode)


def _part(given: JsonObject, name: str) -> JsonObject:
    value = given.get(name)
    if not isinstance(value, Mapping):
        raise RuleBroken(_INVALID, f"{name} must be an object, but it is {shown(value)}.")
    return value


def _check_version(value: object) -> None:
    if is_blank(value) or fields.integer(value) == 4:
        return
    raise RuleBroken(Rule.UNSUPPORTED, f"publicip.ip_version {shown(value)} is not offered here; leave it out for 4.")


def _address(value: object) -> str | None:
    if is_blank(value):
        return None
    address = fields.ipv4(value)
    if address is None:
        raise RuleBroken(_INVALID, f"publicip.ip_address must be an IPv4 address, but it is {shown(value)}.")
    return address


def _check_name(value: object) -> None:
    """The bandwidth belongs to its address here, so that its name is checked and not kept."""
    if not isinstance(value, str) or not _BANDWIDTH_NAME.fullmatch(value):
        raise RuleBroken(
            _INVALID, f"bandwidth.name must be 1 to 64 letters, digits, _, - and ., but it is {shown(value)}."
        )


def _check_share_type(value: object) -> None:
    if value == "WHOLE":
        raise RuleBroken(
            Rule.UNSUPPORTED, "bandwidth.share_type WHOLE (a bandwidth that several addresses share) is not offered."
        )
    fields.one_of(value, (OWN_BANDWIDTH,), "bandwidth.share_type", _INVALID)
