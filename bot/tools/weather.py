"""The weather now and in the next days, by Open-Meteo: free, without a key, for non-commercial use
(https://open-meteo.com/en/docs, https://open-meteo.com/en/docs/geocoding-api)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from yarl import URL

from bot.foreign import BadLink, Rules, fetch
from bot.ports.tools import ToolContext
from bot.tools.registry import ToolError
from bot.tools.results import framed

PLACES = "https://geocoding-api.open-meteo.com"
FORECASTS = "https://api.open-meteo.com"
MOST_DAYS = 16  # that Open-Meteo forecasts
_SECONDS = 9.0  # for each of the two calls: both are over before the tool's own limit
_LIMIT = 500_000  # bytes; 16 days are 3,000
_NOW = "temperature_2m,apparent_temperature,relative_humidity_2m,precipitation,weather_code,wind_speed_10m"
_DAILY = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_sum,precipitation_probability_max"

# WMO's table 4677 as far as Open-Meteo uses it.
_SKIES: Mapping[object, str] = {
    0: "clear",
    1: "mostly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "rime fog",
    51: "light drizzle",
    53: "drizzle",
    55: "dense drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light rain showers",
    81: "rain showers",
    82: "violent rain showers",
    85: "snow showers",
    86: "heavy snow showers",
    95: "thunderstorm",
    96: "thunderstorm with hail",
    99: "thunderstorm with heavy hail",
}


class Weather:
    """The tool `get_weather`. `places` and `forecasts` are the origins of Open-Meteo's two services, or of one's own."""

    def __init__(self, *, places: str = PLACES, forecasts: str = FORECASTS) -> None:
        self._places = URL(places)
        self._forecasts = URL(forecasts)

    async def get_weather(
        self,
        place: Annotated[str, "a city or town in any language; a country or province may follow after a comma"],
        context: ToolContext,
        days: Annotated[int, "how many days, today included: 1 to 16"] = 3,
    ) -> str:
        """Tells the present weather of a place and the forecast of its next days, in degrees Celsius, mm and km/h."""
        if not 1 <= days <= MOST_DAYS:
            raise ToolError(f"days must be from 1 to {MOST_DAYS}")
        try:
            found = await self._find(place.strip(), context.language)
            query = {
                "latitude": str(found["latitude"]),
                "longitude": str(found["longitude"]),
                "current": _NOW,
                "daily": _DAILY,
                "timezone": "auto",
                "forecast_days": str(days),
            }
            told = await _ask(self._forecasts / "v1/forecast", query)
            return framed("weather by Open-Meteo", _report(found, told))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise ToolError("the weather service answered with something that makes no sense") from error

    async def _find(self, place: str, language: str) -> dict[str, Any]:
        """The best match: with its country, and without, since older servers know no comma."""
        for name in dict.fromkeys((place, place.split(",")[0].strip())):
            query = {"name": name, "count": "1", "language": language, "format": "json"}
            told = await _ask(self._places / "v1/search", query)
            if told.get("results"):
                found: dict[str, Any] = told["results"][0]
                return found
        raise ToolError(f"no place called {place[:80]!r} was found; try the name of a city, or another spelling")


async def _ask(address: URL, query: Mapping[str, str]) -> dict[str, Any]:
    """Raises ToolError, and ValueError for what is no JSON object."""
    rules = Rules(limit=_LIMIT, seconds=_SECONDS, types=("application/json",), own=address.origin())
    try:
        told = json.loads((await fetch(str(address.with_query(query)), rules)).data)
    except BadLink as error:
        later = "does not answer now" if error.again else "refused this question"
        raise ToolError(f"the weather service {later}; say so, and do not guess the weather") from error
    if not isinstance(told, dict):
        raise ValueError("no object")
    return told


def _report(found: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    place = ", ".join(dict.fromkeys(str(found[key]) for key in ("name", "admin1", "country") if found.get(key)))
    place = " ".join(place.split())[:200]
    now, daily = told["current"], told["daily"]
    lines = [
        f"{place}; local time {now['time']} ({told['timezone']})",
        f"now: {_sky(now['weather_code'])}, {now['temperature_2m']} °C (feels like {now['apparent_temperature']} °C), humidity "
        f"{now['relative_humidity_2m']} %, precipitation {now['precipitation']} mm, wind {now['wind_speed_10m']} km/h",
    ]
    columns = [daily["time"], *(daily[name] for name in _DAILY.split(","))]
    for day, code, high, low, rain, chance in zip(*columns, strict=True):
        likely = "" if chance is None else f" ({chance} % likely)"
        lines.append(f"{day}: {_sky(code)}, {low} to {high} °C, precipitation {rain} mm{likely}")
    return "\n".join(lines)


def _sky(code: object) -> str:
    return _SKIES.get(code, "unknown sky") if isinstance(code, int | float) else "unknown sky"
