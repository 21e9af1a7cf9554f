"""What people send that nobody wants: each gets a clear sentence, nothing is lost, no other chat is disturbed.

The whole product runs, in this process. What goes wrong around the bot (tokens, keys, vendors, disk, strangers, money) is in
`test_bad_surroundings.py`, files in `test_bad_files.py`; refusals at the start are in `test_main.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot import phrases
from bot.simulator import Fault, Reply, Simulator
from tests.product import (
    Person,
    change,
    house,
    house_on_discord,
    magpie,
    on_telegram,
    repeat,
    said,
    undisturbed,
    with_glm,
)
from tests.servers.telegram import TelegramServer, picture
from tests.servers.telegram_rules import utf16

EMOJI = "🐦" * 10_000
ODD = "one\ud800two\x00three שלום עולם \u202eright to left"
LETTERS = "onetwothreeשלוםעולםrighttoleft"


DAMAGED = "I cannot open this file: it is damaged or incomplete. Open it yourself, save it anew and send that."


# --- kinds of messages that cannot be read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("send", "sentence"),
    [
        (
            lambda ann: ann.server.send_sticker(ann.chat, ann.user),
            "I cannot read this: sticker. I take text, pictures, documents, and recordings in OGG, MP3, WAV or FLAC.",
        ),
        (
            lambda ann: ann.server.send_voice(ann.chat, ann.user),
            "I cannot hear this: it is damaged, or no recording in OGG, MP3, WAV or FLAC.",
        ),
        (
            lambda ann: ann.server.send_document(ann.chat, ann.user, b"PK\3\4", "taxes.xlsx"),
            f"taxes.xlsx was not read: {DAMAGED}",
        ),
        (
            lambda ann: ann.server.send_document(ann.chat, ann.user, b"not a picture", "x.png", mime="image/png"),
            "I cannot open that as a picture. Send it as PNG, JPEG or WebP.",
        ),
    ],
    ids=["sticker", "voice", "spreadsheet", "no picture"],
)
async def test_what_cannot_be_read_is_named(tmp_path: Path, send: object, sentence: str) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        assert callable(send)
        send(ann)
        assert await ann.hears() == [sentence]
        assert (await ann.ask("then text")).text == "You said: then text"
        await undisturbed(here)
        assert len(here.asked) == 2


async def test_a_file_with_a_question_is_answered_without_the_file_and_says_so(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.telegram.send_document(ann.chat, ann.user, b"PK\3\4", "taxes.xlsx", "How much?")
        told = f"[Sent along, but it could not be read: “taxes.xlsx”. Reason: {DAMAGED}]"
        assert await ann.hears() == [f"taxes.xlsx was not read: {DAMAGED}\n\nYou said: {told}\n\nHow much?"]


async def test_a_chinese_reader_gets_the_sentence_in_chinese(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        an = here.person("小安", "zh-hans")
        here.telegram.send_sticker(an.chat, an.user)
        assert await an.hears() == [
            "我读不了：sticker。我能接收文字、图片、文档，以及 OGG、MP3、WAV、FLAC 格式的录音。"
        ]


async def test_an_update_of_a_kind_that_does_not_exist_yet_blocks_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        new = here.telegram.push_raw({"telepathy": {"from": ann.user.json, "thought": "hello?"}})
        assert (await ann.ask("hello")).text == "You said: hello"
        await here.telegram.wait_for(lambda: (here.telegram.confirmed or 0) > new, timeout=5)
        assert len(ann.shown) == 1


async def test_a_message_of_a_kind_that_does_not_exist_yet_is_named(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        hello = ann.say("hello")
        await ann.hears()
        message = {"message_id": hello.id + 1000, "date": hello.date, "chat": ann.chat.json, "from": ann.user.json}
        here.telegram.push_raw({"message": message | {"hologram_note": {"seconds": 3}}})
        assert (
            (await ann.hears(2))[-1]
            == "I cannot read this: hologram note. I take text, pictures, documents, and recordings in OGG, MP3, WAV or FLAC."
        )
        await undisturbed(here)


# --- too much ------------------------------------------------------------------------------------------------------------


async def test_a_paste_of_200_000_characters_is_one_question(tmp_path: Path) -> None:
    text = "".join(f"{number:05}." for number in range(33_334))[:200_000]
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.say("I have read it.")
        assert len(here.telegram.paste(ann.chat, ann.user, text)) == 49
        assert await ann.hears() == ["I have read it."]
        assert [said(call) for call in here.asked] == [[text]]

        here.models.say("I have read it.")
        assert "I have read it." in await here.page.ask(text)
        assert said(here.asked[-1]) == [text]


async def test_a_paste_that_no_window_takes_is_told_with_the_figures(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        await ann.ask("/model qwen-max")
        here.telegram.paste(ann.chat, ann.user, "x" * 200_000)
        sentence = (await ann.hears(2))[-1]
        assert sentence.startswith("That is too long for qwen-max: about 66671 tokens, and it takes ")
        assert (await ann.ask("shorter")).text == "You said: shorter"
        assert here.asked[-1].model == "qwen-max" and len(here.asked) == 1


# --- odd characters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["glm-4.7-flash", "qwen-flash"])
async def test_lone_surrogates_nul_and_rtl_come_in_and_go_out(tmp_path: Path, model: str) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        await ann.ask(f"/model {model}")
        hello = ann.say("/start")
        await ann.hears(2)
        message = {"message_id": hello.id + 1000, "date": hello.date, "chat": ann.chat.json, "from": ann.user.json}
        here.models.say(ODD)
        here.telegram.push_raw({"message": message | {"text": ODD}})
        answer = (await ann.hears(3))[-1]
        [asked] = said(here.asked[-1])
        for text in (asked, answer):
            assert "".join(filter(str.isalpha, text)) == LETTERS
            assert "one\ufffdtwothree" in text
        here.models.say(ODD)
        assert "שלום עולם" in await here.page.ask(ODD)
        here.models.say(Reply(chunks=("half a bird: \ud83d", "\udc26", " and one that never comes: \ud83d.")))
        assert (await ann.ask("and now?")).text == "half a bird: 🐦 and one that never comes: \ufffd."
        assert len(said(here.asked[-1])) == 3, "the odd exchange is in the context"


async def test_10_000_emoji_come_in_and_go_out_whole(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.telegram.paste(ann.chat, ann.user, EMOJI)
        texts = await ann.sees(lambda texts: sum(text.count("🐦") for text in texts) >= 10_000 and _settled(ann))
        assert said(here.asked[0]) == [EMOJI]
        assert "".join(texts).replace("\n", "") == f"You said: {EMOJI}"
        assert all(utf16(text) <= 4096 for text in texts)
        assert (await here.page.ask(EMOJI)).count("🐦") == 10_000


async def test_10_000_emoji_go_out_whole_on_discord(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path) as here:
        ann = here.member()
        here.models.say(EMOJI)
        here.discord.say(ann.channel, ann.user, "the birds, please")
        await here.discord.wait_for(lambda: "".join(ann.texts).count("🐦") == 10_000, 20)
        texts = await ann.hears()
        assert "".join(texts) == EMOJI
        assert all(len(text) <= 2000 for text in texts)


def _settled(person: Person) -> bool:
    return not person.texts[-1].endswith("▌") and "Stop" not in person.shown[-1].buttons


# --- texts that are paths and addresses ------------------------------------------------------------------------------------

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _opened is not None and event in ("open", "os.listdir", "os.scandir") and arguments:
        _opened.append(str(arguments[0]))


sys.addaudithook(_note)  # cannot be taken back: it notes only inside of `opened_files`


@contextmanager
def opened_files() -> Iterator[list[str]]:
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.mark.parametrize("model", ["qwen-flash", "qwen3-vl-flash", "qwen3.5-plus", "glm-4.7-flash", "glm-4.6v-flash"])
async def test_a_text_that_is_a_path_or_an_address_is_a_text(tmp_path: Path, model: str) -> None:
    secret = tmp_path / "secret.env"
    secret.write_text("KEY=1")
    texts = [
        "/etc/hosts",
        "~/.env",
        "file:///etc/passwd",
        "oss://bucket/x",
        str(secret),
        secret.as_uri(),
        "./README.md",
    ]
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        chosen = await ann.ask(f"/model {model}")
        assert model in chosen.text
        with opened_files() as opened:
            for text in texts:
                count = len(ann.shown)
                here.telegram.send_photo(ann.chat, ann.user, picture(), text)
                assert (await ann.hears(count + 1))[-1] == f"You said: {text}"
                assert (await ann.ask(text)).text == f"You said: {text}"
                assert (await ann.ask(f"/ask {text}")).text == f"You said: {text}"
            assert await here.page.ask(secret.as_uri()) == f"<p>You said: {secret.as_uri()}</p>\n"
        assert opened, "the hook sees what is opened"
        for name in ("hosts", "passwd", "secret.env", ".env", "README.md"):
            assert [path for path in opened if path.endswith(name)] == []
        assert here.models.uploads == []
        assert not [
            call
            for call in here.models.log
            if "upload" in call.path or call.headers.get("X-DashScope-OssResourceResolve")
        ]


@pytest.mark.parametrize("model", ["z-image-turbo", "wan2.2-t2i-flash", "cogview-3-flash"])
async def test_a_prompt_that_is_a_path_or_an_address_is_drawn(tmp_path: Path, model: str) -> None:
    async with house(tmp_path, {"IMAGE_MODEL": model}) as here:
        ann = here.person()
        with opened_files() as opened:
            for prompt in ("/etc/hosts", "file:///etc/passwd", "oss://bucket/x"):
                shown = await ann.ask(f"/image {prompt}")
                assert (shown.caption, shown.media is not None) == (prompt, True)
        assert not [path for path in opened if path.endswith(("hosts", "passwd"))]
        assert here.models.uploads == []


# --- commands --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/image", "Write what to draw: /image a red fox in snow, with a size and a number if you like: "),
        ("/image x9 a fox", "cogview-3-flash draws 1 to 4 pictures at a time, not 9."),
        ("/image a fox --ar 16:9", "I do not know “--ar”. It goes: /image [WxH|wide|tall|square]"),
        ("/video 99s a fox", "cogvideox-flash makes videos of 5, 10 seconds, not 99."),
        ("/image x0 a fox", "cogview-3-flash draws 1 to 4 pictures at a time, not 0."),
        ("/image a fox --model", "Which model? Write its name behind --model: cogview-3-flash, "),
        ("/video", "Write what the video shows: /video a fox runs through snow, or reply "),
        ("/video 0s a fox", "cogvideox-flash makes videos of 5, 10 seconds, not 0."),
        ("/video 1x1 a fox", "cogvideox-flash makes no videos of 1x1. It makes: 1280x720, 720x1280"),
        ("/video x3 a fox", "I make one video at a time."),
        ("/later", "Write the question behind it: /later "),
        ("/compare", "Write the question behind it: /compare why is the sky blue?"),
        ("/search", "What am I to search for? /search question"),
        ("/think maybe", "Write /think on, /think off or /think auto."),
        ("/think off and answer", "Write /think on, /think off or /think auto."),
        ("/voice tongtong hello", "There is no voice called “tongtong hello” here."),
        ("/voice nobody", "There is no voice called “nobody” here. Write /voice on, /voice off, or one of these."),
        (f"/voice {'x' * 3000}", f"There is no voice called “{'x' * 60}” here."),
        ("/task", "Which task? /task 12 shows number 12; /tasks lists them."),
        ("/task 99", "There is no task 99 in this chat."),
        ("/task 0", "There is no task 0 in this chat."),
        ("/task -1", "There is no task -1 in this chat."),
        ("/task the picture", "There is no task the picture in this chat."),
        ("/task 99999999999999999999", "There is no task 99999999999999999999 in this chat."),
        ("/task 1 cancel", "There is no task 1 cancel in this chat."),
        ("/tasks 99", "There is no task 99 in this chat."),
        ("/image 1024x1024", "Write what to draw: "),
        ("/image 1x1 a fox", "cogview-3-flash cannot draw 1x1. Each side takes 512 to 2048 px in steps of 16"),
        ("/image 999999x999999 a fox", "cogview-3-flash cannot draw 999999x999999."),
        ("/image 0x0 a fox", "cogview-3-flash cannot draw 0x0."),
        ("/ask", "Write the question behind it: /ask why is the sky blue?"),
        ("/system", "This chat has no instructions of its own."),
        ("/model 💩", "I know no model “💩”."),
        ("/model ../../etc/passwd", "I know no model “../../etc/passwd”."),
        (f"/model {'x' * 4000}", f"I know no model “{'x' * 60}”."),
        ("/model qwen-flsh", "I know no model “qwen-flsh”. Did you mean:"),
        ("/model glm-4.7-flash tell me a joke", "I know no model “glm-4.7-flash tell me a joke”."),
        ("/modle", "I know no /modle. Did you mean /model? /help lists what there is."),
        ("/frobnicate", "I know no /frobnicate. /help lists what there is."),
        ("/retry", "There is no question to answer again."),
        ("/undo", "There is nothing to take back."),
        ("/stop", "Nothing is running."),
        ("/info", "No model has answered in this chat yet."),
    ],
)
async def test_a_command_that_cannot_be_followed_gets_one_helpful_line(tmp_path: Path, typed: str, told: str) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        assert (await ann.ask(typed)).text.startswith(told)
        assert len(ann.shown) == 1
        assert here.models.log == [], "nothing was spent on it"


async def test_a_misspelt_model_is_chosen_by_its_suggestion(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        suggestion = await ann.ask("/model qwen-flsh")
        assert "qwen-flash" in suggestion.buttons
        assert "qwen-flash" in (await ann.pressed(suggestion, "qwen-flash")).text


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("cogview-3-flash", Fault(vendor="glm", path="images", code="1301")),
        ("z-image-turbo", Fault(vendor="dashscope", code="DataInspectionFailed")),
        ("wan2.2-t2i-flash", Fault(vendor="dashscope", code="DataInspectionFailed")),
    ],
)
async def test_a_picture_that_the_content_filter_refuses(tmp_path: Path, model: str, fault: Fault) -> None:
    async with house(tmp_path, {"IMAGE_MODEL": model}, script=repeat) as here:
        ann = here.person()
        here.models.fail(fault)
        refused = await ann.ask("/image something refused")
        assert refused.text == phrases.jobs.TROUBLE["refused"].en
        assert "Retry" not in refused.buttons
        assert (await ann.ask("hello")).text == "You said: hello"
        assert said(here.asked[-1]) == ["hello"], "what was refused is kept out of the context"
        await undisturbed(here)


# --- buttons ---------------------------------------------------------------------------------------------------------------


async def test_a_button_works_once_and_only_for_the_one_whom_it_was_given(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann, ben = here.telegram.user("Ann"), here.telegram.user("Ben")
        group = here.telegram.supergroup(ann, ben)
        hers, his = Person(here.telegram, ann, group), Person(here.telegram, ben, group)
        choice = await hers.ask("/model")

        assert (await his.pressed(choice, "qwen-flash")).text == "Ben, this button is for someone else."
        assert "qwen-flash" in (await hers.pressed(choice, "qwen-flash")).text
        hers.press(choice, "qwen-flash")
        assert (await hers.ask("/help")).text.startswith("Write to me")
        assert len(hers.shown) == 4, "the second press is silent"
        assert here.telegram.calls("answerCallbackQuery"), "no press keeps its clock running"


async def test_a_button_pressed_a_day_later_says_so(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator() as models:
        ann = Person.alone(server)
        async with magpie(tmp_path, on_telegram(server), with_glm(models)):
            choice = await ann.ask("/model")
        change(tmp_path, "UPDATE buttons SET expires = expires - 86400")
        async with magpie(tmp_path, on_telegram(server), with_glm(models)):
            assert (await ann.pressed(choice, "glm-4.7")).text == "This button no longer works."
            assert "glm-4.7-flash" in (await ann.ask("/start")).text
