"""Going back to a larger image: copies, nails, and the places of a pool."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.frontend.check import examine
from cnndsl.layers.analysis import analyse
from cnndsl.layers.base import Hwc, SettingValue
from cnndsl.model import Model
from tests.layers.gradients import worst_gradient

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

PAIR = np.arange(3 * 2 * 2 * 3, dtype=np.float32).reshape(3, 2, 2, 3)


@pytest.mark.parametrize(
    ("kind", "given", "expected", "formula"),
    [
        ("upsample", {}, (4, 6, 2), "2*2 = 4; 3*2 = 6"),
        ("upsample", {"factor": (3, 1)}, (6, 3, 2), "2*3 = 6; 3*1 = 3"),
        ("unpool", {"factor": (3, 2)}, (6, 6, 2), "2*3 = 6; 3*2 = 6"),
        ("unpool", {"factor": (2, 2), "nails": True}, (4, 6, 2), "2*2 = 4; 3*2 = 6"),
    ],
)
def test_sizes(
    bench: Bench, kind: str, given: Mapping[str, SettingValue], expected: Hwc, formula: str
) -> None:
    assert bench.output(kind, given, (2, 3, 2)) == expected
    assert bench.formula(kind, given, (2, 3, 2)) == formula


@pytest.mark.parametrize("kind", ["upsample", "unpool"])
def test_copies(bench: Bench, kind: str) -> None:
    found = bench.emit(kind, {"factor": (3, 2)}, (2, 3, 2)).run(PAIR)
    assert np.array_equal(found, PAIR.repeat(3, axis=2).repeat(2, axis=3))


def test_nails_stand_above_and_left(bench: Bench) -> None:
    found = bench.emit("unpool", {"factor": (3, 2), "nails": True}, (2, 3, 2)).run(PAIR)
    assert np.array_equal(found[:, :, ::3, ::2], PAIR)
    assert found.sum() == PAIR.sum()


def test_numbers_go_back_to_the_places_of_the_pool() -> None:
    model = Model.from_text("input [5x4x1]\nmaxpool 2x2/2 floor as p - unpool p\n")
    model.initialize()
    image = np.array(
        [[1, 5, 2, 0], [3, 4, 9, 1], [0, 0, 7, 7], [6, 0, 7, 7], [8, 8, 8, 8]], np.float32
    )
    found = model.look(image[:, :, None], "unpool1")["unpool1"][0]
    wanted = [[0, 5, 0, 0], [0, 0, 9, 0], [0, 0, 7, 0], [6, 0, 0, 0], [0, 0, 0, 0]]
    assert found.tolist() == wanted


def said(text: str) -> str:
    return str(examine(text))


def test_the_size_is_that_before_the_pool() -> None:
    network = Model.from_text(
        "input [7x9x2]\nmaxpool 3x3/2 as p\nconv 2 3x3 half - unpool p\n"
    ).network
    assert network.layers[-1].output == (7, 9, 2)
    assert network.layers[-1].spec.kind.words(network.layers[-1].spec) == "unpool"
    report = analyse(network).layers[-1]
    assert report.formula == "3x4 -> 7x9, as before the pool"
    assert report.stride == (1, 1)


def test_a_pool_that_rounds_down_leaves_zeros() -> None:
    assert "[5x5x2], not the [4x4x2]" in said(
        "input [5x5x2]\nmaxpool 2x2/2 floor as p - unpool p => [4x4x2]\n"
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("conv 4 3x3 half as c - maxpool 2x2/2 - unpool c", "not `conv`"),
        ("avgpool 2x2/2 as p - unpool p", "not `avgpool`"),
        ("input y [4x4x3]\nfrom y - unpool y", "not an input"),
    ],
)
def test_only_a_maxpool_has_places(line: str, words: str) -> None:
    text = said(f"input x [8x8x3]\n{line}\n")
    assert "error[E0307]: `unpool` takes the places that a `maxpool` took its numbers from" in text
    assert words in text


def test_what_does_not_fit_the_pool_is_refused() -> None:
    text = said("input [8x8x3]\nmaxpool 2x2/2 as p - conv 5 1x1 - unpool p\n")
    assert "`unpool` was given [4x4x5], and the pool that it undoes made [4x4x3]" in text
    assert "`conv 3 1x1` before it makes [4x4x3]" in text
    text = said("input [8x8x3]\nmaxpool as p - maxpool as q - upsample 4 - unpool q\n")
    assert "unpool in the opposite order of the pools" in text


def test_two_answers_to_one_question_are_refused() -> None:
    text = said("input [8x8x3]\nmaxpool 2x2/2 as p - unpool p nails\n")
    assert "error[E0206]: the places of `maxpool1` and `nails` say two different things" in text
    assert "E0206" in said("input [8x8x3]\nunpool 2 nearest nails\n")
    assert "E0307" in said("input [8]\nupsample 2\n")


def test_steps_of_a_part_of_a_pixel() -> None:
    *_, last = analyse(Model.from_text("input [4x4x1]\nupsample 3x2 - conv 1 3x3\n").network).layers
    assert last.stride == (Fraction(1, 3), Fraction(1, 2))
    assert last.receptive_field == (2, 2)


def test_gradients_agree_with_differences() -> None:
    text = """
    input [4x4x2]
    conv 2 3x3 half - maxpool 2x2/2 as p - conv 2 1x1 tanh - unpool p
    unpool 2 nails - conv 2 3x3/2 half floor - upsample 2x1 - gap - fc 3 - softmax
    """
    assert worst_gradient(text) < 1e-6
