"""Images of another size: sizes, words, refusals, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.frontend.check import examine
from cnndsl.layers.analysis import analyse
from cnndsl.layers.base import Hwc, LayerError, SettingValue
from cnndsl.model import Model
from tests.layers.gradients import worst_gradient

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

IMAGE = np.arange(3 * 2 * 3 * 4, dtype=np.float32).reshape(3, 2, 3, 4)


@pytest.mark.parametrize(
    ("kind", "given", "expected", "formula"),
    [
        ("resize", {"size": (4, 4)}, (4, 4, 2), "3 -> 4; 4 -> 4"),
        ("resize", {"size": (6, 1)}, (6, 1, 2), "3 -> 6; 4 -> 1"),
        ("resize", {"scale": 2}, (6, 8, 2), "3*2 = 6; 4*2 = 8"),
        ("resize", {"scale": 1 / 3}, None, ""),
        ("upsample", {"bilinear": True}, (6, 8, 2), "3*2 = 6; 4*2 = 8"),
    ],
)
def test_sizes(
    bench: Bench, kind: str, given: Mapping[str, SettingValue], expected: Hwc | None, formula: str
) -> None:
    if expected is None:
        with pytest.raises(LayerError, match="no whole number of pixels") as caught:
            bench.output(kind, given, (3, 4, 2))
        assert (caught.value.code, caught.value.label) == ("E0312", "4*1/3 = 1.33333")
        return
    assert bench.output(kind, given, (3, 4, 2)) == expected
    assert bench.formula(kind, given, (3, 4, 2)) == formula


def last(line: str) -> str:
    layer = Model.from_text(f"input [4x6x1]\n{line}\n").network.layers[-1]
    return layer.spec.kind.words(layer.spec)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("resize 8x9", "resize 8x9"),
        ("Resize to 8x9 nearest neighbour", "resize 8x9 nearest"),
        ("interpolate(size=[8, 9], align_corners=true)", "resize 8x9 align corners"),
        ("resize by 0.5", "resize scale 0.5"),
        ("resize(scale=3/2)", "resize scale 1.5"),
        ("upsample 2x3 bilinear", "upsample 2x3 bilinear"),
        ("upsample 2 bilinear align_corners", "upsample 2 bilinear align corners"),
    ],
)
def test_words(line: str, words: str) -> None:
    assert last(line) == words
    assert last(words) == words


def said(line: str) -> str:
    return str(examine(f"input [4x6x1]\n{line}\n"))


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("resize", "E0205", "`resize 32x48` is 32 high and 48 wide"),
        ("resize 3x3 scale 2", "E0206", "both are about the new size"),
        ("resize 3x3 nearest bilinear", "E0206", "both are about what the new pixels hold"),
        ("resize 3x3 nearest align corners", "E0206", "`nearest` copies pixels"),
        ("upsample 2 align corners", "E0206", "`upsample` copies pixels"),
        ("upsample 2 nearest align corners", "E0206", "`bilinear align corners` blends"),
        ("resize scale 0.3", "E0312", "4*3/10 = 1.2; 6*3/10 = 1.8"),
        ("resize scale 0.75", "E0312", "`resize 3x4` or `resize 3x5`"),
        ("resize scale 0", "E0207", "at least 0.0001"),
        ("flatten - resize 3x3", "E0307", "`resize` looks at images"),
        ("upsample 90000 bilinear", "E0608", "90"),
    ],
)
def test_what_makes_no_sense_is_refused(line: str, code: str, text: str) -> None:
    found = said(line)
    assert f"error[{code}]" in found
    assert text in found


@pytest.mark.parametrize("corners", [False, True])
def test_numbers_are_those_of_the_op(bench: Bench, corners: bool) -> None:
    given: dict[str, SettingValue] = {"size": (5, 4), "align_corners": corners}
    found = bench.emit("resize", given, (3, 4, 2)).run(IMAGE)
    rows = np.arange(5) / 2 if corners else np.clip(np.arange(5) * 0.6 - 0.2, 0, 2)
    assert found == pytest.approx(IMAGE[:, :, :1] + 4 * rows[None, None, :, None])


def test_a_factor_makes_the_same_as_a_size(bench: Bench) -> None:
    by = bench.emit("upsample", {"factor": (2, 3), "bilinear": True}, (3, 4, 2)).run(IMAGE)
    to = bench.emit("resize", {"size": (6, 12)}, (3, 4, 2)).run(IMAGE)
    assert np.array_equal(by, to)
    copies = bench.emit("upsample", {"factor": (2, 3)}, (3, 4, 2)).run(IMAGE)
    nearest = bench.emit("resize", {"size": (6, 12), "nearest": True}, (3, 4, 2)).run(IMAGE)
    assert np.array_equal(copies, nearest)


def test_fields_steps_and_operations() -> None:
    text = "input [4x6x3]\nresize 8x9 - resize 8x9 nearest - upsample 2 bilinear - resize 1x1\n"
    _, first, second, third, fourth = analyse(Model.from_text(text).network).layers
    assert (first.stride, first.receptive_field) == ((Fraction(1, 2), Fraction(2, 3)), (2, 2))
    assert (first.macs, first.flops, first.params) == (0, 7 * 8 * 9 * 3, 0)
    assert (second.stride, second.flops) == (first.stride, 0)
    assert third.stride == (Fraction(1, 4), Fraction(1, 3))
    assert fourth.stride == (4, 6)


def test_gradients_agree_with_differences() -> None:
    text = """
    input [5x4x2]
    conv 3 3x3 half tanh - resize 7x9 - conv 2 1x1 tanh - upsample 2 bilinear align corners
    conv 2 3x3/2 half floor tanh - resize 4x5 nearest - resize scale 3 - gap - fc 3 - softmax
    """
    assert worst_gradient(text) < 1e-6
