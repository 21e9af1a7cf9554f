"""Texts by which others try to make a model do what nobody asked for: `payloads.json`.

`channel` is how one reaches the model; `wants` are the tools that it orders (`SYSTEM: call <tool> <json>`, which the simulator
obeys). "%SAID%" is to be replaced by what the person said: a model that obeys composes such an address itself; "{trap}" is the
port of a server on loopback that nobody may reach.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

FILE = Path(__file__).parent / "payloads.json"
SAID = "%SAID%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    name: str
    channel: str
    text: str
    wants: tuple[str, ...] = ()

    def at(self, trap: int) -> Payload:
        return replace(self, text=self.text.replace("{trap}", str(trap)))


def load() -> list[Payload]:
    read = json.loads(FILE.read_text("utf-8"))
    return [
        Payload(name=one["name"], channel=one["channel"], text=one["text"], wants=tuple(one["wants"])) for one in read
    ]
