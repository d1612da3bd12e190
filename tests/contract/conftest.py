"""Fixtures for the rules of the wire: clients in projects of their own, whose lists nobody else changes."""

from collections.abc import Iterator

import pytest

from stand import Api, Service
from tests.people import member_of_new_project


@pytest.fixture
def project(shared_service: Service) -> Iterator[Api]:
    """A member of a new, empty project."""
    with member_of_new_project(shared_service) as client:
        yield client


@pytest.fixture(scope="module")
def tables(shared_service: Service) -> Iterator[Api]:
    """A member of a project that all tests of a module share: for tables of requests that change nothing."""
    with member_of_new_project(shared_service) as client:
        yield client
