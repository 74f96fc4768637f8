"""What a loss looks at: the scores under their usual name, and auxiliary heads."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.lower import lower
from cnndsl.frontend.parse import parse
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType
from cnndsl.layers.base import SettingValue
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.network import Network
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import DiagnosticError

HEADS = """
input [4x4x2]
a: conv 3 3x3 relu
fc 5 - softmax as probs
from a - fc 5 - softmax as aux1
from a - gap - fc 5 - softmax as aux2
output probs, aux1, aux2
"""


def network(text: str) -> Network:
    return elaborate(parse(text, "heads.cnn")).network


def values(graph: Graph) -> dict[str, Array]:
    """Run a graph on random images and labels; gives its outputs."""
    rng = np.random.default_rng(3)
    given = dict(initial_state(graph, 0))
    given["input"] = rng.normal(size=(6, 2, 4, 4))
    given["target"] = rng.integers(0, 5, 6)
    found = evaluate_values(graph, list(graph.outputs.values()), given)
    return {name: found[value] for name, value in graph.outputs.items()}


def scored(text: str, **settings: SettingValue) -> Graph:
    return lower(
        network(text), batch=6, dtype=DType.F64, loss="crossentropy", loss_settings=settings
    )


def cross_entropy(scores: Array) -> float:
    labels = np.random.default_rng(3)
    labels.normal(size=(6, 2, 4, 4))
    return float(-np.log(scores[np.arange(6), labels.integers(0, 5, 6)]).mean())


def test_heads_count_with_their_weight() -> None:
    found = values(scored(HEADS, aux=0.3))
    expected = cross_entropy(found["probs"]) + 0.3 * (
        cross_entropy(found["aux1"]) + cross_entropy(found["aux2"])
    )
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-12)


def test_heads_of_weight_zero_count_nothing() -> None:
    found = values(scored(HEADS, aux=0))
    assert float(found["loss"]) == pytest.approx(cross_entropy(found["probs"]), rel=1e-12)


def test_an_output_called_output_is_the_one_that_is_scored() -> None:
    text = HEADS.replace("softmax as aux1", "softmax as output").replace("aux1", "output")
    found = values(scored(text))
    assert float(found["loss"]) == pytest.approx(cross_entropy(found["output"]), rel=1e-12)
    with_heads = values(scored(text, aux=1))
    expected = sum(cross_entropy(found[name]) for name in ("probs", "output", "aux2"))
    assert float(with_heads["loss"]) == pytest.approx(expected, rel=1e-12)


def test_the_scores_are_called_output_whatever_the_program_calls_them() -> None:
    graph = scored("input [4x4x2]\nfc 5 - softmax as probs\noutput probs\n")
    assert graph.outputs["output"] == graph.outputs["probs"]
    assert "output" not in lower(network(HEADS), batch=6).outputs


def test_several_outputs_need_a_weight() -> None:
    with pytest.raises(DiagnosticError) as caught:
        scored(HEADS)
    (found,) = caught.value.diagnostics
    assert found.code == "E0404"
    assert "gives probs, aux1, aux2" in found.message
    assert "crossentropy(aux=0.3)" in found.helps[1]


def test_heads_have_the_classes_of_the_first_output() -> None:
    with pytest.raises(DiagnosticError) as caught:
        scored(HEADS.replace("gap - fc 5", "gap - fc 4"), aux=0.3)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == (
        "E0404", "`probs` is [5] and `aux2` is [4], and one loss looks at both",
    )  # fmt: skip


def test_a_weight_is_not_negative() -> None:
    with pytest.raises(DiagnosticError) as caught:
        scored(HEADS, aux=-1.0)
    assert caught.value.diagnostics[0].code == "E0207"
