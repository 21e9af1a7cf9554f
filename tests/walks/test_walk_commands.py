"""A walk through what people see: every command, pictures, and the buttons under them, on Telegram.

The whole product runs. What a command refuses is in `test_bad_input.py`; Discord's and the page's forms of commands are in
`test_walk_elsewhere.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import commands
from bot.simulator import Fault, Question, Reply
from tests.product import Person, house, repeat, said, until
from tests.servers.telegram import picture


async def test_start_and_help_tell_what_it_can_do_in_the_readers_language(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann, an = here.person(), here.person("小安", "zh-hans")
        start = (await ann.ask("/start")).text
        assert "with glm-4.7-flash at the moment" in start and "/help lists the rest" in start
        assert (await an.ask("/start")).text.startswith("你好，我是喜鹊。直接给我发消息就行，现在由 glm-4.7-flash 回答")
        told, told_in_chinese = (await ann.ask("/help")).text, (await an.ask("/help")).text
        for command in commands.COMMANDS:
            assert f"• /{command.name} " in told and command.help.en.replace("`", "") in told
            assert command.help.zh.replace("`", "") in told_in_chinese
        assert here.asked == []


async def test_the_native_menu_is_that_of_the_registry_in_both_languages(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.telegram.wait_for(lambda: len(here.telegram.calls("setMyCommands")) == 2)
        for call, language in zip(here.telegram.calls("setMyCommands"), ("en", "zh"), strict=True):
            assert call.params.get("language_code", "en") == language
            menu = [(entry["command"], entry["description"]) for entry in call.params["commands"]]
            assert menu == [(one.name, one.help.zh if language == "zh" else one.help.en) for one in commands.COMMANDS]


async def test_commands_never_enter_the_context(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        await ann.ask("one")
        for command in ("/start", "/help", "/model", "/info", "/system", "/nonsense", "/ask aside"):
            await ann.ask(command)
        await ann.ask("two")
        assert said(here.asked[-1]) == ["one", "You said: one", "two"]


async def test_ask_reads_and_writes_no_history(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        await ann.ask("one")
        await ann.ask("/ask what did I say?")
        assert said(here.asked[-1]) == ["what did I say?"]


async def test_system_sets_shows_and_clears_this_chats_instructions(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann, ben = here.person(), here.person("Ben")
        assert (await ann.ask("/system Answer like a pirate")).text == "Noted: from the next answer on."
        assert (await ann.ask("/system")).text.endswith("Answer like a pirate")
        await ann.ask("hello")
        await ben.ask("hello")
        systems = [call.body["messages"][0]["content"] for call in here.asked]
        assert ["pirate" in system for system in systems] == [True, False]
        assert (await ann.ask("/system off")).text == "This chat's instructions are cleared."
        await ann.ask("hello")
        assert "pirate" not in here.asked[-1].body["messages"][0]["content"]


def seeded(question: Question) -> Reply:
    return Reply(text=f"{'again' if question.seed else 'first'}: {question.user_turns[-1].text}")


async def test_retry_asks_with_a_fresh_seed_and_undo_takes_back(tmp_path: Path) -> None:
    async with house(tmp_path, {"CHAT_MODEL": "qwen-flash"}, script=seeded) as here:
        ann = here.person()
        await ann.ask("one")
        assert (await ann.ask("two")).text == "first: two"
        assert (await ann.ask("/retry")).text == "again: two"
        assert said(here.asked[-1]) == ["one", "first: one", "two"]
        assert (await ann.ask("/undo")).text == "Taken back, with its answer: “two”"
        await ann.ask("three")
        assert said(here.asked[-1]) == ["one", "first: one", "three"]
        for taken in ("three", "one"):
            assert taken in (await ann.ask("/undo")).text
        assert (await ann.ask("/undo")).text == "There is nothing to take back."


async def test_model_lists_by_vendor_with_buttons_and_a_running_turn_keeps_its_model(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat, first_token=0.5) as here:
        ann = here.person()
        listed = await ann.ask("/model")
        for line in ("GLM (Zhipu AI)", "Qwen (Alibaba Cloud)", "• glm-4.7-flash ✓ — 200K, free", "sees pictures"):
            assert line in listed.text
        ann.say("hello")
        await until(lambda: here.models.running)
        ann.press(listed, "qwen-flash")
        texts = await ann.hears(3)
        assert texts[1] == "You said: hello"
        assert texts[2].startswith("This chat now uses qwen-flash")
        await ann.ask("and now?")
        assert [call.model for call in here.asked] == ["glm-4.7-flash", "qwen-flash"]
        assert "glm-4.7-flash" in (await ann.ask("/model default")).text
        assert (await ann.ask("/model glm-4-air")).text.startswith("This chat now uses glm-4-air-250414")


async def test_info_tells_the_owner_more_than_others(tmp_path: Path) -> None:
    async with house(tmp_path, {"ADMINS": "telegram:7"}, script=repeat) as here:
        owner = here.telegram.user("Olga", id=7)
        olga, ann = Person(here.telegram, owner, here.telegram.private(owner)), here.person()
        await ann.ask("hello")
        told = (await ann.ask("/info")).text
        for line in ("• Model: glm-4.7-flash", "• HTTP status and code: 200", "• Finish reason: stop", "• Cost: 0 CNY"):
            assert line in told
        await olga.ask("hello")
        here.models.fail(Fault(vendor="glm", code="1113", times=2))
        for person, sentence in ((ann, "That means: The call failed"), (olga, "The vendor says: 余额不足")):
            await person.ask("hello")
            info = (await person.ask("/info")).text
            assert "429 1113" in info and sentence in info
            await olga.sees(lambda texts: any("Top it up at the vendor" in text for text in texts))  # the alarm, once


# --- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chat", "drawn_by"), [("glm", "cogview-3-flash"), ("qwen", "z-image-turbo")])
async def test_image_draws_with_the_vendor_of_the_chat(tmp_path: Path, chat: str, drawn_by: str) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        await ann.ask(f"/model {chat}")
        shown = await ann.ask("/image 1024x1024 a red fox in snow")
        assert shown.media is not None and shown.media.kind == "photo"
        assert (shown.caption, shown.buttons) == ("a red fox in snow", ("Again", "Other model"))
        assert here.asked[-1].model == drawn_by
        await ann.ask("what was that?")
        assert said(here.asked[-1]) == [
            "Draw a picture: 1024x1024 a red fox in snow",
            "[picture: a red fox in snow]",
            "what was that?",
        ]


async def test_again_draws_another_and_other_model_lets_choose(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        first = await ann.ask("/image a red fox")
        second = await ann.pressed(first, "Again")
        choice = await ann.pressed(second, "Other model")
        assert choice.text == "Draw it with:"
        assert "wan2.2-t2i-flash" in choice.buttons and "cogview-3-flash" not in choice.buttons
        third = await ann.pressed(choice, "wan2.2-t2i-flash")
        assert [one.caption for one in (first, second, third)] == ["a red fox"] * 3
        assert [call.model for call in here.asked] == ["cogview-3-flash", "cogview-3-flash", "wan2.2-t2i-flash"]


async def test_while_it_draws_it_says_so_and_can_be_cancelled(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.fail(Fault(path="images", hang=True))
        ann.say("/image a slow fox")
        await ann.sees(lambda texts: texts and texts[0].startswith("drawing with cogview-3-flash …"))
        assert ann.shown[0].buttons == ("Cancel",)
        ann.press(ann.shown[0], "Cancel")
        assert await ann.hears() == ["(cancelled)"]


async def test_a_vendor_that_cannot_draw_just_now(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.fail(Fault(vendor="glm", path="images", code="1113"))
        failed = await ann.ask("/image a fox")
        assert failed.text.startswith("The account at the model's vendor has no money left.")
        assert failed.buttons == ("Try again", "Other model")
        assert (await ann.pressed(failed, "Try again")).caption == "a fox"


async def test_a_photo_with_a_question_is_looked_at_and_remembered(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.telegram.send_photo(ann.chat, ann.user, picture(320, 200), "What size is it?")
        assert "320" in (await ann.hears())[0]
        here.telegram.send_photo(ann.chat, ann.user, picture(100, 100))
        assert "100" in (await ann.hears(2))[1]
        assert said(here.asked[-1])[-1] == "What is in this picture?"
