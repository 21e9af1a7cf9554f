"""The checker itself: a history in which all is well, and every way in which it can be wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot import phrases
from tests.torture.checker import check
from tests.torture.checker_run import Accepted, Asked, Booked, Called, Queued, Run, Shown, Stored, Worked, canary, mark

CHAT = "telegram:7"
MODEL = "glm-4-flashx-250414"  # 0.1 CNY per million tokens, in and out
OWN, OLD, NEW = canary(0), mark(0, 1), mark(0, 2)


def answer(name: str, words: int = 3, marked: str = OLD) -> str:
    return f"Given {OWN} {marked}. " + " ".join(f"{name}w{number}" for number in range(1, words + 1)) + f" {name}z"


def shown(id: str, text: str, **more: object) -> Shown:
    return replace(Shown(chat=CHAT, id=id, text=text), **more)  # type: ignore[arg-type]  # fields by name


FIRST = Asked(chat=CHAT, kind="question", message="1", name="c0q1", mark=OLD)
COMMAND = Asked(chat=CHAT, kind="command", message="2", name="c0q2", mark=OLD)
RESET = Asked(chat=CHAT, kind="reset", message="3", mark=OLD)
SECOND = Asked(chat=CHAT, kind="question", message="4", name="c0q3", mark=NEW)
CALLS = (
    Called(model=MODEL, prompt=f"c0q1 {OWN} {OLD}", began=1.0, complete=True, prompt_tokens=50, completion_tokens=30),
    Called(model=MODEL, prompt=f"c0q3 {OWN} {NEW}", began=2.0, complete=False, prompt_tokens=50, completion_tokens=10),
)
WELL = Run(
    asked=(FIRST, COMMAND, RESET, SECOND),
    shown=(
        shown("10", answer("c0q1")),
        shown("11", "I know no /c0q2. /help lists what there is."),
        shown("12", phrases.RESET.en),
        shown("13", answer("c0q3", marked=NEW)),
    ),
    called=CALLS,
    stored=Stored(
        accepted=(
            Accepted(id=1, chat=CHAT, message="1", state="done", turn="stop"),
            Accepted(id=2, chat=CHAT, message="2", state="done", turn="command"),
            Accepted(id=3, chat=CHAT, message="3", state="done"),
            Accepted(id=4, chat=CHAT, message="4", state="done", turn="stop"),
        ),
        booked=(
            Booked(chat=CHAT, model=MODEL, cost=8, state="settled"),
            Booked(chat=CHAT, model=MODEL, cost=900, state="estimated"),
        ),
        queued=(Queued(chat=CHAT, turn=1, state="sent"),),
    ),
    kills=(100.0,),
    canaries={CHAT: OWN},
    secrets={"WEB_TOKEN": "hush-hush"},
    places={"a log": b"nothing to be seen"},
)


def finds(run: Run, *words: str) -> None:
    """It is wrong, for this reason alone."""
    sentences = check(run)
    assert len(sentences) == 1, sentences
    assert all(word in sentences[0] for word in words), sentences


def with_shown(*messages: Shown) -> Run:
    return replace(WELL, shown=messages)


def with_stored(**parts: object) -> Run:
    return replace(WELL, stored=replace(WELL.stored, **parts))  # type: ignore[arg-type]  # fields by name


def changed(row: int, **fields: object) -> tuple[Accepted, ...]:
    rows = list(WELL.stored.accepted)
    rows[row] = replace(rows[row], **fields)  # type: ignore[arg-type]  # fields by name
    return tuple(rows)


def test_nothing_is_wrong_where_nothing_is() -> None:
    assert check(WELL) == []


# --- answered or refused, once -----------------------------------------------------------------------------------------


def test_a_question_that_was_never_accepted() -> None:
    finds(with_stored(accepted=WELL.stored.accepted[1:]), "c0q1", "never accepted")


def test_an_answer_that_is_missing() -> None:
    finds(with_shown(*WELL.shown[1:]), "c0q1", "0 whole answers")


def test_an_answer_that_stands_there_twice() -> None:
    sentences = check(with_shown(WELL.shown[0], *WELL.shown))
    assert any("c0q1 is answered twice" in sentence for sentence in sentences)


def test_an_answer_with_a_hole() -> None:
    text = WELL.shown[0].text.replace("c0q1w2 ", "")
    finds(with_shown(shown("10", text), *WELL.shown[1:]), "c0q1", "0 whole answers")


def test_an_answer_in_two_messages_is_whole() -> None:
    first, second = answer("c0q1").split("c0q1w2")
    assert check(with_shown(shown("10", first), shown("10b", "c0q1w2" + second), *WELL.shown[1:])) == []


def test_an_answer_to_what_nobody_asked_here() -> None:
    finds(with_shown(*WELL.shown, shown("14", answer("c0q9"))), "c0q9", "never asked")


def test_an_event_that_still_waits() -> None:
    finds(
        with_stored(accepted=(*WELL.stored.accepted, Accepted(id=5, chat=CHAT, message="", state="queued"))), "queued"
    )


def test_a_dead_letter() -> None:
    row = Accepted(id=5, chat=CHAT, message="", state="dead", error="broke down")
    finds(with_stored(accepted=(*WELL.stored.accepted, row)), "broke down")


@pytest.mark.parametrize("state", ["queued", "surplus", "dropped"])
def test_a_piece_that_was_never_shown(state: str) -> None:
    finds(with_stored(queued=(Queued(chat=CHAT, turn=1, state=state),)), "turn 1")


def test_a_turn_that_never_ends() -> None:
    finds(with_stored(leftovers=(f"{CHAT}: turn 3 runs for ever",)), "for ever")


def test_a_stopped_answer_needs_somebody_who_stopped_it() -> None:
    run = with_stored(accepted=changed(3, turn="stopped"))
    half = (*WELL.shown[:3], shown("13", f"c0q3w1 c0q3w2 (stopped) {OWN} {NEW}"))
    finds(replace(run, shown=half), "c0q3 is stopped")
    stop = Asked(chat=CHAT, kind="stop", mark=NEW)
    assert check(replace(run, shown=half, asked=(*WELL.asked, stop))) == []


def test_a_waiting_question_may_be_closed_by_a_reset_alone() -> None:
    closed = with_stored(accepted=changed(0, state="closed", turn=""))
    assert check(replace(closed, shown=WELL.shown[1:])) == []
    finds(closed, "c0q1 is closed", "answered all the same")
    never_reset = replace(closed, shown=WELL.shown[1:], asked=(FIRST, COMMAND, SECOND))
    finds(never_reset, "c0q1 is closed", "nobody stopped it")


def test_a_refusal_needs_its_reason() -> None:
    run = replace(with_stored(accepted=changed(3, turn="failed")), shown=WELL.shown[:3])
    finds(run, "c0q3 is failed")
    told = shown("13", phrases.TROUBLE["fault"].en)
    assert check(replace(run, shown=(*WELL.shown[:3], told))) == []


def test_an_edit_is_answered_instead_of_what_it_replaced() -> None:
    edit = Asked(chat=CHAT, kind="edit", message="4", name="c0q4", mark=NEW, replaces="c0q3")
    row = Accepted(id=5, chat=CHAT, message="4", state="done", turn="stop")
    run = replace(with_stored(accepted=(*WELL.stored.accepted, row)), asked=(*WELL.asked, edit))
    edited = shown("13", answer("c0q4", marked=NEW))
    assert check(replace(run, shown=(*WELL.shown[:3], edited))) == []
    finds(replace(run, shown=(*WELL.shown, edited)), "c0q3/c0q4", "2 whole answers")
    finds(replace(run, shown=WELL.shown[:3]), "c0q3/c0q4", "0 whole answers")


def test_a_command_has_a_reply_and_only_a_kill_on_telegram_may_double_it() -> None:
    unanswered = with_shown(WELL.shown[0], *WELL.shown[2:])
    assert check(unanswered) == []  # it may have waited when the reset came
    finds(replace(unanswered, asked=(FIRST, COMMAND, SECOND)), "/c0q2 has no reply")
    twice = with_shown(*WELL.shown[:2], WELL.shown[1], *WELL.shown[2:])
    assert check(twice) == []
    finds(replace(twice, kills=()), "/c0q2 has 2 replies")


def test_the_reply_to_another_command_is_not_one_to_this() -> None:
    other = Asked(chat=CHAT, kind="command", message="2", name="c0q22", mark=NEW)
    row = Accepted(id=5, chat=CHAT, message="2", state="done", turn="command")
    told = shown("14", "I know no /c0q22. /help lists what there is.")
    run = replace(with_stored(accepted=(*WELL.stored.accepted, row)), asked=(*WELL.asked, other), kills=())
    booked = run.stored.booked[:2]
    assert check(replace(run, shown=(*WELL.shown, told), stored=replace(run.stored, booked=booked))) == []


def test_what_was_asked_together_with_an_edited_message_is_answered_with_it() -> None:
    assert check(with_stored(accepted=changed(0, turn="stopped"))) == []


# --- work in the background --------------------------------------------------------------------------------------------


ORDER = Asked(chat=CHAT, kind="picture", message="5", name="c0q5", mark=NEW)
DRAWN = shown("14", f"c0q5 a nest {OWN} {NEW}", picture=True)
WORK = Worked(chat=CHAT, kind="image", model="wan2.2-t2i-flash", state="done", order=f"c0q5 a nest {OWN} {NEW}")
TAKEN = Called(model=WORK.model, prompt=WORK.order, began=3.0, complete=True, pictures=1, looked=4.0)


def ordered(work: Worked = WORK, *more: Shown, calls: tuple[Called, ...] = (TAKEN,)) -> Run:
    row = Accepted(id=5, chat=CHAT, message="5", state="done", turn="command")
    booked = [Booked(chat=CHAT, model=call.model, cost=140_000, state="settled") for call in calls]
    stored = replace(
        WELL.stored,
        accepted=(*WELL.stored.accepted, row),
        worked=(work,),
        booked=(*WELL.stored.booked, *booked),
    )
    return replace(
        WELL,
        stored=stored,
        asked=(*WELL.asked, ORDER),
        shown=(*WELL.shown, *more),
        called=(*CALLS, *calls),
    )


def test_a_picture_is_delivered_once() -> None:
    assert check(ordered(WORK, DRAWN)) == []
    finds(ordered(WORK), "picture c0q5", "is done, and stands there 0 times")
    finds(ordered(WORK, DRAWN, replace(DRAWN, id="15")), "is done, and stands there 2 times")
    finds(ordered(replace(WORK, state="failed"), DRAWN, shown("15", phrases.jobs.DEADLINE.en)), "all the same")


def test_an_order_that_came_to_nothing_needs_its_reason() -> None:
    for state, told in (("failed", phrases.jobs.DEADLINE), ("unsure", phrases.jobs.UNSURE)):
        work = replace(WORK, state=state)
        assert check(ordered(work, shown("14", told.en))) == []
        finds(ordered(work), f"is {state}, and nobody was told why")
    finds(ordered(replace(WORK, state="cancelled")), "nobody cancelled it")
    finds(ordered(replace(WORK, order="another"), calls=()), "never ordered")


def test_a_task_that_is_known_is_not_ordered_again_and_what_is_paid_never() -> None:
    again = replace(TAKEN, began=5.0, looked=6.0)
    sentences = check(ordered(WORK, DRAWN, calls=(TAKEN, again)))
    assert any("though its task was known" in sentence for sentence in sentences)
    sentences = check(ordered(WORK, DRAWN, calls=(replace(TAKEN, looked=0.0), again)))
    assert [sentence for sentence in sentences if "is paid, and was ordered 2 times" in sentence] == sentences


def test_a_line_that_waits_for_ever() -> None:
    line = shown("15", "drawing with cogview-3-flash …", waiting=True)
    assert check(ordered(WORK, DRAWN, line)) == [], "the kill left it"
    finds(ordered(WORK, DRAWN, line, replace(line, id="16")), "2 lines wait for ever")
    assert check(ordered(WORK, DRAWN, replace(line, text="Task 5: I answer here"), line)) == []


def test_an_answer_for_later_stands_once_and_in_no_order() -> None:
    later = Asked(chat=CHAT, kind="later", message="5", name="c0q5", mark=NEW)
    work = replace(WORK, kind="chat", model=MODEL, order=f"c0q5 please {OWN} {NEW}")
    call = Called(model=MODEL, prompt=work.order, began=3.0, complete=True, prompt_tokens=50, completion_tokens=30)
    run = ordered(work, calls=())
    booked = (*WELL.stored.booked, Booked(chat=CHAT, model=MODEL, cost=8, state="settled"))
    run = replace(run, called=(*CALLS, call), stored=replace(run.stored, booked=booked), asked=(later, *WELL.asked))
    said = shown("16", answer("c0q5", marked=NEW))
    last = replace(run, asked=(*WELL.asked, later))
    assert check(replace(last, shown=(said, *WELL.shown))) == []
    finds(last, "later c0q5", "stands there 0 times")
    assert check(run) == [], "the reset took it along"


# --- order and previews ------------------------------------------------------------------------------------------------


def test_answers_out_of_order() -> None:
    finds(with_shown(WELL.shown[3], *WELL.shown[:3]), "c0q3", "before", "c0q1")


def test_a_preview_that_stays_needs_a_kill_in_its_chat_and_instant() -> None:
    preview = shown("14", "Given ▌", writing=True, at=99.5)
    assert check(with_shown(*WELL.shown, preview)) == []
    assert check(with_shown(*WELL.shown, replace(preview, at=100.2))) == [], "it lay in the socket"
    finds(with_shown(*WELL.shown, replace(preview, at=90.0)), "preview 14", "no kill")
    finds(with_shown(*WELL.shown, replace(preview, at=102.0)), "preview 14", "no kill")
    finds(with_shown(*WELL.shown, preview, replace(preview, id="15")), "preview 15", "no kill")


def test_no_preview_stays_where_sends_are_idempotent() -> None:
    preview = Shown(chat="discord:8", id="20", text="Given ▌", writing=True, at=99.5)
    finds(with_shown(*WELL.shown, preview), "discord:8", "left over")


# --- nothing where it does not belong ----------------------------------------------------------------------------------


def test_the_word_of_another_chat_in_an_answer() -> None:
    foreign = shown("10", WELL.shown[0].text + f" {canary(1)}")
    finds(with_shown(foreign, *WELL.shown[1:]), "another chat", canary(1))


def test_the_word_of_another_chat_in_a_prompt() -> None:
    mixed = replace(CALLS[0], prompt=f"{CALLS[0].prompt} {canary(1)}")
    finds(replace(WELL, called=(mixed, CALLS[1])), "mixes the chats")


def test_what_was_said_before_a_reset_in_a_prompt_after_it() -> None:
    mixed = replace(CALLS[1], prompt=f"{CALLS[1].prompt} {OLD}")
    finds(replace(WELL, called=(CALLS[0], mixed)), "mixes the conversations")


def test_what_was_said_before_a_reset_in_an_answer_after_it() -> None:
    finds(with_shown(*WELL.shown[:3], shown("13", answer("c0q3", marked=NEW) + f" {OLD}")), "13", OLD)


def test_a_secret_anywhere() -> None:
    finds(replace(WELL, places={"a log": b"GET /login?token=hush-hush"}), "WEB_TOKEN", "a log")


# --- money -------------------------------------------------------------------------------------------------------------


def with_rows(*rows: Booked) -> Run:
    return with_stored(booked=rows)


SETTLED, ESTIMATED = WELL.stored.booked


def test_a_call_without_a_row() -> None:
    finds(with_rows(SETTLED), "2 calls, 1 rows")


def test_more_rows_without_a_call_than_kills() -> None:
    assert check(with_rows(SETTLED, ESTIMATED, ESTIMATED)) == []
    finds(with_rows(SETTLED, ESTIMATED, ESTIMATED, ESTIMATED), "2 rows without a call, after 1 kills")


def test_a_row_settled_at_another_price() -> None:
    sentences = check(with_rows(replace(SETTLED, cost=7), ESTIMATED))
    assert any("settled at 7, which the vendor never billed" in sentence for sentence in sentences)


def test_a_row_that_is_still_reserved() -> None:
    finds(with_rows(SETTLED, replace(ESTIMATED, state="reserved")), "still reserved")


def test_an_estimate_from_below() -> None:
    finds(with_rows(SETTLED, replace(ESTIMATED, cost=5)), "billed 6", "holds 5")


def test_a_call_that_belongs_to_no_chat() -> None:
    sentences = check(replace(WELL, called=(*CALLS, replace(CALLS[1], prompt="who am I?"))))
    assert any("belongs to no chat" in sentence for sentence in sentences)
