"""The stand-in's records as the JSON that Discord's API v10 shows of them. No rules, no state."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote

from tests.servers.discord_state import (
    COMPONENT,
    DM,
    Attachment,
    Channel,
    Guild,
    Interaction,
    JsonObject,
    Message,
    Upload,
    User,
    World,
)

CDN_LINK_SECONDS = 24 * 3600  # attachment links are signed and stop working after about a day
MAX_UPLOAD_BYTES = 10 * 1024 * 1024  # for a guild without boosts and for private chats
# view, react, send, embed, attach, read history, mention everyone, use commands, create and use threads
PERMISSIONS = str(sum(1 << bit for bit in (6, 10, 11, 14, 15, 16, 17, 31, 35, 38)))


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def user_payload(user: User) -> JsonObject:
    return {
        "id": str(user.id),
        "username": user.name,
        "global_name": None if user.bot else user.name.title(),
        "discriminator": "0",
        "avatar": None,
        "bot": user.bot,
        "public_flags": 0,
    }


def member_payload(guild: Guild) -> JsonObject:
    return {
        "nick": None,
        "avatar": None,
        "roles": [],
        "joined_at": timestamp(guild.joined),
        "premium_since": None,
        "communication_disabled_until": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "flags": 0,
    }


def application_payload(world: World, flags: int) -> JsonObject:
    owner = next((user for user in world.users.values() if not user.bot), world.bot)
    return {
        "id": str(world.application_id),
        "name": world.bot.name,
        "icon": None,
        "description": "",
        "bot_public": False,
        "bot_require_code_grant": False,
        "owner": user_payload(owner),
        "team": None,
        "verify_key": "0" * 64,
        "flags": flags,
        "interactions_endpoint_url": None,
        "bot": user_payload(world.bot),
    }


def channel_payload(world: World, channel: Channel) -> JsonObject:
    last = channel.last_message_id
    shown: JsonObject = {
        "id": str(channel.id),
        "type": channel.kind,
        "flags": 0,
        "last_message_id": None if last is None else str(last),
    }
    if channel.kind == DM:
        return shown | {"recipients": [user_payload(channel.recipient)] if channel.recipient else []}
    assert channel.guild is not None  # only private chats have none
    shown |= {"guild_id": str(channel.guild.id), "name": channel.name, "rate_limit_per_user": 0, "nsfw": False}
    if channel.is_thread:
        return shown | _thread_fields(world, channel)
    return shown | {"position": 0, "permission_overwrites": [], "topic": None, "parent_id": None}


def _thread_fields(world: World, thread: Channel) -> JsonObject:
    assert thread.parent is not None and thread.owner is not None
    return {
        "parent_id": str(thread.parent.id),
        "owner_id": str(thread.owner.id),
        "message_count": len(thread.messages),
        "total_message_sent": len(thread.messages),
        "member_count": 2,
        "thread_metadata": {
            "archived": thread.archived,
            "auto_archive_duration": 1440,
            "archive_timestamp": timestamp(thread.created),
            "locked": False,
            "create_timestamp": timestamp(thread.created),
        },
        "member": {
            "id": str(thread.id),
            "user_id": str(world.bot.id),
            "join_timestamp": timestamp(thread.created),
            "flags": 0,
        },
    }


def guild_payload(world: World, guild: Guild) -> JsonObject:
    """GUILD_CREATE; its first part is also GET /guilds/{id}."""
    everyone = {"id": str(guild.id), "name": "@everyone"}
    roles = [everyone] + [{"id": str(role.id), "name": role.name} for role in guild.roles.values()]
    seen = [channel for channel in world.channels_of(guild) if world.bot_sees(channel)]
    fixed = {"color": 0, "hoist": False, "managed": False, "mentionable": True, "flags": 0, "permissions": PERMISSIONS}
    return {
        "id": str(guild.id),
        "name": guild.name,
        "icon": None,
        "owner_id": str(guild.owner.id),
        "roles": [role | fixed | {"position": place} for place, role in enumerate(roles)],
        "emojis": [],
        "stickers": [],
        "features": [],
        "premium_tier": 0,
        "preferred_locale": "en-US",
        "joined_at": timestamp(guild.joined),
        "large": False,
        "unavailable": False,
        "member_count": len(guild.members) + 1,
        "members": [member_payload(guild) | {"user": user_payload(world.bot)}],
        "channels": [channel_payload(world, channel) for channel in seen if not channel.is_thread],
        "threads": [channel_payload(world, channel) for channel in seen if channel.is_thread and not channel.archived],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def link_signature(attachment_id: int, expires: int) -> str:
    return hashlib.sha256(f"{attachment_id}:{expires}".encode()).hexdigest()


def attachment_payload(world: World, attachment: Attachment) -> JsonObject:
    upload = attachment.upload
    expires = int(world.clock.now()) + CDN_LINK_SECONDS
    place = f"{world.root_url}/attachments/{attachment.channel_id}/{attachment.id}/{quote(upload.filename)}"
    url = f"{place}?ex={expires:x}&is={expires - CDN_LINK_SECONDS:x}&hm={link_signature(attachment.id, expires)}&"
    shown: JsonObject = {
        "id": str(attachment.id),
        "filename": upload.filename,
        "size": len(upload.data),
        "url": url,
        "proxy_url": url,
        "content_type": upload.content_type,
    }
    return shown | _optional_fields(upload)


def _optional_fields(upload: Upload) -> JsonObject:
    fields = {"description": upload.description, "duration_secs": upload.duration, "waveform": upload.waveform}
    return {name: value for name, value in fields.items() if value is not None}


def message_payload(world: World, message: Message, *, nested: bool = False) -> JsonObject:
    """A message as REST returns it; `nested` leaves out what it replies to, as Discord does one level down."""
    pinged = [world.users[user_id] for user_id in sorted(message.pings.users) if user_id in world.users]
    shown: JsonObject = {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "type": message.kind,
        "author": user_payload(message.author),
        "content": message.content,
        "timestamp": timestamp(message.created),
        "edited_timestamp": None if message.edited is None else timestamp(message.edited),
        "tts": False,
        "pinned": False,
        "mention_everyone": message.pings.everyone,
        "mentions": [user_payload(user) for user in pinged],
        "mention_roles": [str(role_id) for role_id in sorted(message.pings.roles)],
        "attachments": [attachment_payload(world, attachment) for attachment in message.attachments],
        "embeds": message.embeds,
        "components": message.components,
        "flags": message.flags,
    }
    if message.nonce is not None:
        shown["nonce"] = message.nonce
    if message.thread is not None:
        shown["thread"] = channel_payload(world, message.thread)
    if message.reactions:
        shown["reactions"] = [_reaction_payload(world, emoji, who) for emoji, who in message.reactions.items()]
    if message.interaction is not None:
        shown |= _interaction_fields(world, message.interaction)
    if message.reply_to is not None:
        shown |= _reference_fields(world, message.reply_to, nested)
    return shown


def _reaction_payload(world: World, emoji: str, who: set[int]) -> JsonObject:
    return {
        "emoji": {"id": None, "name": emoji},
        "count": len(who),
        "count_details": {"burst": 0, "normal": len(who)},
        "me": world.bot.id in who,
        "me_burst": False,
        "burst_colors": [],
    }


def _interaction_fields(world: World, interaction: Interaction) -> JsonObject:
    app = str(world.application_id)
    metadata = {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": user_payload(interaction.user),
        "authorizing_integration_owners": {},
    }
    return {"application_id": app, "webhook_id": app, "interaction_metadata": metadata}


def _reference_fields(world: World, target: Message, nested: bool) -> JsonObject:
    reference: JsonObject = {"type": 0, "message_id": str(target.id), "channel_id": str(target.channel.id)}
    if target.channel.guild is not None:
        reference["guild_id"] = str(target.channel.guild.id)
    if nested:
        return {"message_reference": reference}
    resolved = None if target.deleted else message_payload(world, target, nested=True)
    return {"message_reference": reference, "referenced_message": resolved}


def message_event(world: World, message: Message) -> JsonObject:
    """MESSAGE_CREATE and MESSAGE_UPDATE: the message with where and as whom it was said."""
    shown = message_payload(world, message) | {"channel_type": message.channel.kind}
    if guild := message.channel.guild:
        shown |= {"guild_id": str(guild.id), "member": member_payload(guild)}
    return shown


def without_content(message: JsonObject) -> JsonObject:
    """What a message looks like to a bot that lacks the message-content intent."""
    return message | {"content": "", "attachments": [], "embeds": [], "components": []}


def interaction_payload(world: World, interaction: Interaction) -> JsonObject:
    channel = interaction.channel
    shown: JsonObject = {
        "id": str(interaction.id),
        "application_id": str(world.application_id),
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": str(channel.id),
        "channel": channel_payload(world, channel) | {"permissions": PERMISSIONS},
        "locale": interaction.user.locale,
        "app_permissions": PERMISSIONS,
        "attachment_size_limit": MAX_UPLOAD_BYTES,
        "entitlements": [],
        "authorizing_integration_owners": {},
        "context": 1 if channel.guild is None else 0,
    }
    if channel.guild is None:
        shown["user"] = user_payload(interaction.user)
    else:
        member = member_payload(channel.guild) | {"user": user_payload(interaction.user), "permissions": PERMISSIONS}
        guild = {"id": str(channel.guild.id), "locale": "en-US", "features": []}
        shown |= {"guild_id": str(channel.guild.id), "guild_locale": "en-US", "guild": guild, "member": member}
    if interaction.kind == COMPONENT and interaction.message is not None:
        shown["message"] = message_payload(world, interaction.message)
    return shown
