"""Losses: names, targets, numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.base import LAYERS, LayerError, SettingValue
from cnndsl.layers.losses import LOSSES, Target, find_loss
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.structural import InputAttrs, input_

SCORES = [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]


def measure(loss: str, output: Any, target: Any, settings: dict[str, SettingValue]) -> float:
    graph = Graph("loss")
    b = Builder(graph)
    kind = LOSSES[loss]
    out = np.asarray(output, dtype=np.float64)
    output_type = TensorType(DType.F64, out.shape)
    o = b.emit(input_, attrs=InputAttrs(output_type), name="o")
    t = b.emit(input_, attrs=InputAttrs(kind.target_type(output_type)), name="t")
    graph.outputs["loss"] = kind.emit(b, o, t, settings)
    assert graph.type_of(graph.outputs["loss"]) == TensorType(DType.F64, ())
    return float(evaluate(graph, {"o": out, "t": np.asarray(target)})["loss"])


def _log_share(row: list[float], label: int) -> float:
    return row[label] - math.log(sum(map(math.exp, row)))


@pytest.mark.parametrize(
    ("loss", "output", "target", "settings", "expected"),
    [
        ("crossentropy", SCORES, [1, 2], {},
         -(_log_share(SCORES[0], 1) + _log_share(SCORES[1], 2)) / 2),
        ("nll", [[0.25, 0.75], [0.5, 0.5]], [1, 0], {}, -(math.log(0.75) + math.log(0.5)) / 2),
        ("hinge", SCORES, [1, 0], {}, (0 + 0 + 0 + 4.0) / 2),
        ("mse", [[1.0, 2.0]], [[0.0, 4.0]], {}, 2.5),
        ("l1", [[1.0, 2.0]], [[0.0, 4.0]], {}, 1.5),
        ("smooth_l1", [[0.5, 3.0]], [[0.0, 0.0]], {}, (0.125 + 2.5) / 2),
        ("smooth_l1", [[0.5, 3.0]], [[0.0, 0.0]], {"beta": 2.0}, (0.0625 + 2.0) / 2),
        ("bce", [[0.0, 2.0]], [[1.0, 0.0]], {}, (math.log(2) + math.log(1 + math.exp(2))) / 2),
    ],
)  # fmt: skip
def test_numbers_by_hand(
    loss: str, output: object, target: object, settings: dict[str, SettingValue], expected: float
) -> None:
    assert measure(loss, output, target, settings) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("crossentropy", "crossentropy"),
        ("Categorical_CrossEntropy", "crossentropy"),
        ("cross-entropy", "crossentropy"),
        ("SVM", "hinge"),
        ("hinge", "hinge"),
        ("squared", "mse"),
        ("MSE", "mse"),
        ("L1", "l1"),
        ("smooth-l1", "smooth_l1"),
        ("bce", "bce"),
    ],
)
def test_spellings(word: str, name: str) -> None:
    assert find_loss(word).name == name


def test_an_unknown_loss_is_told_of_the_nearest() -> None:
    with pytest.raises(LayerError) as caught:
        find_loss("crossentrophy")
    assert caught.value.code == "E0730"
    assert caught.value.message == "there is no loss called `crossentrophy`"
    assert caught.value.label == "did you mean `crossentropy`?"
    assert caught.value.notes == (f"there are: {', '.join(LOSSES)}",)


def test_settings_are_checked() -> None:
    assert find_loss("huber").complete({}) == {"beta": 1.0}
    with pytest.raises(LayerError) as caught:
        find_loss("mse").complete({"beta": 1.0})
    assert caught.value.code == "E0204"
    with pytest.raises(LayerError) as caught:
        find_loss("huber").complete({"beta": 0.0})
    assert caught.value.code == "E0207"


def test_targets_are_labels_or_like_the_output() -> None:
    image = TensorType(DType.F32, (8, 21, 4, 5))
    for loss in LOSSES.values():
        labels = loss.target is Target.LABELS
        assert loss.target_type(image) == (TensorType(DType.I64, (8, 4, 5)) if labels else image)
        assert set(loss.folds) <= set(LAYERS)
    assert LOSSES["crossentropy"].target_type(TensorType(DType.F32, (8, 10))) == TensorType(
        DType.I64, (8,)
    )
