"""The rules of a health check (classic-api.md, Health check): from a JSON value to a command."""

import re
from collections.abc import Mapping

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.records import HealthCheckFields, HealthCheckUpdate
from equipoise.api.classic.rules import fields
from equipoise.api.classic.rules.fields import JsonObject, is_blank
from equipoise.core.commands import Column
from equipoise.core.references import is_id
from equipoise.quoting import shown

PROTOCOLS = ("HTTP", "TCP", "UDP")
SECONDS = range(1, 51)
THRESHOLDS = range(1, 11)

DEFAULT_PROTOCOL = "TCP"
DEFAULT_URI = "/"
# The values of the published examples; the published table gives ranges only.
_NUMBERS: Mapping[str, tuple[range, int]] = {
    "healthy_threshold": (THRESHOLDS, 3),
    "unhealthy_threshold": (THRESHOLDS, 3),
    "healthcheck_timeout": (SECONDS, 10),
    "healthcheck_interval": (SECONDS, 5),
}

_URI = re.compile(r"/[A-Za-z0-9\-/.%?#&_=]{0,79}")


def listener_id(body: object) -> str:
    """The listener that is to be checked: the first field, so that it can be looked up before the others are read.

    Raises HEALTH_CHECK_LISTENER_MISSING, or HEALTH_CHECK_LISTENER_UNKNOWN for an id that cannot be one.
    """
    return _listener_id(fields.json_object(body))


def create_health_check(body: object, *, listener_protocol: str) -> HealthCheckFields:
    """What to create on a listener with this protocol, with defaults for what is not given.

    Raises those of `listener_id`, or HEALTH_CHECK_INVALID.
    """
    given = fields.json_object(body)
    rule = Rule.HEALTH_CHECK_INVALID
    listener_id = _listener_id(given)
    protocol = _protocol(given, rule) or DEFAULT_PROTOCOL
    _check_suits(protocol, listener_protocol, rule)
    uri = _uri(given, protocol, rule)
    port = _connect_port(given, rule)
    numbers = {name: default for name, (_, default) in _NUMBERS.items()} | _numbers(given, rule)
    return HealthCheckFields(
        listener_id=listener_id,
        healthcheck_protocol=protocol,
        healthcheck_uri=(uri or DEFAULT_URI) if protocol == "HTTP" else None,
        healthcheck_connect_port=port,
        **numbers,
    )


def update_health_check(
    body: object, *, current: Mapping[str, object], listener_protocol: str, backend_port: int
) -> HealthCheckUpdate:
    """What to change: whatever is given and differs from `current`, the present values by their names on the wire.

    A check without a port of its own is shown with the backend port: that one, sent back, is no change.
    A change of protocol carries the URI with it: HTTP without one gets `/`, TCP and UDP have none.
    Raises HEALTH_CHECK_UPDATE_INVALID, also for another listener_id than the present one.
    """
    given = fields.json_object(body)
    rule = Rule.HEALTH_CHECK_UPDATE_INVALID
    wanted: dict[str, Column] = {}
    _check_same_listener(given, current, rule)
    protocol = _protocol(given, rule) or str(current["healthcheck_protocol"])
    _check_suits(protocol, listener_protocol, rule)
    wanted["healthcheck_protocol"] = protocol
    uri = _uri(given, protocol, rule)
    present_uri = current.get("healthcheck_uri")
    if protocol != "HTTP":
        wanted["healthcheck_uri"] = None
    else:
        wanted["healthcheck_uri"] = uri or (present_uri if isinstance(present_uri, str) else None) or DEFAULT_URI
    port = _connect_port(given, rule)
    if port is not None and (port, current["healthcheck_connect_port"]) != (backend_port, None):
        wanted["healthcheck_connect_port"] = port
    wanted |= _numbers(given, rule)
    changes = {name: value for name, value in wanted.items() if value != current.get(name)}
    return HealthCheckUpdate(changes, {name: wanted[name] for name in wanted.keys() & given.keys() - changes.keys()})


def _listener_id(given: JsonObject) -> str:
    value = given.get("listener_id")
    if is_blank(value):
        raise RuleBroken(Rule.HEALTH_CHECK_LISTENER_MISSING, "listener_id is mandatory; give the id of a listener.")
    if not isinstance(value, str) or not is_id(value):
        raise RuleBroken(Rule.HEALTH_CHECK_LISTENER_UNKNOWN, f"There is no listener {shown(value)} in this project.")
    return value


def _check_same_listener(given: JsonObject, current: Mapping[str, object], rule: Rule) -> None:
    value = given.get("listener_id")
    if not is_blank(value) and value != current.get("listener_id"):
        raise RuleBroken(rule, "listener_id cannot be changed; create a health check for the other listener instead.")


def _protocol(given: JsonObject, rule: Rule) -> str | None:
    value = given.get("healthcheck_protocol")
    if is_blank(value):
        return None
    # Only ASCII letters have a case here: upper() makes "TCP" of nothing else, but may change other text.
    known = value.upper() if isinstance(value, str) and value.isascii() else value
    if not isinstance(known, str) or known not in PROTOCOLS:
        raise RuleBroken(rule, f"healthcheck_protocol must be one of {', '.join(PROTOCOLS)}, but it is {shown(value)}.")
    return known


def _check_suits(protocol: str, listener_protocol: str, rule: Rule) -> None:
    """UDP checks are for UDP listeners and the other way round; raises `rule` otherwise.

    With that, no UDP check comes to an Internal load balancer, which has no UDP listeners.
    """
    if (protocol == "UDP") != (listener_protocol == "UDP"):
        raise RuleBroken(
            rule,
            f"healthcheck_protocol must be {'UDP' if listener_protocol == 'UDP' else 'HTTP or TCP'} "
            f"for a {listener_protocol} listener, but it is {protocol}.",
        )


def _uri(given: JsonObject, protocol: str, rule: Rule) -> str | None:
    """The URI that is given, under either name; without HTTP it has no meaning and is not looked at."""
    if protocol != "HTTP":
        return None
    field = "healthcheck_path" if is_blank(given.get("healthcheck_uri")) else "healthcheck_uri"
    value = given.get(field)
    if is_blank(value):
        return None
    if not isinstance(value, str) or not _URI.fullmatch(value):
        raise RuleBroken(
            rule,
            f"{field} must begin with / and have 1 to 80 letters, digits and characters of -/.%?#&_=, "
            f"but it is {shown(value)}.",
        )
    return value


def _connect_port(given: JsonObject, rule: Rule) -> int | None:
    value = given.get("healthcheck_connect_port")
    return None if is_blank(value) else fields.integer_in(value, fields.PORTS, "healthcheck_connect_port", rule)


def _numbers(given: JsonObject, rule: Rule) -> dict[str, int]:
    return {
        name: fields.integer_in(given[name], allowed, name, rule)
        for name, (allowed, _) in _NUMBERS.items()
        if given.get(name) is not None
    }
