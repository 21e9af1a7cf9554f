"""The stand-in for Discord, rule by rule, over bare HTTP and a bare websocket."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.servers.discord import DiscordServer
from tests.servers.discord_gateway import (
    DIRECT_MESSAGES,
    GUILD_MESSAGES,
    GUILDS,
    HEARTBEAT,
    HEARTBEAT_ACK,
    HELLO,
    IDENTIFY,
    INVALID_SESSION,
    MESSAGE_CONTENT,
    RECONNECT,
    RESUME,
)
from tests.servers.discord_state import AUTOCOMPLETE, EPHEMERAL, Channel, Interaction, User

INTENTS = GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES | MESSAGE_CONTENT
SEND = "POST /channels/{channel}/messages"
ASK: dict[str, Any] = {
    "name": "ask",
    "description": "Ask",
    "options": [{"type": 3, "name": "question", "description": "What"}],
}
STOP = {"type": 2, "style": 1, "custom_id": "stop", "label": "Stop"}


@dataclass
class Reply:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> tuple[int, int]:
        """HTTP status and Discord's code of an error; (status, 0) of a success."""
        return self.status, self.body["code"] if self.status >= 400 else 0

    def error(self, *path: str) -> str:
        """The code of the first error at `path` in the form."""
        node = self.body["errors"]
        for part in path:
            node = node[part]
        return str(node["_errors"][0]["code"])


@dataclass
class Http:
    """A bot that speaks bare HTTP; what it opens in `sockets` is closed with it."""

    server: DiscordServer
    session: aiohttp.ClientSession
    sockets: AsyncExitStack
    headers: dict[str, str]

    async def call(self, method: str, path: str, body: object = None, *, form: aiohttp.FormData | None = None) -> Reply:
        sent: dict[str, Any] = {"data": form} if form else {} if body is None else {"json": body}
        async with self.session.request(method, self.server.api_url + path, headers=self.headers, **sent) as answer:
            json = answer.content_type == "application/json"
            return Reply(answer.status, await answer.json() if json else await answer.text(), dict(answer.headers))

    async def send(self, channel: Channel, **body: object) -> Reply:
        return await self.call("POST", f"/channels/{channel.id}/messages", body)

    async def answer(self, interaction: Interaction, kind: int, **data: object) -> Reply:
        path = f"/interactions/{interaction.id}/{interaction.token}/callback?with_response=1"
        return await self.call("POST", path, {"type": kind, "data": data})

    async def hook(self, method: str, interaction: Interaction, end: str = "", **body: object) -> Reply:
        path = f"/webhooks/{self.server.application_id}/{interaction.token}{end}"
        return await self.call(method, path, body or None)


@asynccontextmanager
async def speaking(server: DiscordServer) -> AsyncIterator[Http]:
    async with aiohttp.ClientSession() as session, AsyncExitStack() as sockets:
        yield Http(server, session, sockets, {"Authorization": f"Bot {server.token}"})


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as started:
        yield started


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[Http]:
    async with speaking(server) as bot:
        yield bot


@pytest.fixture
def ann(server: DiscordServer) -> User:
    return server.user("ann")


@pytest.fixture
def general(server: DiscordServer, ann: User) -> Channel:
    return server.channel(server.guild("house", members=[ann]), "general")


@pytest.fixture
async def asked(server: DiscordServer, bot: Http, ann: User, general: Channel) -> Interaction:
    """A command that waits for its answer."""
    await bot.call("PUT", f"/applications/{server.application_id}/commands", [ASK])
    return server.slash(general, ann, "ask", {"question": "why"})


# Doors


async def test_a_wrong_token_is_401_and_an_unknown_route_404(server: DiscordServer, bot: Http) -> None:
    assert (await bot.call("GET", "/users/@me")).body["id"] == str(server.bot.id)
    assert (await bot.call("GET", "/nowhere")).code == (404, 0)
    bot.headers = {"Authorization": "Bot wrong"}
    for path in ("/users/@me", "/applications/@me", "/oauth2/applications/@me", "/gateway/bot"):
        assert (await bot.call("GET", path)).code == (401, 0)
    assert (await bot.call("GET", "/gateway")).body == {"url": server.gateway_url}


async def test_channels_that_are_unknown_hidden_or_silent(server: DiscordServer, bot: Http, ann: User) -> None:
    guild = server.guild("house", members=[ann])
    hidden, silent, dm = server.channel(guild, "hidden"), server.channel(guild, "silent"), server.dm(ann)
    server.deny(hidden, "view")
    server.deny(silent, "send")
    server.deny(dm, "send")
    assert (await bot.call("GET", "/channels/1")).code == (404, 10003)
    assert (await bot.send(hidden, content="x")).code == (403, 50001)
    assert (await bot.send(silent, content="x")).code == (403, 50013)
    assert (await bot.send(dm, content="x")).code == (403, 50007)
    server.kick(guild)
    assert (await bot.call("GET", f"/channels/{silent.id}/messages")).code == (403, 50001)


# Messages


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"content": "x" * 2001}, ("content",), "BASE_TYPE_MAX_LENGTH"),
        ({"content": "x", "nonce": "n" * 26}, ("nonce",), "BASE_TYPE_MAX_LENGTH"),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, ("allowed_mentions",),
         "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"),
        ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, ("allowed_mentions", "parse", "0"), "BASE_TYPE_CHOICES"),
        ({"content": "x", "message_reference": {"message_id": "1"}}, ("message_reference",), "REPLIES_UNKNOWN_MESSAGE"),
        ({"content": "x", "attachments": [{"id": 0, "filename": "a"}]}, ("attachments", "0", "id"), "ATTACHMENT_NOT_FOUND"),
        ({"embeds": [{"description": "x" * 4097}]}, ("embeds", "0", "description"), "BASE_TYPE_MAX_LENGTH"),
    ],
)  # fmt: skip
async def test_a_body_that_breaks_a_rule_is_refused_where_it_does(
    bot: Http, general: Channel, body: Mapping[str, object], path: Sequence[str], code: str
) -> None:
    reply = await bot.send(general, **body)
    assert reply.code == (400, 50035)
    assert reply.error(*path) == code


@pytest.mark.parametrize(
    ("rows", "path", "code"),
    [
        ([[STOP | {"custom_id": "x" * 101}]], ("0", "components", "0", "custom_id"), "BASE_TYPE_MAX_LENGTH"),
        ([[STOP | {"label": "x" * 81}]], ("0", "components", "0", "label"), "BASE_TYPE_MAX_LENGTH"),
        ([[STOP], [STOP]], ("1", "components", "0", "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED"),
        ([[STOP | {"custom_id": str(n)} for n in range(6)]], ("0", "components"), "BASE_TYPE_BAD_LENGTH"),
        ([[STOP | {"custom_id": str(n)}] for n in range(6)], (), "BASE_TYPE_MAX_LENGTH"),
    ],
)
async def test_components_are_counted_and_measured(
    bot: Http, general: Channel, rows: Sequence[Sequence[object]], path: Sequence[str], code: str
) -> None:
    reply = await bot.send(general, content="x", components=[{"type": 1, "components": row} for row in rows])
    assert reply.code == (400, 50035)
    assert reply.error("components", *path) == code


async def test_length_counts_code_points_and_nothing_cannot_be_sent(
    server: DiscordServer, bot: Http, general: Channel
) -> None:
    assert (await bot.send(general, content="😀" * 2000)).status == 200
    assert (await bot.send(general, content=" \n ")).code == (400, 50006)
    await bot.send(general, content="  trimmed\n")
    assert server.messages(general)[-1].content == "trimmed"


async def test_a_nonce_is_one_message_for_minutes_and_only_when_enforced(
    server: DiscordServer, bot: Http, general: Channel
) -> None:
    first = await bot.send(general, content="a", nonce="1", enforce_nonce=True)
    assert (await bot.send(general, content="b", nonce="1", enforce_nonce=True)).body["id"] == first.body["id"]
    assert (await bot.send(general, content="b", nonce="1")).body["id"] != first.body["id"]
    server.clock.advance(301)
    assert (await bot.send(general, content="c", nonce="1", enforce_nonce=True)).body["id"] != first.body["id"]


async def test_a_message_notifies_everybody_unless_it_is_told_not_to(
    server: DiscordServer, bot: Http, ann: User, general: Channel
) -> None:
    content = f"@everyone {ann.mention} <@&{server.role(server.guild('x'), 'r').id}>"
    question = server.say(general, ann, "hm")
    reference = {"message_id": str(question.id)}
    for allowed, everyone, users, roles in (
        ({}, True, {ann.id}, 1),
        ({"allowed_mentions": {"parse": []}}, False, set(), 0),
        ({"allowed_mentions": {}}, False, set(), 0),
        ({"allowed_mentions": {"parse": ["roles"], "replied_user": True}}, False, {ann.id}, 1),
        ({"allowed_mentions": {"users": [str(ann.id), "7"]}}, False, {ann.id}, 0),
    ):
        await bot.send(general, content=content, message_reference=reference, **allowed)
        pings = server.messages(general)[-1].pings
        assert (pings.everyone, set(pings.users), len(pings.roles)) == (everyone, users, roles)


async def test_who_may_edit_and_delete_what(server: DiscordServer, bot: Http, ann: User, general: Channel) -> None:
    theirs, mine = server.say(general, ann, "hello"), (await bot.send(general, content="a")).body["id"]
    base = f"/channels/{general.id}/messages"
    assert (await bot.call("PATCH", f"{base}/{theirs.id}", {"content": "b"})).code == (403, 50005)
    assert (await bot.call("DELETE", f"{base}/{theirs.id}")).code == (403, 50013)
    assert (await bot.call("PATCH", f"{base}/{mine}", {"content": ""})).code == (400, 50006)
    assert (await bot.call("PATCH", f"{base}/{mine}", {"content": "b"})).body["edited_timestamp"]
    assert (await bot.call("DELETE", f"{base}/{mine}")).status == 204
    assert (await bot.call("PATCH", f"{base}/{mine}", {"content": "b"})).code == (404, 10008)


async def test_history_is_newest_first_and_bounded(
    server: DiscordServer, bot: Http, ann: User, general: Channel
) -> None:
    said = [server.say(general, ann, str(n)) for n in range(10)]

    async def texts(query: str) -> list[str]:
        return [m["content"] for m in (await bot.call("GET", f"/channels/{general.id}/messages?{query}")).body]

    assert await texts("limit=3") == ["9", "8", "7"]
    assert await texts(f"after={said[2].id}&limit=2") == ["4", "3"]
    assert await texts(f"before={said[2].id}") == ["1", "0"]
    assert await texts(f"around={said[5].id}&limit=3") == ["6", "5", "4"]
    assert (await bot.call("GET", f"/channels/{general.id}/messages?limit=101")).code == (400, 50035)


async def test_without_approval_history_hides_content_as_well() -> None:
    async with DiscordServer(privileged=0) as server, speaking(server) as bot:
        ann = server.user("ann")
        general = server.channel(server.guild("house", members=[ann]), "general")
        server.say(general, ann, "secret")
        server.say(general, ann, "hi", mention_bot=True)
        answer = await bot.call("GET", f"/channels/{general.id}/messages")
        assert [m["content"] for m in answer.body] == [f"{server.bot.mention} hi", ""]


async def test_text_displays_of_components_v2_exclude_content_and_end_at_4000(
    server: DiscordServer, bot: Http, general: Channel
) -> None:
    def display(length: int) -> dict[str, object]:
        return {"flags": 1 << 15, "components": [{"type": 10, "content": "x" * length}]}

    assert (await bot.send(general, **display(4000))).status == 200
    assert server.messages(general)[-1].text == "x" * 4000
    assert (await bot.send(general, **display(4001))).code == (400, 50035)
    assert (await bot.send(general, content="x", **display(1))).code == (400, 50035)
    assert (await bot.send(general, content="x", components=[{"type": 10, "content": "x"}])).code == (400, 50035)


async def test_files_up_to_ten_mebibytes_by_links_that_expire(
    server: DiscordServer, bot: Http, general: Channel
) -> None:
    def form(size: int) -> aiohttp.FormData:
        data = aiohttp.FormData(quote_fields=False)
        data.add_field("payload_json", '{"attachments": [{"id": 0, "filename": "b.txt", "description": "d"}]}')
        data.add_field("files[0]", io.BytesIO(b"x" * size), filename="a.txt")
        return data

    path = f"/channels/{general.id}/messages"
    assert (await bot.call("POST", path, form=form(10 * 2**20 + 1))).code == (413, 40005)
    sent = (await bot.call("POST", path, form=form(10 * 2**20))).body["attachments"][0]
    assert (sent["filename"], sent["description"], sent["size"]) == ("b.txt", "d", 10 * 2**20)
    async with bot.session.get(sent["url"]) as answer:
        assert len(await answer.read()) == sent["size"]
    for url in (sent["url"].replace("&hm=", "&hm=0"), sent["url"]):
        server.clock.advance(24 * 3600 + 60 if url == sent["url"] else 0)
        async with bot.session.get(url) as answer:
            assert answer.status == 404


# Commands and interactions


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"name": "Ask"}, ("name",), "APPLICATION_COMMAND_INVALID_NAME"),
        ({"name": "two words"}, ("name",), "APPLICATION_COMMAND_INVALID_NAME"),
        ({"description": "x" * 101}, ("description",), "BASE_TYPE_MAX_LENGTH"),
        ({"description": ""}, ("description",), "BASE_TYPE_REQUIRED"),
        ({"options": [ASK["options"][0] | {"name": f"o{n}"} for n in range(26)]}, ("options",), "BASE_TYPE_MAX_LENGTH"),
    ],
)
async def test_commands_are_checked(
    server: DiscordServer, bot: Http, change: dict[str, object], path: Sequence[str], code: str
) -> None:
    commands = f"/applications/{server.application_id}/commands"
    assert (await bot.call("PUT", commands, [ASK | change])).error("0", *path) == code
    assert (await bot.call("POST", commands, ASK | change)).error(*path) == code
    assert (await bot.call("PUT", commands, [ASK | {"name": "问答-é'"}])).status == 200
    assert (await bot.call("PUT", commands, [ASK | {"name": f"a{n}"} for n in range(101)])).code == (400, 30032)
    assert [command["name"] for command in server.commands()] == ["问答-é'"]


async def test_an_interaction_is_answered_once_and_within_three_seconds(
    server: DiscordServer, bot: Http, ann: User, general: Channel, asked: Interaction
) -> None:
    assert (await bot.hook("PATCH", asked, "/messages/@original", content="x")).code == (404, 10015)
    assert (await bot.answer(asked, 6)).code == (400, 50035)
    reply = await bot.answer(asked, 4, content="because", flags=EPHEMERAL)
    assert reply.body["interaction"]["response_message_ephemeral"] is True
    assert (await bot.answer(asked, 4, content="again")).code == (400, 40060)
    late = server.slash(general, ann, "ask")
    server.clock.advance(3.1)
    assert (await bot.answer(late, 4, content="because")).code == (404, 10062)
    assert server.messages(general, viewer=server.bot) == ()


async def test_a_deferred_answer_can_come_for_fifteen_minutes(
    server: DiscordServer, bot: Http, general: Channel, asked: Interaction
) -> None:
    await bot.answer(asked, 5)
    server.clock.advance(15 * 60 - 30)
    assert (await bot.hook("POST", asked, content="takes the thinking one's place")).status == 200
    assert (await bot.hook("PATCH", asked, "/messages/@original", content="edited")).status == 200
    assert [(shown.content, shown.thinking) for shown in server.messages(general)] == [("edited", False)]
    server.clock.advance(31)
    for method in ("GET", "PATCH", "DELETE"):
        assert (await bot.hook(method, asked, "/messages/@original")).code == (401, 50027)
    assert (await bot.hook("POST", asked, content="late")).code == (401, 50027)


async def test_autocomplete_takes_twenty_five_choices(
    server: DiscordServer, bot: Http, ann: User, general: Channel, asked: Interaction
) -> None:
    def waiting() -> Interaction | None:
        return next((one for one in server.interactions if one.kind == AUTOCOMPLETE and one.response is None), None)

    for choices, status in (([{"name": "n", "value": "v"}] * 26, 400), ([{"name": "n" * 101, "value": "v"}], 400),
                            ([{"name": "n", "value": "v"}] * 25, 200)):  # fmt: skip
        async with asyncio.TaskGroup() as tasks:
            offered = tasks.create_task(server.autocomplete(general, ann, "ask", "question", "w"))
            interaction = await server.wait_for(waiting)
            assert interaction is not None
            assert (await bot.answer(interaction, 8, choices=choices)).status == status
            if status == 400:
                await bot.answer(interaction, 8, choices=[])
        assert len(offered.result()) == (0 if status == 400 else 25)


# Limits and faults


async def test_the_sixth_message_in_five_seconds_is_one_too_many() -> None:
    async with DiscordServer(limits=True) as server, speaking(server) as bot:
        dm, other = server.dm(server.user("ann")), server.dm(server.user("bob"))
        assert [(await bot.send(dm, content="x")).headers["X-RateLimit-Remaining"] for _ in range(5)] == list("43210")
        refused = await bot.send(dm, content="x")
        assert refused.status == 429 and "Via" in refused.headers
        assert 0 < refused.body["retry_after"] <= 5 and refused.body["global"] is False
        assert (await bot.send(other, content="x")).status == 200


async def test_faults_strike_before_or_after_the_effect(server: DiscordServer, bot: Http, general: Channel) -> None:
    server.fail(SEND, status=503)
    server.fail(SEND, status=500, when="after", code=0)
    assert [(await bot.send(general, content="x")).status for _ in range(3)] == [503, 500, 200]
    server.reset(SEND, when="after")
    with pytest.raises(aiohttp.ClientConnectionError):
        await bot.send(general, content="lost answer")
    assert [call.effect for call in server.calls(SEND)] == [False, True, True, True]
    assert len(server.messages(general)) == 3
    with pytest.raises(ValueError, match="no route"):
        server.fail("POST /nowhere")


async def test_a_held_call_has_its_effect_before_its_answer(server: DiscordServer, bot: Http, general: Channel) -> None:
    held = server.hold(SEND)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(bot.send(general, content="x"))
        await asyncio.wait_for(held.reached.wait(), 5)
        assert len(server.messages(general)) == 1 and not sending.done()
        held.release()
    assert sending.result().status == 200


async def test_a_client_that_dies_while_its_answer_is_held_repeats_the_nonce_and_gets_the_first_message(
    server: DiscordServer, bot: Http, general: Channel
) -> None:
    held = server.hold(SEND)
    sending = asyncio.create_task(bot.send(general, content="x", nonce="1", enforce_nonce=True))
    await asyncio.wait_for(held.reached.wait(), 5)
    sending.cancel()
    await asyncio.wait([sending], timeout=5)
    again = await bot.send(general, content="x", nonce="1", enforce_nonce=True)
    assert [str(shown.id) for shown in server.messages(general)] == [again.body["id"]]


# The gateway


class Socket:
    """A bot that speaks bare gateway frames."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, op: int, data: object) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def frame(self) -> Any:
        return await self.socket.receive_json(timeout=5)

    async def closed(self) -> int | None:
        async with asyncio.timeout(5):
            async for _ in self.socket:
                pass
        return self.socket.close_code


async def connect(bot: Http, op: int = IDENTIFY, **changes: object) -> Socket:
    """A connection that has read HELLO and sent IDENTIFY (or another `op`)."""
    opening = bot.session.ws_connect(f"{bot.server.gateway_url}?v=10&encoding=json")
    socket = Socket(await bot.sockets.enter_async_context(opening))
    assert (await socket.frame())["op"] == HELLO
    await socket.send(op, {"token": bot.server.token, "intents": INTENTS, "properties": {}} | changes)
    return socket


@pytest.mark.parametrize(
    ("op", "changes", "code"),
    [
        (IDENTIFY, {"token": "wrong"}, 4004),
        (IDENTIFY, {"intents": INTENTS | 1 << 8}, 4014),
        (IDENTIFY, {"intents": 1 << 30}, 4013),
        (IDENTIFY, {"shard": [1, 1]}, 4010),
        (99, {}, 4001),
        (3, {}, 4003),
    ],
)
async def test_what_the_gateway_does_not_take(bot: Http, op: int, changes: dict[str, object], code: int) -> None:
    assert await (await connect(bot, op, **changes)).closed() == code


async def test_events_are_numbered_and_a_resume_replays_the_missed_ones(
    server: DiscordServer, bot: Http, ann: User, general: Channel
) -> None:
    socket = await connect(bot)
    ready, guild = await socket.frame(), await socket.frame()
    assert [(f["t"], f["s"]) for f in (ready, guild)] == [("READY", 1), ("GUILD_CREATE", 2)]
    assert ready["d"]["resume_gateway_url"] == server.gateway_url
    await socket.send(HEARTBEAT, 2)
    assert (await socket.frame())["op"] == HEARTBEAT_ACK
    server.reconnect()
    assert (await socket.frame())["op"] == RECONNECT
    server.close_gateway(None)
    server.say(general, ann, "missed")
    session = {"session_id": ready["d"]["session_id"]}
    again = await connect(bot, RESUME, seq=2, **session)
    assert [((await again.frame())["t"]) for _ in range(2)] == ["MESSAGE_CREATE", "RESUMED"]
    server.close_gateway(4009)
    assert await again.closed() == 4009
    last = await connect(bot, RESUME, seq=4, **session)
    refused = await last.frame()
    assert (refused["op"], refused["d"]) == (INVALID_SESSION, False)
    await last.send(IDENTIFY, {"token": server.token, "intents": INTENTS})
    assert (await last.frame())["t"] == "READY"


async def test_a_client_that_stops_beating_is_closed_with_4009() -> None:
    async with DiscordServer(heartbeat_interval=0.1) as server, speaking(server) as bot:
        assert await (await connect(bot)).closed() == 4009


async def test_a_zombie_connection_says_nothing_and_a_refused_one_is_503(server: DiscordServer, bot: Http) -> None:
    socket = await connect(bot)
    await socket.frame()
    server.mute()
    await socket.send(HEARTBEAT, 1)
    with pytest.raises(TimeoutError):
        await socket.socket.receive(timeout=0.1)
    server.refuse_gateway()
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        await connect(bot)


async def test_a_raw_event_reaches_the_bot_as_it_is(server: DiscordServer, bot: Http) -> None:
    socket = await connect(bot)
    await socket.frame()
    server.push_raw("MESSAGE_CREATE", {"id": "no message"})
    assert (await socket.frame())["d"] == {"id": "no message"}
    await socket.socket.close()
