"""A walk through what people see, on Telegram: conversations, groups, several messages as one, edits, replies, restarts.

The whole product runs. How answers are streamed and what goes wrong with them is in `test_walk_answers.py`, commands and
pictures are in `test_walk_commands.py`, Discord and the page in `test_walk_elsewhere.py`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from bot.simulator import Question, Reply, Simulator
from tests.product import (
    House,
    Person,
    house,
    magpie,
    on_telegram,
    pictures,
    repeat,
    rows,
    said,
    until,
    with_glm,
    with_qwen,
)
from tests.servers.telegram import Message, TelegramServer, picture

ME = "@magpie_test_bot"


def echo_all(question: Question) -> Reply:
    """Says back all that people have said in this conversation."""
    return Reply(text=" / ".join(turn.text.replace("\n", " + ") for turn in question.user_turns))


# --- memory -----------------------------------------------------------------------------------------------------------


async def test_a_chat_is_remembered_over_a_restart_and_nothing_is_shared_between_chats(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator(first_token=0, per_token=0) as models:
        ann, ben = Person.alone(server), Person.alone(server, "Ben")
        async with magpie(tmp_path, on_telegram(server), with_glm(models)) as page:
            await ann.ask("My name is Ann")
            await page.ask("My name is Olga")
        async with magpie(tmp_path, on_telegram(server), with_glm(models)) as page:
            assert "Ann" in (await ann.ask("What is my name?")).text
            assert "Olga" in await page.ask("What is my name?")
            stranger = (await ben.ask("What is my name?")).text
            assert "Ann" not in stranger and "Olga" not in stranger


async def test_a_model_once_chosen_stays_over_a_restart(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator(script=repeat, first_token=0, per_token=0) as models:
        ann, ben = Person.alone(server), Person.alone(server, "Ben")
        both = with_glm(models) | with_qwen(models)
        async with magpie(tmp_path, on_telegram(server), both):
            assert (await ann.ask("/model qwen")).text.startswith("This chat now uses qwen-flash (¥0.15")
        async with magpie(tmp_path, on_telegram(server), both):
            await ann.ask("hello")
            await ben.ask("hello")
        assert [call.model for call in models.log if call.body] == ["qwen-flash", "glm-4.7-flash"]
        async with magpie(tmp_path, on_telegram(server), with_glm(models)):
            assert (await ann.ask("hello")).text == (
                "qwen-flash is no longer set up here; glm-4.7-flash answers. Choose with /model.\n\nYou said: hello"
            )


# --- groups -----------------------------------------------------------------------------------------------------------


async def test_in_a_group_it_answers_when_addressed_knows_who_speaks_and_is_silent_otherwise(tmp_path: Path) -> None:
    async with (
        TelegramServer(privacy=False) as server,
        Simulator(script=echo_all, first_token=0, per_token=0) as models,
    ):
        ann, ben = server.user("Ann"), server.user("Ben")
        group = server.supergroup(ann, ben)
        hers, his = Person(server, ann, group), Person(server, ben, group)
        async with magpie(tmp_path, on_telegram(server), with_glm(models)):
            his.say("a secret that is none of its business")
            first = await hers.ask(f"{ME} I like red")
            assert (first.text, first.reply_to is not None) == ("Ann: I like red", True)
            his.say("hm")
            assert (await his.ask("I like blue", reply_to=first)).text == "Ann: I like red / Ben: I like blue"
            assert (await his.ask(f"/ask{ME} and alone?")).text.endswith("and alone?")
            quoted = await hers.ask(f"{ME} what does he mean?", reply_to=his.say("the third one"))
            assert quoted.text.endswith("Ann: > Ben: the third one +  + what does he mean?")
        stored = " ".join(str(row) for row in rows(tmp_path, "SELECT payload FROM inbox"))
        assert "secret" not in stored and '"hm"' not in stored


async def test_topics_are_conversations_of_their_own(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all) as here:
        ann = here.telegram.user("Ann")
        forum = here.telegram.supergroup(ann, topics=("Work", "Play"))
        work, play = (Person(here.telegram, ann, forum, thread) for thread in forum.topics)
        await work.ask(f"{ME} report")
        await play.ask(f"{ME} chess")
        assert (await work.ask(f"{ME} due?")).text == "Ann: report / Ann: due?"
        assert (await play.ask(f"{ME} white?")).text == "Ann: chess / Ann: white?"


async def test_a_group_that_becomes_a_supergroup_keeps_its_conversation(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all) as here:
        before = Person(here.telegram, ann := here.telegram.user("Ann"), here.telegram.group(ann))
        await before.ask(f"{ME} one")
        after = Person(here.telegram, ann, here.telegram.migrate(before.chat))
        await until(lambda: rows(tmp_path, "SELECT new FROM moves"))
        assert (await after.ask(f"{ME} two")).text == "Ann: one / Ann: two"


async def test_what_is_said_right_after_the_move_belongs_to_the_conversation(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all) as here:
        before = Person(here.telegram, ann := here.telegram.user("Ann"), here.telegram.group(ann))
        await before.ask(f"{ME} one")
        after = Person(here.telegram, ann, here.telegram.migrate(before.chat))
        assert (await after.ask(f"{ME} two")).text == "Ann: one / Ann: two"


@pytest.mark.parametrize("told", [True, False], ids=["told", "learnt from a refusal"])
async def test_a_group_that_moves_while_an_answer_is_written_gets_it_in_its_new_place(
    tmp_path: Path, told: bool
) -> None:
    async with house(tmp_path, script=repeat, per_token=0.05) as here:
        before = Person(here.telegram, ann := here.telegram.user("Ann"), here.telegram.group(ann))
        before.say(f"{ME} a long question indeed, which takes its time to be said back")
        await before.sees(lambda texts: texts)
        after = Person(here.telegram, ann, here.telegram.migrate(before.chat, told=told))
        await after.sees(lambda texts: texts and texts[-1].endswith("to be said back"))
        assert len(after.shown) == 1


# --- several messages as one ------------------------------------------------------------------------------------------


async def test_what_waits_together_is_answered_together_and_in_order(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all, first_token=0.5) as here:
        ann = here.person()
        ann.say("one")
        await until(lambda: here.models.running)
        for text in ("two", "three", "four"):
            ann.say(text)
        assert await ann.hears(2) == ["one", "one / two + three + four"]


async def test_a_burst_of_two_people_is_answered_in_order_each(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat, first_token=0.5) as here:
        ann, ben = here.telegram.user("Ann"), here.telegram.user("Ben")
        group = here.telegram.supergroup(ann, ben)
        for user, text in ((ann, "one"), (ben, "two"), (ben, "three"), (ann, "four")):
            here.telegram.say(group, user, f"{ME} {text}")
        texts = await Person(here.telegram, ann, group).hears(3)
        assert texts == ["You said: Ann: one", "You said: Ben: two\nthree", "You said: Ann: four"]


@pytest.mark.parametrize(("model", "sighted"), [("glm", "glm-4.6v-flash"), ("qwen", "qwen3-vl-flash")])
async def test_an_album_with_a_question_goes_to_a_model_that_sees(tmp_path: Path, model: str, sighted: str) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        await ann.ask(f"/model {model}")
        here.telegram.send_album(ann.chat, ann.user, [picture(), picture(64, 64), picture(32, 99)], "Which is best?")
        assert (await ann.hears(2))[-1] == "You said: Which is best?"
        [call] = here.asked
        assert (call.model, pictures(call)) == (sighted, 3)
        await ann.ask("And the worst?")
        again = here.asked[-1]
        assert again.model != sighted, "a question without a picture goes to the chat's own model"
        assert said(again)[0] == "[picture]\n[picture]\n[picture]\nWhich is best?"


async def test_a_long_paste_is_one_question(tmp_path: Path) -> None:
    text = "".join(f"{number:04}." for number in range(2000))
    async with house(tmp_path, script=lambda question: Reply(text=str(len(question.user_turns[-1].text)))) as here:
        ann = here.person()
        assert len(here.telegram.paste(ann.chat, ann.user, text)) == 3
        assert await ann.hears() == ["10000"]


async def test_a_question_about_another_persons_picture_is_asked_with_it(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann, ben = here.telegram.user("Ann"), here.telegram.user("Ben")
        hers = Person(here.telegram, ann, here.telegram.supergroup(ann, ben))
        photo = here.telegram.send_photo(hers.chat, ben, picture(), "my new bike")
        assert "what is this?" in (await hers.ask(f"{ME} what is this?", reply_to=photo)).text
        assert (here.asked[0].model, pictures(here.asked[0])) == ("glm-4.6v-flash", 1)
        assert said(here.asked[0]) == ["Ann: > Ben: my new bike\n\nwhat is this?"]


# --- edits and replies ------------------------------------------------------------------------------------------------


async def test_editing_the_last_question_asks_it_again_in_place(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all) as here:
        ann = here.person()
        await ann.ask("first")
        question = ann.say("red")
        await ann.hears(2)
        here.telegram.edit(question, "blue")
        await ann.sees(lambda texts: texts == ["first", "first / blue"])
        assert (await ann.ask("third")).text == "first / blue / third"


async def test_an_edit_of_one_of_several_that_were_answered_together_keeps_the_others(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all, first_token=0.3) as here:
        ann = here.person()
        ann.say("first")
        await until(lambda: here.models.running)
        two, three = ann.say("two"), ann.say("three")
        assert await ann.hears(2) == ["first", "first / two + three"]
        here.telegram.edit(two, "zwei")
        await ann.sees(lambda texts: texts == ["first", "first / zwei + three"])
        here.telegram.edit(three, "drei")
        await ann.sees(lambda texts: texts == ["first", "first / zwei + drei"])
        assert (await ann.ask("four")).text == "first / zwei + drei / four"


async def test_an_edit_of_the_running_question_starts_it_anew_in_the_same_message(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat, per_token=0.1) as here:
        ann = here.person()
        question = ann.say("the wrong question, which would have taken a long time to be said back")
        await ann.sees(lambda texts: texts and "wrong" in texts[0])
        shown = ann.shown[0].id
        here.telegram.edit(question, "the right one")
        await ann.sees(lambda texts: texts == ["You said: the right one"])
        assert ann.shown[0].id == shown
        assert (await ann.ask("next")).text == "You said: next"
        assert said(here.asked[-1])[0] == "the right one"


async def test_a_link_preview_is_no_edit_and_an_old_question_stays(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all) as here:
        ann = here.person()
        old = ann.say("https://example.org")
        await ann.hears()
        here.telegram.edit(old, "https://example.org")
        await ann.ask("next")
        assert len(here.asked) == 2
        here.telegram.edit(old, "something else")
        assert (await ann.hears(3))[-1] == (
            "That question is no longer the last one: editing it changes nothing. Reply to its answer to go on from there."
        )
        assert len(here.asked) == 2


async def test_a_reply_to_an_older_answer_goes_on_from_there(tmp_path: Path) -> None:
    async with house(tmp_path, script=echo_all) as here:
        ann = here.person()
        first = await ann.ask("one")
        await ann.ask("two")
        branch = await ann.ask("three", reply_to=first)
        assert branch.text == "one / three"
        assert (await ann.ask("four")).text == "one / three / four"


# --- what was said while it was away ----------------------------------------------------------------------------------


def _long_ago(here: House, ann: Person, text: str) -> Message:
    """A message of two hours ago that Telegram kept for the bot."""
    hello = ann.say("/start")
    old = replace(hello, id=hello.id + 500, text=text, date=int(time.time()) - 7200)
    here.telegram.push_raw({"message": here.telegram.state.message_json(old)})
    return old


async def test_what_was_said_long_ago_is_asked_about_before_it_is_answered(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann, an = here.person(), here.person("小安", "zh-hans")
        _long_ago(here, ann, "Is it raining?")
        _long_ago(here, an, "下雨了吗？")
        assert (await ann.hears(2))[-1] == "While I was away you wrote: “Is it raining?”"
        assert (await an.hears(2))[-1] == "我不在的时候你写道：“下雨了吗？”"
        assert here.asked == []
        assert (await ann.pressed(ann.shown[-1], "Answer now")).text == "You said: Is it raining?"
        assert (await an.pressed(an.shown[-1], "现在回答")).text == "You said: 下雨了吗？"
