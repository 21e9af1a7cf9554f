"""`magpie doctor`: is everything that is set up fit to run? It says so line by line, with what to do, and changes nothing.

Only the models cost anything: each vendor is asked one short question, of a free model where it has one. Tool servers are
connected as Magpie would connect them: those that are programs are started, and ended again.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from shutil import disk_usage
from typing import TextIO
from urllib.parse import urlsplit

import aiohttp

from bot.app import model_settings
from bot.errors import WORDLESS, BudgetSpent, ModelError, PlatformError, Revoked, SettingsError, StorageError, Trouble
from bot.files import FileStore
from bot.messages import ChatKey, Finished, Notice
from bot.models import Limits, Roster, open_models
from bot.platforms import discord_account, telegram_account
from bot.platforms.telegram_webhook import same_url
from bot.ports import Ledger, Line, ModelCard, Prompt
from bot.settings import MILLIONTHS, Settings
from bot.tools.mcp import McpToolbox, ServerState
from bot.tools.mcp_servers import Server, load_servers
from storage import Store, open_store
from storage.address import shown

LEAST_SPACE = 200_000_000  # bytes: pictures of some days, and room for the database to write its log
PATIENCE = Limits(first=30.0, thinking=30.0, idle=15.0, total=45.0, tries=0.0)
MOST_NAMED = 10  # tools of a server, or things that are wrong with them
PROBE_TOKENS = 16  # some services refuse to write fewer
VENDORS = (
    ("glm", "GLM", "ZHIPUAI_API_KEY"),
    ("qwen", "Qwen", "DASHSCOPE_API_KEY"),
    ("openai", "OpenAI-compatible", "OPENAI_API_KEY"),
)

# What a vendor's no asks of the owner. The others pass by themselves: the key itself was accepted.
REMEDIES = {
    Trouble.BAD_KEY: "write a valid key into {variable}",
    Trouble.NO_MONEY: "top up the account; the key itself is good",
    Trouble.QUOTA: "the plan's quota is used up: wait, or change the plan; the key itself is good",
    Trouble.NO_MODEL: "give the account access to this model, or choose another with CHAT_MODEL",
    Trouble.UNREACHABLE: "check this machine's network, proxy and the vendor's address",
    Trouble.SILENT: "check this machine's network, proxy and the vendor's address",
}


class Report:
    """Lines for a person. No secret gets into one, whoever it came from."""

    def __init__(self, secrets: Sequence[str], out: TextIO) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._out = out
        self.failures = 0

    def good(self, text: str) -> None:
        self._line("✓", text)

    def note(self, text: str) -> None:
        self._line("–", text)

    def bad(self, text: str) -> None:
        self.failures += 1
        self._line("✗", text)

    def _line(self, mark: str, text: str) -> None:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        self._out.write(f"{mark} {text}\n")
        self._out.flush()


class Unbooked:
    """The ledger while the storage is closed: nothing can be booked, so nothing may cost anything."""

    async def reserve(
        self, *, turn: int, chat: ChatKey, model: str, cost: int, day: str, limit: int, job_fence: int | None = None
    ) -> int | None:
        return None

    async def settle(self, call: int, cost: int, *, estimated: bool = False) -> None:
        """There is no call to settle."""

    async def spent(self, day: str) -> int:
        return 0


async def examine(settings: Settings, out: TextIO | None = None) -> int:
    """The exit code: 0 when nothing is wrong, else 1. Raises SettingsError when MCP_CONFIG cannot be read."""
    servers = load_servers(settings.mcp_config) if settings.mcp_config else ()
    secrets = (*settings.secrets, *(secret for server in servers for secret in server.secrets))
    report = Report(secrets, out or sys.stdout)
    report.good("Settings: all can be read.")
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(trust_env=True))
        store = await _storage_and_page(report, settings, stack, session)
        await _telegram(report, settings, session)
        await _discord(report, settings, session)
        _people(report, settings)
        await _tool_servers(report, servers)
        await _models(report, settings, session, store or Unbooked())
    if report.failures:
        report.bad(f"{report.failures} to mend before Magpie can do all that it is set up for.")
        return 1
    report.good("Ready: Magpie has all that it is set up to use.")
    return 0


async def _storage_and_page(
    report: Report, settings: Settings, stack: AsyncExitStack, session: aiohttp.ClientSession
) -> Store | None:
    """A running Magpie holds both, which is as it should be."""
    free = _port_problem(settings.web_host, settings.web_port)
    try:
        store = await stack.enter_async_context(open_store(settings.storage_url))
    except (StorageError, SettingsError) as error:
        if free and await _answers(settings, session):
            report.good("Storage and page: in use by the Magpie that is running here.")
        else:
            report.bad(f"Storage: {error}")
            _page(report, settings, free)
        return None
    space = disk_usage(settings.data_dir if settings.data_dir.is_dir() else ".").free
    told = f"{shown(settings.storage_url)}, {space / 1e9:.1f} GB free"
    if space < LEAST_SPACE:
        report.bad(f"Storage: {told}: make room, a full disk stops Magpie.")
    else:
        report.good(f"Storage: {told}.")
    _page(report, settings, free)
    return store


def _page(report: Report, settings: Settings, problem: str) -> None:
    place = f"{settings.web_host}:{settings.web_port}"
    if problem:
        report.bad(f"Page: cannot listen on {place} ({problem}): free it, or change WEB_HOST or WEB_PORT.")
    else:
        report.good(f"Page: {place} is free.")


def _port_problem(host: str, port: int) -> str:
    try:
        family, kind, protocol, _, address = min(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error.strerror or str(error)
    return ""


async def _answers(settings: Settings, session: aiohttp.ClientSession) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.web_host, settings.web_host)
    url = (
        f"http://[{host}]:{settings.web_port}/healthz" if ":" in host else f"http://{host}:{settings.web_port}/healthz"
    )
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
            return response.status in (200, 503)
    except (aiohttp.ClientError, TimeoutError):
        return False


# --- platforms ---------------------------------------------------------------------------------------------------------


async def _telegram(report: Report, settings: Settings, session: aiohttp.ClientSession) -> None:
    if not settings.telegram_token:
        report.note("Telegram: off; TELEGRAM_BOT_TOKEN turns it on.")
        return
    try:
        account = await telegram_account.look_up(settings.telegram_token, settings.telegram_url, session)
    except Revoked:
        report.bad("Telegram: the token is not accepted: write the one that @BotFather shows into TELEGRAM_BOT_TOKEN.")
        return
    except PlatformError as error:
        report.bad(
            f"Telegram: {settings.telegram_url} cannot be asked ({error}): check network, proxy, TELEGRAM_API_URL."
        )
        return
    report.good(f"Telegram: the token is that of @{account.name}.")
    _webhook(report, settings, account)
    if account.hears_groups:
        report.note(
            "Telegram: privacy mode is off, so it is sent all that is written in its groups (and ignores most)."
        )
    else:
        report.note(
            "Telegram: privacy mode is on: in groups it sees commands, mentions and replies, all that it needs."
        )


def _webhook(report: Report, settings: Settings, account: telegram_account.Account) -> None:
    now, ours = urlsplit(account.webhook).hostname, urlsplit(settings.webhook_url).hostname
    if not same_url(account.webhook, settings.webhook_url):
        then = f"sends them to {ours}" if ours else "asks for them itself"
        if now:
            report.note(f"Telegram: its updates go to {now} now; Magpie {then} when it starts.")
        else:
            report.note(f"Telegram: its webhook at {ours} is not set yet; Magpie does that when it starts.")
    elif account.waiting and account.failure:
        report.bad(
            f"Telegram: {account.waiting} updates wait, it could not deliver to {now} ({account.failure}): look whether "
            f"TELEGRAM_WEBHOOK_URL leads to port {settings.webhook_port} of a Magpie that runs."
        )
    elif account.webhook:
        report.good(f"Telegram: it delivers to {now}.")


async def _discord(report: Report, settings: Settings, session: aiohttp.ClientSession) -> None:
    if not settings.discord_token:
        report.note("Discord: off; DISCORD_BOT_TOKEN turns it on.")
        return
    try:
        account = await discord_account.look_up(settings.discord_token, settings.discord_url, session)
    except Revoked:
        report.bad(
            "Discord: the token is not accepted: make a new one at https://discord.com/developers/applications, page Bot, "
            "and write it into DISCORD_BOT_TOKEN."
        )
        return
    except PlatformError as error:
        report.bad(f"Discord: it cannot be asked ({error}): check network, proxy, DISCORD_API_URL.")
        return
    report.good(f"Discord: the token is that of {account.name}.")
    if not account.reads_content:
        report.bad(
            "Discord: Message Content Intent is off, so replies without a ping stay unread: switch it on at "
            "https://discord.com/developers/applications, page Bot."
        )


def _people(report: Report, settings: Settings) -> None:
    if not settings.telegram_token and not settings.discord_token:
        return
    if "*" in settings.allowed:
        report.note("People: ALLOWED=* lets anyone who finds the bot spend your budget.")
    elif not settings.admins and not settings.allowed:
        report.note("People: nobody may use it yet: write to the bot, it tells you your id for ADMINS.")
    else:
        report.good(f"People: {len(settings.admins)} in ADMINS, {len(settings.allowed)} in ALLOWED.")


# --- tool servers ------------------------------------------------------------------------------------------------------


async def _tool_servers(report: Report, servers: Sequence[Server]) -> None:
    if not servers:
        report.note("Tool servers: none; MCP_CONFIG adds some.")
        return
    box = McpToolbox(servers)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(box.run())
        await box.tried()
        states = box.states()
        running.cancel()
    for state in states:
        _tool_server(report, state)


def _tool_server(report: Report, state: ServerState) -> None:
    about = f"Tool server {state.name!r}"
    if not state.up:
        report.bad(f"{about}: {state.trouble or 'it broke off at once'}: look at what MCP_CONFIG says of it.")
        return
    asking = len(state.asking)
    if asking:
        named = ", ".join(map(repr, state.asking[:MOST_NAMED])) + (", …" if asking > MOST_NAMED else "")
        report.good(f"{about}: {state.tools} tools; {asking} of them ask a person before each call: {named}.")
    else:
        report.good(f"{about}: {state.tools} tools, none of which asks a person before a call.")
    for complaint in state.complaints[:MOST_NAMED]:
        report.note(f"{about}: {complaint}.")


# --- models ------------------------------------------------------------------------------------------------------------


async def _models(report: Report, settings: Settings, session: aiohttp.ClientSession, ledger: Ledger) -> None:
    if settings.simulated:
        report.note(
            "Models: none set up, the built-in simulator answers; ZHIPUAI_API_KEY or DASHSCOPE_API_KEY turns them on."
        )
        return
    try:
        configured = model_settings(settings, session, ledger, FileStore(settings.data_dir / "files"))
        roster = open_models(replace(configured, limits=PATIENCE))
    except SettingsError as error:
        for problem in error.problems:
            report.bad(f"Models: {problem}")
        return
    await roster.warm()
    for vendor, name, variable in VENDORS:
        cards = [card for card in roster.cards() if card.vendor == vendor and card.kind == "chat"]
        if cards:
            await _ask(report, name, variable, roster, min(cards, key=_price), ledger)
        elif vendor == "openai" and (settings.openai_key or settings.openai_url):
            report.bad(f"{name}: its models cannot be listed: check OPENAI_BASE_URL and OPENAI_API_KEY.")


def _price(card: ModelCard) -> tuple[float, bool]:
    return (sum(card.price[0][1:]) if card.price else 0.0, not card.default)


async def _ask(report: Report, name: str, variable: str, roster: Roster, card: ModelCard, ledger: Ledger) -> None:
    """One short question. What it cost is booked: it counts against the day's budget like any other."""
    prompt = Prompt(
        card=card, lines=(Line("user", "1+1=?"),), output=PROBE_TOKENS, chat=ChatKey("doctor", "check"), turn=0
    )
    finished: Finished | None = None
    try:
        async with aclosing(roster.chat(card).generate(prompt)) as parts:
            async for part in parts:
                if isinstance(part, Finished):
                    finished = part
                elif isinstance(part, Notice):
                    report.note(f"{name}: {part.text}")
    except BudgetSpent as error:
        report.note(f"{name}: not asked, it would cost money ({error}).")
        return
    except ModelError as error:
        _explain(report, name, variable, card, error)
        return
    if finished is not None and finished.call is not None:
        await ledger.settle(finished.call, finished.cost, estimated=finished.usage.estimated)
    cost = f"for {finished.cost / MILLIONTHS:.6f} CNY" if finished and finished.cost else "for free"
    report.good(f"{name}: {card.name} answers, {cost}.")


def _explain(report: Report, name: str, variable: str, card: ModelCard, error: ModelError) -> None:
    said = f" ({error.vendor_message})" if error.vendor_message else ""
    if error.trouble in REMEDIES:
        report.bad(f"{name}: {error}{said}: {REMEDIES[error.trouble].format(variable=variable)}.")
    elif error.code in WORDLESS or error.trouble in (Trouble.BUSY, Trouble.OVERLOADED):
        report.good(f"{name}: the key is good; {card.name} has no words just now ({error.trouble}).")
    else:
        report.bad(f"{name}: {error}{said}: try again; if it stays, the vendor's status page may tell.")
