"""What the tests of the libraries share: stand-ins, and steps with what comes after them."""

from __future__ import annotations

import ctypes
import functools
import subprocess
from pathlib import Path
from typing import Any

from cnndsl.backends.cuda.emulated.compile import COMPILER
from cnndsl.backends.cuda.policy import DEFAULT_POLICY
from cnndsl.backends.cuda.program import key_of
from cnndsl.backends.cuda.providers.base import Provider, Rules, Way
from cnndsl.backends.cuda.providers.cublaslt import Cublas
from cnndsl.backends.cuda.providers.cublaslt_api import CublasLt
from cnndsl.backends.cuda.providers.cudnn import Cudnn
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType, f32
from cnndsl.ops.activations import relu, sigmoid
from cnndsl.ops.conv import Conv2dAttrs
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.linalg import DenseAttrs
from cnndsl.ops.rules import Sample, samples
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.plan.memory import make_plan
from tests.backends.cuda.emulation import (
    graph_of,
)
from tests.backends.cuda.larger import LARGER
from tests.backends.cuda.providers.fake_cudnn import PlanKind, World, module

RULES = Rules(DEFAULT_POLICY, exact=False, most_workspace=1 << 20)
NONE = DEFAULT_POLICY
CONVOLUTIONS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")
PRODUCTS = ("matmul", "dense", *CONVOLUTIONS)


@functools.cache
def cublaslt_library() -> Any:
    """Compile the stand-in of cuBLASLt, where the emulated device keeps what it compiles."""
    from tests.backends.cuda.emulation import folder

    source = Path(__file__).parent / "fake_cublaslt.cpp"
    target = folder().parent / f"fake_cublaslt_{source.stat().st_mtime_ns}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_suffix(f".{id(source)}")
        words = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(new), str(source)]
        subprocess.run(words, check=True)
        new.replace(target)
    return ctypes.CDLL(str(target))


def add_relu(*, first: int = 0) -> ScalarProgram:
    none = add.attrs()
    steps = (ScalarStep(add, none, (first, 1 - first)), ScalarStep(relu, relu.attrs(), (2,)))
    return ScalarProgram(2, steps)


TAILS: list[tuple[str, Sample]] = [
    ("conv2d", Sample((f32(2, 3, 5, 4), f32(4, 3, 3, 3), f32(4)), Conv2dAttrs(has_bias=True))),
    (
        "conv2d",
        Sample(
            (f32(2, 3, 5, 4), f32(4, 3, 1, 1), f32(4), f32(2, 4, 5, 4)),
            Conv2dAttrs(has_bias=True, epilogue=add_relu(first=1)),
        ),
    ),
    (
        "conv2d",
        Sample(
            (f32(2, 3, 5, 4), f32(4, 3, 1, 1), f32(2, 4, 5, 4)), Conv2dAttrs(epilogue=add_relu())
        ),
    ),
    (
        "conv2d",
        Sample((f32(2, 3, 5, 4), f32(4, 3, 2, 2), f32(4, 4, 3)), Conv2dAttrs(has_bias=True)),
    ),
    (
        "conv2d",
        Sample(
            (f32(2, 3, 5, 4), f32(4, 3, 1, 1), f32(4)),
            Conv2dAttrs(
                has_bias=True,
                epilogue=ScalarProgram(1, (ScalarStep(sigmoid, sigmoid.attrs(), (0,)),)),
            ),
        ),
    ),
    (
        "dense",
        Sample(
            (f32(5, 7), f32(3, 7), f32(3), f32(5, 3)),
            DenseAttrs(has_bias=True, epilogue=add_relu()),
        ),
    ),
    (
        "dense",
        Sample(
            (f32(5, 7), f32(3, 7), f32(1, 3)),
            DenseAttrs(
                has_bias=False, epilogue=ScalarProgram(2, (ScalarStep(mul, mul.attrs(), (0, 1)),))
            ),
        ),
    ),
]  # fmt: skip


def libraries() -> tuple[Provider, ...]:
    world = World(plans=[PlanKind("eng1_k2=1", 64), PlanKind("eng2")])
    return Cudnn(module(world), "handle"), Cublas(CublasLt(cublaslt_library()))


def all_cases(name: str) -> list[Sample]:
    more = [sample for op, sample in TAILS if op == name]
    return [*samples[OPS[name]](), *LARGER.get(name, ()), *more]


def key_for(name: str, sample: Sample) -> Any:
    plan = make_plan(graph_of(OPS[name], [sample], DType.F32), alignment=256)
    return key_of(plan.steps[0])


def ways_of(name: str, sample: Sample, library: Provider, rules: Rules = RULES) -> list[Way]:
    return list(library.ways(key_for(name, sample), rules))
