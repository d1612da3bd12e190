"""What several of these tests need."""

from uuid import uuid4

import pytest


@pytest.fixture
def instance() -> str:
    """The id of an instance of the service, by which its tables in the kernel are known."""
    return uuid4().hex[:16]
