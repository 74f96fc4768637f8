"""Recurrent layers: one set of weights at every row of an image, from top to bottom.

A sequence is an image whose rows are its steps: [T x W x C] is T steps of C*W numbers, channel by
channel. The recurrence is unrolled into ops that every backend has.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.graph import Value
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import TensorType
from cnndsl.layers.base import (
    Clause,
    Hwc,
    LayerContext,
    LayerError,
    LayerKind,
    LayerSpec,
    ParameterSpec,
    SettingValue,
    Takes,
    define_layer,
    show_size,
)
from cnndsl.ops.activations import relu, sigmoid, tanh
from cnndsl.ops.elementwise import add, mul, sub
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.shape import (
    ConcatAttrs,
    SplitAttrs,
    TransposeAttrs,
    concat,
    emit_reshape,
    full_like,
    split,
    transpose,
)
from cnndsl.ops.structural import Init

_NEURONS = Clause("neurons", Takes.COUNT, required=True, doc="how many numbers the state has",
                  names=("units", "hidden", "cells", "outputs"))  # fmt: skip
_STEPS = (
    Clause("last", Takes.FLAG, group="the steps", doc="only the last state, as without a word"),
    Clause("all", Takes.FLAG, group="the steps", doc="every state, an image [T x 1 x N]",
           names=("every step", "all steps", "sequences", "return_sequences")),
)  # fmt: skip
_NOBIAS = Clause("nobias", Takes.FLAG, doc="no bias is added", names=("no bias",))


@dataclass(frozen=True, slots=True)
class Cell:
    """What a step of a recurrence works with, in the graph."""

    ctx: LayerContext
    """Where its nodes go."""
    spec: LayerSpec
    """Its settings."""
    kind: TensorType
    """The type of a state, [N, neurons]."""

    def emit(self, op: Op[Attrs], *operands: Value) -> Value:
        """Emit an op without attributes."""
        return self.ctx.b.emit(op, *operands)

    def product(self, x: Value, weight: Value, *bias: Value) -> Value:
        """Emit x times the transpose of a weight [out, in], plus the bias if there is one."""
        return self.ctx.b.emit(dense, x, weight, *bias, attrs=DenseAttrs(has_bias=bool(bias)))

    def parts(self, x: Value, *, axis: int, sizes: tuple[int, ...]) -> tuple[Value, ...]:
        """Cut along an axis; nothing is emitted for a single part."""
        if len(sizes) == 1:
            return (x,)
        return self.ctx.b.emit_all(split, x, attrs=SplitAttrs(axis, sizes))

    def gates(self, x: Value, count: int) -> tuple[Value, ...]:
        """Cut [N, count*neurons] into the numbers of each gate."""
        return self.parts(x, axis=1, sizes=(self.kind.shape[1],) * count)


State = tuple[Value, ...]
"""What is handed from step to step; the first is the output."""


class _Recurrent(LayerKind):
    """What the recurrent layers share: steps, weights, the loop."""

    order = ("neurons",)
    inputs = (1, 2)
    gate_count: ClassVar[int] = 1
    """How many times as many rows as neurons the weights have."""
    states: ClassVar[int] = 1
    """How many states a step hands on."""

    def sized(self, digits: str, number: int) -> dict[str, SettingValue]:
        """Read `LSTM-128`: 128 numbers."""
        if digits:
            return super().sized(digits, number)
        return {"neurons": number}

    def steps(self, inputs: Sequence[Hwc]) -> tuple[int, int]:
        """Give the number of steps and the numbers of each; raises E0307 for a vector."""
        if len(inputs[0]) != 3:
            (length,) = inputs[0]
            raise LayerError(
                "E0307",
                f"`{self.name}` reads a sequence row by row, and was given {show_size(inputs[0])}",
                label="needs rows",
                helps=[
                    "if these are the last state of a recurrence, write `all` there: every state",
                    f"`reshape [{length}x1x1]` makes {length} steps of one number",
                ],
            )
        rows, width, channels = inputs[0]
        return rows, width * channels

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give [neurons], or with `all` [T x 1 x neurons]."""
        rows, _ = self.steps(inputs)
        neurons = spec.count("neurons")
        if len(inputs) > 1 and inputs[1] != (neurons,):
            raise LayerError(
                "E0307",
                f"`{self.name}` has a state of {neurons} numbers and should begin with "
                f"{show_size(inputs[1])}",
                label="these must be as many",
                also={"1": show_size(inputs[1])},
                helps=[f"`fc {neurons}` makes them so many"],
            )
        return (rows, 1, neurons) if spec.flag("all") else (neurons,)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write what is read, `28 steps of 28`."""
        rows, each = self.steps(inputs)
        return f"{rows} steps of {each}"

    def unrolled(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give the number of steps."""
        return self.steps(inputs)[0]

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give the weights for input and state, [G*neurons, in] and [G*neurons, neurons], bias."""
        _, each = self.steps(inputs)
        neurons = spec.count("neurons")
        rows = self.gate_count * neurons
        found = [
            ParameterSpec("input_weight", (rows, each),
                          Init("glorot_uniform", 1.0, each, neurons)),
            ParameterSpec("hidden_weight", (rows, neurons),
                          Init("glorot_uniform", 1.0, neurons, neurons)),
        ]  # fmt: skip
        if not spec.flag("nobias"):
            found += self.biases(spec, rows)
        return tuple(found)

    def biases(self, spec: LayerSpec, rows: int) -> list[ParameterSpec]:
        """Give the biases, [G*neurons]."""
        return [ParameterSpec("bias", (rows,), Init("zeros"), bias=True)]

    def macs(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one multiply-add for each weight at each step."""
        rows, each = self.steps(inputs)
        neurons = spec.count("neurons")
        return rows * self.gate_count * neurons * (each + neurons)

    def macs_formula(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> str:
        """Write it, `28*(4*128*(28 + 128))`."""
        rows, each = self.steps(inputs)
        neurons = spec.count("neurons")
        gates = f"{self.gate_count}*" if self.gate_count > 1 else ""
        return f"{rows}*({gates}{neurons}*({each} + {neurons}))"

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count the multiply-adds twice, and five operations for each number of a gate."""
        rows, _ = self.steps(inputs)
        gates = rows * self.gate_count * spec.count("neurons")
        return 2 * self.macs(spec, inputs, output) + 5 * gates

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the whole sequence as the window."""
        return (inputs[0][0], inputs[0][1]), (1, 1)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one product for all inputs, then the steps one by one."""
        x, *start = inputs
        b = ctx.b
        batch, channels, rows, width = b.type_of(x).shape
        kind = TensorType(b.type_of(x).dtype, (batch, spec.count("neurons")))
        cell = Cell(ctx, spec, kind)
        turned = b.emit(transpose, x, attrs=TransposeAttrs((2, 0, 1, 3)))
        flat = emit_reshape(b, turned, (rows * batch, channels * width))
        bias = [ctx.parameter("bias")] if ctx.has("bias") else []
        seen = cell.product(flat, ctx.parameter("input_weight"), *bias)
        state: State = tuple(full_like(b, 0.0, kind) for _ in range(self.states))
        if start:
            state = (start[0], *state[1:])
        outputs = []
        for arriving in cell.parts(seen, axis=0, sizes=(batch,) * rows):
            state = self.step(cell, arriving, state)
            outputs.append(state[0])
        if not spec.flag("all"):
            return state[0]
        every = b.emit(concat, *outputs, attrs=ConcatAttrs(0)) if rows > 1 else outputs[0]
        apart = emit_reshape(b, every, (rows, batch, kind.shape[1], 1))
        return b.emit(transpose, apart, attrs=TransposeAttrs((1, 2, 0, 3)), name=ctx.name)

    @abstractmethod
    def step(self, cell: Cell, arriving: Value, state: State) -> State:
        """Emit one step: `arriving` is W x + b, [N, G*neurons]."""


PHI: dict[str, Op[Attrs] | None] = {"tanh": tanh, "relu": relu, "sigmoid": sigmoid, "linear": None}
"""What a simple recurrence may be bent by."""


def phi_of(spec: LayerSpec) -> str:
    """Give the word of the activation of a simple recurrence: tanh if nothing is said."""
    return next((word for word in PHI if spec.flag(word)), "tanh")


@define_layer
class Rnn(_Recurrent):
    """Simple recurrence, h_t = phi(W_hh h_(t-1) + W_hx x_t + b): each row of the input a step.

    phi is tanh unless another word says so (Elman, 1990). The result is the last state, or with
    `all` that of every step; a second stream is the state to begin with, which else is 0.
    """

    name = "rnn"
    names = ("recurrent", "simple rnn", "simplernn", "recurrent layer", "rnn layer", "elman")
    clauses: ClassVar[tuple[Clause, ...]] = (
        _NEURONS,
        *(Clause(word, Takes.FLAG, group="the activation", doc=doc,
                 names=("identity",) if word == "linear" else ())
          for word, doc in (
              ("tanh", "bend the sum by tanh, as without a word"),
              ("relu", "cut the sum off below 0"),
              ("sigmoid", "bend the sum by the logistic function"),
              ("linear", "leave the sum as it is"))),
        *_STEPS,
        _NOBIAS,
    )  # fmt: skip

    def step(self, cell: Cell, arriving: Value, state: State) -> State:
        """Emit phi(W h + arriving)."""
        moved = cell.product(state[0], cell.ctx.parameter("hidden_weight"))
        total = cell.emit(add, moved, arriving)
        op = PHI[phi_of(cell.spec)]
        return (cell.emit(op, total) if op is not None else total,)


@define_layer
class Lstm(_Recurrent):
    """Long short-term memory: i, f, o = sigmoid(..), c_t = f c_(t-1) + i tanh(..), h = o tanh(c_t).

    Hochreiter and Schmidhuber, 1997, with the forget gate of Gers, Schmidhuber and Cummins, 2000,
    whose bias begins at 1. With `peephole` the gates see the memory too. The weights hold i, f,
    the new memory and o in this order. Steps and state as of `rnn`.
    """

    name = "lstm"
    names = ("long short term memory", "lstm layer", "lstm cell")
    clauses: ClassVar[tuple[Clause, ...]] = (
        _NEURONS,
        *_STEPS,
        Clause("peephole", Takes.FLAG, names=("peepholes", "peephole connections"),
               doc="the gates see the memory, each its own number of it (Gers and Schmidhuber)"),
        _NOBIAS,
    )  # fmt: skip
    gate_count = 4
    states = 2

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give also the peepholes of i, f and o, [3, neurons]."""
        found = super().parameters(spec, inputs)
        if spec.flag("peephole"):
            found += (ParameterSpec("peephole", (3, spec.count("neurons")), Init("zeros")),)
        return found

    def biases(self, spec: LayerSpec, rows: int) -> list[ParameterSpec]:
        """Give the bias; that of the forget gate begins at 1."""
        return [ParameterSpec("bias", (rows,), Init("forget_gate", 1.0), bias=True)]

    def step(self, cell: Cell, arriving: Value, state: State) -> State:
        """Emit the gates, the memory and the output."""
        output, memory = state
        moved = cell.product(output, cell.ctx.parameter("hidden_weight"))
        write, keep, new, read = cell.gates(cell.emit(add, moved, arriving), 4)
        holes: tuple[Value, ...] = ()
        if cell.spec.flag("peephole"):
            holes = cell.parts(cell.ctx.parameter("peephole"), axis=0, sizes=(1, 1, 1))
            write = cell.emit(add, write, cell.emit(mul, memory, holes[0]))
            keep = cell.emit(add, keep, cell.emit(mul, memory, holes[1]))
        kept = cell.emit(mul, cell.emit(sigmoid, keep), memory)
        written = cell.emit(mul, cell.emit(sigmoid, write), cell.emit(tanh, new))
        memory = cell.emit(add, kept, written)
        if holes:
            read = cell.emit(add, read, cell.emit(mul, memory, holes[2]))
        return cell.emit(mul, cell.emit(sigmoid, read), cell.emit(tanh, memory)), memory


@define_layer
class Gru(_Recurrent):
    """Gated recurrent unit: h_t = z h_(t-1) + (1 - z) tanh(W x + b + r (U h_(t-1) + b')).

    Cho et al., 2014, in the form that PyTorch, cuDNN and Keras compute, with two biases. With
    `reset before` the gate acts on the state itself, r h_(t-1), as in the paper, and there is one
    bias. The weights hold r, z and the new state in this order. Steps and state as of `rnn`.
    """

    name = "gru"
    names = ("gated recurrent unit", "gru layer", "gru cell")
    clauses: ClassVar[tuple[Clause, ...]] = (
        _NEURONS,
        *_STEPS,
        Clause("reset_before", Takes.FLAG, doc="the reset gate acts before the product"),
        _NOBIAS,
    )
    gate_count = 3

    def biases(self, spec: LayerSpec, rows: int) -> list[ParameterSpec]:
        """Give the bias of the input and, unless the gate acts before, that of the state."""
        found = super().biases(spec, rows)
        if not spec.flag("reset_before"):
            found.append(ParameterSpec("hidden_bias", (rows,), Init("zeros"), bias=True))
        return found

    def step(self, cell: Cell, arriving: Value, state: State) -> State:
        """Emit the gates and the mixture of old and new state."""
        (old,) = state
        ctx, neurons = cell.ctx, cell.kind.shape[1]
        weight = ctx.parameter("hidden_weight")
        if cell.spec.flag("reset_before"):
            for_gates, for_new = cell.parts(weight, axis=0, sizes=(2 * neurons, neurons))
            arriving_gates, new = cell.parts(arriving, axis=1, sizes=(2 * neurons, neurons))
            reset, update = cell.gates(
                cell.emit(sigmoid, cell.emit(add, cell.product(old, for_gates), arriving_gates)), 2
            )
            kept = cell.product(cell.emit(mul, reset, old), for_new)
        else:
            bias = [ctx.parameter("hidden_bias")] if ctx.has("hidden_bias") else []
            h_reset, h_update, h_new = cell.gates(cell.product(old, weight, *bias), 3)
            x_reset, x_update, new = cell.gates(arriving, 3)
            reset = cell.emit(sigmoid, cell.emit(add, x_reset, h_reset))
            update = cell.emit(sigmoid, cell.emit(add, x_update, h_update))
            kept = cell.emit(mul, reset, h_new)
        new = cell.emit(tanh, cell.emit(add, new, kept))
        change = cell.emit(mul, update, cell.emit(sub, old, new))
        return (cell.emit(add, new, change),)
