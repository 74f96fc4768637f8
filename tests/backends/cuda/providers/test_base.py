"""Regions: the library's part and ours, on stand-ins that compute on the host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.choices import Choice
from cnndsl.backends.cuda.kernel import Call, Launch, Place
from cnndsl.backends.cuda.libraries import Libraries
from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cuda.program import key_of, write_kernels
from cnndsl.backends.cuda.providers import cudnn
from cnndsl.backends.cuda.providers.base import Rules
from cnndsl.backends.cuda.providers.cudnn import form_of
from cnndsl.backends.cuda.providers.problem import (
    convolution_of,
)
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType, f32
from cnndsl.ops.conv import Conv2dGradAttrs
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Sample
from cnndsl.plan.memory import make_plan
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.emulation import (
    driver,
    feeds_of,
    gap,
    graph_of,
    needs_emulator,
    typed,
)
from tests.backends.cuda.halves import FORMATS, between_halves
from tests.backends.cuda.providers.regions import (
    PRODUCTS,
    RULES,
    TAILS,
    all_cases,
    key_for,
    libraries,
    ways_of,
)


@needs_emulator
@pytest.mark.parametrize("which", [0, 1], ids=["cudnn", "cublaslt"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_every_way_gives_what_the_reference_gives(
    name: str, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All samples, and regions with each tail: the library's, or ours after its product.

    The table of forms is taken to have all of them; launches and calls work on guarded copies.
    """
    monkeypatch.setattr(cudnn, "supported_forms", lambda: AlwaysListed())
    op, cases = OPS[name], all_cases(name)
    graph, feeds = graph_of(op, cases, DType.F32), feeds_of(op, cases)
    plan = make_plan(graph, alignment=256)
    expected = evaluate(graph, feeds, dtype=DType.F64)
    keys = {step.node.id: key_of(step) for step in plan.steps}
    library = libraries()[which]
    ways = {node: list(library.ways(key, RULES)) for node, key in keys.items()}
    taken = 0
    for index in range(max(map(len, ways.values()))):
        chosen = {keys[n]: found[index].kernel for n, found in ways.items() if index < len(found)}
        taken += len(chosen)
        executable = forced(chosen).compile(plan)
        for output, array in executable.run(typed(graph, feeds)).items():
            sample = cases[int(output[1:].partition("_")[0])]
            error = gap(array, expected[output])
            assert error <= sample.tolerance, f"{output} by way {index}: {error}"
    counts = {"matmul": (0, 14), "dense": (0, 20)}
    least = counts.get(name, (20, 2))[which]
    assert taken >= least
    assert taken == 0 or least > 0


@needs_emulator
@pytest.mark.parametrize("precision", FORMATS)
@pytest.mark.parametrize("which", [0, 1], ids=["cudnn", "cublaslt"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_every_way_on_halves_gives_what_the_reference_gives(
    name: str, which: int, precision: GpuPrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operands are numbers of the format; a product may be rounded before what comes after it."""
    monkeypatch.setattr(cudnn, "supported_forms", lambda: AlwaysListed())
    op, cases, form = OPS[name], all_cases(name), FORMATS[precision]
    graph = between_halves(op, cases)
    feeds = {n: form.near(a) for n, a in feeds_of(op, cases).items()}
    feeds["one"] = np.ones((), np.float32)
    policy = Policy(precision)
    plan = CudaBackend(driver, policy=policy).plan(graph)
    expected = evaluate(graph, feeds, dtype=DType.F64)
    rules = Rules(policy, exact=False, most_workspace=1 << 20)
    steps = [step for step in plan.steps if step.node.op is op]
    keys = {step.node.id: key_of(step) for step in steps}
    assert any(any(key.halves[0]) for key in keys.values())
    library = libraries()[which]
    ways = {node: list(library.ways(key, rules)) for node, key in keys.items()}
    taken = 0
    for index in range(max(map(len, ways.values()))):
        chosen = {keys[n]: found[index].kernel for n, found in ways.items() if index < len(found)}
        taken += sum(any(key.halves[0]) for key in chosen)
        executable = forced(chosen, policy).compile(plan)
        for output, array in executable.run(typed(graph, feeds)).items():
            sample = cases[int(output[1:].partition("_")[0])]
            error = gap(array, expected[output])
            assert error <= sample.tolerance + 4 * form.unit, f"{output} by way {index}: {error}"
    counts = {"matmul": (0, 14), "dense": (0, 16)}
    least = counts.get(name, (20, 2))[which]
    assert taken >= least
    assert taken == 0 or least > 0


@pytest.mark.parametrize("precision", FORMATS)
def test_what_a_library_makes_of_halves_is_brought_to_the_form_of_the_step(
    precision: GpuPrecision,
) -> None:
    """cuDNN knows no gradient of halves for weights of singles: ours makes singles of it."""
    policy = Policy(precision)
    rules = Rules(policy, exact=False, most_workspace=1 << 20)
    attrs = Conv2dGradAttrs((1, 1), ((0, 0), (0, 0)), (1, 1), 1, (4, 3, 1, 1))
    sample = Sample((f32(2, 3, 5, 4), f32(2, 4, 5, 4)), attrs)
    whole = key_for("conv2d_grad_weight", sample)
    halved = replace(whole, halves=((True, True), (False,)))
    both = libraries()
    first = next(iter(both[0].ways(halved, rules)))
    call, widen = first.kernel.launches
    assert isinstance(call, Call)
    assert isinstance(widen, Launch)
    assert [(a.place, a.nbytes) for a in call.arguments] == [
        (Place.OPERAND, 240),
        (Place.OPERAND, 320),
        (Place.SCRATCH, 24),
        (Place.SCRATCH, 64),
    ]
    assert [(a.place, a.index, a.nbytes) for a in widen.arguments] == [
        (Place.SCRATCH, 0, 24),
        (Place.RESULT, 0, 48),
    ]
    assert f"const {policy.half}* " in widen.text
    # cuBLASLt makes singles of halves by itself.
    (call,) = next(iter(both[1].ways(halved, rules))).kernel.launches
    assert [(a.place, a.nbytes) for a in call.arguments][-1] == (Place.RESULT, 48)
    # Factors of two types, and halves where no precision has any, are ours.
    mixed = replace(whole, halves=((True, False), (False,)))
    for library in both:
        assert list(library.ways(mixed, rules)) == list(library.ways(halved, RULES)) == []


class AlwaysListed(dict[str, int]):
    """A table in which every form has plans."""

    def get(self, key: str, default: Any = None) -> Any:
        return 1


def forced(chosen: dict[Any, Any], policy: Policy = DEFAULT_POLICY) -> CudaBackend:
    """Give a backend that takes these kernels."""
    machine = driver(guarded=True)
    found = CudaBackend(lambda: machine, policy=policy)
    found._chosen = lambda plan: chosen  # type: ignore[method-assign]
    return found


@needs_emulator
def test_regions_are_named_by_what_the_library_does(monkeypatch: pytest.MonkeyPatch) -> None:
    both = libraries()
    found = [way.name for way in ways_of("dense", TAILS[5][1], both[1])]
    assert [name.rpartition(" ")[0] for name in found] == [
        *["cublaslt with bias+add+relu"] * 2,
        *["cublaslt"] * 2,
    ]
    conv = convolution_of(key_for(*TAILS[1]), rounded=False)
    assert conv is not None
    assert form_of(conv) == "f32 full nhwc forward+bias+add+relu"
    names = [way.name for way in ways_of(*TAILS[1], both[0])]
    assert names[:2] == ["cudnn with bias+add+relu eng1_k2=1", "cudnn with bias+add+relu eng2"]
    # Where the table has no plan for a form, the library is not asked for it.
    monkeypatch.setattr(cudnn, "supported_forms", lambda: {form_of(conv).partition("+")[0]: 9})
    names = [way.name for way in ways_of(*TAILS[1], both[0])]
    assert names == ["cudnn eng1_k2=1", "cudnn eng2"]
    monkeypatch.undo()
    names = [way.name for way in ways_of(*TAILS[0], both[0])]
    assert names == [
        "cudnn with bias eng1_k2=1",
        "cudnn with bias eng2",
        "cudnn eng1_k2=1",
        "cudnn eng2",
    ]
    # A sigmoid is always ours; with a bias of its own at each place, the whole step is.
    names = [way.name for way in ways_of(*TAILS[4], both[0])]
    assert names == ["cudnn eng1_k2=1", "cudnn eng2"]
    assert ways_of(*TAILS[3], both[0]) == []
    # Matrices in a batch over two axes are not the libraries' here.
    assert ways_of("matmul", Sample((f32(2, 3, 2, 4), f32(2, 3, 4, 1))), both[1]) == []


def test_kernels_of_equal_steps_are_shared_with_what_was_chosen() -> None:
    sample = Sample((f32(1, 1, 2, 2), f32(1, 1, 1, 1)))
    plan = make_plan(graph_of(OPS["conv2d"], [sample, sample], DType.F32), alignment=256)
    way = next(iter(libraries()[0].ways(key_of(plan.steps[0]), RULES)))
    written = write_kernels(plan.steps, chosen={key_of(plan.steps[0]): way.kernel})
    assert [kernel.algorithm for kernel in written.values()] == [way.name] * 2
    assert Libraries().providers == ()
    assert Choice("own", 1.0, 0.0, 1.0).way == "own"
