"""Compare whole networks with PyTorch: losses, outputs, gradients, running statistics, optimizers.

Run by hand, in an environment that has PyTorch (2.13 was used):

    PYTHONPATH=. python tests/oracle/compare_torch.py

Both sides get the same random weights, images and labels. Our side is compiled with all passes and
runs in its arenas. The error of an array is its largest difference from PyTorch's, relative to the
largest magnitude in PyTorch's. The script ends with 1 if one is above 1e-8 in f64 or 1e-3 in f32.

Two things are adapted. PyTorch decays every parameter that it is given, so biases and the scales
of batch norms form a group of their own without decay. And `clip_grad_norm_` divides by
norm + 1e-6, so gradients are scaled by min(1, clip / norm) here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

from cnndsl.autodiff.backward import backward
from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.compiler import CompileOptions, Training, compile_network, optimize
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.lower import lower
from cnndsl.frontend.parse import parse
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.losses import LOSSES
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.optimizers import SGD, STATE_PREFIX
from cnndsl.train.step import RATE, trainable_parameters
from tests.oracle.torch_networks import NETWORKS, Arrays
from tests.oracle.torch_optimizers import RECIPES, Groups, eighth_step
from tests.zoo.networks import Subject, feeds, program_text, worn_state

BOUNDS = {DType.F64: 1e-8, DType.F32: 1e-3}
BATCH = 4
STEPS = 3
STATISTICS = (".mean", ".variance")
WEIGHTS = ("weight", "peephole")


@dataclass(frozen=True)
class Row:
    """One comparison."""

    network: str
    what: str
    dtype: DType
    arrays: int
    error: float
    worst: str

    @property
    def passes(self) -> bool:
        return self.error <= BOUNDS[self.dtype]


def compared(
    network: str, what: str, dtype: DType, ours: Mapping[str, Array], theirs: Mapping[str, object]
) -> Row:
    """Compare arrays by name; both sides must have the same names and shapes."""
    assert set(ours) == set(theirs), (set(ours) ^ set(theirs), network, what)
    errors: dict[str, float] = {}
    for name, array in ours.items():
        expected = np.asarray(theirs[name])
        assert array.shape == expected.shape, (network, what, name, array.shape, expected.shape)
        assert np.isfinite(array).all(), (network, what, name)
        scale = max(float(np.abs(expected).max()), np.finfo(np.float64).tiny)
        errors[name] = float(np.abs(array - expected).max()) / scale
    worst = max(errors, key=lambda name: errors[name])
    return Row(network, what, dtype, len(errors), errors[worst], worst)


def subject_of(name: str) -> Subject:
    """Give the network without its dropouts: PyTorch draws other random numbers."""
    text = program_text(name)
    for dropout in (" - dropout 40%", " - dropout 0.1"):
        text = text.replace(dropout, "")
    size, classes = ((8, 8, 1), 10) if name == "slide" else (None, None)
    network = elaborate(parse(text), input_size=size, classes=classes).network
    return Subject(network, Training(SGD()))


class Theirs:
    """The same network, arrays and feeds on PyTorch's side."""

    def __init__(
        self,
        name: str,
        state: Mapping[str, Array],
        given: Mapping[str, Array],
    ) -> None:
        self.name = name
        self.arrays = {key: torch.tensor(array) for key, array in state.items()}
        self.given = {key: torch.tensor(given[key]) for key in ("input", "target")}
        self.learned = {
            key: array for key, array in self.arrays.items() if not key.endswith(STATISTICS)
        }
        for array in self.learned.values():
            array.requires_grad_(True)

    def scales(self) -> dict[str, float]:
        """Give the root mean square of each gradient; 1 where it is nothing."""
        return {
            key: float(array.grad.square().mean().sqrt()) or 1.0
            for key, array in self.learned.items()
        }

    def groups(self, decay: float) -> Groups:
        """Make the groups with and without weight decay."""
        decayed = [a for k, a in self.learned.items() if k.endswith(WEIGHTS)]
        rest = [a for k, a in self.learned.items() if not k.endswith(WEIGHTS)]
        return [
            {"params": decayed, "weight_decay": decay},
            {"params": rest, "weight_decay": 0.0},
        ]

    def scores(self, *, training: bool) -> torch.Tensor:
        arrays = Arrays(self.arrays, training=training)
        return NETWORKS[self.name](arrays, self.given["input"])

    def loss(self) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.scores(training=True)
        return F.cross_entropy(scores, self.given["target"]), scores

    def numbers(self) -> dict[str, Array]:
        return {key: array.detach().numpy().copy() for key, array in self.arrays.items()}


def training_pass(
    subject: Subject, options: CompileOptions, state: Mapping[str, Array], given: dict[str, Array]
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Give loss and output, the gradient of every parameter, and the new running statistics."""
    forward = lower(
        subject.network,
        batch=options.batch,
        training=True,
        dtype=options.dtype,
        loss=subject.training.loss,
    )
    graph, grads = backward(forward, forward.outputs["loss"], trainable_parameters(forward))
    graph.outputs |= {f"gradient of {value.node}": grad for value, grad in grads.items()}
    executable = ReferenceBackend().compile(make_plan(optimize(graph, options)))
    executable.load_state(state)
    found = executable.run({name: given[name] for name in executable.inputs})
    outputs = {name: found.pop(name) for name in ("loss", "output")}
    gradients = {name.removeprefix("gradient of "): array for name, array in found.items()}
    after = executable.read_state()
    return outputs, gradients, {name: after[name] for name in graph.updates}


def passes_forward_and_back(name: str, dtype: DType) -> Iterator[Row]:
    """Compare inference, then one pass forward and back in training mode."""
    subject = subject_of(name)
    options = CompileOptions(batch=BATCH, dtype=dtype)
    step = subject.lowered(options, training=True)
    state = {k: a for k, a in worn_state(step).items() if not k.startswith("optimizer.")}
    given = feeds(step)
    theirs = Theirs(name, state, given)

    with torch.no_grad():
        expected = {"output": F.softmax(theirs.scores(training=False), dim=1)}
    inference = compile_network(subject.network, options).executable
    inference.load_state(state)
    found = inference.run({"input": given["input"]})
    yield compared(name, "inference", dtype, found, expected)

    loss, scores = theirs.loss()
    loss.backward()
    outputs, gradients, statistics = training_pass(subject, options, state, given)
    expected = {"loss": loss.detach(), "output": F.softmax(scores.detach(), dim=1)}
    yield compared(name, "loss and output", dtype, outputs, expected)
    expected = {key: array.grad for key, array in theirs.learned.items()}
    yield compared(name, "gradients", dtype, gradients, expected)
    if statistics:
        after = theirs.numbers()
        expected = {key: after[key] for key in after if key.endswith(STATISTICS)}
        yield compared(name, "running statistics", dtype, statistics, expected)


def optimizers(name: str, dtype: DType) -> Iterator[Row]:
    """Compare how far three steps of each optimizer move parameters and statistics.

    In f32 the parameters themselves are compared: movements are partly below their rounding.
    """
    for recipe in RECIPES:
        training = Training(recipe.ours, clip=recipe.clip)
        subject = replace(subject_of(name), training=training)
        options = CompileOptions(batch=BATCH, dtype=dtype)
        compiled = compile_network(subject.network, options, training=training)
        begin = worn_state(compiled.lowered)
        given = feeds(compiled.lowered)
        given[RATE] = np.asarray(recipe.ours.lr, dtype=dtype.numpy)
        state = {k: a for k, a in begin.items() if not k.startswith(STATE_PREFIX)}
        theirs = Theirs(name, state, given)
        theirs.loss()[0].backward()
        scales = theirs.scales()
        theirs = Theirs(name, state, given)
        stepper = recipe.make(theirs.groups(recipe.ours.decay))
        begin |= eighth_step(stepper, recipe.slots, theirs.learned, scales)
        compiled.executable.load_state(begin)
        for _ in range(STEPS):
            compiled.executable.run(given)
            stepper.zero_grad()
            theirs.loss()[0].backward()
            if recipe.clip is not None:
                scale_gradients(theirs, recipe.clip)
            stepper.step()
        after, expected = compiled.executable.read_state(), theirs.numbers()
        offset = state if dtype is DType.F64 else {k: a * 0 for k, a in state.items()}
        yield compared(
            name,
            recipe.label,
            dtype,
            {k: after[k] - offset[k] for k in state},
            {k: expected[k] - offset[k] for k in state},
        )


def scale_gradients(theirs: Theirs, clip: float) -> None:
    """Scale gradients so that their norm is at most `clip`; it must do something here."""
    grads = [array.grad for array in theirs.learned.values()]
    norm = torch.sqrt(sum(grad.square().sum() for grad in grads))
    assert norm > clip
    for grad in grads:
        grad.mul_(clip / norm)


def svm(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum over the wrong classes; PyTorch divides by the number of classes."""
    return F.multi_margin_loss(scores, labels) * scores.shape[1]


LOSS_RULES: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "crossentropy": F.cross_entropy,
    "nll": lambda p, labels: F.nll_loss(torch.log(p), labels),
    "hinge": svm,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "bce": F.binary_cross_entropy_with_logits,
}


def losses(dtype: DType) -> Iterator[Row]:
    """Compare every loss, and its gradient by the scores."""
    rng = np.random.default_rng(3)
    assert set(LOSS_RULES) == set(LOSSES)
    for name, loss in LOSSES.items():
        kind = TensorType(dtype, (BATCH, 5))
        b = Builder(Graph(name))
        scores = b.emit(input_, attrs=InputAttrs(kind), name="scores")
        target = b.emit(input_, attrs=InputAttrs(loss.target_type(kind)), name="target")
        b.graph.outputs["loss"] = loss.emit(b, scores, target)
        graph, grads = backward(b.graph, b.graph.outputs["loss"], [scores])
        graph.outputs["gradient"] = grads[scores]
        numbers = rng.normal(0.0, 2.0, kind.shape)
        if name == "nll":
            numbers = np.exp(numbers) / np.exp(numbers).sum(axis=1, keepdims=True)
        labels = loss.target_type(kind).dtype is DType.I64
        wanted = rng.integers(0, 5, BATCH) if labels else rng.uniform(0, 1, kind.shape)
        given = {
            "scores": numbers.astype(dtype.numpy),
            "target": wanted.astype(loss.target_type(kind).dtype.numpy),
        }
        found = ReferenceBackend().compile(make_plan(optimize(graph, CompileOptions()))).run(given)
        theirs = torch.tensor(given["scores"], requires_grad=True)
        value = LOSS_RULES[name](theirs, torch.tensor(given["target"]))
        value.backward()
        expected = {"loss": value.detach(), "gradient": theirs.grad}
        yield compared("losses", name, dtype, found, expected)


def main() -> int:
    torch.manual_seed(0)
    rows: list[Row] = []
    print(f"{'network':<12} {'what':<21} {'in':<4} {'arrays':>6} {'error':>8}  in")
    for dtype in BOUNDS:
        every = [losses(dtype)]
        for name in NETWORKS:
            every += [passes_forward_and_back(name, dtype), optimizers(name, dtype)]
        for comparison in every:
            for row in comparison:
                rows.append(row)
                print(
                    f"{row.network:<12} {row.what:<21} {row.dtype.value:<4} {row.arrays:>6} "
                    f"{row.error:>8.1e}  {row.worst}{'' if row.passes else '  TOO LARGE'}"
                )
    for dtype, bound in BOUNDS.items():
        largest = max(row.error for row in rows if row.dtype is dtype)
        print(f"{dtype.value}: largest error {largest:.1e}, allowed {bound:.0e}")
    return 0 if all(row.passes for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
