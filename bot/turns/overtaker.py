"""The control lane: `/stop`, [Stop] and `/reset` act at once, ahead of whatever waits in their chat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace

from bot import phrases
from bot.errors import StorageError, Unreadable
from bot.lanes import command_of
from bot.messages import Address, ChatKey, Edited, Left, Message, Piece, Pressed
from bot.ports import Control, Overtaken, Platform, Replying, Row

log = logging.getLogger(__name__)

AGAIN = 0.5  # seconds until the lane is tried again when the store does not commit


class Overtaker:
    """`end` is told of each turn that must end now; `show` shows what a chat's outbox holds; `done` is called when chats that
    waited for the lane are free again."""

    def __init__(
        self,
        control: Control,
        platforms: Mapping[str, Platform],
        *,
        show: Callable[[Address], Coroutine[None, None, None]],
        end: Callable[[int], None],
        done: Callable[[], None],
    ) -> None:
        self._control = control
        self._platforms = platforms
        self._show = show
        self._end = end
        self._done = done
        self._arrived = asyncio.Event()

    def wake(self) -> None:
        self._arrived.set()

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Until cancelled; replies are shown by `tasks`."""
        self._arrived.set()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                while rows := await self._control.control_rows(100):
                    for row, chat in rows:
                        address = await self._guarded(row, chat)
                        if address:
                            tasks.create_task(self._show(address))
            except StorageError as error:
                log.error("Cannot stop or reset yet: %s", error)
                asyncio.get_running_loop().call_later(AGAIN, self._arrived.set)
            self._done()

    async def _guarded(self, row: Row, chat: ChatKey) -> Address | None:
        """A row that cannot be acted on becomes a dead letter: nothing may block the lane, which all chats share."""
        if row.platform not in self._platforms:
            await self._control.dismiss(row, "the platform is not set up")
            return None
        try:
            return await self._act(row, chat)
        except StorageError:
            raise
        except Unreadable as error:
            log.warning("Event %d of %s: %s", row.id, chat, error)
            await self._control.dismiss(row, f"unreadable: {error}")
            return None
        except Exception:  # the boundary
            log.exception("Event %d of %s broke down", row.id, chat)
            await self._control.dismiss(row, "broke down")
            return None

    async def _act(self, row: Row, chat: ChatKey) -> Address | None:
        """Do what the event says; where its reply goes, if it has one."""
        said = self._platforms[row.platform].read(row.payload)
        address = None
        match said:
            case Pressed():
                person = "" if said.author.owner else said.author.id
                done = await self._control.stop(row, chat, said.button, person, _silence(Address(chat)))
            case Message() | Edited():
                message = said.message if isinstance(said, Edited) else said
                address = replace(message.address, chat=chat)
                done = await self._command(row, chat, address, message)
            case Left():
                done = await self._control.leave(chat, "the bot was removed")
                await self._control.dismiss(row, "left")
            case _:
                await self._control.dismiss(row, "no command")
                return None
        if done.turn:
            self._end(done.turn)
        return address if done.shows else None

    async def _command(self, row: Row, chat: ChatKey, address: Address, message: Message) -> Overtaken:
        layout = self._platforms[chat.platform].layout
        cancelled = layout(phrases.jobs.CANCELLED_LINE.to(message.language))[0]

        person = "" if message.author.owner else message.author.id  # whose answer or task ends

        def after_reset(overtaken: Overtaken) -> tuple[Address, tuple[Piece, ...]]:
            phrase = phrases.RESET
            if overtaken.closed:
                phrase = phrases.RESET_CLOSED.format(reset=phrase, count=overtaken.closed)
            if overtaken.jobs:
                phrase = phrases.RESET_CANCELLED.format(reset=phrase, count=overtaken.jobs)
            return address, layout(phrase.to(message.language))

        def after_stop(overtaken: Overtaken) -> tuple[Address, tuple[Piece, ...]]:
            if overtaken.turn:  # a stopped answer shows it itself
                return address, ()
            nothing = phrases.jobs.NOTHING_OF_YOURS if person and address.group else phrases.NOTHING_RUNS
            phrase = phrases.jobs.TASK_CANCELLED if overtaken.jobs else nothing
            return address, layout(phrase.to(message.language))

        command = command_of(message.text)
        if command and command[0] == "reset":
            return await self._control.reset(row, chat, after_reset, cancelled)
        return await self._control.stop(row, chat, "", person, after_stop, cancelled)


def _silence(address: Address) -> Replying:
    return lambda overtaken: (address, ())
