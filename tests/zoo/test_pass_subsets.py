"""Passes change no result: whole networks with every pass off, each alone, all but one, all.

The bounds. Passes that regroup sums change a result by a few units in the last place for each
layer (2^-53 = 1.1e-16 in f64, 2^-24 = 6e-8 in f32), and the layers that follow amplify that by
their condition, which is below 1e3 for these networks of at most 40 layers at their initial scale.
That is 1e-12 and 1e-4 of an array's largest magnitude; f64 is given 1e-10, which a wrong fold or a
wrong fusion misses by many orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.compiler import CompileOptions, Training, optimize, without
from cnndsl.ir.graph import Graph
from cnndsl.ir.printer import print_graph
from cnndsl.ir.types import DType
from cnndsl.ops.rules import Array
from cnndsl.passes.base import Pass
from cnndsl.passes.pipelines import INFER, TRAIN
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.optimizers import SGD
from tests.zoo.networks import LIGHT, SMALL, Subject, feeds, worn_state
from tests.zoo.small_inputs import SMALL_SIZES, small

BOUNDS = {DType.F64: 1e-10, DType.F32: 1e-4}
EVERY = [*LIGHT, *SMALL]

EACH_PASS = ("efficientnet_b0", "googlenet", "mobilenet_v2", "resnet", "vgg")
"""The deep networks, one of a family, that are also tried with each pass alone and without it.
DenseNet's family has a small one of its own among `EVERY`."""


def subsets(pipeline: tuple[Pass, ...]) -> Iterator[tuple[str, tuple[Pass, ...]]]:
    """Each pass alone, all but one, all; a pass that stands twice goes or stays as a whole."""
    names = list(dict.fromkeys(each.name for each in pipeline))
    for name in names:
        yield f"only {name}", tuple(each for each in pipeline if each.name == name)
        yield f"all but {name}", without(pipeline, name)
    yield "all", pipeline


def results(
    graph: Graph, state: Mapping[str, Array], given: Mapping[str, Array]
) -> dict[str, Array]:
    """Run a graph on its plan once, in poisoned arenas: outputs, and the state it leaves."""
    executable = ReferenceBackend(poison=True).compile(make_plan(graph))
    executable.load_state(state)
    found = executable.run(given)
    if graph.updates:
        after = executable.read_state()
        assert any(not np.array_equal(after[name], state[name]) for name in after)
        found |= {f"state of {name}": array for name, array in after.items()}
    return found


def assert_close(expected: Mapping[str, Array], found: Mapping[str, Array], bound: float) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        scale = float(np.abs(array).max())
        assert np.isfinite(array).all()
        assert found[name].dtype == array.dtype
        assert float(np.abs(array - found[name]).max()) <= bound * scale, name


def assert_passes_change_nothing(
    subject: Subject, dtype: DType, *, training: bool, only_all: bool = False
) -> None:
    options = CompileOptions(batch=3, dtype=dtype, verify=False)
    lowered = subject.lowered(options, training=training)
    state, given = worn_state(lowered), feeds(lowered)
    expected = results(lowered, state, given)
    seen = {print_graph(lowered)}
    for what, passes in subsets(TRAIN if training else INFER):
        if only_all and what != "all":
            continue
        optimized = optimize(lowered, CompileOptions(passes=passes, verify=what == "all"))
        text = print_graph(optimized)
        if text in seen:
            continue
        seen.add(text)
        try:
            assert_close(expected, results(optimized, state, given), BOUNDS[dtype])
        except AssertionError as difference:
            raise AssertionError(f"{what}: {difference}") from difference
    assert len(seen) > 1, "no pass found anything to do"


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("training", [False, True], ids=["forward", "training"])
def test_every_subset_of_passes_gives_the_same_in_double_precision(
    name: str, training: bool
) -> None:
    assert_passes_change_nothing(Subject.of(name), DType.F64, training=training)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("training", [False, True], ids=["forward", "training"])
def test_all_passes_give_the_same_in_single_precision(name: str, training: bool) -> None:
    assert_passes_change_nothing(Subject.of(name), DType.F32, training=training, only_all=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("training", [False, True], ids=["forward", "training"])
def test_every_subset_of_passes_gives_the_same_in_single_precision(
    name: str, training: bool
) -> None:
    assert_passes_change_nothing(Subject.of(name), DType.F32, training=training)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL_SIZES)
@pytest.mark.parametrize("training", [False, True], ids=["forward", "training"])
def test_passes_give_the_same_for_deep_networks(name: str, training: bool) -> None:
    """The rest of the zoo with small inputs, all its layers there; in double precision."""
    subject = Subject(small(name), Training(SGD(lr=0.05, momentum=0.9)))
    only_all = name not in EACH_PASS
    assert_passes_change_nothing(subject, DType.F64, training=training, only_all=only_all)


@pytest.mark.parametrize(
    ("name", "op", "found"),
    [
        ("residual", "batch_norm", 0),
        ("separable", "batch_norm", 0),
        ("dense_block", "batch_norm", 6),
        ("residual", "add", 0),
        ("inception", "relu", 0),
    ],
)
def test_passes_do_what_these_networks_are_here_for(name: str, op: str, found: int) -> None:
    """Batch norms behind a layer are folded; adds and ReLUs are fused away."""
    options = CompileOptions(batch=3)
    lowered = Subject.of(name).lowered(options, training=False)
    assert any(node.op.name == op for node in lowered.nodes())
    left = [node.id for node in optimize(lowered, options).nodes() if node.op.name == op]
    assert len(left) == found, left
