"""/voice: whether the answers of this chat are spoken as well, and by whom."""

from __future__ import annotations

from collections.abc import Sequence

from bot import phrases
from bot.commands.command import in_rows, reply
from bot.commands.switches import OFF_WORDS, ON_WORDS
from bot.conversation.desk import Desk, Parts
from bot.conversation.speech import ON, find_voice, speaker
from bot.messages import Change, Choice, Configured, Message, Turn
from bot.phrases import Phrase
from bot.ports import Models

MOST_CHOICES = 18  # buttons, beside the one that turns it off: Discord shows five rows at most

_WORDS = {**dict.fromkeys(ON_WORDS, ON), **dict.fromkeys(OFF_WORDS, "")}


async def voice(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    return set_voice(desk, turn, argument) if argument else _shown(desk, turn, turn.voice)


def set_voice(desk: Desk, turn: Turn, name: str, *before: Change) -> Parts:
    """Make it this chat's voice, from the next answer on; `before` are changes that go along with it."""
    setting = _WORDS.get(name.strip().lower())
    if setting is None:
        found = find_voice(desk.models, name)
        if found is None:
            unknown = phrases.voice.UNKNOWN.format(name=" ".join(name.split())[:60])
            return _told(desk, turn, turn.voice, unknown, *before)
        setting = found[1]
    if setting and speaker(desk.models, turn) is None:
        return reply(turn, phrases.voice.NO_MOUTH, *before)
    return _shown(desk, turn, setting, *before, Configured("voice", setting))


def _shown(desk: Desk, turn: Turn, setting: str, *changes: Change) -> Parts:
    return _told(desk, turn, setting, _state(desk, turn, setting), *changes)


def _state(desk: Desk, turn: Turn, setting: str) -> Phrase:
    card = speaker(desk.models, turn)
    if card is None:
        return phrases.voice.NO_MOUTH
    if not setting:
        return phrases.voice.OFF
    speaking, name = find_voice(desk.models, setting) or (card, next(iter(card.voices), "—"))
    return phrases.voice.ON.format(voice=name, model=speaking.name)


def _told(desk: Desk, turn: Turn, setting: str, phrase: Phrase, *changes: Change) -> Parts:
    """The sentence, the voices of each model, and buttons for what is not set."""
    language = turn.language
    cards = [card for card in desk.models.cards() if card.kind == "speak" and card.voices]
    lines = [phrase.to(language)]
    if cards:
        listed = (
            phrases.voice.VOICES.format(model=card.name, voices=phrases.COMMA.to(language).join(card.voices))
            for card in cards
        )
        lines.append("\n".join(f"- {line.to(language)}" for line in listed))
    switch = (phrases.voice.TURN_OFF, "off") if setting else (phrases.voice.TURN_ON, "on")
    choices = [Choice(switch[0].to(language), f"voice:{switch[1]}")] if cards else []
    choices += [Choice(name, f"voice:{name}") for name in _offered(desk.models) if name != setting]
    return reply(turn, "\n\n".join(lines), *changes, rows=in_rows(choices, 4))


def _offered(models: Models) -> list[str]:
    """The first of each model, then the second, until there are enough."""
    voices = [card.voices for card in models.cards() if card.kind == "speak"]
    most = max(map(len, voices), default=0)
    in_turns = (names[place] for place in range(most) for names in voices if place < len(names))
    return list(in_turns)[:MOST_CHOICES]


def voices(models: Models) -> Sequence[str]:
    return ["on", "off", *(name for card in models.cards() if card.kind == "speak" for name in card.voices)]
