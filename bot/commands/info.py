"""/info: how the last answer or failed turn of this chat came about."""

from __future__ import annotations

from bot import phrases
from bot.commands.command import reply
from bot.conversation.desk import Desk, Parts
from bot.messages import Finish, Message, Turn
from bot.phrases import Phrase
from bot.ports import Report

_SENTENCES = {
    Finish.REFUSED: phrases.TROUBLE["refused"],
    Finish.CUT: phrases.TROUBLE["cut"],
    Finish.FAILED: phrases.INFO_FAILED,
}


async def info(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    report = await desk.history.report(turn.chat)
    return reply(turn, _told(turn, report) if report else phrases.INFO_NONE)


def _told(turn: Turn, report: Report) -> str:
    """A list: model, request, status, end, tokens, times, cost of all its calls; to the owner the vendor's own message too."""
    finished, usage = report.finished, report.finished.usage
    rows: list[tuple[Phrase, str]] = [(phrases.INFO_MODEL, f"`{finished.model}`")]
    if finished.request_id:
        rows.append((phrases.INFO_REQUEST, f"`{finished.request_id}`"))
    status = " ".join(filter(None, [str(finished.status or "—"), finished.code]))
    rows += [(phrases.INFO_STATUS, status), (phrases.INFO_FINISH, finished.reason.value)]
    if usage.prompt or usage.completion:
        about = "≈ " if usage.estimated else ""
        tokens = phrases.INFO_COUNTS.format(prompt=usage.prompt, completion=usage.completion, cached=usage.cached)
        rows.append((phrases.INFO_TOKENS, about + tokens.to(turn.language)))
    if usage.pictures:
        rows.append((phrases.INFO_PICTURES, str(usage.pictures)))
    times = phrases.INFO_SECONDS.format(first=f"{report.first:.1f}", seconds=f"{report.seconds:.1f}")
    rows.append((phrases.INFO_TIMES, times.to(turn.language)))
    rows.append((phrases.INFO_COST, f"{report.cost / 1_000_000:.6f}".rstrip("0").rstrip(".") + " CNY"))
    if finished.vendor_message and turn.author.owner:
        rows.append((phrases.INFO_VENDOR, finished.vendor_message))
    elif finished.reason in _SENTENCES:
        rows.append((phrases.INFO_MEANS, _SENTENCES[finished.reason].to(turn.language)))
    colon = phrases.COLON.to(turn.language)
    return "\n".join(f"- {name.to(turn.language)}{colon}{value}" for name, value in rows)
