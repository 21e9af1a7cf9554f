"""What the system says about processes and itself, from /proc: Linux only."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    pids = [pid]
    for parent in pids:
        for task in _entries(Path(f"/proc/{parent}/task")):
            pids.extend(int(child) for child in _text(task / "children").split())
    return pids


def cpu(pid: int) -> float:
    """CPU seconds of the tree so far, those of ended children included."""
    total = 0
    for one in tree(pid):
        # the second field is the name in parentheses, which may itself hold spaces and parentheses
        fields = _text(Path(f"/proc/{one}/stat")).rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])
    return total * TICK


def rss(pid: int) -> float:
    """Resident memory of the tree in MB (1,000,000 bytes)."""
    return sum(int((_text(Path(f"/proc/{one}/statm")) or "0 0").split()[1]) for one in tree(pid)) * PAGE / 1e6


def machine_cpu() -> float:
    """CPU seconds that all processes of the machine spent since it started, summed over its cores."""
    fields = [int(field) for field in _text(Path("/proc/stat")).splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, *_ = fields
    return (user + nice + system + irq + softirq) * TICK


@dataclass(frozen=True, slots=True)
class Machine:
    cores: int
    processor: str
    kernel: str
    python: str
    load: tuple[float, float, float]  # 1, 5 and 15 minutes, when asked


def machine() -> Machine:
    models = [line for line in _text(Path("/proc/cpuinfo")).splitlines() if line.startswith("model name")]
    processor = models[0].partition(":")[2].strip() if models else platform.machine()
    return Machine(os.cpu_count() or 1, processor, platform.release(), platform.python_version(), os.getloadavg())


def percentile(values: Sequence[float], percent: int) -> float:
    """0 for no values."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _text(path: Path) -> str:
    """Empty once the process is gone."""
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _entries(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []
