"""Bugs of what comes in: messages that are lost, taken twice, or that keep others out."""

from __future__ import annotations

from tests.planted.bug import Bug, Edit

TELEGRAM = "bot/platforms/telegram.py"
DISCORD_INBOX = "bot/platforms/discord_inbox.py"

BUGS = (
    Bug(
        name="confirmed-too-early",
        what="Telegram's updates are confirmed while they are only in memory",
        whose="bot frameworks and the chat bots on them: a queue in memory, lost with the process",
        edits=(
            Edit(
                TELEGRAM,
                "await self._keep(updates, intake, running, patience)",
                "running.start(partial(self._keep, updates, intake, running, patience))",
            ),
        ),
        found_by=("tests/platforms/test_telegram.py::test_nothing_is_confirmed_before_the_store_has_it",),
    ),
    Bug(
        name="no-dedupe",
        what="an update that is delivered twice is answered twice",
        whose="chat bots: none of those that were read keeps the ids of updates",
        edits=(Edit("storage/inbox.py", '"event": event.event,', '"event": f"{event.event} {secrets.token_hex(4)}",'),),
        found_by=(
            "tests/storage/test_inbox.py::test_a_repeated_event_is_one_row[sqlite]",
            "tests/storage/test_inbox.py::test_an_event_repeated_after_its_answer_and_a_restart_is_known[sqlite]",
        ),
    ),
    Bug(
        name="deaf-after-a-storage-error",
        what="one storage error ends the polling, without a line in the log, and the process lives on",
        whose="a bot framework's updater, when the queue raises",
        edits=(Edit(TELEGRAM, "await patience.wait(str(error))", "await asyncio.Event().wait()"),),
        found_by=(
            "tests/platforms/test_telegram.py::test_nothing_is_confirmed_before_the_store_has_it",
            "tests/test_bad_surroundings.py::test_a_full_disk_delays_and_loses_nothing",
        ),
    ),
    Bug(
        name="poison-update",
        what="one update that cannot be read keeps all later ones of all chats from being answered",
        whose="a bot framework's updater: it polls the same batch for ever",
        edits=(
            Edit(
                "bot/platforms/telegram_inbox.py",
                """_log.warning("Telegram update %d passed over: %s", update["update_id"], error)
            return None""",
                """raise StorageError("an update cannot be read") from error""",
            ),
            Edit(
                TELEGRAM,
                """        keyed = self._inbox.sort(updates)
        while True:
            try:
                await self._inbox.accept(keyed, intake, running)""",
                """        while True:
            try:
                await self._inbox.accept(self._inbox.sort(updates), intake, running)""",
            ),
        ),
        found_by=("tests/platforms/test_telegram.py::test_one_malformed_update_never_blocks_the_others",),
    ),
    Bug(
        name="backlog-dropped",
        what="what was said on Telegram while the bot was down is thrown away at its start",
        whose="chat bots that start polling with drop_pending_updates",
        edits=(Edit(TELEGRAM, '{"drop_pending_updates": False}', '{"drop_pending_updates": True}'),),
        found_by=("tests/platforms/test_telegram.py::test_a_backlog_comes_whole_and_in_order",),
    ),
    Bug(
        name="watermark-before-commit",
        what="on Discord the watermark passes messages that are not stored yet: a crash then loses them",
        whose="bridges that note how far they have read before they have kept it",
        edits=(
            Edit(
                DISCORD_INBOX,
                "            await self._begin_marks(batch)\n",
                """            await self._begin_marks(batch)
            for seen in batch:
                self._mark(seen)
            await self._write_marks()
""",
            ),
        ),
        found_by=(
            "tests/platforms/test_discord_gateway.py::test_what_the_store_cannot_take_waits_in_order_and_no_watermark_passes_it",
        ),
    ),
    Bug(
        name="late-webhook-commit",
        what="the webhook says 200 before the update is stored",
        whose="webhook handlers that answer first and work in the background",
        edits=(
            Edit(
                "bot/platforms/telegram_webhook.py",
                """            await self._take(update)
        except""",
                """            asyncio.get_running_loop().call_later(0.2, lambda: asyncio.ensure_future(self._take(update)))
        except""",
            ),
        ),
        found_by=("tests/platforms/test_telegram_webhook.py::test_it_is_taken_only_when_it_is_kept",),
    ),
)
