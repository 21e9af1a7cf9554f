"""Application commands as Discord registers them: the rules of names, descriptions and options, and what a user's
choice of a command looks like as interaction data."""

import unicodedata
from collections.abc import Mapping, Sequence

from tests.servers.discord_checks import ApiError, Form
from tests.servers.discord_state import Attachment, JsonObject

MAX_COMMANDS, MAX_OPTIONS, MAX_CHOICES = 100, 25, 25
CHAT_INPUT = 1
SUB_COMMAND, SUB_COMMAND_GROUP, STRING, INTEGER, BOOLEAN, USER, NUMBER, ATTACHMENT = 1, 2, 3, 4, 5, 6, 10, 11
PYTHON_TYPES: Mapping[int, tuple[type, ...]] = {
    STRING: (str,),
    INTEGER: (int,),
    BOOLEAN: (bool,),
    NUMBER: (int, float),
    ATTACHMENT: (Attachment,),
}


def valid_name(name: str) -> bool:
    r"""The documented ^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$, lowercase where a letter has one."""
    scripts = ("DEVANAGARI", "THAI")
    return (
        1 <= len(name) <= 32
        and name == name.lower()
        and all(
            letter in "-_'"
            or unicodedata.category(letter)[0] in "LN"
            or unicodedata.name(letter, "").startswith(scripts)
            for letter in name
        )
    )


def check_commands(commands: object) -> list[JsonObject]:
    """The list of a bulk overwrite. Raises ApiError (50035; 30032 above 100 chat commands)."""
    if not isinstance(commands, list) or not all(isinstance(command, dict) for command in commands):
        raise ApiError(
            400,
            50035,
            "Invalid Form Body",
            {"_errors": [{"code": "LIST_TYPE_CONVERT", "message": "Only iterables may be used in a ListType"}]},
        )
    if sum(command.get("type", CHAT_INPUT) == CHAT_INPUT for command in commands) > MAX_COMMANDS:
        raise ApiError(400, 30032, f"Maximum number of application commands reached ({MAX_COMMANDS}).")
    form, seen = Form(), set()
    for place, command in enumerate(commands):
        _command(form, str(place), command)
        key = (command.get("type", CHAT_INPUT), command.get("name"))
        if key in seen:
            form.add(str(place), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        seen.add(key)
    form.check()
    return commands


def _command(form: Form, path: str, command: JsonObject) -> None:
    if command.get("type", CHAT_INPUT) != CHAT_INPUT:
        form.text(f"{path}.name", command.get("name"), 1, 32)
        if command.get("description"):
            form.add(
                f"{path}.description",
                "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION_CANNOT_BE_SET",
                "Context menu commands cannot have description",
            )
        return
    _named(form, path, command)
    _options(form, path, command.get("options"))
    if _length(command) > 8000:
        form.add(path, "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")


def _named(form: Form, path: str, item: JsonObject) -> None:
    name = item.get("name")
    if form.text(f"{path}.name", name, 1, 32) and not valid_name(str(name)):
        form.add(f"{path}.name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    form.text(f"{path}.description", item.get("description"), 1, 100)


def _options(form: Form, path: str, options: object) -> None:
    optional_seen, names = False, set()
    for place, option in enumerate(form.models(f"{path}.options", options, MAX_OPTIONS)):
        here = f"{path}.options.{place}"
        _named(form, here, option)
        if option.get("name") in names:
            form.add(here, "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Option name already exists in these options")
        names.add(option.get("name"))
        kind = option.get("type")
        if kind not in range(1, 12):
            form.add(f"{here}.type", "BASE_TYPE_CHOICES", "Value must be one of (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11).")
        elif kind in (SUB_COMMAND, SUB_COMMAND_GROUP):
            _options(form, here, option.get("options"))
            continue
        if option.get("required") and optional_seen:
            form.add(
                here,
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or not option.get("required")
        choices = form.models(f"{here}.choices", option.get("choices"), MAX_CHOICES)
        check_choices(form, f"{here}.choices", choices)
        if choices and option.get("autocomplete"):
            form.add(
                here, "APPLICATION_COMMAND_OPTIONS_CHOICES_AUTOCOMPLETE", "Choices and autocomplete exclude each other"
            )


def check_choices(form: Form, path: str, choices: list[JsonObject]) -> None:
    """Names and text values of 1 to 100 characters; also the choices that an autocomplete answers with."""
    for place, choice in enumerate(choices):
        form.text(f"{path}.{place}.name", choice.get("name"), 1, 100)
        if not isinstance(choice.get("value"), (int, float)):
            form.text(f"{path}.{place}.value", choice.get("value"), 1, 100)


def _length(item: JsonObject) -> int:
    own = sum(len(str(item.get(key) or "")) for key in ("name", "description", "value"))
    return own + sum(_length(child) for key in ("options", "choices") for child in item.get(key) or [])


def chosen(
    commands: Sequence[JsonObject], name: str, values: Mapping[str, object], focused: str | None = None
) -> JsonObject:
    """The data of the interaction when a user picks `/name` out of the registered `commands`. Raises ValueError."""
    first, *words = name.removeprefix("/").split()
    for command in commands:
        if command["name"] == first and command["type"] == CHAT_INPUT:
            options = typed_options(command, words, values, focused)
            data: JsonObject = {"id": command["id"], "name": first, "type": CHAT_INPUT, "options": options}
            return data | ({"guild_id": command["guild_id"]} if "guild_id" in command else {})
    raise ValueError(f"the bot has not registered /{first}")


def typed_options(
    command: JsonObject, words: list[str], values: Mapping[str, object], focused: str | None = None
) -> list[JsonObject]:
    """The `options` of the interaction when a user fills in `values`; `words` are the subcommands after the name.
    Raises ValueError for what Discord's own client would not let a user send."""
    declared: list[JsonObject] = command.get("options") or []
    if words:
        inner = next((option for option in declared if option["name"] == words[0] and option["type"] <= 2), None)
        if inner is None:
            raise ValueError(f"/{command['name']} has no subcommand {words[0]}")
        return [
            {"name": inner["name"], "type": inner["type"], "options": typed_options(inner, words[1:], values, focused)}
        ]
    known = {option["name"]: option for option in declared}
    if unknown := set(values) - set(known):
        raise ValueError(f"/{command['name']} has no option {', '.join(sorted(unknown))}")
    missing = [name for name, option in known.items() if option.get("required") and name not in values]
    if missing and focused is None:
        raise ValueError(f"/{command['name']} requires {', '.join(missing)}")
    return [_typed(known[name], value, name == focused) for name, value in values.items()]


def _typed(option: JsonObject, value: object, focused: bool) -> JsonObject:
    kind = option["type"]
    if not focused:
        allowed = PYTHON_TYPES.get(kind, (str, int))
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind != BOOLEAN):
            raise ValueError(f"the option {option['name']} cannot be {value!r}")
        choices = [choice["value"] for choice in option.get("choices") or []]
        if choices and value not in choices:
            raise ValueError(f"the option {option['name']} must be one of {choices}")
        if isinstance(value, str) and not (option.get("min_length") or 0) <= len(value) <= (
            option.get("max_length") or 6000
        ):
            raise ValueError(f"the option {option['name']} is too short or too long")
    if isinstance(value, Attachment):  # the file itself stands apart, among what is resolved
        value = value.id
    told = value if kind in PYTHON_TYPES and kind != ATTACHMENT else str(value)
    typed: JsonObject = {"name": option["name"], "type": kind, "value": told}
    return typed | {"focused": True} if focused else typed
