"""How far rounding may carry the results of a graph, from what each op may round by itself.

Each op has a rule: how far its results may be off, element by element, if its operands are exact.
A sum of n products is off by about sqrt(n) units in the last place of the sum of their absolute
values (Higham and Mary, 2019: rounding errors are independent enough, so their sum grows with the
root); what only moves or compares numbers is exact; an elementary function is off by a few units.

What these errors become on their way through the graph is not estimated but computed: the graph is
evaluated in double precision, moving every value by its op's bound up or down, as chance has it,
and the results are compared with those that nothing moved. So a value close to a kink of its
function counts on both sides of it, and a batch norm of few numbers amplifies as it does in truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import OPS, Trait
from cnndsl.ir.types import DType
from cnndsl.ops.activations import elu_grad, leaky_relu_grad, relu, relu6, relu6_grad, relu_grad
from cnndsl.ops.conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from cnndsl.ops.elementwise import maximum, minimum, neg, select_less
from cnndsl.ops.evaluate import node_in_precision
from cnndsl.ops.linalg import dense, matmul
from cnndsl.ops.loss import cross_entropy, hinge, softmax_cross_entropy, softmax_cross_entropy_grad
from cnndsl.ops.lrn import lrn, lrn_grad
from cnndsl.ops.norm import batch_norm, batch_norm_grad, batch_norm_train
from cnndsl.ops.pad import pad
from cnndsl.ops.pool import (
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
    max_pool2d_gather,
    max_pool2d_grad,
)
from cnndsl.ops.random import dropout_mask
from cnndsl.ops.reduce import (
    argmax,
    reduce_max,
    reduce_max_grad,
    reduce_max_pick,
    reduce_mean,
    reduce_sum,
)
from cnndsl.ops.resize import ResizeGradAttrs, resize, resize_grad
from cnndsl.ops.rules import Array, RuleTable, compute
from cnndsl.ops.shape import broadcast_to, concat, reshape, slice_, slice_grad, split, transpose
from cnndsl.ops.softmax import log_softmax, maxout, softmax
from cnndsl.ops.structural import constant, full, input_, parameter
from cnndsl.ops.unary import abs_, cast, identity, sign, stop_gradient

Bound = Callable[[Node[Any], Sequence[Array], Sequence[Array]], Sequence[Array | float]]
"""`(node, operands, results) -> bounds`, one a result, in units of half a last place of 1."""

bounds: RuleTable[Bound] = RuleTable("rounding")

UNIT = {DType.F32: 2.0**-24, DType.F64: 2.0**-53}
"""Half a unit in the last place of 1."""
FUNCTION = 6.0
"""What an elementary function may be off, in such units."""
WINOGRAD = 16.0
"""How much further Winograd's sums are off than plain ones, of the largest result."""
TRIES = 3
"""Evaluations with values moved by chance."""
TAIL = 2.0
"""How much further than in those few evaluations a result may be off."""


def _total(node: Node[Any], operands: Sequence[Array]) -> Array:
    """Give the same sum of the operands' absolute values."""
    return compute(node, *(np.abs(array) for array in operands))[0]


@bounds.rule(
    *(input_, parameter, reshape, transpose, concat, split, slice_, slice_grad, broadcast_to, pad),
    *(identity, stop_gradient, neg, abs_, sign, maximum, minimum, select_less, relu, relu6),
    *(relu_grad, relu6_grad, max_pool2d, max_pool2d_gather, global_max_pool, maxout, argmax),
    *(reduce_max, reduce_max_pick),
)
def moved(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array | float]:
    """What moves, picks or compares numbers rounds nothing."""
    return [0.0] * len(results)


@bounds.rule(constant, full, cast, dropout_mask, leaky_relu_grad, reduce_max_grad)
def rounded(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array | float]:
    """A number that is written down, or times one or over a count, is rounded once or twice."""
    return [2 * np.abs(result) if result.dtype.kind == "f" else 0.0 for result in results]


@bounds.rule(conv2d, dense, matmul, conv2d_grad_input, conv2d_grad_weight)
def products(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """Sums of products; a 3x3 or 5x5 convolution may be Winograd's."""
    if node.op is conv2d_grad_weight:
        terms = operands[1].size // operands[1].shape[1]
    elif node.op is conv2d_grad_input:
        terms = operands[1].size // operands[1].shape[1] // node.attrs.groups
    else:
        terms = prod(operands[1].shape[1:])
    found = (sqrt(terms) + 2) * _total(node, operands)
    window = results[0].shape if node.op is conv2d_grad_weight else operands[1].shape
    if len(window) == 4 and window[2:] in ((3, 3), (5, 5)):
        found = np.maximum(found, WINOGRAD * found.max())
    return [found]


@bounds.rule(avg_pool2d, avg_pool2d_grad, max_pool2d_grad, global_avg_pool, reduce_sum, reduce_mean)
def plain_sums(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """Sums of an operand's elements; a gradient of windows that overlap is one, too."""
    if node.op is max_pool2d_grad:
        terms, total = prod(node.attrs.window), compute(node, np.abs(operands[0]), *operands[1:])[0]
    elif node.op in (avg_pool2d, avg_pool2d_grad):
        terms, total = prod(node.attrs.window), _total(node, operands)
    else:
        terms, total = operands[0].size // max(1, results[0].size), _total(node, operands)
    return [(sqrt(terms) + 3) * total]


def _along(values: Array, rank: int) -> Array:
    return values.reshape(1, -1, *(1,) * (rank - 2))


def _over(array: Array) -> Array:
    """Give the mean of each channel."""
    return np.asarray(array.mean(axis=(0, *range(2, array.ndim))))


@bounds.rule(batch_norm)
def known_norm(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """Also right where the norm is folded into weights: then x and mean are rounded apart."""
    x, scale, shift, mean, variance = operands
    factor = np.abs(scale) / np.sqrt(variance + node.attrs.eps)
    size = (np.abs(x) + _along(np.abs(mean), x.ndim)) * _along(factor, x.ndim)
    return [FUNCTION * size + _along(np.abs(shift), x.ndim)]


@bounds.rule(batch_norm_train)
def own_norm(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """The mean's and the variance's own errors, and what they do to the result."""
    x, scale, shift = operands
    _, mean, variance = results
    away = np.abs(x - _along(mean, x.ndim))
    root = sqrt(x.size // x.shape[1]) + 3
    of_mean = root * _over(np.abs(x))
    of_variance = 2 * root * variance
    spread = variance + node.attrs.eps
    factor = np.abs(scale) / np.sqrt(spread)
    relative = FUNCTION + of_variance / spread / 2
    off = _along(of_mean, x.ndim) + away * _along(relative, x.ndim)
    return [off * _along(factor, x.ndim) + _along(np.abs(shift), x.ndim), of_mean, of_variance]


@bounds.rule(batch_norm_grad)
def norm_grad(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """Both sums, and what they do to the gradient."""
    grad, x, scale, mean, variance = operands
    rate = 1 / np.sqrt(variance + node.attrs.eps)
    along = np.abs(x - _along(mean, x.ndim)) * _along(rate, x.ndim)
    count = x.size // x.shape[1]
    root = sqrt(count) + FUNCTION
    level, slope = _over(np.abs(grad)), _over(np.abs(grad) * along)
    inside = np.abs(grad) + _along(level, x.ndim) + along * _along(slope, x.ndim)
    factor = _along(np.abs(scale) * rate, x.ndim)
    return [root * inside * factor, root * slope * count, root * level * count]


@bounds.rule(lrn)
def response(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """A short sum of positive numbers and a power."""
    return [(2 * FUNCTION + node.attrs.size) * np.abs(results[0])]


@bounds.rule(lrn_grad)
def response_grad(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """Two parts, each of which may be as large as the largest gradient times what follows."""
    grad, x = operands
    a = node.attrs
    most = a.size * float(np.square(x).max(initial=0.0)) / a.k
    largest = float(np.abs(grad).max(initial=0.0)) * a.k**-a.beta
    return [
        np.full(grad.shape, (2 * FUNCTION + a.size) * largest * (1 + 2 * a.alpha * a.beta * most))
    ]


@bounds.rule(resize, resize_grad)
def blends(node: Node[Any], operands: Sequence[Array], results: Sequence[Array]) -> Sequence[Array]:
    """Shares are rounded, and so are their products and sums, once on each axis."""
    terms = 4
    if isinstance(node.attrs, ResizeGradAttrs):
        terms += max(1, operands[0].size // results[0].size)
    return [(sqrt(terms) + 6) * _total(node, operands)]


def _range(x: Array) -> float:
    """Give how far the exponent of a softmax may reach."""
    return float(np.ptp(x)) if x.size else 0.0


@bounds.rule(softmax)
def shares(node: Node[Any], operands: Sequence[Array], results: Sequence[Array]) -> Sequence[Array]:
    """The exponent is rounded in units of itself."""
    return [(2 * FUNCTION + _range(operands[0])) * results[0]]


@bounds.rule(log_softmax, softmax_cross_entropy, hinge, cross_entropy)
def scores(node: Node[Any], operands: Sequence[Array], results: Sequence[Array]) -> Sequence[Array]:
    """Logarithms and margins, as large as the scores they are made of."""
    size = 1 + _range(operands[0]) + float(np.abs(results[0]).max(initial=0.0))
    return [np.full(results[0].shape, 2 * FUNCTION * size)]


@bounds.rule(softmax_cross_entropy_grad)
def scores_grad(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """A share less 1, whose error is that of a number near 1."""
    grad, logits, labels = operands
    size = (2 * FUNCTION + _range(logits)) * float(np.abs(grad)) / labels.size
    return [np.full(logits.shape, size)]


@bounds.rule(*(op for op in OPS.values() if op not in bounds and Trait.ELEMENTWISE in op.traits))
def elementwise(
    node: Node[Any], operands: Sequence[Array], results: Sequence[Array]
) -> Sequence[Array]:
    """Arithmetic rounds once; a function that ends in a difference rounds its parts.

    Those parts are numbers up to 1 times the operand, or times the incoming gradient.
    """
    result = np.abs(results[0])
    if node.op.name in ("add", "sub", "mul", "div", "square", "sqrt", "leaky_relu", "prelu"):
        return [2 * result]
    first = np.abs(operands[0])
    of_grad = node.op.name.endswith("_grad") or node.op is elu_grad
    return [FUNCTION * (result + np.minimum(first, 1.0) + first * of_grad)]


@bounds.rule(*(op for op in OPS.values() if op not in bounds))
def losses(node: Node[Any], operands: Sequence[Array], results: Sequence[Array]) -> Sequence[Array]:
    """What is left are means of positive numbers, and gradients with one rounding an element."""
    return [(sqrt(max(1, operands[0].size)) + FUNCTION) * np.abs(array) for array in results]


class Rounding:
    """The results of a graph in double precision, and how far rounding may carry them."""

    def __init__(self, graph: Graph, feeds: Mapping[str, Array], dtype: DType) -> None:
        """Evaluate the outputs and updates of a graph that computes in `dtype`."""
        self.graph = graph
        self._feeds = feeds
        self._unit = UNIT[dtype]
        self._names = {**graph.outputs, **{str(n): v for n, v in graph.updates.items()}}
        self.exact = self._evaluate(None)
        """Outputs and updates by name."""
        tries = [self._evaluate(np.random.default_rng(seed)) for seed in range(TRIES)]
        self.allowed = {
            name: TAIL * max(_furthest(one[name], array) for one in tries)
            + TAIL * self._unit * float(np.abs(array).max(initial=0.0))
            for name, array in self.exact.items()
        }
        """How far the elements of each may be off."""

    def _evaluate(self, rng: np.random.Generator | None) -> dict[str, Array]:
        known: dict[Value, Array] = {}
        for node in self.graph.nodes():
            here = node_in_precision(node, DType.F64)
            operands = [known[value] for value in node.operands]
            if node.op in (input_, parameter):
                feed = np.asarray(self._feeds[node.id], here.type.dtype.numpy)
                known[node.results[0]] = feed
                continue
            results = compute(here, *operands)
            if rng is not None:
                off = bounds[node.op](here, operands, results)
                results = tuple(
                    self._moved(result, bound, rng)
                    for result, bound in zip(results, off, strict=True)
                )
            known.update(zip(node.results, results, strict=True))
        return {name: known[value] for name, value in self._names.items()}

    def _moved(self, result: Array, bound: Array | float, rng: np.random.Generator) -> Array:
        if result.dtype.kind != "f":
            return result
        ways = rng.choice((-1.0, 1.0), result.shape)
        return np.asarray(result + ways * self._unit * bound)

    def worst(self, found: Mapping[str, Array]) -> tuple[float, str]:
        """Give the largest share of what is allowed, and whose it is."""
        shares = [(_share(self, name, found[name]), name) for name in self.exact]
        return max(shares, default=(0.0, ""))

    def error(self, found: Mapping[str, Array]) -> float:
        """Give the largest error of any result, relative to its largest element."""
        return max(
            _furthest(found[name], array) / max(1e-30, float(np.abs(array).max(initial=0.0)))
            for name, array in self.exact.items()
        )


def _share(rounding: Rounding, name: str, found: Array) -> float:
    off = _furthest(found, rounding.exact[name])
    allowed = rounding.allowed[name]
    return off / allowed if allowed else (0.0 if off == 0 else np.inf)


def _furthest(found: Array, exact: Array) -> float:
    if found.dtype.kind != "f":
        return float(np.any(found != exact))
    apart = np.abs(np.asarray(found, np.float64) - exact)
    return float(apart.max(initial=0.0)) if np.isfinite(apart).all() else np.inf
