"""Random numbers from a counter: every number is a pure function of key, stream, step and index.

The generator is Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC
2011): a bijection of 128-bit counters under a 64-bit key, in exact integer arithmetic, so that
every backend draws the same numbers in any order. The counter's words are the number of the block
of four, the stream, and the two halves of the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.rules import Array, Cost, Sample, cost, no_gradient, reference, samples
from cnndsl.support.diagnostics import TypeRuleError

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = 0xFFFFFFFF
STREAMS = 2**31
"""Streams of the graph are below this; the host's draws have this bit set in the stream's word."""
CHUNK = 2**14
"""Blocks computed at once: few enough to stay in cache."""


def philox(counter: Sequence[Array | int], key: tuple[int, int]) -> tuple[Array, ...]:
    """Give the four u64 words below 2^32 that the counter's four words become under `key`.

    The words of `counter` are integers below 2^32 or u64 arrays of them that broadcast.

    >>> [f"{int(word):08x}" for word in philox((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    k0, k1 = key
    half = np.uint64(32)
    mask = np.uint64(MASK)
    for _ in range(ROUNDS):
        first = c0 * np.uint64(MULTIPLIERS[0])
        second = c2 * np.uint64(MULTIPLIERS[1])
        c0 = (second >> half) ^ c1 ^ np.uint64(k0)
        c2 = (first >> half) ^ c3 ^ np.uint64(k1)
        c1 = second & mask
        c3 = first & mask
        k0 = (k0 + KEY_STEPS[0]) & MASK
        k1 = (k1 + KEY_STEPS[1]) & MASK
    return c0, c1, c2, c3


def _halves(number: int) -> tuple[int, int]:
    """Give the low and the high 32 bits of an integer taken modulo 2^64."""
    return number & MASK, (number >> 32) & MASK


def _words(key: int, stream: int, step: int, size: int) -> Iterator[tuple[slice, Array]]:
    """Walk `size` words in chunks: where they belong, and the words."""
    low, high = _halves(step)
    blocks = -(-size // 4)
    for start in range(0, blocks, CHUNK):
        stop = min(start + CHUNK, blocks)
        index = np.arange(start, stop, dtype=np.uint64)
        words = philox((index, stream, low, high), _halves(key))
        flat = np.stack(words, axis=1).reshape(-1)
        place = slice(4 * start, min(4 * stop, size))
        yield place, flat[: place.stop - place.start]


def _host_stream(stream: int) -> tuple[int, int]:
    """Give the stream word and the step that stand for a stream of the host."""
    if not 0 <= stream < 2**63:
        raise ValueError(f"the stream {stream} does not lie within 0 and 2^63")
    low, high = _halves(stream)
    return STREAMS + high, low


def philox_uniform(
    key: int,
    stream: int,
    size: int,
    *,
    limit: float | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw `size` numbers, uniform between 0 and 1, both excluded, 2^-32 apart.

    With a `limit` they lie between -limit and limit. Number i depends on `key` (modulo 2^64),
    `stream` (below 2^63) and i alone, not on `size`. It is computed in double precision, a chunk
    at a time, and rounded to `dtype` once.
    """
    out = np.empty(size, dtype)
    for place, words in _words(key, *_host_stream(stream), size):
        unit = _unit(words)
        out[place] = unit if limit is None else (unit * 2.0 - 1.0) * limit
    return out


def philox_normal(
    key: int, stream: int, size: int, *, std: float = 1.0, dtype: npt.DTypeLike = np.float64
) -> Array:
    """Draw `size` numbers from the normal distribution of mean 0 and standard deviation `std`.

    The method of Box and Muller on neighbouring pairs of `philox_uniform`; no number is beyond 6.7
    deviations. Computed in double precision, a chunk at a time, and rounded to `dtype` once.
    """
    out = np.empty(size, dtype)
    for place, words in _words(key, *_host_stream(stream), size + size % 2):
        pairs = _unit(words).reshape(-1, 2)
        radius = np.sqrt(-2.0 * np.log(pairs[:, 0]))
        angle = 2.0 * math.pi * pairs[:, 1]
        drawn = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1).reshape(-1)
        stop = min(place.stop, size)
        out[place.start : stop] = (drawn * std)[: stop - place.start]
    return out


def _unit(words: Array) -> Array:
    """Give words as numbers between 0 and 1."""
    return (words.astype(np.float64) + 0.5) * 2.0**-32


@dataclass(frozen=True, slots=True)
class DropoutMaskAttrs(Attrs):
    """Attributes of `dropout_mask`."""

    type: TensorType
    """Type of the mask."""
    rate: float
    """Probability of a zero, from 0 up to but not 1."""
    stream: int = 0
    """Which of the key's streams; each dropout of a network has its own."""


@define_op("dropout_mask")
def dropout_mask(attrs: DropoutMaskAttrs, key: TensorType, step: TensorType) -> TensorType:
    """Zeros with probability `rate`, else 1 / (1 - rate): what dropout multiplies by.

    `key` (the seed) and `step` (a count of runs) are i64 scalars. Element i is zero where word i of
    the generator is below rate * 2^32, whatever the precision (inverted dropout, JMLR 15, 2014).
    """
    scalar = TensorType(DType.I64, ())
    if key != scalar or step != scalar:
        raise TypeRuleError(f"dropout_mask of {key} and {step}: both must be {scalar}")
    if not 0.0 <= attrs.rate < 1.0:
        raise TypeRuleError(
            f"dropout with the rate {attrs.rate:g}: it is at least 0 and less than 1"
        )
    if not 0 <= attrs.stream < STREAMS or not attrs.type.dtype.is_float:
        raise TypeRuleError(f"dropout_mask of {attrs.type} from stream {attrs.stream}")
    return attrs.type


def dropout_threshold(rate: float) -> int:
    """Give the number below which a 32-bit word means a zero.

    >>> dropout_threshold(0.5) == 2**31
    True
    """
    return round(rate * 2**32)


@reference.rule(dropout_mask)
def dropout_mask_reference(node: Node[DropoutMaskAttrs], key: Array, step: Array) -> Array:
    """Compare the generator's words with the threshold."""
    attrs = node.attrs
    out = np.empty(attrs.type.size, dtype=attrs.type.dtype.numpy)
    threshold = np.uint64(dropout_threshold(attrs.rate))
    scale = 1.0 / (1.0 - attrs.rate)
    for place, words in _words(int(key), attrs.stream, int(step), attrs.type.size):
        out[place] = np.where(words < threshold, 0.0, scale)
    return out.reshape(attrs.type.shape)


no_gradient.add(dropout_mask)


@samples.rule(dropout_mask)
def dropout_mask_samples() -> Iterable[Sample]:
    """Sizes that are no multiple of four, a scalar, rate 0, another stream."""
    scalar = TensorType(DType.I64, ())
    for kind, rate, stream in (
        (f32(2, 3, 5), 0.5, 0),
        (f32(7), 0.2, 3),
        (f32(), 0.9, 0),
        (f32(3, 3), 0.0, 1),
    ):
        yield Sample((scalar, scalar), DropoutMaskAttrs(kind, rate, stream), integers=10**6)


@cost.rule(dropout_mask)
def dropout_mask_cost(node: Node[DropoutMaskAttrs], operands: Sequence[TensorType]) -> Cost:
    """One operation an element; the generator works in integers."""
    return Cost(flops=node.type.size, bytes_read=16, bytes_written=node.type.nbytes)
