from __future__ import annotations

import numpy as np
import pytest

from cnndsl.frontend.lower import lower
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.types import DType, TensorType
from cnndsl.ir.verify import verify
from cnndsl.layers.base import batched
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.network import Network
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import DiagnosticError
from tests.frontend.elaborating import built, program

SMALL = "input [4x4x2]\nC1: conv 3 3x3 relu\nMAX POOL1: 2x2 filters\nF2: fc 5, softmax"


def small() -> Network:
    return built(SMALL).network


def inputs(graph: Graph) -> dict[str, TensorType]:
    return {n.id: n.type for n in graph.nodes() if n.op.name == "input"}


def trained(graph: Graph) -> list[str]:
    return [n.id for n in graph.nodes() if n.op.name == "parameter" and n.attrs.trainable]


def test_inputs_and_outputs_have_the_networks_names() -> None:
    network = built("input left [4x4x2]\ninput right [3]\nfrom right - fc 2 as f\noutput f").network
    graph = lower(network, batch=7)
    assert inputs(graph) == {
        "left": TensorType(DType.F32, (7, 2, 4, 4)),
        "right": TensorType(DType.F32, (7, 3)),
    }
    assert {name: graph.type_of(v).shape for name, v in graph.outputs.items()} == {"f": (7, 2)}
    verify(graph)


def test_nodes_have_readable_names_and_places() -> None:
    graph = lower(small(), batch=1)
    wanted = {"C1", "C1.weight", "C1.bias", "relu1", "MAX_POOL1", "F2", "softmax1"}
    assert wanted <= set(graph.ids())
    origin = graph[NodeId("C1")].origin
    assert origin.of == "C1"
    assert origin.span is not None
    assert (origin.span.file, origin.span.line) == ("t.cnn", 2)
    assert graph[NodeId("C1.weight")].origin.span == origin.span


def test_a_network_computes_what_its_words_say() -> None:
    network = small()
    graph = lower(network, batch=3, dtype=DType.F64)
    state = initial_state(graph, 5)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 2, 4, 4))
    weight, bias = state["C1.weight"], rng.normal(size=3)
    state["C1.bias"] = bias
    rows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    conv = np.einsum("ncyxhw,ochw->noyx", rows, weight) + bias[:, None, None]
    pooled = np.maximum(conv, 0).max(axis=(2, 3))
    scores = pooled @ state["F2.weight"].T + state["F2.bias"]
    wanted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = evaluate(graph, {**state, "input": x})
    np.testing.assert_allclose(found["output"], wanted, rtol=1e-12)


def test_the_loss_of_probabilities_is_that_of_their_scores() -> None:
    network = small()
    graph = lower(network, batch=3, dtype=DType.F64, loss="crossentropy")
    assert inputs(graph)["target"] == TensorType(DType.I64, (3,))
    assert list(graph.outputs) == ["output", "loss"]
    state = initial_state(graph, 5)
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
    labels = np.array([0, 4, 2])
    found = evaluate(graph, {**state, "input": x, "target": labels})
    right = found["output"][np.arange(3), labels]
    np.testing.assert_allclose(found["loss"], -np.log(right).mean(), rtol=1e-12)
    assert "softmax1" not in graph.ancestors([graph.outputs["loss"]])


def test_a_loss_of_numbers_takes_numbers() -> None:
    graph = lower(built("input [4]\nfc 2").network, batch=3, loss="mse")
    assert inputs(graph)["target"] == TensorType(DType.F32, (3, 2))
    settings = {"beta": 0.5}
    graph = lower(built("input [4]\nfc 2").network, batch=3, loss="huber", loss_settings=settings)
    assert graph.type_of(graph.outputs["loss"]).shape == ()


def test_random_state_is_there_only_where_numbers_are_drawn() -> None:
    dropping = built("input [4]\nfc 4, dropout 50%, dropout 0.2").network
    assert set(inputs(lower(dropping, batch=2, training=True))) == {
        "input", "random.key", "random.step",
    }  # fmt: skip
    assert set(inputs(lower(dropping, batch=2))) == {"input"}
    assert set(inputs(lower(small(), batch=2, training=True))) == {"input"}


def test_each_dropout_draws_its_own_numbers() -> None:
    network = built("input [64]\n(dropout 0.5 | dropout 0.5) - concat").network
    graph = lower(network, batch=2, training=True)
    zero = np.zeros((), np.int64)
    feeds: dict[str, Array] = {
        "input": np.ones((2, 64), np.float32), "random.key": zero, "random.step": zero,
    }  # fmt: skip
    left, right = np.split(evaluate(graph, feeds)["output"], 2, axis=1)
    assert set(np.unique(left)) == {0.0, 2.0}
    assert not np.array_equal(left, right)


def test_training_updates_running_statistics_and_inference_does_not() -> None:
    network = built("input [4x4x3]\nconv 4 3x3 - bn - fc 2").network
    assert sorted(lower(network, batch=2, training=True).updates) == ["bn1.mean", "bn1.variance"]
    assert lower(network, batch=2).updates == {}


def test_frozen_layers_are_not_trained() -> None:
    network = built("input [4x4x3]\nconv 4 3x3 - bn - fc 2\nfreeze conv1..bn1").network
    graph = lower(network, batch=2, training=True)
    assert trained(graph) == ["fc1.bias", "fc1.weight"]
    assert graph.updates == {}


def test_shared_weights_are_one_node() -> None:
    network = built("net e { fc 4 }\ninput [4]\ne - e - e").network
    graph = lower(network, batch=2)
    arrays = [n.id for n in graph.nodes() if n.op.name == "parameter"]
    assert arrays == ["e.fc1.bias", "e.fc1.weight"]
    assert len(graph.uses(graph[NodeId("e.fc1.weight")].results[0])) == 3
    frozen = built("net e { fc 4 }\nfreeze e\ninput [4]\ne - e").network
    assert trained(lower(frozen, batch=1)) == []


def test_the_start_of_weights_fits_what_follows() -> None:
    text = "input [4]\nfc 4 relu - fc 4 tanh - fc 4 init normal tanh"
    graph = lower(built(text).network, batch=1)
    schemes = [graph[NodeId(f"fc{i}.weight")].attrs.init.scheme for i in (1, 2, 3)]
    assert schemes == ["he_normal", "glorot_uniform", "normal"]


@pytest.mark.parametrize("label", ["target", "loss", "FIRST LAYER", "p[3]"])
def test_labels_do_not_clash_with_other_nodes(label: str) -> None:
    network = built(f"input [4]\n{label}: fc 4\nfc 2, softmax").network
    graph = lower(network, batch=2, training=True, loss="crossentropy")
    verify(graph)
    assert "target" in inputs(graph)
    assert len(trained(graph)) == 4


def test_mistakes() -> None:
    network = built("input target [4]\nfc 2").network
    with pytest.raises(DiagnosticError, match="E0209"):
        lower(network, batch=1, loss="mse")
    assert lower(network, batch=1)
    with pytest.raises(DiagnosticError, match="E0730"):
        lower(small(), batch=1, loss="crosentropy")
    with pytest.raises(DiagnosticError, match="E0204"):
        lower(small(), batch=1, loss="mse", loss_settings={"beta": 2})
    two = built("input [4]\n(a: fc 2 | b: fc 3)\noutput a, b").network
    with pytest.raises(DiagnosticError, match="E0404"):
        lower(two, batch=1, loss="mse")
    assert set(lower(two, batch=1).outputs) == {"a", "b"}


@pytest.mark.parametrize("name", ["lenet5", "keras_mnist", "slide", "slide_lenet", "pattern"])
@pytest.mark.parametrize("training", [False, True])
def test_example_programs_run(name: str, training: bool) -> None:
    network = program(name).network
    graph = lower(network, batch=2, training=training, loss="crossentropy")
    verify(graph)
    (source,) = network.inputs
    feeds = {
        **initial_state(graph, 0),
        "input": np.random.default_rng(0).normal(size=batched(source.size, 2)).astype(np.float32),
        "target": np.zeros(2, np.int64),
    }
    found = evaluate(graph, feeds)
    assert np.isfinite(found["loss"])
    assert found["output"].shape[0] == 2


@pytest.mark.parametrize("name", ["alexnet", "vgg", "googlenet", "resnet", "mobilenet", "alphago"])
def test_large_programs_make_graphs_of_the_same_sizes(name: str) -> None:
    network = program(name).network
    graph = lower(network, batch=3, training=True)
    verify(graph)
    for output, layer in network.outputs.items():
        assert graph.type_of(graph.outputs[output]).shape == batched(network.size_of(layer), 3)
