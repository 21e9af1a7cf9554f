"""What a vendor's protocol and the brain say to each other, whatever the vendor; no JSON and no sockets here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
DeltaKind = Literal["thought", "text", "tool"]

_CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
_CJK_CHARACTER = re.compile(f"[{_CJK}]")
# Every character belongs to exactly one match, so that joining the pieces gives the text back.
_PIECE = re.compile(rf"[{_CJK}]|\s?[^\s{_CJK}]{{1,6}}|\s+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture in a question: measured from its bytes, or only known by its address (`width` 0)."""

    width: int = 0
    height: int = 0
    format: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants to be called; `arguments` is JSON text, as on every vendor's wire."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Found:
    """A page that a vendor's own web search found."""

    title: str
    url: str
    text: str = ""
    site: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of a chat, as the model sees it."""

    role: Role
    text: str
    pictures: tuple[Seen, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a chat model is asked. `tools` maps a function's name to its parameters' names."""

    model: str
    said: tuple[Said, ...]
    thinking: bool = False
    tools: dict[str, tuple[str, ...]] = field(default_factory=dict)
    must_call: bool = False  # the caller insists on a tool call
    search: bool = False  # the vendor is to search the web first
    json_object: bool = False
    seed: int = 0
    max_tokens: int = 4096
    stop: tuple[str, ...] = ()

    @property
    def user_turns(self) -> tuple[Said, ...]:
        return tuple(said for said in self.said if said.role == "user")


@dataclass(frozen=True, slots=True)
class Delta:
    """One streamed step, which costs one token. Of a tool call, `text` is a fragment of its arguments."""

    kind: DeltaKind
    text: str
    index: int = 0
    call: ToolCall | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer. `chunks`, if given, is `text` in exactly the pieces in which it is to be streamed. `found` is what the
    vendor's search found for it."""

    text: str = ""
    thought: str = ""
    chunks: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    found: tuple[Found, ...] = ()

    def deltas(self, *, tool_fragments: bool = False) -> Iterator[Delta]:
        for piece in pieces(self.thought):
            yield Delta("thought", piece)
        for piece in self.chunks or pieces(self.text):
            yield Delta("text", piece)
        for index, call in enumerate(self.tool_calls):
            arguments = pieces(call.arguments) if tool_fragments else [call.arguments]
            for fragment in arguments:
                yield Delta("tool", fragment, index, call)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call is billed. Reasoning tokens are part of the output, and picture tokens of the input, as with both vendors."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    picture_tokens: int = 0
    images: int = 0
    videos: int = 0
    seconds: float = 0.0  # of a video, or of sound that was heard
    characters: int = 0  # that were spoken


class Refusal(Exception):
    """A request that the service turns down, in the vendor's own code and words."""

    def __init__(self, code: str, message: str, status: int, *, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after


def pieces(text: str) -> list[str]:
    """Cut a text as a tokenizer would: a CJK character is a piece, other text comes in up to 6 characters."""
    return _PIECE.findall(text)


def count_tokens(text: str) -> int:
    """Estimate a prompt: a CJK character is a token, of anything else four characters are."""
    wide = 0 if text.isascii() else len(_CJK_CHARACTER.findall(text))
    return wide + (len(text) - wide + 3) // 4


PICTURE_TOKENS = 1024  # a flat price per picture; the vendors' depends on its size


def prompt_usage(question: Question) -> Usage:
    """The input side of the bill; four tokens frame each message, as in the vendors' chat templates."""
    text = sum(4 + count_tokens(said.text) for said in question.said)
    pictures = PICTURE_TOKENS * sum(len(said.pictures) for said in question.said)
    return Usage(input_tokens=text + pictures, picture_tokens=pictures)


def shorten(reply: Reply, question: Question) -> Reply:
    """Obey `stop` and `max_tokens`: thoughts count, and what is cut ends with `length`."""
    text, chunks = reply.text, reply.chunks
    if question.stop:
        whole = "".join(chunks) or text
        ends = [at for word in question.stop if (at := whole.find(word)) >= 0]
        if ends:
            text, chunks = whole[: min(ends)], ()
    thought = pieces(reply.thought)
    spoken = chunks or tuple(pieces(text))
    room = question.max_tokens - len(thought)
    if len(spoken) <= room:
        return replace(reply, text=text, chunks=chunks)
    cut = spoken[: max(room, 0)]
    return Reply(thought="".join(thought[: question.max_tokens]), chunks=cut, finish="length", found=reply.found)
