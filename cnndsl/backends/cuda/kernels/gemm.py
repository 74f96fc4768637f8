"""Products: c(m, n) is the sum over k of a(m, k) b(k, n), whatever array the factors come from.

Matrix products, dense layers, convolutions and both their gradients are all this, with other text
for where a factor lies and where a sum goes. Two templates share that text: multiply-adds of the
element type (`gemm_plain`), and tensor cores for rounded factors (`gemm_tensor`). Sums that are
long and few are cut along k; the parts are added in order by a second launch.
"""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, ceil_div, element
from cnndsl.backends.cuda.kernels.gemm_moments import Moments
from cnndsl.backends.cuda.kernels.gemm_plain import PLAIN_DEPTH, plain
from cnndsl.backends.cuda.kernels.gemm_tensor import TENSOR_DEPTH, tensor
from cnndsl.backends.cuda.kernels.gemm_tile import (
    Product,
    Store,
    Tile,
    choose_tile,
    store_many,
    typed,
)
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.kernels.rows import MULTIPROCESSORS
from cnndsl.backends.cuda.text import index_type
from cnndsl.ir.types import DType


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
        "K": f"({product.terms})" if product.terms else product.depth,
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
        moments = None
        if product.moments:
            count = ceil_div(product.m, tile.m) * product.groups * product.n
            moments = Moments(*k.slice_moments(tile.m, count, element(result)))
        write(k, "", tile, product, grid, product.store, reads, k.result(), values, moments)
        return
    k.algorithm += f" in {slices} slices"
    part = k.scratch(slices * result.size, element(result))
    first = f"(slice * {product.groups} + g) * {product.m} + m"
    keep = Store(f"const $I i = ({first}) * {product.n} + n;", run=product.n)
    write(k, "slices", tile, product, grid, keep, product.factors, part, values)
    _join(k, product, slices, part, str(values["I"]))


def _slices(product: Product, tile: Tile, depth: int) -> int:
    """Tell into how many parts the sums are cut: enough that every multiprocessor has work."""
    tiles = tile.count(product.m, product.n) * product.groups
    wanted = ceil_div(2 * MULTIPROCESSORS, tiles)
    return max(1, min(wanted, product.depth // (8 * depth), 64))


_JOIN = """
const $I e = i * $VECTOR, g = e / $PLANE, m = e / $N % $M, n0 = e % $N;
$T sums[$VECTOR] = {};
for (int s = 0; s < $SLICES; ++s) {
    const Pack<$T, $VECTOR> more = take<$VECTOR>(part + ($I)s * $SIZE + e);
    #pragma unroll
    for (int j = 0; j < $VECTOR; ++j) sums[j] += more.at[j];
}
{
    $store
}
"""


def _join(k: KernelBuilder, product: Product, slices: int, part: Pointer, index: str) -> None:
    """Add the parts of each sum and store it."""
    plane, y = product.m * product.n, k.result()
    vector = 4 if product.n % 4 == 0 and product.store.run % 4 == 0 else 1
    kind = element(k.results[0])
    store = store_many(product.store, vector, "sums[j]")
    each(
        k,
        "join",
        plane * product.groups // vector,
        _JOIN,
        reads=[("part", part), *product.others],
        writes=[("y", y)],
        largest=slices * plane * product.groups,
        store=typed(store, {"T": kind, "S": y.kind, "I": index}),
        VECTOR=vector,
        T=kind,
        PLANE=plane,
        M=product.m,
        N=product.n,
        SLICES=slices,
        SIZE=plane * product.groups,
    )
