"""The policies around every call of a vendor: money first, limits of time, retries, and how a failure ends.

How it ends is decided by whether any text has reached the caller. Before the first text a failure raises ModelError, after what
`POLICIES` allows in further tries; after it nothing is raised any more: the answer ends with Finished(CUT), or
Finished(REFUSED) when a content filter closed, carrying the vendor's code and words. Thoughts do not count as text: those of
a failed try stay where they are.

Every try is reserved by itself. A failure that the vendor surely did not bill gives its money back, one that it may have
billed keeps its estimate, and so does a call that the caller closes or that dies with the process.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from bot import metrics, phrases
from bot.errors import ModelError, StorageError, Trouble, Unreadable
from bot.foreign import BadLink
from bot.messages import Finish, Finished, Notice, Text, Thought, Usage
from bot.models import costs
from bot.models.budget import Budget, Reserved
from bot.models.pictures import fetch
from bot.models.vendor import Drawn, Vendor
from bot.models.watch import in_time
from bot.ports import ModelCard, Picture, PicturePrompt, Prompt

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a call is tried in all, and the seconds before the second try; each further wait is twice as long."""

    tries: int = 1
    wait: float = 0.0


# What follows from each Trouble. Those not named are final at once: NO_MONEY, BAD_KEY, QUOTA, REFUSED, NO_MODEL and BAD_REQUEST
# would be refused again, TOO_LONG is shortened by whoever made the prompt, SILENT has cost its minute already.
POLICIES: Mapping[Trouble, Policy] = {
    Trouble.BUSY: Policy(3, 2.0),
    Trouble.OVERLOADED: Policy(3, 4.0),
    Trouble.FAULT: Policy(3, 1.0),
    Trouble.UNREACHABLE: Policy(3, 1.0),
    Trouble.CUT: Policy(3, 1.0),
}
ENDLESS = "endless"  # our code for an answer much longer than was asked for
EMPTY = "empty"  # our code for an answer without any text: tried once more
PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")  # "user:password@" of an address
LONGEST_TOKEN = 16  # characters, on average over a whole answer with its thoughts; writing takes 1 to 5
NO_ROOM = "length"  # ours, too: the limit of tokens was reached before the first word; again would be no better


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds. `first`: to the first token, `thinking`: of models that think first; `idle`: between tokens; `total`:
    for one whole answer; `picture`: for one drawing; `tries`: for all tries before the first text; `notice`: a longer wait is
    announced. `pace` scales the waits between tries."""

    first: float = 60.0
    thinking: float = 180.0
    idle: float = 25.0
    total: float = 900.0
    picture: float = 320.0
    tries: float = 60.0
    notice: float = 2.0
    pace: float = 1.0


class Tries:
    """Counts the tries of one call and says how long to wait for the next."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._until = asyncio.get_running_loop().time() + limits.tries
        self._done = 0

    def wait(self, error: ModelError, *, final: bool = False) -> float | None:
        """Seconds until the next try, with jitter, never sooner than the vendor allows. None: give up."""
        self._done += 1
        policy = POLICIES.get(error.trouble, Policy())
        tries = min(policy.tries, {EMPTY: 2, NO_ROOM: 1}.get(error.code, policy.tries))
        if final or self._done >= tries:
            log.warning("%s", error)
            return None
        wait = policy.wait * 2.0 ** (self._done - 1) * random.uniform(0.75, 1.5) * self._limits.pace
        wait = max(wait, error.retry_after or 0.0)
        if asyncio.get_running_loop().time() + wait > self._until:
            log.warning("%s", error)
            return None
        log.info("%s; try %d in %.1f s", error, self._done + 1, wait)
        return wait


class Guarded:
    """One vendor behind the policies: `ports.ChatModel` and `ports.ImageModel` for all its models. `failed` is told of every
    try that fails, and may not wait."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], Awaitable[Vendor]],
        budget: Budget,
        limits: Limits,
        *,
        key: str = "",
        failed: Callable[[ModelError], None] = lambda error: None,
    ) -> None:
        self._name = name
        self._key = key
        self._failed = failed
        self._opened = opened
        self._budget = budget
        self._limits = limits

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Notice | Finished, None]:
        prompt = _fit(prompt)
        estimate = costs.chat_estimate(prompt)
        tries = Tries(self._limits)
        while True:
            reserved = await self._budget.reserve(prompt.card, estimate, chat=prompt.chat, turn=prompt.turn)
            try:
                async with aclosing(self._try(prompt, reserved)) as parts:
                    async for part in parts:
                        yield part
                return
            except ModelError as error:
                wait = tries.wait(error)
                if wait is None:
                    raise
                if wait > self._limits.notice:
                    yield _notice(prompt, error, wait)
            await asyncio.sleep(wait)

    async def _try(self, prompt: Prompt, reserved: Reserved) -> AsyncGenerator[Text | Thought | Finished, None]:
        """One try. Raises ModelError while no text was given out, and Unreadable or StorageError for a
        picture that is lost or cannot be had, with the money settled."""
        said: list[str] = []
        thought: list[str] = []
        finished: Finished | None = None
        room = prompt.output * LONGEST_TOKEN
        try:
            async with aclosing(await self._begin(prompt)) as parts:
                async for part in parts:
                    if isinstance(part, Finished):
                        finished = part
                        continue
                    (said if isinstance(part, Text) else thought).append(part.delta)
                    yield part
                    room -= len(part.delta)
                    if room < 0:  # the vendor overlooks `max_tokens`: closing the stream stops it, and what it costs
                        finished = _endless(prompt)
                        break
            if finished is None:
                raise ModelError(Trouble.CUT, vendor=self._name, model=prompt.card.name)
        except (Unreadable, StorageError):  # a kept picture is gone, or cannot be had now: nothing was asked
            await self._release(prompt.card, reserved, 0)
            raise
        except (GeneratorExit, asyncio.CancelledError):  # stopped: the estimate stays
            metrics.spent(prompt.card.name, reserved.cost)
            raise
        except (ModelError, TimeoutError) as caught:
            error = caught if isinstance(caught, ModelError) else self._too_late(prompt, begun=bool(said or thought))
            self._note(error)
            if not "".join(said).strip():
                await self._release(prompt.card, reserved, 0 if _unbilled(error, begun=bool(thought)) else None)
                raise error from error.__cause__
            finished = _broken_off(error, prompt)
        finished = self._priced(finished, prompt, reserved, "".join(said) + "".join(thought))
        if not "".join(said).strip() and finished.reason is not Finish.TOOLS:
            await self._release(prompt.card, reserved, None if finished.usage.estimated else finished.cost)
            wordless = _wordless(finished, self._name)
            self._note(wordless)
            raise wordless
        metrics.spent(prompt.card.name, finished.cost, finished.usage)
        yield finished

    async def _begin(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Finished, None]:
        vendor = await self._opened()
        thinks = prompt.card.thinks == "always" or (prompt.think and prompt.card.thinks == "switch")
        return in_time(
            vendor.stream(prompt),
            first=self._limits.thinking if thinks else self._limits.first,
            idle=self._limits.idle,
            total=self._limits.total,
        )

    def _note(self, error: ModelError) -> None:
        """A try failed: count it, tell of it, and hide secrets. Some services quote a key that they refuse, and a proxy's
        address holds its password: the message is kept, and shown to the owner."""
        message = PASSWORD.sub("", error.vendor_message)
        error.vendor_message = message.replace(self._key, "[key]") if self._key else message
        metrics.vendor_failed(error)
        self._failed(error)

    async def _release(self, card: ModelCard, reserved: Reserved, cost: int | None) -> None:
        """The try failed and no turn will settle it; `cost` None: nobody knows what it cost."""
        metrics.spent(card.name, reserved.cost if cost is None else cost)
        await self._budget.release(reserved, cost=cost)

    def _too_late(self, prompt: Prompt, *, begun: bool) -> ModelError:
        trouble = Trouble.CUT if begun else Trouble.SILENT
        return ModelError(trouble, vendor=self._name, model=prompt.card.name, vendor_message="nothing came in time")

    def _priced(self, finished: Finished, prompt: Prompt, reserved: Reserved, written: str) -> Finished:
        """With usage and cost. Where the vendor told no usage they are estimated from above; of an answer that broke off
        nobody knows how much more was written, so its cost is all that was held back."""
        usage = finished.usage
        if usage.estimated:
            usage = Usage(prompt=costs.prompt_tokens(prompt), completion=costs.tokens(written), estimated=True)
        if not reserved.cost:  # nothing is at stake
            return replace(finished, usage=usage, call=reserved.call)
        known = not usage.estimated or finished.reason is not Finish.CUT
        cost = costs.cost(prompt.card, usage) if known else reserved.cost
        return replace(finished, usage=usage, call=reserved.call, cost=cost)

    async def draw(self, prompt: PicturePrompt) -> Picture:
        prompt = replace(prompt, text=clean(prompt.text))
        tries = Tries(self._limits)
        while True:
            reserved = await self._budget.reserve(
                prompt.card, costs.picture_estimate(prompt), chat=prompt.chat, turn=prompt.turn
            )
            try:
                drawn = await self._draw_in_time(prompt)
                break
            except asyncio.CancelledError:  # stopped: the estimate stays
                metrics.spent(prompt.card.name, reserved.cost)
                raise
            except ModelError as error:
                self._note(error)
                unbilled = _unbilled(error)
                await self._release(prompt.card, reserved, 0 if unbilled else None)
                wait = tries.wait(error, final=not unbilled)  # a picture that may be paid for is not drawn twice
                if wait is None:
                    raise
            await asyncio.sleep(wait)
        cost = costs.cost(prompt.card, drawn.finished.usage) if reserved.cost else 0
        try:
            data, mime = await self._fetched(drawn, prompt)
        except ModelError as error:
            self._note(error)
            await self._release(prompt.card, reserved, cost)
            raise
        metrics.spent(prompt.card.name, cost, drawn.finished.usage)
        return Picture(data, mime, replace(drawn.finished, call=reserved.call, cost=cost))

    async def _draw_in_time(self, prompt: PicturePrompt) -> Drawn:
        vendor = await self._opened()
        try:
            async with asyncio.timeout(self._limits.picture):
                return await vendor.draw(prompt)
        except TimeoutError:
            raise ModelError(
                Trouble.SILENT, vendor=self._name, model=prompt.card.name, vendor_message="no picture came in time"
            ) from None

    async def _fetched(self, drawn: Drawn, prompt: PicturePrompt) -> tuple[bytes, str]:
        for left in (2, 1, 0):
            try:
                return await fetch(drawn.link, host=drawn.host)
            except BadLink as error:
                if not (left and error.again):
                    raise ModelError(
                        Trouble.FAULT,
                        vendor=self._name,
                        model=prompt.card.name,
                        status=drawn.finished.status,
                        code="link",
                        request_id=drawn.finished.request_id,
                        vendor_message=f"the picture's link: {error}",
                    ) from error
            await asyncio.sleep(random.uniform(0.5, 1.5) * self._limits.pace)
        raise AssertionError("unreachable")


def clean(text: str) -> str:
    """As UTF-8 can carry it and vendors take it: pairs of surrogates joined, lone ones replaced, no NUL."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _fit(prompt: Prompt) -> Prompt:
    """With clean texts, and a limit that the model has."""
    lines = tuple(
        [line if (text := clean(line.text)) is line.text else replace(line, text=text) for line in prompt.lines]
    )
    output = min(prompt.output, prompt.card.output or prompt.output)
    return replace(prompt, lines=lines, output=output)


def _notice(prompt: Prompt, error: ModelError, wait: float) -> Notice:
    busy = error.trouble in (Trouble.BUSY, Trouble.OVERLOADED)
    phrase = phrases.VENDOR_BUSY if busy else phrases.VENDOR_FAILED
    return Notice(phrase.format(seconds=round(wait)).to(prompt.language))


def _unbilled(error: ModelError, *, begun: bool = False) -> bool:
    """Whether the vendor surely charges nothing: it refused before it began, or never heard of it."""
    return not (begun or error.begun) and (error.status >= 400 or error.trouble is Trouble.UNREACHABLE)


def _endless(prompt: Prompt) -> Finished:
    """The end of an answer that goes on far beyond what was asked for."""
    return Finished(reason=Finish.LENGTH, usage=Usage(estimated=True), model=prompt.card.name, code=ENDLESS)


def _broken_off(error: ModelError, prompt: Prompt) -> Finished:
    """The end of an answer that had begun."""
    return Finished(
        reason=Finish.REFUSED if error.trouble is Trouble.REFUSED else Finish.CUT,
        usage=Usage(estimated=True),
        model=prompt.card.name,
        request_id=error.request_id,
        status=error.status,
        code=error.code,
        vendor_message=error.vendor_message,
    )


def _wordless(finished: Finished, vendor: str) -> ModelError:
    """What an end without any text stands for."""
    troubles = {Finish.REFUSED: Trouble.REFUSED, Finish.CUT: Trouble.CUT}
    codes = {Finish.LENGTH: NO_ROOM, Finish.STOP: EMPTY}
    return ModelError(
        troubles.get(finished.reason, Trouble.FAULT),
        vendor=vendor,
        model=finished.model,
        status=finished.status,
        code=codes.get(finished.reason, finished.code),
        request_id=finished.request_id,
        vendor_message=finished.vendor_message,
    )
