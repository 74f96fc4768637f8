"""Which values the options of an optimizer may have, and what goes wrong outside."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one option that lead somewhere."""

    words: str
    """The range, as a message says it."""
    holds: Callable[[float], bool]
    """Whether a number lies within."""
    why: Callable[[float], str]
    """What a number outside does."""
    usual: float
    """A value to begin with."""


def _why_not_rate(value: float) -> str:
    if value == 0:
        return "a step is the rate times the gradient: 0 * gradient = 0 changes no weight"
    return (
        "a step subtracts the rate times the gradient: "
        f"-({value:g}) * gradient climbs, and the loss grows"
    )


def _why_not_momentum(value: float) -> str:
    if value < 0:
        return f"a step keeps {value:g} times the step before: it turns around every time"
    left = 10**100 if value > 10 else value**100
    return (
        f"a step keeps {value:g} times the step before; of the first one "
        f"{value:g}^100 = {_figure(left)} times is left after 100 steps: it never fades"
    )


def _why_not_mean(value: float) -> str:
    share = f"the running mean takes 1 - {_operand(value)} = {1 - value:g} of each new gradient"
    if value == 1:
        return f"{share}: it never moves"
    if value > 1:
        return f"{share}: what is kept grows, {value:g} times every step"
    return f"{share} and {value:g} of the mean before: its sign turns with every step"


def _why_not_epsilon(value: float) -> str:
    return "it is added to the divisor, which is 0 where a gradient has always been 0"


def _why_not_decay(value: float) -> str:
    return (
        f"a step takes the rate times decay times the weight away: "
        f"-({value:g}) * weight makes every weight grow"
    )


def _operand(value: float) -> str:
    return f"({value:g})" if value < 0 else f"{value:g}"


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1e99 else "over 1e+99"


def _is_share(value: float) -> bool:
    return 0 <= value < 1


def _is_above_zero(value: float) -> bool:
    return 0 < value < math.inf


_SHARE = "a number from 0 up and below 1"
_POSITIVE = "a number above 0"

RANGES: Mapping[str, Range] = {
    "lr": Range(_POSITIVE, _is_above_zero, _why_not_rate, 0.01),
    "decay": Range("a number from 0 up", lambda v: 0 <= v < math.inf, _why_not_decay, 1e-4),
    "momentum": Range(_SHARE, _is_share, _why_not_momentum, 0.9),
    "beta1": Range(_SHARE, _is_share, _why_not_mean, 0.9),
    "beta2": Range(_SHARE, _is_share, _why_not_mean, 0.999),
    "rho": Range(_SHARE, _is_share, _why_not_mean, 0.9),
    "eps": Range(_POSITIVE, _is_above_zero, _why_not_epsilon, 1e-8),
}
"""By the name of the optimizer's field; every field that is a number has one."""
