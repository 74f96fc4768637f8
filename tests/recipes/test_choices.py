"""Options of optimizers and schedules: what is taken, and what is refused with its reason."""

from __future__ import annotations

import dataclasses

import pytest

from cnndsl.recipes.choices import Choice, make_optimizer, make_schedule
from cnndsl.recipes.optimizers import OPTIMIZERS, SGD, Adam
from cnndsl.recipes.ranges import RANGES
from cnndsl.recipes.schedules import Steps
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError
from cnndsl.support.source import Span

HERE = Span("p.cnn", 3, 5, 3, 10)


def refused(name: str, **named: object) -> Diagnostic:
    choice = Choice(name, named=named, spans=dict.fromkeys(named, HERE))
    with pytest.raises(DiagnosticError) as caught:
        make_optimizer(choice)
    (found,) = caught.value.diagnostics
    assert found.code == "E0732"
    return found


@pytest.mark.parametrize(
    ("name", "option", "value", "why"),
    [
        ("sgd", "momentum", 1.5, "1.5^100 = 4.07e+17 times is left"),
        ("sgd", "momentum", 1, "1^100 = 1 times is left"),
        ("sgd", "momentum", 1e300, "= over 1e+99 times is left"),
        ("sgd", "momentum", -0.1, "it turns around every time"),
        ("sgd", "lr", 0, "0 * gradient = 0 changes no weight"),
        ("sgd", "learning_rate", -0.1, "-(-0.1) * gradient climbs"),
        ("sgd", "weight_decay", -1e-4, "-(-0.0001) * weight makes every weight grow"),
        ("adam", "beta1", 1.0, "1 - 1 = 0 of each new gradient: it never moves"),
        ("adam", "beta2", 1.25, "1 - 1.25 = -0.25 of each new gradient"),
        ("adamw", "beta1", -0.5, "1 - (-0.5) = 1.5 of each new gradient"),
        ("rmsprop", "rho", 1.0, "it never moves"),
        ("adadelta", "rho", 2.0, "2 times every step"),
        ("adagrad", "eps", 0.0, "which is 0 where a gradient has always been 0"),
    ],
)
def test_numbers_that_lead_nowhere_are_refused_with_the_reason(
    name: str, option: str, value: float, why: str
) -> None:
    found = refused(name, **{option: value})
    assert found.message == f"`{option}` of `{name}` cannot be {value:g}"
    assert found.span == HERE
    assert found.label.startswith(f"`{option}` is a number ")
    assert why in found.notes[0]
    assert found.helps[0].startswith(f"begin with `{option}=")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("option", ["lr", "momentum", "decay"])
def test_numbers_that_are_none_are_refused(option: str, value: float) -> None:
    assert f"cannot be {value:g}" in refused("sgd", **{option: value}).message


@pytest.mark.parametrize("value", [True, "fast", None])
def test_what_is_no_number_is_refused_with_the_range(value: object) -> None:
    found = refused("sgd", momentum=value)
    assert found.label == "`momentum` is a number from 0 up and below 1"


def test_the_value_to_begin_with_is_allowed_itself() -> None:
    for name, kind in OPTIMIZERS.items():
        for field in dataclasses.fields(kind):
            if field.type == "float":
                (advice,) = refused(name, **{field.name: -1.0}).helps
                usual = float(advice.removeprefix("begin with `").split("=")[1].rstrip("`"))
                assert RANGES[field.name].holds(usual)
                make_optimizer(Choice(name, named={field.name: usual}))


def test_the_ends_of_the_ranges_are_allowed() -> None:
    assert make_optimizer(Choice("sgd", (1, 0), {"momentum": 0})) == SGD(lr=1.0)
    made = make_optimizer(Choice("adam", named={"beta1": 0, "beta2": 0.999999, "eps": 1e-30}))
    assert made == Adam(beta1=0.0, beta2=0.999999, eps=1e-30)


def test_rates_by_epoch_may_be_zero_but_not_below() -> None:
    assert make_schedule(Choice("steps", ({0: 0.1, 9: 0},))) == Steps(((0, 0.1), (9, 0.0)))
    for rate in (-0.1, float("nan"), True, "fast"):
        with pytest.raises(DiagnosticError, match=r"E0732.*`rates` of `steps` cannot be 9: "):
            make_schedule(Choice("steps", ({9: rate},)))
