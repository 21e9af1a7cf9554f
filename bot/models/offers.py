"""What a vendor offers besides chat, behind the same policies as `guarded`: orders that outlive a turn, speech, searches.

Each call passes the breaker and the gate, has its money held back before and settled after, and a limit of time. Orders are
tried once: when to try again is the runner's, whose waits survive a restart. Their money stays held back with the job while
the vendor is at work; what the person waits for (speech, a search) is settled at once, and a refusal that costs nothing is
tried again here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from yarl import URL

from bot import foreign, metrics
from bot.errors import ModelError, StorageError, Trouble, Unreadable
from bot.foreign import BadLink, LinkTooLarge, Rules
from bot.messages import ChatKey, Finished, Usage
from bot.models import costs, pictures
from bot.models.admission import Admission
from bot.models.budget import Budget, Reserved
from bot.models.guarded import fit, note
from bot.models.tries import Limits, Tries
from bot.models.vendor import Linked, Offering
from bot.ports import Fetched, Hit, Made, ModelCard, Order, PicturePrompt, Prompt, SpeechPrompt, Submitted, VideoPrompt
from bot.text import clean

log = logging.getLogger(__name__)
T = TypeVar("T")

TAKING = 60.0  # seconds for a vendor to take an order, with the pictures that go along
LOOKING = 30.0  # seconds to tell how far it is
CANCELLING = 5.0  # seconds to be told that nobody wants it any more
HEARING, SPEAKING, SEARCHING = 60.0, 60.0, 30.0  # seconds
FETCHING = 180.0  # seconds for a video
MAX_VIDEO = 50 * 1024 * 1024  # bytes: what Telegram takes from a bot. A larger one is a link
AT_ONCE = 2  # results being fetched: each is whole in memory
TRIES = 3  # of fetching one
LINK = "link"  # our code for a result that cannot be fetched
SEARCH_PRICE = 0.03  # CNY a search. A guess: third parties tell of 0.01 to 0.03


class Offered:
    """One vendor behind the policies: `ports.Background`, `ports.SpeechModel` and `ports.SearchModel`. `failed` is told of
    every call that fails, and may not wait; `admission` is the one of the account's chat."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], Awaitable[Offering]],
        budget: Budget,
        limits: Limits,
        *,
        admission: Admission,
        key: str = "",
        fake_ip: bool = False,
        failed: Callable[[ModelError], None] = lambda error: None,
    ) -> None:
        self._name = name
        self._opened = opened
        self._budget = budget
        self._limits = limits
        self._admission = admission
        self._fake_ip = fake_ip
        self._note = partial(note, key, failed)
        self._fetching = asyncio.Semaphore(AT_ONCE)
        self._searching = ModelCard(name="web_search", vendor=name, kind="chat", per_picture=SEARCH_PRICE)

    # --- orders --------------------------------------------------------------------------------------------------------

    async def submit(self, order: Order) -> Submitted | Made:
        order = _clean(order)
        card = order.card
        visit = self._admission.visit(card, background=True)
        with visit:
            await visit.enter()
            reserved = await self._budget.reserve(
                card, costs.order_estimate(order), chat=order.chat, turn=order.turn, job_fence=order.job_fence
            )
            try:
                made = await self._in_time(card, self._longest(order), lambda vendor: vendor.submit(order))
                visit.answered()
            except (Unreadable, StorageError):  # a kept picture is gone, or cannot be had now: nothing was asked
                await self._release(card, reserved, 0)
                raise
            except asyncio.CancelledError:  # the estimate stays, until the job's end settles it
                metrics.spent(card.name, reserved.cost)
                raise
            except ModelError as error:
                visit.failed(error)
                await self._refused(card, reserved, error)
                raise
        if isinstance(made, str):
            return Submitted(made, reserved.call, reserved.cost)
        return await self._made_at_once(card, made, reserved)

    async def look(self, card: ModelCard, task: str) -> Made | None:
        try:
            linked = await self._in_time(card, LOOKING, lambda vendor: vendor.look(card, task))
            if linked is None:
                return None
            made = await self._fetched(card, linked)
        except ModelError as error:
            self._note(error)
            raise
        # How long a video is, the vendor does not tell: it costs what was held back.
        usage = replace(made.finished.usage, estimated=made.finished.usage.estimated or bool(card.per_second))
        return replace(made, finished=replace(made.finished, usage=usage, cost=self._cost(card, usage)))

    async def cancel(self, card: ModelCard, task: str) -> None:
        try:
            await self._in_time(card, CANCELLING, lambda vendor: vendor.cancel(card, task))
        except ModelError as error:
            log.info("Task %s may go on: %s", task, error)

    async def _made_at_once(self, card: ModelCard, linked: Linked, reserved: Reserved) -> Made:
        usage = linked.finished.usage
        cost = reserved.cost if usage.estimated or card.per_second else self._cost(card, usage)
        try:
            made = await self._fetched(card, linked)
        except ModelError as error:  # it was made, and there is no task to be asked once more
            error.begun = True
            self._note(error)
            await self._release(card, reserved, cost)
            raise
        metrics.spent(card.name, cost, usage)
        return replace(made, finished=replace(made.finished, call=reserved.call, cost=cost))

    def _longest(self, order: Order) -> float:
        """Seconds. A model that draws at once may do so picture by picture."""
        if isinstance(order, PicturePrompt) and not (order.card.task and order.count == 1):
            return self._limits.picture * order.count
        return TAKING

    def _cost(self, card: ModelCard, usage: Usage) -> int:
        """0 also for what nobody knows: then what was held back stays."""
        return 0 if self._budget.limit is None or usage.estimated else costs.cost(card, usage)

    # --- what it made --------------------------------------------------------------------------------------------------

    async def _fetched(self, card: ModelCard, linked: Linked) -> Made:
        """With what is behind the links; of several pictures those that can be had. Raises ModelError."""
        files: list[Fetched] = []
        lost: list[BadLink] = []
        for link in linked.links:
            try:
                files.append(await self._file(card, link, linked.host))
            except BadLink as error:
                lost.append(error)
        if lost and not files:
            raise self._dead(card, linked, lost[0])
        return Made(
            finished=linked.finished,
            text=linked.text,
            sources=linked.sources,
            files=tuple(files),
            missing=linked.missing + len(lost),
            why=linked.why or (str(lost[0]) if lost else ""),
        )

    async def _file(self, card: ModelCard, link: str, host: URL) -> Fetched:
        """Raises BadLink."""
        for left in reversed(range(TRIES)):
            try:
                async with self._fetching:
                    if card.kind == "video":
                        return await self._video(link, host)
                    return Fetched(*await pictures.fetch(link, host=host, fake_ip=self._fake_ip))
            except BadLink as error:
                if not (left and error.again):
                    raise
            await asyncio.sleep(random.uniform(0.5, 1.5) * self._limits.pace)
        raise AssertionError("unreachable")

    async def _video(self, link: str, host: URL) -> Fetched:
        rules = Rules(limit=MAX_VIDEO, seconds=FETCHING, hops=pictures.MAX_HOPS, own=host, fake_ip=self._fake_ip)
        try:
            data = (await foreign.fetch(link, rules)).data
        except LinkTooLarge:
            return Fetched(b"", "video/mp4", link)
        if data[4:8] != b"ftyp":  # ISO/IEC 14496-12: how every MP4 begins
            raise BadLink("no video behind it")
        return Fetched(data, "video/mp4")

    def _dead(self, card: ModelCard, linked: Linked, error: BadLink) -> ModelError:
        """`begun`: no further look will find more."""
        dead = ModelError(
            Trouble.FAULT,
            vendor=self._name,
            model=card.name,
            status=linked.finished.status,
            code=LINK,
            request_id=linked.finished.request_id,
            vendor_message=f"the result's link: {error}",
        )
        dead.begun = not error.again
        return dead

    # --- speech and searches -------------------------------------------------------------------------------------------

    async def transcribe(self, prompt: SpeechPrompt) -> tuple[str, Finished]:
        cost, where = costs.speech_estimate(prompt), (prompt.chat, prompt.turn)
        said, reserved = await self._paid(prompt.card, cost, where, HEARING, lambda vendor: vendor.transcribe(prompt))
        return said[0], replace(said[1], call=None, cost=reserved.cost)

    async def speak(self, prompt: SpeechPrompt) -> tuple[bytes, Finished]:
        prompt = replace(prompt, text=clean(prompt.text))
        cost, where = costs.speech_estimate(prompt), (prompt.chat, prompt.turn)
        sound, reserved = await self._paid(prompt.card, cost, where, SPEAKING, lambda vendor: vendor.speak(prompt))
        return sound[0], replace(sound[1], call=None, cost=reserved.cost)

    async def search(self, query: str, count: int, *, chat: ChatKey, turn: int) -> Sequence[Hit]:
        card, words = self._searching, clean(query)
        cost = costs.cost(card, Usage(pictures=1))
        hits, _ = await self._paid(card, cost, (chat, turn), SEARCHING, lambda vendor: vendor.search(words, count))
        return hits

    async def _paid(
        self,
        card: ModelCard,
        cost: int,
        where: tuple[ChatKey, int],
        seconds: float,
        ask: Callable[[Offering], Awaitable[T]],
    ) -> tuple[T, Reserved]:
        """What costs as much as was held back for it, settled at once."""
        tries = Tries(self._limits)
        visit = self._admission.visit(card)
        while True:
            with visit:
                await visit.enter()
                reserved = await self._budget.reserve(card, cost, chat=where[0], turn=where[1])
                try:
                    answer = await self._in_time(card, seconds, ask)
                    visit.answered()
                    break
                except asyncio.CancelledError:
                    metrics.spent(card.name, reserved.cost)
                    raise
                except ModelError as error:
                    visit.failed(error)
                    await self._refused(card, reserved, error)
                    wait = tries.wait(error, queued=visit.queued, final=not error.unbilled)
                    if wait is None:
                        raise
            await asyncio.sleep(wait)
        await self._release(card, reserved, reserved.cost)
        return answer, reserved

    # --- what all share ------------------------------------------------------------------------------------------------

    async def _in_time(self, card: ModelCard, seconds: float, ask: Callable[[Offering], Awaitable[T]]) -> T:
        vendor = await self._opened()
        try:
            async with asyncio.timeout(seconds):
                return await ask(vendor)
        except TimeoutError:
            raise ModelError(
                Trouble.SILENT, vendor=self._name, model=card.name, vendor_message=f"no answer within {seconds:g} s"
            ) from None

    async def _refused(self, card: ModelCard, reserved: Reserved, error: ModelError) -> None:
        """Settled. Only the vendor's file knows which refusals are free: behind a 500 the order may have been taken."""
        self._note(error)
        await self._release(card, reserved, 0 if error.unbilled else None)

    async def _release(self, card: ModelCard, reserved: Reserved, cost: int | None) -> None:
        """`cost` None: nobody knows it. What the store does not take now is settled with the job or the turn, from above; that
        must not hide what became of the call."""
        metrics.spent(card.name, reserved.cost if cost is None else cost)
        try:
            await self._budget.release(reserved, cost=cost)
        except StorageError as error:
            log.error("The estimate of call %d stays: %s", reserved.call, error)


def _clean(order: Order) -> Order:
    match order:
        case Prompt():
            return fit(order)
        case PicturePrompt():
            return replace(order, text=clean(order.text))
        case VideoPrompt():
            return replace(order, text=clean(order.text))
