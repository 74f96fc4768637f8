"""From a network to its graph: every layer puts its nodes there, with its place in the source."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Origin, Value
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.base import (
    LayerContext,
    LayerError,
    RandomState,
    SettingValue,
    batched,
    show_size,
)
from cnndsl.layers.losses import HEADS, Loss, find_loss
from cnndsl.layers.network import Layer, Network
from cnndsl.ops.elementwise import add, emit_scalar, mul
from cnndsl.ops.pixels import Pixels, UnpackPixelsAttrs, unpack_pixels
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import DiagnosticError, error

TARGET = "target"
"""The input that the loss compares the output with."""

SCORED = "output"
"""The output that a graph with a loss has under this name, whatever the program calls it."""

RANDOM_KEY = "random.key"
"""The input with the seed of a run, i64[]; only in training graphs that draw numbers."""

RANDOM_STEP = "random.step"
"""The input with the number of steps taken, i64[]; only in training graphs that draw numbers."""

RESERVED = frozenset((TARGET, "loss", RANDOM_KEY, RANDOM_STEP))
"""Names of nodes that are no layers."""


def lower(
    network: Network,
    *,
    batch: int,
    training: bool = False,
    dtype: DType = DType.F32,
    loss: str | None = None,
    loss_settings: Mapping[str, SettingValue] | None = None,
    pixels: Pixels | None = None,
) -> Graph:
    """Give the graph of a network for `batch` images a run.

    Inputs are named as the network's and have the shape [N, C, H, W] or [N, C]; so have the
    outputs. A training graph drops out, normalises by the batch, and reads "random.key" and
    "random.step" (i64[]) if a layer draws numbers. With `loss` there is one more input, "target",
    and one more output, "loss", a scalar; a last layer that the loss contains (the softmax of a
    cross-entropy) is left out on its way. The scores that the loss looks at are then the output
    "output" too. With `pixels` the first input, an image, is fed as bytes, u8[N, C*H*W]. Raises
    `DiagnosticError` E0404, E0730 or E0209.
    """
    graph = Graph(network.name)
    b = Builder(graph)
    values: dict[str, Value] = {}
    for source in network.inputs:
        b.origin = Origin(source.span, "lower", NodeId(source.name))
        kind = TensorType(dtype, batched(source.size, batch))
        if pixels is not None and source is network.inputs[0]:
            values[source.name] = _from_bytes(b, source.name, kind, pixels)
        else:
            values[source.name] = b.emit(input_, attrs=InputAttrs(kind), name=source.name)
    b.origin = Origin()
    random = _random_inputs(b) if training else None
    names = node_names(network)
    specs = {layer.name: layer.parameters for layer in network.layers}
    for stream, layer in enumerate(network.layers):
        b.origin = Origin(layer.span, "lower", NodeId(names[layer.name]))
        context = LayerContext(
            b,
            name=names[layer.name],
            parameters={spec.name: spec for spec in specs[layer.parameters_of]},
            parameters_of=names[layer.parameters_of],
            training=training,
            dtype=dtype,
            trainable=layer.trainable,
            random=RandomState(*random, stream) if random is not None else None,
        )
        operands = (values[name] for name in layer.inputs)
        values[layer.name] = layer.spec.kind.emit(context, layer.spec, *operands)
    graph.outputs = {name: values[layer] for name, layer in network.outputs.items()}
    if loss is not None:
        _add_loss(b, network, values, _known_loss(loss), loss_settings)
    for value in random or ():
        if not graph.uses(value):
            graph.remove(value.node)
    return graph


def _from_bytes(b: Builder, name: str, kind: TensorType, pixels: Pixels) -> Value:
    """Emit an input of bytes, and the images that they stand for."""
    rows = TensorType(DType.U8, (kind.shape[0], math.prod(kind.shape[1:])))
    fed = b.emit(input_, attrs=InputAttrs(rows), name=name)
    attrs = UnpackPixelsAttrs(kind, pixels)
    return b.emit(unpack_pixels, fed, attrs=attrs, name=f"{name}.images")


def _random_inputs(b: Builder) -> tuple[Value, Value]:
    scalar = InputAttrs(TensorType(DType.I64, ()))
    key = b.emit(input_, attrs=scalar, name=RANDOM_KEY)
    return key, b.emit(input_, attrs=scalar, name=RANDOM_STEP)


def node_names(network: Network) -> dict[str, str]:
    """Give each layer's nodes a name without blanks that nothing else has."""
    taken = {*RESERVED, *(source.name for source in network.inputs)}
    names: dict[str, str] = {}
    for layer in network.layers:
        name = layer.name.replace(" ", "_")
        while name in taken:
            name += "_"
        taken.add(name)
        names[layer.name] = name
    return names


def _known_loss(name: str) -> Loss:
    try:
        return find_loss(name)
    except LayerError as problem:
        raise _complaint(problem) from None


def _complaint(problem: LayerError) -> DiagnosticError:
    helps = (*problem.helps, *([problem.label] if problem.label else []))
    return DiagnosticError(error(problem.code, problem.message, notes=problem.notes, helps=helps))


def _add_loss(
    b: Builder,
    network: Network,
    values: Mapping[str, Value],
    loss: Loss,
    settings: Mapping[str, SettingValue] | None,
) -> None:
    given = settings or {}
    weight = given.get(HEADS.name)
    last, *heads = _scored(network, heads=weight is not None)
    taken = next((s for s in network.inputs if s.name == TARGET), None)
    if taken is not None:
        raise DiagnosticError(
            error(
                "E0209",
                f"`{TARGET}` is what the loss compares with, and an input has this name",
                taken.span,
            )
        )
    result, layer = _compared(network, values, loss, last)
    b.origin = Origin(layer.span if layer is not None else None, "lower", NodeId("loss"))
    kind = loss.target_type(b.type_of(result))
    target = b.emit(input_, attrs=InputAttrs(kind), name=TARGET)
    try:
        total = loss.emit(b, result, target, given)
        share = float(weight) if isinstance(weight, int | float) else 0.0
        for head in heads:
            aside, layer = _compared(network, values, loss, head)
            if b.type_of(aside) != b.type_of(result):
                raise _other_head(network, last, head)
            b.origin = Origin(layer.span if layer is not None else None, "lower", NodeId("loss"))
            scale = emit_scalar(b, share, total)
            total = b.emit(add, total, b.emit(mul, loss.emit(b, aside, target, given), scale))
    except LayerError as problem:
        raise _complaint(problem) from None
    b.graph.outputs.setdefault(SCORED, values[network.outputs[last]])
    b.graph.outputs["loss"] = total


def _compared(
    network: Network, values: Mapping[str, Value], loss: Loss, output: str
) -> tuple[Value, Layer | None]:
    """Give what the loss compares with its target, and the layer that gives the output."""
    layer = _layer(network, network.outputs[output])
    if layer is not None and layer.kind in loss.folds:
        return values[layer.inputs[0]], layer
    return values[network.outputs[output]], layer


def _scored(network: Network, *, heads: bool) -> list[str]:
    """Give the outputs that the loss looks at: the scores, then auxiliary heads if they count."""
    if SCORED in network.outputs:
        return [SCORED, *(name for name in network.outputs if name != SCORED and heads)]
    if len(network.outputs) == 1 or heads:
        return list(network.outputs)
    raise DiagnosticError(
        error(
            "E0404",
            f"`{network.name}` gives {', '.join(network.outputs)}, and a loss looks at one output",
            helps=(
                "leave one `output`",
                "if the others are auxiliary heads, `loss: crossentropy(aux=0.3)` adds 0.3 times "
                "the loss of each",
            ),
        )
    )


def _other_head(network: Network, last: str, head: str) -> DiagnosticError:
    sizes = [show_size(network.size_of(network.outputs[name])) for name in (last, head)]
    return DiagnosticError(
        error(
            "E0404",
            f"`{last}` is {sizes[0]} and `{head}` is {sizes[1]}, and one loss looks at both",
            helps=("an auxiliary head gives scores like those of the first output",),
        )
    )


def _layer(network: Network, name: str) -> Layer | None:
    return next((layer for layer in network.layers if layer.name == name), None)
