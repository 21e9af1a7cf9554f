"""What the measurements say: a table for people, JSON for programs, and which aims are met."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from bench.background import Waiting
from bench.engine import Burst
from bench.history import Turns
from bench.measure import Machine, median, percentile
from bench.model import SCRIPTS
from bench.scenario import Loaded
from bench.suite import ALONE, CROWD, FIFTY, Results
from bench.takeover import Takeover
from bench.tools import Rounds

T = TypeVar("T")
Figure = Callable[[Loaded], float]
Loads = Mapping[str, Sequence[Loaded]]  # by bot, one for each round
Values = tuple[float | None, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: of the zero mark (None: it has none) and of Magpie, and what Magpie's should be."""

    what: str
    unit: str
    values: tuple[float | None, float]
    aim: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        floor, magpie = self.values
        return magpie / floor if floor else None


def rows(results: Results) -> list[Row]:
    """Every figure; of the engine alone where no other bot was measured."""
    assert results.history
    alone = [
        *(row for store, bursts in results.bursts.items() for row in _engine(store, bursts, results.paced[store])),
        *_history(results.history),
        *_waiting(results.waiting),
        *_tools(results.tools),
        *_takeover(results.takeover),
    ]
    if results.floods is None or results.hurried is None:
        return alone
    return [
        *_starts(results),
        *(row for load in results.loads for row in _load(results, load)),
        _qwen(results.loads[FIFTY]),
        *_crowd(results),
        *_long(results),
        *_strained(results.floods, results.hurried),
        *alone,
    ]


# --- the figures -------------------------------------------------------------------------------------------------------


def _at_most(what: str, unit: str, values: Values, limit: float) -> Row:
    return Row(what, unit, values, f"≤ {limit:g}", values[1] <= limit)


def _both(loads: Loads, figure: Figure) -> Values:
    """The medians of the rounds, of the zero mark and of Magpie."""
    return _pair(loads["floor"], loads["glm"], figure)


def _pair(floor: Iterable[T], magpie: Iterable[T], figure: Callable[[T], float]) -> Values:
    return median([figure(one) for one in floor]), median([figure(one) for one in magpie])


def _starts(results: Results) -> list[Row]:
    floor, glm, qwen = (results.starts[kind] for kind in ("floor", "glm", "qwen"))
    return [
        _at_most("start: CPU until quiet", "s", _pair(floor, glm, lambda start: start.cpu), 1.5),
        Row("start: until it polls Telegram", "s", _pair(floor, glm, lambda start: start.seconds)),
        Row("start: CPU until quiet, Qwen", "s", _pair(floor, qwen, lambda start: start.cpu)),
        _at_most("memory: idle", "MB", _pair(floor, glm, lambda start: start.rss), 95),
        Row("memory: idle, Qwen", "MB", _pair(floor, qwen, lambda start: start.rss)),
        _at_most("memory: after the loads", "MB", (results.rss["floor"], results.rss["glm"]), 140),
    ]


LIMITS = {FIFTY: (1.8, 40.0, 60.0), ALONE: (2.0, 20.0, 20.0)}  # CPU as a ratio, first text and full reply in ms


def _load(results: Results, name: str) -> list[Row]:
    loads = results.loads[name]
    ratio, *limits = LIMITS.get(name, (None, None, None))
    cpu = _both(loads, lambda one: one.cpu_per_1000)
    times = paired(loads["floor"], loads["glm"], lambda one: one.cpu_per_1000)
    aim = (f"≤ {ratio:g} x", times <= ratio) if ratio else ("", None)
    made = [Row(f"{name}: CPU per 1,000 messages", "s", cpu, *aim)]
    firsts = _added(f"{name}: first text added", loads, lambda one: one.first, results.model[0], limits[0])
    fulls = _added(f"{name}: full reply added", loads, lambda one: one.full, results.model[1], limits[1])
    calls = _both(loads, lambda one: one.calls / max(1, one.answered))
    return [
        *made,
        *firsts,
        *fulls,
        Row(f"{name}: calls of Telegram per answer", "", calls, "2 to 4", 2 <= calls[1] <= 4),
        _failures(f"{name}: lost, wrong or out of order", loads["glm"], loads["floor"]),
        Row(f"{name}: used by other programs meanwhile", "cores", _both(loads, lambda one: one.others)),
    ]


def _added(
    what: str, loads: Loads, times: Callable[[Loaded], list[float]], own: float, limit: float | None
) -> list[Row]:
    """On top of the model's own time, in ms."""
    middle = _both(loads, lambda one: (median(times(one)) - own) * 1000)
    high = _both(loads, lambda one: (percentile(times(one), 95) - own) * 1000)
    aim = (f"≤ {limit:g}", middle[1] <= limit) if limit else ("", None)
    return [Row(f"{what}, median", "ms", middle, *aim), Row(f"{what}, p95", "ms", high)]


def _failures(what: str, magpie: Sequence[Loaded], floor: Sequence[Loaded] | None = None) -> Row:
    def failed(loads: Sequence[Loaded]) -> int:
        return sum(one.questions - one.answered + one.wrong + one.disorder for one in loads)

    return Row(what, "", (None if floor is None else failed(floor), failed(magpie)), "0", failed(magpie) == 0)


def paired(floor: Sequence[Loaded], other: Sequence[Loaded], figure: Figure) -> float:
    """The median of each round's own ratio: the two of a round were measured one right after the other."""
    return median([figure(b) / max(figure(a), 1e-9) for a, b in zip(floor, other, strict=True)])


def _qwen(loads: Loads) -> Row:
    glm, qwen = loads["glm"], loads["qwen"]
    times = paired(glm, qwen, lambda one: one.cpu_per_1000)
    cpu = _pair(glm, qwen, lambda one: one.cpu_per_1000)
    return Row(f"{FIFTY}: CPU per 1,000 messages, GLM and Qwen", "s", cpu, "≤ 1.7 x", times <= 1.7)


def _crowd(results: Results) -> list[Row]:
    loads = results.loads[CROWD]
    times = paired(loads["floor"], loads["glm"], lambda one: one.seconds)
    late = percentile(results.lags["floor"], 99) * 1000, percentile(results.lags["glm"], 99) * 1000
    return [
        Row(f"{CROWD}: all answered after", "s", _both(loads, lambda one: one.seconds), "≤ 1.7 x", times <= 1.7),
        Row(f"{results.lag_load}: event loop late, p99", "ms", late),
    ]


def _long(results: Results) -> list[Row]:
    loads: Loads = {kind: [load] for kind, load in results.long.items()}
    first, last = results.long_model
    return [
        Row("long Markdown: CPU per 1,000 messages", "s", _both(loads, lambda one: one.cpu_per_1000)),
        *_added("long Markdown: first text added", loads, lambda one: one.first, first, None),
        *_added("long Markdown: full reply added", loads, lambda one: one.full, last, None),
        Row(
            "long Markdown: calls of Telegram per answer",
            "",
            _both(loads, lambda one: one.calls / max(1, one.answered)),
        ),
        _failures("long Markdown: lost, wrong or out of order", loads["glm"], loads["floor"]),
    ]


def _strained(flood: Loaded, hurried: Loaded) -> list[Row]:
    return [
        _failures("flood limits: lost, wrong or out of order", [flood]),
        _at_most("flood limits: calls before a RetryAfter ended", "", (None, flood.early), 0),
        Row(f"flood limits: 429s for {flood.questions} questions", "", (None, flood.refused)),
        Row(f"flood limits: {flood.questions} questions answered after", "s", (None, flood.seconds)),
        _failures(f"{hurried.chats} people who do not wait: lost, wrong or out of order", [hurried]),
    ]


AIMS = {"SQLite": (2000, 10), "PostgreSQL": (1500, 25)}  # messages a second in a burst; milliseconds added


def _engine(store: str, bursts: Sequence[Burst], paced: float) -> list[Row]:
    what = f"engine alone on {store}: {bursts[0].messages:,} messages in {bursts[0].chats} chats"
    per_second = median([one.per_second for one in bursts])
    cpu = median([one.cpu / one.messages * 1000 for one in bursts])
    most, longest = AIMS[store]
    return [
        Row(what, "per s", (None, per_second), f"≥ {most}", per_second >= most),
        Row(f"engine alone on {store}: CPU per 1,000 messages", "s", (None, cpu)),
        Row(
            f"engine alone on {store}: added to a lone message, 20 a second",
            "ms",
            (None, paced),
            f"≤ {longest}",
            paced <= longest,
        ),
    ]


def _takeover(takeover: Takeover | None) -> list[Row]:
    if takeover is None:
        return []
    what = f"two workers on PostgreSQL, {len(takeover.late)} kills of one: its chats wait"
    longest = max(takeover.late)
    return [
        Row(f"{what}, median", "s", (None, takeover.median)),
        Row(f"{what}, longest", "s", (None, longest), "≤ 5", longest <= 5),
    ]


def _history(history: Turns) -> list[Row]:
    made: list[Row] = []
    full = f"a turn beside {history.messages:,} messages in {history.chats:,} chats"
    for name, took in (("new chat", history.new), ("chat with 100 messages", history.old)):
        wall = (history.empty.wall, took.wall)
        made.append(Row(f"{full}: {name}", "ms", wall, "≤ 1.5 x", took.wall <= 1.5 * history.empty.wall))
        made.append(Row(f"{full}: {name}, CPU", "ms", (history.empty.cpu, took.cpu)))
    return made


def _waiting(waiting: Waiting | None) -> list[Row]:
    """Without the jobs and with them."""
    if waiting is None:
        return []
    without, beside = waiting.without, waiting.beside
    turn = f"a turn beside {waiting.jobs:,} waiting jobs"
    bot = f"a bot beside {waiting.jobs:,} waiting jobs"
    lone, crowded = waiting.turns.without, waiting.turns.beside
    return [
        Row(turn, "ms", (lone.wall, crowded.wall), "≤ 1.1 x", crowded.wall <= 1.1 * lone.wall),
        Row(f"{turn}: CPU", "ms", (lone.cpu, crowded.cpu), "≤ 1.1 x", crowded.cpu <= 1.1 * lone.cpu),
        Row(f"{bot}: memory", "MB", (without.rss, beside.rss), "≤ 20 more", beside.rss - without.rss <= 20),
        Row(f"{bot}: CPU in an idle minute", "s", (without.idle, beside.idle)),
    ]


def _tools(tools: Rounds | None) -> list[Row]:
    if tools is None:
        return []
    return [
        _at_most("a round of functions adds", "ms", (None, tools.each.wall), 10),
        _at_most("a round of functions adds, CPU", "ms", (None, tools.each.cpu), 10),
    ]


# --- as text and as JSON -----------------------------------------------------------------------------------------------


def table(results: Results) -> str:
    """Markdown that also reads well in a terminal."""
    cells = [("", "zero mark", "Magpie", "", "ratio", "aim", "")]
    for row in rows(results):
        met = {None: "", True: "met", False: "MISSED"}[row.met]
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        floor, magpie = ("" if value is None else number(value) for value in row.values)
        cells.append((row.what, floor, magpie, row.unit, ratio, row.aim, met))
    widths = [max(len(row[column]) for row in cells) for column in range(7)]
    lines = ["| " + " | ".join(map(_justified, row, widths, LEFT)) + " |" for row in cells]
    rule = "|".join(
        "-" * (width + 2) if left else "-" * (width + 1) + ":" for width, left in zip(widths, LEFT, strict=True)
    )
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


LEFT = (True, False, False, True, False, True, True)  # how each column is justified


def _justified(cell: str, width: int, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def circumstances(results: Results) -> str:
    before, after = results.before, results.after or results.before
    own = ", ".join(
        f"{seconds * 1000:.0f} ms to the {what} token ({name} answer; by the clock {clock * 1000:.0f})"
        for name, times in (("short", results.model), (results.long_answer, results.long_model))
        for what, seconds, clock in zip(("first", "last"), times, (0.2, SCRIPTS[name].seconds), strict=True)
    )
    return (
        f"{before.cores} cores ({before.processor}), Linux {before.kernel}, Python {before.python}; load average"
        f" {_loads(before)} before, {_loads(after)} after; {results.seconds:.0f} s.\n"
        f"The model by itself: {own}."
    )


def _loads(machine: Machine) -> str:
    return "/".join(f"{one:.1f}" for one in machine.load)


def save(results: Results, folder: Path) -> Path:
    """Writes `<time>.json`, and the same as `latest.json`."""
    at = datetime.now(UTC)
    rounds = {
        name: {kind: [_summary(one) for one in some] for kind, some in kinds.items()}
        for name, kinds in results.loads.items()
    }
    value = {
        "at": at.isoformat(timespec="seconds"),
        "quick": results.quick,
        "seconds": results.seconds,
        "before": asdict(results.before),
        "after": asdict(results.after or results.before),
        "model": results.model,
        "rows": [asdict(row) | {"ratio": row.ratio} for row in rows(results)],
        "rounds": rounds,
        "starts": {kind: [asdict(start) for start in starts] for kind, starts in results.starts.items()},
        "bursts": {
            store: [asdict(one) | {"per_second": one.per_second} for one in bursts]
            for store, bursts in results.bursts.items()
        },
        "paced": results.paced,
        **{
            name: asdict(one) if one else None
            for name, one in (
                ("history", results.history),
                ("waiting", results.waiting),
                ("tools", results.tools),
                ("takeover", results.takeover),
            )
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1)
    path = folder / f"{at:%Y%m%d-%H%M%S}.json"
    for file in (path, folder / "latest.json"):
        file.write_text(text, "utf-8")
    return path


def _summary(load: Loaded) -> dict[str, float]:
    """Without the single times; these are in ms from the question."""
    figures: dict[str, float] = {
        name: getattr(load, name)
        for name in (
            "chats",
            "questions",
            "answered",
            "wrong",
            "disorder",
            "seconds",
            "cpu",
            "calls",
            "refused",
            "others",
        )
    }
    for name, values in (("first", load.first), ("full", load.full)):
        figures |= {f"{name}_p{percent}": percentile(values, percent) * 1000 for percent in (50, 95, 99)}
    return figures
