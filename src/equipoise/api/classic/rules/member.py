"""The rules of members (classic-api.md, Operations and Member): from a JSON value to what to add or to remove."""

from ipaddress import IPv4Address

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import fields
from equipoise.api.classic.rules.fields import is_blank
from equipoise.core.commands import AddMemberCommand
from equipoise.core.references import is_id, is_reference
from equipoise.quoting import shown


def add_members(body: object) -> tuple[AddMemberCommand, ...]:
    """The members to add, as many as given and in that order; the same one may be among them twice."""
    if body is None:
        raise RuleBroken(Rule.BODY_MISSING, 'The body is null; send an array of {"server_id", "address"}.')
    if not isinstance(body, list) or not body:
        raise RuleBroken(
            Rule.MEMBER_FIELD_INVALID, 'The body must be an array of at least one {"server_id", "address"}.'
        )
    return tuple(_new_member(number, element) for number, element in enumerate(body, start=1))


def remove_members(body: object) -> tuple[str, ...]:
    """The ids of the members to remove, in the order given, each once. Raises MEMBER_REMOVAL_INVALID."""
    given = fields.json_object(body, otherwise=Rule.MEMBER_REMOVAL_INVALID)
    elements = given.get("removeMember")
    if not isinstance(elements, list) or not elements:
        raise RuleBroken(
            Rule.MEMBER_REMOVAL_INVALID,
            f'removeMember must be an array of at least one {{"id"}}, but it is {shown(elements)}.',
        )
    return tuple(dict.fromkeys(_member_id(number, element) for number, element in enumerate(elements, start=1)))


def _new_member(number: int, element: object) -> AddMemberCommand:
    if not isinstance(element, dict):
        raise RuleBroken(
            Rule.MEMBER_FIELD_INVALID,
            f'Member {number} must be an object {{"server_id", "address"}}, but it is {shown(element)}.',
        )
    return AddMemberCommand(
        server_id=_server_id(number, element.get("server_id")), address=_address(number, element.get("address"))
    )


def _server_id(number: int, value: object) -> str:
    if not isinstance(value, str) or not is_reference(value):
        raise RuleBroken(
            Rule.MEMBER_FIELD_INVALID,
            f"server_id of member {number} must be 1 to 64 letters, digits, - _ . and :, but it is {shown(value)}.",
        )
    return value


def _address(number: int, value: object) -> str:
    if is_blank(value):
        raise RuleBroken(
            Rule.MEMBER_ADDRESS_INVALID, f"address of member {number} is missing; give the private IPv4 address."
        )
    address = fields.ipv4(value)
    if address is None or not _can_be_a_server(IPv4Address(address)):
        raise RuleBroken(
            Rule.MEMBER_ADDRESS_INVALID,
            f"address of member {number} must be the IPv4 address of a server, but it is {shown(value)}.",
        )
    return address


def _can_be_a_server(address: IPv4Address) -> bool:
    """0.0.0.0, multicast and 240.0.0.0/4 (the broadcast address among it) can never be connected to."""
    return not (address.is_unspecified or address.is_multicast or address.is_reserved)


def _member_id(number: int, element: object) -> str:
    value = element.get("id") if isinstance(element, dict) else None
    if not isinstance(value, str) or not is_id(value):
        raise RuleBroken(
            Rule.MEMBER_REMOVAL_INVALID,
            f"removeMember {number} must hold the id of a member, 32 characters of 0-9 and a-f.",
        )
    return value
