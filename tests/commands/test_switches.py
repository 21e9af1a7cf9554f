"""What is turned off by a word understands the same words everywhere."""

from __future__ import annotations

from typing import Literal

import pytest

from bot.commands.switches import OFF_WORDS, ON_WORDS
from bot.messages import Configured
from tests.conversations import Conversation


@pytest.mark.parametrize("word", sorted(OFF_WORDS))
@pytest.mark.parametrize(("command", "off"), [("think", "off"), ("voice", ""), ("system", "")])
async def test_every_word_for_off_turns_off(
    chat: Conversation, command: Literal["think", "voice", "system"], off: str, word: str
) -> None:
    for said in (word, word.upper()):
        assert (await chat.say(f"/{command} {said}")).changes == [Configured(command, off)]


@pytest.mark.parametrize("word", sorted(ON_WORDS))
async def test_every_word_for_on_turns_on(chat: Conversation, word: str) -> None:
    assert (await chat.say(f"/think {word}")).changes == [Configured("think", "on")]


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("/think auto", Configured("think", "")),
        ("/think 默认", Configured("think", "")),
        ("/system clear", Configured("system", "")),
        ("/system 清除", Configured("system", "")),
        ("/system on", Configured("system", "on")),
    ],
)
async def test_a_command_has_words_of_its_own(chat: Conversation, line: str, change: Configured) -> None:
    assert (await chat.say(line)).changes == [change]
