"""Bugs of who may do what, and of what may be seen."""

from __future__ import annotations

from tests.planted.bug import Bug, Edit

BUGS = (
    Bug(
        name="anyones-button",
        what="a button that belongs to one person works for everybody",
        whose="chat bots that never compare who presses with whose answer it is",
        edits=(
            Edit(
                "bot/manager.py",
                "elif row.person and row.person != pressed.author.id and not pressed.author.owner:",
                "elif False:",
            ),
        ),
        found_by=(
            "tests/test_manager.py::test_another_persons_button_is_not_pressed",
            "tests/test_bad_input.py::test_a_button_works_once_and_only_for_the_one_whom_it_was_given",
        ),
    ),
    Bug(
        name="token-in-the-log",
        what="Telegram's token stands in the log: it is part of every address that is called",
        whose="chat bots whose HTTP client logs addresses",
        edits=(
            Edit(
                "bot/platforms/telegram_transport.py",
                "        headers = None\n",
                "        headers = None\n        __import__('logging').getLogger(__name__).info('%s %s', method, url)\n",
            ),
            Edit("bot/logs.py", 'return self._pattern.sub("[secret]", text)', "return text"),
        ),
        found_by=(
            "tests/test_main.py::test_secrets_are_not_in_the_log_even_at_debug",
            "tests/torture/test_kills.py::test_a_kill_while_the_final_text_is_held_doubles_nothing",
        ),
    ),
    Bug(
        name="forged-webhook",
        what="whoever finds the webhook's address can say anything in anybody's name",
        whose="webhook handlers without a secret",
        edits=(
            Edit(
                "bot/platforms/telegram_webhook.py",
                'return len(given) == 1 and hmac.compare_digest(given[0].encode("latin-1"), self._secret)',
                "return True",
            ),
        ),
        found_by=("tests/platforms/test_telegram_webhook.py::test_without_telegrams_secret_nothing_happens",),
    ),
    Bug(
        name="any-host",
        what="a site that points its own name at 127.0.0.1 can use the page (DNS rebinding)",
        whose="admin pages of chat bots: no check of Host or Origin",
        edits=(
            Edit(
                "bot/platforms/web_guard.py",
                "self._addresses.origin(hosts[0]) if len(hosts) == 1 else None",
                'f"http://{hosts[0]}" if hosts else None',
            ),
        ),
        found_by=("tests/platforms/test_web_guard.py::test_host_origin_and_method_decide_together",),
    ),
    Bug(
        name="html-in-answers",
        what="HTML in a model's answer becomes part of the page: scripts run",
        whose="admin pages that insert rendered Markdown as it comes",
        edits=(Edit("bot/platforms/web_render.py", '"html": False', '"html": True'),),
        found_by=(
            "tests/platforms/test_web_render.py::test_whatever_is_written_only_known_elements_and_attributes_come_out",
            "tests/test_security_platforms.py::test_no_markdown_becomes_a_script_or_a_picture_from_elsewhere",
        ),
    ),
    Bug(
        name="open-to-all",
        what="without a list of who may use it, everybody may",
        whose="chat bots whose empty allow-list means all",
        edits=(
            Edit(
                "bot/access.py",
                "self._allowed = allowed | self._admins",
                'self._allowed = allowed | self._admins if allowed else frozenset("*")',
            ),
        ),
        found_by=("tests/test_access.py::test_without_lists_nobody_is_admitted_but_the_owner_of_the_page",),
    ),
    Bug(
        name="consent-not-asked",
        what="a tool that changes something runs because a model, or the page that it reads, wants it to",
        whose="agents that run every tool of a server",
        edits=(Edit("bot/conversation/toolwork.py", "return not card.read_only or (", "return ("),),
        found_by=(
            "tests/conversation/test_toolwork.py::test_what_changes_something_waits_for_a_person",
            "tests/test_injection.py::test_nothing_happens_that_was_not_allowed",
        ),
    ),
    Bug(
        name="carried-away",
        what="a page makes the model fetch an address that has the conversation in it",
        whose="agents with a tool that reads any address",
        edits=(Edit("bot/conversation/toolwork.py", "if url in self._fetched or", "if True or"),),
        found_by=(
            "tests/conversation/test_toolwork.py::test_an_address_of_the_models_own_making_is_asked_about",
            "tests/test_injection.py::test_nothing_happens_that_was_not_allowed",
        ),
    ),
)
