"""Work with the lanes of vectors: masks, shuffles, sums across, strided memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cnndsl.backends.cpu.emit import Chunk, FunctionEmitter
from cnndsl.backends.cpu.llvm import I1, I32, I64, Index, LType, V, constant, vector_constant


def splat(f: FunctionEmitter, value: V, lanes: int) -> V:
    """Put a scalar into every lane; with 0 lanes it stays a scalar."""
    if not lanes:
        return value
    kind = value.type.times(lanes)
    first = f.op(kind, f"insertelement {kind} poison, {value}, i32 0")
    zeros = vector_constant(I32.times(lanes), [0] * lanes)
    return f.op(kind, f"shufflevector {first}, {kind} poison, {zeros}")


def iota(lanes: int, *, start: int = 0, step: int = 1) -> V:
    """Give the i64 constants start, start + step, ..."""
    return vector_constant(I64.times(lanes), [start + step * lane for lane in range(lanes)])


def shuffle(f: FunctionEmitter, a: V, b: V, picks: Sequence[int]) -> V:
    """Pick lanes of two vectors laid end to end; -1 leaves a lane undefined."""
    kind = a.type.times(len(picks))
    listed = ", ".join(f"i32 {'poison' if pick < 0 else pick}" for pick in picks)
    return f.op(kind, f"shufflevector {a}, {b}, <{len(picks)} x i32> <{listed}>")


def extract(f: FunctionEmitter, value: V, lane: Index) -> V:
    """Give one lane."""
    return f.op(value.type.scalar, f"extractelement {value}, {f.index(lane)}")


def mask_below(f: FunctionEmitter, count: Index, lanes: int) -> V:
    """Give the mask of the lanes whose number is below `count`."""
    if isinstance(count, int):
        return vector_constant(I1.times(lanes), [int(lane < count) for lane in range(lanes)])
    return f.compare("slt", iota(lanes), splat(f, count, lanes))


def mask_within(f: FunctionEmitter, start: Index, count: int, lanes: int, *, step: int = 1) -> V:
    """Give the mask of the lanes for which start + lane*step lies in [0, count)."""
    if isinstance(start, int):
        inside = [int(0 <= start + lane * step < count) for lane in range(lanes)]
        return vector_constant(I1.times(lanes), inside)
    places = f.add(splat(f, start, lanes), iota(lanes, step=step))
    return f.compare("ult", places, constant(I64.times(lanes), count))


def conjunction(f: FunctionEmitter, a: V | None, b: V | None) -> V | None:
    """Join masks; nothing means all lanes."""
    if a is None or b is None:
        return b if a is None else a
    return f.bits("and", a, b)


def across(f: FunctionEmitter, value: V, combine: Callable[[V, V], V]) -> V:
    """Combine all lanes into a scalar by halving, always in the same order."""
    lanes = value.type.lanes
    if not lanes:
        return value
    while lanes > 1:
        half = lanes // 2
        low = shuffle(f, value, value, range(half))
        high = shuffle(f, value, value, range(half, lanes))
        value, lanes = combine(low, high), half
    return extract(f, value, 0)


def each_chunk(
    f: FunctionEmitter, stop: Index, lanes: int, body: Callable[[Chunk], None], *, start: Index = 0
) -> None:
    """Write `body` for full chunks of [start, stop), and once more for what is left, masked."""
    if not lanes or lanes == 1:
        with f.loop(start, stop) as i:
            body(Chunk(i, 0))
        return
    length = f.isub(stop, start)
    if isinstance(length, int):
        full = f.iadd(start, length - length % lanes)
        if length >= lanes:
            with f.loop(start, full, lanes) as i:
                body(Chunk(i, lanes))
        if length % lanes:
            body(Chunk(full, lanes, mask_below(f, length % lanes, lanes)))
        return
    left = f.op(I64, f"and {length}, {lanes - 1}")
    full = f.isub(stop, left)
    with f.loop(start, full, lanes) as i:
        body(Chunk(i, lanes))
    with f.when(f.compare("sgt", left, constant(I64, 0))):
        body(Chunk(full, lanes, mask_below(f, left, lanes)))


def load_strided(
    f: FunctionEmitter,
    kind: LType,
    pointer: V,
    start: Index,
    stride: int,
    mask: V | None = None,
    other: float = 0.0,
) -> V:
    """Load lanes that lie `stride` elements apart; lanes outside the mask are `other`.

    Nothing outside the mask is touched, and with a stride of 2 nothing beyond the last lane.
    """
    lanes = kind.lanes
    rest = constant(kind, other)
    if stride == 1:
        if mask is None:
            return f.load(kind, pointer, start)
        return f.masked_load(kind, pointer, start, mask, rest)
    if stride == 2 and lanes > 1:
        chosen = constant(I1.times(lanes), 1) if mask is None else mask
        off = constant(I1.times(lanes), 0)
        halves = []
        for part in range(2):
            picks = [lanes if q % 2 else q // 2 + part * (lanes // 2) for q in range(lanes)]
            spread = shuffle(f, chosen, off, picks)
            place = f.iadd(start, part * lanes)
            halves.append(f.masked_load(kind, pointer, place, spread, rest))
        return shuffle(f, halves[0], halves[1], [2 * lane for lane in range(lanes)])
    indices = f.add(splat(f, f.index(start), lanes), iota(lanes, step=stride))
    return f.gather(kind, pointer, indices, mask, rest)


def store_strided(
    f: FunctionEmitter, value: V, pointer: V, start: Index, stride: int, mask: V | None = None
) -> None:
    """Store lanes `stride` elements apart, touching nothing between them."""
    lanes = value.type.lanes
    if stride == 1:
        f.store_chunk(value, pointer, Chunk(start, lanes, mask))
        return
    chosen = constant(I1.times(lanes), 1) if mask is None else mask
    off = constant(I1.times(lanes), 0)
    for part in range(stride):
        places = range(part * lanes, (part + 1) * lanes)
        if all(q % stride or q // stride >= lanes for q in places):
            continue
        spread = shuffle(f, chosen, off, [lanes if q % stride else q // stride for q in places])
        moved = shuffle(f, value, value, [-1 if q % stride else q // stride for q in places])
        f.masked_store(moved, pointer, f.iadd(start, part * lanes), spread)


def interleave(f: FunctionEmitter, values: Sequence[V]) -> list[V]:
    """Give vectors that hold lane 0 of each value, then lane 1 of each, and so on."""
    count, lanes = len(values), values[0].type.lanes
    found = []
    for part in range(count):
        places = range(part * lanes, (part + 1) * lanes)
        vector = values[0]
        for which, value in enumerate(values):
            taken = [q // count if q % count == which else -1 for q in places]
            if which == 0:
                vector = shuffle(f, value, value, taken)
            else:
                picks = [lane if t < 0 else lanes + t for lane, t in enumerate(taken)]
                vector = shuffle(f, vector, value, picks)
        found.append(vector)
    return found


def transposed(f: FunctionEmitter, rows: Sequence[V]) -> list[V]:
    """Transpose a square of vectors: as many rows as lanes, a power of two."""
    size = len(rows)
    rows = list(rows)
    step = size // 2
    while step:
        picked: list[V] = list(rows)
        for base in range(size):
            if base & step:
                continue
            a, b = rows[base], rows[base + step]
            low = [lane if not lane & step else size + lane - step for lane in range(size)]
            high = [lane + step if not lane & step else size + lane for lane in range(size)]
            picked[base] = shuffle(f, a, b, low)
            picked[base + step] = shuffle(f, a, b, high)
        rows = picked
        step //= 2
    return rows


def sums_across(f: FunctionEmitter, values: Sequence[V]) -> V:
    """Give a vector of the sums of each value's lanes: as many values as the result has lanes.

    They are a power of two, and at most as many as the values have lanes.
    """
    rows, lanes = list(values), values[0].type.lanes
    while len(rows) > 1:
        rows = [_folded(f, rows[i], rows[i + 1]) for i in range(0, len(rows), 2)]
    found, width = rows[0], lanes
    while width > len(values):
        even = shuffle(f, found, found, range(0, width, 2))
        odd = shuffle(f, found, found, range(1, width, 2))
        found, width = f.add(even, odd), width // 2
    return found


def _folded(f: FunctionEmitter, a: V, b: V) -> V:
    """Add neighbouring lanes of both: the first half of the lanes is a's, the second b's."""
    lanes = a.type.lanes
    even, odd = range(0, 2 * lanes, 2), range(1, 2 * lanes, 2)
    return f.add(shuffle(f, a, b, even), shuffle(f, a, b, odd))
