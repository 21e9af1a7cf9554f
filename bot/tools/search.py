"""Searching the web by a vendor's own search, as a tool for models whose vendor does not search while it answers."""

from __future__ import annotations

from typing import Annotated

from bot.ports.models import SearchModel
from bot.ports.tools import Source, ToolContext, ToolResult
from bot.tools.registry import ToolError
from bot.tools.results import fitted, framed

MOST_HITS = 10
_LONGEST = 1_500  # characters of each; ten of them fit into one result


class Search:
    """The tool `search_web`. The pages of one answer are numbered on through all its searches."""

    def __init__(self, model: SearchModel) -> None:
        self._model = model

    async def search_web(
        self,
        query: Annotated[str, "what one would type into a search engine"],
        context: ToolContext,
        count: Annotated[int, "how many results, 1 to 10"] = 5,
    ) -> ToolResult:
        """Searches the web. Use it for news, for what may have changed, and for facts that you are not sure of. The results are
        numbered: name the numbers that your answer rests on, as [1]."""
        if not query.strip():
            raise ToolError("the query is empty")
        if not 1 <= count <= MOST_HITS:
            raise ToolError(f"count must be from 1 to {MOST_HITS}")
        hits = (await self._model.search(query.strip(), count, chat=context.chat, turn=context.turn))[:count]
        if not hits:
            return ToolResult("Nothing was found. Try other words, or fewer.")
        entries, sources = [], []
        for number, hit in enumerate(hits, context.pages + 1):
            title, url, site, date, text = (
                " ".join(one.split()) for one in (hit.title, hit.url, hit.site, hit.date, hit.text)
            )
            about = ", ".join(one for one in (site, date) if one)
            entries.append(f"[{number}] {title}{f' ({about})' if about else ''}\n{url}\n{text}"[:_LONGEST].strip())
            sources.append(Source(number, title, url))
        return ToolResult(fitted(framed("results of a web search", "\n\n".join(entries))), sources=tuple(sources))
