"""What creation ignores, an update ignores, and what one checks the other checks: every field of every kind."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import pytest

from equipoise.api.classic.codes import RuleBroken
from equipoise.api.classic.rules import (
    create_listener,
    create_load_balancer,
    update_listener,
    update_load_balancer,
)
from equipoise.api.classic.rules.health_check import create_health_check, update_health_check
from equipoise.api.classic.rules.load_balancer import WITHOUT_MEANING
from tests import meanings
from tests.unit.listener_context import Anywhere

ID = "0123456789abcdef0123456789abcdef"
PROJECT = "p"

Read = Callable[[Mapping[str, Any]], Any]


def of_load_balancer(type: str) -> tuple[Read, Read]:
    """How a body is read by creation, and by an update of what that creation makes."""
    body = meanings.LOAD_BALANCERS[type]

    def create(more: Mapping[str, Any]) -> Any:
        return create_load_balancer({**body, **more}, project_id=PROJECT, may_freeze=False)

    current = asdict(create({})) | {"id": ID, "tenantId": PROJECT}
    return create, lambda given: update_load_balancer(dict(given), current=current, may_freeze=False)


def of_listener(kind: str) -> tuple[Read, Read]:
    body = meanings.LISTENERS[kind] | {"loadbalancer_id": ID, "port": 80}
    if "HTTPS" in kind:
        body |= {"certificate_id": ID}

    def create(more: Mapping[str, Any]) -> Any:
        return create_listener({**body, **more}, Anywhere())

    current = asdict(create({})) | {"id": ID, "admin_state_up": True}
    return create, lambda given: update_listener(dict(given), current=current, context=Anywhere())


def of_health_check(protocol: str) -> tuple[Read, Read]:
    listener_protocol = "UDP" if protocol == "UDP" else "TCP"
    body = {"listener_id": ID, "healthcheck_protocol": protocol}

    def create(more: Mapping[str, Any]) -> Any:
        return create_health_check({**body, **more}, listener_protocol=listener_protocol)

    current = asdict(create({}))

    def update(given: Mapping[str, Any]) -> Any:
        # A URI without meaning is none, and that it is said again may be remembered.
        return update_health_check(
            dict(given), current=current, listener_protocol=listener_protocol, backend_port=80
        ).changes

    return create, update


CASES = [
    pytest.param(table, field, kind, operation, read, id=f"{resource}-{kind}-{field}-{operation}")
    for resource, table, kinds, reads in (
        ("load-balancer", meanings.OF_LOAD_BALANCER, meanings.LOAD_BALANCERS, of_load_balancer),
        ("listener", meanings.OF_LISTENER, meanings.LISTENERS, of_listener),
        ("health-check", meanings.OF_HEALTH_CHECK, ("HTTP", "TCP", "UDP"), of_health_check),
    )
    for kind in kinds
    for operation, read in zip(("creation", "update"), reads(kind), strict=True)
    for field in table
]


@pytest.mark.parametrize(("table", "field", "kind", "operation", "read"), CASES)
def test_a_field_is_looked_at_where_it_means_something_and_nowhere_else(
    table: Mapping[str, tuple[str, ...] | None], field: str, kind: str, operation: str, read: Read
) -> None:
    nonsense = {field: meanings.NONSENSE}
    if not meanings.means_something(table, field, kind):
        assert read(nonsense) == read({}), operation
        return
    with pytest.raises(RuleBroken) as caught:
        read(nonsense)
    assert field in f"{caught.value.detail} {caught.value.parameters}" or field in UNNAMED, caught.value


UNNAMED = {"loadbalancer_id", "listener_id"}
"""Told by what they name: there is no such load balancer, no such listener."""


def test_the_rules_know_the_same_table() -> None:
    for type, without in WITHOUT_MEANING.items():
        assert without == meanings.meaningless(meanings.OF_LOAD_BALANCER, type).keys()
