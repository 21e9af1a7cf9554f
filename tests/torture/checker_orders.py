"""Work in the background: every order ends and its chat is told of that once; nobody orders twice what may be paid for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bot import phrases
from bot.background.delivering import SENTENCES
from bot.phrases import Language
from tests.torture.checker_money import catalogue
from tests.torture.checker_run import WORD, Asked, Called, Run, Shown, Worked

LANGUAGES: tuple[Language, ...] = ("en", "zh")
ORDERS = frozenset({"later", "picture", "video"})
EXCUSES = frozenset({"stop", "reset"})
TELEGRAM = "telegram:"  # where a send cannot be repeated safely
# The line of a question that is answered later is no place that something will take.
LATER = re.compile(r"(?:Task|任务) ?\d+[:：]")
REASONS = tuple(
    phrase.to(language).partition("{")[0]
    for phrase in (
        *SENTENCES.values(),
        *phrases.jobs.TROUBLE.values(),
        phrases.jobs.UNSURE,
        phrases.jobs.MOST_OPEN,
        phrases.OUR_FAULT,
        phrases.BUDGET_SPENT,
    )
    for language in LANGUAGES
    if not phrase.to(language).startswith("{")
)


def wrong_orders(run: Run) -> Iterator[str]:
    shown: dict[str, list[Shown]] = defaultdict(list)
    for message in run.shown:
        shown[message.chat].append(message)
    for at, one in enumerate(run.asked):
        if one.kind in ORDERS:
            excused = any(later.chat == one.chat and later.kind in EXCUSES for later in run.asked[at + 1 :])
            yield from _order(one, run, shown[one.chat], excused=excused)
            yield from _submitted(one, run.called)
    for chat, messages in shown.items():
        yield from _waiting(chat, messages, len(run.kills))


def _order(one: Asked, run: Run, shown: Sequence[Shown], *, excused: bool) -> Iterator[str]:
    """Exactly what it ended with stands in the chat."""
    what = f"{one.chat}: the {one.kind} {one.name}"
    found = [work for work in run.stored.worked if work.chat == one.chat and _holds(work.order, one.name)]
    if not found:
        if not (excused or _told(shown)):
            yield f"{what} was never ordered, and nobody was told why"
        return
    if len(found) > 1:
        yield f"{what} was ordered {len(found)} times"
    stands = _standing(one, shown)
    match found[0]:
        case Worked(state="done") if stands != 1 and not (one.kind == "later" and excused and not stands):
            yield f"{what} is done, and stands there {stands} times"
        case Worked(state="cancelled") if not excused:
            yield f"{what} is cancelled, though nobody cancelled it"
        case Worked(state="failed" | "unsure" as state) if not (excused or _told(shown)):
            yield f"{what} is {state}, and nobody was told why"
        case Worked(state=state) if state != "done" and stands:
            yield f"{what} is {state}, and stands there all the same"


def _standing(one: Asked, shown: Sequence[Shown]) -> int:
    """How often: messages with the picture or video, or ends of the answer. Previews left over are judged elsewhere."""
    shown = [message for message in shown if not message.writing]
    if one.kind == "later":
        return sum(found[1] == one.name and not found[2] for message in shown for found in WORD.finditer(message.text))
    made = [message for message in shown if (message.picture if one.kind == "picture" else message.video)]
    return sum(_holds(message.text, one.name) for message in made)


def _told(shown: Sequence[Shown]) -> bool:
    return any(reason in message.text for message in shown for reason in REASONS)


def _submitted(one: Asked, called: Sequence[Called]) -> Iterator[str]:
    """A task that was asked after is stored: its order is never handed over again. One that is paid never is: nobody knows
    whether the vendor took it, and nobody pressed for another. A question may be asked again."""
    calls = sorted((call for call in called if _holds(call.prompt, one.name)), key=lambda call: call.began)
    what = f"{one.chat}: the {one.kind} {one.name}"
    if one.kind == "later":
        # Its words are part of no other prompt but the history's.
        calls = [call for call in calls if call.looked]
        if len(calls) > 1:
            yield f"{what} was handed over again, though its task was known"
        return
    calls = [call for call in calls if catalogue()[call.model]["kind"] != "chat"]
    for earlier, later in pairwise(calls):
        if earlier.looked and earlier.looked < later.began:
            yield f"{what} was ordered again, though its task was known"
    paid = [call for call in calls if catalogue()[call.model].keys() & {"per_picture", "per_second"}]
    if len(paid) > 1:
        yield f"{what} is paid, and was ordered {len(paid)} times"


def _waiting(chat: str, shown: Sequence[Shown], kills: int) -> Iterator[str]:
    """A line that waits becomes what it waits for. Where sends cannot be repeated safely a kill may leave one of it."""
    left = [message for message in shown if message.waiting and not LATER.search(message.text)]
    if len(left) > (kills if chat.startswith(TELEGRAM) else 0):
        yield f"{chat}: {len(left)} lines wait for ever: {left[0].text[:60]!r}"


def _holds(text: str, name: str) -> bool:
    return name in text and re.search(rf"\b{name}\b", text) is not None  # of thousands of long prompts few hold it
