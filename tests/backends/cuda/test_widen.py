"""Pictures of three channels made with four or eight, so that tensor cores fetch pixels at once."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.widen import widened
from cnndsl.compiler import CompileOptions, Training, lower_network, optimize
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.model import Model
from cnndsl.ops.conv import conv2d, conv2d_grad_weight
from cnndsl.ops.evaluate import evaluate, evaluate_values
from cnndsl.ops.pad import pad
from cnndsl.ops.pixels import Pixels, unpack_pixels
from cnndsl.ops.rules import Array
from cnndsl.ops.shape import slice_
from cnndsl.recipes.optimizers import SGD
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.emulation import driver, gap, needs_emulator
from tests.backends.cuda.test_networks import begin
from tests.zoo.networks import feeds

PIXELS = Pixels(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
TEXT = """
input [12x10x3]
conv 16 3x3/2 half floor nobias - bn - relu
conv 8 3x3 half relu - gap - fc 4 - softmax
"""
BOUNDS: dict[GpuPrecision, float] = {"tf32": 4e-3, "bf16": 5e-2, "fp16": 4e-3}


def graph_of(text: str = TEXT, *, training: bool = True, pixels: Pixels | None = PIXELS) -> Graph:
    options = CompileOptions(batch=4, pixels=pixels)
    how = Training(SGD(lr=0.1)) if training else None
    network = Model.from_text(text, name="wide").network
    return optimize(lower_network(network, options, training=how), options)


def fed(graph: Graph) -> dict[str, Array]:
    found = feeds(graph, seed=3)
    rows = graph[NodeId("input")].type
    found["input"] = np.random.default_rng(5).integers(0, 256, rows.shape).astype(np.uint8)
    return found


@pytest.mark.parametrize(("precision", "channels"), [("tf32", 4), ("bf16", 8), ("fp16", 8)])
def test_pictures_and_filters_get_channels_of_zeros(precision: GpuPrecision, channels: int) -> None:
    graph = graph_of()
    found = widened(graph, Policy(precision))
    (picture,) = (node for node in found.nodes() if node.op is unpack_pixels)
    assert picture.type.shape == (4, channels, 12, 10)
    assert picture.attrs.given == 3
    readers = {found[use.node].op: found[use.node] for use in found.uses(picture.results[0])}
    assert set(readers) == {conv2d, conv2d_grad_weight}
    weight = found[readers[conv2d].operands[1]]
    assert (weight.op, weight.type.shape) == (pad, (16, channels, 3, 3))
    (cut,) = (found[use.node] for use in found.uses(readers[conv2d_grad_weight].results[0]))
    assert (cut.op, cut.type.shape) == (slice_, (16, 3, 3, 3))
    assert cut.type == graph[cut.id].type
    assert widened(found, Policy(precision)) is found


@pytest.mark.parametrize(
    ("text", "precision", "pixels"),
    [
        (TEXT, "fp32", PIXELS),  # fetched one by one anyway
        (TEXT, "tf32", None),  # no bytes: padding would be a launch more
        (TEXT.replace("conv 16", "conv 4"), "tf32", PIXELS),  # too few filters
        ("input [8x8x3]\nrelu - conv 16 3x3 - gap - fc 2 - softmax\n", "tf32", PIXELS),
        (
            "input [8x8x3]\ndepthwise 3x3 half - conv 16 3x3 - gap - fc 2 - softmax\n",
            "tf32",
            PIXELS,
        ),
        (TEXT.replace("12x10x3", "12x10x4"), "tf32", Pixels()),  # wide already
    ],
)
def test_other_pictures_stay_as_they_are(
    text: str, precision: GpuPrecision, pixels: Pixels | None
) -> None:
    graph = graph_of(text, pixels=pixels)
    assert widened(graph, Policy(precision)) is graph


@needs_emulator
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("precision", list(BOUNDS))
def test_results_are_those_of_the_reference(precision: GpuPrecision, training: bool) -> None:
    graph, machine = graph_of(training=training), driver(guarded=True)
    policy = Policy(precision)
    made = CudaBackend(lambda: machine, policy=policy, poison=True)
    executable = made.compile(made.plan(graph))
    state, given = begin(graph), fed(graph)
    executable.load_state(state)
    found = executable.run(given)
    expected = evaluate(graph, {**given, **state})
    for name, array in found.items():
        assert gap(array, expected[name]) <= BOUNDS[precision], name
    if training:
        moved = executable.read_state()["conv1.weight"] - state["conv1.weight"]
        update = graph.updates[NodeId("conv1.weight")]
        wanted = evaluate_values(graph, [update], {**given, **state})[update]
        wanted = wanted - state["conv1.weight"]
        assert moved.shape == wanted.shape == (16, 3, 3, 3)
        assert np.abs(moved - wanted).max() < 5 * BOUNDS[precision] * np.abs(wanted).max()
