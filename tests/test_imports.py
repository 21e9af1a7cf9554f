"""The house's walls: who may import whom, who reads the environment, what is loaded when, and how large a room may grow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

WORDS = frozenset({"bot.lanes", "bot.errors", "bot.text"})  # and what is in messages/, phrases/ and ports/
# The only ones that know rims and hub, or the settings: they connect, check or announce all that is set up.
WIRING = frozenset({"bot.app", "bot.operator.announcing", "bot.operator.doctor", "bot.__main__"})
EDGES = frozenset(
    {"bot.settings", "bot.logs", "bot.metrics"}
)  # of the process: the environment, stderr, what is counted

ALONE = frozenset({"bot.foreign", "bot.apart", "bot.confined"})  # what others wrote is fetched, and read, in one way

# Beside the standard library. A room that is not named needs none; the hub is such a room.
LIBRARIES = {
    "telegram": {"aiohttp", "starlette", "telegram", "telegramify_markdown"},
    "discord": {"aiohttp", "discord", "yarl"},
    "web": {"starlette", "markdown_it", "pygments"},
    "listener": {"starlette", "uvicorn"},
    "models": {"aiohttp", "dashscope", "httpx", "pydantic", "yarl", "zhipuai"},
    "storage": {"aiosqlite", "asyncpg"},
    "simulator": {"aiohttp", "jwt", "PIL", "soundfile"},
    "foreign": {"aiohttp", "yarl"},
    "tools": {"anyio", "httpx", "lxml", "mcp", "pydantic", "pydantic_core", "yarl"},
    "documents": {"docx", "lxml", "openpyxl", "pptx", "pypdf"},
    "settings": {"dotenv"},
    "metrics": {"prometheus_client"},
    "wiring": {"aiohttp"},
}
# In the hub bot/files.py alone makes pictures fit, and bot/conversation/sound.py with samples.py recordings; what they need for
# it is imported when the first one comes.
EXCEPTIONS = {
    ("bot.files", "PIL"),
    *(
        (module, library)
        for module in ("bot.conversation.sound", "bot.conversation.samples")
        for library in ("numpy", "soundfile")
    ),
}

SDKS = {
    *("aiogram", "dashscope", "discord", "mcp", "openai", "PIL", "telegram", "telegramify_markdown", "zhipuai"),
    *("numpy", "soundfile"),
    *LIBRARIES["documents"],
}

LINES, FUNCTION_LINES = 400, 60


@cache
def modules() -> dict[str, Path]:
    """All modules of the program by their names."""
    found = {}
    for path in sorted([*ROOT.glob("bot/**/*.py"), *ROOT.glob("storage/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def room(module: str) -> str:
    parts = module.split(".")
    match parts:
        case ["storage", *_]:
            return "storage"
        case ["bot", "platforms", name, *_]:
            return name.partition("_")[0]
        case ["bot", ("documents" | "models" | "simulator" | "tools") as name, *_]:
            return name
        case ["bot"] | ["bot", "platforms"]:
            return "package"
        case ["bot", "messages" | "phrases" | "ports", *_]:
            return "words"
        case ["bot", ("turns" | "conversation" | "commands" | "background") as name, *_]:
            return name
    if module in WORDS:
        return "words"
    if module in WIRING:
        return "wiring"
    return parts[1] if module in EDGES or module in ALONE else "hub"


COMMON = ("words", "metrics", "logs")
RIMS = ("telegram", "discord", "web", "models", "storage", "tools")
SEES: dict[str, set[str]] = {
    "package": set(),
    "words": {"words"},
    "foreign": set(),  # what people and vendors point at is fetched by the hub and the rims alike, and in one way
    **{rim: {"words", "metrics", "foreign", rim} for rim in RIMS},  # each counts where it happens
    "listener": {"words"},  # shared by the platforms that are asked over HTTP
    "web": {"words", "metrics", "web", "listener"},
    "telegram": {"words", "metrics", "telegram", "listener"},
    "turns": {"turns", "hub", *COMMON},  # what is said in a turn, and by whom, is not known there
    "conversation": {"conversation", "documents", "apart", "confined", *COMMON},
    "commands": {"commands", "conversation", *COMMON},
    "background": {"background", "commands", "conversation", "turns", "hub", *COMMON},
    "hub": {"hub", "background", "commands", "conversation", *COMMON},  # the manager, and what is shared
    "documents": {"words", "documents", "apart", "confined"},
    "apart": set(),
    "confined": set(),
    "settings": {"words"},
    "logs": set(),
    "metrics": {"words"},
    "simulator": {"simulator"},
    "wiring": {
        *("wiring", "hub", "turns", "conversation", "commands", "background", "settings", "simulator", "documents"),
        *("foreign", *COMMON, *RIMS),
    },
}


def imports(module: str) -> Iterator[str]:
    """The full names that a module imports, wherever in it."""
    for node in ast.walk(tree(modules()[module])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules() else str(node.module)


@pytest.mark.parametrize("module", modules())
def test_a_room_sees_only_what_lies_further_in(module: str) -> None:
    ours = [name for name in imports(module) if name.partition(".")[0] in ("bot", "storage")]

    assert [name for name in ours if room(name) not in SEES[room(module)] and name != "bot"] == []


def test_a_library_is_known_to_its_room_alone() -> None:
    known: dict[str, set[str]] = {}
    for module in modules():
        foreign = {name.partition(".")[0] for name in imports(module)} - sys.stdlib_module_names - {"bot", "storage"}
        known.setdefault(room(module), set()).update(name for name in foreign if (module, name) not in EXCEPTIONS)

    assert {name: libraries for name, libraries in known.items() if libraries} == LIBRARIES


def test_only_the_settings_read_the_environment() -> None:
    readers = set()
    for module, path in modules().items():
        for node in ast.walk(tree(path)):
            name = node.attr if isinstance(node, ast.Attribute) else node.name if isinstance(node, ast.alias) else ""
            if name in ("environ", "environb", "getenv", "getenvb", "dotenv_values", "load_dotenv"):
                readers.add(module)

    assert readers == {"bot.settings"}


def test_every_task_belongs_to_a_group() -> None:
    # The store's writer is awaited where it is made: a group would wrap the errors of all who use the store.
    bare = [
        module
        for module, path in modules().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("create_task", "ensure_future")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("asyncio", "loop")
    ]

    assert bare == ["storage.postgres", "storage.sqlite"]


@pytest.mark.parametrize(("module", "absent"), [("bot.app", SDKS), ("bot.__main__", SDKS | {"aiohttp", "starlette"})])
def test_an_sdk_is_imported_only_when_it_is_used(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()

    assert absent.intersection(loaded) == set()


@pytest.mark.parametrize("module", modules())
def test_a_file_fits_on_a_few_screens_and_a_function_on_one(module: str) -> None:
    path = modules()[module]

    assert len(path.read_text("utf-8").splitlines()) <= LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < FUNCTION_LINES, node.name
