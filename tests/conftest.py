"""Fixtures for tests against a running service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand import Api, Backends, Service, running_backends, running_service


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests that leave it as they found it."""
    with running_service(tmp_path_factory.mktemp("shared") / "data") as service:
        yield service


@pytest.fixture
def api(shared_service: Service) -> Iterator[Api]:
    with Api(shared_service) as client:
        yield client


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service for one test alone, which may kill it."""
    with running_service(tmp_path / "data") as service:
        yield service


@pytest.fixture
def backends() -> Iterator[Backends]:
    with running_backends(3) as three:
        yield three
