"""The generator against published numbers and against its own promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ops.random import CHUNK, philox, philox_normal, philox_uniform

# The known-answer vectors published with Random123 for philox4x32 with 10 rounds.
KNOWN = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(
    counter: tuple[int, int, int, int], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    assert tuple(int(word) for word in philox(counter, key)) == expected


def test_arrays_of_counters_equal_single_ones() -> None:
    index = np.arange(100, dtype=np.uint64)
    together = np.stack(philox((index, 7, 1, 2), (3, 4)), axis=1)
    alone = [[int(word) for word in philox((i, 7, 1, 2), (3, 4))] for i in range(100)]
    assert together.tolist() == alone


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_a_number_does_not_depend_on_how_many_are_drawn(
    key: int, stream: int, few: int, more: int
) -> None:
    for draw in (philox_uniform, philox_normal):
        long = draw(key, stream, few + more)
        assert np.array_equal(draw(key, stream, few), long[:few])


def test_numbers_go_on_over_the_end_of_a_chunk() -> None:
    size = 4 * CHUNK + 5
    numbers = philox_uniform(1, 2, size)
    index = size - 2
    words = philox((index // 4, 2**31, 2, 0), (1, 0))
    assert numbers[index] == (int(words[index % 4]) + 0.5) / 2**32
    assert len(np.unique(numbers)) > size - 10


def test_keys_and_streams_draw_different_numbers() -> None:
    first = philox_uniform(1, 0, 1000)
    for key, stream in ((2, 0), (1, 1), (1 + 2**32, 0), (1, 2**32), (1, 2**63 - 1)):
        other = philox_uniform(key, stream, 1000)
        assert not np.any(first == other)
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.15


def test_the_key_is_taken_modulo_64_bits() -> None:
    assert np.array_equal(philox_uniform(-1, 0, 8), philox_uniform(2**64 - 1, 0, 8))


def test_a_stream_beyond_its_range_is_refused() -> None:
    for stream in (-1, 2**63):
        with pytest.raises(ValueError, match="stream"):
            philox_uniform(0, stream, 4)


def test_uniform_numbers_are_uniform() -> None:
    numbers = philox_uniform(42, 3, 200_000)
    assert 0 < numbers.min() < numbers.max() < 1
    counts, _ = np.histogram(numbers, bins=100, range=(0, 1))
    chi_square = float(np.sum((counts - 2000.0) ** 2 / 2000.0))
    assert 50 < chi_square < 160  # 99 degrees of freedom: 99 +- 14


def test_normal_numbers_are_normal() -> None:
    numbers = philox_normal(42, 3, 200_001)
    assert len(numbers) == 200_001
    error = 1 / np.sqrt(len(numbers))
    assert abs(numbers.mean()) < 4 * error
    assert abs(numbers.var() - 1) < 4 * np.sqrt(2) * error
    assert abs(np.mean(numbers**3)) < 4 * np.sqrt(15) * error
    assert abs(np.mean(numbers**4) - 3) < 4 * np.sqrt(96) * error
    within = np.mean(np.abs(numbers) < 1.959963985)
    assert abs(within - 0.95) < 4 * np.sqrt(0.95 * 0.05) * error
    assert abs(np.corrcoef(numbers[:-1:2], numbers[1::2])[0, 1]) < 8 * error


@pytest.mark.parametrize("size", [1, 2, 7, 4 * CHUNK, 4 * CHUNK + 1])
def test_numbers_are_rounded_once(size: int) -> None:
    """Drawing in single precision gives what rounding the doubles gives, chunk after chunk."""
    single, double = (philox_normal(5, 1, size, std=0.1, dtype=t) for t in (np.float32, np.float64))
    assert single.dtype == np.float32
    assert np.array_equal(single, double.astype(np.float32))
    assert np.array_equal(double, philox_normal(5, 1, size) * 0.1)
    drawn = philox_uniform(5, 1, size, limit=0.3, dtype=np.float32)
    expected = (philox_uniform(5, 1, size) * 2.0 - 1.0) * 0.3
    assert np.array_equal(drawn, expected.astype(np.float32))
