"""Interactions: the first answer within three seconds, and the webhook that edits and follows up for fifteen minutes."""

from collections.abc import Iterator

from tests.servers.discord_checks import ApiError, Draft, Form, read_draft
from tests.servers.discord_commands import MAX_CHOICES, check_choices
from tests.servers.discord_faults import WEBHOOKS, Answer
from tests.servers.discord_http import Endpoint, Incoming
from tests.servers.discord_messages import EMPTY, UNKNOWN_MESSAGE, Messages, invalid
from tests.servers.discord_payloads import interaction_payload, message_payload
from tests.servers.discord_state import (
    AUTOCOMPLETE,
    CHAT_INPUT_COMMAND,
    COMPONENT,
    EPHEMERAL,
    LOADING,
    REPLY,
    SLASH,
    Channel,
    Choice,
    Interaction,
    JsonObject,
    Message,
    User,
    World,
)

TOKEN_SECONDS = 15 * 60.0
PONG, MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 1, 4, 5, 6, 7, 8, 9
ALLOWED = {
    SLASH: (MESSAGE, DEFERRED, MODAL),
    COMPONENT: (MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL),
    AUTOCOMPLETE: (CHOICES,),
}
UNKNOWN_INTERACTION = ApiError(404, 10062, "Unknown interaction")
UNKNOWN_WEBHOOK = ApiError(404, 10015, "Unknown Webhook")
INVALID_TOKEN = ApiError(401, 50027, "Invalid Webhook Token")


class Interactions:
    def __init__(self, world: World, messages: Messages, *, answer_seconds: float) -> None:
        self.world = world
        self.messages = messages
        self.answer_seconds = answer_seconds

    def endpoints(self) -> Iterator[Endpoint]:
        callback = "/interactions/{interaction}/{token}/callback"
        yield Endpoint("POST", callback, self.callback, authorized=False)
        hook = "/webhooks/{application}/{token}"
        yield Endpoint("POST", hook, self.follow_up, WEBHOOKS, authorized=False)
        for which in ("@original", "{message}"):
            yield Endpoint("GET", f"{hook}/messages/{which}", self.fetch, WEBHOOKS, authorized=False)
            yield Endpoint("PATCH", f"{hook}/messages/{which}", self.edit, WEBHOOKS, authorized=False)
            yield Endpoint("DELETE", f"{hook}/messages/{which}", self.delete, WEBHOOKS, authorized=False)

    def begin(
        self, kind: int, user: User, channel: Channel, data: JsonObject, message: Message | None = None
    ) -> Interaction:
        """A user's act, told to the bot."""
        interaction = Interaction(
            id=self.world.new_id(),
            token=self.world.new_token(),
            kind=kind,
            user=user,
            channel=channel,
            created=self.world.clock.now(),
            data=data,
            message=message,
        )
        self.world.interactions[interaction.token] = interaction
        self.world.publish("INTERACTION_CREATE", interaction_payload(self.world, interaction))
        self.world.changed()
        return interaction

    # The first answer

    def callback(self, incoming: Incoming) -> Answer:
        interaction = self.world.interactions.get(incoming.params["token"])
        if interaction is None or interaction.id != incoming.number("interaction"):
            raise UNKNOWN_INTERACTION
        if interaction.response is not None:
            raise ApiError(400, 40060, "Interaction has already been acknowledged.")
        if self.world.clock.now() - interaction.created > self.answer_seconds:
            raise UNKNOWN_INTERACTION
        kind = incoming.fields.get("type")
        if kind not in ALLOWED[interaction.kind]:
            text = f"Value must be one of {ALLOWED[interaction.kind]}."
            raise invalid("type", "BASE_TYPE_CHOICES", text)
        if kind == MODAL:
            return Answer(status=501, body={"message": "This stand-in does not play modals", "code": 0})
        data = incoming.fields.get("data") or {}
        self._respond(interaction, kind, data, incoming)
        interaction.response = kind
        self.world.changed()
        return self._confirmation(interaction, kind) if incoming.query.get("with_response") in ("1", "true") else EMPTY

    def _respond(self, interaction: Interaction, kind: int, data: JsonObject, incoming: Incoming) -> None:
        if kind == CHOICES:
            interaction.choices = _choices(data)
        elif kind == DEFERRED:
            thinking = self._blank(interaction, LOADING | (data.get("flags", 0) & EPHEMERAL))
            interaction.original = self.messages.post(thinking)
        elif kind == MESSAGE:
            message = self._message(interaction, read_draft(data, incoming.uploads))
            interaction.original = self.messages.post(message)
        else:
            interaction.original = interaction.message
            if kind == UPDATE and interaction.message is not None:
                self.messages.edit(interaction.message, read_draft(data, incoming.uploads, interaction.message))

    def _blank(self, interaction: Interaction, flags: int) -> Message:
        pressed = interaction.message
        kind = REPLY if pressed else CHAT_INPUT_COMMAND
        return Message(
            id=self.world.new_id(),
            channel=interaction.channel,
            author=self.world.bot,
            kind=kind,
            flags=flags,
            created=self.world.clock.now(),
            reply_to=pressed,
            interaction=interaction,
        )

    def _message(self, interaction: Interaction, draft: Draft, *, reply_to: Message | None = None) -> Message:
        pressed = reply_to or interaction.message
        kind = REPLY if pressed else CHAT_INPUT_COMMAND
        message = self.messages.from_draft(interaction.channel, draft, kind=kind, reply_to=pressed)
        message.interaction = interaction
        return message

    def _confirmation(self, interaction: Interaction, kind: int) -> Answer:
        about: JsonObject = {"id": str(interaction.id), "type": interaction.kind}
        resource: JsonObject = {"type": kind}
        if original := interaction.original:
            about |= {
                "response_message_id": str(original.id),
                "response_message_loading": bool(original.flags & LOADING),
                "response_message_ephemeral": original.ephemeral,
            }
            resource["message"] = message_payload(self.world, original)
        return Answer(status=200, body={"interaction": about, "resource": resource})

    # The webhook

    def _webhook(self, incoming: Incoming) -> Interaction:
        interaction = self.world.interactions.get(incoming.params["token"])
        if interaction is None or incoming.number("application") != self.world.application_id:
            raise INVALID_TOKEN
        if self.world.clock.now() - interaction.created > TOKEN_SECONDS:
            raise INVALID_TOKEN
        if interaction.response is None:
            raise UNKNOWN_WEBHOOK
        return interaction

    def _target(self, incoming: Incoming) -> tuple[Interaction, Message]:
        interaction = self._webhook(incoming)
        message = interaction.original
        if "message" in incoming.params:
            number = incoming.number("message")
            message = message if message and message.id == number else interaction.followups.get(number)
        if message is None or message.deleted:
            raise UNKNOWN_MESSAGE
        return interaction, message

    def follow_up(self, incoming: Incoming) -> Answer:
        """A new message; the first one after a deferral takes the place of the "thinking" message."""
        interaction = self._webhook(incoming)
        draft = read_draft(incoming.body, incoming.uploads)
        original = interaction.original
        if original is not None and original.flags & LOADING and not original.deleted:
            self._settle(original, draft)
            message = original
        else:
            message = self.messages.post(self._message(interaction, draft, reply_to=original))
        interaction.followups[message.id] = message
        self.world.changed()
        return Answer(status=200, body=message_payload(self.world, message))

    def _settle(self, thinking: Message, draft: Draft) -> None:
        """The deferred answer arrives: it counts as the message's first version and notifies as one."""
        if draft.is_empty:
            raise ApiError(400, 50006, "Cannot send an empty message")
        thinking.flags &= ~LOADING
        self.messages.edit(thinking, draft, first=True)

    def fetch(self, incoming: Incoming) -> Answer:
        _, message = self._target(incoming)
        return Answer(status=200, body=message_payload(self.world, message))

    def edit(self, incoming: Incoming) -> Answer:
        _, message = self._target(incoming)
        draft = read_draft(incoming.body, incoming.uploads, message)
        if message.flags & LOADING:
            self._settle(message, draft)
        else:
            self.messages.edit(message, draft)
        return Answer(status=200, body=message_payload(self.world, message))

    def delete(self, incoming: Incoming) -> Answer:
        _, message = self._target(incoming)
        self.messages.remove(message)
        return EMPTY


def _choices(data: JsonObject) -> tuple[Choice, ...]:
    form = Form()
    listed = form.models("data.choices", data.get("choices"), MAX_CHOICES)
    check_choices(form, "data.choices", listed)
    form.check()
    return tuple(Choice(one["name"], one["value"]) for one in listed)
