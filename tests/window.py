"""A small platform: a window in which what the bot shows stands, for all to see, also while the bot is dead.

As strict as a real one where it matters: it splits by its own limit, edits only what stands, forgets no RetryAfter, and, where
its sends are idempotent, answers a nonce that it knows with the first message, even if that was deleted.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.errors import ChatMoved, Forbidden, Gone, PlatformError, RetryLater, Unreadable
from bot.messages import (
    Address,
    Attachment,
    Author,
    ChatKey,
    Edited,
    Incoming,
    Left,
    Message,
    Moved,
    Piece,
    Pressed,
)
from bot.ports import Intake, Traits

WIDTH = 40  # characters of a piece
QUICK = (0.005, 3)  # previews as fast as a test can wish


@dataclass(slots=True)
class Call:
    """A call that reached the platform. `error` is what it was answered with."""

    kind: str
    chat: ChatKey
    message: str = ""
    piece: Piece = field(default_factory=lambda: Piece(""))
    nonce: str = ""
    reply_to: str = ""
    at: float = field(default_factory=time.monotonic)
    error: PlatformError | None = None

    @property
    def body(self) -> str:
        return self.piece.body

    @property
    def buttons(self) -> list[str]:
        return [button.id for row in self.piece.buttons for button in row]


@dataclass(slots=True)
class Hold:
    """Stops the next matching call: `late` after it took effect, else before. `caught` tells that it is there."""

    kind: str
    when: Callable[[Call], bool]
    late: bool
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Fault:
    kind: str
    error: PlatformError
    when: Callable[[Call], bool]
    taken: bool


def _always(call: Call) -> bool:
    return True


class Window:
    """ports.Platform and, with `drafting`, ports.Drafting. `calls` is all that was asked; `standing` what people see."""

    def __init__(
        self,
        name: str = "window",
        *,
        idempotent: bool = False,
        drafting: bool = False,
        private: tuple[float, int] = QUICK,
        group: tuple[float, int] = QUICK,
        width: int = WIDTH,
    ) -> None:
        self.name = name
        self.traits = Traits(idempotent=idempotent, private=private, group=group)
        self.drafting = drafting
        self.calls: list[Call] = []
        self.moved: dict[ChatKey, ChatKey] = {}
        self.closed: set[ChatKey] = set()
        self.dead = False
        self.impatient: list[Call] = []  # calls before a RetryAfter had ended
        self.broken_layout: Callable[[str], bool] = lambda markdown: False
        self._width = width
        self._messages: dict[str, Call] = {}
        self._nonces: dict[str, str] = {}
        self._faults: list[_Fault] = []
        self._holds: list[Hold] = []
        self._flooded: dict[ChatKey, float] = {}

    # --- what a test arranges and looks at ---------------------------------------------------------------------------------

    def fail(
        self, kind: str, *errors: PlatformError, when: Callable[[Call], bool] = _always, taken: bool = False
    ) -> None:
        """The next calls of this kind meet these errors; with `taken` they take effect nevertheless."""
        self._faults += [_Fault(kind, error, when, taken) for error in errors]

    def hold(self, kind: str, when: Callable[[Call], bool] = _always, *, late: bool = False) -> Hold:
        held = Hold(kind, when, late)
        self._holds.append(held)
        return held

    def delete(self, chat: ChatKey, number: int = 0) -> None:
        """A person deletes the bot's message."""
        del self._messages[self.ids(chat)[number]]

    def ids(self, chat: ChatKey) -> list[str]:
        return [id for id, call in self._messages.items() if call.chat == chat]

    def standing(self, chat: ChatKey) -> list[str]:
        """The bodies that people see in this chat, in the order in which the messages were sent."""
        return [call.body for call in self._messages.values() if call.chat == chat]

    def pieces(self, chat: ChatKey) -> list[Piece]:
        return [call.piece for call in self._messages.values() if call.chat == chat]

    def made(self, kind: str, chat: ChatKey | None = None) -> list[Call]:
        return [call for call in self.calls if call.kind == kind and chat in (None, call.chat)]

    def stop_button(self, chat: ChatKey) -> str:
        """What the [Stop] button that now stands carries, "" for none."""
        found = [id for call in self._messages.values() if call.chat == chat for id in call.buttons]
        return found[-1] if found else ""

    # --- the platform ------------------------------------------------------------------------------------------------------

    async def listen(self, intake: Intake) -> None:
        """Its people speak through `tests/stage.py`."""

    def read(self, payload: str) -> Incoming:
        if payload == "unreadable":
            raise Unreadable("no such thing")
        said = json.loads(payload)
        chat = ChatKey.parse(said["chat"])
        author = Author(said["author"], said["author"], owner=said["author"] == "owner")
        address = Address(chat, reply_to=said["message"], group=said["group"])
        match said["kind"]:
            case "message" | "edit" as kind:
                message = Message(
                    id=said["message"], author=author, address=address, text=said["text"], at=said["at"],
                    language=said["language"],
                )  # fmt: skip
                return message if kind == "message" else Edited(message)
            case "press":
                return Pressed(said["text"], author, Address(chat, group=said["group"]), said["language"])
            case "left":
                return Left(chat)
            case "moved":
                return Moved(chat, ChatKey.parse(said["text"]))
            case kind:
                raise KeyError(kind)

    def layout(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        """Thoughts stand above the text, in brackets that close when they are complete."""
        if self.broken_layout(markdown):
            raise ZeroDivisionError("a bug in the layout")
        above = f"[{thoughts}{'' if thinking else ']'}\n" if thoughts else ""
        whole = above + markdown
        return tuple(Piece(whole[start : start + self._width]) for start in range(0, len(whole), self._width))

    async def send(self, to: Address, piece: Piece, nonce: str) -> str:
        assert len(nonce) <= 25
        call = Call("send", to.chat, piece=piece, nonce=nonce, reply_to=to.reply_to)
        async with self._taking(call):
            known = self._nonces.get(nonce) if self.traits.idempotent else None
            call.message = known or f"w{len(self._messages) + len(self.calls)}"
            if known is None or known in self._messages:
                self._messages[call.message] = call
            self._nonces[nonce] = call.message
        return call.message

    async def edit(self, to: Address, message: str, piece: Piece) -> None:
        call = Call("edit", to.chat, message, piece)
        async with self._taking(call):
            if message not in self._messages:
                call.error = Gone("deleted")
                raise call.error
            self._messages[message] = call

    async def remove(self, to: Address, message: str) -> None:
        async with self._taking(Call("remove", to.chat, message)):
            self._messages.pop(message, None)

    async def working(self, to: Address) -> None:
        async with self._taking(Call("working", to.chat)):
            pass

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        raise Gone(attachment.ref)

    def drafts(self, to: Address) -> bool:
        return self.drafting

    async def draft(self, to: Address, turn: int, piece: Piece) -> None:
        async with self._taking(Call("draft", to.chat, str(turn), piece)):
            pass

    def _taking(self, call: Call) -> _Taking:
        return _Taking(self, call)

    async def before(self, call: Call) -> None:
        if self.dead:
            raise asyncio.CancelledError
        await self._held(call, late=False)
        self.calls.append(call)
        if call.at < self._flooded.get(call.chat, 0.0):
            self.impatient.append(call)
        if call.chat in self.moved:
            call.error = ChatMoved(self.moved[call.chat])
        elif call.chat in self.closed:
            call.error = Forbidden("blocked")
        else:
            fault = next((f for f in self._faults if f.kind == call.kind and f.when(call)), None)
            if fault is None:
                return
            self._faults.remove(fault)
            call.error = fault.error
            if isinstance(fault.error, RetryLater):
                self._flooded[call.chat] = time.monotonic() + fault.error.seconds
            if fault.taken:
                return
        raise call.error

    async def after(self, call: Call) -> None:
        await self._held(call, late=True)
        if call.error:
            raise call.error

    async def _held(self, call: Call, *, late: bool) -> None:
        for held in self._holds:
            if held.kind == call.kind and held.late == late and not held.caught.is_set() and held.when(call):
                held.caught.set()
                await held.release.wait()


class _Taking:
    """A call on its way: it may be held, fail, or take effect and fail."""

    def __init__(self, window: Window, call: Call) -> None:
        self._window = window
        self._call = call

    async def __aenter__(self) -> None:
        await self._window.before(self._call)

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            await self._window.after(self._call)
