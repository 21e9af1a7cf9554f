"""What the files under deploy/ promise: reached from this machine only, nothing unpinned, time enough to end in good order."""

import re
from pathlib import Path

from bot.app import DRAIN
from bot.settings import load_settings

DEPLOY = Path(__file__).parent.parent / "deploy"
DOCKERFILE, COMPOSE, UNIT = (
    (DEPLOY / name).read_text("utf-8") for name in ("Dockerfile", "compose.yaml", "magpie.service")
)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, pattern
    return match[1]


def test_a_container_is_published_on_this_machine_alone() -> None:
    published = re.findall(r'^ +- "(\S+:[0-9]+)"$', COMPOSE, re.MULTILINE)

    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert "network_mode" not in COMPOSE


def test_the_image_installs_what_is_pinned_and_runs_as_nobody_special() -> None:
    installs = re.findall(r"pip install (.+)", DOCKERFILE)

    assert len(installs) == 2
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)
    assert found(r"^USER (\S+)$", DOCKERFILE) == "magpie"
    assert "/livez" in found(r"HEALTHCHECK[^\n]*\n\s+(CMD .+)", DOCKERFILE)


def test_what_the_image_sets_are_settings() -> None:
    environ = dict(pair.split("=") for pair in found("^ENV (.+)$", DOCKERFILE).split())
    directory = environ.pop("DATA_DIR")

    settings = load_settings(environ, Path("/nonexistent"))

    assert (settings.web_host, str(settings.web_port)) == (environ["WEB_HOST"], found(r"^EXPOSE (\d+)$", DOCKERFILE))
    assert found(r"^VOLUME (\S+)$", DOCKERFILE) == directory


def test_both_leave_time_to_finish_the_answers_under_way() -> None:
    assert int(found(r"stop_grace_period: (\d+)s", COMPOSE)) > DRAIN + 2
    assert int(found(r"^TimeoutStopSec=(\d+)$", UNIT)) > DRAIN + 2


def test_a_wrong_setting_is_not_tried_again_for_ever() -> None:
    assert found(r"^Restart=(\S+)$", UNIT) == "on-failure"
    assert found(r"^RestartPreventExitStatus=(\d+)$", UNIT) == "2"
