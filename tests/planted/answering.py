"""Bugs of conversations: answers in the wrong one, twice, or none at all."""

from __future__ import annotations

from tests.planted.bug import Bug, Edit

DESK = "bot/conversation/desk.py"
ANSWERING = "bot/conversation/answering.py"
TOOLWORK = "bot/conversation/toolwork.py"
INBOX = "storage/inbox.py"

BUGS = (
    Bug(
        name="two-turns-at-once",
        what="two questions of one chat are answered at the same time, and overtake each other",
        whose="chat bots with concurrent updates and one unlocked list per chat",
        edits=(
            Edit(
                "storage/queries/inbox.sql", "SELECT chat, fence, epoch, seq", "SELECT chat, owner, fence, epoch, seq"
            ),
            Edit(
                "storage/queries/inbox.sql",
                "WHERE owner IS NULL AND pending > 0 AND ready <= :now",
                "WHERE pending > 0 AND ready <= :now",
            ),
            Edit(INBOX, 'if chat["turn"] is not None:', 'if chat["turn"] is not None and chat["owner"] is None:'),
            Edit(
                INBOX,
                'if not rows or rows[0]["fence"] != claim.fence or rows[0]["turn"] != claim.turn:',
                "if not rows:",
            ),
            Edit(
                "bot/turns/claims.py",
                "            self._behind[chat] = True\n        else:",
                "            self._behind[chat] = True\n            self.arrived.set()\n        else:",
            ),
        ),
        found_by=(
            "tests/turns/test_engine.py::test_a_chats_next_turn_waits_for_the_end_of_its_last",
            "tests/storage/test_inbox.py::test_a_chat_has_one_turn_at_a_time",
        ),
    ),
    Bug(
        name="foreign-history",
        what="a chat goes on from what was said last in any chat",
        whose="chat bots that keep a conversation under a key that several chats share",
        edits=(
            Edit(
                "storage/queries/inbox.sql",
                "seq, stop, turn, head,\n  (SELECT value",
                "seq, stop, turn, (SELECT max(head) FROM chats) AS head,\n  (SELECT value",
            ),
        ),
        found_by=(
            "tests/walks/test_walk.py::test_a_chat_is_remembered_over_a_restart_and_nothing_is_shared_between_chats",
            "tests/walks/test_walk.py::test_topics_are_conversations_of_their_own",
            "tests/torture/test_kills.py::test_kills_lose_nothing_and_double_nothing[Telegram on SQLite]",
        ),
    ),
    Bug(
        name="reset-ignored-by-the-running",
        what="an answer that runs during a /reset enters the new conversation",
        whose="chat bots that append a finished stream to whatever list is there then",
        edits=(Edit(INBOX, 'current = state["epoch"] == claim.epoch', "current = True"),),
        found_by=(
            "tests/storage/test_complete.py::test_a_turn_from_before_a_reset_completes_as_stopped_and_writes_no_history",
            "tests/turns/test_overtaker.py::test_nothing_of_the_old_conversation_reaches_the_new_one",
        ),
    ),
    Bug(
        name="group-migration-forgets",
        what="a group that becomes a supergroup begins without its history",
        whose="chat bots that know nothing of migrate_to_chat_id",
        edits=(
            Edit(
                "storage/moving.py",
                """yield MOVING["rename_chat"], {"old": old, "new": new}""",
                """yield MOVING["delete_chat"], {"old": old}""",
            ),
        ),
        found_by=(
            "tests/storage/test_control.py::test_everything_moves_along",
            "tests/walks/test_walk.py::test_a_group_that_becomes_a_supergroup_keeps_its_conversation",
        ),
    ),
    Bug(
        name="edit-is-a-question",
        what="an edited question is answered as a second question",
        whose="chat bots whose handler takes edited messages like new ones",
        edits=(Edit("bot/manager.py", "if exchange is None or exchange.question is None:", "if True:"),),
        found_by=(
            "tests/test_manager.py::test_an_edit_of_the_last_question_asks_it_anew_in_place",
            "tests/walks/test_walk.py::test_editing_the_last_question_asks_it_again_in_place",
        ),
    ),
    Bug(
        name="cut-taken-for-whole",
        what="an answer whose stream broke off looks complete and is remembered so",
        whose="chat bots and gateways that take the end of a stream for the end of an answer",
        edits=(
            Edit(
                "bot/models/guarded.py", "is Trouble.REFUSED else Finish.CUT,", "is Trouble.REFUSED else Finish.STOP,"
            ),
        ),
        found_by=(
            "tests/models/test_streams.py::test_a_stream_that_breaks_in_the_middle_is_marked_as_cut",
            "tests/torture/test_cuts.py::test_a_cut_stream_gives_its_exact_beginning_and_is_marked_as_cut",
        ),
    ),
    Bug(
        name="silence-on-error",
        what="when the vendor fails the person hears nothing",
        whose="chat bots that log every exception and go on",
        edits=(
            Edit(
                DESK,
                "return [Text(phrase.to(language)), *self.buttons_after_failure(turn, request, answering.card, retry), end]",
                "return [end]",
            ),
        ),
        found_by=(
            "tests/conversation/test_desk.py::test_a_failed_question_can_be_asked_again",
            "tests/walks/test_walk_answers.py::test_a_vendors_error_is_shown_with_its_sentence[1113]",
        ),
    ),
    Bug(
        name="exception-in-the-chat",
        what="the text of an exception is shown in the chat",
        whose="chat bots that send str(e)",
        edits=(
            Edit(
                DESK,
                "phrases.NO_ROOM}.get(code, error.phrase)",
                "phrases.NO_ROOM}.get(code, Phrase(str(error), str(error)))",
            ),
            Edit(
                "bot/turns/engine.py",
                """        except Exception:  # the boundary: the person gets a sentence, the owner the traceback
            log.exception("Turn %d of %s failed", turn.id, turn.chat)
            running.fail(phrases.OUR_FAULT.to(turn.language))""",
                """        except Exception as error:
            log.exception("Turn %d of %s failed", turn.id, turn.chat)
            running.fail(str(error))""",
            ),
        ),
        found_by=(
            "tests/turns/test_engine.py::test_an_unknown_error_becomes_a_sentence_and_the_chat_goes_on",
            "tests/walks/test_walk_answers.py::test_a_vendors_error_is_shown_with_its_sentence[1113]",
        ),
    ),
    Bug(
        name="fallback-loops",
        what="where the other model fails as well, it is asked again, and again",
        whose="gateways whose fallback is a retry with another name",
        edits=(
            Edit(ANSWERING, "None if self._fell_back or self.beside else", "None if self.beside else"),
            Edit(ANSWERING, "return other if other is None or other.name != self.card.name else None", "return other"),
        ),
        found_by=(
            "tests/conversation/test_answering.py::test_it_happens_once",
            "tests/conversation/test_answering.py::test_the_model_that_fails_is_not_its_own_substitute",
        ),
    ),
    Bug(
        name="refused-history-stays",
        what="what the vendor refuses of a conversation goes along with every further question: the chat is dead until /reset",
        whose="chat bots before a vendor with a content filter",
        edits=(Edit("storage/changes.py", """yield HISTORY["leave_out"], {"id": entry}""", "_ = entry"),),
        found_by=(
            "tests/conversation/test_answering.py::test_what_the_vendor_refuses_of_the_history_is_left_out_for_ever",
        ),
    ),
    Bug(
        name="call-made-twice",
        what="after a crash a call that sends, buys or deletes is made once more",
        whose="agents that begin a broken turn anew",
        edits=(Edit(TOOLWORK, "elif not row.fresh and not (card and card.read_only)", "elif False"),),
        found_by=(
            "tests/conversation/test_toolwork.py::test_a_call_that_changes_something_and_was_cut_off_is_not_made_again_and_that_is_told",
        ),
    ),
)
