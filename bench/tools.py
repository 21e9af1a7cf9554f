"""What a round of functions costs of our own: the model's first say, its money, the call's row, the function, its result's row.
The vendor takes no time, and the function is the built-in calculator; all between them is real."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from bench.engine import WORDS
from bench.turns import CARD, Took, asking, medians
from bot.messages import Finish, Finished, Text, Usage
from bot.models.budget import Budget
from bot.models.guarded import Guarded
from bot.models.tries import Limits
from bot.models.vendor import Streamed, Vendor
from bot.ports import Prompt, ToolCall
from bot.tools import built_in
from storage import open_store

ROUNDS = 4  # of the turns with functions
WANTED = re.compile(r"(\d+) rounds")


@dataclass(frozen=True, slots=True)
class Rounds:
    """A turn without functions, and one with ROUNDS rounds of one call each."""

    plain: Took
    called: Took

    @property
    def each(self) -> Took:
        """What one round adds."""
        return Took((self.called.wall - self.plain.wall) / ROUNDS, (self.called.cpu - self.plain.cpu) / ROUNDS)


class Calculating:
    """A vendor whose model calculates as often as the question says, and then answers."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Streamed, None]:
        usage = Usage(prompt=100, completion=20)
        wanted = next(int(found[1]) for line in reversed(prompt.lines) if (found := WANTED.search(line.text)))
        if sum(line.role == "tool" for line in prompt.lines) < wanted:
            yield ToolCall("1", "calculate", '{"expression": "6 * 7"}')
            yield Finished(reason=Finish.TOOLS, usage=usage, model=CARD.name)
        else:
            yield Text(WORDS)
            yield Finished(reason=Finish.STOP, usage=usage, model=CARD.name)


async def rounds(folder: Path, turns: int) -> Rounds:
    async def opened() -> Vendor:
        return Calculating()

    plain: list[Took] = []
    called: list[Took] = []
    async with open_store(f"sqlite:///{folder / 'tools.db'}") as store:
        model = Guarded(CARD.vendor, opened, Budget(store, 1_000_000), Limits())
        async with asking(store, model, folder, built_in()) as asked:
            for number in range(turns):
                plain.append(await asked(f"plain{number}", "0 rounds "))
                called.append(await asked(f"called{number}", f"{ROUNDS} rounds "))
    return Rounds(medians(plain), medians(called))
