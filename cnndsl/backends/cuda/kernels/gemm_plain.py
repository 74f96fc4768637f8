"""Products by multiply-adds of the element type, in f32 or f64.

A block computes a tile of the result. It walks along k in steps: the parts of both factors go to
shared memory, and each thread multiplies 4 to 8 elements of one with 4 to 8 of the other. The next
parts are fetched to registers while the present ones are multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnndsl.backends.cuda.kernel import SIZES, KernelBuilder, Pointer
from cnndsl.backends.cuda.kernels.gemm_moments import Moments, of_threads, room_for
from cnndsl.backends.cuda.kernels.gemm_tile import (
    Part,
    Product,
    Store,
    Tile,
    fetch_one,
    store_many,
    typed,
)

PLAIN_DEPTH = 16
"""Steps along k."""
PAD = 4
"""Elements between rows in shared memory, so that a column does not lie in one bank."""

_PLAIN = """
$T* a_tile = reinterpret_cast<$T*>(shared_memory);
$T* b_tile = a_tile + $DEPTH * $A_ROW;
const int tid = threadIdx.x, tx = tid % $THREADS_X, ty = tid / $THREADS_X;
$I block = blockIdx.x;
const $I tile_n = block % $TILES_N * $BN;
block /= $TILES_N;
const $I m0 = block % $TILES_M * $BM;
block /= $TILES_M;
const $I g = block % $GROUPS, slice = block / $GROUPS;
const $I begin = slice * $LENGTH, stop = begin + $LENGTH < $K ? begin + $LENGTH : $K;
$T sums[$ROWS][$COLUMNS] = {};
$T a_kept[$A_EACH], b_kept[$B_EACH];
$I at = begin;
$fetch_a
$fetch_b
for (; at < stop; ) {
    $keep_a
    $keep_b
    __syncthreads();
    at += $DEPTH;
    if (at < stop) {
        $fetch_a
        $fetch_b
    }
    #pragma unroll
    for (int kk = 0; kk < $DEPTH; ++kk) {
        Pack<$T, 4> a[$ROWS / 4], b[$COLUMNS / 4];
        #pragma unroll
        for (int i = 0; i < $ROWS / 4; ++i)
            a[i] = *reinterpret_cast<const Pack<$T, 4>*>(
                a_tile + kk * $A_ROW + i * $HALF_M + ty * 4);
        #pragma unroll
        for (int j = 0; j < $COLUMNS / 4; ++j)
            b[j] = *reinterpret_cast<const Pack<$T, 4>*>(
                b_tile + kk * $B_ROW + j * $HALF_N + tx * 4);
        #pragma unroll
        for (int i = 0; i < $ROWS; ++i)
            #pragma unroll
            for (int j = 0; j < $COLUMNS; ++j)
                sums[i][j] += a[i / 4].at[i % 4] * b[j / 4].at[j % 4];
    }
    __syncthreads();
}
#pragma unroll
for (int i = 0; i < $ROWS; ++i) {
    const $I m = m0 + i / 4 * $HALF_M + ty * 4 + i % 4;
    #pragma unroll
    for (int part = 0; part < $COLUMNS / $VECTOR; ++part) {
        const int column = part * $VECTOR;
        const $I n0 = tile_n + column / 4 * $HALF_N + tx * 4 + column % 4;
        if (m < $M && n0 < $N) {
            $T* found = &sums[i][column];
            {
                $store
            }
        }
    }
}
$moments
"""


def _texts(part: Part, start: str, bound: int, row: int) -> tuple[str, str]:
    """Write the fetch of a part to registers, and the way from there to shared memory."""
    to = f"{part.name}_kept[e]"
    fetch = part.loop(fetch_one(part, start=start, bound=bound, k="at + kk", to=to))
    return fetch, part.loop(f"{part.name}_tile[kk * {row} + ff] = {to};")


def plain(
    k: KernelBuilder,
    label: str,
    tile: Tile,
    product: Product,
    grid: int,
    store: Store,
    reads: Sequence[tuple[str, Pointer]],
    write: Pointer,
    values: Mapping[str, object],
    moments: Moments | None = None,
) -> None:
    """Add the launch that computes a product; `store` says where the sums go."""
    kind = str(values["T"])
    known = {**values, "S": write.kind}
    a = Part("a", product.a, tile.m, PLAIN_DEPTH, tile.parts)
    b = Part("b", product.b, tile.n, PLAIN_DEPTH, tile.parts)
    a_row, b_row = tile.m + PAD, tile.n + PAD
    fetch_a, keep_a = _texts(a, "m0", product.m, a_row)
    fetch_b, keep_b = _texts(b, "tile_n", product.n, b_row)
    vector = 1 if store.run % 4 else 4
    shared = PLAIN_DEPTH * (a_row + b_row) * SIZES[kind]
    k.launch(
        label,
        of_threads(_PLAIN, tile, moments),
        grid=grid,
        block=tile.parts,
        shared_bytes=max(shared, room_for(tile, kind)) if moments else shared,
        registers=tile.registers(store, product.a, product.b),
        reads=reads,
        writes=[("y", write), *(moments.writes if moments else [])],
        fetch_a=typed(fetch_a, known),
        fetch_b=typed(fetch_b, known),
        keep_a=keep_a,
        keep_b=keep_b,
        store=typed(store_many(store, vector, "found[j]", keep=moments is not None), known),
        VECTOR=vector,
        A_EACH=a.each,
        B_EACH=b.each,
        A_ROW=a_row,
        B_ROW=b_row,
        BM=tile.m,
        BN=tile.n,
        DEPTH=PLAIN_DEPTH,
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        THREADS_X=tile.n // tile.columns,
        HALF_M=tile.m // (tile.rows // 4),
        HALF_N=tile.n // (tile.columns // 4),
        **values,
    )
