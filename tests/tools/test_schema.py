"""A function's signature as a JSON schema, and a model's arguments checked against it: as strict as jsonschema, and as plain
as a teacher."""

import json
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from bot.ports.tools import ToolContext
from bot.tools.schema import Parameters, WrongArguments


async def everything(
    text: Annotated[str, "what to say"],
    number: int,
    share: float = 0.5,
    loud: bool = False,
    unit: Annotated[Literal["day", "week"], "of time"] = "day",
    names: list[str] | None = None,
    table: Annotated[list[list[int]], "rows of numbers"] = [],  # noqa: B006 - read for its schema alone
    note: str | None = None,
) -> str:
    return text


async def in_context(context: ToolContext, place: str) -> str:
    return place


async def nothing() -> str:
    return ""


EVERYTHING = Parameters(everything)
VALIDATOR = Draft202012Validator(json.loads(EVERYTHING.schema))


def test_the_schema_says_what_the_signature_says() -> None:
    assert json.loads(EVERYTHING.schema) == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "what to say"},
            "number": {"type": "integer"},
            "share": {"type": "number", "default": 0.5},
            "loud": {"type": "boolean", "default": False},
            "unit": {"type": "string", "enum": ["day", "week"], "description": "of time", "default": "day"},
            "names": {"type": "array", "items": {"type": "string"}},
            "table": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "integer"}},
                "description": "rows of numbers",
                "default": [],
            },
            "note": {"type": "string"},
        },
        "required": ["text", "number"],
        "additionalProperties": False,
    }
    Draft202012Validator.check_schema(json.loads(EVERYTHING.schema))


def test_the_context_is_not_the_models() -> None:
    parameters = Parameters(in_context)
    assert list(json.loads(parameters.schema)["properties"]) == ["place"]
    assert parameters.context == "context"
    with pytest.raises(WrongArguments, match="there is no argument 'context'"):
        parameters.read('{"place": "here", "context": {}}')


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_no_arguments(text: str) -> None:
    assert Parameters(nothing).read(text) == {}


def test_arguments_come_as_the_function_expects_them() -> None:
    read = EVERYTHING.read(
        '{"text": "喜鹊", "number": 5.0, "share": 1, "unit": "week", "table": [[1, 2.0], []], "note": null}'
    )

    assert read == {"text": "喜鹊", "number": 5, "share": 1.0, "unit": "week", "table": [[1, 2], []]}
    assert [type(read[name]) for name in ("number", "share")] == [int, float]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "no valid JSON: Expecting property name"),
        ('{"text": "a", "number": 1', "no valid JSON: Expecting ',' delimiter: line 1 column 26"),
        ("nonsense", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ('{"number": ' + "9" * 5_000 + "}", "no valid JSON"),
        ('{"text": "a", "number": NaN}', "NaN is no number of JSON"),
        ("[1]", "must be a JSON object, not an array"),
        ('"{}"', "must be a JSON object, not a string"),
        ("null", "must be a JSON object, not null"),
        ('{"text": "a"}', "number is missing"),
        ('{"text": null, "number": 1}', "text is missing"),
        ('{"text": 7, "number": 1}', "text must be a string, not an integer"),
        ('{"text": "a", "number": "1"}', "number must be an integer, not a string"),
        ('{"text": "a", "number": 1.5}', "number must be an integer, not a number"),
        ('{"text": "a", "number": true}', "number must be an integer, not a boolean"),
        ('{"text": "a", "number": 1, "share": true}', "share must be a number, not a boolean"),
        ('{"text": "a", "number": 1, "share": 1e999}', "share is too large a number"),
        ('{"text": "a", "number": 1, "share": 1' + "0" * 400 + "}", "share is too large a number"),
        ('{"text": "a", "number": 1, "loud": "yes"}', "loud must be a boolean, not a string"),
        ('{"text": "a", "number": 1, "unit": "year"}', "unit must be one of: day, week"),
        ('{"text": "a", "number": 1, "unit": ["day"]}', "unit must be one of: day, week"),
        ('{"text": "a", "number": 1, "names": "x"}', "names must be an array, not a string"),
        ('{"text": "a", "number": 1, "names": ["x", 2]}', r"names\[1\] must be a string, not an integer"),
        ('{"text": "a", "number": 1, "table": [[1, {}]]}', r"table\[0\]\[1\] must be an integer, not an object"),
        ('{"text": "a", "nummer": 1}', "no argument 'nummer'; there are: text, number, share.*; number is missing"),
    ],
)
def test_what_does_not_fit_is_named(text: str, problem: str) -> None:
    with pytest.raises(WrongArguments, match=problem):
        EVERYTHING.read(text)


def test_a_flood_of_problems_is_told_in_short() -> None:
    with pytest.raises(WrongArguments) as caught:
        EVERYTHING.read(json.dumps({"x" * 1_000 + str(number): 0 for number in range(1_000)}))
    assert len(str(caught.value)) < 2_000


JSON = st.recursive(
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FITTING = st.fixed_dictionaries(
    {"text": st.text(), "number": st.integers(-(10**9), 10**9)},
    optional={
        "share": st.floats(allow_nan=False, allow_infinity=False),
        "loud": st.booleans(),
        "unit": st.sampled_from(["day", "week"]),
        "names": st.lists(st.text(), max_size=3),
        "table": st.lists(st.lists(st.integers(), max_size=2), max_size=2),
        "note": st.text(),
    },
)
NAMES = st.sampled_from(["text", "number", "share", "loud", "unit", "names", "table", "note", "other"])


@given(FITTING)
def test_what_fits_is_taken_as_it_is(arguments: dict[str, object]) -> None:
    assert EVERYTHING.read(json.dumps(arguments)) == arguments


@given(FITTING, NAMES, JSON, st.none() | NAMES)
def test_it_is_as_strict_as_jsonschema(
    arguments: dict[str, object], name: str, value: object, gone: str | None
) -> None:
    changed = {**arguments, name: value}
    changed.pop(gone or "", None)

    if VALIDATOR.is_valid(changed):
        EVERYTHING.read(json.dumps(changed))
    else:
        with pytest.raises(WrongArguments):
            EVERYTHING.read(json.dumps(changed))


def test_a_signature_that_cannot_be_told_is_a_mistake_of_ours() -> None:
    async def bare(text) -> str:  # type: ignore[no-untyped-def]  # what is to be refused
        return str(text)

    async def several(text: str | int) -> str:
        return str(text)

    async def table(rows: dict[str, str]) -> str:
        return str(rows)

    async def numbers(one: Literal[1, 2]) -> str:
        return str(one)

    for function in (bare, several, table, numbers):
        with pytest.raises(TypeError, match="cannot be told to a model"):
            Parameters(function)
