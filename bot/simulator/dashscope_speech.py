"""DashScope's ears (qwen3-asr) and voice (qwen3-tts), both at the multimodal endpoint."""

import asyncio
import base64
import binascii
import time
from functools import partial
from typing import Any

from aiohttp import web

from bot.simulator import dashscope_rules as rules
from bot.simulator import sounds
from bot.simulator.backend import Backend, Exchange, Json, dump
from bot.simulator.stream import send_stream, send_whole
from bot.simulator.words import Delta, Refusal, Reply, Usage

# fmt: off
VOICES = frozenset({
    "Cherry", "Serena", "Ethan", "Chelsie", "Momo", "Vivian", "Moon", "Maia", "Kai", "Nofish", "Jennifer", "Ryan", "Katerina",
    "Elias", "Jada", "Dylan", "Sunny", "Li", "Marcus", "Roy", "Peter", "Rocky", "Kiki", "Eric",
})
# fmt: on
LANGUAGES = frozenset(
    {
        "Auto",
        "Chinese",
        "English",
        "German",
        "Italian",
        "Portuguese",
        "Spanish",
        "Japanese",
        "Korean",
        "French",
        "Russian",
    }
)
MOST_TEXT = 600  # characters
MOST_AUDIO = 10 * 1024 * 1024  # bytes, once encoded
LONGEST = 300.0  # seconds
HEADER = 44  # bytes before the samples of our WAVs
PIECE = 9_600  # bytes of sound in an event: a fifth of a second


class Speech:
    """What those models do there."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def hear(self, exchange: Exchange) -> web.StreamResponse:
        if exchange.request.headers.get("X-DashScope-SSE") == "enable":
            raise rules.invalid("streaming recognition is not part of this simulator.")
        data = _audio(exchange.body)
        options = rules.parameters_of(exchange.body).get("asr_options")
        if options is not None and not isinstance(options, dict):
            raise rules.invalid("asr_options must be an object.")
        seconds = await asyncio.to_thread(sounds.length, data)
        if seconds is None:
            raise rules.invalid("The audio format is illegal and cannot be opened.")
        if seconds > LONGEST:
            raise rules.invalid(f"The audio is too long: at most {LONGEST:g} seconds.")
        exchange.usage = Usage(seconds=seconds)
        text = self._backend.heard(seconds)
        message = {
            "role": "assistant",
            "content": [{"text": text}] if text else [],
            "annotations": [{"type": "audio_info", "language": "zh", "emotion": "neutral"}],
        }
        body = {
            "output": {"choices": [{"finish_reason": "stop", "message": message}]},
            "usage": {"seconds": max(1, round(seconds)), "input_tokens_details": {"text_tokens": 0}},
            "request_id": exchange.id,
        }
        return await send_whole(self._backend, exchange, dump(body).encode(), seconds=self._backend.pace.first_token)

    async def speak(self, exchange: Exchange) -> web.StreamResponse:
        given = rules.input_of(exchange.body)
        text, voice, language = given.get("text"), given.get("voice"), given.get("language_type", "Auto")
        if not isinstance(text, str) or not 1 <= len(text.strip()) <= MOST_TEXT:
            raise rules.invalid(f"Range of input length should be [1, {MOST_TEXT}]")
        if voice not in VOICES:
            raise rules.invalid(f"Voice '{voice}' is not supported.")
        if language not in LANGUAGES:
            raise rules.invalid(f"language_type '{language}' is not supported.")
        exchange.usage = Usage(characters=len(text))
        path = self._backend.shelf.put_media(partial(sounds.speech, text), "audio/wav", "wav", fault=exchange.fault)
        url = str(exchange.request.url.origin()) + path
        if exchange.request.headers.get("X-DashScope-SSE") == "enable":
            sound = (await asyncio.to_thread(sounds.speech, text))[HEADER:]
            pieces = [sound[at : at + PIECE] for at in range(0, len(sound), PIECE)]
            reply = Reply(chunks=tuple(base64.b64encode(piece).decode() for piece in pieces))
            reply = exchange.fault.reshape(reply) if exchange.fault else reply
            return await send_stream(self._backend, exchange, _Events(exchange, url, len(text)), reply)
        body = _spoken(exchange, "", url, len(text), "stop")
        return await send_whole(self._backend, exchange, dump(body).encode(), seconds=self._backend.pace.first_token)


def _spoken(exchange: Exchange, data: str, url: str, characters: int, finish: str) -> Json:
    audio = {"data": data, "url": url, "id": f"audio_{exchange.id}", "expires_at": int(time.time()) + 86_400}
    return {
        "output": {"finish_reason": finish, "audio": audio},
        "usage": {"characters": characters},
        "request_id": exchange.id,
    }


class _Events:
    """The stream of a voice: bare samples in base64, and the link to all of it on the last event."""

    content_type = "text/event-stream;charset=UTF-8"

    def __init__(self, exchange: Exchange, url: str, characters: int) -> None:
        self._exchange = exchange
        self._url = url
        self._characters = characters
        self._count = 0

    def delta(self, delta: Delta) -> bytes:
        return self._event("result", 200, _spoken(self._exchange, delta.text, "", self._characters, "null"))

    def end(self, finish: str) -> bytes:
        return self._event("result", 200, _spoken(self._exchange, "", self._url, self._characters, finish))

    def error(self, error: Refusal) -> bytes:
        body = {"code": error.code, "message": error.message, "request_id": self._exchange.id}
        return self._event("error", error.status, body)

    def _event(self, kind: str, status: int, body: Json) -> bytes:
        self._count += 1
        return f"id:{self._count}\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:{dump(body)}\n\n".encode()


def _audio(body: Json) -> bytes:
    """The one recording of the one user message (a system message may come before it)."""
    messages: Any = rules.input_of(body).get("messages")
    said = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    said = [one for one in said if one.get("role") != "system"]
    if len(said) != 1 or said[0].get("role") != "user":
        raise rules.invalid("messages should have exactly one user message: input.messages")
    match said[0].get("content"):
        case [{"audio": str(url), **rest}] if not rest:
            pass
        case _:
            raise rules.invalid("content should have exactly one audio item: input.messages.content")
    head, comma, text = url.partition(",")
    if not (head.startswith("data:audio/") and head.endswith(";base64") and comma):
        raise rules.invalid("The provided URL does not appear to be valid. Ensure it is correctly formatted.")
    if len(text) > MOST_AUDIO:
        raise rules.invalid("The audio is too large: at most 10 MB.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise rules.invalid("The audio format is illegal and cannot be opened.") from None
