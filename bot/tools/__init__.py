"""Functions that a model may ask for: what is built in, and how a typed function becomes a tool.

A tool is one typed asynchronous function. `schema` makes its JSON schema of the signature and checks a model's arguments
against it; `registry` runs tools within limits and never lets one break a turn; `results` makes what came of them fit to be
read. `clock`, `calculator`, `weather`, `page` (with `html`) and `search` are the tools that are built in; the `mcp` files bring
those of tool servers.
"""

from __future__ import annotations

from dataclasses import replace

from bot.phrases.tools import NOTICES
from bot.ports.models import SearchModel
from bot.tools import clock, page, weather
from bot.tools.calculator import calculate
from bot.tools.registry import BuiltIn, tool
from bot.tools.schema import Function
from bot.tools.search import Search

FETCHES = {"read_web_page": "url"}  # the argument that a model could carry a conversation away in


def built_in(
    *,
    search: SearchModel | None = None,
    fake_ip: bool = False,
    places: str = weather.PLACES,
    forecasts: str = weather.FORECASTS,
) -> BuiltIn:
    """The tools of our own. Without a `search` there is none for the web; `fake_ip` as in `foreign.Rules`; `places` and
    `forecasts` are the origins of the weather's services."""
    functions: list[Function] = [
        clock.current_time,
        clock.add_to_date,
        clock.days_between,
        calculate,
        weather.Weather(places=places, forecasts=forecasts).get_weather,
        page.Pages(replace(page.RULES, fake_ip=fake_ip)).read_web_page,
    ]
    if search is not None:
        functions.append(Search(search).search_web)
    return BuiltIn(
        [tool(one, notice=NOTICES[one.__name__], fetches=FETCHES.get(one.__name__, "")) for one in functions]
    )
