"""What a campaign is given and what it says in the end."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """About how long the campaign may go on, in seconds (0: the shortest that still means something), from which seed all its
    chances come, and an empty directory for what it writes."""

    seconds: float
    seed: int
    scratch: Path

    def chance(self, name: str) -> random.Random:
        """The chances of one thing by this seed: independent of how many others were drawn before."""
        return random.Random(f"{self.seed} {name}")


@dataclass(slots=True)
class Tally:
    """How often each thing was tried, what was found wrong (a sentence with all that is needed to see it again), and figures
    that were measured on the way."""

    tried: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        self.tried += other.tried
        self.wrong += other.wrong
        self.figures |= other.figures
