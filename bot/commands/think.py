"""/think: whether models think before they answer in this chat."""

from __future__ import annotations

from collections.abc import Sequence

from bot import phrases
from bot.commands.command import reply
from bot.commands.switches import OFF_WORDS, ON_WORDS
from bot.conversation import thinking
from bot.conversation.desk import Desk, Parts
from bot.messages import Change, Choice, Configured, Message, Turn
from bot.phrases import Phrase
from bot.ports import ModelCard, Models

_NAMES = {"on": phrases.thinking.ON, "off": phrases.thinking.OFF, "": phrases.thinking.AUTO}
_MEANINGS = {
    "on": phrases.thinking.MEANS_ON,
    "off": phrases.thinking.MEANS_OFF,
    "": phrases.thinking.MEANS_AUTO,
}
_WORDS = {
    **dict.fromkeys(ON_WORDS, "on"),
    **dict.fromkeys(OFF_WORDS, "off"),
    **dict.fromkeys(("auto", "default", "自动", "自動", "默认"), ""),
}


async def think(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    return set_thinking(desk, turn, argument) if argument else _shown(desk, turn, turn.think)


def set_thinking(desk: Desk, turn: Turn, word: str, *before: Change) -> Parts:
    """Make it this chat's setting, from the next question on; `before` are changes that go along with it."""
    setting = _WORDS.get(word.strip().lower())
    if setting is None:
        return reply(turn, phrases.thinking.UNKNOWN, *before)
    return _shown(desk, turn, setting, *before, Configured("think", setting))


def _shown(desk: Desk, turn: Turn, setting: str, *changes: Change) -> Parts:
    """What is set, what the chat's model makes of it, and a button for everything else that may be set."""
    language, card = turn.language, desk.card(turn)
    meaning = _MEANINGS[setting].to(language)
    told = [phrases.thinking.STATE.to(language).format(setting=_NAMES[setting].to(language), meaning=meaning)]
    if card:
        told.append(_ability(desk.models, card).to(language))
    labels = {
        value: f"{name.to(language)} ✓" if value == setting else name.to(language) for value, name in _NAMES.items()
    }
    choices = [Choice(label, f"think:{value or 'auto'}") for value, label in labels.items()]
    return reply(turn, "\n\n".join(told), *changes, rows=[choices])


def _ability(models: Models, card: ModelCard) -> Phrase:
    able = phrases.thinking.ALWAYS if card.thinks == "always" else phrases.thinking.SWITCHES
    return thinking.unable(models, card, "on") or able.format(model=card.name)


def settings(models: Models) -> Sequence[str]:
    return ["on", "off", "auto"]
