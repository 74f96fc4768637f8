"""Exponential, logarithm, hyperbolic tangent and power of vectors.

Single precision is within 2 units in the last place. Arguments are reduced as in W. J. Cody and
W. Waite, Software Manual for the Elementary Functions (1980); what is left is small enough for a
few terms of the series, whose coefficients are written as fractions. Each works on scalars and
vectors of float and double.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.llvm import I32, I64, LType, V, constant, to_single


def _is_single(kind: LType) -> bool:
    return kind.kind == "float"


def _integers(kind: LType) -> LType:
    """The integers of the same size."""
    return (I32 if _is_single(kind) else I64).times(kind.lanes)


def _polynomial(f: FunctionEmitter, x: V, coefficients: Sequence[float]) -> V:
    """Evaluate by Horner's scheme; the first coefficient is that of the lowest power."""
    total = constant(x.type, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = f.fma(total, x, constant(x.type, coefficient))
    return total


def _log_two(kind: LType) -> tuple[float, float]:
    """Give ln 2 as a number with many zeros at the end, and what is left of it."""
    if _is_single(kind):
        high = math.floor(math.log(2) * 2**14) / 2**14
        return high, to_single(math.log(2) - high)
    # To 107 bits: ln 2 less its first 32, with the tail that a double cannot hold.
    high = math.floor(math.log(2) * 2**32) / 2**32
    return high, (math.log(2) - high) + 2.3190468138462996e-17


def _scaled(f: FunctionEmitter, x: V, power: V) -> V:
    """Give x * 2**power for integers in a float's range; `power` has the integers' type."""
    kind = x.type
    bits, bias = (23, 127) if _is_single(kind) else (52, 1023)
    raised = f.add(power, constant(power.type, bias))
    return f.mul(x, f.convert("bitcast", f.bits("shl", raised, constant(power.type, bits)), kind))


def _split_exponent(f: FunctionEmitter, x: V) -> tuple[V, V]:
    """Give n and r with x = n ln 2 + r, n a whole number and |r| at most half of ln 2."""
    kind = x.type
    high, low = _log_two(kind)
    n = f.intrinsic(f"roundeven.{kind.mangled}", kind, f.mul(x, constant(kind, 1 / math.log(2))))
    r = f.fma(n, constant(kind, -high), x)
    return n, f.fma(n, constant(kind, -low), r)


def _series(kind: LType) -> list[float]:
    """Give the coefficients of (e**r - 1 - r) / r**2."""
    return [1 / math.factorial(n) for n in range(2, 8 if _is_single(kind) else 15)]


def _clamped(f: FunctionEmitter, x: V, least: float, most: float) -> V:
    """Bring x into [least, most]; NaN becomes `most`, which is put right later."""
    below = f.select(f.compare("olt", x, constant(x.type, most)), x, constant(x.type, most))
    floor = constant(x.type, least)
    return f.select(f.compare("ogt", below, floor), below, floor)


def exp(f: FunctionEmitter, x: V) -> V:
    """E to the x: infinite where too large, 0 where too small, NaN for NaN."""
    kind = x.type
    least, most = (-104.0, 89.0) if _is_single(kind) else (-746.0, 710.0)
    n, r = _split_exponent(f, _clamped(f, x, least, most))
    square = f.mul(r, r)
    grown = f.fma(square, _polynomial(f, r, _series(kind)), r)
    near = f.add(grown, constant(kind, 1.0))
    # In two steps, so that results below the normal range and above half of it come out.
    power = f.convert("fptosi", n, _integers(kind))
    half = f.bits("ashr", power, constant(power.type, 1))
    found = _scaled(f, _scaled(f, near, half), f.sub(power, half))
    return f.select(f.compare("uno", x, x), x, found)


def expm1_of_negative(f: FunctionEmitter, x: V) -> V:
    """Give e**x - 1 for x of at most 0, exact near 0; -1 where x is very small."""
    kind = x.type
    n, r = _split_exponent(f, _clamped(f, x, -60.0, 0.0))
    grown = f.fma(f.mul(r, r), _polynomial(f, r, _series(kind)), r)
    power = f.convert("fptosi", n, _integers(kind))
    scale = _scaled(f, constant(kind, 1.0), power)
    return f.fma(scale, grown, f.sub(scale, constant(kind, 1.0)))


def tanh(f: FunctionEmitter, x: V) -> V:
    """The hyperbolic tangent: -m / (m + 2) with m = e**(-2|x|) - 1, and x's sign."""
    kind = x.type
    size = f.intrinsic(f"fabs.{kind.mangled}", kind, x)
    m = expm1_of_negative(f, f.mul(size, constant(kind, -2.0)))
    top = f.sub(constant(kind, 0.0), m)
    bottom = f.add(m, constant(kind, 2.0))
    lost = f.sub(m, f.sub(bottom, constant(kind, 2.0)))
    inverse = f.div(constant(kind, 1.0), bottom)
    rough = f.mul(top, inverse)
    # One step of Newton's takes back the rounding of the sum and of the quotient.
    minus = f.sub(constant(kind, 0.0), rough)
    found = f.fma(f.fma(minus, lost, f.fma(minus, bottom, top)), inverse, rough)
    signed = f.intrinsic(f"copysign.{kind.mangled}", kind, found, x)
    return f.select(f.compare("uno", x, x), x, signed)


def _mantissa(f: FunctionEmitter, x: V) -> tuple[V, V]:
    """Give f and e with x = (1 + f) 2**e and 1 + f from sqrt(1/2) to sqrt(2), for normal x."""
    kind = x.type
    integers = _integers(kind)
    bits, bias = (23, 127) if _is_single(kind) else (52, 1023)
    # Adding what lies between 1/sqrt(2) and 1 carries into the exponent from sqrt(2) on.
    root = 0x3F3504F3 if _is_single(kind) else 0x3FE6A09E667F3BCD
    one = 0x3F800000 if _is_single(kind) else 0x3FF0000000000000
    word = f.add(f.convert("bitcast", x, integers), constant(integers, one - root))
    exponent = f.sub(f.bits("lshr", word, constant(integers, bits)), constant(integers, bias))
    rest = f.bits("and", word, constant(integers, (1 << bits) - 1))
    near_one = f.convert("bitcast", f.add(rest, constant(integers, root)), kind)
    return f.sub(near_one, constant(kind, 1.0)), f.convert("sitofp", exponent, kind)


def _log_of_normal(f: FunctionEmitter, x: V, shift: V) -> V:
    """Give log(x) + shift*ln 2 for normal positive x.

    With s = f/(2 + f), log(1 + f) = 2s + 2/3 s**3 + ... = f - (h - s*(h + R)), h = f*f/2: the
    large term is exact.
    """
    kind = x.type
    fraction, exponent = _mantissa(f, x)
    exponent = f.add(exponent, shift)
    s = f.div(fraction, f.add(fraction, constant(kind, 2.0)))
    square = f.mul(s, s)
    terms = 5 if _is_single(kind) else 12
    rest = f.mul(square, _polynomial(f, square, [2 / (2 * n + 3) for n in range(terms)]))
    half = f.mul(f.mul(fraction, fraction), constant(kind, 0.5))
    high, low = _log_two(kind)
    small = f.fma(s, f.add(half, rest), f.mul(exponent, constant(kind, low)))
    near = f.sub(fraction, f.sub(half, small))
    return f.fma(exponent, constant(kind, high), near)


def log(f: FunctionEmitter, x: V) -> V:
    """The natural logarithm: minus infinity of 0, NaN of negative numbers and of NaN."""
    kind = x.type
    tiny, shift = (2.0**-126, 24) if _is_single(kind) else (2.0**-1022, 54)
    small = f.compare("olt", x, constant(kind, tiny))
    scaled = f.select(small, f.mul(x, constant(kind, 2.0**shift)), x)
    offset = f.select(small, constant(kind, -float(shift)), constant(kind, 0.0))
    found = _log_of_normal(f, scaled, offset)
    endless = constant(kind, math.inf)
    found = f.select(f.compare("oeq", x, endless), endless, found)
    found = f.select(f.compare("oeq", x, constant(kind, 0.0)), constant(kind, -math.inf), found)
    return f.select(f.compare("ult", x, constant(kind, 0.0)), constant(kind, math.nan), found)


def log1p(f: FunctionEmitter, x: V) -> V:
    """log(1 + x): the logarithm of the rounded sum, and what rounding lost over it."""
    kind = x.type
    one = constant(kind, 1.0)
    total = f.add(x, one)
    # What 1 + x lost: exact for either order of size (D. Knuth's sum of two numbers).
    taken = f.sub(total, one)
    lost = f.add(f.sub(x, taken), f.sub(one, f.sub(total, taken)))
    found = f.add(log(f, total), f.div(lost, total))
    usual = f.compare("olt", f.intrinsic(f"fabs.{kind.mangled}", kind, x), constant(kind, 1e30))
    usual = f.bits("and", usual, f.compare("ogt", x, constant(kind, -1.0)))
    return f.select(usual, found, log(f, total))


def power(f: FunctionEmitter, a: V, b: V) -> V:
    """A to the b; of single precision by double, of double within |b log a| units.

    Negative a have a power for whole b only; anything to the 0 is 1.
    """
    kind = a.type
    wide = LType("double", kind.lanes)
    base = f.convert("fpext", f.intrinsic(f"fabs.{kind.mangled}", kind, a), wide)
    found = exp(f, f.mul(f.convert("fpext", b, wide), log(f, base)))
    found = f.convert("fptrunc", found, kind)
    whole = f.compare("oeq", f.intrinsic(f"trunc.{kind.mangled}", kind, b), b)
    half = f.mul(b, constant(kind, 0.5))
    even = f.compare("oeq", f.intrinsic(f"trunc.{kind.mangled}", kind, half), half)
    turned = f.select(even, found, f.sub(constant(kind, 0.0), found))
    negative = f.select(whole, turned, constant(kind, math.nan))
    found = f.select(f.compare("olt", a, constant(kind, 0.0)), negative, found)
    unit = constant(kind, 1.0)
    found = f.select(f.compare("oeq", a, unit), unit, found)
    return f.select(f.compare("oeq", b, constant(kind, 0.0)), unit, found)
