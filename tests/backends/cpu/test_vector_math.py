"""Exponentials and logarithms against NumPy's in higher precision, in units of the last place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from cnndsl.backends.cpu import vector_math
from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.llvm import F32, F64, LType, V
from cnndsl.backends.cpu.target import host_target
from cnndsl.ops.rules import Array
from tests.backends.cpu.machine import Function, needs_jit, target_called

pytestmark = needs_jit

Write = Callable[[FunctionEmitter, V], V]
COUNT = 1 << 14
KINDS = {"f32": (F32, np.float32), "f64": (F64, np.float64)}
CASES: dict[str, tuple[Write, Callable[[Array], Array], Sequence[tuple[float, float]]]] = {
    "exp": (vector_math.exp, np.exp, [(-87.0, 88.0), (-1.0, 1.0), (-103.0, -87.0)]),
    "log": (vector_math.log, np.log, [(1e-30, 1e-28), (0.5, 2.0), (0.999, 1.001), (1.0, 1e30)]),
    "log1p": (vector_math.log1p, np.log1p, [(-0.999, 3.0), (-1e-4, 1e-4), (1.0, 1e30)]),
    "tanh": (vector_math.tanh, np.tanh, [(-12.0, 12.0), (-1.0, 1.0), (-1e-4, 1e-4)]),
}
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, -2.0, 1e-40, 200.0, -200.0, 1e30]


def apply(write: Write, kind: LType, array: Array, target: str = "host") -> Array:
    """Compute a function of every element."""
    machine = target_called(target)
    lanes = machine.vector_bytes // kind.nbytes
    padded = np.resize(array, -(-array.size // lanes) * lanes)
    result = np.empty_like(padded)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        with f.loop(0, padded.size, lanes) as i:
            f.store(write(f, f.load(kind.times(lanes), places[0], i)), places[1], i)

    Function(body, 2, machine)(padded, result)
    return result[: array.size]


def units(found: Array, exact: Array) -> float:
    """Give the largest error in units of the last place of single or double precision."""
    spacing = np.spacing(np.abs(exact).astype(found.dtype)).astype(np.longdouble)
    return float(np.max(np.abs(found.astype(np.longdouble) - exact) / spacing))


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_errors_stay_within_two_units(name: str, precision: str, target: str) -> None:
    write, exact, ranges = CASES[name]
    kind, dtype = KINDS[precision]
    rng = np.random.default_rng(0)
    for low, high in ranges:
        x = rng.uniform(low, high, COUNT).astype(dtype)
        found = apply(write, kind, x, target)
        # Double precision has one sum more in the tangent, whose last bit may be lost.
        bound = 2.0 if precision == "f32" else 2.1
        assert units(found, exact(x.astype(np.longdouble))) <= bound


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_what_is_not_finite_comes_out_as_from_numpy(name: str, precision: str) -> None:
    write, exact, _ = CASES[name]
    kind, dtype = KINDS[precision]
    x = np.array(SPECIAL, dtype)
    with np.errstate(all="ignore"):
        expected = exact(x)
    found = apply(write, kind, x)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.allclose(found, expected, rtol=1e-6, atol=0, equal_nan=True)
    if name == "tanh":
        assert np.array_equal(np.signbit(found[3:5]), [False, True])


@pytest.mark.parametrize("precision", KINDS)
def test_powers_are_those_of_numpy(precision: str) -> None:
    kind, dtype = KINDS[precision]
    bases = np.array([0.5, 2.0, 1.0, -2.0, -2.0, -2.0, 0.0, 3.0, 0.0, -1.5, 1.1, 7.0] * 2, dtype)
    powers = np.array([3.0, -0.75, 9.0, 2.0, 3.0, 0.5, 2.5, 0.0, 0.0, -3.0, 20.0, 1.0] * 2, dtype)
    lanes = host_target().vector_bytes // kind.nbytes
    result = np.empty(32, dtype)
    operands = [np.resize(array, 32) for array in (bases, powers)]

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        with f.loop(0, 32, lanes) as i:
            a, b = (f.load(kind.times(lanes), place, i) for place in places[:2])
            f.store(vector_math.power(f, a, b), places[2], i)

    Function(body, 3, host_target())(*operands, result)
    with np.errstate(all="ignore"):
        expected = np.power(*operands)
    tolerance = 2e-7 if precision == "f32" else 2e-15
    assert np.allclose(result, expected, rtol=tolerance, atol=0, equal_nan=True)
