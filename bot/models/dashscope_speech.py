"""Qwen's ears and voice: speech as bytes to text, and text to speech as bytes. No link is given, and none followed."""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from contextlib import aclosing

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished
from bot.models.dashscope_errors import empty, refusal, unsent
from bot.models.dashscope_sdk import Account
from bot.models.vendor import MALFORMED, told
from bot.ports import SpeechPrompt

MOST_AUDIO = 10 * 1024 * 1024  # bytes, once encoded
LONGEST = 300.0  # seconds
RATE = 24_000  # samples per second, of 16 bits, one channel
MOST_SPOKEN = 40 * 1024 * 1024  # bytes, some 14 minutes; the models take less text than that
VOICE = "Cherry"


class Speech:
    """Of one account. What it costs goes by `SpeechPrompt.seconds` and by the length of the text: nothing of it is in Usage."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def transcribe(self, prompt: SpeechPrompt) -> tuple[str, Finished]:
        """ "" for a silence. WAV, MP3, OGG with Opus and others; at most 5 minutes. Raises ModelError."""
        model = prompt.card.name
        audio = (await asyncio.to_thread(base64.b64encode, prompt.audio)).decode()
        if len(audio) > MOST_AUDIO or prompt.seconds > LONGEST:
            error = unsent(model, f"more than {LONGEST:g} s, or than {MOST_AUDIO} bytes in base64")
            error.trouble = Trouble.TOO_LONG
            raise error
        mime = prompt.mime.partition(";")[0].strip() or "audio/wav"
        given = {"messages": [{"role": "user", "content": [{"audio": f"data:{mime};base64,{audio}"}]}]}
        answer = await self._account.ask(model, given, {"asr_options": {"enable_lid": True, "enable_itn": False}})
        request_id = answer.request_id or ""
        try:
            content = answer.output["choices"][0]["message"]["content"]
            text = "".join(str(part.get("text") or "") for part in content)
        except MALFORMED as error:
            raise empty(model, request_id, f"another shape: {told(error)}") from error
        return text, _finished(model, request_id)

    async def speak(self, prompt: SpeechPrompt) -> tuple[bytes, Finished]:
        """WAV. It is taken from the stream as it comes: the whole answer would be a link over plain HTTP. Raises ModelError."""
        model = prompt.card.name
        voice = prompt.voice or next(iter(prompt.card.voices), VOICE)
        sound = bytearray()
        request_id = ""
        given = {"text": prompt.text, "voice": voice, "language_type": "Auto"}
        ended = False
        async with aclosing(self._account.listen(model, given)) as events:
            async for event in events:
                request_id = event["request_id"] or request_id
                if event["status_code"] != 200:
                    raise _stopped(refusal(event, model, request_id), begun=bool(sound))
                try:
                    output = event["output"] or {}
                    sound += base64.b64decode((output.get("audio") or {}).get("data") or "")
                    ended = ended or output.get("finish_reason") == "stop"
                except MALFORMED as error:
                    raise empty(model, request_id, f"another shape: {told(error)}") from error
                if len(sound) > MOST_SPOKEN:
                    raise empty(model, request_id, "speech without an end")
        if not (sound and ended):
            raise empty(model, request_id, "speech that breaks off" if sound else "an answer without sound")
        return _wav(bytes(sound)), _finished(model, request_id)


def _finished(model: str, request_id: str) -> Finished:
    return Finished(reason=Finish.STOP, model=model, request_id=request_id)


def _stopped(error: ModelError, *, begun: bool) -> ModelError:
    if begun:
        error.begun, error.unbilled = True, False
    return error


def _wav(sound: bytes) -> bytes:
    """Bare samples with a header; one of the stream's own, whose sizes cannot be right, makes way."""
    if sound.startswith(b"RIFF") and (at := sound.find(b"data")) > 0:
        sound = sound[at + 8 :]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(sound[: len(sound) // 2 * 2])
    return file.getvalue()
