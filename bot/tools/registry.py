"""Running tools: each within its time and size, and whatever happens in one is a sentence for the model."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.errors import MagpieError
from bot.phrases import Phrase
from bot.ports.tools import Toolbox, ToolCard, ToolContext, ToolResult
from bot.tools.results import fitted
from bot.tools.schema import Function, Parameters, WrongArguments

log = logging.getLogger(__name__)

SECONDS = 20.0  # for one call
MOST_ARGUMENTS = 50_000  # characters
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class ToolError(Exception):
    """The tool could not do it: a sentence that tells the model why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may ask for."""

    card: ToolCard
    parameters: Parameters
    function: Function


def tool(function: Function, *, notice: Phrase | None = None, read_only: bool = True, fetches: str = "") -> Tool:
    """A typed asynchronous function as a tool: its name, docstring and signature are what the model is told. It returns the
    text that the model reads (or a ToolResult that fits), and raises ToolError or a MagpieError; `fetches` is that of its card.
    Raises TypeError for a signature or name that cannot be told."""
    name, description = function.__name__, inspect.cleandoc(function.__doc__ or "").replace("\n", " ")
    if not _NAME.fullmatch(name) or not description:
        raise TypeError(f"{name}: a tool needs a plain name and a docstring")
    parameters = Parameters(function)
    card = ToolCard(
        name=name,
        description=description,
        parameters=parameters.schema,
        read_only=read_only,
        notice=notice,
        fetches=fetches,
        fingerprint=hashlib.sha256(f"{name}\n{description}\n{parameters.schema}".encode()).hexdigest()[:16],
    )
    return Tool(card, parameters, function)


class BuiltIn:
    """`ports.Toolbox` of our own functions. Raises TypeError when two have one name."""

    def __init__(self, tools: Sequence[Tool], *, seconds: float = SECONDS) -> None:
        self._tools = {one.card.name: one for one in tools}
        if len(self._tools) != len(tools):
            raise TypeError("two tools of one name")
        self._seconds = seconds

    def cards(self) -> Sequence[ToolCard]:
        return tuple(one.card for one in self._tools.values())

    async def call(self, name: str, arguments: str, context: ToolContext) -> ToolResult:
        wanted = self._tools.get(name)
        if wanted is None:
            return _unknown(name, self._tools)
        if len(arguments) > MOST_ARGUMENTS:
            return _failed(f"the arguments are longer than {MOST_ARGUMENTS} characters; ask for less at once")
        try:
            given = wanted.parameters.read(arguments)
        except WrongArguments as error:
            return _failed(f"{name} was not run: {error}. Correct the arguments and call it again.")
        if wanted.parameters.context:
            given[wanted.parameters.context] = context
        return await self._run(wanted, given, context)

    async def _run(self, wanted: Tool, given: dict[str, object], context: ToolContext) -> ToolResult:
        name = wanted.card.name
        try:
            async with asyncio.timeout(self._seconds) as limit:
                result = await wanted.function(**given)
            return result if isinstance(result, ToolResult) else ToolResult(fitted(result))
        except ToolError as error:
            return _failed(str(error))
        except MagpieError as error:  # a vendor's no, or the day's money: what people are told tells the model, too
            log.warning("the tool %s: %s", name, error)
            return _failed(error.phrase.to(context.language))
        except Exception:  # a bug in one tool must not end the turn
            if limit.expired():
                return _failed(f"{name} was not done within {self._seconds:g} seconds and was stopped")
            log.exception("the tool %s broke down", name)
            return _failed(f"{name} broke down; go on without it")


class Combined:
    """Several toolboxes as one. Of two tools with one name the first box's counts."""

    def __init__(self, boxes: Sequence[Toolbox]) -> None:
        self._boxes = tuple(boxes)
        self._told: set[str] = set()  # names that were warned of: cards are asked for in every turn

    def cards(self) -> Sequence[ToolCard]:
        return tuple(card for card, _ in self._owners().values())

    async def call(self, name: str, arguments: str, context: ToolContext) -> ToolResult:
        owners = self._owners()
        if name not in owners:
            return _unknown(name, owners)
        return await owners[name][1].call(name, arguments, context)

    def _owners(self) -> dict[str, tuple[ToolCard, Toolbox]]:
        owners: dict[str, tuple[ToolCard, Toolbox]] = {}
        for box in self._boxes:
            for card in box.cards():
                if card.name not in owners:
                    owners[card.name] = (card, box)
                elif card.name not in self._told and len(self._told) < 1_000:
                    self._told.add(card.name)
                    log.warning("two tools are called %s: the first one counts", card.name)
        return owners


def _failed(text: str) -> ToolResult:
    return ToolResult(fitted(text), failed=True)


def _unknown(name: str, known: Iterable[str]) -> ToolResult:
    return _failed(f"there is no tool {name[:64]!r}; there are: {', '.join(known) or 'none'}")
