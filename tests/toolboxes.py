"""Tools that do nothing but tell: what ran, how often, and with which arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.ports import ToolCard, ToolContext, ToolResult

SCHEMA = '{"type":"object","properties":{"text":{"type":"string"}}}'

Does = Callable[[str], ToolResult | str]


class Box:
    """ports.Toolbox. `ran` keeps every call that reached a tool, `contexts` for whom; `does` says what a tool
    answers, or raises; `hanging` are names of tools that never end, and `stopped` those of them that were cancelled."""

    def __init__(self, *cards: ToolCard) -> None:
        self._cards = {card.name: card for card in cards}
        self.ran: list[tuple[str, str]] = []
        self.contexts: list[ToolContext] = []
        self.does: dict[str, Does] = {}
        self.hanging: set[str] = set()
        self.stopped: list[str] = []

    def cards(self) -> Sequence[ToolCard]:
        return tuple(self._cards.values())

    def put(self, card: ToolCard) -> None:
        self._cards[card.name] = card

    def take(self, name: str) -> None:
        """As when its server dies."""
        del self._cards[name]

    def change(self, name: str, **values: str | bool) -> None:
        self._cards[name] = replace(self._cards[name], **values)  # type: ignore[arg-type] # tests name real fields

    async def call(self, name: str, arguments: str, context: ToolContext) -> ToolResult:
        if name not in self._cards:
            return ToolResult(f"there is no tool {name}", failed=True)
        self.ran.append((name, arguments))
        self.contexts.append(context)
        if name in self.hanging:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.stopped.append(name)
                raise
        told = self.does[name](arguments) if name in self.does else f"{name} is done"
        return told if isinstance(told, ToolResult) else ToolResult(told)


def reader(name: str = "look", fetches: str = "") -> ToolCard:
    return ToolCard(name=name, description="Looks.", parameters=SCHEMA, fetches=fetches, fingerprint=f"{name}1")


def writer(name: str = "mail") -> ToolCard:
    return ToolCard(name=name, description="Acts.", parameters=SCHEMA, read_only=False, fingerprint=f"{name}1")
