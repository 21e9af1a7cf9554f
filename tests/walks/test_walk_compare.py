"""A walk through what people see: two models side by side, and a long document that is read by parts.

The whole product runs, with Telegram's and Discord's stand-ins.
"""

from __future__ import annotations

from pathlib import Path

from bot.simulator import Question, Reply
from tests.product import house, house_on_discord, rows, said

KEEP = "Keep this one"
BOOK = "\n\n".join(f"[page {page}]\n{'The heron stands in the reeds and waits. ' * 60}" for page in range(1, 41))
NARROW = '[[model]]\nname = "glm-4.7-flash"\nwindow = 16000\noutput = 4000\n'


def talkative(question: Question) -> Reply:
    count = 1 if question.user_turns[-1].text in ("before", "next") else 60
    return Reply(text=" ".join(f"word{number}" for number in range(count)))


async def test_both_grow_at_the_same_time_and_one_is_kept(tmp_path: Path) -> None:
    async with house(tmp_path, script=talkative, per_token=0.06) as here:
        ann = here.person()
        await ann.ask("before")
        ann.say("/compare tell me")
        # Neither waits for the other to end.
        await ann.sees(
            lambda texts: len(texts) == 3 and all("word1 " in one and "word59" not in one for one in texts[1:])
        )
        await ann.hears(3)
        glm, qwen = ann.shown[1:]
        assert glm.text.startswith("glm-4.7-flash\n\nword0") and glm.text.endswith(" s · free")
        assert qwen.text.startswith("qwen-flash\n\nword0") and "¥" in qwen.text.splitlines()[-1]
        assert list(glm.buttons) == list(qwen.buttons) == [KEEP]
        assert rows(tmp_path, "SELECT count(*) FROM ledger WHERE state <> 'settled'") == [(0,)]
        pressed = await ann.pressed(qwen, KEEP)
        assert pressed.text.startswith("We go on from qwen-flash's answer: “word0 word1")
        await ann.ask("next")
        assert [text.split()[0] for text in said(here.asked[-1])] == ["before", "word0", "tell", "word0", "next"]


async def test_a_reply_to_one_of_them_goes_on_from_that_one(tmp_path: Path) -> None:
    async with house(
        tmp_path, script=lambda question: Reply(text=f"{len(question.said)} from {question.model}")
    ) as here:
        ann = here.person()
        ann.say("/compare why?")
        await ann.hears(2)
        glm, qwen = ann.shown
        await ann.ask("and this one?", reply_to=qwen)
        assert ["from qwen" in text for text in said(here.asked[-1])] == [False, True, False]
        await ann.ask("or this?", reply_to=glm)
        assert ["from glm" in text for text in said(here.asked[-1])] == [False, True, False]


async def test_one_that_is_stopped_is_not_remembered(tmp_path: Path) -> None:
    async with house(tmp_path, script=talkative, per_token=0.3) as here:
        ann = here.person()
        ann.say("/compare tell me")
        await ann.sees(lambda texts: len(texts) == 2 and all("word1" in text for text in texts))
        ann.press(ann.shown[-1], "Stop")
        await ann.hears(2)
        assert all(text.endswith("(stopped)") for text in ann.texts[:2])
        ann.say("next")
        await here.telegram.wait_for(lambda: said(here.asked[-1]) == ["next"])


async def test_discord_shows_both_too(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=talkative) as here:
        ann = here.member()
        await here.discord.wait_for(lambda: here.discord.commands())
        await ann.slash("compare", question="why?")
        await ann.hears(2)
        glm, qwen = ann.shown
        assert glm.content.startswith("**glm-4.7-flash**\n\nword0")
        assert qwen.content.startswith("**qwen-flash**\n\nword0")
        assert [button.label for one in (glm, qwen) for button in one.buttons] == [KEEP, KEEP]


async def test_a_long_document_is_read_by_parts_in_front_of_ones_eyes(tmp_path: Path) -> None:
    catalog = tmp_path / "models.toml"
    catalog.write_text(NARROW)
    async with house(tmp_path, {"CATALOG_FILE": str(catalog)}, script=talkative, per_token=0.01) as here:
        ann = here.person()
        here.telegram.send_document(ann.chat, ann.user, BOOK.encode(), "book.txt", "Where is it?")
        await ann.sees(lambda texts: any("reading part 2 of" in text for text in texts))
        (answer,) = await ann.hears(1)
        assert answer.startswith("Too long for glm-4.7-flash at once: I read it in parts (")
        assert answer.endswith("word59")
        assert "reading part" not in answer
