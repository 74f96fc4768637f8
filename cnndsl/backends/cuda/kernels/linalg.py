"""Matrix products and dense layers."""

from __future__ import annotations

import math
from dataclasses import replace

from cnndsl.backends.cuda.kernel import KernelBuilder
from cnndsl.backends.cuda.kernels.elementwise import epilogue
from cnndsl.backends.cuda.kernels.gemm import write_product
from cnndsl.backends.cuda.kernels.gemm_tile import Fetch, Product, Store
from cnndsl.backends.cuda.layout import strides_of
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.linalg import DenseAttrs, MatmulAttrs, dense, matmul


@kernels.rule(matmul)
def matmul_cuda(k: KernelBuilder, node: Node[MatmulAttrs]) -> None:
    """One product for each matrix of the batch."""
    a, b, y = (*k.operands, *k.results)
    m, n = y.shape[-2:]
    depth = a.shape[-2] if node.attrs.transpose_a else a.shape[-1]
    write_product(
        k,
        Product(
            m=m,
            n=n,
            depth=depth,
            groups=max(1, y.size) // max(1, m * n),
            a=_fetch("a", a, turned=node.attrs.transpose_a),
            b=_fetch("b", b, turned=not node.attrs.transpose_b),
            store=Store(f"const $I i = {_place(y, 'm', 'n')};", run=_run(y)),
            factors=[("a", k.operand(0)), ("b", k.operand(1))],
        ),
    )


def _place(kind: TensorType, row: str, column: str) -> str:
    """Write where element `row`, `column` of matrix `g` of a batch lies."""
    *_, down, across = strides = strides_of(kind.shape)
    batch = Walk(kind.shape[:-2], strides[:-2]).offset("g")
    parts = [] if batch == "0" else [batch]
    return " + ".join([*parts, f"{row} * {down}", f"{column} * {across}"])


def _fetch(name: str, kind: TensorType, *, turned: bool) -> Fetch:
    """Fetch from matrices whose rows, or columns if `turned`, are walked by k."""
    text = _place(kind, "k", "f") if turned else _place(kind, "f", "k")
    return Fetch(name, f"offset = {text};", along_k=not turned, run=_run(kind))


def _run(kind: TensorType) -> int:
    """Give a number of elements that lie side by side, at a multiple of it, in each row."""
    *others, last = strides_of(kind.shape)
    return math.gcd(kind.shape[-1], *others) if last == 1 else 1


@kernels.rule(dense)
def dense_cuda(k: KernelBuilder, node: Node[DenseAttrs]) -> None:
    """A row an image, a column an output; bias and epilogue on the way to memory."""
    x, weight, y = k.operands[0], k.operands[1], k.results[0]
    count, outputs = y.shape
    biased = node.attrs.has_bias
    extras = k.operands[2 + biased :]
    end = epilogue(node.attrs.epilogue, y, extras)
    if biased:
        line = "value += bias[n];"
        end = replace(end, work=f"{line}\n{end.work}" if end.work else line)
    others = [("bias", k.operand(2))] if biased else []
    others += [(f"e{i}", k.operand(2 + biased + i)) for i in range(len(extras))]
    write_product(
        k,
        Product(
            m=count,
            n=outputs,
            depth=x.shape[1],
            groups=1,
            a=_fetch("x", x, turned=False),
            b=_fetch("weight", weight, turned=False),
            store=Store(
                place=f"const $I i = m * {outputs} + n;",
                ending=end,
                run=outputs,
            ),
            factors=[("x", k.operand(0)), ("weight", k.operand(1))],
            others=others,
        ),
    )
