"""An order for work in the background and what came of it, as they are kept with the job: written and read again. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from bot.errors import Unreadable
from bot.messages import ENDED, Address, Author, ChatKey, Ended, Turn
from bot.phrases import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrder:
    """What is to be made, for whom and where. `text` is the question or the picture's words; `pictures` are names of kept ones
    to change or to begin with; `parent` is the entry of the history that the question follows."""

    author: Author
    address: Address
    language: Language
    text: str
    model: str
    size: str = ""
    count: int = 1
    pictures: tuple[str, ...] = ()
    seed: int | None = None
    seconds: int = 0
    think: str = ""
    system: str = ""
    parent: int | None = None

    @classmethod
    def of(cls, turn: Turn, text: str, model: str) -> WorkOrder:
        return cls(
            author=turn.author,
            address=turn.address,
            language=turn.language,
            text=text,
            model=model,
            think=turn.think,
            system=turn.system,
        )

    def dump(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def load(cls, text: str, chat: ChatKey | None = None) -> WorkOrder:
        """`chat` is the key that the job has now. Raises Unreadable."""
        try:
            kept = json.loads(text)
            address = kept.pop("address")
            kept["author"] = Author(**kept["author"])
            kept["pictures"] = tuple(kept["pictures"])
            where = Address(**{**address, "chat": chat or ChatKey(**address["chat"])})
            return cls(address=where, **kept)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unreadable(f"an order: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkResult:
    """What came of it. `files` are names of kept ones with their mime types; `sources` are pages that the text rests on, each
    with its number in it, title and address; `links` stand for videos too large to keep; `error` is a Trouble's value or a
    word of ours, `vendor_message` for the owner."""

    text: str = ""
    sources: tuple[tuple[int, str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = ()
    missing: int = 0
    why: str = ""
    error: str = ""
    code: str = ""
    vendor_message: str = ""
    cost: int = 0
    prompt: int = 0
    completion: int = 0

    def dump(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> WorkResult:
        """Raises Unreadable."""
        try:
            kept = json.loads(text) if text else {}
            kept["files"] = tuple((name, mime) for name, mime in kept.get("files", ()))
            kept["links"] = tuple(kept.get("links", ()))
            kept["sources"] = tuple((number, title, url) for number, title, url in kept.get("sources", ()))
            return cls(**kept)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unreadable(f"a result: {error}") from error


def read_ended(payload: str) -> Ended | None:
    """What an event says that a job ended; None for any other payload. Raises Unreadable."""
    if not payload.startswith(ENDED):
        return None
    name, _, text = payload.removeprefix(ENDED).partition(" ")
    number, _, shown = name.partition("@")
    if not number.isdecimal():
        raise Unreadable("an event of a job without its number")
    order = WorkOrder.load(text)
    # An interaction's token is of the order's moment. Nothing can reply to an interaction, but to what was said to it.
    address = replace(order.address, reply_to=shown, via="") if order.address.via else order.address
    return Ended(int(number), order.author, address, order.language)
