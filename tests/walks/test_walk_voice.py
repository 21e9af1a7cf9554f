"""A walk through voice: messages that are heard, and answers that are spoken, on every platform.

The whole product runs; `test_walk.py` tells where the other walks are.
"""

from __future__ import annotations

import io
from pathlib import Path

import soundfile  # type: ignore[import-untyped]  # it ships no types

from bot.conversation.sound import to_ogg_opus
from bot.simulator import Call, Fault, Question, Reply, Simulator
from bot.simulator.sounds import speech
from tests.product import House, house, house_on_discord, magpie, on_telegram, rows, said, until, with_qwen
from tests.servers.discord_state import Upload
from tests.servers.telegram import Message, TelegramServer

ANSWER = "**Paris** is the capital of [France](https://example.com). It lies on the Seine."
QWEN = {"CHAT_MODEL": "qwen-flash"}


def answer(question: Question) -> Reply:
    return Reply(chunks=tuple(ANSWER.split(" ")[at] + " " for at in range(len(ANSWER.split(" ")))))


async def note(text: str = "what is the capital of France, please?", times: int = 1) -> bytes:
    """A voice message as a phone sends it."""
    return (await to_ogg_opus([speech(text)] * times)).data


def heard(here: House | Simulator) -> list[Call]:
    models = here.models if isinstance(here, House) else here
    return [call for call in models.log if call.path.endswith("/audio/transcriptions") or "asr" in str(call.body)[:200]]


def voice_of(message: Message) -> bytes:
    assert message.media is not None
    assert message.media.kind == "voice"
    return message.media.file.data


def seconds(data: bytes) -> float:
    info = soundfile.info(io.BytesIO(data))
    assert (info.format, info.subtype, info.channels) == ("OGG", "OPUS", 1)
    return float(info.duration)


# --- hearing -----------------------------------------------------------------------------------------------------------


async def test_a_voice_message_is_quoted_and_answered(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        here.models.hear("What is the capital of France?")
        here.telegram.send_voice(ann.chat, ann.user, await note(), 3)
        (text,) = await ann.hears()
        assert text.startswith("🎤 What is the capital of France?\n")
        assert text.endswith("It lies on the Seine.")
        assert "blockquote" in [one["type"] for one in ann.shown[0].entities]
        assert said(here.asked[-1])[-1] == "[voice message] What is the capital of France?"
        await ann.ask("and of Italy?")
        assert said(here.asked[-1])[-2].startswith("**Paris**")  # what was quoted is no part of the answer
        assert all(call.ok for call in here.telegram.log)


async def test_a_long_one_goes_to_glm_in_pieces_and_in_order(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        here.models.hear("one", "two", "three", "four")
        here.telegram.send_voice(ann.chat, ann.user, await note("a" * 600, 2), 72)
        (text,) = await ann.hears()
        assert text.startswith("🎤 one two three four\n")
        assert len(heard(here)) == 4  # it was cut where it is quiet, not where it would have to be


async def test_qwen_takes_what_the_phone_recorded(tmp_path: Path) -> None:
    async with (
        TelegramServer() as server,
        Simulator(script=answer, first_token=0.0, per_token=0.0) as models,
        magpie(tmp_path, on_telegram(server), with_qwen(models)),
    ):
        ann = server.user("Ann")
        chat = server.private(ann)
        models.hear("巴黎在哪里？")
        server.send_voice(chat, ann, await note("a" * 600, 2), 72)
        await until(lambda: any("Seine" in one.text for one in server.messages(chat)))
        (call,) = heard(models)
        assert "data:audio/ogg;base64," in str(call.body)


async def test_what_cannot_be_heard_gets_a_sentence_and_costs_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        for data, length, sentence in (
            (await note(), 7_200, "longer than 10 minutes"),  # as Telegram tells: it is not even fetched
            (b"OggS" + bytes(1_000), 3, "cannot hear this"),
            (b"no sound at all", 3, "cannot hear this"),
        ):
            count = len(ann.shown)
            here.telegram.send_voice(ann.chat, ann.user, data, length)
            assert sentence in (await ann.hears(count + 1))[-1]
        assert not here.models.log
        assert len(here.telegram.calls("getFile")) == 2
        here.models.hear("")
        here.telegram.send_voice(ann.chat, ann.user, await note(), 3)
        assert "understood no word" in (await ann.hears(4))[-1]


async def test_what_is_no_recording_that_is_heard_says_which_are(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        m4a = b"\0\0\0\x18ftypM4A " + bytes(1_000)
        here.telegram.send_document(ann.chat, ann.user, m4a, "note.m4a", mime="audio/mp4")
        assert "no recording in OGG, MP3, WAV or FLAC" in (await ann.hears(1))[-1]
        webm = b"\x1aE\xdf\xa3" + bytes(1_000)
        here.telegram.send_document(ann.chat, ann.user, webm, "clip.webm", "what does he say?", mime="video/webm")
        text = (await ann.hears(2))[-1]
        assert text.startswith("I cannot read this: clip.webm.")
        assert "I hear recordings in OGG, MP3, WAV and FLAC; what is said in a video I cannot hear." in text
        assert text.endswith("It lies on the Seine.")


async def test_the_other_vendor_hears_where_one_cannot(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        here.models.fail(Fault(path="/audio/transcriptions", code="1211", times=None))
        here.models.hear("What is the capital of France?")
        here.telegram.send_voice(ann.chat, ann.user, await note(), 3)
        assert (await ann.hears())[0].startswith("🎤 What is the capital of France?\n")


async def test_without_ears_it_says_what_would_turn_them_on(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator() as models:
        openai = {
            "OPENAI_BASE_URL": f"{models.glm_url}",
            "OPENAI_API_KEY": models.api_key,
            "CHAT_MODEL": "openai/glm-5",
        }
        async with magpie(tmp_path, on_telegram(server), openai):
            ann = server.user("Ann")
            chat = server.private(ann)
            server.send_voice(chat, ann, await note(), 3)
            await until(lambda: any("ZHIPUAI_API_KEY" in one.text for one in server.messages(chat)))


# --- speaking ----------------------------------------------------------------------------------------------------------


async def test_answers_are_spoken_by_the_chosen_voice(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        listed = await ann.ask("/voice")
        assert "glm-tts" in listed.text
        assert "qwen3-tts-flash" in listed.text
        assert listed.buttons[:3] == ("On", "tongtong", "Cherry")
        assert "by tongtong (glm-tts)" in (await ann.pressed(listed, "On")).text
        count = len(ann.shown)
        ann.say("what is the capital of France?")
        await ann.hears(count + 2)
        text, voice = ann.shown[count:]
        assert text.text.startswith("Paris is the capital")
        spoken = "Paris is the capital of France. It lies on the Seine."
        assert here.models.log[-1].body["input"] == spoken
        assert here.models.log[-1].body["voice"] == "tongtong"
        assert abs(seconds(voice_of(voice)) - 0.06 * len(spoken)) < 0.2
        assert "by Cherry (qwen3-tts-flash)" in (await ann.ask("/voice cherry")).text
        count = len(ann.shown)
        ann.say("once more")
        await ann.hears(count + 2)
        assert here.models.log[-1].body["input"]["voice"] == "Cherry"
        assert "not spoken" in (await ann.ask("/voice off")).text
        count = len(ann.shown)
        await ann.ask("and now?")
        await ann.ask("/info")
        assert len(ann.shown) == count + 2
        assert "no voice called “bob”" in (await ann.ask("/voice bob")).text
        assert all(call.ok for call in here.telegram.log)


async def test_an_answer_that_cannot_be_spoken_stands_all_the_same(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        await ann.ask("/voice on")
        here.models.fail(Fault(path="/audio/speech", code="1211", times=None))
        count = len(ann.shown)
        ann.say("first")
        await ann.hears(count + 2)  # by the other vendor
        assert seconds(voice_of(ann.shown[-1])) > 1
        here.models.fail(Fault(vendor="dashscope", code="ModelNotFound", times=None))
        silent = await ann.ask("second")
        assert silent.text.startswith("Paris is the capital")
        assert "could not be spoken" in silent.text
        await ann.ask("third")
        assert "could not be spoken" not in str(here.asked)


async def test_an_edited_question_replaces_the_voice_note(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        await ann.ask("/voice on")
        question = ann.say("first")
        await ann.hears(3)
        before = ann.shown[-1]
        here.telegram.edit(question, "second")
        await until(lambda: ann.shown[-1].media and ann.shown[-1].id != before.id)
        assert before.id not in [one.id for one in ann.shown]
        assert [bool(one.media) for one in ann.shown] == [False, False, True]


async def test_a_voice_note_that_could_not_be_sent_is_sent_after_the_next_start(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator(script=answer, first_token=0.0, per_token=0.0) as models:
        settings = on_telegram(server), with_qwen(models)
        ann = server.user("Ann")
        chat = server.private(ann)
        server.fail("sendVoice", times=10_000, status=502)
        async with magpie(tmp_path, *settings):
            server.say(chat, ann, "/voice on")
            server.say(chat, ann, "what is the capital of France?")
            await until(lambda: server.calls("sendVoice"))
        asked = len(models.log)
        assert not [one for one in server.messages(chat) if one.media]
        server.faults.clear()
        async with magpie(tmp_path, *settings):
            await until(lambda: [one for one in server.messages(chat) if one.media])
            server.say(chat, ann, "/voice off")
            await until(lambda: any("not spoken" in one.text for one in server.messages(chat)))
        assert [one.media.kind for one in server.messages(chat) if one.media] == ["voice"]
        assert len(models.log) == asked  # nothing was spoken, nor paid, twice


async def test_stopped_while_it_is_spoken_the_answer_stands(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        await ann.ask("/voice on")
        here.models.fail(Fault(path="/audio/speech", hang=True))
        ann.say("what is the capital of France?")
        await ann.sees(lambda texts: texts and "speaking" in texts[-1])
        ann.press(ann.shown[-1], "Stop")
        text = (await ann.hears(2))[-1]
        assert text.startswith("Paris is the capital")
        assert text.endswith("(stopped)")
        await ann.ask("and of Italy?")
        assert said(here.asked[-2])[-2].startswith("**Paris**")


async def test_an_answer_for_later_is_spoken_and_so_is_one_aside(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        assert "those of /compare are not" in (await ann.ask("/voice on")).text
        ann.say("/later what is the capital of France?")
        await ann.hears(4)
        text, voice = ann.shown[2:]
        assert text.text.startswith("Paris is the capital")
        assert seconds(voice_of(voice)) > 1
        told = (await ann.ask("/info")).text
        costs = dict(rows(tmp_path, "SELECT model, cost FROM ledger"))
        assert len(costs) == 2 and costs["glm-tts"] > 0
        assert f"{sum(costs.values()) / 1_000_000:.6f}".rstrip("0") in told
        count = len(ann.shown)
        ann.say("/ask and of Italy?")
        await ann.hears(count + 2)
        assert seconds(voice_of(ann.shown[-1])) > 1


async def test_stopped_while_it_is_spoken_an_answer_for_later_is_whole(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        ann = here.person()
        await ann.ask("/voice on")
        here.models.fail(Fault(path="/audio/speech", hang=True))
        ann.say("/later what is the capital of France?")
        await ann.sees(lambda texts: texts and "speaking" in texts[-1])
        ann.press(ann.shown[-1], "Stop")
        await ann.sees(lambda texts: texts[-1].endswith("lies on the Seine."))
        assert not ann.shown[-1].media
        assert "not spoken" in (await ann.ask("/voice off")).text


async def test_an_answer_for_later_that_a_restart_cut_off_is_spoken_once(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator(script=answer, first_token=0.0, per_token=0.0) as models:
        settings = on_telegram(server), with_qwen(models)
        ann = server.user("Ann")
        chat = server.private(ann)
        async with magpie(tmp_path, *settings):
            server.say(chat, ann, "/voice on")
            await until(lambda: any("also spoken" in one.text for one in server.messages(chat)))
            models.fail(Fault(vendor="dashscope", when=lambda body: "tts" in str(body), hang=True))
            server.say(chat, ann, "/later what is the capital of France?")
            await until(lambda: any("tts" in call.model for call in models.running))
        async with magpie(tmp_path, *settings):
            await until(lambda: [one for one in server.messages(chat) if one.media])
            server.say(chat, ann, "/voice off")
            await until(lambda: any("not spoken" in one.text for one in server.messages(chat)))
        shown = server.messages(chat)
        assert [one.media.kind for one in shown if one.media] == ["voice"]
        assert sum("lies on the Seine" in one.text for one in shown) == 1
        assert sum("tts" not in call.model for call in models.log) == 1


# --- elsewhere ---------------------------------------------------------------------------------------------------------


async def test_discord_hears_and_speaks(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=answer) as here:
        ann = here.member()
        await ann.ask("/voice on")
        here.models.hear("What is the capital of France?")
        recording = Upload(
            filename="voice-message.ogg", data=await note(), content_type="audio/ogg", duration=3.0, waveform="AA=="
        )
        count = len(ann.shown)
        here.discord.say(ann.channel, ann.user, "", attachments=[recording])
        await ann.hears(count + 2)
        text, voice = ann.shown[count:]
        assert text.content.startswith("> 🎤 What is the capital of France?\n")
        assert voice.voice
        assert seconds(voice.attachments[0].data) > 1
        assert voice.attachments[0].waveform


async def test_the_page_hears_and_speaks(tmp_path: Path) -> None:
    async with house(tmp_path, script=answer) as here:
        await here.page.ask("/voice on")
        here.models.hear("What is the capital of France?")
        kept = await here.page.upload(speech("what is the capital of France?"), "audio/wav")
        said = await here.page.say(
            "", files=[{"name": kept["name"], "mime": kept["mime"], "size": 1, "title": "voice"}]
        )
        assert said["status"] == 200
        cards = await here.page.cards(lambda cards: len(cards) == 3 and all(card["done"] for card in cards))
        assert "<blockquote>\n<p>🎤 What is the capital of France?</p>\n</blockquote>" in cards[1]["body"]
        assert '<audio controls preload="metadata" src="/files/' in cards[2]["body"]
