"""Discord's gateway events of every kind that the bot listens to, and of some that it does not. Pure, by a seed.

A compact schema of our own: discord.py describes its events for type checkers only, not at run time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

BOT, APPLICATION = "100000000000000042", "100000000000000043"
PEOPLE = ("100000000000001001", "100000000000001002")
PLACES = ("100000000000002001", "100000000000002002", "100000000000002003")  # a server, a channel in it, a private chat
EPOCH = 1_420_070_400_000  # milliseconds: the zero of a snowflake
OTHERS = ("TYPING_START", "PRESENCE_UPDATE", "MESSAGE_REACTION_ADD", "MESSAGE_DELETE", "GUILD_MEMBER_ADD", "A_NEW_KIND")
_TEXTS = (
    "hello", "你好", f"<@{BOT}> hi", f"<@!{BOT}>: what?", "/stop", "/reset", "/model glm", "<:smile:12> x", "x" * 2_000, "",
    "<@&5> all", "@everyone", f"<@{PEOPLE[1]}> said", "**bold** `code`",
)  # fmt: skip


class Dispatches:
    """`one()` is a sound event as (its name, its data). Ids rise, as Discord's do."""

    def __init__(
        self, chance: random.Random, *, bot: str = BOT, people: Sequence[str] = PEOPLE, places: Sequence[str] = PLACES
    ) -> None:
        self._chance = chance
        self._bot, self._people = bot, people
        self._guild, self._room, self._private = places
        self._count = chance.randrange(2**20)

    def one(self) -> tuple[str, Json]:
        name = self._chance.choice(
            ("MESSAGE_CREATE",) * 8
            + ("MESSAGE_UPDATE", "INTERACTION_CREATE", "INTERACTION_CREATE") * 2
            + ("GUILD_CREATE", "CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE", "THREAD_CREATE", "THREAD_UPDATE")
            + ("THREAD_DELETE", "THREAD_LIST_SYNC", *OTHERS)
        )
        match name:
            case "MESSAGE_CREATE":
                return name, self.message()
            case "MESSAGE_UPDATE":
                return name, self.message() | {"edited_timestamp": "2026-11-22T12:00:00.000000+00:00"}
            case "INTERACTION_CREATE":
                return name, self.interaction()
            case "GUILD_CREATE":
                roles = [
                    {"id": "5", "name": "magpie", "tags": {"bot_id": self._bot}},
                    {"id": self._guild, "name": "@everyone"},
                ]
                rooms = {"channels": [self._channel()], "threads": [self._channel()]}
                return name, {"id": self._guild, "name": "house", "roles": roles, "unavailable": False, **rooms}
            case "THREAD_LIST_SYNC":
                return name, {"guild_id": self._guild, "threads": [self._channel()], "members": []}
            case "TYPING_START" | "PRESENCE_UPDATE" | "MESSAGE_REACTION_ADD" | "MESSAGE_DELETE":
                return name, {"channel_id": self._room, "user_id": self._people[0], "id": self._snowflake()}
            case _:
                return name, self._channel()

    def message(self, *, nested: bool = False) -> Json:
        made: Json = {
            "id": self._snowflake(),
            "type": self._chance.choice((0, 0, 0, 19, 19, 7, 18, 21)),
            "author": self._person(),
            "content": self._chance.choice(_TEXTS).replace(BOT, self._bot),
            "timestamp": "2026-11-22T12:00:00.000000+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [self._person()] if self._chance.random() < 0.5 else [],
            "mention_roles": ["5"] if self._chance.random() < 0.2 else [],
            "attachments": [self._attachment() for _ in range(self._chance.choice((0, 0, 0, 1, 3)))],
            "embeds": [],
            "components": [],
            "flags": self._chance.choice((0, 0, 1 << 13)),
            **self._place(),
        }
        if self._chance.random() < 0.2:
            made["sticker_items"] = [{"id": "9", "name": "wave", "format_type": 1}]
        if self._chance.random() < 0.1:
            made["poll"] = {"question": {"text": "which?"}, "answers": [], "allow_multiselect": False}
        if not nested and self._chance.random() < 0.4:
            made["message_reference"] = {
                "type": self._chance.choice((0, 1)),
                "message_id": "8",
                "channel_id": self._room,
            }
            made["referenced_message"] = self._chance.choice((None, self.message(nested=True)))
        if not nested and self._chance.random() < 0.1:
            made["message_snapshots"] = [{"message": self.message(nested=True)}]
        if self._chance.random() < 0.1:
            made["webhook_id"] = "77"
        return made

    def interaction(self) -> Json:
        kind = self._chance.choice((2, 2, 3, 3, 4, 5))
        return {
            "id": self._snowflake(),
            "application_id": APPLICATION,
            "type": kind,
            "token": f"token-{self._count}",
            "version": 1,
            "locale": self._chance.choice(("en-US", "zh-CN")),
            "data": self._interaction_data(kind),
            "message": {"id": self._snowflake(), "channel_id": self._room, "author": self._person(), "content": "x"},
            **self._place(),
            **self._chance.choice(
                ({"user": self._person()}, {"member": {"user": self._person(), "nick": None, "roles": []}})
            ),
        }

    def _interaction_data(self, kind: int) -> Json:
        if kind == 3:
            return {"custom_id": self._chance.choice(("stop.Xy_z-1", "b.abc", "x")), "component_type": 2}
        name = self._chance.choice(("model", "image", "help", "stop", "reset", "ask", "unknown"))
        options = [{"name": "model", "type": 3, "value": "glm", "focused": kind == 4}]
        return {"id": "12", "name": name, "type": 1, "options": options}

    def _place(self) -> Json:
        if self._chance.random() < 0.5:
            return {"channel_id": self._private, "channel_type": 1}
        member = {
            "nick": self._chance.choice((None, "Annie")),
            "roles": ["5"],
            "joined_at": "2026-01-01T00:00:00+00:00",
        }
        return {
            "channel_id": self._room,
            "guild_id": self._guild,
            "member": member,
            "channel": {"id": self._room, "parent_id": None},
        }

    def _channel(self) -> Json:
        last = self._chance.choice((None, self._snowflake()))
        room = {"id": self._room, "type": self._chance.choice((0, 11)), "guild_id": self._guild, "parent_id": None}
        return room | {"last_message_id": last, "name": "general", "flags": 0}

    def _person(self) -> Json:
        if self._chance.random() < 0.2:
            return {"id": self._bot, "username": "magpie", "global_name": None, "bot": True}
        id = self._chance.choice(self._people)
        return {"id": id, "username": f"u{id}", "global_name": self._chance.choice((None, "Ann", "陈")), "avatar": None}

    def _attachment(self) -> Json:
        mime = self._chance.choice(("image/png", "text/plain; charset=utf-8", "video/mp4", None))
        url = "http://127.0.0.1:9/attachments/1/2/x.png"
        return {
            "id": self._snowflake(),
            "filename": "x.png",
            "size": 12,
            "url": url,
            "proxy_url": url,
            "content_type": mime,
        }

    def _snowflake(self) -> str:
        self._count += 1
        return str((int(time.time() * 1000) - EPOCH << 22) + self._count % 2**22)
