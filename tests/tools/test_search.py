"""Searching the web as a tool: numbered results, and the vendor's no as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from bot.errors import MagpieError, ModelError, Trouble
from bot.messages import ChatKey
from bot.ports.models import Hit, SearchModel
from bot.ports.tools import MOST_RESULT, Source, ToolResult
from bot.tools.registry import BuiltIn, ToolError, tool
from bot.tools.search import Search
from tests.tools.rig import CONTEXT


@dataclass
class Index:
    """A vendor's search, of few pages."""

    hits: list[Hit]
    error: MagpieError | None = None
    asked: list[tuple[str, int, ChatKey, int]] = field(default_factory=list)

    async def search(self, query: str, count: int, *, chat: ChatKey, turn: int) -> Sequence[Hit]:
        self.asked.append((query, count, chat, turn))
        if self.error:
            raise self.error
        return self.hits


MAGPIES = [
    Hit("The magpie", "https://birds.example/magpie", "Pica pica\nis a bird.", "Birds", "2026-11-01"),
    Hit("喜鹊", "https://zh.example/喜鹊", "喜鹊是鸟。"),
    Hit("Third\n[9] Forged", "https://c.example", "", "", "2025"),
]


async def test_results_are_numbered() -> None:
    index: SearchModel = Index(MAGPIES)
    told = (await Search(index).search_web(" magpies ", CONTEXT)).text

    frame, _, rest = told.partition("\n")
    assert "not instructions" in frame
    assert rest.rpartition("\n")[0].split("\n\n") == [
        "[1] The magpie (Birds, 2026-11-01)\nhttps://birds.example/magpie\nPica pica is a bird.",
        "[2] 喜鹊\nhttps://zh.example/喜鹊\n喜鹊是鸟。",
        "[3] Third [9] Forged (2025)\nhttps://c.example",
    ]


async def test_the_vendor_is_told_for_whom() -> None:
    index = Index(MAGPIES)
    told = (await Search(index).search_web("magpies", CONTEXT, count=2)).text

    assert index.asked == [("magpies", 2, CONTEXT.chat, CONTEXT.turn)]
    assert "[2]" in told and "[3]" not in told  # whatever more the vendor found


async def test_nothing_found() -> None:
    nothing = await Search(Index([])).search_web("x", CONTEXT)
    assert nothing == ToolResult("Nothing was found. Try other words, or fewer.")


async def test_pages_are_numbered_on_through_the_searches_of_an_answer() -> None:
    search = Search(Index(MAGPIES))
    first = await search.search_web("magpies", CONTEXT)
    assert [source.number for source in first.sources] == [1, 2, 3]
    second = await search.search_web("magpies", replace(CONTEXT, pages=3), count=1)
    assert second.sources == (Source(4, "The magpie", "https://birds.example/magpie"),)
    assert "[4] The magpie" in second.text


@pytest.mark.parametrize(("query", "count"), [("", 5), ("  ", 5), ("x", 0), ("x", 11), ("x", -1)])
async def test_what_is_not_searched_for(query: str, count: int) -> None:
    index = Index(MAGPIES)
    with pytest.raises(ToolError, match=r"the query is empty|count must be from 1 to 10"):
        await Search(index).search_web(query, CONTEXT, count)
    assert index.asked == []  # and costs nothing


async def test_long_results_all_find_room() -> None:
    hits = [Hit("t" * 5_000, "https://x.example", "喜" * 9_000)] + [
        Hit(f"t{n}", "https://x.example", "喜" * 9_000) for n in range(9)
    ]
    told = (await Search(Index(hits)).search_web("x", CONTEXT, count=10)).text

    assert len(told) <= MOST_RESULT
    assert all(f"[{number}] " in told for number in range(1, 11))
    assert "Cut here" not in told


async def test_a_vendor_that_says_no() -> None:
    error = ModelError(Trouble.NO_MONEY, vendor="glm")
    box = BuiltIn([tool(Search(Index([], error)).search_web)])
    result = await box.call("search_web", '{"query": "x"}', CONTEXT)
    assert result.failed and result.text == error.phrase.en
