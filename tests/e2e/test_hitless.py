"""Traffic of every kind beside changes of every kind: what became of each single request. `make hitless` is longer."""

import pytest
import uvloop

from stand import PATIENCE, Service
from tests.hitless.changes import all_changes
from tests.hitless.outages import without_service
from tests.hitless.run import run

CHANGES = 20
"""Of each kind, 50 in a second."""

CLIENTS = 2
"""Of each kind of traffic."""


@pytest.mark.timeout(400)
def test_no_kind_of_change_costs_any_kind_of_traffic_a_request_or_a_connection(shared_service: Service) -> None:
    rows = uvloop.run(run(shared_service, all_changes(), CHANGES, CLIENTS))
    found = [(row, kind, cell) for row in rows for kind, cell in row.cells.items()]
    assert all(cell.requests for _, _, cell in found)
    elsewhere = [(row.change, kind, cell) for row, kind, cell in found if kind not in row.change.about]
    assert [(change.name, kind, cell.failures) for change, kind, cell in elsewhere if cell.failures] == []
    # A change may be about sessions of UDP: the answers that are on their way at that moment are lost, and no others.
    about = [(row.changes, kind, cell) for row, kind, cell in found if kind in row.change.about]
    assert all(len(cell.failures) <= changes * CLIENTS for changes, _, cell in about)
    assert [cell.failures for _, kind, cell in about if kind != "UDP" and cell.failures] == []
    # A connection that the server ends politely is one that the change is about; it may come to that a little later.
    ended = {(change.name, kind) for change, kind, cell in elsewhere if cell.farewells}
    assert ended <= {("names and descriptions", "HTTPS"), ("bandwidth", "HTTPS"), ("afterwards", "HTTPS")}


def test_a_service_that_is_killed_for_a_while_is_missed_by_no_request_and_has_changed_all_when_it_is_back(
    own_service: Service,
) -> None:
    outage = uvloop.run(without_service(own_service, seconds=3, clients=CLIENTS))
    assert {kind: each for kind, each in outage.failures.items() if each} == {}
    assert all(number > 20 for number in outage.requests.values())
    assert outage.queued == 18
    # What was accepted is in force when the service says that it is ready: what is left is to ask for each.
    assert outage.in_force_after < PATIENCE
