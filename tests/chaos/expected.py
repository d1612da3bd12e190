"""What may be there, computed from the journal and from how the jobs ended. Pure: nothing is asked here.

Everything that was asked has an effect: it happened, it did not, or nobody can know because the answer was cut off.
Each field is the set of the values that it may have. One value as a rule; two where an answer was cut off.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.chaos.journal import Asked, Outcome, What

LISTENER_FIELDS = (
    "protocol",
    "port",
    "backend_port",
    "lb_algorithm",
    "admin_state_up",
    "description",
    "certificate_id",
)
LOAD_BALANCER_FIELDS = ("type", "description", "admin_state_up")


class Effect(Enum):
    """What became of one request."""

    HAPPENED = "happened"
    DID_NOT = "did not"
    UNKNOWN = "unknown"


@dataclass
class Possible:
    """A thing that may be there."""

    there: set[bool] = field(default_factory=lambda: {False})
    fields: dict[str, set[Any]] = field(default_factory=lambda: defaultdict(set))
    ids: set[str] = field(default_factory=set)

    def exists(self, value: bool, effect: Effect) -> None:
        self.there = _moved(self.there, value, effect)

    def write(self, values: dict[str, Any], effect: Effect, *, first: bool = False) -> None:
        for name, value in values.items():
            self.fields[name] = {value} if first else _moved(self.fields[name], value, effect)


@dataclass
class PossibleListener(Possible):
    """`members` by address."""

    members: dict[str, set[bool]] = field(default_factory=lambda: defaultdict(lambda: {False}))
    health_check: Possible = field(default_factory=Possible)


@dataclass
class PossibleLoadBalancer(Possible):
    """`kept` tells whether its address may have stayed with the project."""

    kept: set[bool] = field(default_factory=lambda: {False})
    listeners: dict[str, PossibleListener] = field(default_factory=lambda: defaultdict(PossibleListener))


@dataclass
class Expected:
    """All projects together: load balancers and certificates by name, elastic IPs that were asked for by id."""

    load_balancers: dict[str, PossibleLoadBalancer] = field(default_factory=lambda: defaultdict(PossibleLoadBalancer))
    certificates: dict[str, Possible] = field(default_factory=lambda: defaultdict(Possible))
    elastic_ips: dict[str, Possible] = field(default_factory=lambda: defaultdict(Possible))
    unanswered_elastic_ips: int = 0


def expect(journal: Iterable[Asked], effect_of: Callable[[Asked], Effect]) -> Expected:
    """Play the journal."""
    expected = Expected()
    for asked in journal:
        effect = effect_of(asked)
        if asked.what in (What.CREATE_ELASTIC_IP, What.DELETE_ELASTIC_IP):
            _elastic_ip(expected, asked, effect)
        elif asked.certificate:
            _certificate(expected.certificates[asked.certificate], asked, effect)
        elif asked.listener:
            listener = expected.load_balancers[asked.load_balancer].listeners[asked.listener]
            _LISTENER[asked.what](listener, asked, effect)
        elif asked.what is not What.CANCEL_JOB:
            _load_balancer(expected, asked, effect)
    return expected


def _load_balancer(expected: Expected, asked: Asked, effect: Effect) -> None:
    one = expected.load_balancers[asked.load_balancer]
    if asked.what is What.CREATE_LOAD_BALANCER:
        one.exists(True, effect)
        one.write({name: asked.values[name] for name in LOAD_BALANCER_FIELDS}, effect, first=True)
        one.ids |= {asked.id} - {""}
    elif asked.what is What.UPDATE_LOAD_BALANCER:
        one.write(asked.values, effect)
    else:
        keeps = asked.what is What.DELETE_KEEPING_ADDRESS
        one.exists(False, effect)
        one.kept = _moved(one.kept, keeps, effect)
        if not keeps and asked.values["elastic_ip"]:
            expected.elastic_ips[asked.values["elastic_ip"]].exists(False, effect)


def _elastic_ip(expected: Expected, asked: Asked, effect: Effect) -> None:
    if asked.id:
        expected.elastic_ips[asked.id].exists(asked.what is What.CREATE_ELASTIC_IP, effect)
    elif effect is Effect.UNKNOWN:
        expected.unanswered_elastic_ips += 1


def _certificate(certificate: Possible, asked: Asked, effect: Effect) -> None:
    if asked.what is What.UPDATE_CERTIFICATE:
        certificate.write(asked.values, effect)
        return
    certificate.exists(asked.what is What.CREATE_CERTIFICATE, effect)
    if asked.what is What.CREATE_CERTIFICATE:
        certificate.write(asked.values, effect, first=True)
        certificate.ids |= {asked.id} - {""}


def _create_listener(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    listener.exists(True, effect)
    values = {"admin_state_up": True, "description": "", "certificate_id": None, **asked.values}
    listener.write({name: values[name] for name in LISTENER_FIELDS}, effect, first=True)
    listener.ids |= {asked.id} - {""}


def _update_listener(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    listener.write(asked.values, effect)


def _delete_listener(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    listener.exists(False, effect)


def _add_members(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    for address in asked.values["addresses"]:
        listener.members[address] = _moved(listener.members[address], True, effect)


def _remove_members(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    for address in asked.values["addresses"]:
        listener.members[address] = _moved(listener.members[address], False, effect)


def _create_health_check(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    listener.health_check.exists(True, effect)
    values = {name: asked.values[name] for name in ("healthcheck_protocol", "unhealthy_threshold")}
    listener.health_check.write(values, effect)


def _update_health_check(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    listener.health_check.write(asked.values, effect)


def _delete_health_check(listener: PossibleListener, asked: Asked, effect: Effect) -> None:
    listener.health_check.exists(False, effect)


_LISTENER: dict[What, Callable[[PossibleListener, Asked, Effect], None]] = {
    What.CREATE_LISTENER: _create_listener,
    What.UPDATE_LISTENER: _update_listener,
    What.DELETE_LISTENER: _delete_listener,
    What.ADD_MEMBERS: _add_members,
    What.REMOVE_MEMBERS: _remove_members,
    What.CREATE_HEALTH_CHECK: _create_health_check,
    What.UPDATE_HEALTH_CHECK: _update_health_check,
    What.DELETE_HEALTH_CHECK: _delete_health_check,
}


def _moved(before: set[Any], value: Any, effect: Effect) -> set[Any]:
    if effect is Effect.DID_NOT:
        return before
    return {value} if effect is Effect.HAPPENED else before | {value}


def effect_unless_job(asked: Asked) -> Effect | None:
    """What the answer alone says; None where it depends on the end of a job."""
    if asked.outcome is Outcome.REFUSED:
        return Effect.DID_NOT
    if asked.outcome is Outcome.UNKNOWN:
        return Effect.UNKNOWN
    return None
