"""The owner is told what to look after: once an hour for each cause, wherever they can be reached, and nobody waits for it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot import phrases
from bot.errors import Forbidden, ModelError, RetryLater, Revoked, StorageError, Trouble, Unreachable, Unsure
from bot.messages import ChatKey
from bot.operator.alarms import CAUSES, LEAST_SHARE, Alarm, Alarms, Cause, nearly_full
from bot.ports import Backlog, Platform
from storage import open_store
from tests.stage import until
from tests.window import Window

ADMINS = ("telegram:7", "discord:8")


@dataclass
class Book:
    """What several workers share: when a cause was told last."""

    told: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    broken: bool = False
    dead: int = 0

    async def due(self, cause: str, every: float) -> bool:
        self.asked += 1
        if self.broken:
            raise StorageError("disk full")
        now = time.monotonic()
        if now - self.told.get(cause, float("-inf")) < every:
            return False
        self.told[cause] = now
        return True

    async def backlog(self) -> Backlog:
        if self.broken:
            raise StorageError("disk full")
        return Backlog(waiting=0, oldest=0.0, unshown=0, dead=self.dead)


class Place(Window):
    """A platform that can be polled, and on which people can be told something alone."""

    def __init__(self, name: str) -> None:
        super().__init__(name, width=2000)
        self.heard_at: float | None = None

    async def private(self, person: str) -> ChatKey:
        return ChatKey(self.name, f"dm-{person}")

    def told(self, person: str) -> list[str]:
        return self.standing(ChatKey(self.name, f"dm-{person}"))


@dataclass
class Scene:
    telegram: Place = field(default_factory=lambda: Place("telegram"))
    discord: Place = field(default_factory=lambda: Place("discord"))
    web: Place = field(default_factory=lambda: Place("web"))

    @property
    def platforms(self) -> dict[str, Platform]:
        return {"telegram": self.telegram, "discord": self.discord, "web": self.web}

    @property
    def told(self) -> list[list[str]]:
        """What each of the three owners reads."""
        return [self.telegram.told("7"), self.discord.told("8"), self.web.told("1")]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def running(alarms: Alarms, platforms: Mapping[str, Platform]) -> AsyncIterator[Alarms]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(alarms.run(platforms))
        try:
            yield alarms
        finally:
            task.cancel()


def alarms(book: Book, tmp_path: Path, *, every: float = 3600.0, look: float = 60.0, deaf: float = 120.0) -> Alarms:
    return Alarms(book, ADMINS, tmp_path, every=every, look=look, retry=0.02, deaf=deaf)


async def settled() -> None:
    """Long enough for anything that would be told wrongly."""
    await asyncio.sleep(0.1)


async def test_every_owner_is_told_what_to_do_in_both_languages(scene: Scene, tmp_path: Path) -> None:
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        bell.ring(Cause.BAD_KEY, "glm")
        await until(lambda: all(scene.told))

    for [text] in scene.told:
        assert "GLM (Zhipu AI) does not accept my key" in text and "magpie doctor" in text
        assert "GLM (Zhipu AI) 不接受我的密钥" in text


async def test_one_cause_is_told_once_and_another_beside_it(scene: Scene, tmp_path: Path) -> None:
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        for _ in range(100):
            bell.ring(Cause.BAD_KEY, "glm")
            await asyncio.sleep(0)
        bell.ring(Cause.BAD_KEY, "qwen")
        bell.ring(Cause.NO_MONEY, "glm")
        await until(lambda: len(scene.web.told("1")) == 3)
        await settled()

    assert [len(told) for told in scene.told] == [3, 3, 3]


async def test_a_model_that_the_vendor_does_not_know_any_more_is_told_with_names_like_it(
    scene: Scene, tmp_path: Path
) -> None:
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        typed = ModelError(Trouble.NO_MODEL, vendor="openai", model="openai/typed-by-somebody")
        bell.vendor_failed(typed)
        renamed = ModelError(Trouble.NO_MODEL, vendor="glm", model="glm-4.7-flash")
        renamed.nearest = ("glm-4.7-flashx", "glm-4.7")
        bell.vendor_failed(renamed)
        await until(lambda: all(scene.told))
        await settled()

    for [text] in scene.told:
        assert "glm-4.7-flash → glm-4.7-flashx, glm-4.7" in text


async def test_workers_and_starts_share_the_hour(scene: Scene, tmp_path: Path) -> None:
    """On the store as it is: whoever asks second is not due, also after a restart."""
    url = f"sqlite:///{tmp_path / 'magpie.db'}"
    for _ in range(2):
        async with open_store(url) as store:
            first, second = (Alarms(store, ADMINS, tmp_path) for _ in range(2))
            async with running(first, scene.platforms), running(second, scene.platforms):
                for bell in (first, second):
                    bell.ring(Cause.DEAD_LETTER)
                await until(lambda: all(scene.told))
                await settled()

    assert [len(told) for told in scene.told] == [1, 1, 1]


async def test_after_the_hour_it_is_told_again(scene: Scene, tmp_path: Path) -> None:
    async with running(alarms(Book(), tmp_path, every=0.05), scene.platforms) as bell:
        while len(scene.web.told("1")) < 3:
            bell.ring(Cause.DISK)
            await asyncio.sleep(0.005)


async def test_a_cause_that_rings_all_the_time_asks_the_store_but_once(scene: Scene, tmp_path: Path) -> None:
    book = Book(told={"no money/glm": time.monotonic()})  # by another worker
    async with running(alarms(book, tmp_path), scene.platforms) as bell:
        for _ in range(20):
            bell.ring(Cause.NO_MONEY, "glm")
            await asyncio.sleep(0.002)

    assert book.asked == 1
    assert scene.told == [[], [], []]


async def test_whoever_cannot_be_reached_now_is_told_later_and_the_others_at_once(scene: Scene, tmp_path: Path) -> None:
    scene.telegram.fail("send", Unreachable("down"), Unreachable("down"), RetryLater(0.05), Unreachable("down"))
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        bell.ring(Cause.DEAF, "telegram")
        await until(lambda: scene.web.told("1") and scene.discord.told("8"))
        await until(lambda: scene.telegram.told("7"))
        await settled()

    assert [len(told) for told in scene.told] == [1, 1, 1]
    assert len({call.nonce for call in scene.telegram.made("send")}) == 1
    assert not scene.telegram.impatient


async def test_a_platform_that_hangs_holds_up_nobody(scene: Scene, tmp_path: Path) -> None:
    held = scene.telegram.hold("send")
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        bell.ring(Cause.DISK)
        async with asyncio.timeout(5):
            await held.caught.wait()
        await until(lambda: scene.web.told("1") and scene.discord.told("8"))


@pytest.mark.parametrize("error", [Forbidden("never wrote to the bot"), Revoked("no token"), Unsure("timed out")])
async def test_whoever_cannot_be_told_at_all_is_left_alone(scene: Scene, tmp_path: Path, error: Forbidden) -> None:
    scene.telegram.fail("send", error)
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        bell.ring(Cause.DISK)
        await until(lambda: scene.discord.told("8"))
        await settled()

    assert len(scene.telegram.made("send")) == 1


async def test_a_bug_in_one_platform_ends_neither_the_alarms_nor_the_bot(scene: Scene, tmp_path: Path) -> None:
    scene.telegram.broken_layout = lambda markdown: "disk" in markdown
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        bell.ring(Cause.DISK)
        await until(lambda: scene.discord.told("8"))
        bell.ring(Cause.NO_MONEY, "glm")
        await until(lambda: scene.telegram.told("7"))


async def test_while_the_store_does_not_answer_this_process_remembers_the_hour(scene: Scene, tmp_path: Path) -> None:
    async with running(alarms(Book(broken=True), tmp_path), scene.platforms) as bell:
        for _ in range(10):
            bell.ring(Cause.DISK)
            await asyncio.sleep(0.005)
        await until(lambda: all(scene.told))
        await settled()

    assert [len(told) for told in scene.told] == [1, 1, 1]


async def test_a_deaf_platform_is_noticed_and_one_whose_token_is_revoked_is_told_as_that(
    scene: Scene, tmp_path: Path
) -> None:
    scene.telegram.heard_at = scene.discord.heard_at = time.monotonic() - 1
    async with running(alarms(Book(), tmp_path, look=0.02, deaf=0.5), scene.platforms) as bell:
        bell.ring(Cause.REVOKED, "discord")
        await until(lambda: len(scene.web.told("1")) >= 2)
        await settled()

    assert len(scene.web.told("1")) == 2
    assert "Discord does not accept my token" in scene.web.told("1")[0]
    assert "I have heard nothing from Telegram" in scene.web.told("1")[1]


async def test_a_process_that_was_paused_does_not_take_its_own_sleep_for_silence(scene: Scene, tmp_path: Path) -> None:
    scene.telegram.heard_at = time.monotonic()
    async with running(alarms(Book(), tmp_path, look=0.1, deaf=0.3), scene.platforms):
        await asyncio.sleep(0.02)
        time.sleep(0.5)  # noqa: ASYNC251  # as under SIGSTOP: the loop stands still
        for _ in range(5):  # the alarms' timer goes off first, then the poll under way ends
            await asyncio.sleep(0)
        scene.telegram.heard_at = time.monotonic()
        await settled()

    assert scene.told == [[], [], []]


async def test_a_dead_letter_is_noticed_and_those_of_before_are_not(scene: Scene, tmp_path: Path) -> None:
    book = Book(dead=3)
    async with running(alarms(book, tmp_path, look=0.02), scene.platforms):
        await settled()
        assert scene.told == [[], [], []]
        book.broken = True
        await settled()
        book.broken, book.dead = False, 2  # one was tried again
        await settled()
        assert scene.told == [[], [], []]
        book.dead = 3
        await until(lambda: all(scene.told))

    assert "magpie dead" in scene.web.told("1")[0]


def test_only_what_the_owner_can_mend_rings() -> None:
    assert {trouble for trouble in Trouble if trouble in CAUSES} == {Trouble.NO_MONEY, Trouble.BAD_KEY}


async def test_a_vendors_no_rings_by_its_kind(scene: Scene, tmp_path: Path) -> None:
    async with running(alarms(Book(), tmp_path), scene.platforms) as bell:
        for trouble in Trouble:
            bell.vendor_failed(ModelError(trouble, vendor="qwen", model="qwen-plus", vendor_message="sk-secret"))
        await until(lambda: len(scene.web.told("1")) == 2)
        await settled()

    assert len(scene.web.told("1")) == 2
    assert "sk-secret" not in "".join(scene.web.told("1"))


async def test_only_people_are_told_and_only_where_magpie_runs(tmp_path: Path) -> None:
    web = Place("web")
    bell = Alarms(Book(), ("telegram:7", "web:1"), tmp_path, retry=0.02)
    async with running(bell, {"web": web, "window": Window()}):
        bell.ring(Cause.DISK)
        await until(lambda: web.told("1"))
        await settled()

    assert len(web.made("send")) == 1


def test_every_cause_has_its_sentence() -> None:
    assert set(phrases.ALARM) == {cause.value for cause in Cause}
    for cause in Cause:
        said = Alarm(cause, "telegram").phrase
        assert "{" not in said.en + said.zh


def test_the_disk_is_looked_at_also_before_its_directory_is_made(tmp_path: Path) -> None:
    disk = shutil.disk_usage(tmp_path)
    full = disk.free < 200_000_000 or disk.free < disk.total * LEAST_SHARE

    assert nearly_full(tmp_path) == nearly_full(tmp_path / "not" / "yet") == full
