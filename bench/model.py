"""The model of the bench: the built-in simulator in a process of its own, with answers that tell what it was asked.

An answer's first token is a check word: all that the prompt's user said, and how many whole answers it remembers. So
whether a chat's history is right can be read off its answers. `python -m bench.model --answer long` streams 150 tokens of
rich Markdown 30 ms apart instead of 40 words 10 ms apart; both begin after 200 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.simulator import Simulator
from bot.simulator.__main__ import constant
from bot.simulator.words import Question, Reply, Said

FIRST_TOKEN = 0.2  # seconds
QUESTION = re.compile(r"c\d+q\d+")
CHECK = "saw-"


@dataclass(frozen=True, slots=True)
class Script:
    """The answer of a kind: `tokens` of them, `apart` seconds between two; `words` are in it whatever shows it, in this
    order, and the last of them ends it."""

    chunks: tuple[str, ...]
    apart: float
    words: tuple[str, ...]

    @property
    def last(self) -> str:
        return self.words[-1]

    @property
    def seconds(self) -> float:
        """From the request to the last token, by the clock alone."""
        return FIRST_TOKEN + (len(self.chunks) - 1) * self.apart


def _short() -> Script:
    chunks = constant(40).chunks[1:]
    return Script(("", *chunks), 0.01, tuple(chunk.strip() for chunk in chunks))


_LONG = """

# Part 1: mark01 of the answer

Magpies keep **every word** that they were told, and *never one twice*: see `mark02`, and [this page](https://example.org/m).

## 表格与中文

喜鹊把听到的话都记在心里，**一句不丢**，也不会说第二遍。下面先看 mark03，再看表格：

| Platform | Streaming | Pictures |
|:--|:-:|--:|
| Telegram | edits | mark04 |
| Discord | edits | in and out |
| 网页 | 服务器推送 | mark05 |

### Code

```python
def fibonacci(n: int) -> list[int]:
    numbers = [0, 1]  # mark06
    while len(numbers) < n:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:n]
```

1. First, what had been asked (**mark07**);
2. then what had been answered;
3. at last what was still to be said.

> A bridge over the river of stars holds for exactly as long as it is needed: mark08.

- 过桥不必付钱，
- 桥也恰好存在到**不再需要它**的时候。

And so it goes on until the very end of this answer, which is here: mark09"""


def _long() -> Script:
    """149 pieces as equal as they come, behind the check word."""
    ends = [round(len(_LONG) * number / 149) for number in range(150)]
    chunks = tuple(_LONG[begin:end] for begin, end in itertools.pairwise(ends))
    return Script(("", *chunks), 0.03, tuple(f"mark{number:02d}" for number in range(1, 10)))


SCRIPTS = {"short": _short(), "long": _long(), "hasty": replace(_long(), apart=0.005)}  # hasty: long for a short look


def check_word(questions: Sequence[str], answers: int) -> str:
    return f"{CHECK}{'-'.join(questions)}-a{answers}"


def reply(script: Script, question: Question) -> Reply:
    asked = [found for said in question.said if said.role == "user" for found in QUESTION.findall(said.text)]
    whole = sum(_is_whole(script, said) for said in question.said)
    return Reply(chunks=(check_word(asked, whole) + " ", *script.chunks[1:]))


def _is_whole(script: Script, said: Said) -> bool:
    return said.role == "assistant" and said.text.startswith(CHECK) and said.text.rstrip().endswith(script.last)


async def run(name: str) -> None:
    script = SCRIPTS[name]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    simulator = Simulator(
        first_token=FIRST_TOKEN,
        per_token=script.apart,
        script=lambda question: reply(script, question),
        keep_calls=0,
    )
    async with simulator:
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        print(simulator.glm_url, simulator.dashscope_url, simulator.api_key, flush=True)
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.model")
    parser.add_argument("--answer", choices=sorted(SCRIPTS), default="short")
    asyncio.run(run(parser.parse_args().answer))
