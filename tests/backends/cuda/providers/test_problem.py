"""What a step asks of a library, read from its key."""

from __future__ import annotations

import pytest

from cnndsl.backends.cuda.providers.problem import (
    NOTHING,
    Tail,
    product_of,
    strides_of,
    tail_of,
)
from cnndsl.ops.activations import relu, sigmoid
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from tests.backends.cuda.providers.regions import (
    TAILS,
    add_relu,
    key_for,
)


@pytest.mark.parametrize(
    ("program", "bias", "tail"),
    [
        (None, False, NOTHING),
        (ScalarProgram(1, (ScalarStep(relu, relu.attrs(), (0,)),)), True, Tail(True, False, True)),
        (add_relu(), True, Tail(True, True, True)),
        (ScalarProgram(2, add_relu().steps[:1]), False, Tail(add=True)),
        (ScalarProgram(1, (ScalarStep(sigmoid, sigmoid.attrs(), (0,)),)), False, None),
        (ScalarProgram(2, (ScalarStep(mul, mul.attrs(), (0, 1)),)), False, None),
        (ScalarProgram(1, (ScalarStep(add, add.attrs(), (0, 0)),)), False, None),
        (
            ScalarProgram(2, (add_relu().steps[0], ScalarStep(relu, relu.attrs(), (0,)))),
            False,
            None,
        ),
    ],
)
def test_tails_are_read(program: ScalarProgram | None, bias: bool, tail: Tail | None) -> None:
    assert tail_of(program, bias=bias) == tail


def test_channels_last_pixels_are_rows() -> None:
    sample = TAILS[1][1]
    found = product_of(key_for("conv2d", sample), rounded=False, layout="nhwc")
    assert found is not None
    assert (found.m, found.n, found.k, found.batch) == (40, 4, 3, 1)
    assert found.tail == Tail(True, True, True)
    first = product_of(key_for("conv2d", sample), rounded=False, layout="nchw")
    assert first is not None
    assert (first.m, first.n, first.k, first.batch) == (4, 20, 3, 2)
    assert (first.swapped, first.fixed_a, first.tail) == (True, True, NOTHING)
    assert strides_of((2, 3, 4, 5), "nhwc") == (60, 1, 15, 3)
