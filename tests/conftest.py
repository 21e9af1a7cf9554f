"""What several folders of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.origins import remember_origins
from tests.postgres import Postgres, postgres

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

remember_origins()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One for the whole run; each test takes a database of its own."""
    with postgres() as server:
        yield server
