"""Bugs of what people are shown: twice, cut, or never to its end."""

from __future__ import annotations

from tests.planted.bug import Bug, Edit

BUGS = (
    Bug(
        name="forgotten-message-ids",
        what="the ids of sent messages are not stored: after a crash the answer stands there twice",
        whose="chat bots: none of those that were read stores them",
        edits=(
            Edit("storage/outbox.py", """yield OUTBOX["record_preview"], {"chat": chat, **values}""", "_ = values"),
        ),
        found_by=(
            "tests/torture/test_kills.py::test_a_kill_while_the_final_text_is_held_doubles_nothing",
            "tests/turns/test_engine_restart.py::test_a_crash_anywhere_leaves_one_answer_in_the_messages_already_sent[edit-False]",
        ),
    ),
    Bug(
        name="retry-after-ends-it",
        what="a 429 on the last edit leaves the answer as it then stood: cut",
        whose="chat bots that log a failed edit, also the final one",
        edits=(
            Edit(
                "bot/turns/delivery.py",
                """                throttle.flood(error.seconds)
                await asyncio.sleep(error.seconds)
""",
                """                log.warning("%s: %s", chat, error)
                return
""",
            ),
        ),
        found_by=(
            "tests/turns/test_delivery_outbox.py::test_no_answer_is_shown_before_a_retry_after_has_ended_and_only_this_chat_waits",
            "tests/walks/test_walk_answers.py::test_a_429_on_the_last_edit_delays_the_end_and_cuts_nothing",
        ),
    ),
    Bug(
        name="truncated",
        what="what does not fit into one message is never shown",
        whose="chat bots that cut at the limit and add “(truncated)”",
        edits=(
            Edit(
                "bot/turns/answer.py",
                "        places = self._pieces(layout, final=True)\n",
                """        places = self._pieces(layout, final=True)
        places = {place: piece for place, piece in places.items() if place[1] == 0}
""",
            ),
        ),
        found_by=(
            "tests/turns/test_delivery.py::test_pieces_roll_over_and_each_begins_with_a_preview",
            "tests/walks/test_walk_answers.py::test_an_answer_over_the_limit_rolls_over_with_code_and_tables_whole",
        ),
    ),
    Bug(
        name="sent-again-after-a-timeout",
        what="a final text whose send timed out is sent again, and then stands there twice",
        whose="retrying HTTP clients before an API without idempotent sends",
        edits=(Edit("bot/platforms/telegram.py", "Traits(idempotent=False)", "Traits(idempotent=True)"),),
        found_by=(
            "tests/walks/test_walk_answers.py::test_the_network_breaks_after_the_first_send_of_a_finished_answer_and_it_stands_once",
        ),
    ),
    Bug(
        name="random-nonce",
        what="a send to Discord that is repeated after a timeout shows the message twice",
        whose="Discord bots that send with a random nonce, or none",
        edits=(
            Edit(
                "bot/platforms/discord.py",
                """body |= {"nonce": nonce, "enforce_nonce": True}""",
                """body |= {"nonce": str(time.monotonic_ns()), "enforce_nonce": True}""",
            ),
        ),
        found_by=("tests/platforms/test_discord.py::test_a_repeated_send_shows_one_message",),
    ),
    Bug(
        name="pings-in-later-pieces",
        what="@everyone rings for everyone when it stands in the second message of a long answer",
        whose="Discord bots that forbid mentions in the first message only, or nowhere",
        edits=(
            Edit(
                "bot/platforms/discord.py",
                """{"nonce": nonce, "enforce_nonce": True}
""",
                """{"nonce": nonce, "enforce_nonce": True}
            if not _is_first(nonce):
                del body["allowed_mentions"]
""",
            ),
        ),
        found_by=("tests/platforms/test_discord.py::test_the_first_piece_replies_and_nothing_pings",),
    ),
)
