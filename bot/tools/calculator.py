"""An exact calculator: whole numbers, decimals and fractions stay exact; roots, logarithms and angles are floating point.

Nothing is evaluated by Python: a small grammar, read by recursive descent, with a bound on everything that could grow.

    sum     = product { ("+" | "-") product }
    product = signed { ("*" | "/" | "//" | "%") signed }
    signed  = { "+" | "-" } power
    power   = postfix [ ("**" | "^") signed ]
    postfix = atom [ "!" ]
    atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Annotated

from bot.tools.registry import ToolError

Value = Fraction | float

LONGEST = 1_000  # characters of an expression
DEEPEST = 50  # parentheses, powers of powers
MOST_DIGITS = 1_000  # of a number that is written or shown whole
_MOST_BITS = 10_000  # on the way to a result: 3,000 digits
MOST_FACTORIAL = 1_000
_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d{1,4})?|\.\d+(?:[eE][+-]?\d{1,4})?)|([A-Za-z]\w*)|(\*\*|//|[-+*/%^(),!]))"
)
_SPELLINGS = str.maketrans(
    {"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "（": "(", "）": ")", "，": ",", "π": "pi"}
)
_ROUGH = Context(prec=15)


async def calculate(expression: Annotated[str, "for example (2 + 3/4) ** 10 or sqrt(2) * sin(radians(30))"]) -> str:
    """Calculates exactly. Use it for every calculation beyond the simplest. It knows + - * / // (whole part) % (remainder) **
    (power) ! ( ), the constants pi and e, and the functions sqrt, abs, round(x, digits), floor, ceil, min, max, factorial, gcd,
    lcm, exp, ln, log10, log2, log(x, base), sin, cos, tan, asin, acos, atan (in radians), degrees, radians. No units, no
    thousands separators, no variables; write 15 % of 80 as 0.15 * 80."""
    try:
        return shown(evaluate(expression))
    except ZeroDivisionError:
        raise ToolError("that divides by zero") from None
    except OverflowError:
        raise ToolError("the numbers grow too large on the way") from None


def evaluate(expression: str) -> Value:
    """Raises ToolError, ZeroDivisionError, OverflowError."""
    if len(expression) > LONGEST:
        raise ToolError(f"the expression is longer than {LONGEST} characters")
    reader = _Reader(_tokens(expression.translate(_SPELLINGS)))
    value = reader.sum()
    if reader.next:
        raise ToolError(f"{reader.next!r} was not expected there")
    return value


def shown(value: Value) -> str:
    """Exact where that can be written; what is rounded begins with ≈."""
    if isinstance(value, float):
        return f"≈ {value:.15g}"
    digits = max(_digits(value.numerator), _digits(value.denominator))
    if value.denominator == 1:
        return str(value.numerator) if digits <= MOST_DIGITS else f"≈ {_rough(value)} (a number of {digits} digits)"
    if (decimals := _decimals(value.denominator)) is not None and digits + decimals <= MOST_DIGITS:
        whole = str(abs(value.numerator) * 10**decimals // value.denominator).rjust(decimals + 1, "0")
        return f"{'-' if value < 0 else ''}{whole[:-decimals]}.{whole[-decimals:]}"
    return f"≈ {_rough(value)}" + (f" (exactly {value})" if digits <= MOST_DIGITS else "")


class _Reader:
    """One expression, from left to right. `next` is the token that is looked at, "" at the end."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self.next
        if not token:
            raise ToolError("the expression ends too early")
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self.next != token:
            raise ToolError(f"{token!r} is missing" + (f" before {self.next!r}" if self.next else " at the end"))
        self._at += 1

    def sum(self) -> Value:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ToolError(f"it is nested deeper than {DEEPEST}")
        value = self._product()
        while self.next in ("+", "-"):
            value = _BINARY[self._take()](value, self._product())
        self._depth -= 1
        return value

    def _product(self) -> Value:
        value = self._signed()
        while self.next in ("*", "/", "//", "%"):
            value = _BINARY[self._take()](value, self._signed())
        return value

    def _signed(self) -> Value:
        negative = False
        while self.next in ("+", "-"):
            negative ^= self._take() == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Value:
        base = self._postfix()
        if self.next not in ("**", "^"):
            return base
        self._take()
        self._depth += 1
        if self._depth > DEEPEST:
            raise ToolError(f"it is nested deeper than {DEEPEST}")
        exponent = self._signed()
        self._depth -= 1
        return _power(base, exponent)

    def _postfix(self) -> Value:
        value = self._atom()
        if self.next == "!":  # once: x!! is another function
            self._take()
            value = _factorial(value)
        return value

    def _atom(self) -> Value:
        token = self._take()
        if token == "(":
            value = self.sum()
            self._expect(")")
            return value
        if token[0].isdigit() or token[0] == ".":
            return _bounded(_number(token))
        if self.next == "(" and token in _FUNCTIONS:
            return self._called(token)
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        raise ToolError(f"{token[:50]!r} is not known" if token[0].isalpha() else f"{token!r} was not expected there")

    def _called(self, name: str) -> Value:
        fewest, most, function = _FUNCTIONS[name]
        self._expect("(")
        given = [self.sum()]
        while self.next == ",":
            self._take()
            given.append(self.sum())
        self._expect(")")
        if not fewest <= len(given) <= most:
            raise ToolError(_HINTS.get(name, f"{name} does not take {len(given)} values"))
        try:
            return _bounded(function(*given))
        except ValueError:
            raise ToolError(f"{name} has no real value there") from None


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ToolError(f"{text[at:].strip()[0]!r} is not known")
        found.append(match[0].strip())
        at = match.end()
    return found


def _number(token: str) -> Fraction:
    exponent = re.split("[eE]", token)[1:]
    if exponent and abs(int(exponent[0])) > MOST_DIGITS:
        raise OverflowError
    return Fraction(token)


def _bounded(value: Value) -> Value:
    """Raises OverflowError for what is not to be calculated with any more."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OverflowError
    elif max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise OverflowError
    return value


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1  # 0 for 0, 1 and -1
        if bits * abs(exponent.numerator) > _MOST_BITS:
            raise OverflowError
        return _bounded(base**exponent.numerator)
    try:
        return _bounded(math.pow(base, exponent))
    except ValueError:
        raise ToolError("that power has no real value" if base else "that divides by zero") from None


def _whole(*values: Value) -> list[int]:
    if any(isinstance(value, float) or value.denominator != 1 for value in values):
        raise ToolError("that needs whole numbers")
    return [int(value) for value in values]


def _factorial(value: Value) -> Value:
    (number,) = _whole(value)
    if not 0 <= number <= MOST_FACTORIAL:
        raise ToolError(f"factorials go from 0 to {MOST_FACTORIAL}")
    return Fraction(math.factorial(number))


def _sqrt(value: Value) -> Value:
    if isinstance(value, Fraction) and value >= 0:
        root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        if root * root == value:
            return root
    return math.sqrt(value)


def _round(value: Value, digits: Value = Fraction(0)) -> Value:
    """Halves go away from zero, as people are taught."""
    (places,) = _whole(digits)
    if abs(places) > MOST_DIGITS:
        raise OverflowError
    scale = Fraction(10) ** places
    exact = abs(Fraction(value)) * scale
    rounded = math.floor(exact + Fraction(1, 2)) / scale
    return -rounded if value < 0 else rounded


def _lcm(*values: Value) -> Value:
    multiple = Fraction(1)
    for number in _whole(*values):
        multiple = Fraction(math.lcm(int(multiple), number))
        _bounded(multiple)
    return multiple


def _exact(function: Callable[[Value], int]) -> Callable[[Value], Value]:
    return lambda value: Fraction(function(value))


_BINARY: Mapping[str, Callable[[Value, Value], Value]] = {
    "+": lambda a, b: _bounded(a + b),
    "-": lambda a, b: _bounded(a - b),
    "*": lambda a, b: _bounded(a * b),
    "/": lambda a, b: _bounded(a / b),
    "//": lambda a, b: _bounded(Fraction(a // b) if isinstance(a, Fraction) and isinstance(b, Fraction) else a // b),
    "%": lambda a, b: _bounded(a % b),
}
_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
_HINTS: Mapping[str, str] = {"log": "write ln(x), log10(x), log2(x), or log(x, base)"}
_MANY = LONGEST
_FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Value]]] = {  # (fewest, most values, what it does)
    "sqrt": (1, 1, _sqrt),
    "abs": (1, 1, abs),
    "round": (1, 2, _round),
    "floor": (1, 1, _exact(math.floor)),
    "ceil": (1, 1, _exact(math.ceil)),
    "min": (1, _MANY, lambda *values: min(values)),
    "max": (1, _MANY, lambda *values: max(values)),
    "factorial": (1, 1, _factorial),
    "gcd": (1, _MANY, lambda *values: Fraction(math.gcd(*_whole(*values)))),
    "lcm": (1, _MANY, _lcm),
    "exp": (1, 1, math.exp),
    "ln": (1, 1, math.log),
    "log10": (1, 1, math.log10),
    "log2": (1, 1, math.log2),
    "log": (2, 2, math.log),
    "sin": (1, 1, math.sin),
    "cos": (1, 1, math.cos),
    "tan": (1, 1, math.tan),
    "asin": (1, 1, math.asin),
    "acos": (1, 1, math.acos),
    "atan": (1, 1, math.atan),
    "degrees": (1, 1, math.degrees),
    "radians": (1, 1, math.radians),
}


def _digits(number: int) -> int:
    """How many a whole number has; of very long ones the text is never made (Python refuses it beyond 4,300 digits)."""
    return Decimal(number).adjusted() + 1


def _decimals(denominator: int) -> int | None:
    """Decimal places of a fraction that ends; None: it never does."""
    places = []
    for prime in (2, 5):
        count = 0
        while denominator % prime == 0:
            denominator //= prime
            count += 1
        places.append(count)
    return max(places) if denominator == 1 else None


def _rough(value: Fraction) -> str:
    rough = _ROUGH.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(_ROUGH)
    return f"{rough:f}" if -7 < rough.adjusted() < 21 else f"{rough:e}".replace("e+", "e")
