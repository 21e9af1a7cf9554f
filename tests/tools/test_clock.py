"""The clock and the calendar."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tools.clock import add_to_date, current_time, days_between
from bot.tools.registry import ToolError

DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("Asia/Shanghai", "+08:00"),
        ("UTC", "+00:00"),
        ("utc", "+00:00"),
        ("Asia/Kolkata", "+05:30"),
        ("Etc/GMT+3", "-03:00"),
    ],
)
async def test_now(zone: str, offset: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    told = await current_time(zone)
    after = datetime.now(UTC)

    found = re.fullmatch(r"(\d{4}-\d\d-\d\d) (\w+day), (\d\d:\d\d:\d\d) in (\S+) \(UTC([+-]\d\d:\d\d)\)", told)
    assert found is not None
    assert (found[4], found[5]) == (zone, offset)
    now = datetime.fromisoformat(f"{found[1]}T{found[3]}{offset}")
    assert before <= now <= after
    assert found[2] == f"{now:%A}"


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "America", "../../etc/passwd", "/etc/passwd", "a\0b", "喜鹊", "x" * 5_000, "UTC+8"]
)
async def test_an_unknown_zone(zone: str) -> None:
    with pytest.raises(ToolError, match=r"there is no time zone .* such as Asia/Shanghai"):
        await current_time(zone)


@pytest.mark.parametrize(
    ("start", "more", "told"),
    [
        ("2026-11-22", {}, "2026-11-22 is a Sunday, in week 47 (ISO)"),
        ("2024-01-31", {"months": 1}, "2024-02-29 is a Thursday"),
        ("2023-01-31", {"months": 1}, "2023-02-28 is a Tuesday"),
        ("2024-02-29", {"years": 1}, "2025-02-28 is a Friday"),
        ("2024-03-31", {"months": -1}, "2024-02-29 is a Thursday"),
        ("2026-11-22", {"months": 2, "days": -1}, "2027-01-21 is a Thursday"),
        ("2026-12-31", {"weeks": 1}, "2027-01-07 is a Thursday"),
        (" 2026-01-01 ", {"days": -1}, "2025-12-31 is a Wednesday"),
    ],
)
async def test_adding_to_a_date(start: str, more: dict[str, int], told: str) -> None:
    assert (await add_to_date(start, **more)).startswith(told)


@pytest.mark.parametrize(
    "more", [{"days": 10**20}, {"weeks": -(10**9)}, {"months": 10**400}, {"years": -9_999}, {"years": 8_000}]
)
async def test_beyond_the_calendar(more: dict[str, int]) -> None:
    with pytest.raises(ToolError, match="outside the years 1 to 9999"):
        await add_to_date("2026-11-22", **more)


@pytest.mark.parametrize("text", ["", "2026-02-30", "22.11.2026", "2026-13-01", "tomorrow", "x" * 5_000, "２０２６年"])
async def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ToolError, match="is no date; write it as YYYY-MM-DD"):
        await add_to_date(text)
    with pytest.raises(ToolError, match="is no date"):
        await days_between("2026-01-01", text)


async def test_counting_days() -> None:
    told = await days_between("2026-11-22", "2026-12-25")
    assert told == "From 2026-11-22 (Sunday) to 2026-12-25 (Friday) it is 33 days: 4 weeks and 5 days"
    assert "-33 days: 4 weeks and 5 days, backwards" in await days_between("2026-12-25", "2026-11-22")


@given(DAYS, DAYS)
async def test_the_days_between_lead_from_one_to_the_other(first: date, second: date) -> None:
    told = await days_between(first.isoformat(), second.isoformat())
    days = int(told.partition(" it is ")[2].partition(" days")[0])
    assert first + timedelta(days=days) == second
    assert (await add_to_date(first.isoformat(), days=days)).startswith(f"{second.isoformat()} is a {second:%A}")
