"""Names, numbers and plans held to the real libraries, where they are installed; no GPU is needed.

cuDNN plans for a device that is described to it, and cuBLASLt gives back what descriptions are
told. Nothing is computed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cuda.providers import cublaslt, cudnn
from cnndsl.backends.cuda.providers.base import Rules
from cnndsl.backends.cuda.providers.cublaslt_api import (
    BATCH_COUNT,
    BATCH_STRIDE,
    BF16,
    BFLOAT,
    BIAS_POINTER,
    EPILOGUE,
    F16,
    FLOAT,
    FULL,
    HALF,
    TF32,
    TRANSA,
    TRANSB,
    CublasLt,
    Matrix,
    find,
)
from cnndsl.backends.cuda.providers.cudnn import Cudnn, form_of
from cnndsl.backends.cuda.providers.problem import Memory
from cnndsl.ir.types import f32
from cnndsl.ops.conv import Conv2dAttrs, Conv2dGradAttrs
from cnndsl.ops.rules import Sample
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.providers.fake_cudnn import NOTES
from tests.backends.cuda.providers.regions import key_for, ways_of

needs_cudnn = pytest.mark.skipif(cudnn.unavailable() is not None, reason=str(cudnn.unavailable()))
needs_cublaslt = pytest.mark.skipif(
    cublaslt.unavailable() is not None, reason=str(cublaslt.unavailable())
)
ELEMENTS = 0
"""CUBLASLT_MATRIX_LAYOUT_TYPE."""
RULES = Rules(DEFAULT_POLICY, exact=False, most_workspace=1 << 28)


def support() -> ModuleType:
    """Load the script that made the table."""
    path = Path(__file__).resolve().parents[4] / "benchmarks" / "cudnn_support.py"
    spec = importlib.util.spec_from_file_location("cudnn_support", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described() -> Any:
    """Give the library, planning for a device that is not there."""
    import cudnn as real

    device = real.create_device_properties(json.dumps(support().H200))

    class Described:
        """The module with a graph that is told the device instead of a handle."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def pygraph(self, **told: Any) -> Any:
            del told["handle"]
            return real.pygraph(**told, device_property=device, sm_version=90)

    return Described()


@needs_cudnn
def test_the_stand_in_has_the_names_of_cudnn() -> None:
    import cudnn as real

    assert {*NOTES} <= {*real.numerical_note.__members__}
    assert {"A", "FALLBACK"} <= {*real.heur_mode.__members__}
    assert {"FLOAT", "HALF", "BFLOAT16"} <= {*real.data_type.__members__}
    assert issubclass(real.cudnnGraphNotSupportedError, Exception)
    assert callable(real.set_stream)
    assert callable(real.create_handle)
    assert callable(real.pygraph.execute_plan_at_index)


@needs_cudnn
@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("conv2d", Sample((f32(8, 64, 28, 28), f32(32, 64, 3, 3)))),
        (
            "conv2d",
            Sample((f32(8, 64, 28, 28), f32(32, 64, 1, 1), f32(32)), Conv2dAttrs(has_bias=True)),
        ),
        (
            "conv2d",
            Sample((f32(8, 64, 28, 28), f32(64, 1, 3, 3)), Conv2dAttrs(groups=64)),
        ),
    ],
    ids=["plain", "with bias", "depthwise"],
)
def test_the_library_builds_plans_for_our_graphs(name: str, sample: Sample) -> None:
    ways = ways_of(name, sample, Cudnn(described(), None), RULES)
    assert 2 <= len(ways) <= 16
    assert len({way.name for way in ways}) == len(ways)
    assert all(way.name.startswith("cudnn ") for way in ways)
    again = Cudnn(described(), None)
    (same,) = again.ways(key_for(name, sample), RULES, ways[-1].name)
    assert same.name == ways[-1].name


HALVES = {
    "conv2d": (((True, True), (True,)), Conv2dAttrs()),
    "conv2d_grad_input": (
        ((True, True), (True,)),
        Conv2dGradAttrs((1, 1), ((0, 0), (0, 0)), (1, 1), 1, (8, 64, 30, 30)),
    ),
    "conv2d_grad_weight": (
        ((True, True), (False,)),
        Conv2dGradAttrs((1, 1), ((0, 0), (0, 0)), (1, 1), 1, (32, 64, 3, 3)),
    ),
}
"""Operands and results in halves, and attributes, by op."""


@needs_cudnn
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", HALVES)
def test_the_library_builds_plans_on_halves(name: str, precision: GpuPrecision) -> None:
    x, weight, y = f32(8, 64, 30, 30), f32(32, 64, 3, 3), f32(8, 32, 28, 28)
    operands = {"conv2d": (x, weight), "conv2d_grad_input": (y, weight)}.get(name, (x, y))
    halves, attrs = HALVES[name]
    key = replace(key_for(name, Sample(operands, attrs)), halves=halves)
    ways = list(Cudnn(described(), None).ways(key, replace(RULES, policy=Policy(precision))))
    assert 2 <= len(ways) <= 8
    assert {len(way.kernel.launches) for way in ways} == {1 + (name == "conv2d_grad_weight")}


@needs_cudnn
def test_the_table_is_what_the_library_says() -> None:
    """Forms of engines compiled ahead; the others ask for a driver before they are listed."""
    import cudnn as real

    script = support()
    device = real.create_device_properties(json.dumps(script.H200))
    told = json.loads(cudnn.TABLE.read_text())
    if told["cudnn"] != real.backend_version():
        pytest.skip(f"the table is of cuDNN {told['cudnn']}")
    for conv in script.convolutions(Memory(), rounded=False):
        row = told["forms"][form_of(conv)]
        if row["built"]:
            found = script.ask(real, device, conv)
            assert found["built"] > 0, form_of(conv)


@needs_cublaslt
def test_descriptions_are_kept_by_cublaslt_as_they_were_told() -> None:
    place = find()
    assert place is not None
    library = ctypes.CDLL(place)
    ours = object.__new__(CublasLt)
    ours._library, ours._handle = library, ctypes.c_void_p()
    assert 130000 <= ours.version() < 140000
    product = ours.product(FULL, turned_a=True, turned_b=False, epilogue=6)
    ours.set_bias(product, 4096)
    matrix = ours.matrix(Matrix(3, 4, 2, 12))

    def read(name: str, what: Any, attribute: int, kind: Any) -> int:
        value, size = kind(), ctypes.c_size_t()
        ask = getattr(library, f"cublasLt{name}GetAttribute")
        width = ctypes.c_size_t(ctypes.sizeof(value))
        assert ask(what, attribute, ctypes.byref(value), width, ctypes.byref(size)) == 0
        assert size.value == ctypes.sizeof(value)
        return int(value.value)

    told = {TRANSA: 1, TRANSB: 0, EPILOGUE: 6}
    assert {a: read("MatmulDesc", product, a, ctypes.c_int32) for a in told} == told
    assert read("MatmulDesc", product, BIAS_POINTER, ctypes.c_int64) == 4096
    assert read("MatrixLayout", matrix, BATCH_COUNT, ctypes.c_int32) == 2
    assert read("MatrixLayout", matrix, BATCH_STRIDE, ctypes.c_int64) == 12
    for kind in (FLOAT, HALF, BFLOAT):
        described = ours.matrix(Matrix(3, 4, kind=kind))
        assert read("MatrixLayout", described, ELEMENTS, ctypes.c_int32) == kind
    for compute in (F16, BF16, TF32):
        ours.product(compute, turned_a=False, turned_b=False, epilogue=1)
