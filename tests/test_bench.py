"""The bench's pieces run and tell apart right from wrong; how fast anything is has no place here."""

from __future__ import annotations

import array
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench import background, engine, history, lag, measure, processes, report, scenario, suite, tools
from bench.model import SCRIPTS, check_word, reply
from bench.scenario import Loaded, Start
from bench.suite import Results
from bench.turns import Took
from bot.simulator.words import Question, Said

MACHINE = measure.Machine(2, "a processor", "6.1", "3.11", (0.1, 0.2, 0.3))


def loaded(cpu: float, added: float, wrong: int = 0) -> Loaded:
    """Of 10 questions, each answered `added` seconds after the model's own 0.2 and 0.6."""
    return Loaded(
        chats=10,
        questions=10,
        answered=10,
        wrong=wrong,
        disorder=0,
        seconds=1.0,
        cpu=cpu,
        calls=20,
        early=0,
        refused=0,
        first=[0.2 + added] * 10,
        full=[0.6 + added] * 10,
        others=0.0,
        began=0.0,
        ended=1.0,
    )


def results(magpie: Loaded) -> Results:
    floor = loaded(cpu=0.1, added=0.01)
    start = Start(cpu=1.0, seconds=1.0, rss=90.0)
    return Results(
        before=MACHINE,
        quick=True,
        lag_load="50 chats",
        long_answer="hasty",
        model=(0.2, 0.6),
        long_model=(0.2, 0.6),
        starts={kind: [start] for kind in processes.BOTS},
        loads={
            suite.FIFTY: {"floor": [floor], "glm": [magpie], "qwen": [magpie]},
            suite.CROWD: {"floor": [floor], "glm": [magpie]},
        },
        rss=dict.fromkeys(processes.BOTS, 100.0),
        long={"floor": floor, "glm": magpie},
        floods=magpie,
        hurried=magpie,
        lags={"floor": [0.001, 0.002], "glm": [0.001, 0.002]},
        bursts={
            store: [engine.Burst(messages=100, chats=10, seconds=0.1, cpu=0.1)] for store in ("SQLite", "PostgreSQL")
        },
        paced={"SQLite": 5.0, "PostgreSQL": 15.0},
        history=history.Turns(1000, 10, Took(1.0, 1.0), Took(1.2, 1.0), Took(1.6, 1.2), 1.0),
        waiting=background.Waiting(
            10, background.Turns(Took(2.0, 1.0), Took(2.3, 1.0)), background.Process(90, 0), background.Process(111, 0)
        ),
        tools=tools.Rounds(Took(2.0, 1.0), Took(10.0, 5.0)),
    )


def asked(database: Path, sql: str) -> object:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchone()[0]


async def test_a_bare_bot_is_measured(tmp_path: Path) -> None:
    async with processes.model("short") as model, scenario.stage("floor", model, tmp_path / "floor", lag=True) as stage:
        load = await stage.load(3, 2, spread=0.1)
        rss = stage.rss()
    assert (load.questions, load.answered, load.wrong, load.disorder) == (6, 6, 0, 0)
    assert load.calls == 12
    assert all(first < full for first, full in zip(load.first, load.full, strict=True))
    assert load.cpu > 0
    assert stage.start.cpu > 0
    assert rss > 1
    assert scenario.lags(tmp_path / "floor", load)


async def test_the_engine_alone_answers_everything(tmp_path: Path) -> None:
    burst = await engine.burst(f"sqlite:///{tmp_path / 'burst.db'}", messages=40, chats=10)
    assert burst.per_second > 0


async def test_turns_are_timed_beside_a_long_history(tmp_path: Path) -> None:
    turns = await history.history(tmp_path, messages=300, turns=10)
    assert turns.chats == 3
    assert min(took.cpu for took in (turns.empty, turns.new, turns.old)) > 0
    assert turns.megabytes > 0


async def test_a_bot_with_waiting_jobs_is_measured_beside_one_without(tmp_path: Path) -> None:
    async with processes.model("short") as model:
        waiting = await background.waiting(model, tmp_path, jobs=50, turns=10, rounds=1)
    assert min(waiting.without.rss, waiting.beside.rss, waiting.turns.without.cpu, waiting.turns.beside.cpu) > 1
    untouched = "SELECT count(*) FROM jobs WHERE state = 'running' AND fence = 0"
    assert asked(tmp_path / "beside0" / "magpie.db", untouched) == 50
    assert asked(tmp_path / "turns" / "beside" / "magpie.db", untouched) == 50


async def test_a_turn_with_functions_is_timed_beside_one_without(tmp_path: Path) -> None:
    rounds = await tools.rounds(tmp_path, turns=10)
    assert asked(tmp_path / "tools.db", "SELECT count(*) FROM calls WHERE result = '42'") == 10 * tools.ROUNDS
    assert 0 < rounds.plain.cpu < rounds.called.cpu


def test_a_report_says_which_aims_are_met(tmp_path: Path) -> None:
    made = results(loaded(cpu=0.15, added=0.05, wrong=1))
    rows = {row.what: row for row in report.rows(made)}
    assert rows["50 chats: CPU per 1,000 messages"].ratio == pytest.approx(1.5)
    assert rows["50 chats: CPU per 1,000 messages"].met
    assert rows["50 chats: first text added, median"].values[1] == pytest.approx(50)
    assert rows["50 chats: first text added, median"].met is False
    assert rows["50 chats: full reply added, median"].met
    assert rows["50 chats: lost, wrong or out of order"].values[1] == 1
    assert rows["50 chats: lost, wrong or out of order"].met is False
    assert rows["a turn beside 1,000 messages in 10 chats: new chat"].met
    assert rows["a turn beside 1,000 messages in 10 chats: chat with 100 messages"].met is False
    assert rows["a turn beside 10 waiting jobs"].met is False
    assert rows["a turn beside 10 waiting jobs: CPU"].met
    assert rows["a bot beside 10 waiting jobs: memory"].met is False
    assert rows["a round of functions adds"].values[1] == pytest.approx(2)
    assert "MISSED" in report.table(made)
    assert "2 cores" in report.circumstances(made)
    saved = json.loads(report.save(made, tmp_path).read_text())
    assert saved == json.loads((tmp_path / "latest.json").read_text())
    assert len(saved["rows"]) == len(rows)


def test_an_answer_tells_what_its_prompt_remembered() -> None:
    script = SCRIPTS["short"]
    first = "".join(reply(script, Question(model="m", said=(Said(role="user", text="c7q1"),))).chunks)
    assert first.startswith(check_word(["c7q1"], 0) + " ")
    said = (
        Said(role="user", text="c7q1"),
        Said(role="assistant", text=first),
        Said(role="user", text="c7q2"),
        Said(role="assistant", text=first[:-20]),
        Said(role="user", text="c8q1"),
    )
    assert reply(script, Question(model="m", said=said)).chunks[0].strip() == check_word(["c7q1", "c7q2", "c8q1"], 1)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_scripts_are_as_long_as_they_say(name: str) -> None:
    script = SCRIPTS[name]
    assert len(script.chunks) == (40 if name == "short" else 150)
    text = "".join(script.chunks)
    assert text.rstrip().endswith(script.last)
    places = [text.find(word) for word in script.words]
    assert -1 not in places
    assert places == sorted(places)


def test_lateness_is_read_for_a_span_of_time(tmp_path: Path) -> None:
    path = tmp_path / "lag"
    path.write_bytes(array.array("d", [1.0, 0.5, 2.0, 0.25, 3.0, 0.125]).tobytes())
    assert lag.read(path, 1.5, 2.5) == [0.25]


def test_a_process_is_measured_with_its_children() -> None:
    assert os.getpid() in measure.tree(os.getpid())
    assert measure.cpu(os.getpid()) > 0
    assert measure.rss(os.getpid()) > 1
    assert measure.percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert measure.percentile([], 99) == 0.0
