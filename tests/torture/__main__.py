"""Runs the campaigns: `python -m tests.torture --minutes 90`, or `make torture MINUTES=90`.

Each gets its share of the time and the one seed. The report goes to the screen, and with --out FILE into FILE.json and FILE.md
as well. Ends with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.process import ROOT
from tests.torture.alone import as_json, log_plainly, read
from tests.torture.part import Tally

log = logging.getLogger("torture")


@dataclass(frozen=True, slots=True)
class Campaign:
    """`share` of the whole time; `alone`: it measures time, so nothing else may run beside it."""

    name: str
    module: str
    share: float
    alone: bool = False


CAMPAIGNS = (
    Campaign("kills", "tests.torture.kills", 0.30),
    Campaign("points", "tests.torture.points", 0.10),
    Campaign("links", "tests.torture.links", 0.15),
    Campaign("disk", "tests.torture.disk", 0.07),
    Campaign("power", "tests.torture.power", 0.05),
    Campaign("damage", "tests.torture.damage", 0.02),
    Campaign("outage", "tests.torture.outage", 0.05),
    Campaign("cuts", "tests.torture.cuts", 0.05),
    Campaign("fuzz", "tests.torture.fuzz", 0.10),
    Campaign("machine", "tests.torture.machine", 0.10),
    Campaign("soak", "tests.torture.soak", 0.10),
    Campaign("load", "tests.torture.load", 0.05, alone=True),
)
AT_ONCE = 2  # campaigns beside each other, where none of them measures time
PATIENCE = 900.0  # seconds: a campaign that goes on for so long after twice its time does not end by itself
PROGRESS = 60.0  # seconds between two lines that say what is still running
CONFIDENCE = 3.0  # 0 in n bounds the rate at 3/n with 95 % (the rule of three)


@dataclass(slots=True, kw_only=True)
class Report:
    """What becomes of a whole run; `seconds` by campaign."""

    seed: int
    minutes: float
    commit: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def wrong(self) -> list[str]:
        return [f"{name}: {sentence}" for name, tally in self.tallies.items() for sentence in tally.wrong]

    def markdown(self) -> str:
        lines = [
            f"Seed {self.seed}, {self.minutes:g} minutes, commit {self.commit}.",
            "",
            "| campaign | what | n | at most, with 95 % |",
            "|---|---|--:|--:|",
        ]
        for name, tally in self.tallies.items():
            found = len(tally.wrong)
            for what, count in sorted(tally.tried.items()):
                bound = f"{found} wrong" if found else f"{100 * CONFIDENCE / count:.2g} %" if count else "—"
                lines.append(f"| {name} | {what} | {count:,} | {bound} |")
        lines += ["", "| campaign | figure | |", "|---|---|--:|"]
        for name, tally in self.tallies.items():
            lines += [f"| {name} | {what} | {value:,.6g} |" for what, value in sorted(tally.figures.items())]
        lines += ["", "| campaign | seconds | wrong |", "|---|--:|--:|"]
        lines += [f"| {name} | {self.seconds[name]:.0f} | {len(tally.wrong)} |" for name, tally in self.tallies.items()]
        wrong = [f"- {sentence}" for sentence in self.wrong] or ["Nothing was found wrong."]
        return "\n".join([*lines, "", *wrong, ""])

    def json(self) -> str:
        campaigns = {
            name: {**as_json(tally), "seconds": round(self.seconds[name])} for name, tally in self.tallies.items()
        }
        whole = {"seed": self.seed, "minutes": self.minutes, "commit": self.commit, "campaigns": campaigns}
        return json.dumps(whole, ensure_ascii=False, indent=1)


async def run(chosen: Sequence[Campaign], minutes: float, seed: int, commit: str) -> Report:
    """The ones that share the machine first, then one by one those that need it for themselves."""
    report = Report(seed=seed, minutes=minutes, commit=commit)
    whole = sum(campaign.share for campaign in chosen)
    beside = [campaign for campaign in chosen if not campaign.alone]
    alone = [campaign for campaign in chosen if campaign.alone]
    room = asyncio.Semaphore(min(AT_ONCE, max(1, len(beside))))
    # side by side each may take longer for the same wall clock
    factor = min(AT_ONCE, len(beside)) if beside else 1

    async def one(campaign: Campaign, seconds: float) -> None:
        async with room:
            await _play(campaign, seconds, report)

    async with asyncio.TaskGroup() as tasks:
        for campaign in sorted(beside, key=lambda campaign: -campaign.share):
            tasks.create_task(one(campaign, 60 * minutes * campaign.share / whole * factor))
    for campaign in alone:
        await _play(campaign, 60 * minutes * campaign.share / whole, report)
    return report


async def _play(campaign: Campaign, seconds: float, report: Report) -> None:
    began = time.monotonic()
    log.info("%s: begins, for about %.0f s", campaign.name, seconds)
    with tempfile.TemporaryDirectory(prefix=f"magpie-{campaign.name}-") as scratch:
        arguments = [campaign.module, str(seconds), str(report.seed), scratch]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.torture.alone", *arguments, cwd=ROOT
        )
        async with asyncio.TaskGroup() as tasks:
            progress = tasks.create_task(_progress(campaign, began))
            ended = await _ended(process, PATIENCE + 2 * seconds)
            progress.cancel()
        tally = read(Path(scratch)) or Tally(wrong=[f"the campaign {'broke down' if ended else 'did not end'}"])
        if tally.wrong:
            kept = Path(tempfile.gettempdir()) / f"magpie-{campaign.name}-{report.seed}-wrong"
            shutil.copytree(scratch, kept, dirs_exist_ok=True, ignore_dangling_symlinks=True)
            log.error("%s: what it left is in %s", campaign.name, kept)
    report.tallies[campaign.name], report.seconds[campaign.name] = tally, time.monotonic() - began
    log.info("%s: over after %.0f s, %d wrong", campaign.name, time.monotonic() - began, len(tally.wrong))
    for sentence in tally.wrong:
        log.error("%s: %s", campaign.name, sentence)


async def _ended(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Whether it did so by itself. Whoever does not is asked to, so that its own processes end with it."""
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()
    return True


async def _progress(campaign: Campaign, began: float) -> None:
    while True:
        await asyncio.sleep(PROGRESS)
        log.info("%s: still on, for %.0f s", campaign.name, time.monotonic() - began)


def there() -> list[Campaign]:
    """The campaigns whose modules exist."""
    return [campaign for campaign in CAMPAIGNS if find_spec(campaign.module)]


def main(arguments: Sequence[str]) -> int:
    names = [campaign.name for campaign in there()]
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="The campaigns")
    parser.add_argument("--minutes", type=float, default=10.0, help="about how long all of it takes")
    parser.add_argument("--seed", type=int, default=None, help="of all chances; a random one is printed")
    parser.add_argument("--only", action="append", choices=names, help="this campaign (may be repeated)")
    parser.add_argument("--out", type=Path, default=None, help="where the report goes: FILE.json and FILE.md")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    log_plainly()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it started ends with it
    log.info("seed %d", seed)
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    chosen = [campaign for campaign in there() if not options.only or campaign.name in options.only]
    report = asyncio.run(run(chosen, options.minutes, seed, git.stdout.strip() or "unknown"))
    sys.stdout.write(f"\n{report.markdown()}")
    if options.out:
        options.out.with_suffix(".json").write_text(report.json(), "utf-8")
        options.out.with_suffix(".md").write_text(report.markdown(), "utf-8")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
