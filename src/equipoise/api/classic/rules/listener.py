"""The rules of a listener (classic-api.md, Listener): from a JSON value to a command.

What has to be looked up (whether the port is free, the certificate exists) is asked of `ListenerContext` in the turn
of its field, so that the first field that is wrong is told. A quota belongs to no field and is the use case's.
A field without meaning for the protocol is not looked at: clients send such fields, and they get null back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.records import ALGORITHMS, COOKIE_INSERT, ListenerUpdate, NewListener
from equipoise.api.classic.rules import fields
from equipoise.api.classic.rules.fields import JsonObject, NameRules, is_blank
from equipoise.core.commands import Column
from equipoise.core.model import INTERNAL, TLS_1_0_AND_LATER, TLS_1_2
from equipoise.core.references import is_id
from equipoise.quoting import shown
from equipoise.usecases.listeners import ListenerContext

BACKEND_PROTOCOLS: Mapping[str, str] = {"HTTP": "HTTP", "TCP": "TCP", "HTTPS": "HTTP", "UDP": "UDP"}
MINUTES = range(1, 1441)
DRAINING_MINUTES = range(61)
# The published table has no default; this is the value of its examples.
DEFAULT_DRAINING_MINUTES = 5
DEFAULT_CIPHERS = "Default"
OLD_CIPHERS = "Extended"
CIPHERS = (DEFAULT_CIPHERS, OLD_CIPHERS, "Strict")

_COOKIE_PROTOCOLS = ("HTTP", "HTTPS")


@dataclass(frozen=True, slots=True)
class _TextRules:
    """Name and description break rules of their own in each operation."""

    name: NameRules
    description: Rule


_ON_CREATE = _TextRules(
    NameRules(
        wrong_type=Rule.LISTENER_NAME_INVALID,
        empty=Rule.LISTENER_NAME_INVALID,
        too_long=Rule.LISTENER_NAME_TOO_LONG,
        bad_character=Rule.LISTENER_NAME_INVALID,
    ),
    Rule.LISTENER_DESCRIPTION_INVALID,
)
_ON_UPDATE = _TextRules(
    NameRules(
        wrong_type=Rule.LISTENER_UPDATE_NAME_INVALID,
        empty=Rule.LISTENER_UPDATE_NAME_INVALID,
        too_long=Rule.LISTENER_UPDATE_NAME_TOO_LONG,
        bad_character=Rule.LISTENER_UPDATE_NAME_INVALID,
    ),
    Rule.LISTENER_UPDATE_DESCRIPTION_INVALID,
)


def create_listener(body: object, context: ListenerContext) -> NewListener:
    """What to create. Raises RuleBroken for the first field in the order of the published table that breaks a rule."""
    given = fields.json_object(body)
    name = _name(_mandatory(given, "name", blank_counts=False), _ON_CREATE)
    description = _description(given.get("description"), _ON_CREATE)
    loadbalancer_id = _load_balancer_id(_mandatory(given, "loadbalancer_id"))
    lb_type = context.load_balancer(loadbalancer_id).type
    protocol = _protocol(_mandatory(given, "protocol"), lb_type)
    port = _port(_mandatory(given, "port"), "port")
    context.check_port(protocol, port)
    backend_protocol = _backend_protocol(_mandatory(given, "backend_protocol"), protocol)
    backend_port = _port(_mandatory(given, "backend_port"), "backend_port")
    lb_algorithm = _algorithm(_mandatory(given, "lb_algorithm"))
    sticky = _session_sticky(given, protocol, lb_algorithm)
    sticky_type = _sticky_session_type(given, protocol, sticky)
    cookie_timeout = _minutes(given, "cookie_timeout", MINUTES) if sticky_type else None
    tcp = protocol == "TCP"
    tcp_timeout = _minutes(given, "tcp_timeout", MINUTES) if tcp else None
    tcp_draining = (_tcp_draining(given) or False) if tcp else None
    tcp_draining_timeout = _minutes(given, "tcp_draining_timeout", DRAINING_MINUTES) if tcp else None
    if tcp_draining and tcp_draining_timeout is None:
        tcp_draining_timeout = DEFAULT_DRAINING_MINUTES
    https = protocol == "HTTPS"
    certificate_id = _certificate_id(_mandatory(given, "certificate_id")) if https else None
    if certificate_id is not None:
        context.check_certificate(certificate_id)
    udp_timeout = _minutes(given, "udp_timeout", MINUTES) if protocol == "UDP" else None
    ssl_protocols = (_ssl_protocols(given) or TLS_1_2) if https else None
    ssl_ciphers = None
    if ssl_protocols is not None:
        default = OLD_CIPHERS if ssl_protocols == TLS_1_0_AND_LATER else DEFAULT_CIPHERS
        ssl_ciphers = _fitting_ciphers(_ssl_ciphers(given) or default, ssl_protocols)
    return NewListener(
        name=name,
        description=description,
        loadbalancer_id=loadbalancer_id,
        protocol=protocol,
        port=port,
        backend_protocol=backend_protocol,
        backend_port=backend_port,
        lb_algorithm=lb_algorithm,
        session_sticky=sticky,
        sticky_session_type=sticky_type,
        cookie_timeout=cookie_timeout,
        tcp_timeout=tcp_timeout,
        tcp_draining=tcp_draining,
        tcp_draining_timeout=tcp_draining_timeout,
        udp_timeout=udp_timeout,
        certificate_id=certificate_id,
        ssl_protocols=ssl_protocols,
        ssl_ciphers=ssl_ciphers,
    )


def update_listener(body: object, *, current: Mapping[str, object], context: ListenerContext) -> ListenerUpdate:
    """What to change: whatever is given and differs from the present values.

    What cannot be changed raises LISTENER_UPDATE_FORBIDDEN, unless it is given as it is now: clients send whole
    objects back. What only the service writes (status, times, member_number, healthcheck_id) is ignored, because
    it may well have moved on since the client read it.

    Args:
        body: the decoded JSON value.
        current: the present values by their names on the wire, `protocol` and `lb_algorithm` among them.
    """
    given = fields.json_object(body)
    wanted: dict[str, Column] = {}
    for field, check in _UPDATE_CHECKS.items():
        if given.get(field) is not None:
            asked = check(field, given, current)
            _check_fit({name: value for name, value in asked.items() if value != current.get(name)}, current, context)
            wanted |= asked
    changes = {field: value for field, value in wanted.items() if value != current.get(field)}
    return ListenerUpdate(changes, {field: value for field, value in wanted.items() if field not in changes})


def _check_fit(changed: Mapping[str, Column], current: Mapping[str, object], context: ListenerContext) -> None:
    match changed:
        case {"port": int(port)}:
            context.check_port(str(current["protocol"]), port)
        case {"certificate_id": str(id)}:
            context.check_certificate(id)


# --- fields of both operations; each raises the rule of its field -------------------------------------------------


def _mandatory(given: JsonObject, field: str, *, blank_counts: bool = True) -> object:
    """The value of a mandatory field. Null counts as missing, and so does "" unless the field has a rule for it."""
    value = given.get(field)
    if value is None or (blank_counts and is_blank(value)):
        raise RuleBroken(Rule.LISTENER_FIELD_MISSING, f"{field} is mandatory; it is missing or empty.", nilKey=field)
    return value


def _name(value: object, rules: _TextRules) -> str:
    return fields.name(value, rules.name)


def _description(value: object, rules: _TextRules) -> str:
    return fields.description(value, wrong_type=rules.description, invalid=rules.description)


def _load_balancer_id(value: object) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise RuleBroken(Rule.LISTENER_LB_UNKNOWN, f"There is no load balancer {shown(value)} in this project.")
    return value


def _protocol(value: object, lb_type: str) -> str:
    protocol = fields.one_of(value, BACKEND_PROTOCOLS, "protocol", Rule.LISTENER_PROTOCOL_INVALID)
    if protocol == "UDP" and lb_type == INTERNAL:
        raise RuleBroken(
            Rule.LISTENER_PROTOCOL_INVALID,
            "protocol may not be UDP on an Internal load balancer; use TCP, HTTP or HTTPS.",
        )
    return protocol


def _port(value: object, field: str) -> int:
    return fields.integer_in(value, fields.PORTS, field, Rule.LISTENER_PORT_INVALID)


def _backend_protocol(value: object, protocol: str) -> str:
    fitting = BACKEND_PROTOCOLS[protocol]
    if value != fitting:
        raise RuleBroken(
            Rule.LISTENER_BACKEND_PROTOCOL_INVALID,
            f"backend_protocol must be {fitting} for protocol {protocol}, but it is {shown(value)}.",
        )
    return fitting


def _algorithm(value: object) -> str:
    return fields.one_of(value, ALGORITHMS, "lb_algorithm", Rule.LISTENER_ALGORITHM_INVALID)


def _session_sticky(given: JsonObject, protocol: str, lb_algorithm: str) -> bool:
    value = given.get("session_sticky")
    if value is None or protocol == "UDP":
        return False
    # The text of the rule about stickiness names sticky_session_type: what is no boolean breaks another one.
    sticky = fields.boolean(value, "session_sticky", Rule.LISTENER_FIELD_INVALID)
    _check_stickiness(sticky, lb_algorithm)
    return sticky


def _check_stickiness(sticky: bool, lb_algorithm: str) -> None:
    if sticky and lb_algorithm != "roundrobin":
        raise RuleBroken(
            Rule.LISTENER_STICKINESS_INVALID,
            f"session_sticky may be true only with lb_algorithm roundrobin, but that is {lb_algorithm}.",
        )


def _sticky_session_type(given: JsonObject, protocol: str, sticky: bool) -> str | None:
    """Kept also while stickiness is off, so that a client reads what it wrote; stickiness by cookie implies insert."""
    if protocol not in _COOKIE_PROTOCOLS:
        return None
    value = given.get("sticky_session_type")
    if is_blank(value):
        return COOKIE_INSERT if sticky else None
    return fields.one_of(value, (COOKIE_INSERT,), "sticky_session_type", Rule.LISTENER_STICKINESS_INVALID)


def _minutes(given: JsonObject, field: str, allowed: range) -> int | None:
    value = given.get(field)
    return None if value is None else fields.integer_in(value, allowed, field, Rule.LISTENER_FIELD_INVALID)


def _tcp_draining(given: JsonObject) -> bool | None:
    value = given.get("tcp_draining")
    return None if value is None else fields.boolean(value, "tcp_draining", Rule.LISTENER_FIELD_INVALID)


def _certificate_id(value: object) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise RuleBroken(
            Rule.LISTENER_FIELD_INVALID,
            f"certificate_id must be the id of a certificate, 32 characters of 0-9 and a-f, but it is {shown(value)}.",
        )
    return value


def _ssl_protocols(given: JsonObject) -> str | None:
    value = given.get("ssl_protocols")
    if is_blank(value):
        return None
    return fields.one_of(value, (TLS_1_2, TLS_1_0_AND_LATER), "ssl_protocols", Rule.LISTENER_FIELD_INVALID)


def _ssl_ciphers(given: JsonObject) -> str | None:
    value = given.get("ssl_ciphers")
    return None if is_blank(value) else fields.one_of(value, CIPHERS, "ssl_ciphers", Rule.LISTENER_FIELD_INVALID)


def _fitting_ciphers(ssl_ciphers: str, ssl_protocols: str) -> str:
    if ssl_protocols == TLS_1_0_AND_LATER and ssl_ciphers != OLD_CIPHERS:
        raise RuleBroken(
            Rule.LISTENER_FIELD_INVALID,
            f"ssl_ciphers must be {OLD_CIPHERS} with ssl_protocols {TLS_1_0_AND_LATER}, but it is {ssl_ciphers}.",
        )
    return ssl_ciphers


# --- update: each check gives the columns that the field asks for, none where it has no meaning -------------------

_Check = Callable[[str, JsonObject, Mapping[str, object]], dict[str, Column]]


def _for_protocol(protocol: str, check: _Check) -> _Check:
    """The check, where the listener has this protocol; elsewhere the field has no meaning and is ignored."""

    def checked(field: str, given: JsonObject, current: Mapping[str, object]) -> dict[str, Column]:
        return check(field, given, current) if current["protocol"] == protocol else {}

    return checked


def _new_name(field: str, given: JsonObject, _current: Mapping[str, object]) -> dict[str, Column]:
    return {field: _name(given[field], _ON_UPDATE)}


def _new_description(field: str, given: JsonObject, _current: Mapping[str, object]) -> dict[str, Column]:
    return {field: _description(given[field], _ON_UPDATE)}


def _new_port(field: str, given: JsonObject, _current: Mapping[str, object]) -> dict[str, Column]:
    return {field: _port(given[field], field)}


def _new_algorithm(field: str, given: JsonObject, current: Mapping[str, object]) -> dict[str, Column]:
    algorithm = _algorithm(given[field])
    _check_stickiness(current.get("session_sticky") is True, algorithm)
    return {field: algorithm}


def _new_minutes(field: str, given: JsonObject, _current: Mapping[str, object]) -> dict[str, Column]:
    return {field: _minutes(given, field, MINUTES)}


def _new_draining(field: str, given: JsonObject, current: Mapping[str, object]) -> dict[str, Column]:
    draining = _tcp_draining(given)
    if draining and current.get("tcp_draining_timeout") is None:
        # A timeout in the body comes later in the table and takes the place of this one.
        return {field: draining, "tcp_draining_timeout": DEFAULT_DRAINING_MINUTES}
    return {field: draining}


def _new_draining_timeout(field: str, given: JsonObject, _current: Mapping[str, object]) -> dict[str, Column]:
    return {field: _minutes(given, field, DRAINING_MINUTES)}


def _new_certificate(field: str, given: JsonObject, _current: Mapping[str, object]) -> dict[str, Column]:
    return {} if is_blank(given[field]) else {field: _certificate_id(given[field])}


def _new_ssl(_field: str, given: JsonObject, current: Mapping[str, object]) -> dict[str, Column]:
    """Both columns, since they must fit each other whichever of them changes."""
    protocols = _ssl_protocols(given) or str(current.get("ssl_protocols") or TLS_1_2)
    ciphers = _ssl_ciphers(given) or str(current.get("ssl_ciphers") or DEFAULT_CIPHERS)
    return {"ssl_protocols": protocols, "ssl_ciphers": _fitting_ciphers(ciphers, protocols)}


def _new_admin_state(field: str, given: JsonObject, _current: Mapping[str, object]) -> dict[str, Column]:
    return {field: fields.boolean(given[field], field, Rule.LISTENER_FIELD_INVALID)}


def _unchangeable(field: str, given: JsonObject, current: Mapping[str, object]) -> dict[str, Column]:
    _check_unchanged(field, given[field], given[field], current)
    return {}


def _check_unchanged(field: str, value: object, meant: object, current: Mapping[str, object]) -> None:
    """Raise LISTENER_UPDATE_FORBIDDEN unless `value`, which reads as `meant` (None: as nothing), is what there is."""
    now = current.get(field)
    # Type and value, because to Python true equals 1.
    if meant is None or (type(meant), meant) != (type(now), now):
        raise RuleBroken(
            Rule.LISTENER_UPDATE_FORBIDDEN,
            f"{field} cannot be changed from {shown(now)} to {shown(value)}; leave it out or create a new listener.",
        )


def _unchangeable_cookie(field: str, given: JsonObject, current: Mapping[str, object]) -> dict[str, Column]:
    """Where stickiness by cookie is on these cannot be changed; where it is off, they are checked as on creation.

    Clients send them with every listener, so that a value that creation would take is no error while it is off.
    """
    value = given[field]
    if current["protocol"] not in _COOKIE_PROTOCOLS or value == "":
        return {}
    if current.get("session_sticky") is True:
        integral = field == "cookie_timeout"
        _check_unchanged(field, value, fields.integer(value) if integral else value, current)
        return {}
    sticky_type = _sticky_session_type(given, str(current["protocol"]), False) or current.get("sticky_session_type")
    if field == "cookie_timeout" and sticky_type:
        _minutes(given, field, MINUTES)
    return {}


def _unchangeable_stickiness(field: str, given: JsonObject, current: Mapping[str, object]) -> dict[str, Column]:
    if current["protocol"] != "UDP":
        _check_unchanged(field, given[field], fields.truth(given[field]), current)
    return {}


# In the order of the published table.
_UPDATE_CHECKS: Mapping[str, _Check] = {
    "id": _unchangeable,
    "name": _new_name,
    "description": _new_description,
    "loadbalancer_id": _unchangeable,
    "protocol": _unchangeable,
    "port": _new_port,
    "backend_protocol": _unchangeable,
    "backend_port": _new_port,
    "lb_algorithm": _new_algorithm,
    "session_sticky": _unchangeable_stickiness,
    "sticky_session_type": _unchangeable_cookie,
    "cookie_timeout": _unchangeable_cookie,
    "tcp_timeout": _for_protocol("TCP", _new_minutes),
    "tcp_draining": _for_protocol("TCP", _new_draining),
    "tcp_draining_timeout": _for_protocol("TCP", _new_draining_timeout),
    "certificate_id": _for_protocol("HTTPS", _new_certificate),
    "udp_timeout": _for_protocol("UDP", _new_minutes),
    "ssl_protocols": _for_protocol("HTTPS", _new_ssl),
    "ssl_ciphers": _for_protocol("HTTPS", _new_ssl),
    "admin_state_up": _new_admin_state,
}
