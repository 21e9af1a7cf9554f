"""What a user sees of the stand-in's messages."""

import dataclasses
from collections.abc import Mapping, Sequence

from tests.servers.discord_checks import visible_text
from tests.servers.discord_state import LOADING, VOICE_MESSAGE, JsonObject, Message, Pings, Upload, User


@dataclasses.dataclass(frozen=True, slots=True)
class Button:
    label: str
    custom_id: str | None
    disabled: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message as somebody in the channel sees it now. `text` is the content and the text displays of components v2;
    `thinking`: a deferred answer that has not come yet; `voice`: a voice message."""

    id: int
    author: User
    content: str
    text: str
    attachments: tuple[Upload, ...]
    embeds: tuple[JsonObject, ...]
    components: tuple[JsonObject, ...]
    buttons: tuple[Button, ...]
    pings: Pings
    edited: bool
    edits: int
    ephemeral: bool
    thinking: bool
    voice: bool
    reply_to: int | None
    reactions: Mapping[str, frozenset[int]]


def show(message: Message) -> Shown:
    return Shown(
        id=message.id,
        author=message.author,
        content=message.content,
        text=visible_text(message.content, message.components).strip(),
        attachments=tuple(attachment.upload for attachment in message.attachments),
        embeds=tuple(message.embeds),
        components=tuple(message.components),
        buttons=tuple(
            Button(one.get("label", ""), one.get("custom_id"), bool(one.get("disabled")))
            for one in inner_components(message.components)
            if one.get("type") == 2
        ),
        pings=message.pings,
        edited=message.edited is not None,
        edits=message.edits,
        ephemeral=message.ephemeral,
        thinking=bool(message.flags & LOADING),
        voice=bool(message.flags & VOICE_MESSAGE),
        reply_to=message.reply_to.id if message.reply_to else None,
        reactions={emoji: frozenset(who) for emoji, who in message.reactions.items()},
    )


def addressee(message: Message) -> User | None:
    return message.interaction.user if message.interaction else None


def inner_components(components: Sequence[JsonObject]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for one in components:
        found += [one, *inner_components(one.get("components") or [])]
        found += [one["accessory"]] if one.get("accessory") else []
    return found
