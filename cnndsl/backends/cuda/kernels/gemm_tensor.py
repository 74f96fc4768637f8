"""Products by tensor cores: factors of tf32, bf16 or f16, sums in f32 (`mma.sync`).

A block walks along k in steps. While a step is multiplied, those after it are on their way to other
stages of shared memory: asynchronously where 16 bytes of a factor lie side by side in the form that
is multiplied, through registers otherwise (`gemm_stage`). A warp computes a part of the tile by
fragments of 16 x 8 and hands its sums, 16 rows at a time, through shared memory to the lanes that
store them, so that those write 16 bytes each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnndsl.backends.cuda.kernel import MOST_SHARED_BYTES, SIZES, WIDE, KernelBuilder, Pointer
from cnndsl.backends.cuda.kernels.gemm_moments import Moments, of_warps, room_for
from cnndsl.backends.cuda.kernels.gemm_stage import Stage
from cnndsl.backends.cuda.kernels.gemm_tile import Product, Store, Tile, store_many, typed

TENSOR_DEPTH = {"tf32": 16, "bf16": 32, "fp16": 32, "fp32": 16}
"""Steps along k, by precision."""
MOST_STAGES = 4
ROOM_PAD = 4
"""Words between rows of sums in shared memory."""

_TENSOR = """
const int tid = threadIdx.x, warp = tid / 32, lane = tid % 32, group = lane / 4, pair = lane % 4;
const int warp_m = warp / $WARPS_N * $WARP_M, warp_n = warp % $WARPS_N * $WARP_N;
$I block = blockIdx.x;
const $I tile_n = block % $TILES_N * $BN;
block /= $TILES_N;
const $I m0 = block % $TILES_M * $BM;
block /= $TILES_M;
const $I g = block % $GROUPS, slice = block / $GROUPS;
const $I begin = slice * $LENGTH, stop = begin + $LENGTH < $K ? begin + $LENGTH : $K;
float sums[$WARP_M / 16][$WARP_N / 8][4] = {};
$kept
$I at = begin;
for (int s = 0; s < $STAGES - 1; ++s) {
    unsigned char* a_next = shared_memory + s * $STAGE;
    unsigned char* b_next = a_next + $A_BYTES;
    if (at < stop) {
        $fetch_a
        $fetch_b
        $keep_a
        $keep_b
    }
    copy_commit();
    at += $DEPTH;
}
int reading = 0, writing = $STAGES - 1;
for ($I now = begin; now < stop; now += $DEPTH) {
    copy_wait<$STAGES - 2>();
    __syncthreads();
    unsigned char* a_next = shared_memory + writing * $STAGE;
    unsigned char* b_next = a_next + $A_BYTES;
    if (at < stop) {
        $fetch_a
        $fetch_b
    }
    copy_commit();
    const unsigned char* a_tile = shared_memory + reading * $STAGE;
    const unsigned char* b_tile = a_tile + $A_BYTES;
    #pragma unroll
    for (int step = 0; step < 2; ++step) {
        unsigned a[$WARP_M / 16][4], b[$WARP_N / 8][2];
        $load_a
        $load_b
        #pragma unroll
        for (int i = 0; i < $WARP_M / 16; ++i)
            #pragma unroll
            for (int j = 0; j < $WARP_N / 8; ++j) $MULTIPLY(sums[i][j], a[i], b[j]);
    }
    if (at < stop) {
        $keep_a
        $keep_b
    }
    at += $DEPTH;
    reading = reading + 1 == $STAGES ? 0 : reading + 1;
    writing = writing + 1 == $STAGES ? 0 : writing + 1;
}
__syncthreads();
float* room = reinterpret_cast<float*>(shared_memory) + warp * 16 * $ROOM;
$nothing
#pragma unroll
for (int i = 0; i < $WARP_M / 16; ++i) {
    #pragma unroll
    for (int j = 0; j < $WARP_N / 8; ++j)
        #pragma unroll
        for (int r = 0; r < 4; ++r)
            room[(r / 2 * 8 + group) * $ROOM + j * 8 + pair * 2 + r % 2] = sums[i][j][r];
    __syncwarp();
    for (int e = lane; e < 16 * $WARP_N / $VECTOR; e += 32) {
        const int down = e / ($WARP_N / $VECTOR), right = e % ($WARP_N / $VECTOR) * $VECTOR;
        const $I m = m0 + warp_m + i * 16 + down, n0 = tile_n + warp_n + right;
        if (m < $M && n0 < $N) {
            float* found = room + down * $ROOM + right;
            {
                $store
            }
        }
    }
    __syncwarp();
    $sixteen
}
$moments
"""


def tensor(
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
    precision, block = k.policy.precision, 32 * tile.parts
    known = {**values, "S": write.kind}
    a = Stage("a", product.a, product.kind_of(product.a), tile.m, block, precision, tile.rows)
    b = Stage("b", product.b, product.kind_of(product.b), tile.n, block, precision, tile.columns)
    fetch_a, keep_a = a.texts("m0", product.m)
    fetch_b, keep_b = b.texts("tile_n", product.n)
    stage = a.nbytes + b.nbytes
    stages = max(2, min(MOST_STAGES, MOST_SHARED_BYTES // stage))
    room = tile.columns + ROOM_PAD
    vector = WIDE // SIZES[write.kind]
    while store.run % vector:
        vector //= 2
    shared = max(stages * stage, tile.parts * 16 * room * 4)
    k.launch(
        label,
        of_warps(_TENSOR, tile, moments),
        grid=grid,
        block=block,
        shared_bytes=max(shared, room_for(tile, "float")) if moments else shared,
        registers=tile.registers(store),
        reads=reads,
        writes=[("y", write), *(moments.writes if moments else [])],
        kept="\n".join(line for line in (a.kept, b.kept) if line),
        fetch_a=typed(fetch_a, known),
        fetch_b=typed(fetch_b, known),
        keep_a=keep_a,
        keep_b=keep_b,
        load_a=a.load,
        load_b=b.load,
        store=typed(store_many(store, vector, "found[j]", keep=moments is not None), known),
        STAGES=stages,
        STAGE=stage,
        A_BYTES=a.nbytes,
        ROOM=room,
        VECTOR=vector,
        BM=tile.m,
        BN=tile.n,
        DEPTH=TENSOR_DEPTH[precision],
        WARP_M=tile.rows,
        WARP_N=tile.columns,
        WARPS_N=tile.n // tile.columns,
        MULTIPLY=f"mma_{k.policy.half or precision}",
        **{name: value for name, value in values.items() if name != "T"},
    )
