"""Products: c(m, n) is the sum over k of a(m, k) b(k, n), whatever array the factors come from.

Matrix products, dense layers, convolutions and both their gradients are all this, with other text
for fetching a factor and for storing a sum. Two templates share that text: multiply-adds of the
element type (`gemm_plain`), and tensor cores for rounded factors (`gemm_tensor`). Sums that are
long and few are cut along k; the parts are added in order by a second launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, ceil_div, element
from cnndsl.backends.cuda.kernels.gemm_plain import PLAIN_DEPTH, plain
from cnndsl.backends.cuda.kernels.gemm_tensor import TENSOR_DEPTH, tensor
from cnndsl.backends.cuda.kernels.gemm_tile import Fetch, Tile, choose_tile
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.kernels.rows import MULTIPROCESSORS
from cnndsl.backends.cuda.text import index_type
from cnndsl.ir.types import DType


@dataclass(frozen=True, slots=True)
class Product:
    """What is computed, for `groups` independent products of one size."""

    m: int
    """Rows of the result."""
    n: int
    """Columns of the result."""
    depth: int
    """Terms of each sum."""
    groups: int
    """How many such products; text knows the number of one as `g`."""
    a: Fetch
    """The first factor, by `f` (its row) and `k`."""
    b: Fetch
    """The second factor, by `f` (its column) and `k`."""
    store: str
    """Statements that store `value` for row `m` and column `n`."""
    factors: Sequence[tuple[str, Pointer]]
    """Arrays that the factors are fetched from."""
    others: Sequence[tuple[str, Pointer]] = field(default=())
    """Arrays that `store` reads."""


def write_product(k: KernelBuilder, product: Product) -> None:
    """Write the launches of a product whose result is the node's first."""
    result = k.results[0]
    if not result.size:
        return
    tensors = k.policy.precision != "fp32" and result.dtype is DType.F32
    depth = TENSOR_DEPTH[k.policy.precision] if tensors else PLAIN_DEPTH
    tile = choose_tile(
        product.m, product.n, product.groups, tensors=tensors, wide=result.dtype is DType.F32
    )
    slices = _slices(product, tile, depth)
    length = ceil_div(ceil_div(product.depth, slices), depth) * depth
    slices = max(1, ceil_div(product.depth, length)) if length else 1
    sizes = (t.size for t in (*k.operands, *k.results))
    values: dict[str, object] = {
        "T": element(result),
        "I": index_type(*sizes, product.m * product.n * product.groups * slices),
        "M": product.m,
        "N": product.n,
        "K": product.depth,
        "GROUPS": product.groups,
        "TILES_N": ceil_div(product.n, tile.n),
        "TILES_M": ceil_div(product.m, tile.m),
        "LENGTH": length,
    }
    grid = tile.count(product.m, product.n) * product.groups * slices
    k.algorithm = f"{k.policy.precision if tensors else 'plain'} {tile.m}x{tile.n}"
    write = tensor if tensors else plain
    if slices == 1:
        reads = [*product.factors, *product.others]
        write(k, "", tile, product, grid, product.store, reads, ("y", k.result()), values)
        return
    k.algorithm += f" in {slices} slices"
    part = k.scratch(slices * result.size, element(result))
    keep = "part[((slice * $GROUPS + g) * $M + m) * $N + n] = value;"
    for name in ("GROUPS", "M", "N"):
        keep = keep.replace(f"${name}", str(values[name]))
    write(k, "slices", tile, product, grid, keep, product.factors, ("part", part), values)
    _join(k, product, slices, part)


def _slices(product: Product, tile: Tile, depth: int) -> int:
    """Tell into how many parts the sums are cut: enough that every multiprocessor has work."""
    tiles = tile.count(product.m, product.n) * product.groups
    wanted = ceil_div(2 * MULTIPROCESSORS, tiles)
    return max(1, min(wanted, product.depth // (8 * depth), 64))


_JOIN = """
const $I g = i / $PLANE, m = i / $N % $M, n = i % $N;
$T value = 0;
for (int s = 0; s < $SLICES; ++s) value += part[($I)s * $SIZE + i];
$store
"""


def _join(k: KernelBuilder, product: Product, slices: int, part: Pointer) -> None:
    """Add the parts of each sum and store it."""
    plane = product.m * product.n
    each(
        k,
        "join",
        plane * product.groups,
        _JOIN.replace("$store", product.store),
        reads=[("part", part), *product.others],
        writes=[("y", k.result())],
        largest=slices * plane * product.groups,
        T=element(k.results[0]),
        PLANE=plane,
        M=product.m,
        N=product.n,
        SLICES=slices,
        SIZE=plane * product.groups,
    )
