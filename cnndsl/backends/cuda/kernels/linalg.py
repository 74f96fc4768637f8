"""Matrix products and dense layers."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder
from cnndsl.backends.cuda.kernels.elementwise import epilogue
from cnndsl.backends.cuda.kernels.gemm import Product, write_product
from cnndsl.backends.cuda.kernels.gemm_tile import Fetch
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.linalg import DenseAttrs, MatmulAttrs, dense, matmul


def _fetch(name: str, rows: int, columns: int, *, turned: bool) -> Fetch:
    """Fetch from matrices `rows` x `columns` whose rows, or columns if `turned`, are walked by k.

    `rows` and `columns` are those of the array as it lies.
    """
    base = f"g * {rows * columns} + "
    if turned:
        return Fetch(f"value = {name}[{base}k * {columns} + f];", along_k=False)
    return Fetch(f"value = {name}[{base}f * {columns} + k];", along_k=True)


@kernels.rule(matmul)
def matmul_cuda(k: KernelBuilder, node: Node[MatmulAttrs]) -> None:
    """One product for each matrix of the batch."""
    a, b, y = (*k.operands, *k.results)
    m, n = y.shape[-2:]
    depth = a.shape[-2] if node.attrs.transpose_a else a.shape[-1]
    groups = max(1, y.size) // max(1, m * n)
    write_product(
        k,
        Product(
            m=m,
            n=n,
            depth=depth,
            groups=groups,
            a=_fetch("a", a.shape[-2], a.shape[-1], turned=node.attrs.transpose_a),
            b=_fetch("b", b.shape[-2], b.shape[-1], turned=not node.attrs.transpose_b),
            store=f"y[(g * {m} + m) * {n} + n] = value;",
            factors=[("a", k.operand(0)), ("b", k.operand(1))],
        ),
    )


@kernels.rule(dense)
def dense_cuda(k: KernelBuilder, node: Node[DenseAttrs]) -> None:
    """A row an image, a column an output; bias and epilogue on the way to memory."""
    x, weight, y = k.operands[0], k.operands[1], k.results[0]
    count, outputs = y.shape
    biased = node.attrs.has_bias
    extras = k.operands[2 + biased :]
    work, found = epilogue(node.attrs.epilogue, y, extras, "value", "i")
    lines = [f"const $I i = m * {outputs} + n;"]
    if biased:
        lines.append("value += bias[n];")
    others = [("bias", k.operand(2))] if biased else []
    others += [(f"e{i}", k.operand(2 + biased + i)) for i in range(len(extras))]
    write_product(
        k,
        Product(
            m=count,
            n=outputs,
            depth=x.shape[1],
            groups=1,
            a=_fetch("x", *x.shape, turned=False),
            b=_fetch("weight", *weight.shape, turned=False),
            store="\n".join([*lines, *([work] if work else []), f"y[i] = {found};"]),
            factors=[("x", k.operand(0)), ("weight", k.operand(1))],
            others=others,
        ),
    )
