"""The simulator as a whole: both vendors' services and the pictures on one loopback port."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.simulator import dashscope, glm
from bot.simulator.backend import MAX_BODY, Backend, Call, Pace, Script, Task, Upload
from bot.simulator.faults import Fault
from bot.simulator.words import Found, Reply

API_KEY = "b6f1a3c27d9e4f58a0c1d2e3f4a5b6c7.SimulatorSecret1"  # shaped like GLM's `<id>.<secret>`; no real key


class Simulator:
    """GLM and DashScope on 127.0.0.1: `async with Simulator() as sim`, then point the real clients at `sim.glm_url`,
    `sim.dashscope_url` with `sim.api_key`.

    Seconds: `first_token` to the first token, `per_token` between tokens, `picture` to draw one, `picture_life` of its link,
    `task` for what is answered later (chats, videos). `obeys`: the brain calls whatever function any text tells it to.
    `script` may answer in the brain's place (None: the brain does). More than `max_in_flight` calls per vendor are refused as
    that vendor refuses. The log keeps the last `keep_calls` calls. Port 0: any free one.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        first_token: float = 0.25,
        per_token: float = 0.02,
        picture: float = 1.0,
        picture_life: float = 86_400,
        task: float = 2.0,
        script: Script | None = None,
        faults: Sequence[Fault] = (),
        max_in_flight: int | None = None,
        keep_calls: int = 1_000,
        api_key: str = API_KEY,
        obeys: bool = False,
    ) -> None:
        self.api_key = api_key
        self._port = port
        self._backend = Backend(
            pace=Pace(first_token=first_token, per_token=per_token, picture=picture, task=task),
            script=script,
            faults=tuple(faults),
            max_in_flight=max_in_flight,
            keep_calls=keep_calls,
            picture_life=picture_life,
            obeys=obeys,
        )
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Bind and serve. Raises OSError if the port is taken."""
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(glm.Service(self._backend, self.api_key).routes())
        app.add_routes(dashscope.Service(self._backend, self.api_key).routes())
        app.router.add_get("/pictures/{key}.png", self._backend.picture)
        app.router.add_get("/media/{key}.{ending}", self._backend.picture)
        # A handler is cancelled when its client leaves: that is how the log learns of it.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, backlog=1024)
        try:
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def close(self) -> None:
        """Stop within a second; open streams are cut."""
        self._backend.closing.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self.close())

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def glm_url(self) -> str:
        return self.origin + glm.ROOT

    @property
    def dashscope_url(self) -> str:
        return self.origin + dashscope.ROOT

    @property
    def log(self) -> list[Call]:
        """Every call so far, oldest first, those still running included, as they stand now."""
        return [exchange.call for exchange in self._backend.exchanges]

    @property
    def running(self) -> list[Call]:
        return [call for call in self.log if call.ended is None]

    @property
    def tasks(self) -> list[Task]:
        """What was ordered and is answered later, of either vendor, the last 20,000."""
        return list(self._backend.tasks.values())

    @property
    def uploads(self) -> list[Upload]:
        """Every file that was sent to the upload endpoint, also refused ones."""
        return [upload for exchange in self._backend.exchanges for upload in exchange.uploads]

    def say(self, *replies: Reply | str) -> None:
        """Script the next answers of either vendor, in order, before `script` and the brain."""
        for reply in replies:
            self._backend.say(Reply(text=reply) if isinstance(reply, str) else reply)

    def hear(self, *texts: str) -> None:
        """Script what the next recordings say, in order."""
        for text in texts:
            self._backend.hear(text)

    def find(self, *pages: Found) -> None:
        """Script what the next web search finds: by itself, or of a chat whose answer is not scripted."""
        self._backend.find(pages)

    def fail(self, fault: Fault) -> None:
        """Script one fault more; see Fault for which calls it hits."""
        self._backend.faults.add(fault)

    def heal(self) -> None:
        """Forget the faults that have not struck yet."""
        self._backend.faults.clear()

    def set_max_in_flight(self, limit: int | None) -> None:
        self._backend.max_in_flight = limit
