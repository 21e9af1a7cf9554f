"""Settings: the contract with whoever sets the bot up. A wrong one stops the start, named, with what to write."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bot.settings
from bot.errors import SettingsError
from bot.settings import Settings, load_settings
from storage.address import shown

NOWHERE = Path("/nonexistent/.env")
ENV_EXAMPLE = Path(__file__).parent.parent / ".env.example"


def load(**environ: str) -> Settings:
    return load_settings(environ, NOWHERE)


def problems(dotenv: Path = NOWHERE, /, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ, dotenv)
    return raised.value.problems


def written(path: Path, content: str | bytes) -> Path:
    path = path / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_without_any_variable_the_simulator_answers_on_the_loopback_page() -> None:
    settings = load()

    assert settings.simulated
    assert (settings.web_host, settings.web_port) == ("127.0.0.1", 8080)
    assert settings.storage_url == "sqlite:///data/magpie.db"
    assert settings.telegram_url == "https://api.telegram.org"
    assert settings.daily_budget == 5_000_000
    assert not settings.admins
    assert not settings.allowed
    assert not settings.telegram_drafts
    assert settings.secrets == ()


def test_an_empty_variable_counts_as_unset() -> None:
    assert load(**dict.fromkeys(NAMES, "")) == load(**dict.fromkeys(NAMES, "  ")) == load()


@pytest.mark.parametrize("name", ["ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY", "OPENAI_API_KEY"])
def test_any_key_turns_the_simulator_off(name: str) -> None:
    assert not load(**{name: "some.key"}).simulated


def test_an_address_of_an_openai_compatible_service_turns_the_simulator_off() -> None:
    assert not load(OPENAI_BASE_URL="http://127.0.0.1:11434/v1").simulated


READ = [
    ("TELEGRAM_BOT_TOKEN", "123456789:AAF-x_y", "telegram_token", "123456789:AAF-x_y"),
    ("TELEGRAM_API_URL", "http://127.0.0.1:9000/", "telegram_url", "http://127.0.0.1:9000"),
    ("TELEGRAM_DRAFTS", "On", "telegram_drafts", True),
    ("TELEGRAM_DRAFTS", "no", "telegram_drafts", False),
    ("WEBHOOK_HOST", "10.0.0.5", "webhook_host", "10.0.0.5"),
    ("WEB_HOST", "0.0.0.0", "webhook_host", "0.0.0.0"),
    ("WEBHOOK_PORT", "8443", "webhook_port", 8443),
    ("WEB_PORT", "80", "webhook_port", 8081),
    ("DISCORD_BOT_TOKEN", "a.b.c", "discord_token", "a.b.c"),
    ("DISCORD_API_URL", "http://127.0.0.1:9001/api/v10", "discord_url", "http://127.0.0.1:9001/api/v10"),
    ("ZHIPUAI_API_KEY", "id.secret", "zhipuai_key", "id.secret"),
    ("ZHIPUAI_BASE_URL", "https://api.z.ai/api/paas/v4", "zhipuai_url", "https://api.z.ai/api/paas/v4"),
    ("DASHSCOPE_API_KEY", "sk-1", "dashscope_key", "sk-1"),
    ("DASHSCOPE_HTTP_BASE_URL", "https://x.example/api/v1/", "dashscope_url", "https://x.example/api/v1"),
    ("OPENAI_API_KEY", "sk-2", "openai_key", "sk-2"),
    ("OPENAI_BASE_URL", "http://[::1]:11434/v1", "openai_url", "http://[::1]:11434/v1"),
    ("CHAT_MODEL", "glm-4-flash", "chat_model", "glm-4-flash"),
    ("IMAGE_MODEL", "cogview-3-flash", "image_model", "cogview-3-flash"),
    ("FALLBACK_MODEL", "qwen-plus", "fallback_model", "qwen-plus"),
    ("MCP_CONFIG", __file__, "mcp_config", Path(__file__)),
    ("FETCH_FAKE_IP", "on", "fetch_fake_ip", True),
    ("CATALOG_FILE", __file__, "catalog_file", Path(__file__)),
    ("DAILY_BUDGET", "0.5", "daily_budget", 500_000),
    ("DAILY_BUDGET", "0", "daily_budget", 0),
    ("ADMINS", "telegram:1, discord:2", "admins", {"telegram:1", "discord:2"}),
    ("ADMINS", "telegram:1，discord:2", "admins", {"telegram:1", "discord:2"}),
    ("ALLOWED", "telegram:-100123,", "allowed", {"telegram:-100123"}),
    ("ALLOWED", "*, discord:2", "allowed", {"*", "discord:2"}),
    ("DATA_DIR", "/tmp", "data_dir", Path("/tmp")),
    ("DATA_DIR", "~/magpie", "data_dir", Path.home() / "magpie"),
    ("DATA_DIR", "/tmp", "storage_url", "sqlite:////tmp/magpie.db"),
    ("STORAGE_URL", "sqlite:///other.db", "storage_url", "sqlite:///other.db"),
    ("WEB_HOST", "0.0.0.0", "web_host", "0.0.0.0"),
    ("WEB_HOST", "::1", "web_host", "::1"),
    ("WEB_PORT", "0", "web_port", 0),
    ("WEB_TOKEN", "twelve-chars", "web_token", "twelve-chars"),
    ("WEB_URL", "https://chat.example.org/", "web_url", "https://chat.example.org"),
    ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
    ("LOG_FORMAT", "JSON", "log_format", "json"),
    ("DISCORD_BOT_TOKEN", '"quoted-by-a-container-engine"', "discord_token", "quoted-by-a-container-engine"),
]


@pytest.mark.parametrize(("name", "text", "field", "value"), READ)
def test_is_read(name: str, text: str, field: str, value: object) -> None:
    assert getattr(load(**{name: text}), field) == value


def test_every_setting_is_in_this_table() -> None:
    assert {field for _, _, field, _ in READ} | {"webhook_url"} | {"simulated"} == {
        field.name for field in fields(Settings)
    }


REFUSED = [
    ("TELEGRAM_BOT_TOKEN", "AAF-without-its-number", "@BotFather"),
    ("TELEGRAM_BOT_TOKEN", "１２３:full-width", "@BotFather"),
    ("TELEGRAM_API_URL", "api.telegram.org", "https://"),
    ("TELEGRAM_API_URL", "https://", "https://"),
    ("TELEGRAM_API_URL", "https://me:secret@host", "without user"),
    ("TELEGRAM_API_URL", "https://host/?x=1", "query"),
    ("TELEGRAM_API_URL", "https://host:99999", "https://"),
    ("TELEGRAM_API_URL", "https://[host", "https://"),
    ("TELEGRAM_DRAFTS", "maybe", "on or off"),
    ("DISCORD_BOT_TOKEN", "Bot abc", "without spaces"),
    ("ZHIPUAI_API_KEY", "id\u200b.secret", "plain letters"),
    ("DASHSCOPE_API_KEY", "密钥", "plain letters"),
    ("CATALOG_FILE", "/nonexistent/catalog.toml", "no file"),
    ("DAILY_BUDGET", "five", "CNY"),
    ("DAILY_BUDGET", "-1", "between 0 and"),
    ("DAILY_BUDGET", "NaN", "between 0 and"),
    ("DAILY_BUDGET", "1e99", "between 0 and"),
    ("ADMINS", "@ann", "platform:number"),
    ("ADMINS", "telegram:ann", "platform:number"),
    ("ADMINS", "*", "platform:number"),
    ("ALLOWED", "slack:1", "platform:number"),
    ("DATA_DIR", "/dev/null", "directory"),
    ("DATA_DIR", "~nobody-of-that-name/x", "directory"),
    ("STORAGE_URL", "postgresql://me:secret@host", "user:password@host:5432/database"),
    ("STORAGE_URL", "postgresql://me:p@ss:word@host:x/db", "in a password as %40"),
    ("STORAGE_URL", "postgresql://me:p,a/ss@host/db", "in a password as %40"),
    ("STORAGE_URL", "magpie.db", "sqlite:///"),
    ("STORAGE_URL", "sqlite:///", "sqlite:///"),
    ("WEB_HOST", "http://127.0.0.1", "without http://"),
    ("WEB_HOST", "127.0.0.1/8", "without http://"),
    ("WEB_PORT", "65536", "between 0 and 65535"),
    ("WEB_PORT", "http", "between 0 and 65535"),
    ("WEB_PORT", "-1", "between 0 and 65535"),
    ("WEB_TOKEN", "two words", "without spaces"),
    ("WEB_URL", "https://example.org/chat", "without a path"),
    ("LOG_LEVEL", "verbose", "DEBUG, INFO"),
    ("LOG_FORMAT", "xml", "text or json"),
    ("TELEGRAM_WEBHOOK_URL", "https://bot.example.org/hook", "set TELEGRAM_BOT_TOKEN"),
    ("TELEGRAM_WEBHOOK_URL", "bot.example.org", "https://"),
    ("TELEGRAM_WEBHOOK_URL", "https://bot.example.org/hook?secret=x", "without user, query"),
    ("WEBHOOK_HOST", "http://127.0.0.1", "without http://"),
    ("WEBHOOK_PORT", "https", "between 0 and 65535"),
]


@pytest.mark.parametrize(("name", "text", "advice"), REFUSED)
def test_is_refused_with_what_to_write(name: str, text: str, advice: str) -> None:
    (problem,) = problems(**{name: text})

    assert problem.startswith(f"{name}: ")
    assert advice in problem
    assert problem.endswith(".")
    assert "secret" not in problem


HOOK = {"TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_WEBHOOK_URL": "https://bot.example.org/hook"}
OWN_SERVER = {"TELEGRAM_API_URL": "http://127.0.0.1:9000", "TELEGRAM_WEBHOOK_URL": "http://127.0.0.1:8081/hook"}


def test_a_webhook_is_https_but_for_a_bot_api_server_of_ones_own() -> None:
    (problem,) = problems(**HOOK | {"TELEGRAM_WEBHOOK_URL": "http://bot.example.org/hook"})

    assert problem.startswith("TELEGRAM_WEBHOOK_URL: ")
    assert "https://" in problem
    assert load(**HOOK).webhook_url == "https://bot.example.org/hook"
    assert load(**HOOK | OWN_SERVER).webhook_url == "http://127.0.0.1:8081/hook"


def test_a_webhook_does_not_share_the_pages_port() -> None:
    (problem,) = problems(**HOOK, WEBHOOK_PORT="8080")

    assert problem.startswith("WEBHOOK_PORT: ")
    assert load(**HOOK, WEBHOOK_PORT="8080", WEBHOOK_HOST="10.0.0.5").webhook_port == 8080
    assert load(WEBHOOK_PORT="8080").webhook_port == 8080
    assert load(**HOOK, WEBHOOK_PORT="0", WEB_PORT="0").webhook_port == 0


def test_all_problems_are_told_at_once() -> None:
    told = problems(WEB_PORT="x", ADMINS="me", DAILY_BUDGET="much", TELEGRAM_TOKEN="1:a")

    assert [problem.partition(":")[0].split()[0] for problem in told] == [
        "DAILY_BUDGET",
        "ADMINS",
        "WEB_PORT",
        "TELEGRAM_TOKEN",
    ]


LOOKALIKES = [
    ("ZHIPU_API_KEY", "ZHIPUAI_API_KEY"),
    ("GLM_API_KEY", "ZHIPUAI_API_KEY"),
    ("QWEN_API_KEY", "DASHSCOPE_API_KEY"),
    ("TELEGRAM_TOKEN", "TELEGRAM_BOT_TOKEN"),
    ("TELEGRAM_BOT_TOKENS", "TELEGRAM_BOT_TOKEN"),
    ("telegram_bot_token", "TELEGRAM_BOT_TOKEN"),
    ("DISCORD_TOKEN", "DISCORD_BOT_TOKEN"),
    ("DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL"),
]


@pytest.mark.parametrize(("name", "meant"), LOOKALIKES)
def test_a_name_that_resembles_ours_stops_the_start_with_the_right_one(name: str, meant: str) -> None:
    assert problems(**{name: "1:a"}) == (f"{name} is not a setting of Magpie: write {meant}.",)


def test_a_lookalike_beside_the_right_name_is_another_programs() -> None:
    assert load(TELEGRAM_TOKEN="other", TELEGRAM_BOT_TOKEN="1:a").telegram_token == "1:a"


def test_other_programs_variables_are_left_alone() -> None:
    load(
        TELEGRAM_API_ID="1",
        TELEGRAM_API_HASH="x",
        DASHSCOPE_API_KEY_FILE_PATH="/x",
        ADMIN="root",
        WEBPORT="1",
        TZ="UTC",
    )


@pytest.mark.parametrize(("name", "meant"), [("ADMIN", "ADMINS"), ("WEBPORT", "WEB_PORT"), ("data_dir", "DATA_DIR")])
def test_in_the_file_any_slip_of_the_pen_is_told(name: str, meant: str, tmp_path: Path) -> None:
    assert problems(written(tmp_path, f"{name}=1")) == (f"{name} is not a setting of Magpie: write {meant}.",)


# --- .env --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "DISCORD_BOT_TOKEN=abc$HOME",
        "DISCORD_BOT_TOKEN = abc$HOME",
        "export DISCORD_BOT_TOKEN=abc$HOME",
        'DISCORD_BOT_TOKEN="abc$HOME"',
        "DISCORD_BOT_TOKEN='abc$HOME'",
        "DISCORD_BOT_TOKEN=abc$HOME # of the test server",
        "\ufeffDISCORD_BOT_TOKEN=abc$HOME",
        "# first\r\n\r\nDISCORD_BOT_TOKEN=abc$HOME\r\nDAILY_BUDGET=5\r\n",
    ],
)
def test_the_file_may_be_written_in_the_usual_ways(line: str, tmp_path: Path) -> None:
    assert load_settings({}, written(tmp_path, line)).discord_token == "abc$HOME"


def test_the_environment_goes_before_the_file_unless_it_is_empty(tmp_path: Path) -> None:
    dotenv = written(tmp_path, "WEB_PORT=1\nDAILY_BUDGET=2\n")

    settings = load_settings({"WEB_PORT": "3", "DAILY_BUDGET": ""}, dotenv)

    assert (settings.web_port, settings.daily_budget) == (3, 2_000_000)


def test_a_key_in_the_file_turns_the_simulator_off(tmp_path: Path) -> None:
    assert not load_settings({}, written(tmp_path, "ZHIPUAI_API_KEY=a.b")).simulated


def test_a_line_that_says_nothing_is_told_by_its_number(tmp_path: Path) -> None:
    dotenv = written(tmp_path, "WEB_PORT=1\n\n\nDISCORD_BOT_TOKEN abc\nTELEGRAM_BOT_TOKEN\n")

    told = problems(dotenv)

    assert told == (f"{dotenv}, line 4: write NAME=value.", f"{dotenv}, line 5: write NAME=value.")


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    (problem,) = problems(written(tmp_path, "WEB_PORT=1".encode("utf-16")))

    assert "UTF-8" in problem


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    (problem,) = problems(tmp_path / ".env")

    assert "cannot be read" in problem


# --- whatever is written -----------------------------------------------------------------------------------------------

NAMES = sorted({name for name, _, _, _ in READ} | {name for name, _, _ in REFUSED})


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40), max_size=8))
def test_any_text_is_read_or_refused_under_its_name(environ: dict[str, str]) -> None:
    try:
        load_settings(environ, NOWHERE)
    except SettingsError as error:
        for problem in error.problems:
            assert problem.partition(":")[0] in environ


def test_secrets_are_those_that_are_set() -> None:
    settings = load(TELEGRAM_BOT_TOKEN="1:a", ZHIPUAI_API_KEY="k", WEB_TOKEN="twelve-chars")

    assert set(settings.secrets) == {"1:a", "k", "twelve-chars"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:CanaryOfTheStore@db1:5432,db2:5433/magpie?target_session_attrs=read-write",
        "postgresql://me@db/magpie?sslmode=require&password=CanaryOfTheStore",
        "postgresql://db/magpie?user=me&password=CanaryOfTheStore&sslpassword=CanaryOfTheKey",
    ],
)
def test_a_password_in_the_storages_address_is_a_secret_wherever_it_stands(url: str) -> None:
    settings = load(STORAGE_URL=url)

    assert settings.storage_url == url
    assert "CanaryOfTheStore" in settings.secrets
    assert ("CanaryOfTheKey" in settings.secrets) == ("CanaryOfTheKey" in url)
    assert "Canary" not in shown(url)
    assert shown(url).startswith("postgresql://") and "db" in shown(url)


def test_an_address_that_is_not_understood_is_not_shown() -> None:
    for url in ("postgresql://me:p,a/Canary@db/magpie", "postgresql://me:a#Canary@db/x", "postgresql:/me:Canary@db/x"):
        assert "Canary" not in shown(url)


def test_the_example_names_every_setting_that_is_read_and_no_other() -> None:
    read = set(re.findall(r'read\("([A-Z_]+)"', Path(bot.settings.__file__).read_text("utf-8")))
    named = re.findall(r"^#([A-Z_]+)=", ENV_EXAMPLE.read_text("utf-8"), re.MULTILINE)

    assert sorted(named) == sorted(read)


def test_the_example_as_it_is_sets_nothing(tmp_path: Path) -> None:
    assert load_settings({}, ENV_EXAMPLE) == load()
