"""A toy network and toy data for tests of the loop: small, with dropout and batch norm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.backends import load
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.loss import softmax_cross_entropy
from cnndsl.ops.random import DropoutMaskAttrs, dropout_mask
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import (
    FullAttrs,
    Init,
    InputAttrs,
    ParameterAttrs,
    full,
    input_,
    parameter,
)
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.optimizers import Adam, Optimizer
from cnndsl.runtime.executable import Executable
from cnndsl.train.loop import FitOptions, Trainer
from cnndsl.train.progress import Progress
from cnndsl.train.step import train_step

CLASSES = 3
SCALAR = TensorType(DType.I64, ())


def forward(batch: int, *, training: bool) -> Graph:
    """A dense layer, ReLU, dropout in training, a dense layer; and a running mean of nothing."""
    graph = Graph("toy")
    b = Builder(graph)
    x = b.emit(input_, attrs=InputAttrs(TensorType(DType.F32, (batch, 4))), name="input")
    target = b.emit(input_, attrs=InputAttrs(TensorType(DType.I64, (batch,))), name="target")
    hidden = b.emit(dense, x, *_arrays(b, "fc1", 8, 4), attrs=DenseAttrs(has_bias=True))
    hidden = b.emit(relu, hidden)
    if training:
        key = b.emit(input_, attrs=InputAttrs(SCALAR), name="random.key")
        step = b.emit(input_, attrs=InputAttrs(SCALAR), name="random.step")
        attrs = DropoutMaskAttrs(b.type_of(hidden), rate=0.25, stream=1)
        hidden = b.emit(mul, hidden, b.emit(dropout_mask, key, step, attrs=attrs))
    scores = b.emit(dense, hidden, *_arrays(b, "fc2", CLASSES, 8), attrs=DenseAttrs(has_bias=True))
    graph.outputs["loss"] = b.emit(softmax_cross_entropy, scores, target)
    graph.outputs["output"] = scores
    if training:
        counter = b.emit(
            parameter,
            attrs=ParameterAttrs(TensorType(DType.F32, ()), trainable=False),
            name="fc1.seen",
        )
        one = b.emit(full, attrs=FullAttrs(TensorType(DType.F32, ()), 1.0))
        graph.updates[counter.node] = b.emit(add, counter, one)
    return graph


def _arrays(b: Builder, name: str, out: int, into: int) -> tuple:  # type: ignore[type-arg]
    weight = ParameterAttrs(TensorType(DType.F32, (out, into)), Init("he_normal", 1.0, into, out))
    bias = ParameterAttrs(TensorType(DType.F32, (out,)), decay=False)
    return (
        b.emit(parameter, attrs=weight, name=f"{name}.weight"),
        b.emit(parameter, attrs=bias, name=f"{name}.bias"),
    )


OPTIMIZER = Adam()


def stepper(batch: int = 8, optimizer: Optimizer = OPTIMIZER) -> Executable:
    """The executable of a training step."""
    graph = train_step(forward(batch, training=True), optimizer=optimizer)
    return load("reference").compile(make_plan(graph))


def trainer(options: FitOptions, data: ToyData, **more: Any) -> Trainer:
    """A trainer of the toy network from its first state, or `more`'s state."""
    step = stepper(data.batch)
    state = more.pop("state", None) or initial_state(step.plan.graph, 0)
    progress = more.pop("progress", None) or Progress(seed=5)
    return Trainer(lambda _: step, state, scorer, data, options, progress=progress, **more)


def scorer(batch: int) -> Executable:
    """The executable that measures."""
    return load("reference").compile(make_plan(forward(batch, training=False)))


@dataclass(frozen=True)
class ToyData:
    """Three clouds of points; the order of an epoch is a function of its number."""

    batch: int = 8
    count: int = 48
    spoil: int | None = None
    """Number of a training step, over all epochs, whose images are not numbers."""

    @property
    def classes(self) -> int:
        return CLASSES

    @property
    def steps(self) -> int:
        return self.count // self.batch

    def _points(self, seed: int, count: int) -> tuple[Array, Array]:
        rng = np.random.default_rng(seed)
        labels = np.arange(count) % CLASSES
        centres = np.eye(CLASSES, 4) * 2
        points = centres[labels] + rng.normal(0, 0.5, (count, 4))
        return points.astype(np.float32), labels.astype(np.int64)

    def training(self, epoch: int, start: int) -> Iterator[tuple[Array, Array]]:
        points, labels = self._points(1, self.count)
        order = np.random.default_rng([7, epoch]).permutation(self.count)
        for step in range(start, self.steps):
            chosen = order[step * self.batch : (step + 1) * self.batch]
            images = points[chosen]
            if epoch * self.steps + step == self.spoil:
                images = images * np.float32(np.nan)
            yield images, labels[chosen]

    def validation(self) -> Iterator[tuple[Array, Array]]:
        points, labels = self._points(2, 20)
        for start in range(0, 20, self.batch):
            yield points[start : start + self.batch], labels[start : start + self.batch]

    def feeds(self, images: Array, labels: Array) -> dict[str, Array]:
        return {"input": images, "target": labels}
