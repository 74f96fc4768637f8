"""Losses of a prediction against a target: the mean of one expression over all elements."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, element
from cnndsl.backends.cuda.kernels.rows import Rows, total_rows
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk, render
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.elementwise_loss import (
    SmoothL1Attrs,
    binary_cross_entropy,
    binary_cross_entropy_logits,
    l1,
    smooth_l1,
    squared_error,
)
from cnndsl.ops.loss import FLOOR


def _mean(k: KernelBuilder, expression: str, **values: object) -> None:
    """Write the mean of an expression of prediction `p` and target `t`, of type `$T`."""
    kind, x = element(k.operands[0]), k.operands[0]
    lets = f"const {kind} p = x[j], t = target[j];\nconst {kind} value = "
    if "$T" in expression:
        values["T"] = kind
    total_rows(
        k,
        Rows(Walk((1,), (0,)), Walk((x.size,), (1,))),
        how="Sum",
        kind=kind,
        value=lets + render(expression, **values) + ";",
        finish=f"total / {literal(x.size, x.dtype)}",
        reads=[("x", k.operand(0)), ("target", k.operand(1))],
    )


@kernels.rule(squared_error)
def squared_error_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average the squares."""
    _mean(k, "(p - t) * (p - t)")


@kernels.rule(l1)
def l1_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average the distances."""
    _mean(k, "magnitude(p - t)")


@kernels.rule(smooth_l1)
def smooth_l1_cuda(k: KernelBuilder, node: Node[SmoothL1Attrs]) -> None:
    """Average both pieces."""
    dtype, beta = k.operands[0].dtype, node.attrs.beta
    _mean(
        k,
        "magnitude(p - t) < $BETA ? (p - t) * (p - t) / $DOUBLE : magnitude(p - t) - $HALF",
        BETA=literal(beta, dtype),
        DOUBLE=literal(2 * beta, dtype),
        HALF=literal(beta / 2, dtype),
    )


@kernels.rule(binary_cross_entropy)
def binary_cross_entropy_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average both logarithms."""
    _mean(
        k,
        "-(t * log_of(larger(p, $LEAST)) + ($T(1) - t) * log_of(larger($T(1) - p, $LEAST)))",
        LEAST=literal(FLOOR, k.operands[0].dtype),
    )


@kernels.rule(binary_cross_entropy_logits)
def binary_cross_entropy_logits_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average max(x, 0) - x t + log(1 + e^-|x|)."""
    _mean(k, "larger(p, $T(0)) - p * t + log1p_of(exp_of(-magnitude(p)))")
