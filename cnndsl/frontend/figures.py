"""Figures as lectures print them: `3.2M` stands for everything that rounds or is cut to it.

A figure of d digits asserts only those digits. What K and B stand for, whether zeros at the end
count as digits, and what is counted at all are conventions that `counting: ..` names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cnndsl.frontend import ast

KIBI = 1024
"""What K stands for where a table counts in powers of two."""

STEPS = {"K": 1, "M": 2, "G": 3, "T": 4}
"""Suffixes of figures: how many thousands, or with an `i` how many times 1024, they stand for."""


class Verdict(Enum):
    """How a figure relates to what it stands for."""

    EXACT = "exact"
    """It is the number."""
    ROUNDED = "rounded"
    """The number rounds to it."""
    CUT = "truncated"
    """The number without the digits behind it."""
    WRONG = "wrong"
    """Neither."""


@dataclass(frozen=True, slots=True)
class Counting:
    """The conventions by which claims are held: `counting: with biases, kilo 1024`."""

    biases: bool = False
    """Whether `params:` of a line counts biases."""
    pools: bool = False
    """Whether operations count the windows of poolings: F*F for each result."""
    input: bool = True
    """Whether the input is kept in memory too."""
    kilo: int = 1000
    """What K stands for."""
    digits: bool = False
    """Whether a figure asserts its zeros too, as in a column printed to the last digit."""


PLAIN = Counting()
"""What holds if a program says nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A printed number: its value, and how much its last digit is worth."""

    value: float
    """What it says."""
    step: float
    """What one unit of its last digit is worth."""
    slack: float
    """How far off it may be because zeros at its end are no digits: 400K for 401,408."""

    def judge(self, actual: float) -> Verdict:
        """Tell how the figure relates to the number it stands for.

        >>> Figure(3_200_000, 100_000, 100_000).judge(3_211_264).value
        'rounded'
        """
        tiny = 1e-12 * max(abs(self.value), abs(actual), 1.0)
        off = abs(self.value - actual)
        if off <= tiny:
            return Verdict.EXACT
        halfway = abs(off - self.step / 2) <= tiny and abs(self.value) < abs(actual)
        if off <= max(self.step / 2, self.slack) + tiny and not (halfway and not self.slack):
            return Verdict.ROUNDED
        if self.step - tiny > abs(actual) - abs(self.value) > 0 and actual * self.value > 0:
            return Verdict.CUT
        return Verdict.WRONG


def is_rounded(expr: ast.Expr) -> bool:
    """Tell whether a number is written with a suffix, and so stands for a range."""
    return isinstance(expr, ast.Number) and expr.text[-1:] in set("KMGTB")


def is_bytes(expr: ast.Expr) -> bool:
    """Tell whether a number is written in bytes: `93MB`."""
    return isinstance(expr, ast.Number) and expr.text.endswith("B")


def figure_of(expr: ast.Number, *, counting: Counting = PLAIN) -> Figure:
    """Read a printed number.

    Zeros at the end of a rounded number need not be digits: `400K` is within 1% of 401,408, unless
    the program says `counting: every digit`.
    """
    digits = expr.text.rstrip("KMGTiB%").replace("_", "").replace(",", "")
    unit = _worth(expr.text[len(expr.text.rstrip("KMGTiB%")) :], counting)
    value = float(digits) * unit
    mantissa, _, exponent = digits.lower().partition("e")
    _, _, fraction = mantissa.partition(".")
    step = unit * 10.0 ** (int(exponent or 0) - len(fraction))
    loose = unit > 1 and mantissa.endswith("0") and not fraction and not counting.digits
    return Figure(value, step, abs(value) / 100 if loose else 0.0)


def _worth(suffix: str, counting: Counting) -> float:
    """Give what a suffix stands for: K, MiB, %."""
    if suffix == "K":
        return float(counting.kilo)
    if suffix == "%":
        return 0.01
    return float((KIBI if "i" in suffix else 1000) ** STEPS.get(suffix[:1], 0))


def unit_of(expr: ast.Expr, *, counting: Counting = PLAIN) -> tuple[str, float]:
    """Give the suffix of a figure and what it stands for: ("M", 1000000.0); ("", 1.0) without."""
    if not isinstance(expr, ast.Number):
        return "", 1.0
    suffix = expr.text[len(expr.text.rstrip("KMGTiB%")) :]
    return suffix, _worth(suffix, counting)


def in_units_of(number: float, expr: ast.Expr, *, counting: Counting = PLAIN) -> str:
    """Write a number in the unit of a figure, with a digit more than it has.

    Empty if the figure has no unit, or one that is much too large.
    """
    suffix, unit = unit_of(expr, counting=counting)
    if not suffix or abs(number) < unit / 1000:
        return ""
    assert isinstance(expr, ast.Number)
    _, _, fraction = expr.text.rstrip("KMGTiB%").partition(".")
    digits = max(len(fraction), 1) if abs(number) >= unit / 10 else 3
    return f"{number / unit:,.{digits}f}{suffix}"
