"""What a scraper reads of this process."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import Exposition, Queues
from bot.ports import Platform


async def scrape(queues: Queues | None = None, platforms: Mapping[str, Platform] | None = None) -> dict[str, float]:
    """The figures by their samples as they are written: `name{label="value"}`."""
    return parse((await Exposition(queues, platforms or {})()).decode())


def parse(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What counts more than before, buckets and the process's own figures apart."""
    more = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {
        name: round(value, 9)
        for name, value in more.items()
        if value > 0 and name.startswith("magpie_") and "_bucket" not in name
    }
