"""How long and how much the connection to Discord waits, beats and remembers. What one call may take is beside the call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds, but for `waiting`.

    identify    Discord's: in which `max_concurrency` shards may identify themselves
    courtesy    for each shard that a process holds it leaves the others so long before it asks for one more: they look every
                second
    renumbered  between two looks at the number of shards
    beat        between heartbeats. Discord asks for one every 41 s, and allows 120 frames a minute; a connection that died
                without a word shows by its silence alone
    silence     after which a connection is given up: two beats were not acknowledged
    mark        between two writings of the watermarks
    waiting     messages in memory, while the store cannot take them
    fresh       in which an interaction may still be acknowledged: Discord takes a first answer for 3, the rest is for clocks
    """

    identify: float = 5.0
    courtesy: float = 1.2
    renumbered: float = 60.0
    beat: float = 10.0
    silence: float = 22.0
    mark: float = 5.0
    waiting: int = 5000
    fresh: float = 5.0
