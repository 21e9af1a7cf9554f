"""Who may use the bot: closed to everyone but the owners, those on the list and those in a place on the list."""

from hypothesis import given
from hypothesis import strategies as st

from bot.access import DAY, REMEMBERED, Access

NOBODY: frozenset[str] = frozenset()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def access(
    admins: str = "", allowed: str = "", moves: dict[str, str] | None = None, clock: Clock | None = None
) -> Access:
    return Access(frozenset(admins.split()), frozenset(allowed.split()), moves, clock or Clock())


def test_without_lists_nobody_is_admitted_but_the_owner_of_the_page() -> None:
    closed = access()

    assert not closed.admits("telegram", "1")
    assert not closed.admits("discord", "1", "2")
    assert closed.admits("web", "1")
    assert closed.owns("web", "1")


@given(st.from_regex(r"-?[0-9]{1,20}", fullmatch=True), st.sampled_from(["telegram", "discord"]))
def test_whoever_is_on_no_list_stays_out(person: str, platform: str) -> None:
    assert access("telegram:x", "discord:y").admits(platform, person, person) is False


def test_an_owner_is_admitted_and_owns() -> None:
    lists = access(admins="telegram:1")

    assert lists.admits("telegram", "1")
    assert lists.owns("telegram", "1")


def test_a_person_on_the_list_is_admitted_and_owns_nothing() -> None:
    lists = access(allowed="telegram:1")

    assert lists.admits("telegram", "1")
    assert not lists.owns("telegram", "1")


def test_the_same_number_on_another_platform_is_another_person() -> None:
    assert not access("telegram:1", "telegram:2").admits("discord", "1")


def test_a_place_on_the_list_admits_all_in_it_and_nobody_elsewhere() -> None:
    lists = access(allowed="telegram:-100 discord:77")

    assert lists.admits("telegram", "5", "-100")
    assert lists.admits("discord", "5", "77", "88")
    assert not lists.admits("telegram", "5", "-200")
    assert not lists.admits("telegram", "5")


def test_an_owned_place_makes_nobody_in_it_an_owner() -> None:
    lists = access(admins="telegram:-100")

    assert lists.admits("telegram", "5", "-100")
    assert not lists.owns("telegram", "5")


def test_a_star_opens_it_to_everyone_and_makes_nobody_an_owner() -> None:
    everyone = access(allowed="*")

    assert everyone.admits("telegram", "5")
    assert not everyone.owns("telegram", "5")


def test_a_group_that_moves_stays_admitted_also_after_a_restart() -> None:
    running = access(allowed="telegram:-1")
    running.moved("telegram:-1", "telegram:-1001")
    restarted = access(allowed="telegram:-1", moves={"telegram:-1": "telegram:-1001"})

    for lists in (running, restarted):
        assert lists.admits("telegram", "5", "-1001")
        assert lists.admits("telegram", "5", "-1")


def test_a_group_that_was_not_admitted_is_not_by_moving() -> None:
    lists = access(allowed="telegram:-2")

    lists.moved("telegram:-1", "telegram:-1001")

    assert not lists.admits("telegram", "5", "-1001")


def test_a_stranger_is_due_the_polite_line_once_a_day() -> None:
    clock = Clock()
    lists = access(clock=clock)

    due = []
    for later in (0.0, 1.0, DAY - 2.0, 2.0, 1.0):
        clock.now += later
        due.append(lists.turn_away("telegram", "5"))

    assert due == [True, False, False, True, False]
    assert lists.turn_away("telegram", "6")
    assert lists.turn_away("discord", "5")


def test_strangers_are_remembered_in_bounded_memory_the_latest_ones() -> None:
    lists = access()

    for person in range(REMEMBERED + 10):
        lists.turn_away("telegram", str(person))

    assert not lists.turn_away("telegram", str(REMEMBERED + 9))
    assert not lists.turn_away("telegram", "10")
    assert lists.turn_away("telegram", "0")
