"""A walk through thinking: what models think is seen beside their answers, and nowhere else.

The whole product runs, on every platform; `test_walk.py` tells where the other walks are.
"""

from __future__ import annotations

import re
from pathlib import Path

from bot.simulator import Call, Fault, Question, Reply
from tests.product import Person, house, house_on_discord, said
from tests.servers.telegram import Message

THOUGHTS = [f"thought{number}" for number in range(40)]
THINKING = {"CHAT_MODEL": "glm-4.1v-thinking-flash"}  # it always does
WORDS = [f"word{number}" for number in range(20)]


def ponder(question: Question) -> Reply:
    return Reply(chunks=tuple(f"{word} " for word in WORDS), thought=" ".join(THOUGHTS) if question.thinking else "")


def quoted(message: Message) -> dict[str, str]:
    """What stands in quotes, by their kind."""
    data = message.text.encode("utf-16-le")
    return {
        one["type"]: data[2 * one["offset"] : 2 * (one["offset"] + one["length"])].decode("utf-16-le")
        for one in message.entities
        if one["type"].endswith("blockquote")
    }


def prompted(call: Call) -> str:
    """Everything that a model was told, the system's line too."""
    return str(call.body)


async def pondering(ann: Person) -> Message:
    await ann.sees(lambda texts: texts and "thought1" in texts[-1])
    return ann.shown[-1]


async def test_thoughts_grow_in_a_quote_that_folds_above_the_answer(tmp_path: Path) -> None:
    async with house(tmp_path, THINKING, script=ponder, per_token=0.03) as here:
        people = here.telegram.user("Ann"), here.telegram.user("Bob")
        ann = Person(here.telegram, people[0], here.telegram.group(*people))
        ann.say("/ask why?")
        preview = await pondering(ann)
        assert preview.text.endswith("\nthinking … ▌")
        assert list(quoted(preview)) == ["blockquote"]
        await ann.hears()
        (answer,) = ann.shown
        assert quoted(answer) == {"expandable_blockquote": f"💭 {' '.join(THOUGHTS)}"}
        assert answer.text.endswith(f"\n{' '.join(WORDS)}")
        assert answer.id == preview.id
        assert all(call.ok for call in here.telegram.log)


async def test_think_switches_it_on_and_off_by_button_and_word(tmp_path: Path) -> None:
    async with house(tmp_path, script=ponder) as here:
        ann = here.person()
        assert not quoted(await ann.ask("why?"))
        told = await ann.ask("/think")
        assert told.buttons == ("on", "off", "auto ✓")
        assert (await ann.pressed(told, "on")).text.startswith("Thinking first: on in this chat.")
        assert quoted(await ann.ask("why?"))
        assert here.asked[-1].body["thinking"] == {"type": "enabled"}
        await ann.ask("/model qwen-flash")
        assert quoted(await ann.ask("why?")), "the other vendor, too"
        assert here.asked[-1].body["parameters"]["enable_thinking"] is True
        await ann.ask("/think off")
        assert not quoted(await ann.ask("why?"))


async def test_a_model_that_cannot_think_says_so_and_names_one_that_can(tmp_path: Path) -> None:
    async with house(tmp_path, script=ponder) as here:
        ann = here.person()
        await ann.ask("/think on")
        await ann.ask("/model glm-4-flash-250414")
        line = "glm-4-flash-250414 cannot think before it answers; glm-4.7-flash can (/model glm-4.7-flash)."
        assert (await ann.ask("why?")).text == f"{line}\n\n{' '.join(WORDS)}"
        await ann.ask("and so?")
        assert not any(line in one for one in said(here.asked[-1])), "our line is not the model's"


async def test_thoughts_go_into_no_later_prompt(tmp_path: Path) -> None:
    async with house(tmp_path, THINKING, script=ponder) as here:
        ann = here.person()
        first = await ann.ask("why?")
        await ann.ask("and so?", reply_to=first)
        assert said(here.asked[-1]) == ["why?", f"{' '.join(WORDS)} ", "and so?"]
        assert "thought1" not in prompted(here.asked[-1])


async def test_thoughts_on_discord_are_small_lines(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, THINKING, script=ponder) as here:
        shown = await here.member().ask("why?")
        assert shown.content == f"-# 💭 {' '.join(THOUGHTS)}\n{' '.join(WORDS)}"


async def test_thoughts_on_the_page_are_folded(tmp_path: Path) -> None:
    async with house(tmp_path, THINKING, script=ponder) as here:
        html = await here.page.ask("why?")
        folded = re.fullmatch(
            r'<details class="thoughts"><summary[^>]*></summary><p [^>]*>(.*)</p></details>\n(.*)\n', html
        )
        assert folded
        assert folded.groups() == (" ".join(THOUGHTS), f"<p>{' '.join(WORDS)}</p>")


async def test_thoughts_that_led_to_nothing_stay_above_the_sentence(tmp_path: Path) -> None:
    async with house(tmp_path, THINKING, script=ponder) as here:
        here.models.fail(Fault(only_thought=True, finish="length", times=2))
        failed = await here.person().ask("why?")
        assert quoted(failed) == {"expandable_blockquote": f"💭 {' '.join(THOUGHTS)}"}
        assert failed.text.endswith(
            "\nThe model used up its length before it said a word. Please try again, or another model with /model."
        )
        assert "Retry" in failed.buttons


async def test_who_stops_it_while_it_thinks_keeps_the_thoughts(tmp_path: Path) -> None:
    async with house(tmp_path, THINKING, script=ponder, per_token=0.1) as here:
        people = here.telegram.user("Ann"), here.telegram.user("Bob")
        ann = Person(here.telegram, people[0], here.telegram.group(*people))
        ann.say("/ask why?")
        ann.press(await pondering(ann), "Stop")
        (text,) = await ann.hears()
        assert text.startswith("💭 thought0 thought1")
        assert text.endswith("\n(stopped)")
