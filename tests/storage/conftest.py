"""Every contract test of the store runs on each backend: another database joins by one more name in `BACKENDS`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import Store, open_store

BACKENDS = ("sqlite",)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that does not exist yet."""
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path / 'magpie.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url) as store:
        yield store
