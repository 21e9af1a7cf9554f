"""What a model is shown of a conversation: pure, and always legal for the vendor.

A prompt begins with the system's line, then user and assistant alternate, beginning and ending with the user. It fits the
model's window with room for the answer; what does not fit is left out from the oldest on. Reading the history and asking the
model are `desk.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from urllib.parse import quote

from bot.documents.framing import shortened
from bot.lanes import command_of
from bot.messages import Message
from bot.ports import Entry, Line, ModelCard
from bot.text import well_formed

ENTRIES = 100  # of the history, at most: bounds what one question reads and costs
SEEN = 3  # the last user turns whose pictures and documents are shown again: they are billed anew with every question
RECALLED = 4_000  # characters that are left of each document in older turns
PICTURE_TOKENS = 1_500  # about what both vendors bill for a picture of 2048 px at their default resolution
FRAME_TOKENS = 4  # that the vendors' chat templates put around a message
ANSWER_TOKENS = 8_192  # room for an answer: the whole of it is reserved from the budget; a longer one can be continued
THINKING_TOKENS = 16_384  # the same where the model thinks first: thoughts count
UNKNOWN_WINDOW = 8_192  # of a model whose window nobody told us
CUT_AT = 4_095  # UTF-16 units: Telegram's clients cut a paste at 4,096, or one before when a pair stands there
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: text, who asks it (where several people speak, else ""), and names of kept pictures."""

    text: str
    author: str = ""
    files: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Entry) -> Question:
        """The one that the history keeps."""
        return cls(entry.text, entry.author, entry.files)


# --- what was said ---------------------------------------------------------------------------------------------------


def joined(messages: Sequence[Message]) -> str:
    """The messages as one text; the pieces of a long paste close up where the platform cut them."""
    text, full = "", False
    for message in messages:
        said = quoting(message)
        if not said:
            continue
        text += said if full or not text else f"\n{said}"
        full = len(said.encode("utf-16-le")) // 2 >= CUT_AT
    return text


def quoting(message: Message) -> str:
    """The text, after a quote of the other person's message that it replies to."""
    text = well_formed(message.text).strip()
    if not message.quote:
        return text
    speaker = speaker_of(message.quoted)
    quote = well_formed(f"{speaker}: {message.quote}" if speaker else message.quote).strip()
    quoted = "\n".join(f"> {line}" for line in quote.splitlines())
    return f"{quoted}\n\n{text}" if text else quoted


def speaker_of(name: str) -> str:
    """A name as it stands before what its bearer says: on one line, so that nobody can speak for another."""
    return " ".join(well_formed(name).replace(":", " ").split())[:LONGEST_NAME]


# --- what the model is told --------------------------------------------------------------------------------------------


def system_prompt(today: date, *, group: bool, draws: bool, instructions: str) -> str:
    sentences = [
        "You are Magpie (喜鹊), a helpful assistant in a chat.",
        f"Today is {today:%A}, {today.isoformat()}.",
        "Answer in the language of the user, in Markdown, as briefly as the question allows.",
    ]
    if group:
        sentences.append(
            "Several people speak here; each of their messages begins with its speaker's name. Do not begin yours with a name."
        )
    if draws:
        sentences.append("You cannot draw yourself: people get a picture with the command /image.")
    told = " ".join(sentences)
    return f"{told}\n\n{instructions}" if instructions else told


def output_of(card: ModelCard, thinks: bool = False) -> int:
    """The most tokens that an answer may take, with what is thought before it."""
    wanted = THINKING_TOKENS if thinks or card.thinks == "always" else ANSWER_TOKENS
    return max(1, min(card.output or wanted, wanted, (card.window or UNKNOWN_WINDOW) // 2))


def room_of(card: ModelCard, thinks: bool = False) -> int:
    """The tokens that the prompt may take."""
    return (card.window or UNKNOWN_WINDOW) - output_of(card, thinks)


def tokens(line: Line) -> int:
    """An estimate from above for prose: a token for three bytes of UTF-8 is one for a Chinese character, two thirds of one
    for a Cyrillic or Arabic letter and a third of one for a Latin letter."""
    size = len(line.text) if line.text.isascii() else len(line.text.encode("utf-8", "surrogatepass"))
    return FRAME_TOKENS + (size + 2) // 3 + PICTURE_TOKENS * len(line.files)


def fit(
    card: ModelCard, system: str, history: Sequence[Entry], question: Question, room: int
) -> tuple[Line, ...] | None:
    """The prompt in at most `room` tokens: the question, and as much of the latest history as fits before it. None: not
    even the question does. A document leaves room for what was said before it: half of what is left, or it is shortened."""
    told = Line("system", system)
    asked = _line("user", question.text, question.author, question.files, card.vision)
    left = room - tokens(told) - tokens(asked)
    if left < 0:
        return None
    lines, seen = [asked], 1
    for entry in reversed(history):
        seen += entry.role == "user"
        shown = card.vision and entry.role == "user" and seen <= SEEN
        text = entry.text
        if entry.role == "user" and (seen > SEEN or tokens(Line("user", text)) > left // 2):
            text = shortened(text, RECALLED)
        line = _line(entry.role, text, entry.author, entry.files, shown)
        if not line.text and not line.files:
            continue
        left -= tokens(line)
        if left < 0:
            break
        lines.append(line)
    return (told, *_alternating(lines[::-1]))


def _line(role: Literal["user", "assistant"], text: str, author: str, files: tuple[str, ...], shown: bool) -> Line:
    match command_of(text):
        case ("image", order):
            text = f"Draw a picture: {order}"
        case ("video", order):
            text = f"Make a video: {order}"
    text = well_formed(text)
    if not shown and role == "user":
        text = "\n".join([*["[picture]"] * len(files), *filter(None, [text])])
    if author and text:
        text = f"{speaker_of(author)}: {text}"
    return Line(role, text, files if shown else ())


def _alternating(lines: Sequence[Line]) -> list[Line]:
    """Neighbours of one role become one line; what the assistant says before anyone asked is left out."""
    legal: list[Line] = []
    for line in lines:
        if not legal and line.role != "user":
            continue
        if legal and legal[-1].role == line.role:
            before = legal.pop()
            text = "\n\n".join(filter(None, [before.text, line.text]))
            legal.append(Line(line.role, text, before.files + line.files))
        else:
            legal.append(line)
    return legal


def halved(lines: Sequence[Line]) -> tuple[Line, ...] | None:
    """The prompt without its older half; None when only the question is left."""
    told, *said = lines
    *before, asked = said
    if not before:
        return None
    left = sum(map(tokens, said)) // 2 - tokens(asked)
    kept = [asked]
    for line in reversed(before):
        left -= tokens(line)
        if left < 0:
            break
        kept.append(line)
    return (told, *_alternating(kept[::-1]))


# --- what people are told ----------------------------------------------------------------------------------------------


def marked(text: str, mark: str) -> str:
    """What is still to be said after `text`: the mark, outside of a code block that the text left open."""
    fences = sum(line.lstrip().startswith("```") for line in text.splitlines())
    return f"\n```\n\n*{mark}*" if fences % 2 else f"\n\n*{mark}*"


def link(title: str, url: str) -> str:
    """A Markdown link, whatever the title says."""
    named = words(title.translate(_PLAIN)).strip() or "…"
    return f"[{named}]({quote(well_formed(url), safe=_RESERVED)})"


_PLAIN = {ord("["): "(", ord("]"): ")", **dict.fromkeys(map(ord, "`*_<>\\~|&"), " ")}
_RESERVED = "!#$%&'*+,/:;=?@~"  # of an address, without the brackets that would end it


def words(text: str, limit: int = 60) -> str:
    """The first words, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"
