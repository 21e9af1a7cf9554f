"""Bugs of money: budgets that are overrun, calls that nobody books, calls that nobody should make."""

from __future__ import annotations

from tests.planted.bug import Bug, Edit

BUGS = (
    Bug(
        name="budget-race",
        what="the budget is looked at before a call and booked after it: many at once overrun it",
        whose="chat bots with budgets",
        edits=(
            Edit(
                "storage/ledger.py",
                """(cost > limit or not (yield LEDGER["add_within"], {"day": day, "cost": cost, "limit": limit})):""",
                """(yield from spent(day)) >= limit:""",
            ),
            Edit(
                "storage/ledger.py",
                """    if cost != rows[0]["cost"]:
        yield LEDGER["add_to_day"], {"day": rows[0]["day"], "cost": cost - rows[0]["cost"]}""",
                """    yield LEDGER["add_to_day"], {"day": rows[0]["day"], "cost": cost}""",
            ),
        ),
        found_by=(
            "tests/storage/test_ledger.py::test_fifty_calls_at_once_with_money_for_three_are_three",
            "tests/test_bad_surroundings.py::test_50_chats_at_once_with_money_for_three_calls_make_exactly_three",
        ),
    ),
    Bug(
        name="stopped-is-free",
        what="an answer that somebody stops is not booked, though the vendor bills it",
        whose="chat bots with budgets: failed and cancelled streams are not booked",
        edits=(
            Edit(
                "bot/models/guarded.py",
                """        except (GeneratorExit, asyncio.CancelledError):  # stopped: the estimate stays
            metrics.spent(prompt.card.name, reserved.cost)
""",
                """        except (GeneratorExit, asyncio.CancelledError):
            await self._release(prompt.card, reserved, 0)
""",
            ),
        ),
        found_by=("tests/models/test_streams.py::test_cancelling_the_task_closes_the_request",),
    ),
    Bug(
        name="arrears-retried",
        what="a vendor that says that the account is empty is asked again and again",
        whose="clients that take GLM's 429 with code 1113 for a rate limit",
        edits=(
            Edit(
                "bot/models/tries.py",
                "    Trouble.BUSY: Policy(3, 2.0),\n",
                "    Trouble.BUSY: Policy(3, 2.0),\n    Trouble.NO_MONEY: Policy(3, 1.0),\n",
            ),
        ),
        found_by=(
            "tests/models/test_errors.py::test_the_final_ones_are_never_tried_again",
            "tests/models/test_errors.py::test_every_documented_code_is_told_and_tried_as_its_kind_allows[glm-1113]",
        ),
    ),
    Bug(
        name="drawn-twice",
        what="a picture whose drawing failed in a way that may be billed is drawn, and paid for, again",
        whose="clients that retry every failed call alike",
        edits=(
            Edit(
                "bot/background/steps.py",
                "error.trouble in PASSING and (card.free or error.unbilled) and",
                "error.trouble in PASSING and",
            ),
        ),
        found_by=("tests/background/test_runner.py::test_an_order_that_may_have_been_taken_is_not_given_twice",),
    ),
    Bug(
        name="rounds-paid-twice",
        what="the last call of an answer is booked at what all of them cost",
        whose="agents that add up the usage of a loop and book the sum with its end",
        edits=(
            Edit("bot/conversation/answering.py", "last=not self.beside and not self.cost", "last=not self.beside"),
        ),
        found_by=(
            "tests/conversation/test_answering.py::test_a_turn_tells_what_all_its_calls_cost_and_its_commit_settles_only_the_last_of_them",
            "tests/conversation/test_answering_bills.py::test_every_call_has_one_row_with_what_the_vendor_billed",
        ),
    ),
)
