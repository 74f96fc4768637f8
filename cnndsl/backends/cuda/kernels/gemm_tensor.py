"""Products by tensor cores: factors rounded to tf32 or bf16, sums in f32 (`mma.sync`).

As `gemm_plain`, but that a row of shared memory holds 16 words of one `f`: 16 factors in tf32, 32
in bf16 by pairs. A row is 20 words long, so that the eight rows and four words that a warp reads at
once lie in 32 banks. A warp computes a part of the tile by fragments of 16 x 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer
from cnndsl.backends.cuda.kernels.gemm_tile import Part, Tile, fetch_one, typed

if TYPE_CHECKING:
    from cnndsl.backends.cuda.kernels.gemm import Product

TENSOR_DEPTH = {"tf32": 16, "bf16": 32, "fp32": 16}
"""Steps along k, by precision."""
WORDS, ROW = 16, 20
"""Words of a row that are used, and between rows."""

_TENSOR = """
unsigned* a_tile = reinterpret_cast<unsigned*>(shared_memory);
unsigned* b_tile = a_tile + $BM * $ROW;
const int tid = threadIdx.x, warp = tid / 32, group = tid % 32 / 4, pair = tid % 4;
const int warp_m = warp / $WARPS_N * $WARP_M, warp_n = warp % $WARPS_N * $WARP_N;
$I block = blockIdx.x;
const $I n0 = block % $TILES_N * $BN;
block /= $TILES_N;
const $I m0 = block % $TILES_M * $BM;
block /= $TILES_M;
const $I g = block % $GROUPS, slice = block / $GROUPS;
const $I begin = slice * $LENGTH, stop = begin + $LENGTH < $K ? begin + $LENGTH : $K;
float sums[$WARP_M / 16][$WARP_N / 8][4] = {};
unsigned a_kept[$A_EACH], b_kept[$B_EACH];
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
    for (int word = pair; word < 16; word += 8) {
        unsigned a[$WARP_M / 16][4], b[$WARP_N / 8][2];
        #pragma unroll
        for (int i = 0; i < $WARP_M / 16; ++i)
            #pragma unroll
            for (int r = 0; r < 4; ++r)
                a[i][r] = a_tile[(warp_m + i * 16 + r % 2 * 8 + group) * $ROW + word + r / 2 * 4];
        #pragma unroll
        for (int j = 0; j < $WARP_N / 8; ++j)
            #pragma unroll
            for (int r = 0; r < 2; ++r)
                b[j][r] = b_tile[(warp_n + j * 8 + group) * $ROW + word + r * 4];
        #pragma unroll
        for (int i = 0; i < $WARP_M / 16; ++i)
            #pragma unroll
            for (int j = 0; j < $WARP_N / 8; ++j) $MULTIPLY(sums[i][j], a[i], b[j]);
    }
    __syncthreads();
}
#pragma unroll
for (int i = 0; i < $WARP_M / 16; ++i)
    #pragma unroll
    for (int j = 0; j < $WARP_N / 8; ++j)
        #pragma unroll
        for (int r = 0; r < 4; ++r) {
            const $I m = m0 + warp_m + i * 16 + r / 2 * 8 + group;
            const $I n = n0 + warp_n + j * 8 + pair * 2 + r % 2;
            if (m < $M && n < $N) {
                $T value = sums[i][j][r];
                $store
            }
        }
"""


def _texts(part: Part, start: str, bound: int, precision: str) -> tuple[str, str]:
    """Write the fetch of a part to registers as words, and the way from there to shared memory."""
    to = f"{part.name}_kept[e]"
    if precision == "bf16":
        low = fetch_one(part, start=start, bound=bound, k="at + 2 * kk", to="low")
        high = fetch_one(part, start=start, bound=bound, k="at + 2 * kk + 1", to="high")
        body = f"float low, high;\n{low}\n{high}\n{to} = two_bf16(low, high);"
    else:
        one = fetch_one(part, start=start, bound=bound, k="at + kk", to="factor")
        body = f"float factor;\n{one}\n{to} = as_tf32(factor);"
    return part.loop(body), part.loop(f"{part.name}_tile[ff * {ROW} + kk] = {to};")


def tensor(
    k: KernelBuilder,
    label: str,
    tile: Tile,
    product: Product,
    grid: int,
    store: str,
    reads: Sequence[tuple[str, Pointer]],
    write: tuple[str, Pointer],
    values: Mapping[str, object],
) -> None:
    """Add the launch that computes a product; `store` puts `value` where it belongs."""
    kind, index, precision = str(values["T"]), str(values["I"]), k.policy.precision
    block = 32 * tile.parts
    a = Part("a", product.a, tile.m, WORDS, block)
    b = Part("b", product.b, tile.n, WORDS, block)
    fetch_a, keep_a = _texts(a, "m0", product.m, precision)
    fetch_b, keep_b = _texts(b, "n0", product.n, precision)
    k.launch(
        label,
        _TENSOR,
        grid=grid,
        block=block,
        shared_bytes=4 * ROW * (tile.m + tile.n),
        registers=tile.registers(store),
        reads=reads,
        writes=[write],
        fetch_a=typed(fetch_a, kind, index),
        fetch_b=typed(fetch_b, kind, index),
        keep_a=keep_a,
        keep_b=keep_b,
        store=typed(store, kind, index),
        A_EACH=a.each,
        B_EACH=b.each,
        BM=tile.m,
        BN=tile.n,
        DEPTH=TENSOR_DEPTH[precision],
        ROW=ROW,
        WARP_M=tile.rows,
        WARP_N=tile.columns,
        WARPS_N=tile.n // tile.columns,
        MULTIPLY=f"mma_{precision}",
        **values,
    )
