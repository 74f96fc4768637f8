"""A bench for layers: one layer from its settings, as a size, as a graph, in a chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

import cnndsl.layers  # noqa: F401 - fills the registries
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Value
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.base import (
    LAYERS,
    Hwc,
    LayerContext,
    LayerError,
    LayerSpec,
    RandomState,
    SettingValue,
    batched,
)
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.network import Input, Layer, Network
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.source import Span

BATCH = 3
HERE = Span("bench.cnn", 1, 1, 1, 2)
KEY = TensorType(DType.I64, ())

Step = tuple[str, Mapping[str, SettingValue]]


@dataclass(frozen=True)
class Emitted:
    """One layer in a graph of its own."""

    graph: Graph
    value: Value
    size: Hwc

    def run(self, *inputs: Array, step: int = 0, **state: Array) -> Array:
        """Compute the layer's result; parameters begin as they say unless `state` has them."""
        return self.run_all(self.value, inputs=inputs, step=step, state=state)[self.value]

    def run_all(
        self,
        *values: Value,
        inputs: Sequence[Array],
        state: Mapping[str, Array],
        step: int = 0,
    ) -> dict[Value, Array]:
        feeds: dict[str, Array] = dict(initial_state(self.graph, seed=0))
        feeds |= {f"layer.{name}": array for name, array in state.items()}
        feeds |= {f"x{index}": array for index, array in enumerate(inputs)}
        feeds |= {"key": np.asarray(7), "step": np.asarray(step)}
        return evaluate_values(self.graph, values, feeds)


class Bench:
    """Makes layers."""

    def spec(
        self,
        kind: str,
        given: Mapping[str, SettingValue] | None = None,
        *,
        bare: bool = False,
        pools: int = 0,
    ) -> LayerSpec:
        settings = given or {}
        complete = LAYERS[kind].complete(settings, bare=bare, pools=pools)
        return LayerSpec(LAYERS[kind], complete, dict.fromkeys(settings, HERE))

    def output(self, kind: str, given: Mapping[str, SettingValue], *inputs: Hwc) -> Hwc:
        return LAYERS[kind].output(self.spec(kind, given), inputs)

    def output_or_code(
        self, kind: str, given: Mapping[str, SettingValue], *inputs: Hwc
    ) -> Hwc | str:
        """Give the size, or the code of the complaint."""
        try:
            return self.output(kind, given, *inputs)
        except LayerError as problem:
            return problem.code

    def formula(self, kind: str, given: Mapping[str, SettingValue], *inputs: Hwc) -> str:
        return LAYERS[kind].formula(self.spec(kind, given), inputs)

    def emit(
        self,
        kind: str,
        given: Mapping[str, SettingValue],
        *inputs: Hwc,
        training: bool = False,
        trainable: bool = True,
        dtype: DType = DType.F32,
    ) -> Emitted:
        spec = self.spec(kind, given)
        graph = Graph("bench")
        b = Builder(graph)
        values = [
            b.emit(input_, attrs=InputAttrs(TensorType(dtype, batched(size, BATCH))), name=f"x{i}")
            for i, size in enumerate(inputs)
        ]
        random = None
        if training:
            key, step = (b.emit(input_, attrs=InputAttrs(KEY), name=n) for n in ("key", "step"))
            random = RandomState(key, step, stream=1)
        ctx = LayerContext(
            b,
            name="layer",
            parameters={p.name: p for p in spec.kind.parameters(spec, inputs)},
            parameters_of="layer",
            training=training,
            dtype=dtype,
            trainable=trainable,
            random=random,
        )
        value = spec.kind.emit(ctx, spec, *values)
        graph.outputs["output"] = value
        return Emitted(graph, value, spec.kind.output(spec, inputs))

    def chain(self, size: Hwc, *steps: Step) -> Network:
        """Make a network of layers one after the other, named kind and number."""
        layers: list[Layer] = []
        source, pools = "input", 0
        counts: dict[str, int] = {}
        for kind, given in steps:
            counts[kind] = counts.get(kind, 0) + 1
            spec = self.spec(kind, given, bare=not given, pools=pools)
            layer = self.layer(f"{kind}{counts[kind]}", spec, (source,), (size,))
            layers.append(layer)
            source, size = layer.name, layer.output
            pools += spec.kind.pools
        return Network("chain", (Input("input", self._first(layers)),), tuple(layers),
                       {"output": source})  # fmt: skip

    def layer(
        self, name: str, spec: LayerSpec, inputs: tuple[str, ...], sizes: tuple[Hwc, ...]
    ) -> Layer:
        return Layer(
            name,
            spec,
            inputs,
            sizes,
            spec.kind.output(spec, sizes),
            spec.kind.parameters(spec, sizes),
            parameters_of=name,
        )

    def sharing(self, network: Network, reader: str, owner: str) -> Network:
        """Let one layer use another's parameters."""
        layers = [
            replace(layer, parameters_of=owner) if layer.name == reader else layer
            for layer in network.layers
        ]
        return replace(network, layers=tuple(layers))

    def _first(self, layers: list[Layer]) -> Hwc:
        return layers[0].input_sizes[0]


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
