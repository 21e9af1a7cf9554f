"""A chat without a platform: says things to the conversation manager and commits what it yields, on the real store.

The engine's part is played in its simplest form: no previews, no delivery, one message at a time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from bot.background.steps import Steps
from bot.conversation.questions import Fetching
from bot.errors import TooLarge, Unreadable
from bot.lanes import Lane
from bot.manager import ConversationManager
from bot.messages import (
    CHANGES,
    Address,
    Answered,
    Attachment,
    Author,
    Buttons,
    Change,
    ChatKey,
    Choice,
    Edited,
    Ended,
    Event,
    Finish,
    Finished,
    Media,
    Message,
    Notice,
    Ordered,
    Part,
    Piece,
    Pressed,
    Replaces,
    Text,
    Thought,
    Turn,
    Withdraw,
)
from bot.messages.orders import WorkOrder, WorkResult, read_ended
from bot.phrases import Language
from bot.ports import (
    ButtonRow,
    ChatModel,
    Claim,
    Files,
    Final,
    JobState,
    Kind,
    Line,
    ModelCard,
    Models,
    Offers,
    Outcome,
    Prompt,
    Sources,
    Toolbox,
    ToolCall,
    Unknown,
)
from storage.store import Store

ANN = Author("1", "Ann")
BOB = Author("2", "Bob")
OWNER = Author("9", "Olga", owner=True)
PNG = b"\x89PNG a picture"

Told = Text | Thought | Notice | ToolCall | Sources | Finished
Reply = str | Sequence[Told | Exception] | Exception

GLM = ModelCard(
    name="glm-text", vendor="glm", kind="chat", window=4_000, output=1_000, price=((32_000, 3, 14), (200_000, 4, 16)),
    default=True, seed=True,
)  # fmt: skip
GLM_VISION = ModelCard(name="glm-vision", vendor="glm", kind="chat", window=8_000, output=1_000, vision=True)
GLM_IMAGE = ModelCard(
    name="glm-image", vendor="glm", kind="image", per_picture=0.06, default=True, size_rule=(512, 2048, 16, 2**21)
)
QWEN = ModelCard(
    name="qwen-text",
    vendor="qwen",
    kind="chat",
    window=4_000,
    output=1_000,
    price=((1_000_000, 0.3, 0.6),),
    default=True,
)
QWEN_IMAGE = ModelCard(
    name="qwen-image",
    vendor="qwen",
    kind="image",
    per_picture=0.2,
    default=True,
    sizes=("1328x1328", "1664x928"),
    seed=True,
)
QWEN_EDIT = ModelCard(
    name="qwen-edit", vendor="qwen", kind="image", per_picture=0.2, edits=2, vision=True, sides=(384, 3072), prompt_limit=800,
    truncates=True,
)  # fmt: skip
GLM_VIDEO = ModelCard(
    name="glm-video", vendor="glm", kind="video", default=True, animates=True, sizes=("1280x720", "720x1280"), seconds=(5, 10),
    prompt_limit=512,
)  # fmt: skip
QWEN_VIDEO = ModelCard(name="qwen-video", vendor="qwen", kind="video", per_second=0.6, default=True, seconds=(5,))
ALL = (GLM, GLM_VISION, GLM_IMAGE, QWEN, QWEN_IMAGE)
STUDIO = (*ALL, QWEN_EDIT, GLM_VIDEO, QWEN_VIDEO)


class ScriptedModels:
    """ports.Models whose answers are told beforehand; what was asked is kept."""

    def __init__(self, cards: Sequence[ModelCard] = ALL, *, simulated: bool = False) -> None:
        self._cards = cards
        self.simulated = simulated
        self.replies: list[Reply] = []
        self.prompts: list[Prompt] = []
        self.open = 0  # requests
        self.other: ModelCard | None = None  # steps in where another cannot answer
        self.script: Callable[[Prompt], Reply | None] = lambda prompt: None  # before `replies`

    def cards(self) -> Sequence[ModelCard]:
        return self._cards

    def find(self, name: str, kind: Kind = "chat") -> ModelCard | Unknown:
        if name == "kimi":
            return Unknown(variable="KIMI_API_KEY")
        for card in self._cards:
            if card.kind == kind and (card.name == name or (card.vendor == name and card.default)):
                return card
        return Unknown(
            nearest=tuple(card.name for card in self._cards if name[:3] == card.name[:3] and card.kind == kind),
            other=any(card.name == name for card in self._cards),
        )

    def pick(self, kind: Kind, *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        fitting = [
            card
            for card in self._cards
            if card.kind == kind
            and (not vendor or card.vendor == vendor)
            and (card.vision or card.edits or card.animates or not vision)
        ]
        return fitting[0] if fitting else None

    def chat(self, card: ModelCard) -> ChatModel:
        return self

    def fallback(self) -> ModelCard | None:
        return self.other

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Told, None]:
        self.prompts.append(prompt)
        reply = self.script(prompt) or (self.replies.pop(0) if self.replies else f"answer {len(self.prompts)}")
        items = [reply] if isinstance(reply, str | Exception) else reply
        self.open += 1
        try:
            for item in items:
                if isinstance(item, Exception):
                    raise item
                yield Text(item) if isinstance(item, str) else item
            if not any(isinstance(item, Finished) for item in items):
                asks = any(isinstance(item, ToolCall) for item in items)
                yield Finished(reason=Finish.TOOLS if asks else Finish.STOP, model=prompt.card.name)
        finally:
            self.open -= 1

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What the model was last asked, without the system's line."""
        return [(line.role, line.text) for line in self.prompts[-1].lines[1:]]

    @property
    def told(self) -> Line:
        return self.prompts[-1].lines[0]


class KeptFiles:
    """ports.Files in memory: what begins with "bomb" or "text" is no picture for it."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.sizes: dict[str, tuple[int, int]] = {}  # of pictures, in pixels, where not the usual

    async def keep(self, data: bytes, mime: str) -> str:
        name = f"{len(self.kept)}.{mime.rpartition('/')[2]}"
        self.kept[name] = data
        return name

    async def keep_picture(self, data: bytes) -> str:
        if data.startswith(b"bomb"):
            raise TooLarge(20_000_000)
        if data.startswith(b"text"):
            raise Unreadable("no picture")
        return await self.keep(data, "image/png")

    async def picture_size(self, name: str) -> tuple[int, int]:
        return self.sizes.get(name, (1024, 1024))

    async def resized(self, name: str, width: int, height: int) -> str:
        copy = await self.keep(self.kept[name], "image/png")
        self.sizes[copy] = width, height
        return copy

    async def load(self, name: str) -> bytes:
        return self.kept[name]


class Album:
    """The platform's side of attachments: what `ref` names, or an error."""

    def __init__(self, **files: bytes | Exception) -> None:
        self._files = files

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        found = self._files.get(attachment.ref, PNG)
        if isinstance(found, Exception):
            raise found
        return found


@dataclass(slots=True)
class Answer:
    """What came of one turn."""

    turn: int
    items: list[Part | Change] = field(default_factory=list)
    buttons: dict[str, str] = field(default_factory=dict)  # label → id; of a second one of that label "label 2"
    messages: list[str] = field(default_factory=list)  # at the platform

    @property
    def text(self) -> str:
        """As people read it in the end."""
        text = ""
        for item in self.items:
            text = "" if isinstance(item, Withdraw) else text + (item.delta if isinstance(item, Text) else "")
        return text

    @property
    def finished(self) -> Finished:
        (finished,) = [item for item in self.items if isinstance(item, Finished)]
        assert [item for item in self.items if not isinstance(item, CHANGES)][-1] is finished
        return finished

    @property
    def notices(self) -> list[str]:
        return [item.text for item in self.items if isinstance(item, Notice)]

    @property
    def media(self) -> list[Media]:
        return [item for item in self.items if isinstance(item, Media)]

    @property
    def changes(self) -> list[Change]:
        return [item for item in self.items if isinstance(item, CHANGES)]

    @property
    def ordered(self) -> WorkOrder | None:
        """What it orders in the background."""
        orders = [WorkOrder.load(item.order) for item in self.items if isinstance(item, Ordered)]
        return orders[0] if orders else None


class Crash(Exception):
    """The process dies here: the turn is made again, from its beginning."""


class Conversation:
    """One chat. `say`, `press` and `edit` return what came of it; `clock` may be put forward."""

    def __init__(
        self,
        store: Store,
        models: Models,
        platforms: Mapping[str, Fetching] | None = None,
        *,
        group: bool = False,
        language: Language = "en",
        image_model: str = "",
        files: Files | None = None,
        toolbox: Toolbox | None = None,
        offers: Offers | None = None,
    ) -> None:
        self.store = store
        self.files = files or KeptFiles()
        self.steps: Steps | None = None  # for background work
        self.passed = 0.0
        self.manager = ConversationManager(
            history=store,
            models=models,
            platforms=platforms or {"web": Album()},
            files=self.files,
            image_model=image_model,
            toolbox=toolbox,
            runs=store if toolbox else None,
            jobs=store,
            offers=offers,
            clock=self.now,
        )
        self.key = ChatKey("web", "1")
        self._group = group
        self._language: Language = language
        self._numbers = itertools.count(1)

    def now(self) -> float:
        return time.time() + self.passed

    def message(self, text: str, author: Author = ANN, **values: object) -> Message:
        made = Message(
            id=f"m{next(self._numbers)}", author=author, address=self._address(), text=text, at=self.now(),
            language=self._language,
        )  # fmt: skip
        return replace(made, **values)  # type: ignore[arg-type] # tests name real fields

    def _address(self) -> Address:
        return Address(self.key, group=self._group)

    async def say(self, *texts: str | Message, late: bool = False, stop_at: str = "") -> Answer:
        """`stop_at` presses [Stop] when this text came."""
        said = tuple(text if isinstance(text, Message) else self.message(text) for text in texts)
        return await self._turn(said, said, late, stop_at)

    async def begun(self, text: str) -> Turn:
        """A turn that somebody else is to make."""
        said = self.message(text)
        return self._open(await self._claim([said.id]), (said,), late=False)

    async def edit(self, message: Message, text: str) -> Answer:
        edited = replace(message, text=text)
        return await self._turn(Edited(edited), [edited])

    async def press(self, button: str, author: Author = ANN) -> Answer:
        return await self._turn(Pressed(button, author, self._address(), self._language), [])

    async def _turn(
        self,
        said: tuple[Message, ...] | Edited | Pressed,
        messages: Iterable[Message],
        late: bool = False,
        stop_at: str = "",
    ) -> Answer:
        return await self._answer(await self._claim([message.id for message in messages]), said, late, stop_at)

    async def ends(self, result: WorkResult, state: JobState = JobState.DONE) -> Answer:
        """The oldest work in the background ends so."""
        [job], _ = await self.store.claim_jobs(1)
        if cost := result.cost:
            await self.store.reserve(
                turn=job.id,
                chat=job.chat,
                model=job.model,
                cost=cost,
                day="2026-11-22",
                limit=10**9,
                job_fence=job.fence,
            )
        await self.store.end_job(job, state, result.dump(), cost=cost)
        return await self.hears()

    async def works(self) -> Answer:
        """The oldest order is taken one step further, which ends it."""
        assert self.steps
        [job], _ = await self.store.claim_jobs(1)
        await self.steps.step(job)
        return await self.hears()

    async def hears(self) -> Answer:
        """That work in the background ended."""
        [claim], _ = await self.store.claim(1)
        said = read_ended(claim.rows[0].payload)
        assert said
        return await self._answer(claim, said)

    async def draws(self, *pictures: bytes, **values: int | str) -> Answer:
        """The oldest order is done, with these pictures."""
        kept = [(await self.files.keep(data, "image/png"), "image/png") for data in pictures or [PNG]]
        return await self.ends(replace(WorkResult(files=tuple(kept)), **values))  # type: ignore[arg-type] # real fields

    async def _answer(
        self,
        claim: Claim,
        said: tuple[Message, ...] | Edited | Pressed | Ended,
        late: bool = False,
        stop_at: str = "",
    ) -> Answer:
        turn = self._open(claim, said, late)
        answer = Answer(turn.id)
        try:
            await self._collect(claim, turn, answer, stop_at)
        except Crash:
            turn, answer = replace(turn, attempt=turn.attempt + 1), Answer(turn.id)
            await self._collect(claim, turn, answer, stop_at)
        rows: dict[int, list[ButtonRow]] = {}
        for part in answer.items:
            if isinstance(part, Buttons):
                rows[part.slot] = [self._button(answer, turn, choice) for row in part.rows for choice in row]
        outcome = Outcome(
            address=turn.address, finished=answer.finished, pieces=self._pieces(answer), changes=tuple(answer.changes),
            buttons=tuple(row for slot in rows.values() for row in slot), text=answer.text, author=turn.author.id,
        )  # fmt: skip
        shown = await self.store.complete(claim, outcome)
        answer.messages = [final.id or f"a{final.turn}.{final.number}" for final in shown]
        finals = [replace(final, id=id) for final, id in zip(shown, answer.messages, strict=True)]
        if finals:
            await self.store.shown(self.key, finals)
        return answer

    async def _collect(self, claim: Claim, turn: Turn, answer: Answer, stop_at: str) -> None:
        async with aclosing(self.manager.answer(turn)) as items:
            async for item in items:
                if isinstance(item, Replaces):
                    await self.store.replace(claim, item.turn)
                answer.items.append(item)
                if isinstance(item, Text) and item.delta == stop_at:
                    answer.items += [Answered(text=answer.text), Finished(reason=Finish.STOPPED)]
                    break

    @staticmethod
    def _pieces(answer: Answer) -> tuple[Final, ...]:
        """A message for each picture, and one for the words."""
        said = answer.text or "".join(answer.notices)
        pieces = [*(Piece(media.caption, media=media) for media in answer.media), *([Piece(said)] if said else [])]
        return tuple(Final(answer.turn, 0, number, piece) for number, piece in enumerate(pieces))

    def _button(self, answer: Answer, turn: Turn, choice: Choice) -> ButtonRow:
        id = f"b{next(self._numbers)}"
        answer.buttons[f"{choice.label} 2" if choice.label in answer.buttons else choice.label] = id
        person = "" if choice.anyone else turn.author.id
        return ButtonRow(id, self.key, person, choice.action, self.now() + 86_400)

    async def _claim(self, messages: Sequence[str]) -> Claim:
        events = [
            Event(
                platform="web", bot="b", event=f"e{self.key.chat}.{next(self._numbers)}", chat=self.key, author="1",
                payload="{}", at=time.time(), message=message, joins="together",
            )
            for message in messages or [""]
        ]  # fmt: skip
        await self.store.accept(events)
        claims, _ = await self.store.claim(1)
        return claims[0]

    def _open(self, claim: Claim, said: tuple[Message, ...] | Edited | Pressed | Ended, late: bool) -> Turn:
        speaker = said[-1] if isinstance(said, tuple) else said.message if isinstance(said, Edited) else said
        return Turn(
            id=claim.turn, chat=claim.chat, seq=claim.seq, fence=claim.fence, epoch=claim.epoch, said=said,
            author=speaker.author, address=speaker.address, language=speaker.language, stop_key=claim.stop_key,
            model=claim.model, system=claim.system, think=claim.think, voice=claim.voice, head=claim.head, late=late,
        )  # fmt: skip

    async def reset(self) -> None:
        """As the engine does it for `/reset`."""
        event = f"e{next(self._numbers)}"
        await self.store.accept(
            [
                Event(
                    platform="web", bot="b", event=event, chat=self.key, author="1", payload="{}", at=time.time(),
                    lane=Lane.CONTROL,
                )
            ]
        )  # fmt: skip
        ((row, chat),) = await self.store.control_rows(1)
        await self.store.reset(row, chat, lambda overtaken: (self._address(), ()))


def picture(name: str = "fox", size: int = 1_000) -> Attachment:
    return Attachment("image", name, mime="image/jpeg", size=size)
