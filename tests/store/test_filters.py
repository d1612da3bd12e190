"""Filters of lists, on both kinds of database."""

import pytest

from equipoise.api.classic.records import listener_filters
from equipoise.api.classic.rules import query
from equipoise.usecases import listeners
from tests.store.controller_stand import CALLER, open_stand


@pytest.mark.parametrize(
    "field", ["port", "backend_port", "cookie_timeout", "tcp_timeout", "tcp_draining_timeout", "udp_timeout"]
)
async def test_a_number_that_no_listener_can_have_finds_none(field: str, database_url: str) -> None:
    """Minutes are milliseconds in the database: the largest number that a filter takes is more than a column holds."""
    filters = listener_filters(query.listener_filters({field: "999999999"}).filters)
    async with open_stand(database_url) as stand:
        load_balancer = await stand.create_load_balancer()
        await stand.create_listener(load_balancer.resource_id)
        found = stand.read(lambda connection: listeners.list_listeners(connection, CALLER, filters, None, None))
    assert found == []
