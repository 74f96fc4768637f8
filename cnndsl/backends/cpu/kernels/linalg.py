"""Matrix products and the dense layer."""

from __future__ import annotations

from math import prod

from cnndsl.backends.cpu.kernel import KernelBuilder
from cnndsl.backends.cpu.kernels.dense_packed import PackedDense, fits_packed
from cnndsl.backends.cpu.kernels.epilogue import Epilogue
from cnndsl.backends.cpu.kernels.gemm import Matrix, Product, write_dots, write_outer
from cnndsl.backends.cpu.kernels.maps import write_fill
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.linalg import DenseAttrs, MatmulAttrs, dense, matmul


@kernels.rule(dense)
def dense_cpu(k: KernelBuilder, node: Node[DenseAttrs]) -> None:
    """Multiply rows of x and of the weight; bias and epilogue before anything is stored."""
    x, weight = k.operands[:2]
    count, depth, columns = x.shape[0], x.shape[1], weight.shape[0]
    if not k.results[0].size:
        return
    epilogue = Epilogue.of(k, has_bias=node.attrs.has_bias, program=node.attrs.epilogue)
    product = Product(count, columns, depth, 1, x)
    if fits_packed(k, product):
        packed = PackedDense(k, product, epilogue.apply)
        packed.write()
        k.uses(str(packed))
        return
    k.uses("dots")
    write_dots(
        k,
        product,
        Matrix(lambda f: f.operand(0), depth, 1, 0),
        Matrix(lambda f: f.operand(1), depth, 1, 0),
        Matrix(lambda f: f.result(), columns, 1, 0),
        epilogue.apply,
    )


@kernels.rule(matmul)
def matmul_cpu(k: KernelBuilder, node: Node[MatmulAttrs]) -> None:
    """Choose the walk by what is contiguous."""
    x, result = k.operands[0], k.results[0]
    rows, columns = result.shape[-2:]
    depth = x.shape[-2] if node.attrs.transpose_a else x.shape[-1]
    p = Product(rows, columns, depth, prod(result.shape[:-2]), x)
    if not result.size:
        return
    if not depth:
        write_fill(k, 0, 0.0)
        return
    strides_a = (1, rows) if node.attrs.transpose_a else (depth, 1)
    a = Matrix(lambda f: f.operand(0), *strides_a, rows * depth)
    c = Matrix(lambda f: f.result(), columns, 1, rows * columns)
    if not node.attrs.transpose_b:
        b = Matrix(lambda f: f.operand(1), columns, 1, depth * columns)
        write_outer(k, p, a, b, c)
    elif not node.attrs.transpose_a:
        b = Matrix(lambda f: f.operand(1), depth, 1, depth * columns)
        write_dots(k, p, a, b, c)
    else:
        # Neither runs along the depth in the way needed: c' = b' a' does.
        turned = Product(columns, rows, depth, p.batch, x)
        left = Matrix(lambda f: f.operand(1), depth, 1, depth * columns)
        right = Matrix(lambda f: f.operand(0), rows, 1, rows * depth)
        write_outer(k, turned, left, right, Matrix(lambda f: f.result(), 1, columns, c.batch))
