"""What can go wrong between the parts of the program, as one tree. Rims translate foreign errors into these once, where they
enter. What only the callers of one module can meet stands in it: `sound.Inaudible`, `documents.Unopened`, `foreign.BadLink`.

MagpieError
├── SettingsError            what is configured cannot work: all problems at once
├── StorageError             the store cannot commit now (disk full, locked, gone): keep what you have and try again
│   └── StorageRefused       it never will: newer version, no database
│       └── InUse            another process has it
├── FencedOut                the claim is another worker's now: drop everything
├── Superseded               the turn was stopped or the chat reset: complete it as stopped
├── Unreadable               an accepted event that cannot be read: a dead letter
├── TooLarge                 a file over its limit
├── Declined                 what was asked for cannot be done
├── PlatformError            a call to a platform failed
│   ├── RetryLater           it said when to try again
│   ├── Unreachable          it surely did not take the call: try again
│   ├── Unsure               it may have taken the call
│   ├── Gone                 the message to edit is no more
│   ├── Forbidden            this chat is closed to us: blocked, kicked, no right
│   ├── ChatMoved            the chat has a new key
│   ├── Rejected             it will never take this call
│   └── Revoked              the token is no good
├── ModelError               a vendor said no, by `Trouble`
└── BudgetSpent              the day's money is used up

Each carries the sentence that a person may see (`phrase`), where one is due; its `str()` is for the owner's log.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from bot import phrases
from bot.messages import ChatKey
from bot.phrases import Phrase


class MagpieError(Exception):
    """The root. `phrase` is what people read when nothing more precise is known."""

    phrase: Phrase = phrases.OUR_FAULT


class SettingsError(MagpieError):
    """`problems` are whole sentences, each naming its variable and what to write."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StorageError(MagpieError):
    phrase = phrases.STORAGE


class StorageRefused(StorageError):
    """The message says what to do."""


class InUse(StorageRefused):
    pass


class FencedOut(MagpieError):
    pass


class Superseded(MagpieError):
    pass


class Unreadable(MagpieError):
    phrase = phrases.UNREADABLE


class TooLarge(MagpieError):
    """`limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"larger than {limit} bytes")
        self.limit = limit
        self.phrase = phrases.TOO_LARGE.format(limit=f"{limit / 1_000_000:g} MB")


class Declined(MagpieError):
    """What was asked for cannot be done; nothing was shown or paid. `phrase` says why."""

    def __init__(self, phrase: Phrase) -> None:
        super().__init__(phrase.en)
        self.phrase = phrase


# --- platforms ---------------------------------------------------------------------------------------------------------


class PlatformError(MagpieError):
    pass


class RetryLater(PlatformError):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"retry after {seconds:g} s")
        self.seconds = seconds


class Unreachable(PlatformError):
    pass


class Unsure(PlatformError):
    pass


class Gone(PlatformError):
    pass


class Forbidden(PlatformError):
    pass


class ChatMoved(PlatformError):
    def __init__(self, new: ChatKey) -> None:
        super().__init__(f"moved to {new}")
        self.new = new


class Rejected(PlatformError):
    pass


class Revoked(PlatformError):
    pass


# --- models ------------------------------------------------------------------------------------------------------------


class Trouble(StrEnum):
    """The kinds of a vendor's no. How often each is tried again: `models/tries.py`; what else follows stands where it is done
    (`answering.FALLS_BACK`, `breaker`, `steps`, `alarms`, `doctor`)."""

    NO_MONEY = "no money"
    BAD_KEY = "bad key"
    BUSY = "busy"  # rate or concurrency limit: wait, then again
    OVERLOADED = "overloaded"  # the vendor's own load: longer waits
    QUOTA = "quota"  # a plan's or a free tier's quota is used up: no use in trying again today
    REFUSED = "refused"  # content filter
    TOO_LONG = "too long"
    NO_MODEL = "no such model"
    BAD_REQUEST = "bad request"
    FAULT = "fault"  # of the vendor's servers
    UNREACHABLE = "unreachable"
    SILENT = "silent"  # no token within the limit
    CUT = "cut"  # the stream broke off


# Codes of ours, for an answer that ended without a word. It was not refused, whatever else it was.
EMPTY = "empty"  # there was none: tried once more
NO_ROOM = "length"  # the limit of tokens was reached before the first one; again would be no better
WORDLESS = frozenset({EMPTY, NO_ROOM})


class ModelError(MagpieError):
    """A vendor's error. `code`, `status`, `request_id` and `vendor_message` are the vendor's own; the message may quote the
    user, so only the owner sees it. `retry_after` is in seconds, as the vendor told, else None. `begun`: it had taken the order
    before this went wrong, and may bill it. `nearest`: names like that of a model which the vendor does not know (any more).

    What is free is asked in two ways. A chat is billed by what was generated: a call that ended in an HTTP error, be it a 500,
    answered nothing and costs nothing (`unanswered`). An order (a picture, a video, /later), speech or a search behind a 500
    may have been taken all the same: only the vendor's own file knows which of its errors are surely free (`unbilled`)."""

    def __init__(
        self,
        trouble: Trouble,
        *,
        vendor: str,
        model: str = "",
        status: int = 0,
        code: str = "",
        request_id: str = "",
        vendor_message: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{vendor} {model}: {trouble} (HTTP {status}, code {code or 'none'})")
        self.trouble = trouble
        self.vendor = vendor
        self.model = model
        self.status = status
        self.code = code
        self.request_id = request_id
        self.vendor_message = vendor_message
        self.retry_after = retry_after
        self.begun = False
        self.unbilled = False
        self.nearest: tuple[str, ...] = ()
        self.phrase = phrases.TROUBLE[trouble.value]

    @property
    def unanswered(self) -> bool:
        """Free for a chat: no answer was begun, the call ended in an HTTP error or never arrived. Says nothing of an order."""
        return not self.begun and (self.status >= 400 or self.trouble is Trouble.UNREACHABLE)


class BudgetSpent(MagpieError):
    """`opens` is when the next day begins, in the server's time zone; None: this call would cost more than a whole day's."""

    def __init__(self, opens: datetime | None) -> None:
        super().__init__(
            f"the daily budget is spent until {opens:%Y-%m-%d %H:%M}" if opens else "over the daily budget"
        )
        self.opens = opens
        self.phrase = phrases.BUDGET_SPENT.format(opens=f"{opens:%H:%M}") if opens else phrases.BUDGET_TOO_SMALL
