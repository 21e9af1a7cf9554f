"""/search: the web is searched before the answer, by the model's vendor itself, else by the tool of that name."""

from __future__ import annotations

from dataclasses import replace

from bot import phrases
from bot.commands.command import asks_nothing, reply
from bot.conversation.desk import SEARCH_TOOL, Desk, Parts, Request
from bot.errors import Declined
from bot.messages import Message, Turn
from bot.ports import ModelCard


async def search(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    if asks_nothing(message, argument):
        return reply(turn, phrases.search.WHAT)
    asked = [replace(message, text=argument)]
    heard = await desk.read(turn, asked)
    request = replace(Request.of_command(message, heard, await desk.tip(turn, asked)), search=True)
    return desk.ask(turn, _with_searcher(desk, turn, request))


def _with_searcher(desk: Desk, turn: Turn, request: Request) -> Request:
    """The chat's model, if its vendor searches for it; else another one of that vendor; else the chat's model with the tool.
    Raises Declined."""
    card = desk.sighted(turn, request)
    if card.searches:
        return replace(request, card=card)
    if other := _searcher(desk, card, sees=bool(request.question.files)):
        note = phrases.search.INSTEAD.format(model=other.name, other=card.name)
        return replace(request, card=other, asides=(*request.asides, note))
    if card.tools and desk.has_tool(SEARCH_TOOL):
        return replace(request, card=card)
    raise Declined(phrases.search.NONE)


def _searcher(desk: Desk, card: ModelCard, *, sees: bool) -> ModelCard | None:
    """Rather the vendor's default, and one that costs nothing where this one does not."""
    able = [
        other
        for other in desk.models.cards()
        if other.kind == "chat" and other.vendor == card.vendor and other.searches and (other.vision or not sees)
    ]
    return min(able, key=lambda other: (card.free and not other.free, not other.default), default=None)
