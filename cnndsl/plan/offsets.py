"""Offsets: placing lifetimes in an arena so that what lives together lies apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnndsl.plan.liveness import most_live
from cnndsl.plan.plan import Lifetime

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Request:
    """Memory that is asked for."""

    lifetime: Lifetime
    """When."""
    nbytes: int
    """How much; already rounded up."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where requests were put."""

    offsets: tuple[int, ...]
    """First byte of each request."""
    nbytes: int
    """Bytes that hold them all."""


def round_up(nbytes: int, alignment: int) -> int:
    """Round up to a multiple of `alignment`; nothing takes one unit, so that places differ.

    >>> round_up(65, 64), round_up(0, 64)
    (128, 64)
    """
    return max(1, -(-nbytes // alignment)) * alignment


def place(requests: Sequence[Request]) -> Placement:
    """Place requests by best fit: largest first, and should that waste memory, two other orders.

    Each is put into the smallest gap that holds it between those already placed that live at the
    same time, or above them. The search stops at a placement that needs no more than the bytes
    live at once, which nothing can beat.
    """
    least = most_live((request.lifetime, request.nbytes) for request in requests)
    best = Placement((), 0)
    for key in _ORDERS:
        sequence = sorted(range(len(requests)), key=lambda i: (key(requests[i]), i))
        found = _best_fit(requests, sequence)
        if not best.offsets or found.nbytes < best.nbytes:
            best = found
        if best.nbytes == least:
            break
    return best


def _by_size(request: Request) -> tuple[int, int]:
    return -request.nbytes, request.lifetime.first


def _by_area(request: Request) -> tuple[int, int]:
    length = request.lifetime.last - request.lifetime.first + 1
    return -request.nbytes * length, request.lifetime.first


def _by_time(request: Request) -> tuple[int, int]:
    return request.lifetime.first, -request.nbytes


_ORDERS: tuple[Callable[[Request], tuple[int, int]], ...] = (_by_size, _by_area, _by_time)


class _Shelf:
    """What is already placed, as arrays sorted by offset, so that a request costs a few sweeps."""

    def __init__(self, capacity: int) -> None:
        self._rows: Longs = np.zeros((4, capacity), dtype=np.int64)
        self._count = 0

    def fit(self, request: Request) -> int:
        """Give the best offset for `request`."""
        begin, end, first, last = self._rows[:, : self._count]
        life = request.lifetime
        rivals = (first <= life.last) & (last >= life.first)
        begins = begin[rivals]
        if not begins.size:
            return 0
        # Rivals of one request need not be rivals of each other: they may lie upon one another,
        # so a gap begins at the highest end so far.
        tops = np.maximum.accumulate(end[rivals])
        floors = np.concatenate((np.zeros(1, dtype=np.int64), tops[:-1]))
        gaps = begins - floors
        wide = gaps >= request.nbytes
        if not wide.any():
            return int(tops[-1])
        return int(floors[np.where(wide, gaps, np.iinfo(np.int64).max).argmin()])

    def put(self, request: Request, offset: int) -> None:
        """Remember `request` at `offset`."""
        count = self._count
        at = int(np.searchsorted(self._rows[0, :count], offset))
        self._rows[:, at + 1 : count + 1] = self._rows[:, at:count].copy()
        life = request.lifetime
        self._rows[:, at] = (offset, offset + request.nbytes, life.first, life.last)
        self._count += 1


def _best_fit(requests: Sequence[Request], sequence: Sequence[int]) -> Placement:
    shelf = _Shelf(len(requests))
    offsets = [0] * len(requests)
    top = 0
    for index in sequence:
        offset = shelf.fit(requests[index])
        shelf.put(requests[index], offset)
        offsets[index] = offset
        top = max(top, offset + requests[index].nbytes)
    return Placement(tuple(offsets), top)
