"""Every program of the zoo: correct, canonical, counted, and it learns."""

from __future__ import annotations

import pytest

from cnndsl.compiler import CompileOptions, compile_network
from cnndsl.frontend.check import check
from cnndsl.frontend.format import format_program
from cnndsl.frontend.parse import parse_file
from cnndsl.ir.types import DType
from cnndsl.layers.analysis import analyse
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import Severity
from tests.zoo.networks import LIGHT, SMALL, ZOO, Subject, feeds

COUNTS = {
    "keras_mnist": [320, 18_496, 36_928, 200_768, 650],
    "lenet": [156, 2_416, 48_120, 10_164, 850],
    "mlp": [235_500, 30_100, 1_010],
}
"""Parameters of each layer that has some: keras_mnist from its slide, the others by hand."""


def losses(name: str, *, steps: int) -> list[float]:
    """Train on one batch of 8 images again and again; the loss before each step."""
    subject = Subject.of(name)
    options = CompileOptions(batch=8, dtype=DType.F64, verify=False)
    compiled = compile_network(subject.network, options, training=subject.training)
    compiled.executable.load_state(initial_state(compiled.lowered, 0))
    given: dict[str, Array] = feeds(compiled.lowered)
    given["learning_rate"] = given["learning_rate"] * 0 + min(subject.training.optimizer.lr, 0.01)
    return [float(compiled.executable.run(given)["loss"]) for _ in range(steps)]


@pytest.mark.parametrize("name", ZOO)
def test_a_program_has_no_errors_and_says_where_it_comes_from(name: str) -> None:
    path = ZOO[name]
    assert not [found for found in check(path) if found.severity is Severity.ERROR]
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", ZOO)
def test_a_program_is_in_the_canonical_form(name: str) -> None:
    assert format_program(parse_file(ZOO[name])) == ZOO[name].read_text(encoding="utf-8")


def test_the_slide_stands_as_on_the_slide() -> None:
    *_, line = ZOO["slide"].read_text(encoding="utf-8").splitlines()
    assert line.replace(" ", "") == "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K,SOFTMAX"


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_counted_as_in_the_sources(name: str) -> None:
    analysis = analyse(Subject.of(name).network)
    assert [layer.params for layer in analysis.layers if layer.params] == COUNTS[name]
    assert analysis.params == sum(COUNTS[name])


@pytest.mark.parametrize("name", [*LIGHT, *SMALL])
def test_training_on_one_batch_lowers_its_loss(name: str) -> None:
    found = losses(name, steps=6)
    assert found[-1] < found[0]
    assert min(found) > 0
