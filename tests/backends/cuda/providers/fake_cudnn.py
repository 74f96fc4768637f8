"""A stand-in for nvidia-cudnn-frontend on the host: it takes graphs, gives plans, and computes.

It keeps to what the library documents and was seen to do: tensors have dimensions and strides,
plans are barred by their notes and then fail to be built, calls take addresses by identifiers.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from cnndsl.backends.cuda.halves import from_halves, to_halves
from cnndsl.ops.rules import Array

NOTES = (
    "NONDETERMINISTIC",
    "TENSOR_CORE",
    "DOWN_CONVERT_INPUTS",
    "REDUCED_PRECISION_REDUCTION",
    "WINOGRAD",
    "FFT",
)


HALVES = {"BFLOAT16": "bf16", "HALF": "f16"}


class GraphNotSupportedError(RuntimeError):
    pass


@dataclass
class PlanKind:
    """One plan that the stand-in offers."""

    name: str
    workspace: int = 0
    notes: tuple[str, ...] = ()
    fault: str = ""
    """"wrong", "shifted", "short", "raises", "unbuildable", or nothing."""
    cost: float = 0.0
    """Seconds on the clock of the tests."""


@dataclass
class FakeTensor:
    dim: list[int] = field(default_factory=list)
    stride: list[int] = field(default_factory=list)
    uid: int = 0
    output: bool = False
    made: tuple[Any, ...] = ()
    kind: str = "FLOAT"

    def set_uid(self, uid: int) -> FakeTensor:
        self.uid = uid
        return self

    def set_output(self, output: bool) -> FakeTensor:
        self.output = output
        return self

    def set_data_type(self, kind: str) -> FakeTensor:
        self.kind = kind
        return self

    def set_dim(self, dim: list[int]) -> FakeTensor:
        self.dim = dim
        return self

    def set_stride(self, stride: list[int]) -> FakeTensor:
        self.stride = stride
        return self

    def array(self, address: int) -> Array:
        """Give the memory as it is: bits where elements have two bytes."""
        size = 1 + sum((n - 1) * s for n, s in zip(self.dim, self.stride, strict=True))
        element = ctypes.c_float if self.kind == "FLOAT" else ctypes.c_uint16
        flat = np.ctypeslib.as_array((element * size).from_address(address))
        steps = [flat.itemsize * step for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat, self.dim, steps)

    def read(self, address: int) -> Array:
        found = self.array(address)
        whole = found if self.kind == "FLOAT" else from_halves(found.copy(), HALVES[self.kind])
        return whole.astype(np.float64)

    def write(self, address: int, values: Array) -> None:
        whole = values.astype(np.float32)
        self.array(address)[...] = (
            whole if self.kind == "FLOAT" else to_halves(whole, HALVES[self.kind])
        )


@dataclass
class World:
    """What the library offers, and what was asked of it."""

    plans: list[PlanKind] = field(default_factory=lambda: [PlanKind("eng1_k2=1", 64)])
    refused: tuple[str, ...] = ()
    """Operations that no graph may have."""
    now: float = 0.0
    executed: list[tuple[str, int | None]] = field(default_factory=list)
    stream: int | None = None
    declared: int = 0


class Graph:
    """`cudnn.pygraph`."""

    def __init__(self, world: World, **told: object) -> None:
        assert told["compute_data_type"] == told["intermediate_data_type"] == "FLOAT"
        assert told["io_data_type"] in ("FLOAT", *HALVES)
        self.world, self.tensors, self.made = world, list[FakeTensor](), list[FakeTensor]()
        self.barred: list[str] = []
        self.built: set[int] = set()
        self.most = 1 << 62
        world.declared += 1

    def tensor(self, *, dim: list[int], stride: list[int], data_type: str) -> FakeTensor:
        self.tensors.append(FakeTensor(dim, stride, kind=data_type))
        return self.tensors[-1]

    def _op(self, *made: Any) -> FakeTensor:
        self.made.append(FakeTensor(made=made))
        return self.made[-1]

    def conv_fprop(self, *, image: FakeTensor, weight: FakeTensor, **slide: Any) -> FakeTensor:
        return self._op("conv_fprop", image, weight, slide)

    def conv_dgrad(self, *, loss: FakeTensor, filter: FakeTensor, **slide: Any) -> FakeTensor:
        return self._op("conv_dgrad", loss, filter, slide)

    def conv_wgrad(self, *, image: FakeTensor, loss: FakeTensor, **slide: Any) -> FakeTensor:
        return self._op("conv_wgrad", image, loss, slide)

    def bias(self, *, input: FakeTensor, bias: FakeTensor) -> FakeTensor:
        return self._op("bias", input, bias)

    def add(self, *, a: FakeTensor, b: FakeTensor) -> FakeTensor:
        return self._op("add", a, b)

    def relu(self, *, input: FakeTensor) -> FakeTensor:
        return self._op("relu", input)

    def validate(self) -> None:
        outputs = [made for made in self.made if made.output]
        assert len(outputs) == 1, "one result is no virtual tensor"
        uids = [t.uid for t in (*self.tensors, *outputs)]
        assert len({*uids}) == len(uids), "identifiers are one tensor's each"
        assert 0 not in uids
        assert all(len(t.dim) == len(t.stride) == 4 for t in (*self.tensors, *outputs))

    def build_operation_graph(self) -> None:
        if any(made.made[0] in self.world.refused for made in self.made):
            raise GraphNotSupportedError("No valid engine configs for this graph")

    def create_execution_plans(self, modes: list[str]) -> None:
        assert modes == ["A", "FALLBACK"]

    def deselect_numeric_notes(self, notes: list[str]) -> None:
        self.barred += notes

    def deselect_workspace_greater_than(self, most: int) -> None:
        self.most = most

    def check_support(self) -> None:
        if not self.world.plans:
            raise GraphNotSupportedError("no plan")

    def get_execution_plan_count(self) -> int:
        return len(self.world.plans)

    def get_plan_name_at_index(self, index: int) -> str:
        return self.world.plans[index].name

    def get_workspace_size_plan_at_index(self, index: int) -> int:
        return self.world.plans[index].workspace if index in self.built else 0

    def build_plan_at_index(self, index: int) -> None:
        plan = self.world.plans[index]
        barred = {*plan.notes} & {*self.barred} or plan.workspace > self.most
        if barred or plan.fault == "unbuildable":
            raise RuntimeError(f"Plan index {index} did not build.")
        self.built.add(index)

    def execute_plan_at_index(
        self, pack: dict[int, int], workspace: int, index: int, handle: object = None
    ) -> None:
        plan = self.world.plans[index]
        assert index in self.built
        assert handle == "handle"
        assert bool(workspace) == bool(plan.workspace)
        if plan.fault == "raises":
            raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED\nat length")
        if plan.workspace:
            ctypes.memset(workspace, 1, plan.workspace)
        self.world.executed.append((plan.name, self.world.stream))
        self.world.now += plan.cost
        (result,) = (made for made in self.made if made.output)
        found = self._value(result, pack)
        if plan.fault == "wrong":
            found = found * 1.01 + 0.01
        if plan.fault == "shifted":
            found = np.roll(found, 1, axis=-1)
        if plan.fault == "short":
            place = result.read(pack[result.uid])
            found.reshape(-1)[-1] = place[tuple(n - 1 for n in place.shape)]
        result.write(pack[result.uid], found)

    def _value(self, tensor: FakeTensor, pack: dict[int, int]) -> Array:
        if not tensor.made:
            return tensor.read(pack[tensor.uid])
        op, *given = tensor.made
        values = [self._value(t, pack) for t in given if isinstance(t, FakeTensor)]
        match op:
            case "bias" | "add":
                return np.asarray(values[0] + values[1])
            case "relu":
                return np.maximum(values[0], 0)
        return convolve(op, *values, shape=tensor.dim, **given[-1])


def convolve(
    op: str,
    first: Array,
    second: Array,
    *,
    shape: list[int],
    pre_padding: list[int],
    post_padding: list[int],
    stride: list[int],
    dilation: list[int],
) -> Array:
    """Convolve, or give a gradient, window by window; groups follow from the depths."""
    image = tuple(shape) if op == "conv_dgrad" else first.shape
    weight = tuple(shape) if op == "conv_wgrad" else second.shape
    (top, left), (bottom, right) = pre_padding, post_padding
    high, wide = image[2] + top + bottom, image[3] + left + right
    rows = (high - (weight[2] - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (wide - (weight[3] - 1) * dilation[1] - 1) // stride[1] + 1
    room = np.zeros((*image[:2], high, wide))
    if op != "conv_dgrad":
        room[:, :, top : top + image[2], left : left + image[3]] = first
    result = np.zeros((image[0], weight[0], rows, columns))
    sums = np.zeros(weight)
    groups = image[1] // weight[1]
    for g, i, j in np.ndindex(groups, weight[2], weight[3]):
        c = slice(g * weight[1], (g + 1) * weight[1])
        o = slice(g * weight[0] // groups, (g + 1) * weight[0] // groups)
        y, x = i * dilation[0], j * dilation[1]
        h = slice(y, y + (rows - 1) * stride[0] + 1, stride[0])
        w = slice(x, x + (columns - 1) * stride[1] + 1, stride[1])
        if op == "conv_fprop":
            result[:, o] += np.einsum("nchw,oc->nohw", room[:, c, h, w], second[o, :, i, j])
        elif op == "conv_dgrad":
            room[:, c, h, w] += np.einsum("nohw,oc->nchw", first[:, o], second[o, :, i, j])
        else:
            sums[o, :, i, j] += np.einsum("nchw,nohw->oc", room[:, c, h, w], second[:, o])
    if op == "conv_dgrad":
        return room[:, :, top : top + image[2], left : left + image[3]]
    return result if op == "conv_fprop" else sums


def module(world: World, *, version: str = "1.28.0") -> SimpleNamespace:
    """Give what stands for the module `cudnn`."""

    def set_stream(*, handle: object, stream: int) -> None:
        assert handle == "handle"
        world.stream = stream

    return SimpleNamespace(
        __version__=version,
        backend_version=lambda: 91900,
        create_handle=lambda: "handle",
        set_stream=set_stream,
        pygraph=lambda **told: Graph(world, **told),
        data_type=SimpleNamespace(FLOAT="FLOAT", **{kind: kind for kind in HALVES}),
        heur_mode=SimpleNamespace(A="A", FALLBACK="FALLBACK"),
        numerical_note=SimpleNamespace(**{note: note for note in NOTES}),
        cudnnGraphNotSupportedError=GraphNotSupportedError,
    )
