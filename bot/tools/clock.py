"""What time it is, and the calendar. Time zones are the system's, or those of the package `tzdata`."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.tools.registry import ToolError

Day = Annotated[str, "as YYYY-MM-DD"]
_ZONES = "use a name of the IANA database such as Asia/Shanghai, Europe/Berlin or UTC"


async def current_time(time_zone: Annotated[str, "IANA name, such as Asia/Shanghai"] = "Asia/Shanghai") -> str:
    """Tells the date, weekday and time of now in a time zone. Use it whenever an answer depends on today's date or the time;
    never guess them."""
    now = datetime.now(_zone(time_zone))
    offset = now.strftime("%z")
    return f"{now:%Y-%m-%d} {_weekday(now.date())}, {now:%H:%M:%S} in {time_zone} (UTC{offset[:3]}:{offset[3:5]})"


async def add_to_date(start: Day, days: int = 0, weeks: int = 0, months: int = 0, years: int = 0) -> str:
    """Adds to a date, or takes away with negative numbers, and tells the date and its weekday. With nothing to add it tells
    the weekday of the date. A month later is the same day of that month, or its last day."""
    day = _day(start)
    try:
        month = day.year * 12 + day.month - 1 + years * 12 + months
        year, month = month // 12, month % 12 + 1
        last = calendar.monthrange(year, month)[1] if 1 <= year <= 9999 else 0
        day = date(year, month, min(day.day, last)) + timedelta(days=days, weeks=weeks)
    except (ValueError, OverflowError):
        raise ToolError("that is outside the years 1 to 9999") from None
    return f"{day.isoformat()} is a {_weekday(day)}, in week {day.isocalendar().week} (ISO)"


async def days_between(first: Day, second: Day) -> str:
    """Counts the days from one date to another, and tells the weekdays of both."""
    begin, end = _day(first), _day(second)
    days = (end - begin).days
    weeks, rest = divmod(abs(days), 7)
    return (
        f"From {begin.isoformat()} ({_weekday(begin)}) to {end.isoformat()} ({_weekday(end)}) it is {days} days: "
        f"{weeks} weeks and {rest} days{', backwards' if days < 0 else ''}"
    )


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown; a path out of the database; a folder of it
        raise ToolError(f"there is no time zone {name[:64]!r}; {_ZONES}") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ToolError(f"{text[:64]!r} is no date; write it as YYYY-MM-DD") from None


def _weekday(day: date) -> str:
    return calendar.day_name[day.weekday()]
