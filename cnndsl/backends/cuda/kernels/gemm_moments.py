"""Moments of the columns of a product's tiles, taken while what is stored is still at hand.

A batch norm after a convolution needs the mean and the variance of each channel. Each thread, or
lane, sums the distances of its elements of a column from the first of them; the parts of a tile are
joined by their means and by the squares of how far these lie apart (Chan, Golub and LeVeque 1979),
in a fixed order, so that nothing cancels and every run gives the same bits. What is summed is what
is stored, rounded as in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import SIZES, Pointer
from cnndsl.backends.cuda.kernels.gemm_tile import Tile

NUMBERS = 3
"""Of a part of a column: how many elements, their mean, the squares of their distances from it."""

_OF_A_THREAD = """
#pragma unroll
for (int j = 0; j < $COLUMNS; ++j) {
    const $T first = sums[0][j];
    $T total = 0, squares = 0;
    int count = 0;
    #pragma unroll
    for (int i = 0; i < $ROWS; ++i) {
        if (m0 + i / 4 * $HALF_M + ty * 4 + i % 4 < $M) {
            const $T d = sums[i][j] - first;
            total += d;
            squares += d * d;
            ++count;
        }
    }
    const $T gap = count ? total / $T(count) : $T(0);
    $T* part = reinterpret_cast<$T*>(shared_memory)
        + (ty * $BN + j / 4 * $HALF_N + tx * 4 + j % 4) * 3;
    part[0] = $T(count);
    part[1] = count ? first + gap : $T(0);
    part[2] = count ? squares - total * gap : $T(0);
}
"""

_NOTHING = """
float first = 0, total = 0, squares = 0;
int count = 0;
"""

_OF_ROWS = """
if (lane < $WARP_N) {
    const $I left = $M - (m0 + warp_m + i * 16);
    for (int r = 0; r < 16 && r < left; ++r) {
        const float seen = room[r * $ROOM + lane];
        if (!count) first = seen;
        const float d = seen - first;
        total += d;
        squares += d * d;
        ++count;
    }
}
__syncwarp();
"""

_OF_A_LANE = """
__syncthreads();
if (lane < $WARP_N) {
    const float gap = count ? total / count : 0.0f;
    float* part = reinterpret_cast<float*>(shared_memory)
        + (warp / $WARPS_N * $BN + warp_n + lane) * 3;
    part[0] = count;
    part[1] = count ? first + gap : 0.0f;
    part[2] = count ? squares - total * gap : 0.0f;
}
"""

_JOIN = """
__syncthreads();
for (int c = tid; c < $BN && tile_n + c < $N; c += $THREADS) {
    const $T* parts = reinterpret_cast<const $T*>(shared_memory) + c * 3;
    $T number = 0, mean = 0, apart = 0;
    for (int p = 0; p < $PARTS; ++p) {
        number += parts[p * $BN * 3];
        mean += parts[p * $BN * 3] * parts[p * $BN * 3 + 1];
    }
    mean /= number;
    for (int p = 0; p < $PARTS; ++p) {
        const $T gap = parts[p * $BN * 3 + 1] - mean;
        apart += parts[p * $BN * 3 + 2] + gap * gap * parts[p * $BN * 3];
    }
    const $I at = (m0 / $BM * $GROUPS + g) * $N + tile_n + c;
    tile_means[at] = mean;
    tile_squares[at] = apart;
}
"""


@dataclass(frozen=True, slots=True)
class Moments:
    """Where the moments of tiles go: [tiles along m, all columns] each."""

    means: Pointer
    """Of each tile's part of a column."""
    squares: Pointer
    """Sums of the squared distances from it."""

    @property
    def writes(self) -> list[tuple[str, Pointer]]:
        """What a launch writes beside its result."""
        return [("tile_means", self.means), ("tile_squares", self.squares)]


def of_threads(template: str, tile: Tile, moments: Moments | None) -> str:
    """Put moments, if any, at `$moments` of a template whose threads have `sums[i][j]`."""
    if moments is None:
        return template.replace("$moments", "")
    parts = tile.m // tile.rows
    text = _filled([_OF_A_THREAD, _JOIN], PARTS=parts, THREADS=tile.parts)
    return template.replace("$moments", text)


def of_warps(template: str, tile: Tile, moments: Moments | None) -> str:
    """Put moments, if any, into a template whose warps lay 16 rows at a time in shared memory.

    `$nothing` is where they begin, `$sixteen` follows each 16 rows, `$moments` comes last.
    """
    texts = ("", "", "")
    if moments is not None:
        known = {"PARTS": tile.m // tile.rows, "THREADS": 32 * tile.parts, "T": "float"}
        texts = _NOTHING.strip(), _OF_ROWS.strip(), _filled([_OF_A_LANE, _JOIN], **known)
    for name, text in zip(("nothing", "sixteen", "moments"), texts, strict=True):
        template = template.replace(f"${name}", text)
    return template


def room_for(tile: Tile, kind: str) -> int:
    """Give the bytes of shared memory that the parts of a tile take."""
    return tile.m // tile.rows * tile.n * NUMBERS * SIZES[kind]


def _filled(texts: Sequence[str], **values: object) -> str:
    text = "\n".join(text.strip() for text in texts)
    for name, value in values.items():
        text = text.replace(f"${name}", str(value))
    return text
