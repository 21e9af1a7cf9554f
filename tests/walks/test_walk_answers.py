"""A walk through what people see: how an answer grows, is stopped, is too long, breaks off, and arrives whatever happens.

The whole product runs, on Telegram; `test_walk.py` tells where the other walks are.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from bot.phrases import TROUBLE
from bot.simulator import Fault, Question, Reply
from bot.turns.answer import CURSOR
from tests.product import Person, house, repeat, said, undisturbed, until
from tests.servers.telegram import Message
from tests.servers.telegram_rules import utf16

WORDS = [f"word{number}" for number in range(60)]
SLOW = Reply(chunks=tuple(f"{word} " for word in WORDS))
WHOLE = " ".join(WORDS)


def slow(question: Question) -> Reply:
    return SLOW


async def growing(ann: Person) -> Message:
    """The first preview of an answer that is being written."""
    await ann.sees(lambda texts: texts and "word1" in texts[-1])
    return ann.shown[-1]


# --- streaming and stopping --------------------------------------------------------------------------------------------


async def test_an_answer_grows_in_one_message_with_a_stop_button_while_it_runs(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.05) as here:
        ann = here.person()
        ann.say("hello")
        preview = await growing(ann)
        assert preview.text.endswith(CURSOR)
        assert preview.buttons == ("Stop",)
        assert await ann.hears() == [WHOLE]
        assert (ann.shown[0].id, ann.shown[0].buttons) == (preview.id, ())
        calls = [call for call in here.telegram.log if call.chat_id == ann.chat.id]
        assert 3 <= len(calls) <= 8, "a few edits, not one a token"


@pytest.mark.parametrize("how", ["button", "command", "zh"])
async def test_a_stopped_answer_keeps_what_was_shown_and_costs_no_more(tmp_path: Path, how: str) -> None:
    async with house(tmp_path, script=slow, per_token=0.05) as here:
        ann = here.person(language="zh" if how == "zh" else "en")
        ann.say("hello")
        preview = await growing(ann)
        if how == "command":
            ann.say("/stop")
        else:
            ann.press(preview, "停止" if how == "zh" else "Stop")
        mark = "(已停止)" if how == "zh" else "(stopped)"
        await ann.sees(lambda texts: texts[0].endswith(mark))
        assert "word1" in ann.texts[0] and WORDS[-1] not in ann.texts[0]
        await until(lambda: not here.models.running)
        assert here.asked[0].disconnected, "the model was told, too"
        here.models.say("go on")
        await ann.ask("and now?")
        assert said(here.asked[-1])[1].startswith("word0 word1"), "what was shown is remembered"


async def test_a_question_stopped_before_the_first_word_is_asked_again_by_retry(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat, first_token=0.3) as here:
        ann = here.person()
        await ann.ask("one")
        ann.say("two")
        await until(lambda: here.models.running)
        ann.say("/stop")
        assert (await ann.hears(2))[1] == "(stopped)"
        assert (await ann.ask("/retry")).text == "You said: two"
        assert said(here.asked[-1]) == ["one", "You said: one", "two"]


async def test_in_a_group_only_the_asker_stops_by_the_button(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.05) as here:
        ann, ben = here.telegram.user("Ann"), here.telegram.user("Ben")
        group = here.telegram.supergroup(ann, ben)
        hers, his = Person(here.telegram, ann, group), Person(here.telegram, ben, group)
        hers.say("@magpie_test_bot hello")
        preview = await growing(hers)
        his.press(preview, "Stop")
        assert (await hers.sees(lambda texts: texts[0] == WHOLE))[0] == WHOLE


async def test_a_reset_stops_closes_and_forgets(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.05) as here:
        ann = here.person()
        ann.say("hello")
        await growing(ann)
        ann.say("I wait")
        ann.say("/reset")
        texts = await ann.hears(2)
        assert texts[0].endswith("(stopped)")
        assert texts[1] == (
            "A new conversation. I have forgotten the old one. Messages that were still waiting and will not be answered: 1."
        )
        here.models.say("fresh")
        await ann.ask("who am I?")
        assert said(here.asked[-1]) == ["who am I?"]


# --- long answers ------------------------------------------------------------------------------------------------------

CODE = "\n".join(f"print({number:04}, 'a line of code')" for number in range(400))
TABLE = "| Name | Figure |\n|---|---|\n" + "\n".join(f"| row {number} | {number * number} |" for number in range(120))
LONG = f"# A long answer\n\nHere is the code:\n\n```python\n{CODE}\n```\n\nAnd a table:\n\n{TABLE}\n\nThe *end*."


async def test_an_answer_over_the_limit_rolls_over_with_code_and_tables_whole(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.say(LONG)
        ann.say("much, please")
        await ann.sees(lambda texts: texts and texts[-1].endswith("The end."))
        shown = ann.shown
        assert len(shown) >= 4
        assert all(utf16(message.text) <= 4096 for message in shown)
        everything = "\n".join(message.text for message in shown)
        assert re.findall(r"print\(\d{4}, 'a line of code'\)", everything) == CODE.split("\n")
        assert [int(row) for row in re.findall(r"row (\d+)\b", everything)] == list(range(120))
        for message in shown:
            kinds = {entity["type"] for entity in message.entities}
            assert ("print(" not in message.text and "row " not in message.text) or "pre" in kinds
            assert "```" not in message.text
        assert (await ann.ask("and short?")).text


async def test_under_flood_limits_every_answer_is_whole_and_no_call_too_early(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.05, floods=True) as here:
        people = [here.person(f"Person {number}") for number in range(12)]
        group = here.telegram.supergroup(*(person.user for person in people))
        for person in people:
            person.say("hello")
        for person in people[:3]:
            here.telegram.say(group, person.user, "@magpie_test_bot hello")
        for person in people:
            assert await person.hears(seconds=40) == [WHOLE]
        assert await Person(here.telegram, people[0].user, group).hears(3, 40) == [WHOLE] * 3
        assert here.telegram.early_calls == []


# --- what goes wrong on the way ------------------------------------------------------------------------------------------


async def test_a_message_deleted_while_it_grows_does_not_take_the_answer_with_it(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.05) as here:
        ann = here.person()
        ann.say("hello")
        here.telegram.delete(await growing(ann))
        await ann.sees(lambda texts: texts == [WHOLE])


async def test_a_429_in_the_middle_is_waited_for_and_disturbs_nobody_else(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.02) as here:
        ann = here.person()
        ann.say("hello")
        await growing(ann)
        here.telegram.fail("editMessageText", retry_after=3, when=lambda params: params["chat_id"] == ann.chat.id)
        ben = here.person("Ben")
        assert (await ben.ask("hello")).text == WHOLE
        assert await ann.hears() == [WHOLE]
        assert here.telegram.early_calls == []


async def test_a_429_on_the_last_edit_delays_the_end_and_cuts_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.02) as here:
        here.telegram.fail("editMessageText", retry_after=1, when=lambda params: params.get("text") == WHOLE)
        ann = here.person()
        ann.say("hello")
        assert await ann.hears() == [WHOLE]
        assert [call.status for call in here.telegram.log if call.method == "editMessageText"].count(429) == 1
        assert here.telegram.early_calls == []


async def test_who_blocks_the_bot_in_the_middle_ends_the_call_and_may_come_back(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.1) as here:
        ann = here.person()
        ann.say("hello")
        await growing(ann)
        here.telegram.block(ann.chat)
        await until(lambda: not here.models.running)
        assert here.asked[0].disconnected, "nobody would see the rest"
        here.models.say("You said: and me?", "welcome back")
        await undisturbed(here)
        here.telegram.unblock(ann.chat)
        ann.say("hello again")
        await ann.sees(lambda texts: texts[-1] == "welcome back")


async def test_the_network_breaks_after_a_send_and_nothing_stands_twice(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.02) as here:
        ann = here.person()
        here.telegram.drop("sendMessage")
        here.telegram.drop("editMessageText", times=2)
        ann.say("hello")
        await ann.sees(lambda texts: texts.count(WHOLE) == 1)
        ann.say("once more")
        texts = await ann.sees(lambda texts: texts.count(WHOLE) == 2)
        orphans = [text for text in texts if text != WHOLE]
        assert len(orphans) == 1 and orphans[0].endswith(CURSOR), "Telegram knows no repeatable send"


async def test_the_network_breaks_after_the_first_send_of_a_finished_answer_and_it_stands_once(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.telegram.fail("sendMessage", retry_after=1)  # no preview: the finished answer is the first to be sent
        here.telegram.drop("sendMessage")
        ann.say("hello")
        await ann.sees(lambda texts: texts and texts[-1] == "You said: hello")
        ann.say("more")
        texts = await ann.sees(lambda texts: texts[-1] == "You said: more")
        assert texts.count("You said: hello") == 1
        assert len(texts) == 3 and texts[0].endswith(CURSOR)


async def test_native_drafts_show_previews_that_leave_one_message(tmp_path: Path) -> None:
    async with house(tmp_path, {"TELEGRAM_DRAFTS": "on"}, script=slow, per_token=0.05) as here:
        ann = here.person()
        ann.say("hello")
        await here.telegram.wait_for(lambda: "word0" in str(here.telegram.draft(ann.chat)))
        assert await ann.hears() == [WHOLE]
        assert [call.method for call in here.telegram.log if call.chat_id == ann.chat.id].count("sendMessage") == 1


# --- vendors' errors -----------------------------------------------------------------------------------------------------

REFUSALS = [
    ("glm", "1113", "no money", True),
    ("glm", "1301", "refused", False),
    ("glm", "1211", "no such model", True),
    ("glm", "1308", "quota", True),
    ("glm", "1210", "bad request", True),
    ("dashscope", "Arrearage", "no money", True),
    ("dashscope", "DataInspectionFailed", "refused", False),
    ("dashscope", "ModelNotFound", "no such model", True),
    ("dashscope", "AllocationQuota.FreeTierOnly", "quota", True),
    ("dashscope", "InvalidParameter", "bad request", True),
]


@pytest.mark.parametrize(("vendor", "code", "kind", "again"), REFUSALS, ids=[code for _, code, _, _ in REFUSALS])
async def test_a_vendors_error_is_shown_with_its_sentence(
    tmp_path: Path, vendor: str, code: str, kind: str, again: bool
) -> None:
    model, other = ("glm-4.7-flash", "qwen-flash") if vendor == "glm" else ("qwen-flash", "glm-4.7-flash")
    async with house(tmp_path, {"CHAT_MODEL": model}, script=repeat) as here:
        ann, an = here.person(), here.person("小安", "zh")
        here.models.fail(Fault(vendor=vendor, code=code, times=2))
        failed = await ann.ask("a question")
        assert failed.text == TROUBLE[kind].en
        assert failed.buttons == (("Retry", f"Try {other}") if again else (f"Try {other}",))
        assert (await an.ask("问题")).text == TROUBLE[kind].zh
        info = (await ann.ask("/info")).text
        assert code in info and "失败" not in info
        assert (await ann.ask("another")).text == "You said: another"
        assert said(here.asked[-1]) == ["another"], "a question without an answer stays out of the context"


async def test_retry_asks_the_failed_question_again(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.models.fail(Fault(vendor="glm", code="1113"))
        failed = await ann.ask("a question")
        assert (await ann.pressed(failed, "Retry")).text == "You said: a question"
        await ann.ask("next")
        assert said(here.asked[-1]) == ["a question", "You said: a question", "next"]


async def test_a_busy_vendor_is_tried_again_before_anybody_hears_of_it(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        here.models.fail(Fault(vendor="glm", code="1302"))
        assert (await here.person().ask("a question")).text == "You said: a question"
        assert [call.code for call in here.asked] == ["1302", ""]


@pytest.mark.parametrize("model", ["glm-4.7-flash", "qwen-flash"])
async def test_a_stream_that_breaks_off_is_marked_and_can_be_continued(tmp_path: Path, model: str) -> None:
    async with house(tmp_path, {"CHAT_MODEL": model}, script=slow) as here:
        ann = here.person()
        here.models.fail(Fault(cut=True, after_chunks=20))
        broken = await ann.ask("count")
        assert broken.text == f"{' '.join(WORDS[:20])}\n\n(the answer broke off here)"
        assert broken.buttons == ("Continue",)
        here.models.say("word20 and so on")
        assert (await ann.pressed(broken, "Continue")).text == "word20 and so on"
        context = said(here.asked[-1])
        assert context[0] == "count"
        assert context[1].strip() == " ".join(WORDS[:20]), "our mark is not the model's"
        assert context[2] == "Continue exactly where you stopped."


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("glm-4.7-flash", Fault(vendor="glm", finish="sensitive", after_chunks=20)),
        ("qwen-flash", Fault(vendor="dashscope", code="DataInspectionFailed", after_chunks=20)),
    ],
    ids=["glm", "qwen"],
)
async def test_a_content_filter_in_the_middle_withdraws_the_answer(tmp_path: Path, model: str, fault: Fault) -> None:
    async with house(tmp_path, {"CHAT_MODEL": model}, script=slow, per_token=0.05) as here:
        ann = here.person()
        here.models.fail(fault)
        ann.say("tell me")
        await growing(ann)
        assert await ann.hears() == [TROUBLE["refused"].en], "in place of what was shown"
        here.models.say("fine")
        await ann.ask("something else")
        assert said(here.asked[-1]) == ["something else"]


async def test_an_answer_cut_at_the_models_length_can_be_continued(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.fail(Fault(finish="length"))
        here.models.say("```python\nprint(1)")
        cut = await ann.ask("code")
        assert cut.text == "print(1)\n\n(cut at the model's length limit)"
        assert cut.buttons == ("Continue",)


async def test_a_model_that_says_nothing_gets_a_sentence(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        here.models.fail(Fault(empty=True, times=2))
        failed = await here.person().ask("hello?")
        assert failed.text == "The model gave an empty answer. Please try again."
        assert "Retry" in failed.buttons


async def test_while_one_vendor_hangs_everybody_else_is_answered(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.models.fail(Fault(hang=True))
        ann.say("hello?")
        await until(lambda: here.models.running)
        async with asyncio.timeout(5):
            await undisturbed(here)
        ann.say("/stop")
        await ann.hears()
