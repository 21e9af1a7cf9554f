"""An answer, part by part, and the pieces in which it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the model was done
    LENGTH = "length"  # the model's limit of tokens
    CUT = "cut"  # the stream broke off, or the vendor's inference did
    REFUSED = "refused"  # a content filter, before or in the middle
    TOOLS = "tools"  # the model asks for a function
    STOPPED = "stopped"  # a person pressed [Stop]
    FAILED = "failed"  # an error; the sentence was shown instead
    COMMAND = "command"  # no model was asked


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the vendor billed them; `pictures` for image models. `estimated` when the vendor told nothing."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    pictures: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer, in Markdown. `aside`: a line to people in front of it, which is no part of what a model said."""

    delta: str
    slot: int = 0
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Thought:
    """More of the model's thinking: shown apart, never kept in the history."""

    delta: str
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, a video or a voice note of the answer (`mime` tells which), its bytes already kept. `file` is a name inside
    the store of files. Of a voice note: how many `seconds` it takes, and its `waveform`, a byte of loudness for each place, in
    base64."""

    file: str
    mime: str
    caption: str = ""
    slot: int = 0
    seconds: float = 0.0
    waveform: str = ""

    @property
    def voice(self) -> bool:
        return self.mime.startswith("audio/")


@dataclass(frozen=True, slots=True)
class Notice:
    """A small line about what is going on ("drawing …"); the next part of its slot replaces it. It is no part of the answer,
    except where the turn ends on it."""

    text: str
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A button to be: `action` is kept in a row, the button carries that row's random id. `anyone` may press it, or only the
    person whose turn it is (and the owner)."""

    label: str
    action: str
    anyone: bool = False


@dataclass(frozen=True, slots=True)
class Buttons:
    """Rows of buttons under the finished answer."""

    rows: tuple[tuple[Choice, ...], ...]
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take back what the slot has shown so far: a content filter closed in the middle of the answer."""

    slot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end, exactly once, as the last part. `call` names the ledger's row of the call, `cost` is in millionths of a CNY.
    `status`, `code` and `vendor_message` are those of the vendor's error, if that is how it ended; `job` is the background
    work, if that is what ended: its calls belong to this answer, too."""

    reason: Finish
    usage: Usage = Usage()
    model: str = ""
    request_id: str = ""
    status: int = 200
    code: str = ""
    vendor_message: str = ""
    call: int | None = None
    cost: int = 0
    job: int = 0


Part = Text | Thought | Media | Notice | Buttons | Withdraw | Finished


@dataclass(frozen=True, slots=True)
class Button:
    """A button as the platform gets it: `id` comes back in `Pressed.button`."""

    label: str
    id: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of an answer, exactly as the platform will show it.

    body   what the platform takes as text: plain text for Telegram, Markdown for Discord, HTML for the page
    marks  what goes with it in the platform's own form (Telegram: its entities, as JSON)
    media  a picture, video or voice note in front of the text
    """

    body: str
    marks: str = ""
    media: Media | None = None
    buttons: tuple[tuple[Button, ...], ...] = ()
