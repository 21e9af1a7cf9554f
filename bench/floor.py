"""The zero mark: a bare bot on raw HTTP. No storage, no Markdown, no limits, no retries; it forgets everything when it ends.

It polls Telegram, streams from a GLM endpoint, shows the first text at once, then an edit a second, then the whole. It
remembers each chat in memory: without that it would ask the model for less than Magpie does. Takes Magpie's variables.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict
from typing import Any

import aiohttp

from bench.lag import sampled

EDIT_EVERY = 1.0  # seconds between edits of one answer


class Floor:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._telegram = f"{os.environ['TELEGRAM_API_URL']}/bot{os.environ['TELEGRAM_BOT_TOKEN']}/"
        self._model = os.environ["ZHIPUAI_BASE_URL"] + "/chat/completions"
        self._headers = {
            "Authorization": f"Bearer {os.environ['ZHIPUAI_API_KEY']}",
            "Content-Type": "application/json",
        }
        self._histories: dict[int, list[dict[str, str]]] = defaultdict(list)

    async def run(self) -> None:
        offset = 0
        async with asyncio.TaskGroup() as answers:
            while True:
                for update in await self._call("getUpdates", offset=offset, timeout=50):
                    offset = update["update_id"] + 1
                    message = update["message"]
                    answers.create_task(self._answer(message["chat"]["id"], message["text"]))

    async def _call(self, method: str, **parameters: Any) -> Any:
        async with self._session.post(self._telegram + method, json=parameters) as response:
            return (await response.json())["result"]

    async def _edit(self, chat: int, message: int, text: str) -> Any:
        return await self._call("editMessageText", chat_id=chat, message_id=message, text=text)

    async def _answer(self, chat: int, text: str) -> None:
        history = self._histories[chat]
        history.append({"role": "user", "content": text})
        body = {"model": "glm-4.7-flash", "stream": True, "messages": history}
        said, shown, shown_at = "", "", 0.0
        showing: asyncio.Task[Any] | None = None
        message = 0
        async with self._session.post(self._model, json=body, headers=self._headers) as response:
            async for line in response.content:
                if not line.startswith(b"data: {"):
                    continue
                said += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
                if showing is None and said:
                    showing = asyncio.create_task(self._call("sendMessage", chat_id=chat, text=said))
                    shown, shown_at = said, time.monotonic()
                elif showing and showing.done() and said != shown and time.monotonic() - shown_at >= EDIT_EVERY:
                    message = message or showing.result()["message_id"]
                    showing = asyncio.create_task(self._edit(chat, message, said))
                    shown, shown_at = said, time.monotonic()
        if showing:
            result = await showing
            if said != shown:
                await self._edit(chat, message or result["message_id"], said)
        history.append({"role": "assistant", "content": said})


async def main() -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await Floor(session).run()


if __name__ == "__main__":
    asyncio.run(sampled(main()))
