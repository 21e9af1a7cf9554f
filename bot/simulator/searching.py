"""The simulated vendors' web search: pages that exist nowhere, the same for the same question."""

from bot.simulator.calling import hash_text
from bot.simulator.words import Found

MOST = 10  # pages


def search(query: str, count: int) -> tuple[Found, ...]:
    about = " ".join(query.split())[:60]
    key = hash_text(query)
    return tuple(
        Found(
            title=f"{about} ({at})",
            url=f"https://pages.example/{key:x}/{at}",
            text=f"Page {at} of the simulator's web, about: {about}",
            site="pages.example",
            date=f"2026-11-{at:02d}",
        )
        for at in range(1, min(count, MOST) + 1)
    )
