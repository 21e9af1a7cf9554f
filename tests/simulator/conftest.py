"""A quick simulator, and an HTTP session, for each test."""

import logging
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from bot.simulator import Simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(first_token=0.01, per_token=0.0, picture=0.1, task=0.1) as simulator:
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        yield session


@pytest.fixture(autouse=True)
def no_error_in_the_server(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An exception in a handler, which aiohttp would turn into a log line and a 500, fails the test."""
    yield
    logged = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    assert not [record for record in logged if record.name == "aiohttp.server" and record.levelno >= logging.ERROR]
