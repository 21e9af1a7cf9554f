"""The child in which files are read: its limits, and that none stays behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.documents import Document, Limits, Unopened, read_document
from bot.phrases import documents as phrases
from tests.documents.files import heavy_pdf, pdf

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for children in /proc")


def children(parent: int | None = None) -> list[int]:
    """The living readers that `parent`, else this process, has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                state, ppid = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # it has just ended
                continue
            if b"bot.documents.child" in command and int(ppid) == (parent or os.getpid()) and state != "Z":
                found.append(int(entry.name))
    return found


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process does not set an Event
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_the_wall_clock() -> None:
    begun = time.monotonic()
    with pytest.raises(Unopened) as caught:
        await read_document(heavy_pdf(), "a.pdf", "", limits=Limits(wall=1.5))

    assert caught.value.phrase == phrases.TOO_SLOW
    assert time.monotonic() - begun < 10
    assert children() == []


async def test_the_clock_of_the_processor() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(heavy_pdf(), "a.pdf", "", limits=Limits(cpu=1))

    assert caught.value.phrase == phrases.TOO_SLOW
    assert children() == []


async def test_cancelling_kills_the_child() -> None:
    reading = asyncio.create_task(read_document(heavy_pdf(), "a.pdf", ""))
    await until(lambda: len(children()) == 1)
    (child,) = children()

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert not alive(child)


async def test_no_more_than_two_at_a_time_and_all_are_read() -> None:
    most = 0
    async with asyncio.TaskGroup() as group:
        readings = [group.create_task(read_document(pdf([f"File {n}"]), "a.pdf", "")) for n in range(5)]
        while not all(reading.done() for reading in readings):
            most = max(most, len(children()))
            await asyncio.sleep(0.01)

    assert [reading.result() for reading in readings] == [Document("a.pdf", f"[page 1]\nFile {n}") for n in range(5)]
    assert most == 2


async def test_who_waits_for_a_place_can_be_cancelled_and_leaves_the_places_free() -> None:
    busy = [asyncio.create_task(read_document(heavy_pdf(), "a.pdf", "")) for _ in range(2)]
    await until(lambda: len(children()) == 2)
    waiting = asyncio.create_task(read_document(pdf(["x"]), "a.pdf", ""))
    await asyncio.sleep(0)
    for reading in (waiting, *busy):
        reading.cancel()
    results = await asyncio.gather(waiting, *busy, return_exceptions=True)

    assert [type(result) for result in results] == [asyncio.CancelledError] * 3
    assert children() == []
    assert (await read_document(pdf(["x"]), "a.pdf", "")).text == "[page 1]\nx"


async def test_the_child_knows_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIPUAI_API_KEY", "secret-key")
    reading = asyncio.create_task(read_document(heavy_pdf(), "a.pdf", ""))
    await until(lambda: len(children()) == 1)
    (child,) = children()

    assert environment(child) == b"PYTHONUTF8=1\0"
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_child_whose_parent_was_killed_ends_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(heavy_pdf())
    program = (
        "import asyncio, pathlib, sys\nfrom bot.documents import Limits, read_document\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "asyncio.run(read_document(data, 'a.pdf', '', limits=Limits(wall=2)))"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path / "a.pdf"), cwd=ROOT)
    await until(lambda: bool(children(parent.pid)))
    (child,) = children(parent.pid)

    parent.kill()
    await parent.wait()

    await until(lambda: not alive(child), 15)


async def test_a_child_that_is_killed_by_the_system_is_an_answer_too() -> None:
    reading = asyncio.create_task(read_document(heavy_pdf(), "a.pdf", ""))
    await until(lambda: len(children()) == 1)
    os.kill(children()[0], signal.SIGKILL)

    with pytest.raises(Unopened) as caught:
        await reading
    assert caught.value.phrase == phrases.TOO_LARGE_INSIDE


@pytest.mark.parametrize(
    ("attempt", "refusal"),
    [
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "PermissionError"),
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')", "PermissionError"),
        ("import subprocess; subprocess.run(['true'])", "PermissionError"),
        ("import os; os.system('true')", "PermissionError"),
        ("import pathlib; pathlib.Path(sys.argv[1], 'x').write_text('x')", "File too large"),
    ],
)
def test_what_the_child_cannot_do(attempt: str, refusal: str, tmp_path: Path) -> None:
    program = f"import sys\nfrom bot.confined import confine\nconfine(memory=2**29, cpu=20, wall=30)\n{attempt}"

    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode != 0
    assert refusal in ended.stderr


def test_the_child_loads_only_what_it_needs() -> None:
    show = "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    bare, loaded = (
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        )
        for program in (f"import sys\n{show}", f"import sys, bot.documents.child\n{show}")
    )

    assert set(loaded.stdout.split()) - set(bare.stdout.split()) - sys.stdlib_module_names == {"bot"}
