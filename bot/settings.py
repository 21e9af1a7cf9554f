"""The only reader of the environment. All problems are reported at once, each naming its variable and what to write."""

from __future__ import annotations

import difflib
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from dotenv.parser import Original, parse_stream

from bot.errors import SettingsError

T = TypeVar("T")

MODEL_VARIABLES = ("ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL")
PLATFORMS = ("telegram", "discord", "web")
FORMATS = ("text", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MILLIONTHS = 1_000_000
TELEGRAM = "https://api.telegram.org"

# Names that people write for ours: a key that nobody reads would be the worst kind of silence.
ALIASES = {
    "TELEGRAM_TOKEN": "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_API_TOKEN": "TELEGRAM_BOT_TOKEN",
    "TG_BOT_TOKEN": "TELEGRAM_BOT_TOKEN",
    "DISCORD_TOKEN": "DISCORD_BOT_TOKEN",
    "ZHIPU_API_KEY": "ZHIPUAI_API_KEY",
    "ZHIPUAI_KEY": "ZHIPUAI_API_KEY",
    "GLM_API_KEY": "ZHIPUAI_API_KEY",
    "BIGMODEL_API_KEY": "ZHIPUAI_API_KEY",
    "ZAI_API_KEY": "ZHIPUAI_API_KEY",
    "QWEN_API_KEY": "DASHSCOPE_API_KEY",
    "DASHSCOPE_KEY": "DASHSCOPE_API_KEY",
    "DASHSCOPE_BASE_URL": "DASHSCOPE_HTTP_BASE_URL",
    "OPENAI_API_BASE": "OPENAI_BASE_URL",
}
FAMILIES = ("TELEGRAM_", "DISCORD_", "ZHIPU", "DASHSCOPE_")
FOREIGN = ("TELEGRAM_API_ID", "TELEGRAM_API_HASH")  # those of Telegram's own Bot API server
# difflib's ratio from which a name is taken for a slip of the pen: one of these families, wherever it is set, and any name
# in `.env`, which is read by nobody else.
ALIKE, ALIKE_FILED = 0.88, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`daily_budget` is in millionths of a CNY; `admins` and `allowed` hold "platform:id", `allowed` also "*".
    `simulated`: none of the four model variables is set, so the built-in simulator answers."""

    telegram_token: str
    telegram_url: str
    telegram_drafts: bool
    webhook_url: str
    webhook_host: str
    webhook_port: int
    discord_token: str
    discord_url: str
    zhipuai_key: str
    zhipuai_url: str
    dashscope_key: str
    dashscope_url: str
    openai_key: str
    openai_url: str
    chat_model: str
    image_model: str
    fallback_model: str
    catalog_file: Path | None
    mcp_config: Path | None
    fetch_fake_ip: bool
    daily_budget: int
    admins: frozenset[str]
    allowed: frozenset[str]
    data_dir: Path
    storage_url: str
    web_host: str
    web_port: int
    web_token: str
    web_url: str
    log_level: str
    log_format: str
    simulated: bool

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read in a log."""
        found = (
            self.telegram_token,
            self.discord_token,
            self.zhipuai_key,
            self.dashscope_key,
            self.openai_key,
            self.web_token,
            *passwords(self.storage_url),
        )
        return tuple(secret for secret in found if secret)


def passwords(url: str) -> tuple[str, ...]:
    """Those in a STORAGE_URL, each as it is written there and as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ()
    written = [parts.password or "", *re.findall(r"(?i)\b(?:ssl)?password=([^&]*)", parts.query)]
    return tuple(form for one in written if one for form in (one, unquote(one)))


def load_settings(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """From the environment, and from `.env` for what the environment leaves unset. Raises SettingsError."""
    read = _Reader(os.environ if environ is None else environ, *_filed(dotenv))
    data_dir = read("DATA_DIR", _directory, default="data")
    settings = Settings(
        telegram_token=read("TELEGRAM_BOT_TOKEN", _telegram_token),
        telegram_url=read("TELEGRAM_API_URL", _url, default=TELEGRAM),
        telegram_drafts=read("TELEGRAM_DRAFTS", _switch, default="off"),
        webhook_url=read("TELEGRAM_WEBHOOK_URL", _url),
        webhook_host=read("WEBHOOK_HOST", _optional_host),
        webhook_port=read("WEBHOOK_PORT", _port, default="8081"),
        discord_token=read("DISCORD_BOT_TOKEN", _word),
        discord_url=read("DISCORD_API_URL", _url),
        zhipuai_key=read("ZHIPUAI_API_KEY", _word),
        zhipuai_url=read("ZHIPUAI_BASE_URL", _url, default="https://open.bigmodel.cn/api/paas/v4"),
        dashscope_key=read("DASHSCOPE_API_KEY", _word),
        dashscope_url=read("DASHSCOPE_HTTP_BASE_URL", _url, default="https://dashscope.aliyuncs.com/api/v1"),
        openai_key=read("OPENAI_API_KEY", _word),
        openai_url=read("OPENAI_BASE_URL", _url),
        chat_model=read("CHAT_MODEL", _word),
        image_model=read("IMAGE_MODEL", _word),
        fallback_model=read("FALLBACK_MODEL", _word),
        catalog_file=read("CATALOG_FILE", _file),
        mcp_config=read("MCP_CONFIG", _file),
        fetch_fake_ip=read("FETCH_FAKE_IP", _switch, default="off"),
        daily_budget=read("DAILY_BUDGET", _money, default="5"),
        admins=read("ADMINS", _people),
        allowed=read("ALLOWED", _people_or_all),
        data_dir=data_dir,
        storage_url=read("STORAGE_URL", _storage, default=f"sqlite:///{data_dir / 'magpie.db'}"),
        web_host=read("WEB_HOST", _host, default="127.0.0.1"),
        web_port=read("WEB_PORT", _port, default="8080"),
        web_token=read("WEB_TOKEN", _word),
        web_url=read("WEB_URL", _origin),
        log_level=read("LOG_LEVEL", _level, default="INFO"),
        log_format=read("LOG_FORMAT", _format, default="text"),
        simulated=not any(map(read.has, MODEL_VARIABLES)),
    )
    settings = replace(settings, webhook_host=settings.webhook_host or settings.web_host)
    read.problems.extend(_webhook_problems(settings))
    read.check_names()
    if read.problems:
        raise SettingsError(tuple(read.problems))
    return settings


class _Reader:
    """Reads one variable after the other and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str], filed: Mapping[str, str], problems: list[str]) -> None:
        given = {name: _unquoted(value) for name, value in environ.items()}
        self._values = {**filed, **{name: value for name, value in given.items() if value}}
        self._filed = filed
        self._known: list[str] = []
        self.problems = problems

    def __call__(self, name: str, parse: Callable[[str], T], default: str = "") -> T:
        self._known.append(name)
        try:
            return parse(self._values.get(name, default))
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return parse(default)

    def has(self, name: str) -> bool:
        return name in self._values

    def check_names(self) -> None:
        for name in sorted(self._values):
            if name not in self._known and (meant := self._meant(name)) and meant not in self._values:
                self.problems.append(f"{name} is not a setting of Magpie: write {meant}.")

    def _meant(self, name: str) -> str:
        upper = name.upper()
        if upper in ALIASES:
            return ALIASES[upper]
        if upper in FOREIGN or not (name in self._filed or upper.startswith(FAMILIES)):
            return ""
        near = difflib.get_close_matches(upper, self._known, 1, ALIKE_FILED if name in self._filed else ALIKE)
        return near[0] if near else ""


def _webhook_problems(settings: Settings) -> Iterator[str]:
    url = urlsplit(settings.webhook_url)
    if not settings.webhook_url:
        return
    if not settings.telegram_token:
        yield "TELEGRAM_WEBHOOK_URL: it is for Telegram: set TELEGRAM_BOT_TOKEN, too, or leave it out."
    if url.scheme != "https" and settings.telegram_url == TELEGRAM:
        yield "TELEGRAM_WEBHOOK_URL: Telegram calls none but https:// (http:// only a Bot API server of your own does)."
    if settings.webhook_port == settings.web_port != 0 and settings.webhook_host == settings.web_host:
        yield "WEBHOOK_PORT: the page listens there (WEB_PORT): choose another port."


def _filed(path: Path) -> tuple[dict[str, str], list[str]]:
    """What `.env` sets, and what is wrong with it. Nothing is interpolated: a key may hold a `$`."""
    try:
        text = path.read_text("utf-8-sig") if path.exists() else ""
    except OSError as error:
        return {}, [f"{path} cannot be read: {error.strerror}."]
    except UnicodeDecodeError:
        return {}, [f"{path} is not a text in UTF-8: save it as such."]
    lines = list(parse_stream(io.StringIO(text)))
    values = {line.key: line.value.strip() for line in lines if line.key and line.value and line.value.strip()}
    wrong = [line for line in lines if line.error or (line.key and line.value is None)]
    return values, [f"{path}, line {_number(line.original)}: write NAME=value." for line in wrong]


def _number(original: Original) -> int:
    """The parser counts from the blank lines before the statement."""
    blank = original.string[: len(original.string) - len(original.string.lstrip())]
    return original.line + len(blank.splitlines())


def _unquoted(value: str) -> str:
    """Container engines that read the same `.env` hand its quotes on."""
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].strip() if quoted else value


# --- parsers: each raises ValueError with what to write ----------------------------------------------------------------


def _word(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("write it in plain letters, digits and signs, without spaces or line breaks.")
    return text


def _telegram_token(text: str) -> str:
    if text and not re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", text):
        raise ValueError("write the token as @BotFather gave it, digits, a colon and letters: 123456789:AAF.")
    return text


def _url(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(_word(text))
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.username or parts.query or parts.fragment:
        raise ValueError("write a URL that begins with https:// or http://, without user, query and fragment.")
    return text.rstrip("/")


def _origin(text: str) -> str:
    url = _url(text)
    if urlsplit(url).path:
        raise ValueError("write the address without a path, such as https://chat.example.org.")
    return url


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+", text):
        raise ValueError("write an address of this machine, such as 127.0.0.1 or 0.0.0.0, without http:// and port.")
    return text


def _optional_host(text: str) -> str:
    return _host(text) if text else ""


def _storage(text: str) -> str:
    if text.startswith(("postgres://", "postgresql://")):
        try:
            parts = urlsplit(text)
            hosts = parts.netloc.rpartition("@")[2].split(",")  # of several one takes writes
            ports = all(urlsplit(f"//{host}").port != 0 for host in hosts)
            whole = bool(parts.hostname or "host=" in parts.query) and ports and len(parts.path) > 1
        except ValueError:
            whole = False
        if not whole or not text.isprintable():
            raise ValueError(
                "write postgresql://user:password@host:5432/database; signs such as @ in a password as %40."
            )
    elif not re.match(r"sqlite:///.", text):
        raise ValueError(
            "write sqlite:///path/to/magpie.db or postgresql://user:password@host:5432/database, or leave it out."
        )
    return text


def _directory(text: str) -> Path:
    try:
        path = Path(text).expanduser()
        usable = path.is_dir() or not path.exists()
    except (OSError, RuntimeError):  # no permission to look, no such person's home
        usable = False
    if not usable:
        raise ValueError(
            f"{text} is no directory that can be used: write the path of one, which is made if it is not there."
        )
    return path


def _file(text: str) -> Path | None:
    if not text:
        return None
    if not Path(text).is_file():
        raise ValueError(f"there is no file {text}: write the path of one, or leave it out.")
    return Path(text)


def _switch(text: str) -> bool:
    if text.lower() not in ("on", "off", "true", "false", "1", "0", "yes", "no"):
        raise ValueError("write on or off.")
    return text.lower() in ("on", "true", "1", "yes")


def _money(text: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError("write an amount in CNY such as 5 or 0.5; 0 allows free models only.") from None
    if not amount.is_finite() or not 0 <= amount <= 1_000_000:
        raise ValueError("write an amount in CNY between 0 and 1000000.")
    return int(amount * MILLIONTHS)


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError("write a port between 0 and 65535 (0: any free one).")
    return int(text)


def _level(text: str) -> str:
    if text.upper() not in LEVELS:
        raise ValueError(f"write one of {', '.join(LEVELS)}.")
    return text.upper()


def _format(text: str) -> str:
    if text.lower() not in FORMATS:
        raise ValueError(f"write {' or '.join(FORMATS)}.")
    return text.lower()


def _people(text: str) -> frozenset[str]:
    people = frozenset(_parts(text))
    for person in sorted(people):
        platform, _, number = person.partition(":")
        if platform not in PLATFORMS or not re.fullmatch(r"-?[0-9]+", number):
            raise ValueError(
                f"{person!r} is none. Write platform:number, such as telegram:123456789 or discord:123456789012345678, "
                "separated by commas; whoever writes to the bot is told their own."
            )
    return people


def _people_or_all(text: str) -> frozenset[str]:
    people = _parts(text)
    return _people(",".join(people - {"*"})) | (people & {"*"})


def _parts(text: str) -> set[str]:
    """Comma-separated; a Chinese keyboard's comma is one, too."""
    return {part.strip() for part in re.split("[,，]", text) if part.strip()}
