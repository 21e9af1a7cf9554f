"""A vendor's file alone, without the policies around it, on a simulator that keeps tasks for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from bot.errors import ModelError
from bot.models.vendor import Linked, Offering, Streamed
from bot.ports import ModelCard, Order, Prompt
from bot.simulator import Simulator
from tests.models.rig import Shelf


@dataclass
class Alone:
    vendor: Offering
    sim: Simulator
    shelf: Shelf
    session: aiohttp.ClientSession

    async def stream(self, prompt: Prompt) -> list[Streamed]:
        return [part async for part in self.vendor.stream(prompt)]

    async def task(self, order: Order) -> str:
        """The id of an order that is done later."""
        task = await self.vendor.submit(order)
        assert isinstance(task, str)
        return task

    async def made(self, order: Order) -> Linked:
        """What comes of an order, however long that takes."""
        taken = await self.vendor.submit(order)
        return taken if isinstance(taken, Linked) else await self.waited(order.card, taken)

    async def waited(self, card: ModelCard, task: str) -> Linked:
        deadline = time.monotonic() + 5
        while (linked := await self.vendor.look(card, task)) is None:
            assert time.monotonic() < deadline, "the task never ended"
            await asyncio.sleep(0.01)
        return linked

    async def refused(self, order: Order) -> ModelError:
        """The error of an order that must come to nothing."""
        try:
            linked = await self.made(order)
        except ModelError as error:
            return error
        raise AssertionError(f"it was made: {linked}")

    async def fetch(self, link: str) -> bytes:
        async with self.session.get(link) as answer:
            assert answer.status == 200
            return await answer.read()

    @property
    def body(self) -> dict[str, object]:
        """Of the newest request, without the fields that are not set."""
        return {name: value for name, value in self.sim.log[-1].body.items() if value is not None}

    def submitted(self, path: str = "/services/") -> int:
        """How many requests came there."""
        return sum(path in call.path for call in self.sim.log)


@asynccontextmanager
async def open_alone(
    opened: Callable[[aiohttp.ClientSession, Shelf, Simulator], Offering],
    *,
    task: float = 0.05,
    picture: float = 0.0,
    obeys: bool = False,
) -> AsyncIterator[Alone]:
    shelf = Shelf()
    async with (
        Simulator(first_token=0.0, per_token=0.0, picture=picture, task=task, obeys=obeys) as sim,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Alone(opened(session, shelf, sim), sim, shelf, session)
