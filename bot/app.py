"""The only wiring: what is configured is opened, connected and run in one AsyncExitStack and one TaskGroup."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.request import getproxies

import aiohttp

from bot import commands, logs, metrics
from bot.access import Access
from bot.background.progress import Progress
from bot.background.runner import Runner
from bot.background.steps import Steps
from bot.documents import is_document
from bot.errors import ModelError, PlatformError, Revoked, SettingsError, StorageError, StorageRefused
from bot.files import FileStore
from bot.insist import insist
from bot.manager import ConversationManager
from bot.messages import ChatKey
from bot.models import ModelSettings, Roster, open_models
from bot.operator.alarms import Alarms, Cause
from bot.operator.announcing import announce
from bot.operator.health import Readiness
from bot.platforms.web import Banner, WebPlatform
from bot.ports import Ledger, Platform, Toolbox, Topic
from bot.settings import Settings
from bot.sockets import watchful_socket
from bot.tools import built_in
from bot.tools.mcp import McpToolbox
from bot.tools.mcp_servers import load_servers
from bot.tools.registry import Combined
from bot.turns.delivery import Delivery
from bot.turns.engine import Engine
from bot.turns.fleet import Alone, Fleet
from storage import Store, open_store

log = logging.getLogger("magpie")

DRAIN = 7.0  # seconds for answers under way when the program is asked to end: with what follows it is gone within 10
LAST_WORD = 1.0  # seconds to tell other workers that we go
RECONNECT = (1.0, 60.0)  # seconds between starts of an adapter that broke down: the first wait and the longest
GENERATION = 20_000  # allocations between collections: most of what we allocate dies by reference count


async def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError and StorageError when the start is not possible."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.storage_url))
        # With trust_env aiohttp reads the environment and ~/.netrc for each request: only where there is a proxy to be found.
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, socket_factory=watchful_socket), trust_env=bool(getproxies())
            )
        )
        files = FileStore(settings.data_dir / "files", store if store.lease else None)
        vendors = session
        if settings.simulated:
            settings = await stack.enter_async_context(_simulated(settings))
            vendors = await stack.enter_async_context(aiohttp.ClientSession())  # no proxy leads to our own simulator
        alarms = Alarms(store, settings.admins, settings.data_dir)
        roster = open_models(model_settings(settings, vendors, store, files, alarms.vendor_failed))
        access = Access(settings.admins, settings.allowed, await store.moves())
        ready = asyncio.Event()
        fleet = Fleet(store) if store.lease else Alone()
        token = await _web_token(settings, store)

        async def revive(ids: Sequence[int]) -> Sequence[int]:
            unknown = await store.retry_dead(ids)
            engine.look()
            return unknown

        platforms = _platforms(settings, session, store, files, roster, access, ready, fleet, token, revive)
        servers = McpToolbox(load_servers(settings.mcp_config) if settings.mcp_config else ())
        delivery = _delivery(store, platforms, access, fleet)
        manager = _manager(settings, store, roster, platforms, files, servers)
        steps = Steps(
            store,
            roster,
            roster,
            files,
            manager.prompt_of,
            progress=Progress(delivery, platforms).show,
            ended=lambda: engine.look(),
        )
        runner = Runner(store, steps, may_act=fleet.may_act)
        engine = Engine(
            inbox=store,
            control=store,
            platforms=platforms,
            handler=manager,
            delivery=delivery,
            moved=access.moved,
            ordered=runner.look,
            fleet=fleet,
        )
        moved = _subscribe(store, engine, runner, fleet, platforms)
        announce(settings, roster)
        beside = [fleet.run(engine.heard), _follow_moves(store, access, moved), alarms.run(platforms), servers.run()]
        await _serve(engine, runner, platforms, roster, alarms, ready, beside)
        if store.lease:
            await _resign(store)


def _subscribe(
    store: Store, engine: Engine, runner: Runner, fleet: Alone | Fleet, platforms: dict[str, Platform]
) -> asyncio.Event:
    """What other workers of the store tell of wakes those who look for it; the event: a chat has a new key."""
    moved, page = asyncio.Event(), platforms["web"]
    assert isinstance(page, WebPlatform)
    store.subscribe(Topic.WORK, engine.look)
    store.subscribe(Topic.STOP, runner.look)
    store.subscribe(Topic.STOP, fleet.hurry)
    store.subscribe(Topic.SHOW, engine.look_for_outboxes)
    store.subscribe(Topic.BOARD, page.look)
    store.subscribe(Topic.MOVED, moved.set)
    return moved


async def _resign(store: Store) -> None:
    try:
        async with asyncio.timeout(LAST_WORD):
            await store.resign()
    except (StorageError, TimeoutError) as error:
        log.warning("Other workers take over when our lease is over, in 3 s: %s", error)


async def _follow_moves(store: Store, access: Access, moved: asyncio.Event) -> None:
    while True:
        await moved.wait()
        moved.clear()
        for old, new in (await insist(store.moves)).items():
            access.moved(old, new)


def _manager(
    settings: Settings,
    store: Store,
    roster: Roster,
    platforms: dict[str, Platform],
    files: FileStore,
    servers: Toolbox,
) -> ConversationManager:
    own = built_in(search=roster.searching(), fake_ip=settings.fetch_fake_ip)
    return ConversationManager(
        history=store,
        models=roster,
        platforms=platforms,
        files=files,
        image_model=settings.image_model,
        toolbox=Combined([own, servers]),
        runs=store,
        jobs=store,
        offers=roster,
    )


def _delivery(store: Store, platforms: dict[str, Platform], access: Access, fleet: Alone | Fleet) -> Delivery:
    async def moving(old: ChatKey, new: ChatKey) -> None:
        await store.move(old, new)
        access.moved(f"{old.platform}:{old.chat}", f"{new.platform}:{new.chat}")

    return Delivery(store, platforms, moving, fleet.may_act)


async def _serve(
    engine: Engine,
    runner: Runner,
    platforms: dict[str, Platform],
    roster: Roster,
    alarms: Alarms,
    ready: asyncio.Event,
    beside: Sequence[Coroutine[None, None, None]],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(engine.run(), name="engine"),
            tasks.create_task(runner.run(), name="background work"),
            tasks.create_task(roster.warm(), name="models"),
            *(tasks.create_task(_listen(platform, engine, alarms), name=name) for name, platform in platforms.items()),
            tasks.create_task(_announce_page(platforms), name="page's address"),
            *map(tasks.create_task, beside),
            tasks.create_task(metrics.watch_loop(), name="lag of the loop"),
        ]
        ready.set()
        gc.collect()
        gc.freeze()
        gc.set_threshold(GENERATION, 20, 50)
        await stop.wait()
        log.info("Ending: answers under way have %g s.", DRAIN)
        await asyncio.gather(engine.drain(DRAIN), runner.drain(DRAIN))
        for task in running:
            task.cancel()
    log.info("Ended. What is not finished goes on at the next start.")


async def _listen(platform: Platform, engine: Engine, alarms: Alarms) -> None:
    """One adapter, for ever: a token that is no good ends it, a breakdown only interrupts it."""
    logs.about(platform=platform.name)
    wait = RECONNECT[0]
    while True:
        try:
            return await platform.listen(engine)
        except PlatformError as error:
            log.error("%s is off: %s", platform.name, error)
            if isinstance(error, Revoked):
                alarms.ring(Cause.REVOKED, platform.name)
            return None
        except SettingsError:
            raise
        except Exception:  # a reconnect loop: the others go on, and so shall this one
            log.exception("%s broke down; it starts again in %g s", platform.name, wait)
        await asyncio.sleep(wait)
        wait = min(wait * 2, RECONNECT[1])


async def _announce_page(platforms: dict[str, Platform]) -> None:
    page = platforms["web"]
    assert isinstance(page, WebPlatform)
    await page.started.wait()
    log.info("Page: %s", page.one_time_link())


# --- what is on --------------------------------------------------------------------------------------------------------


def _platforms(
    settings: Settings,
    session: aiohttp.ClientSession,
    store: Store,
    files: FileStore,
    roster: Roster,
    access: Access,
    ready: asyncio.Event,
    fleet: Alone | Fleet,
    token: str | None,
    revive: Callable[[Sequence[int]], Awaitable[Sequence[int]]],
) -> dict[str, Platform]:
    menu = commands.menu(roster)
    platforms: dict[str, Platform] = {}
    platforms["web"] = WebPlatform(
        host=settings.web_host,
        port=settings.web_port,
        board=store,
        files=files,
        menu=menu,
        banner=Banner(simulated=settings.simulated, variables=("ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY")),
        ready=Readiness(store, platforms, ready.is_set),
        figures=metrics.Exposition(store, platforms),
        revive=revive,
        readable=is_document,
        token=token,
        public_url=settings.web_url,
    )
    if settings.telegram_token:
        from bot.platforms.telegram import TelegramPlatform
        from bot.platforms.telegram_webhook import Webhook

        hook = Webhook(settings.webhook_url, settings.webhook_host, settings.webhook_port)
        platforms["telegram"] = TelegramPlatform(
            token=settings.telegram_token,
            api_url=settings.telegram_url,
            session=session,
            gate=access,
            duties=fleet,
            cursors=store,
            files=files,
            menu=menu,
            webhook=hook if hook.url else None,
            drafts=settings.telegram_drafts,
        )
    if settings.discord_token:
        from bot.platforms.discord import DiscordPlatform

        platforms["discord"] = DiscordPlatform(
            token=settings.discord_token,
            api_url=settings.discord_url,
            session=session,
            gate=access,
            cursors=store,
            files=files,
            menu=menu,
            duties=fleet,
        )
    return platforms


@asynccontextmanager
async def _simulated(settings: Settings) -> AsyncIterator[Settings]:
    """No model is set up: both vendors are played by the simulator, on a loopback port of its own."""
    from bot.simulator import Simulator

    async with Simulator(keep_calls=0) as simulator:
        yield replace(
            settings,
            zhipuai_key=simulator.api_key,
            zhipuai_url=simulator.glm_url,
            dashscope_key=simulator.api_key,
            dashscope_url=simulator.dashscope_url,
        )


def model_settings(
    settings: Settings,
    session: aiohttp.ClientSession,
    ledger: Ledger,
    files: FileStore,
    failed: Callable[[ModelError], None] = lambda error: None,
) -> ModelSettings:
    return ModelSettings(
        session=session,
        ledger=ledger,
        files=files,
        zhipu_key=settings.zhipuai_key,
        zhipu_url=settings.zhipuai_url,
        dashscope_key=settings.dashscope_key,
        dashscope_url=settings.dashscope_url,
        openai_key=settings.openai_key,
        openai_url=settings.openai_url,
        chat_model=settings.chat_model,
        image_model=settings.image_model,
        fallback_model=settings.fallback_model,
        catalog_file=settings.catalog_file,
        daily_budget=settings.daily_budget,
        simulated=settings.simulated,
        fake_ip=settings.fetch_fake_ip,
        failed=failed,
    )


async def _web_token(settings: Settings, store: Store) -> str | None:
    """The page's password: as set, else a random one kept in DATA_DIR, or where all processes of a shared store find it. None:
    only this machine reaches a simulator."""
    if settings.simulated and settings.web_host in ("127.0.0.1", "localhost", "::1") and not settings.web_url:
        return settings.web_token or None
    if settings.web_token:
        return settings.web_token
    if store.lease:
        return await store.keep("web/token", secrets.token_urlsafe(24))
    return _kept_token(settings.data_dir / "web_token")


def _kept_token(path: Path) -> str:
    try:
        if path.is_file() and (kept := path.read_text("ascii").strip()):
            return kept
        token = secrets.token_urlsafe(24)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(token)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageRefused(f"Cannot keep the page's password in {path} ({error}): set WEB_TOKEN.") from error
    return token
