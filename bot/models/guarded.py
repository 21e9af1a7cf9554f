"""The policies around every call of a vendor: whether it may be asked now, money, limits of time, retries, and how a failure
ends.

A try passes the breaker and waits at the model's gate (`admission`) before any money is held back; between two tries it is
outside. How it ends is decided by whether any text has reached the caller. Before the first text a failure raises
ModelError, after what `POLICIES` allows in further tries; after it nothing is raised any more: the answer ends with
Finished(CUT), or Finished(REFUSED) when a content filter closed, carrying the vendor's code and words. Thoughts do not count
as text: those of a failed try stay where they are.

Every try is reserved by itself. A failure that the vendor surely did not bill gives its money back, one that it may have
billed keeps its estimate, and so does a call that the caller closes or that dies with the process.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from bot import metrics, phrases
from bot.errors import EMPTY, NO_ROOM, ModelError, StorageError, Trouble, Unreadable
from bot.messages import Finish, Finished, Notice, Text, Thought, Usage
from bot.models import costs
from bot.models.admission import Admission
from bot.models.budget import Budget, Reserved
from bot.models.tries import Limits, Tries
from bot.models.vendor import Streamed, Vendor
from bot.models.watch import in_time
from bot.ports import ModelCard, Prompt, Said, Sources, ToolCall
from bot.text import clean

__all__ = ["Guarded", "Limits"]


ENDLESS = "endless"  # our code for an answer much longer than was asked for
_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")  # "user:password@" of an address
LONGEST_TOKEN = 16  # characters, on average over a whole answer with its thoughts; writing takes 1 to 5


class Guarded:
    """One vendor behind the policies: `ports.ChatModel` for all its models. `failed` is told of every try that fails, and
    may not wait; `admission` is for all that is asked of the same account."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], Awaitable[Vendor]],
        budget: Budget,
        limits: Limits,
        *,
        key: str = "",
        failed: Callable[[ModelError], None] = lambda error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._note = partial(note, key, failed)
        self._opened = opened
        self._budget = budget
        self._limits = limits
        self.admission = Admission(name, limits, clock=clock)

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Said, None]:
        prompt = fit(prompt)
        estimate = costs.chat_estimate(prompt)
        tries = Tries(self._limits)
        visit = self.admission.visit(prompt.card, background=prompt.job_fence is not None)
        while True:
            with visit:
                while place := await visit.place():
                    yield _queued(prompt, place)
                reserved = await self._budget.reserve(
                    prompt.card, estimate, chat=prompt.chat, turn=prompt.turn, job_fence=prompt.job_fence
                )
                try:
                    async with aclosing(self._try(prompt, reserved)) as parts:
                        async for part in parts:
                            if not visit.alive:
                                visit.answered()
                            yield part
                    return
                except ModelError as error:
                    visit.failed(error)
                    wait = tries.wait(error, queued=visit.queued)
                    if wait is None:
                        raise
                    failure = error
            if wait > self._limits.notice:
                yield _notice(prompt, failure, wait)
            await asyncio.sleep(wait)

    async def _try(self, prompt: Prompt, reserved: Reserved) -> AsyncGenerator[Streamed, None]:
        """One try. Raises ModelError while no text was given out, and Unreadable or StorageError for a
        picture that is lost or cannot be had, with the money settled. The functions that the model asks for are given out
        when it is sure that it did: a try that fails leaves none."""
        answer = _Answer(prompt)
        try:
            async with aclosing(await self._begin(prompt)) as parts:
                async for part in parts:
                    if answer.add(part):
                        yield part
                    # The vendor overlooks `max_tokens`: closing the stream stops it, and what it costs.
                    if answer.room < 0:
                        answer.finished = _endless(prompt)
                        break
            finished = answer.finished
            if finished is None:
                raise ModelError(Trouble.CUT, vendor=self._name, model=prompt.card.name)
        except (Unreadable, StorageError):  # a kept picture is gone, or cannot be had now: nothing was asked
            await self._release(prompt.card, reserved, 0)
            raise
        except (GeneratorExit, asyncio.CancelledError):  # stopped: the estimate stays
            metrics.spent(prompt.card.name, reserved.cost)
            raise
        except (ModelError, TimeoutError) as caught:
            error = caught if isinstance(caught, ModelError) else self._too_late(prompt, begun=answer.begun)
            self._note(error)
            if not answer.said:
                await self._release(prompt.card, reserved, 0 if error.unanswered and not answer.begun else None)
                raise error from error.__cause__
            finished = _broken_off(error, prompt)
        finished = self._priced(finished, prompt, reserved, answer.written)
        if not answer.said and not (answer.calls and finished.reason is Finish.TOOLS):
            await self._release(prompt.card, reserved, None if finished.usage.estimated else finished.cost)
            wordless = _wordless(finished, self._name)
            self._note(wordless)
            raise wordless
        metrics.spent(prompt.card.name, finished.cost, finished.usage)
        if finished.reason is Finish.TOOLS or not prompt.last:
            # The turn's commit settles its last call alone, and this is not the last.
            await self._budget.release(reserved, cost=finished.cost)
            finished = replace(finished, call=None)
        if finished.reason is Finish.TOOLS:
            for call in answer.calls:
                yield call
        yield finished

    async def _begin(self, prompt: Prompt) -> AsyncGenerator[Streamed, None]:
        vendor = await self._opened()
        thinks = prompt.card.thinks == "always" or (prompt.think and prompt.card.thinks == "switch")
        return in_time(
            vendor.stream(prompt),
            first=self._limits.thinking if thinks else self._limits.first,
            idle=self._limits.idle,
            total=self._limits.total,
        )

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


class _Answer:
    """What one try has given so far. `said`: a text that can be read; `begun`: anything that the vendor may bill; `written`:
    all that it counts; `room`: characters that are left of the longest answer that was asked for. A step for each token goes
    through here."""

    __slots__ = ("_written", "calls", "finished", "room", "said")

    def __init__(self, prompt: Prompt) -> None:
        self.calls: list[ToolCall] = []
        self.finished: Finished | None = None
        self.said = False
        self.room = prompt.output * LONGEST_TOKEN
        self._written: list[str] = []

    @property
    def begun(self) -> bool:
        return bool(self._written)

    @property
    def written(self) -> str:
        return "".join(self._written)

    def add(self, part: Streamed) -> bool:
        """Whether it is given out at once."""
        if isinstance(part, Text | Thought):
            self._count(part.delta)
            if not self.said and isinstance(part, Text):
                self.said = bool(part.delta.strip())
            return True
        if isinstance(part, Finished):
            self.finished = part
            return False
        if isinstance(part, Sources):
            self._count("")
            return True
        self.calls.append(part)
        self._count(part.name + part.arguments)
        return False

    def _count(self, more: str) -> None:
        self._written.append(more)
        self.room -= len(more)


def note(key: str, tell: Callable[[ModelError], None], error: ModelError) -> None:
    """A try failed: count it, tell of it, and hide secrets. Some services quote a key that they refuse, and a proxy's
    address holds its password: the message is kept, and shown to the owner."""
    message = _PASSWORD.sub("", error.vendor_message)
    error.vendor_message = message.replace(key, "[key]") if key else message
    metrics.vendor_failed(error)
    tell(error)


def fit(prompt: Prompt) -> Prompt:
    """With clean texts, and a limit that the model has."""
    lines = tuple(
        [line if (text := clean(line.text)) is line.text else replace(line, text=text) for line in prompt.lines]
    )
    output = min(prompt.output, prompt.card.output or prompt.output)
    return replace(prompt, lines=lines, output=output)


def _queued(prompt: Prompt, place: int) -> Notice:
    return Notice(phrases.QUEUED.format(place=place, model=prompt.card.name).to(prompt.language))


def _notice(prompt: Prompt, error: ModelError, wait: float) -> Notice:
    busy = error.trouble in (Trouble.BUSY, Trouble.OVERLOADED)
    phrase = phrases.VENDOR_BUSY if busy else phrases.VENDOR_FAILED
    return Notice(phrase.format(seconds=round(wait)).to(prompt.language))


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
    codes = {Finish.LENGTH: NO_ROOM, Finish.STOP: EMPTY, Finish.TOOLS: EMPTY}
    return ModelError(
        troubles.get(finished.reason, Trouble.FAULT),
        vendor=vendor,
        model=finished.model,
        status=finished.status,
        code=codes.get(finished.reason, finished.code),
        request_id=finished.request_id,
        vendor_message=finished.vendor_message,
    )
