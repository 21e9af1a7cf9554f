"""When a vendor is not asked, and how it is asked again."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import EMPTY, NO_ROOM, ModelError, Trouble
from bot.models.breaker import ACCOUNT, FAILING, MODEL, MOST_MODELS, OPEN, UNTELLING, WITHIN, Breaker
from bot.models.tries import JITTER, POLICIES
from bot.ports import ModelCard
from tests.models.clock import Clock

FREE = ModelCard(name="glm-4.7-flash", vendor="glm", kind="chat")
PAID = ModelCard(name="glm-5", vendor="glm", kind="chat", price=((200_000, 4.0, 18.0),))
DEARER = ModelCard(name="glm-5.3", vendor="glm", kind="chat", price=((200_000, 8.0, 30.0),))
WELL = frozenset(Trouble) - FAILING - UNTELLING - {Trouble.NO_MONEY, Trouble.BAD_KEY}


def no(trouble: Trouble, *, status: int = 500, code: str = "") -> ModelError:
    return ModelError(trouble, vendor="glm", status=status, code=code)


def fail(breaker: Breaker, error: ModelError, card: ModelCard = FREE, *, times: int = 1) -> None:
    for _ in range(times):
        call = breaker.begin(card)
        call.failed(error)
        call.end()


def succeed(breaker: Breaker, card: ModelCard = FREE) -> None:
    call = breaker.begin(card)
    call.succeeded()
    call.end()


def refusal(breaker: Breaker, card: ModelCard = FREE) -> ModelError | None:
    try:
        breaker.check(card)
    except ModelError as error:
        return error
    return None


def refused(breaker: Breaker, card: ModelCard = FREE) -> ModelError:
    error = refusal(breaker, card)
    assert error
    return error


def opened(clock: Clock) -> Breaker:
    breaker = Breaker("glm", clock=clock)
    fail(breaker, no(Trouble.FAULT), times=MODEL.failures)
    return breaker


# --- opening -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", sorted(FAILING))
def test_failures_in_a_row_open_it(trouble: Trouble) -> None:
    breaker = Breaker("glm", clock=Clock())
    fail(breaker, no(trouble), times=MODEL.failures - 1)
    assert refusal(breaker) is None
    fail(breaker, no(trouble))
    error = refused(breaker)
    assert (error.trouble, error.code, error.retry_after, error.unbilled) == (trouble, OPEN, MODEL.first, True)
    assert refusal(breaker, PAID) is None  # another model


@pytest.mark.parametrize("trouble", sorted(WELL))
def test_a_refusal_of_another_kind_shows_a_vendor_at_work(trouble: Trouble) -> None:
    breaker = Breaker("glm", clock=Clock())
    fail(breaker, no(Trouble.FAULT), times=MODEL.failures - 1)
    fail(breaker, no(trouble, status=400))
    fail(breaker, no(Trouble.FAULT), times=MODEL.failures - 1)
    assert refusal(breaker) is None


@pytest.mark.parametrize("trouble", sorted(UNTELLING))
def test_a_limit_and_a_broken_stream_tell_nothing(trouble: Trouble) -> None:
    breaker = Breaker("glm", clock=Clock())
    fail(breaker, no(Trouble.FAULT), times=MODEL.failures - 1)
    fail(breaker, no(trouble), times=3 * MODEL.failures)
    assert refusal(breaker) is None
    fail(breaker, no(Trouble.FAULT))
    assert refusal(breaker)


@pytest.mark.parametrize("code", [EMPTY, NO_ROOM])
def test_an_answer_without_words_is_an_answer(code: str) -> None:
    breaker = Breaker("glm", clock=Clock())
    fail(breaker, no(Trouble.FAULT, status=200, code=code), times=3 * MODEL.failures)
    assert refusal(breaker) is None


def test_failures_far_apart_do_not_open_it() -> None:
    clock = Clock()
    breaker = Breaker("glm", clock=clock)
    for _ in range(3 * MODEL.failures):
        fail(breaker, no(Trouble.FAULT))
        clock.pass_by(WITHIN / (MODEL.failures - 1) + 0.1)
    assert refusal(breaker) is None


# --- half-open ---------------------------------------------------------------------------------------------------------


def test_after_its_time_one_call_at_a_time_tries() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.pass_by(MODEL.first - 0.5)
    assert refused(breaker).retry_after == 0.5
    clock.pass_by(0.5)
    trial = breaker.begin(FREE)
    with pytest.raises(ModelError):
        breaker.begin(FREE)
    trial.end()  # stopped by a person: nothing was learned
    trial = breaker.begin(FREE)
    trial.succeeded()
    assert refusal(breaker) is None  # at its first word, not only at its end
    trial.end()
    succeed(breaker)


def test_a_failed_trial_opens_it_for_twice_as_long_and_at_most_half_a_minute() -> None:
    clock = Clock()
    breaker = opened(clock)
    waits = []
    for _ in range(7):
        error = refused(breaker)
        assert error.retry_after
        waits.append(error.retry_after)
        clock.pass_by(error.retry_after)
        fail(breaker, no(Trouble.SILENT))
    assert waits == [1.5, 3.0, 6.0, 12.0, 24.0, 30.0, MODEL.longest]
    assert refused(breaker).trouble is Trouble.SILENT  # the last one
    clock.pass_by(MODEL.longest)
    succeed(breaker)
    fail(breaker, no(Trouble.FAULT), times=MODEL.failures)
    assert refused(breaker).retry_after == MODEL.first


def test_after_a_hiccup_the_third_try_of_whoever_met_it_is_the_trial() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.pass_by(2 * POLICIES[Trouble.FAULT].wait * JITTER[0])
    succeed(breaker)
    assert refusal(breaker) is None


@given(st.floats(0.0, 3600.0))
def test_whoever_asks_again_each_second_is_heard_half_a_minute_after_an_outage_and_few_ask_in_it(outage: float) -> None:
    clock = Clock()
    breaker = opened(clock)
    until, asked = clock() + outage, 0
    while clock() < until:
        if not refusal(breaker):
            asked += 1
            fail(breaker, no(Trouble.FAULT))
        clock.pass_by(1.0)
    assert asked <= 5 + outage / MODEL.longest
    ended = clock()
    while refusal(breaker):
        clock.pass_by(1.0)
    assert clock() - ended <= 30.0


def test_a_limit_met_by_the_trial_leaves_the_next_call_to_try() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.pass_by(MODEL.first)
    fail(breaker, no(Trouble.BUSY))
    succeed(breaker)
    assert refusal(breaker) is None


def test_what_began_before_it_opened_decides_nothing() -> None:
    clock = Clock()
    breaker = Breaker("glm", clock=clock)
    early = [breaker.begin(FREE) for _ in range(MODEL.failures + 2)]
    for call in early[: MODEL.failures]:
        call.failed(no(Trouble.UNREACHABLE))
    clock.pass_by(1.0)
    early[-1].succeeded()
    early[-2].failed(no(Trouble.FAULT))
    error = refused(breaker)
    assert (error.trouble, error.retry_after) == (Trouble.UNREACHABLE, MODEL.first - 1.0)


# --- the account -------------------------------------------------------------------------------------------------------


def test_without_money_only_free_models_are_asked() -> None:
    clock = Clock()
    breaker = Breaker("glm", clock=clock)
    fail(breaker, no(Trouble.NO_MONEY, status=429), PAID, times=ACCOUNT.failures - 1)
    assert refusal(breaker, PAID) is None  # who pays and presses [Retry] is heard
    fail(breaker, no(Trouble.NO_MONEY, status=429), DEARER)
    for card in (PAID, DEARER):
        error = refused(breaker, card)
        assert (error.trouble, error.model, error.retry_after) == (Trouble.NO_MONEY, card.name, 60.0)
    assert refusal(breaker, FREE) is None
    clock.pass_by(60.0)
    fail(breaker, no(Trouble.NO_MONEY, status=429), DEARER)
    assert refused(breaker, PAID).retry_after == 60.0  # never longer: somebody may have paid
    clock.pass_by(60.0)
    succeed(breaker, PAID)
    assert refusal(breaker, DEARER) is None


def test_a_free_model_that_wants_money_stands_alone() -> None:
    breaker = Breaker("glm", clock=Clock())
    fail(breaker, no(Trouble.NO_MONEY, status=429), FREE, times=MODEL.failures)
    assert refusal(breaker, FREE) and not refusal(breaker, PAID)


def test_a_bad_key_is_bad_for_all_models_and_a_forbidden_model_only_for_itself() -> None:
    clock = Clock()
    breaker = Breaker("glm", clock=clock)
    fail(breaker, no(Trouble.BAD_KEY, status=403), PAID, times=MODEL.failures)
    assert refusal(breaker, PAID) and not refusal(breaker, DEARER)
    fail(breaker, no(Trouble.BAD_KEY, status=401), DEARER, times=ACCOUNT.failures)
    assert all(refusal(breaker, card) for card in (FREE, PAID, DEARER))
    clock.pass_by(60.0)
    succeed(breaker, FREE)
    assert not any(refusal(breaker, card) for card in (FREE, DEARER))


# --- in all ------------------------------------------------------------------------------------------------------------


def test_the_owner_reads_one_line_when_it_opens_and_one_when_it_closes(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO):
        breaker = opened(clock)
        for _ in range(3):
            clock.pass_by(MODEL.longest)
            fail(breaker, no(Trouble.FAULT))
            assert refusal(breaker)
        clock.pass_by(MODEL.longest)
        succeed(breaker)
        succeed(breaker)
    assert [record.getMessage() for record in caplog.records] == [
        "glm-4.7-flash: fault, again and again; not asked for 1.5 s",
        "glm-4.7-flash: answers again",
    ]


def test_it_does_not_remember_every_name_that_was_ever_asked() -> None:
    clock = Clock()
    breaker = opened(clock)
    for number in range(3 * MOST_MODELS):
        card = ModelCard(name=f"openai/{number}", vendor="openai", kind="chat")
        fail(breaker, no(Trouble.NO_MODEL, status=404), card)
    assert len(breaker._models) <= MOST_MODELS
    assert refusal(breaker)  # but what is open stays so


LONGEST = max(MODEL.longest, ACCOUNT.longest)
OUTCOMES = st.one_of(st.none(), st.just("well"), st.sampled_from(list(Trouble)))


@given(st.lists(st.tuples(st.floats(0, 200), OUTCOMES, st.booleans()), max_size=80))
def test_whatever_happens_nobody_is_refused_for_longer_than_a_minute(
    course: list[tuple[float, str | Trouble | None, bool]],
) -> None:
    clock = Clock()
    breaker = Breaker("glm", clock=clock)
    for seconds, outcome, paid in course:
        clock.pass_by(seconds)
        card = PAID if paid else FREE
        if error := refusal(breaker, card):
            assert error.retry_after and 0 < error.retry_after <= LONGEST
            continue
        call = breaker.begin(card)
        if isinstance(outcome, Trouble):
            call.failed(no(outcome))
        elif outcome:
            call.succeeded()
        call.end()
    clock.pass_by(LONGEST)
    for card in (FREE, PAID):
        succeed(breaker, card)
        one = breaker.begin(card)
        assert refusal(breaker, card) is None  # closed: a trial would keep others out
        one.end()
