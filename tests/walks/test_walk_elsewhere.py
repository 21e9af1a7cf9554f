"""A walk through what people see on Discord and on the page. The whole product runs; what the page looks like in a browser is
in `platforms/test_web_page.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

from bot.simulator import Fault, Simulator
from bot.turns.answer import CURSOR
from tests.product import (
    Member,
    house,
    house_on_discord,
    magpie,
    on_discord,
    pictures,
    repeat,
    rows,
    said,
    until,
    with_glm,
)
from tests.servers.discord import DiscordServer
from tests.servers.discord_state import Upload
from tests.servers.telegram import picture
from tests.walks.test_walk import echo_all
from tests.walks.test_walk_answers import CODE, LONG, WHOLE, WORDS, slow

# --- Discord: conversations ----------------------------------------------------------------------------------------------


async def test_a_private_chat_is_remembered_over_a_restart_and_what_came_meanwhile_is_answered(tmp_path: Path) -> None:
    async with DiscordServer() as server, Simulator(script=echo_all, first_token=0, per_token=0) as models:
        ann = Member.alone(server)
        async with magpie(tmp_path, on_discord(server), with_glm(models)):
            await server.wait_for(lambda: server.connected)
            await ann.ask("one")
        server.say(ann.channel, ann.user, "two")
        async with magpie(tmp_path, on_discord(server), with_glm(models)):
            assert await ann.hears(2) == ["one", "one / two"]
            await server.wait_for(lambda: server.connected)
            assert (await ann.ask("three")).content == "one / two / three"


async def test_in_a_server_it_answers_when_addressed_and_channels_and_threads_are_apart(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=echo_all) as here:
        ann, ben = here.discord.user("ann"), here.discord.user("ben")
        guild = here.discord.guild("house", members=[ann, ben])
        general, games = here.discord.channel(guild, "general"), here.discord.channel(guild, "games")
        thread = here.discord.thread(general, "aside", ann)
        hers, his, playing, aside = (
            Member(here.discord, *where) for where in ((ann, general), (ben, general), (ann, games), (ann, thread))
        )
        here.discord.say(general, ben, "a secret that is none of its business")
        first = await hers.ask("I like red", mention_bot=True)
        assert (first.content, bool(first.pings)) == ("Ann: I like red", False)
        assert first.reply_to is not None
        assert (await his.ask("I like blue", reply_to=first)).content == "Ann: I like red / Ben: I like blue"
        assert (await playing.ask("chess?", mention_bot=True)).content == "Ann: chess?"
        assert (await aside.ask("psst", mention_bot=True)).content == "Ann: psst"
        assert "secret" not in str(rows(tmp_path, "SELECT payload FROM inbox"))


async def test_on_discord_an_edit_asks_again_in_place_and_a_burst_is_one_turn(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=echo_all, first_token=0.3) as here:
        ann = here.member()
        question = here.discord.say(ann.channel, ann.user, "red")
        await ann.hears()
        here.discord.edit(question, "blue")
        await here.discord.wait_for(lambda: ann.texts == ["blue"])
        here.discord.say(ann.channel, ann.user, "one")
        await until(lambda: here.models.running)
        two = here.discord.say(ann.channel, ann.user, "two")
        here.discord.say(ann.channel, ann.user, "three")
        assert (await ann.hears(3))[1:] == ["blue / one", "blue / one / two + three"]
        here.discord.edit(two, "zwei")
        await here.discord.wait_for(lambda: ann.texts[2] == "blue / one / zwei + three")
        here.discord.unfurl(question, "https://example.org")
        await ann.ask("four")
        assert len(here.models.log) == 6, "a link preview is no question"


async def test_on_discord_pictures_come_in_together_with_their_question(tmp_path: Path) -> None:
    files = [Upload(filename=f"{n}.jpg", data=picture(64, 64 + n), content_type="image/jpeg") for n in range(3)]
    async with house_on_discord(tmp_path, script=repeat) as here:
        ann = here.member()
        assert (await ann.ask("Which is best?", attachments=files)).content == "You said: Which is best?"
        [call] = [call for call in here.models.log if call.body]
        assert (call.model, pictures(call)) == ("glm-4.6v-flash", 3)


async def test_on_discord_a_question_about_another_persons_picture_is_asked_with_it(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=repeat) as here:
        ann, ben = here.discord.user("ann"), here.discord.user("ben")
        room = here.discord.channel(here.discord.guild("house", members=[ann, ben]), "general")
        bike = Upload(filename="bike.jpg", data=picture(), content_type="image/jpeg")
        photo = here.discord.say(room, ben, attachments=(bike,))
        await Member(here.discord, ann, room).ask("what is this?", mention_bot=True, reply_to=photo)
        [call] = [call for call in here.models.log if call.body]
        assert (call.model, pictures(call), said(call)) == ("glm-4.6v-flash", 1, ["Ann: what is this?"])


# --- Discord: answers ----------------------------------------------------------------------------------------------------


async def test_on_discord_an_answer_grows_and_the_button_stops_it(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=slow, per_token=0.1) as here:
        ann = here.member()
        here.discord.say(ann.channel, ann.user, "hello")
        await here.discord.wait_for(lambda: ann.texts and "word1" in ann.texts[0])
        assert ann.texts[0].endswith(CURSOR) and [one.label for one in ann.shown[0].buttons] == ["Stop"]
        here.discord.press(ann.shown[0], "Stop", ann.user)
        await here.discord.wait_for(lambda: ann.texts[0].endswith("*(stopped)*"))
        assert WORDS[-1] not in ann.texts[0] and not ann.shown[0].buttons
        await here.discord.wait_for(lambda: all(one.response is not None for one in here.discord.interactions))


async def test_on_discord_an_answer_over_2000_characters_keeps_code_and_tables_whole(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path) as here:
        ann = here.member()
        here.models.say(LONG, "short")
        here.discord.say(ann.channel, ann.user, "much, please")
        await here.discord.wait_for(lambda: ann.texts and ann.texts[-1].endswith("The *end*."), 30)
        texts = ann.texts
        assert len(texts) >= 8
        for text in texts:
            assert len(text) <= 2000
            assert text.count("```") % 2 == 0, "each message closes the code that it opens"
        everything = "\n".join(texts)
        assert re.findall(r"print\(\d{4}, 'a line of code'\)", everything) == CODE.split("\n")
        assert [int(row) for row in re.findall(r"row (\d+)\b", everything)] == list(range(120))


async def test_under_discords_limits_every_answer_is_whole(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=slow, per_token=0.05, limits=True) as here:
        people = [here.member(f"person{number}") for number in range(8)]
        for person in people:
            here.discord.say(person.channel, person.user, "hello")
        for person in people:
            assert await person.hears(seconds=40) == [WHOLE]
        assert [call for call in here.discord.log if call.status == 429] == []


async def test_on_discord_a_deleted_preview_and_a_mention_do_no_harm(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=slow, per_token=0.05) as here:
        ann = here.member()
        here.discord.say(ann.channel, ann.user, "hello")
        await here.discord.wait_for(lambda: ann.texts and "word1" in ann.texts[0])
        here.discord.delete(ann.shown[0])
        await here.discord.wait_for(lambda: ann.texts == [WHOLE])
        here.models.say(f"@everyone <@{ann.user.id}> look!")
        assert not (await ann.ask("shout")).pings


# --- Discord: commands ---------------------------------------------------------------------------------------------------


async def test_slash_commands_with_autocomplete(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=repeat) as here:
        ann = here.member()
        await here.discord.wait_for(lambda: here.discord.commands())
        names = {command["name"] for command in here.discord.commands()}
        assert names >= {"start", "help", "reset", "model", "image", "ask", "system", "retry", "undo", "stop", "info"}
        [model] = [command for command in here.discord.commands() if command["name"] == "model"]
        option = model["options"][0]["name"]
        choices = await here.discord.autocomplete(ann.channel, ann.user, "model", option, "qwen-f")
        assert choices[0].value == "qwen-flash"
        assert (await ann.slash("model", **{option: "qwen-flash"})).content.startswith(
            "This chat now uses `qwen-flash`"
        )
        assert (await ann.ask("hello")).content == "You said: hello"
        assert here.models.log[-1].model == "qwen-flash"
        assert (await ann.slash("retry")).content == "You said: hello"
        assert "Taken back" in (await ann.slash("undo")).content
        await ann.slash("stop")
        await here.discord.wait_for(lambda: ann.texts[-1] == "Nothing is running.")
        assert "A new conversation." in (await ann.slash("reset")).content


async def test_slash_image_shows_the_picture_with_its_buttons(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path) as here:
        ann = here.member()
        await here.discord.wait_for(lambda: here.discord.commands())
        [image] = [command for command in here.discord.commands() if command["name"] == "image"]
        shown = await ann.slash("image", **{image["options"][0]["name"]: "a red fox"})
        assert shown.content == "a red fox" and shown.attachments[0].data.startswith((b"\x89PNG", b"\xff\xd8"))
        assert [one.label for one in shown.buttons] == ["Again", "Other model"]
        here.discord.press(shown, "Again", ann.user)
        assert (await ann.hears(2))[1] == "a red fox"


async def test_on_discord_a_vendors_error_has_its_sentence_and_retry(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=repeat) as here:
        ann = here.member()
        here.models.fail(Fault(vendor="glm", code="1113"))
        failed = await ann.ask("hello")
        assert failed.content.startswith("The account at the model's vendor has no money left.")
        assert [one.label for one in failed.buttons] == ["Retry", "Try qwen-flash"]
        here.discord.press(failed, "Retry", ann.user)
        assert (await ann.hears(2))[1] == "You said: hello"


# --- the page ------------------------------------------------------------------------------------------------------------


async def test_the_page_streams_stops_edits_and_remembers(tmp_path: Path) -> None:
    async with house(tmp_path, script=slow, per_token=0.05) as here:
        page = here.page
        await page.say("hello", id="browser-0001")
        growing = await page.cards(lambda cards: cards and "word1" in cards[0]["body"])
        assert not growing[0]["done"] and growing[0]["buttons"]
        await page.post("/api/chats/chat/stop", {"id": "browser-stop"})
        [stopped] = await page.cards(lambda cards: all(card["done"] for card in cards))
        assert "(stopped)" in stopped["body"] and WORDS[-1] not in stopped["body"]
        here.models.say("edited")
        edit = {"id": "browser-edit", "text": "anew"}
        assert (await page.post("/api/chats/chat/messages/browser-0001", edit, "PUT"))["status"] == 200
        [anew] = await page.cards(lambda cards: [card["body"] for card in cards] == ["<p>edited</p>\n"])
        assert anew["id"] == stopped["id"]
        here.models.say("next")
        await page.ask("and then?")
        assert said(here.asked[-1]) == ["anew", "edited", "and then?"]


async def test_the_page_draws_looks_and_answers_commands(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        page = here.page
        assert "with glm-4.7-flash at the moment" in await page.ask("/start")
        uploaded = await page.upload(picture(), "image/jpeg")
        answer = await page.ask("What is this?", files=[{"name": uploaded["name"], "mime": uploaded["mime"]}])
        assert answer == "<p>You said: What is this?</p>\n"
        assert (here.asked[-1].model, pictures(here.asked[-1])) == ("glm-4.6v-flash", 1)
        await page.ask("/image a red fox")
        drawn = (await page.cards(lambda cards: "<img" in cards[-1]["body"]))[-1]
        assert [label for row in drawn["buttons"] for label, _ in row] == ["Again", "Other model"]


async def test_without_a_key_every_answer_says_that_the_simulator_speaks(tmp_path: Path) -> None:
    async with magpie(tmp_path) as page:
        assert "simulator" in await page.ask("hello")
        assert "内置模拟器" in await page.ask("你好")
        assert "No model is set up here" in await page.ask("/start")
