"""GLM's pictures, videos, speech and web search: the endpoints."""

import time
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from bot.simulator import films, glm_tasks, sounds
from bot.simulator import glm_media_rules as rules
from bot.simulator.backend import Backend, Exchange, Json, dump
from bot.simulator.stream import send_whole
from bot.simulator.words import Found, Usage


class Media:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def draw(self, exchange: Exchange) -> web.StreamResponse:
        body: Json = {"created": int(time.time()), "data": [self._picture(exchange)]}
        body["content_filter"] = [{"role": "user", "level": 3}]
        return await send_whole(self._backend, exchange, dump(body).encode(), seconds=self._backend.pace.picture)

    async def start_drawing(self, exchange: Exchange) -> web.StreamResponse:
        return await glm_tasks.start(self._backend, exchange, {"image_result": [self._picture(exchange)]})

    def _picture(self, exchange: Exchange) -> Json:
        prompt, width, height = rules.check_picture_request(exchange.body)
        exchange.usage = Usage(images=1)
        return {"url": self._link(exchange, self._backend.shelf.put(prompt, width, height, fault=exchange.fault))}

    async def start_filming(self, exchange: Exchange) -> web.StreamResponse:
        """The film's link, and its cover's."""
        prompt, width, height, seconds = rules.check_film_request(exchange.body)
        exchange.usage = Usage(videos=1, seconds=seconds)
        shelf = self._backend.shelf
        film = shelf.put_media(partial(films.film, prompt, seconds), "video/mp4", "mp4", fault=exchange.fault)
        cover = shelf.put(prompt, width // 4, height // 4)
        result = {"url": self._link(exchange, film), "cover_image_url": self._link(exchange, cover)}
        return await glm_tasks.start(self._backend, exchange, {"video_result": [result]})

    def _link(self, exchange: Exchange, path: str) -> str:
        return str(exchange.request.url.origin()) + path

    async def hear(self, exchange: Exchange) -> web.StreamResponse:
        """Whole answers only."""
        seconds = await rules.check_sound(exchange.body, exchange.uploads)
        exchange.usage = Usage(seconds=seconds)
        body = {
            "id": exchange.id,
            "created": int(time.time()),
            "request_id": exchange.body.get("request_id") or exchange.id,
            "model": exchange.model,
            "text": self._backend.heard(seconds),
        }
        encoded = dump(body).encode("utf-8", "backslashreplace")
        return await send_whole(self._backend, exchange, encoded, seconds=self._backend.pace.first_token)

    async def speak(self, exchange: Exchange) -> web.StreamResponse:
        """Whole answers only."""
        text, form = rules.check_speech(exchange.body)
        exchange.usage = Usage(characters=len(text))
        sound = sounds.speech(text)
        if form == "pcm":
            sound = sound[44:]  # after the header that `wave` writes
        return await send_whole(
            self._backend, exchange, sound, seconds=self._backend.pace.first_token, content_type=f"audio/{form}"
        )

    async def search(self, exchange: Exchange) -> web.StreamResponse:
        query, count = rules.check_search(exchange.body)
        body = {
            "id": exchange.id,
            "created": int(time.time()),
            "request_id": exchange.body.get("request_id") or exchange.id,
            "search_intent": [{"query": query, "intent": "SEARCH_ALL", "keywords": query}],
            "search_result": pages_body(self._backend.search(query, count)),
        }
        encoded = dump(body).encode("utf-8", "backslashreplace")
        return await send_whole(self._backend, exchange, encoded, seconds=self._backend.pace.first_token)


def pages_body(found: Sequence[Found]) -> list[Json]:
    """What a search found, as GLM writes it."""
    return [
        {
            "icon": "",
            "title": page.title,
            "link": page.url,
            "media": page.site,
            "publish_date": page.date,
            "content": page.text,
            "refer": f"ref_{at}",
        }
        for at, page in enumerate(found, 1)
    ]
