"""Bugs of the store and of many workers: what was acknowledged and is lost, who acts though it is no longer theirs to act."""

from __future__ import annotations

from tests.planted.bug import Bug, Edit

BUGS = (
    Bug(
        name="no-fence",
        what="a worker that comes late completes a turn that another one has taken over",
        whose="job queues with leases and without fencing tokens",
        edits=(
            Edit(
                "storage/inbox.py",
                'if not rows or rows[0]["fence"] != claim.fence or rows[0]["turn"] != claim.turn:',
                "if not rows:",
            ),
        ),
        found_by=(
            "tests/storage/test_complete.py::test_a_claim_that_another_attempt_took_over_cannot_complete",
            "tests/storage/test_postgres.py::test_what_a_dead_worker_had_is_shared_out_and_its_late_writes_are_refused",
        ),
    ),
    Bug(
        name="paused-and-sends",
        what="a worker that was paused beyond its lease goes on sending when it wakes up",
        whose="job queues: a lease is checked at its renewal only",
        edits=(
            Edit("bot/turns/delivery.py", "while not self.may_act():", "while False:"),
            Edit("bot/turns/preview.py", "if not self._delivery.may_act():", "if False:"),
        ),
        found_by=("tests/turns/test_delivery.py::test_nothing_is_shown_while_our_lease_may_be_over",),
    ),
    Bug(
        name="paused-and-polls",
        what="a worker that was paused beyond its lease goes on polling and confirms what another one should answer",
        whose="leader elections that are trusted until the next heartbeat",
        edits=(
            Edit("bot/turns/fleet.py", "return name in self._held and self.may_act()", "return name in self._held"),
        ),
        found_by=("tests/turns/test_fleet.py::test_a_paused_process_does_not_hold_its_duty_even_before_it_is_told",),
    ),
    Bug(
        name="not-synced",
        what="a power cut loses messages that were acknowledged",
        whose="chat bots on SQLite with synchronous=NORMAL or OFF",
        edits=(Edit("storage/sqlite.py", "PRAGMA synchronous=FULL;", "PRAGMA synchronous=OFF;"),),
        found_by=(
            "tests/storage/test_sqlite.py::test_each_commit_is_synced_to_the_disk",
            "tests/torture/test_power.py::test_what_was_acknowledged_survives_a_power_cut_at_any_instant",
        ),
    ),
    Bug(
        name="told-before-commit",
        what="a message is acknowledged before the commit that holds it",
        whose="write-behind caches before a database",
        edits=(
            Edit(
                "storage/store.py",
                "return await self._run(partial(inbox.accept, events, self._now), chats=tuple(chats), tells=tells)",
                """import asyncio
        asyncio.ensure_future(self._run(partial(inbox.accept, events, self._now), chats=tuple(chats), tells=tells))
        return []""",
            ),
        ),
        found_by=(
            "tests/turns/test_engine.py::test_accepting_is_refused_as_a_whole_while_the_store_does_not_commit",
            "tests/torture/test_power.py::test_what_was_acknowledged_survives_a_power_cut_at_any_instant",
        ),
    ),
    Bug(
        name="stop-not-told",
        what="a /stop that one worker takes is never told to the one that makes the answer",
        whose="bots on several workers that keep their running tasks in memory",
        edits=(
            Edit("storage/fleet.py", 'to_end=tuple(row["id"] for row in to_end)', "to_end=()"),
            Edit(
                "storage/batch.py",
                "for pending in batch for topic in pending.tells}",
                "for pending in batch for topic in ()}",
            ),
        ),
        found_by=(
            "tests/storage/test_postgres.py::test_a_heartbeat_learns_which_turns_must_end",
            "tests/storage/test_postgres.py::test_workers_tell_each_other_and_not_themselves",
        ),
    ),
)
