"""The models' rim: GLM, Qwen and OpenAI-compatible services behind `ports.Models`.

Which models are set up here, what a name means and which is the default is decided in this file. The rest:
`catalog` (+ .toml) what is known of each model, `listing` prints it; the `zhipu` files, the `dashscope` files and `openai` one
vendor each, one try of a call; `guarded` (chat) and `offers` (orders, speech, searches) the policies around every call, with
`admission` (`gate`, `breaker`), `tries`, `watch`, `budget`, `costs`, and `vendor` what they ask of a vendor's file; `calls`,
`pictures`, `sse`, `marks` what the vendors share.
A vendor's SDK costs half a second to import: that happens in `warm` or at the first call, in a thread.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import aiohttp

from bot.errors import ModelError, SettingsError, Trouble
from bot.models import catalog
from bot.models.budget import Budget
from bot.models.guarded import Guarded, Limits
from bot.models.offers import Offered
from bot.models.openai import PREFIX, OpenAI, card_for
from bot.models.pictures import Kept
from bot.models.vendor import Offering, Vendor
from bot.ports import Kind, Ledger, ModelCard, SearchModel, Unknown

__all__ = ["Limits", "ModelSettings", "Roster", "open_models"]

log = logging.getLogger(__name__)

GLM_URL = "https://open.bigmodel.cn/api/paas/v4"
QWEN_URL = "https://dashscope.aliyuncs.com/api/v1"
OPENAI_URL = "https://api.openai.com/v1"

OPENAI_NAME = re.compile(rf"{PREFIX}[!-~]{{1,100}}")  # what may be asked of such a service unseen


VARIABLES = {"glm": "ZHIPUAI_API_KEY", "qwen": "DASHSCOPE_API_KEY", "openai": "OPENAI_BASE_URL"}
ALIASES = {
    **dict.fromkeys(("glm", "zhipu", "zhipuai", "chatglm", "智谱"), "glm"),
    **dict.fromkeys(("qwen", "dashscope", "tongyi", "通义", "千问"), "qwen"),
    "openai": "openai",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What the models need of the configuration; "" for what is not set. URLs are the roots that the vendors document.

    daily_budget in millionths of a CNY; `simulated`: the URLs are the built-in simulator's, so no money is at stake; `fake_ip`
    as in `foreign.Rules`, for the links of results; `failed` is told of every try of a call that fails, and may not wait.
    """

    session: aiohttp.ClientSession
    ledger: Ledger
    files: Kept
    zhipu_key: str = ""
    zhipu_url: str = ""
    dashscope_key: str = ""
    dashscope_url: str = ""
    openai_key: str = ""
    openai_url: str = ""
    chat_model: str = ""
    image_model: str = ""
    fallback_model: str = ""
    catalog_file: Path | None = None
    daily_budget: int = 5_000_000
    simulated: bool = False
    fake_ip: bool = False
    limits: Limits = field(default_factory=Limits)
    failed: Callable[[ModelError], None] = lambda error: None


def open_models(settings: ModelSettings) -> Roster:
    """Reads the catalogue; imports and calls nothing. Raises SettingsError for CATALOG_FILE, CHAT_MODEL, IMAGE_MODEL and
    FALLBACK_MODEL."""
    roster = Roster(settings, catalog.load(settings.catalog_file))
    problems = [
        problem
        for variable, name, kind in (
            ("CHAT_MODEL", settings.chat_model, "chat"),
            ("IMAGE_MODEL", settings.image_model, "image"),
            ("FALLBACK_MODEL", settings.fallback_model, "chat"),
        )
        if name and (problem := roster.problem(variable, name, "image" if kind == "image" else "chat"))
    ]
    if problems:
        raise SettingsError(tuple(problems))
    return roster


def _sees(card: ModelCard) -> bool:
    return bool(card.vision or card.edits or card.animates)


class _Opening:
    """A vendor's file, loaded in a thread when it is first needed, once."""

    def __init__(self, load: Callable[[], Vendor]) -> None:
        self._load = load
        self._vendor: Vendor | None = None
        self._lock = asyncio.Lock()

    async def __call__(self) -> Vendor:
        if self._vendor is None:
            async with self._lock:
                if self._vendor is None:
                    self._vendor = await asyncio.to_thread(self._load)
        return self._vendor


class Roster:
    """The models that are set up here: `ports.Models`."""

    def __init__(self, settings: ModelSettings, known: dict[str, ModelCard]) -> None:
        self.settings = settings
        self._known = known
        self._listed: dict[str, ModelCard] = {}  # what the OpenAI-compatible service says it has
        self._openings = {name: _Opening(load) for name, load in _loaders(settings).items()}
        budget = Budget(settings.ledger, None if settings.simulated else settings.daily_budget)
        keys = {"glm": settings.zhipu_key, "qwen": settings.dashscope_key, "openai": settings.openai_key}
        self._guarded = {
            name: Guarded(name, opening, budget, settings.limits, key=keys[name], failed=self._failed)
            for name, opening in self._openings.items()
        }
        self._offered = {
            name: Offered(
                name,
                offering,
                budget,
                settings.limits,
                admission=self._guarded[name].admission,
                key=keys[name],
                fake_ip=settings.fake_ip,
                failed=self._failed,
            )
            for name, offering in _offerings(self._openings).items()
        }

    @property
    def simulated(self) -> bool:
        return self.settings.simulated

    async def warm(self) -> None:
        """Import what is configured and ask the OpenAI-compatible service for its models; its silence is only logged."""
        for opening in self._openings.values():
            vendor = await opening()
            if isinstance(vendor, OpenAI):
                try:
                    self._listed = {card.name: card for card in await vendor.models()}
                except ModelError as error:
                    self._failed(error)
                    log.warning("OPENAI_BASE_URL: its models cannot be listed (%s); name one as openai/<name>", error)

    def cards(self) -> Sequence[ModelCard]:
        everything = {**self._listed, **self._known}
        return [card for vendor in self._openings for card in everything.values() if card.vendor == vendor]

    def find(self, name: str, kind: Kind = "chat") -> ModelCard | Unknown:
        wanted = name.strip().lower()
        vendor = ALIASES.get(wanted)
        if vendor:
            card = self._default(vendor, kind) if vendor in self._openings else None
            return card or Unknown(variable="" if vendor in self._openings else VARIABLES[vendor], other=True)
        card = self._known.get(wanted) or self._known.get(name.strip()) or self._listed.get(name.strip())
        if card is None and kind == "chat" and OPENAI_NAME.fullmatch(wanted):
            url = self.settings.openai_url or OPENAI_URL
            card = card_for(name.strip()[len(PREFIX) :], url)
        if card is None or card.kind != kind:
            return Unknown(nearest=self._nearest(wanted, kind), other=card is not None)
        if card.vendor not in self._openings:
            return Unknown(nearest=self._nearest(wanted, kind), variable=VARIABLES[card.vendor])
        return card

    def pick(self, kind: Kind, *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        name = self.settings.image_model if kind == "image" else self.settings.chat_model
        chosen = self.find(name, kind) if name else None
        if isinstance(chosen, ModelCard) and vendor in ("", chosen.vendor) and (_sees(chosen) or not vision):
            return chosen
        vendors = [vendor] if vendor else list(self._openings)
        return next((card for one in vendors if (card := self._default(one, kind, vision=vision))), None)

    def fallback(self) -> ModelCard | None:
        found = self.find(self.settings.fallback_model) if self.settings.fallback_model else None
        return found if isinstance(found, ModelCard) else None

    def chat(self, card: ModelCard) -> Guarded:
        return self._guarded[card.vendor]

    def background(self, card: ModelCard) -> Offered:
        return self._offered[card.vendor]

    def speech(self, card: ModelCard) -> Offered:
        return self._offered[card.vendor]

    def searching(self) -> SearchModel | None:
        return self._offered.get("glm")

    def problem(self, variable: str, name: str, kind: Kind) -> str:
        """What is wrong with this setting, "" for nothing."""
        found = self.find(name, kind)
        if isinstance(found, ModelCard):
            return ""
        if found.variable:
            return f"{variable}={name} needs {found.variable}: set it, or choose another model"
        nearest = f"; did you mean {', '.join(found.nearest)}?" if found.nearest else ""
        return f"{variable}={name}: no {kind} model has that name{nearest}"

    def _failed(self, error: ModelError) -> None:
        if error.trouble is Trouble.NO_MODEL and error.model in self._known:
            kind = self._known[error.model].kind
            error.nearest = tuple(name for name in self._nearest(error.model.lower(), kind) if name != error.model)
        self.settings.failed(error)

    def _default(self, vendor: str, kind: Kind, *, vision: bool = False) -> ModelCard | None:
        """A vendor's default; one that sees only where that is asked for, or where there is no other."""
        cards = [card for card in self.cards() if card.vendor == vendor and card.kind == kind]
        if vision:
            cards = [card for card in cards if _sees(card)]
        ranked = sorted(cards, key=lambda card: (not card.default, card.vision and not vision))
        return ranked[0] if ranked else None

    def _nearest(self, wanted: str, kind: Kind) -> tuple[str, ...]:
        names = [card.name for card in self.cards() if card.kind == kind]
        close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
        within = [name for name in names if wanted in name and name not in close] if wanted else []
        return tuple([*close, *within][:3])


def _offerings(openings: Mapping[str, _Opening]) -> dict[str, Callable[[], Awaitable[Offering]]]:
    """Of the vendors that offer more than chat."""

    def of(opening: _Opening) -> Callable[[], Awaitable[Offering]]:
        async def opened() -> Offering:
            return cast(Offering, await opening())

        return opened

    return {name: of(opening) for name, opening in openings.items() if name != "openai"}


def _loaders(settings: ModelSettings) -> dict[str, Callable[[], Vendor]]:
    """How to load each vendor that is configured, in the order of preference."""
    s = settings

    def glm() -> Vendor:
        from bot.models.zhipu import Zhipu

        return Zhipu(s.session, s.files, key=s.zhipu_key, url=s.zhipu_url or GLM_URL)

    def qwen() -> Vendor:
        from bot.models.dashscope import DashScope

        return DashScope(s.session, s.files, key=s.dashscope_key, url=s.dashscope_url or QWEN_URL)

    def openai() -> Vendor:
        return OpenAI(s.session, s.files, key=s.openai_key, url=s.openai_url or OPENAI_URL)

    loaders: dict[str, Callable[[], Vendor]] = {}
    if s.zhipu_key:
        loaders["glm"] = glm
    if s.dashscope_key:
        loaders["qwen"] = qwen
    if s.openai_key or s.openai_url:
        loaders["openai"] = openai
    return loaders
