"""What models are to the manager."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bot.messages import (
    ChatKey,
    Finished,
    Notice,
    Text,
    Thought,
)
from bot.phrases import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model of the catalogue.

    window, output  tokens: what prompt and answer may take together, and the most that an answer may take
    price           CNY per million tokens as ((prompt tokens up to, in, out), ...), ascending; empty: free
    per_picture     CNY for each picture of an image model
    default         the vendor's default for what it does (chat, vision or image)
    thinks          whether it can think: "never", "switch" or "always"
    seed            whether the vendor takes a seed for it
    sizes           image models: WxH that it draws, the first is its default; empty when `size_rule` decides
    size_rule       image models: (min side, max side, multiple of, max pixels), or None for a fixed list
    """

    name: str
    vendor: str
    kind: Literal["chat", "image"]
    window: int = 0
    output: int = 0
    vision: bool = False
    thinks: Literal["never", "switch", "always"] = "never"
    seed: bool = False
    price: tuple[tuple[int, float, float], ...] = ()
    per_picture: float = 0.0
    default: bool = False
    api: str = ""
    sizes: tuple[str, ...] = ()
    size_rule: tuple[int, int, int, int] | None = None
    note: str = ""

    @property
    def free(self) -> bool:
        return not self.per_picture and all(not cost_in and not cost_out for _, cost_in, cost_out in self.price)


@dataclass(frozen=True, slots=True)
class Line:
    """A message of a prompt. `files` are names of kept pictures."""

    role: Literal["system", "user", "assistant"]
    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a chat model is asked. The last line is the user's. `seed` asks for another answer to the same question;
    `language` is that of the notices while it waits for its vendor."""

    card: ModelCard
    lines: tuple[Line, ...]
    output: int
    chat: ChatKey
    turn: int
    seed: int | None = None
    think: bool = False
    language: Language = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePrompt:
    """What an image model is asked. size is "WxH" and fits the card, "" for the model's default."""

    card: ModelCard
    text: str
    chat: ChatKey
    turn: int
    size: str = ""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture, fetched from the vendor: its links expire."""

    data: bytes
    mime: str
    finished: Finished


class ChatModel(Protocol):
    def generate(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Notice | Finished, None]:
        """The answer as it is written; the last item is the one Finished. Raises ModelError, also in the middle. Closing the
        iterator closes the request."""


class ImageModel(Protocol):
    async def draw(self, prompt: PicturePrompt) -> Picture:
        """Raises ModelError."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No model has that name. `nearest` are names that look like it; `variable` the setting that would turn it on, if the
    catalogue knows the model but its vendor has no key."""

    nearest: tuple[str, ...] = ()
    variable: str = ""


class Models(Protocol):
    """The models that are set up here."""

    @property
    def simulated(self) -> bool:
        """No model is configured: the built-in simulator answers."""

    def cards(self) -> Sequence[ModelCard]:
        """All that can be chosen, vendor by vendor."""

    def find(self, name: str, kind: Literal["chat", "image"] = "chat") -> ModelCard | Unknown:
        """By full name, or by a vendor's name ("qwen", "glm") for its default of that kind."""

    def pick(self, kind: Literal["chat", "image"], *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        """The default of that kind (`CHAT_MODEL`, `IMAGE_MODEL` first), of one vendor, or one that can see. None: there is
        none."""

    def chat(self, card: ModelCard) -> ChatModel: ...

    def image(self, card: ModelCard) -> ImageModel: ...
