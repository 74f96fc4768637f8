"""Random numbers as a pure function of seed, epoch and position.

Everything random about data comes from here: order of the images, held-out parts, augmentation.
A number depends on (seed, stream, epoch, position) alone and on nothing drawn before it, so a run
that resumes at any step sees what the uninterrupted run would have seen, bit for bit. The source
is the raw output of Philox4x64-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy
as 1, 2, 3; SC 2011), which NumPy keeps the same across its versions.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

_WORD = (1 << 64) - 1


def draws(count: int, *, seed: int, stream: str, epoch: int = 0) -> NDArray[np.uint64]:
    """Give the first `count` 64-bit words of the stream called `stream`.

    >>> draws(3, seed=1, stream="order").tolist() == draws(9, seed=1, stream="order")[:3].tolist()
    True
    """
    key = np.array([seed & _WORD, (epoch << 32 | zlib.crc32(stream.encode())) & _WORD], np.uint64)
    return np.random.Philox(key=key).random_raw(count)


def permutation(count: int, *, seed: int, stream: str, epoch: int = 0) -> NDArray[np.int64]:
    """Give the numbers 0 to `count` - 1 in an order that depends on the arguments alone.

    >>> sorted(permutation(5, seed=0, stream="order", epoch=2).tolist())
    [0, 1, 2, 3, 4]
    """
    keys = draws(count, seed=seed, stream=stream, epoch=epoch)
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)


def chosen(count: int, keep: int, *, seed: int, stream: str) -> NDArray[np.int64]:
    """Give `keep` of the numbers 0 to `count` - 1, evenly at random, in rising order."""
    return np.sort(permutation(count, seed=seed, stream=stream)[:keep])


def below(words: NDArray[np.uint64], limit: int) -> NDArray[np.int64]:
    """Map 64-bit words to whole numbers from 0 to `limit` - 1 (`limit` at most 2^32).

    >>> below(np.array([0, 2**63, 2**64 - 1], np.uint64), 6).tolist()
    [0, 3, 5]
    """
    return ((words >> np.uint64(32)) * np.uint64(limit) >> np.uint64(32)).astype(np.int64)


def unit(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map 64-bit words to float64 above 0 and at most 1, 53 bits fine.

    >>> unit(np.array([2**64 - 1], np.uint64)).tolist()
    [1.0]
    """
    return ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53
