"""The calculator: exact against Python's fractions, and within bounds whatever is typed."""

import math
import time
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.tools.calculator import MOST_DIGITS, calculate, evaluate, shown
from bot.tools.registry import ToolError


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 8", "0.125"),
        ("1 / 3", "≈ 0.333333333333333 (exactly 1/3)"),
        ("-2 ** 2", "-4"),
        ("2 ** -2", "0.25"),
        ("2 ^ 3 ** 2", "512"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("0 ** 0", "1"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("7.5 % 2", "1.5"),
        ("--+-5", "-5"),
        ("1.5e3 + .5", "1500.5"),
        ("1e-3", "0.001"),
        ("12345678901234567890 * 98765432109876543210", "1219326311370217952237463801111263526900"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("max（1，2）", "2"),
        ("sqrt(16/9) * 3", "4"),
        ("sqrt(2)", "≈ 1.4142135623731"),
        ("sqrt(2) ** 2", "≈ 2"),
        ("4 ** 0.5", "≈ 2"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(2.675, 2)", "2.68"),
        ("round(1234, -2)", "1200"),
        ("round(pi, 4)", "3.1416"),
        ("floor(-2.5) + ceil(2.1)", "0"),
        ("abs(-3/4)", "0.75"),
        ("min(3, 1, 2) + max(1, 5/2)", "3.5"),
        ("gcd(12, 18, 27)", "3"),
        ("lcm(4, 6, 10)", "60"),
        ("5! + factorial(3)", "126"),
        ("1000! / 998!", "999000"),
        ("ln(e)", "≈ 1"),
        ("log10(1000)", "≈ 3"),
        ("log(8, 2)", "≈ 3"),
        ("sin(radians(30))", "≈ 0.5"),
        ("degrees(pi)", "≈ 180"),
        ("exp(0)", "≈ 1"),
        ("1000!", "≈ 4.02387260077094e2567 (a number of 2568 digits)"),
        ("2 * 10 ** 20 / 3", "≈ 66666666666666700000 (exactly 200000000000000000000/3)"),
    ],
)
async def test_what_it_calculates(expression: str, result: str) -> None:
    assert await calculate(expression) == result


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "ends too early"),
        ("   ", "ends too early"),
        ("1 +", "ends too early"),
        ("(1", r"'\)' is missing at the end"),
        ("(1 2)", r"'\)' is missing before '2'"),
        ("（1，2）", r"'\)' is missing before ','"),
        ("1)", r"'\)' was not expected"),
        ("1 2", "'2' was not expected"),
        ("2 pi", "'pi' was not expected"),
        ("2(3)", r"'\(' was not expected"),
        ("5!!", "'!' was not expected"),
        ("2,000", "',' was not expected"),
        ("* 2", r"'\*' was not expected"),
        ("price * 2", "'price' is not known"),
        ("sqrt", "'sqrt' is not known"),
        ("pi(2)", r"'\(' was not expected"),
        ("3 € + 1", "'€' is not known"),
        ("__import__('os').system('ls')", "'_' is not known"),
        ("open('/etc/passwd')", '"\'" is not known'),
        ("open(1)", "'open' is not known"),
        ("(lambda: 1)()", "':' is not known"),
        ("1 if 2 else 3", "'if' was not expected"),
        ("1 / 0", "divides by zero"),
        ("1 % 0", "divides by zero"),
        ("1 // (2 - 2)", "divides by zero"),
        ("0 ** -1", "divides by zero"),
        ("0 ** -0.5", "divides by zero"),
        ("log(2, 1)", "divides by zero"),
        ("sqrt(-1)", "sqrt has no real value"),
        ("(-8) ** (1/3)", "no real value"),
        ("ln(0)", "ln has no real value"),
        ("asin(2)", "asin has no real value"),
        ("log(8)", r"write ln\(x\), log10"),
        ("sqrt(1, 2)", "does not take 2 values"),
        ("2.5!", "whole numbers"),
        ("gcd(1/2, 3)", "whole numbers"),
        ("(-1)!", "from 0 to 1000"),
        ("1001!", "from 0 to 1000"),
        ("10 ** 10 ** 10", "too large"),
        ("2 ** 10001", "too large"),
        ("9 ** 9 ** 9 ** 9", "too large"),
        ("1000! * 1000!", "too large"),
        ("1e1001", "too large"),
        ("exp(1000)", "too large"),
        ("sin(10 ** 400)", "too large"),
        ("round(1, 10 ** 9)", "too large"),
        ("1" * 1_001, "longer than 1000 characters"),
        ("(" * 51 + "1" + ")" * 51, "nested deeper than 50"),
        ("2 ** " * 60 + "1", "nested deeper than 50"),
        ("sqrt(" * 60 + "1" + ")" * 60, "nested deeper than 50"),
    ],
)
async def test_what_it_refuses(expression: str, problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        await calculate(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "+".join(f"1/7**{3500 - number}" for number in range(80)),
        "lcm(" + ",".join(f"{number}**700" for number in range(9_900, 9_980)) + ")",
        "+".join(["1000!/999!"] * 90),
        "+".join(["sqrt(7**3500)"] * 70),
        "*".join(["round(1/3,999)"] * 60),
        "-" * 999 + "1",
        "7**3500%(1/7**3400)",
        "9" * 999 + "//7",
    ],
)
async def test_nothing_takes_long(expression: str) -> None:
    begin = time.process_time()
    with suppress(ToolError):
        await calculate(expression[:1_000])
    assert time.process_time() - begin < 0.25


# --- against fractions --------------------------------------------------------------------------------------------------

Sum = tuple[str, Fraction]
NUMBERS = st.one_of(
    st.integers(0, 10**12).map(lambda number: (str(number), Fraction(number))),
    st.decimals(0, 1_000, places=3).map(lambda number: (f"{number:f}", Fraction(number))),
)


def combined(inner: st.SearchStrategy[Sum]) -> st.SearchStrategy[Sum]:
    def written(operator: str, left: Sum, right: Sum) -> Sum | None:
        text = f"({left[0]}) {operator} ({right[0]})"
        a, b = left[1], right[1]
        match operator:
            case "+":
                return text, a + b
            case "-":
                return text, a - b
            case "*":
                return text, a * b
            case "/" if b:
                return text, a / b
            case "//" if b:
                return text, Fraction(a // b)
            case "%" if b:
                return text, a % b
        return None

    pairs = st.builds(written, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner, inner)
    negated = inner.map(lambda one: (f"-({one[0]})", -one[1]))
    powers = st.tuples(inner, st.integers(0, 5)).map(lambda one: (f"({one[0][0]}) ** {one[1]}", one[0][1] ** one[1]))
    return pairs.filter(bool) | negated | powers  # type: ignore[return-value]  # the filter leaves no None


@given(st.recursive(NUMBERS, combined, max_leaves=8))
def test_it_agrees_with_fractions(sum_: Sum) -> None:
    text, value = sum_
    assume(len(text) <= 1_000 and max(value.numerator.bit_length(), value.denominator.bit_length()) < 3_000)
    assert evaluate(text) == value


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99)), min_size=1, max_size=20))
def test_precedence_is_pythons(terms: list[tuple[str, int]]) -> None:
    text = "1" + "".join(f" {operator} {number}" for operator, number in terms)
    assert evaluate(text) == eval(text)


@given(st.fractions() | st.decimals(allow_nan=False, allow_infinity=False, places=30).map(Fraction))
def test_what_is_shown_exactly_is_exact(value: Fraction) -> None:
    text = shown(value)
    if text.startswith("≈"):
        rough, exact = text[2:-1].split(" (exactly ")
        assert Fraction(exact) == value
        assert math.isclose(float(rough), float(value), rel_tol=1e-14)
    else:
        assert Fraction(text) == value


@given(st.text("0123456789.+-*/%^!(),e pisqrtlogmaxround×", max_size=60) | st.text(max_size=30))
async def test_whatever_is_typed_there_is_a_result_or_a_sentence(text: str) -> None:
    try:
        assert 0 < len(await calculate(text)) < 3 * MOST_DIGITS
    except ToolError as error:
        assert str(error)
