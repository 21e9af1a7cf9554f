"""What Discord refuses in a message, and the error that it answers with.

Pure: a body goes in, a `Draft` comes out or an `ApiError` is raised. The limits are those of the API's documentation.
Lengths are counted in code points of the text as sent; Discord trims afterwards.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.discord_payloads import MAX_UPLOAD_BYTES
from tests.servers.discord_state import COMPONENTS_V2, VOICE_MESSAGE, JsonObject, Message, Pings, Upload, User

MAX_CONTENT, MAX_NONCE, MAX_FILES, MAX_EMBEDS, MAX_V2_TEXT, MAX_V2_COMPONENTS = 2000, 25, 10, 10, 4000, 40
MAX_EMBED_TEXT, MAX_EMBED_FIELDS = 6000, 25
EMBED_TEXTS = {"title": 256, "description": 4096}

ROW, BUTTON, STRING_SELECT, TEXT_DISPLAY = 1, 2, 3, 10
SELECTS = (3, 5, 6, 7, 8)
V2_TOP_LEVEL = (1, 9, 10, 12, 13, 14, 17)


@dataclass
class ApiError(Exception):
    """An error answer in Discord's shape."""

    status: int
    code: int
    message: str
    errors: JsonObject | None = None

    @property
    def body(self) -> JsonObject:
        body: JsonObject = {"message": self.message, "code": self.code}
        return body if self.errors is None else body | {"errors": self.errors}


class Form:
    """Collects everything that is wrong with a body; `check()` raises 50035 with the tree of errors."""

    def __init__(self) -> None:
        self.errors: JsonObject = {}

    def add(self, path: str, code: str, message: str) -> None:
        node = self.errors
        for part in path.split("."):
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def check(self) -> None:
        if self.errors:
            raise ApiError(400, 50035, "Invalid Form Body", self.errors)

    def text(self, path: str, value: object, low: int, high: int) -> bool:
        """Whether `value` is a text of `low` to `high` characters; what is wrong is noted."""
        if value is None or (value == "" and low):
            self.add(path, "BASE_TYPE_REQUIRED", "This field is required")
        elif not isinstance(value, str):
            self.add(path, "STRING_TYPE_CONVERT", "Could not convert to string.")
        elif len(value) > high:
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {high} or fewer in length.")
        else:
            return True
        return False

    def items(self, path: str, value: object, high: int) -> list[Any]:
        """`value` as a list of at most `high`; a list to go on with in any case."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return []
        if len(value) > high:
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {high} or fewer in length.")
        return value[:high]

    def models(self, path: str, value: object, high: int) -> list[JsonObject]:
        """Like `items`, of objects."""
        items = self.items(path, value, high)
        for place, item in enumerate(items):
            if not isinstance(item, dict):
                self.add(f"{path}.{place}", "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return [item for item in items if isinstance(item, dict)]

    def snowflake(self, path: str, value: object) -> int:
        if isinstance(value, (int, str)) and str(value).isascii() and str(value).isdigit():
            return int(value)
        self.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedMentions:
    """Which mentions in a text may notify. Without the field everything in the text does, and a reply its author."""

    parse: frozenset[str] = frozenset({"everyone", "users", "roles"})
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    replied_user: bool = True

    def pings(self, content: str, replied_to: User | None, *, in_guild: bool) -> Pings:
        """Stricter than Discord in one thing: a mention inside a code block counts as well."""
        users = frozenset(map(int, re.findall(r"<@!?(\d{1,20})>", content)))
        roles = frozenset(map(int, re.findall(r"<@&(\d{1,20})>", content)))
        users = users if "users" in self.parse else users & self.users
        if replied_to is not None and self.replied_user:
            users |= {replied_to.id}
        if not in_guild:
            return Pings(users=users)
        everyone = "everyone" in self.parse and re.search(r"@(everyone|here)", content) is not None
        return Pings(everyone=everyone, users=users, roles=roles if "roles" in self.parse else roles & self.roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    message_id: int
    channel_id: int | None
    must_exist: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A checked message body. None means that the field was absent, which matters for edits."""

    content: str | None
    embeds: list[JsonObject] | None
    components: list[JsonObject] | None
    kept: frozenset[int] | None  # attachments of the edited message that stay
    uploads: tuple[Upload, ...]
    flags: int
    mentions: AllowedMentions
    nonce: str | int | None
    enforce_nonce: bool
    reference: Reference | None

    @property
    def is_empty(self) -> bool:
        return not (self.content or self.embeds or self.components or self.uploads or self.kept)


def read_draft(body: object, uploads: Mapping[int, Upload], edited: Message | None = None) -> Draft:
    """The message in `body`, whose new files are `uploads` by the n of their field `files[n]`. Raises ApiError."""
    if not isinstance(body, dict):
        raise ApiError(400, 50035, "Invalid Form Body", {"_errors": [_not_a_dict()]})
    if any(len(upload.data) > MAX_UPLOAD_BYTES for upload in uploads.values()):
        raise ApiError(413, 40005, "Request entity too large")
    form = Form()
    flags = body.get("flags") or 0
    content = body.get("content", None if edited else "")
    if content is None and "content" in body:
        content = ""
    if content is not None:
        form.text("content", content, 0, MAX_CONTENT)
    nonce = body.get("nonce")
    if nonce is not None and len(str(nonce)) > MAX_NONCE:
        form.add("nonce", "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_NONCE} or fewer in length.")
    embeds = _embeds(form, body)
    v2 = bool(flags & COMPONENTS_V2 or (edited and edited.flags & COMPONENTS_V2))
    components = _components(form, body, v2=v2)
    if v2 and (content or embeds):
        form.add(
            "content" if content else "embeds",
            "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
            "The field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
        )
    kept, files = _attachments(form, body, uploads, edited)
    mentions = _allowed_mentions(form, body.get("allowed_mentions"))
    reference = _reference(form, body.get("message_reference"))
    form.check()
    if edited is not None and edited.flags & VOICE_MESSAGE:
        raise ApiError(400, 50162, "Voice messages cannot be edited.")
    if flags & VOICE_MESSAGE and edited is None:
        _check_voice(body, files)
    return Draft(
        content=content.strip() if isinstance(content, str) else None,
        embeds=embeds,
        components=components,
        kept=kept,
        uploads=files,
        flags=flags,
        mentions=mentions,
        nonce=nonce,
        enforce_nonce=bool(body.get("enforce_nonce")),
        reference=reference,
    )


def _not_a_dict() -> JsonObject:
    return {"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}


def _allowed_mentions(form: Form, value: object) -> AllowedMentions:
    if value is None:
        return AllowedMentions()
    path = "allowed_mentions"
    if not isinstance(value, dict):
        form.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return AllowedMentions(parse=frozenset(), replied_user=False)
    parse = form.items(f"{path}.parse", value.get("parse"), 3)
    for place, kind in enumerate(parse):
        if kind not in ("everyone", "users", "roles"):
            form.add(
                f"{path}.parse.{place}", "BASE_TYPE_CHOICES", "Value must be one of ('everyone', 'roles', 'users')."
            )
    ids: dict[str, frozenset[int]] = {}
    for kind in ("users", "roles"):
        listed = form.items(f"{path}.{kind}", value.get(kind), 100)
        ids[kind] = frozenset(form.snowflake(f"{path}.{kind}.{place}", one) for place, one in enumerate(listed))
        if listed and kind in parse:
            form.add(
                path,
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )
    replied = bool(value.get("replied_user", False))
    return AllowedMentions(
        parse=frozenset(map(str, parse)), users=ids["users"], roles=ids["roles"], replied_user=replied
    )


def _reference(form: Form, value: object) -> Reference | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        form.add("message_reference", "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return None
    channel = value.get("channel_id")
    return Reference(
        message_id=form.snowflake("message_reference.message_id", value.get("message_id")),
        channel_id=None if channel is None else form.snowflake("message_reference.channel_id", channel),
        must_exist=bool(value.get("fail_if_not_exists", True)),
    )


def _attachments(
    form: Form, body: JsonObject, uploads: Mapping[int, Upload], edited: Message | None
) -> tuple[frozenset[int] | None, tuple[Upload, ...]]:
    """Which old attachments stay and which files come. Each listed id names either a `files[n]` or an old one."""
    old = {attachment.id for attachment in edited.attachments} if edited else set()
    listed = body.get("attachments")
    entries = form.models("attachments", listed, MAX_FILES)
    kept, described = set(), dict(uploads)
    for place, entry in enumerate(entries):
        number = form.snowflake(f"attachments.{place}.id", entry.get("id"))
        if number in uploads:
            described[number] = _described(uploads[number], entry)
        elif number in old:
            kept.add(number)
        else:
            form.add(f"attachments.{place}.id", "ATTACHMENT_NOT_FOUND", "Attachment not found")
    stays = old if listed is None else kept
    if len(stays) + len(uploads) > MAX_FILES:
        form.add("attachments", "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_FILES} or fewer in length.")
    return (None if listed is None else frozenset(kept)), tuple(described[number] for number in sorted(described))


def _check_voice(body: JsonObject, files: tuple[Upload, ...]) -> None:
    """The rules of a voice message; the codes are Discord's."""
    if any(body.get(name) for name in ("content", "embeds", "components", "sticker_ids", "poll")):
        raise ApiError(400, 50159, "Voice messages do not support additional content.")
    if len(files) != 1 or not files[0].content_type.startswith("audio/"):
        raise ApiError(400, 50160, "Voice messages must have a single audio attachment.")
    if files[0].duration is None or files[0].waveform is None:
        raise ApiError(400, 50161, "Voice messages must have supporting metadata.")


def _described(upload: Upload, entry: JsonObject) -> Upload:
    """Length and waveform are kept of what says that it is audio."""
    seconds, waveform = entry.get("duration_secs"), entry.get("waveform")
    audio = upload.content_type.startswith("audio/")
    return Upload(
        duration=float(seconds) if audio and isinstance(seconds, int | float) else None,
        waveform=waveform if audio and isinstance(waveform, str) else None,
        filename=str(entry.get("filename") or upload.filename),
        data=upload.data,
        content_type=upload.content_type,
        description=entry.get("description"),
    )


def _embeds(form: Form, body: JsonObject) -> list[JsonObject] | None:
    if "embeds" not in body:
        return None
    embeds = form.models("embeds", body["embeds"], MAX_EMBEDS)
    for place, embed in enumerate(embeds):
        _embed(form, f"embeds.{place}", embed)
    if sum(map(_embed_length, embeds)) > MAX_EMBED_TEXT:
        form.add("embeds", "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_EMBED_TEXT}")
    return embeds


def _embed(form: Form, path: str, embed: JsonObject) -> None:
    for name, high in EMBED_TEXTS.items():
        if embed.get(name) is not None:
            form.text(f"{path}.{name}", embed[name], 0, high)
    for part, name, high in (("footer", "text", 2048), ("author", "name", 256)):
        if embed.get(part):
            form.text(f"{path}.{part}.{name}", embed[part].get(name), 1, high)
    for place, item in enumerate(form.models(f"{path}.fields", embed.get("fields"), MAX_EMBED_FIELDS)):
        form.text(f"{path}.fields.{place}.name", item.get("name"), 1, 256)
        form.text(f"{path}.fields.{place}.value", item.get("value"), 1, 1024)


def _embed_length(embed: JsonObject) -> int:
    texts = [embed.get("title"), embed.get("description")]
    texts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    for item in embed.get("fields") or []:
        texts += [item.get("name"), item.get("value")]
    return sum(len(text) for text in texts if isinstance(text, str))


def _components(form: Form, body: JsonObject, *, v2: bool) -> list[JsonObject] | None:
    if "components" not in body:
        return None
    top = form.models("components", body["components"], MAX_V2_COMPONENTS if v2 else 5)
    allowed: Sequence[int] = V2_TOP_LEVEL if v2 else (ROW,)
    for place, component in enumerate(top):
        if component.get("type") not in allowed:
            form.add(
                f"components.{place}.type", "UNION_TYPE_CHOICES", f'Value of field "type" must be one of {allowed}.'
            )
    seen: set[str] = set()
    every = [found for place, one in enumerate(top) for found in _walk(f"components.{place}", one)]
    for path, component in every:
        _component(form, path, component, seen)
    if v2 and len(every) > MAX_V2_COMPONENTS:
        form.add("components", "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "The number of components exceeds 40")
    if sum(len(one.get("content", "")) for _, one in every if one.get("type") == TEXT_DISPLAY) > MAX_V2_TEXT:
        form.add(
            "components", "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", "Displayable text exceeds maximum size of 4000"
        )
    return top


def _walk(path: str, component: JsonObject) -> list[tuple[str, JsonObject]]:
    found = [(path, component)]
    for place, child in enumerate(component.get("components") or []):
        found += _walk(f"{path}.components.{place}", child)
    if accessory := component.get("accessory"):
        found += _walk(f"{path}.accessory", accessory)
    return found


def _component(form: Form, path: str, component: JsonObject, seen: set[str]) -> None:
    kind = component.get("type")
    if kind == ROW:
        children = component.get("components") or []
        room = 1 if any(child.get("type") in SELECTS for child in children) else 5
        if not 1 <= len(children) <= room:
            form.add(f"{path}.components", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {room} in length.")
    elif kind == BUTTON:
        _button(form, path, component)
    elif kind == STRING_SELECT:
        for place, option in enumerate(form.models(f"{path}.options", component.get("options"), 25)):
            form.text(f"{path}.options.{place}.label", option.get("label"), 1, 100)
            form.text(f"{path}.options.{place}.value", option.get("value"), 1, 100)
    if kind in SELECTS:
        form.text(f"{path}.custom_id", component.get("custom_id"), 1, 100)
    custom_id = component.get("custom_id")
    if custom_id is not None and custom_id in seen:
        form.add(f"{path}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
    seen.add(str(custom_id))


def _button(form: Form, path: str, button: JsonObject) -> None:
    style = button.get("style")
    if style not in (1, 2, 3, 4, 5, 6):
        form.add(f"{path}.style", "BASE_TYPE_CHOICES", "Value must be one of (1, 2, 3, 4, 5, 6).")
    if style == 5:
        form.text(f"{path}.url", button.get("url"), 1, 512)
        if "custom_id" in button:
            form.add(path, "BUTTON_COMPONENT_CUSTOM_ID_URL_EXCLUSIVE", "A custom id and url cannot both be specified")
    elif style != 6:
        form.text(f"{path}.custom_id", button.get("custom_id"), 1, 100)
    if button.get("label"):
        form.text(f"{path}.label", button["label"], 1, 80)
    elif not button.get("emoji") and style != 6:
        form.add(path, "BUTTON_COMPONENT_INVALID_LABEL_EMOJI", "A button must have a label or an emoji")


def visible_text(content: str, components: Sequence[JsonObject]) -> str:
    """All text that may mention somebody: the content and the text displays of components v2 (embeds never ping)."""
    found = [pair for one in components for pair in _walk("", one)]
    return "\n".join([content, *(str(one.get("content", "")) for _, one in found if one.get("type") == TEXT_DISPLAY)])
