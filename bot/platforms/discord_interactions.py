"""Slash commands, presses and autocompletion: each committed and acknowledged within Discord's three seconds, or refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from bot import phrases
from bot.errors import PlatformError, StorageError, Unreachable
from bot.phrases import Phrase
from bot.platforms import discord_menu
from bot.platforms.discord_read import (
    PLATFORM,
    JsonObject,
    Me,
    Place,
    commanded,
    interface_language,
    person_of,
    pressed,
)
from bot.platforms.discord_rest import NO_PINGS, Rest
from bot.ports import Gatekeeper, Intake, MenuEntry

log = logging.getLogger(__name__)

SLASH, COMPONENT, AUTOCOMPLETE = 2, 3, 4  # interaction types
MESSAGE, DEFERRED, DEFERRED_UPDATE, CHOICES = 4, 5, 6, 8  # types of the first answer
EPHEMERAL = 1 << 6
STOP = "stop"
ACCEPT_SECONDS = 1.4  # then there is still time to refuse, within 2 s in all
ANSWER_SECONDS, ATTEMPTS = 1.0, 2  # of the first answer


class Interactions:
    """`acknowledging` holds, by token, those being committed and deferred: an answer that is ready earlier waits."""

    def __init__(
        self,
        rest: Rest,
        gate: Gatekeeper,
        intake: Intake,
        menu: Sequence[MenuEntry],
        acknowledging: dict[str, asyncio.Event],
    ) -> None:
        self.acknowledging = acknowledging
        self._rest = rest
        self._gate = gate
        self._intake = intake
        self._menu = menu

    async def take(self, data: JsonObject, me: Me, place: Place) -> None:
        """Commit, then acknowledge: what was refused visibly is never answered later."""
        kind, person = data["type"], person_of(data)["id"]
        admitted = self._gate.admits(PLATFORM, person, *filter(None, (place.guild, place.channel, place.parent)))
        if kind == AUTOCOMPLETE:
            offered = discord_menu.choices(data, self._menu) if admitted else []
            await self._answer(data, CHOICES, {"choices": offered})
        elif kind not in (SLASH, COMPONENT):
            log.info("Discord: an interaction of type %s is not known here", kind)
        elif not admitted:
            if self._gate.turn_away(PLATFORM, person):
                await self._say(data, phrases.STRANGER.format(id=f"{PLATFORM}:{person}"))
        else:
            await self._accept(data, me, place)

    async def _accept(self, data: JsonObject, me: Me, place: Place) -> None:
        slash = data["type"] == SLASH
        event = commanded(data, me, place) if slash else pressed(data, me, place)
        done = self.acknowledging[data["token"]] = asyncio.Event()
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                await self._intake.accept([event])
        except (StorageError, TimeoutError) as error:
            log.warning("Discord: an interaction was refused: %s", str(error) or "the store took too long")
            await self._say(data, phrases.DISCORD_REFUSED)
        else:
            await self._acknowledge(data, slash)
        finally:
            del self.acknowledging[data["token"]]
            done.set()

    async def _acknowledge(self, data: JsonObject, slash: bool) -> None:
        if slash and data["data"]["name"] == STOP:
            # a stop that did its work has no answer of its own, and "thinking …" would stay for ever; if nothing ran, that
            # sentence takes the place of this one
            await self._say(data, phrases.DISCORD_STOPPED)
        else:
            await self._answer(data, DEFERRED if slash else DEFERRED_UPDATE)

    async def _say(self, data: JsonObject, phrase: Phrase) -> None:
        """A line that only this person sees."""
        text = phrase.to(interface_language(data))
        await self._answer(data, MESSAGE, {"content": text, "flags": EPHEMERAL, "allowed_mentions": NO_PINGS})

    async def _answer(self, data: JsonObject, kind: int, answer: JsonObject | None = None) -> None:
        path = f"/interactions/{data['id']}/{data['token']}/callback"
        body = {"type": kind} | ({"data": answer} if answer is not None else {})
        problem: PlatformError | None = None
        for _ in range(ATTEMPTS):
            try:
                await self._rest.call("POST", path, body, authorized=False, seconds=ANSWER_SECONDS)
                return
            except Unreachable as error:
                problem = error
            except PlatformError as error:  # among them "already acknowledged": the first attempt's answer was lost
                problem = error
                break
        # its event, if any, is committed: the answer then comes as an ordinary message
        log.warning("Discord: an interaction was not acknowledged: %s", problem)
