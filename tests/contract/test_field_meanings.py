"""Fields that mean nothing for a type or protocol, on the wire: creation and update take them and do nothing."""

from typing import Any

import pytest

from tests import meanings
from tests.contract.catalogue_cases import LB, LISTENERS, World
from tests.contract.wire import refusal

PORTS = {kind: 7100 + number for number, kind in enumerate(meanings.LISTENERS)}


@pytest.mark.parametrize("type", meanings.LOAD_BALANCERS)
def test_what_means_nothing_for_a_type_of_load_balancer_is_ignored(world: World, type: str) -> None:
    nonsense = meanings.meaningless(meanings.OF_LOAD_BALANCER, type)
    made = world.api.create_load_balancer(**meanings.LOAD_BALANCERS[type], **nonsense)
    path = f"{LB}/{made['id']}"
    world.api.succeed("PUT", path, json={**nonsense, "description": "changed"})
    assert world.api.ok("GET", path) | {"update_time": made["update_time"]} == made | {"description": "changed"}


@pytest.mark.parametrize("type", meanings.LOAD_BALANCERS)
def test_what_means_something_for_a_type_of_load_balancer_is_checked(world: World, type: str) -> None:
    made = world.internal if type == "Internal" else world.external
    for field in meanings.OF_LOAD_BALANCER.keys() - meanings.meaningless(meanings.OF_LOAD_BALANCER, type).keys():
        nonsense = {field: meanings.NONSENSE}
        assert refusal(world.api.call("POST", LB, json=meanings.LOAD_BALANCERS[type] | nonsense))[0] == 400, field
        assert refusal(world.api.call("PUT", f"{LB}/{made['id']}", json=nonsense))[0] == 400, field


@pytest.mark.parametrize("type", meanings.LOAD_BALANCERS)
def test_a_load_balancer_can_be_sent_back_as_it_was_read(world: World, type: str) -> None:
    made = world.internal if type == "Internal" else world.external
    path = f"{LB}/{made['id']}"
    read = world.api.ok("GET", path)
    world.api.succeed("PUT", path, json={**read, "tenantId": world.api.project_id})
    assert world.api.ok("GET", path) == read


def _body(world: World, kind: str) -> dict[str, Any]:
    body = meanings.LISTENERS[kind] | {"loadbalancer_id": world.external["id"], "port": PORTS[kind]}
    return body | {"certificate_id": world.certificate["id"]} if "HTTPS" in kind else body


@pytest.mark.parametrize("kind", meanings.LISTENERS)
def test_what_means_nothing_for_a_protocol_is_ignored_and_the_rest_is_checked(world: World, kind: str) -> None:
    nonsense = meanings.meaningless(meanings.OF_LISTENER, kind)
    checked = meanings.OF_LISTENER.keys() - nonsense.keys()
    body = _body(world, kind)
    for field in checked:
        answer = world.api.call("POST", LISTENERS, json=body | {field: meanings.NONSENSE})
        assert refusal(answer)[0] == 400, field
    made = world.api.ok("POST", LISTENERS, json=body | nonsense)
    path = f"{LISTENERS}/{made['id']}"
    for field in checked:
        assert refusal(world.api.call("PUT", path, json={field: meanings.NONSENSE}))[0] == 400, field
    changed = world.api.ok("PUT", path, json={**nonsense, "description": "changed"})
    assert changed | {"update_time": made["update_time"]} == made | {"description": "changed"}


@pytest.mark.parametrize("kind", meanings.LISTENERS)
def test_a_listener_of_strings_alone_is_the_same_listener(world: World, kind: str) -> None:
    """Clients that fill in templates send every number and boolean as a text, on creation and back."""
    body = {**_body(world, kind), "port": PORTS[kind] + 100}
    texts = {name: str(value) if isinstance(value, int) else value for name, value in body.items()}
    made = world.api.ok("POST", LISTENERS, json=texts)
    path = f"{LISTENERS}/{made['id']}"
    expected = {name: value for name, value in body.items() if made[name] != value}
    assert expected == {}
    sent = {name: str(value) if isinstance(value, int) else value for name, value in made.items()}
    again = world.api.ok("PUT", path, json=sent)
    assert again | {"update_time": made["update_time"]} == made
