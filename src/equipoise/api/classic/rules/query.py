"""The rules of list queries (classic-api.md, "List filters", and Member): from query parameters to typed values.

What a filter matches is the business of the query; here only its name and the form of its value are checked.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.records import ALGORITHMS, COOKIE_INSERT
from equipoise.api.classic.rules import fields, listener, load_balancer
from equipoise.core.model import EXTERNAL, INTERNAL, TLS_1_0_AND_LATER, TLS_1_2
from equipoise.core.references import is_id, is_reference
from equipoise.parameters import given_in
from equipoise.quoting import is_plain, shown

FilterValue = str | int | bool
_DIGITS = re.compile("[0-9]+")
_ALL = 10**9
_Reader = Callable[[str], FilterValue | None]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """`filters` by their names on the wire. `limit` is 0 or more, None for no limit; `marker` ended the page before."""

    filters: Mapping[str, FilterValue]
    limit: int | None
    marker: str | None


def load_balancer_filters(query: Mapping[str, str]) -> ListQuery:
    """Raises LB_QUERY_INVALID."""
    return _read(query, _LOAD_BALANCER, Rule.LB_QUERY_INVALID)


def elastic_ip_filters(query: Mapping[str, str]) -> ListQuery:
    """Raises ELASTIC_IP_INVALID."""
    return _read(query, _ELASTIC_IP, Rule.ELASTIC_IP_INVALID)


def listener_filters(query: Mapping[str, str]) -> ListQuery:
    """Raises LISTENER_QUERY_INVALID."""
    return _read(query, _LISTENER, Rule.LISTENER_QUERY_INVALID)


def member_filters(query: Mapping[str, str]) -> ListQuery:
    """Raises MEMBER_QUERY_INVALID."""
    return _read(query, _MEMBER, Rule.MEMBER_QUERY_INVALID)


def certificate_filters(query: Mapping[str, str]) -> ListQuery:
    """Raises CERTIFICATE_QUERY_INVALID."""
    return _read(query, _CERTIFICATE, Rule.CERTIFICATE_QUERY_INVALID)


def vpc_filters(query: Mapping[str, str]) -> ListQuery:
    """Raises NETWORK_QUERY_INVALID."""
    return _read(query, _VPC, Rule.NETWORK_QUERY_INVALID, _reference)


def subnet_filters(query: Mapping[str, str]) -> ListQuery:
    """Raises NETWORK_QUERY_INVALID."""
    return _read(query, _SUBNET, Rule.NETWORK_QUERY_INVALID, _reference)


def _id(text: str) -> str | None:
    return text if is_id(text) else None


def _read(
    query: Mapping[str, str],
    readers: Mapping[str, _Reader],
    rule: Rule,
    read_id: Callable[[str], str | None] = _id,
) -> ListQuery:
    filters: dict[str, FilterValue] = {}
    limit: int | None = None
    marker: str | None = None
    for name, given in given_in(query).items():
        if name == "limit":
            limit = _limit(given)
            if limit is None:
                raise RuleBroken(rule, f"limit must be an integer of 0 or more, but it is {shown(given)}.")
        elif name == "marker":
            marker = read_id(given)
            if marker is None:
                raise RuleBroken(rule, f"marker must be the id that ended the page before, but it is {shown(given)}.")
        elif name in readers:
            value = readers[name](given)
            if value is None:
                raise RuleBroken(
                    rule, f"The filter {name} cannot be {shown(given)}; send a value that the field can have."
                )
            filters[name] = value
        else:
            raise RuleBroken(rule, f"There is no filter {shown(name)} here; use {', '.join(readers)}, limit or marker.")
    return ListQuery(filters, limit, marker)


def _limit(text: str) -> int | None:
    """A number of any length: more than there can be is as good as all."""
    if not _DIGITS.fullmatch(text):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) < len(str(_ALL)) else _ALL


def _reference(text: str) -> str | None:
    return text if is_reference(text) else None


def _text(text: str) -> str | None:
    return text if is_plain(text) else None


def _integer(text: str) -> int | None:
    return fields.integer(text)


def _choice(*allowed: str) -> _Reader:
    return lambda text: text if text in allowed else None


_LOAD_BALANCER: Mapping[str, _Reader] = {
    "id": _id,
    "name": _text,
    "description": _text,
    "type": _choice(INTERNAL, EXTERNAL),
    "status": _choice("ACTIVE", "PENDING_CREATE", "ERROR"),
    "bandwidth": _integer,
    "vpc_id": _text,
    "vip_subnet_id": _text,
    "vip_address": fields.ipv4,
    "security_group_id": _text,
    "az": _text,
    "admin_state_up": load_balancer.admin_state,
}

_ELASTIC_IP: Mapping[str, _Reader] = {"public_ip_address": fields.ipv4}

_VPC: Mapping[str, _Reader] = {"id": _text, "name": _text, "enterprise_project_id": _text}

_SUBNET: Mapping[str, _Reader] = {"id": _text, "name": _text, "vpc_id": _text}

_LISTENER: Mapping[str, _Reader] = {
    "id": _id,
    "name": _text,
    "description": _text,
    "loadbalancer_id": _id,
    "protocol": _choice(*listener.BACKEND_PROTOCOLS),
    "port": _integer,
    "backend_protocol": _choice(*dict.fromkeys(listener.BACKEND_PROTOCOLS.values())),
    "backend_port": _integer,
    "lb_algorithm": _choice(*ALGORITHMS),
    "sticky_session_type": _choice(COOKIE_INSERT),
    "cookie_timeout": _integer,
    "tcp_timeout": _integer,
    "tcp_draining": fields.truth,
    "tcp_draining_timeout": _integer,
    "certificate_id": _id,
    "udp_timeout": _integer,
    "ssl_protocols": _choice(TLS_1_2, TLS_1_0_AND_LATER),
    "ssl_ciphers": _choice(*listener.CIPHERS),
    "status": _choice("ACTIVE", "PENDING_CREATE", "ERROR"),
    "healthcheck_id": _id,
}

# An id that cannot be one is no error: clients ask for a member by id to learn whether it is gone, and a member
# that cannot exist is gone.
_MEMBER: Mapping[str, _Reader] = {
    "id": _text,
    "address": fields.ipv4,
    "server_address": fields.ipv4,
    "server_id": _text,
    "status": _choice("ACTIVE", "PENDING", "ERROR"),
    "health_status": _choice("NORMAL", "ABNORMAL", "UNAVAILABLE"),
}

_CERTIFICATE: Mapping[str, _Reader] = {
    "id": _id,
    "name": _text,
    "description": _text,
    "domain": _text,
}
