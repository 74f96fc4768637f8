"""What a library is asked to compute: convolutions and products, read from a step's key.

A library may do the whole of a region (product, bias, addition, ReLU), or the product alone, with
our own kernel for what comes after it. Both are candidates; what is faster is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

from cnndsl.backends.cuda.kernel import Key, Place
from cnndsl.ir.types import DType, Shape
from cnndsl.ops.activations import relu
from cnndsl.ops.conv import SlideAttrs, conv2d, conv2d_grad_input, conv2d_grad_weight
from cnndsl.ops.elementwise import add
from cnndsl.ops.linalg import MatmulAttrs, dense, matmul
from cnndsl.ops.scalar import ScalarProgram

Layout = Literal["nchw", "nhwc"]
"""How arrays of rank 4 lie: channels before height and width, or after them."""
LAYOUT: Layout = "nhwc"
"""How they lie in the memory of our programs."""

Pass = Literal["forward", "grad_input", "grad_weight"]
_PASSES: dict[str, Pass] = {
    conv2d.name: "forward",
    conv2d_grad_input.name: "grad_input",
    conv2d_grad_weight.name: "grad_weight",
}


def strides_of(shape: Shape, layout: Layout) -> tuple[int, ...]:
    """Give the steps between neighbours along each axis, in elements.

    >>> x = (2, 3, 4, 5)
    >>> strides_of(x, "nchw"), strides_of(x, "nhwc"), strides_of((4, 5), "nhwc")
    ((60, 20, 5, 1), (60, 1, 15, 3), (5, 1))
    """
    order = list(range(len(shape)))
    if layout == "nhwc" and len(shape) == 4:
        order = [0, 2, 3, 1]
    found, step = [0] * len(shape), 1
    for axis in reversed(order):
        found[axis] = step
        step *= shape[axis]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Tail:
    """What comes after a product, as far as libraries know it; the order is that of the fields."""

    bias: bool = False
    """One number a channel is added."""
    add: bool = False
    """An array of the result's shape is added."""
    relu: bool = False
    """Negative numbers become 0."""

    @property
    def name(self) -> str:
        """Write it: "bias+add+relu"; "" for none.

        >>> Tail(bias=True, relu=True).name
        'bias+relu'
        """
        words = ("bias", self.bias), ("add", self.add), ("relu", self.relu)
        return "+".join(word for word, there in words if there)


NOTHING = Tail()


@dataclass(frozen=True, slots=True)
class Memory:
    """C++ types of the elements in memory: "float", "bf16", "f16"."""

    factors: str = "float"
    """Of both operands of a product."""
    result: str = "float"
    """Of what a library makes of them."""


SINGLES = Memory()


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution or one of its gradients; shapes are N,C,H,W and O,C/groups,KH,KW."""

    direction: Pass
    """What is computed."""
    image: Shape
    """Of what the filters slide over."""
    weight: Shape
    """Of the filters."""
    result: Shape
    """Of what they make of it."""
    slide: SlideAttrs
    """How they slide."""
    tail: Tail
    """What is done to each number of the result; nothing in gradients."""
    layout: Layout
    """How the arrays lie."""
    rounded: bool
    """Whether factors may be rounded on their way to tensor cores."""
    memory: Memory = SINGLES
    """Types of the elements."""

    @property
    def depth(self) -> int:
        """Number of products in a sum."""
        groups = self.slide.groups
        match self.direction:
            case "forward":
                return self.weight[1] * self.weight[2] * self.weight[3]
            case "grad_input":
                return self.weight[0] // groups * self.weight[2] * self.weight[3]
            case "grad_weight":
                return self.result[0] * self.result[2] * self.result[3]

    @property
    def pointwise(self) -> bool:
        """Tell whether it is a product of matrices: windows of one pixel, all of them."""
        s = self.slide
        same = s.strides == (1, 1) and s.padding == ((0, 0), (0, 0)) and s.groups == 1
        return same and self.weight[2:] == (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of matrices, a [m, k] by b [k, n]; either may lie turned."""

    m: int
    """Rows of the result."""
    n: int
    """Columns of the result."""
    k: int
    """Length of the sums."""
    turned_a: bool = False
    """Whether a lies as [k, m]."""
    turned_b: bool = False
    """Whether b lies as [n, k]."""
    batch: int = 1
    """So many products, each on the next matrices."""
    fixed_a: bool = False
    """Whether all of a batch share one a."""
    swapped: bool = False
    """Whether operand 0 is b, and operand 1 is a."""
    tail: Tail = NOTHING
    """What is done to each number; the bias is one number a column."""
    rounded: bool = False
    """As of a convolution."""
    memory: Memory = SINGLES
    """Types of the elements."""

    @property
    def depth(self) -> int:
        """Number of products in a sum."""
        return self.k


def tail_of(program: ScalarProgram | None, *, bias: bool) -> Tail | None:
    """Read bias and epilogue; nothing if a library does not know such a one.

    >>> tail_of(None, bias=True)
    Tail(bias=True, add=False, relu=False)
    """
    if program is None:
        return Tail(bias=bias)
    steps = [(step.op, tuple(step.operands)) for step in program.steps]
    if program.inputs == 1 and steps == [(relu, (0,))]:
        return Tail(bias=bias, relu=True)
    if program.inputs == 2 and steps:
        added = steps[0] in ((add, (0, 1)), (add, (1, 0)))
        if added and len(steps) == 1:
            return Tail(bias=bias, add=True)
        if added and steps[1:] == [(relu, (2,))]:
            return Tail(bias=bias, add=True, relu=True)
    return None


def memory_of(key: Key, half: str | None) -> Memory | None:
    """Read how a product lies in memory; `half` is the type of what has two bytes an element.

    Nothing where factors are of two types, or what is more than singles becomes of halves.
    """
    first, second = (key.is_half(Place.OPERAND, index) for index in range(2))
    result = key.is_half(Place.RESULT, 0)
    singles = all(t.dtype is DType.F32 for t in (*key.operands, *key.results))
    if not singles or first != second or (result and not first) or (first and half is None):
        return None
    types = {False: "float", True: half or ""}
    return Memory(types[first], types[result])


def convolution_of(
    key: Key, *, rounded: bool, half: str | None = None, layout: Layout = LAYOUT
) -> Convolution | None:
    """Read a convolution from a step's key; its tail is nothing where a library knows none such.

    Nothing for other ops, and where the memory is not as `memory_of` says. The gradient of halves
    for the weights is made of halves too: cuDNN knows no other.
    """
    memory = memory_of(key, half) if key.op.name in _PASSES else None
    if memory is None:
        return None
    attrs: Any = key.attrs
    slide = SlideAttrs(attrs.strides, attrs.padding, attrs.dilations, attrs.groups)
    first, second, result = key.operands[0].shape, key.operands[1].shape, key.results[0].shape
    if 0 in (*first, *second, *result):
        return None
    direction = _PASSES[key.op.name]
    image, weight, made = {
        "forward": (first, second, result),
        "grad_input": (result, second, first),
        "grad_weight": (first, result, second),
    }[direction]
    if direction == "grad_weight":
        memory = replace(memory, result=memory.factors)
    found = Convolution(direction, image, weight, made, slide, NOTHING, layout, rounded, memory)
    if direction == "forward":
        halved = key.is_half(Place.OPERAND, 0)
        found = replace(found, tail=_fused(key, result, halved=halved) or NOTHING)
    return found


def _fused(key: Key, result: Shape, *, halved: bool) -> Tail | None:
    """Give bias and epilogue of a step if its operands are such as libraries take.

    The bias is of singles, and what is added of halves if `halved`.
    """
    attrs: Any = key.attrs
    tail = tail_of(attrs.epilogue, bias=attrs.has_bias)
    rest = [(t.shape, key.is_half(Place.OPERAND, 2 + i)) for i, t in enumerate(key.operands[2:])]
    added = tail is not None and tail.add
    wanted = [((result[1],), False)] * attrs.has_bias + [(result, halved)] * added
    return tail if rest == wanted else None


def can_follow(key: Key) -> bool:
    """Tell whether our own chain can do what comes after a step's product.

    A bias of its own at each place has three axes, which lie row-major, and the result has four,
    which do not: they are no one array's.
    """
    attrs: Any = key.attrs
    return not (key.op is conv2d and attrs.has_bias and key.operands[2].rank > 1)


def has_tail(key: Key) -> bool:
    """Tell whether anything comes after the product of a step."""
    if key.op not in (conv2d, dense):
        return False
    attrs: Any = key.attrs
    return bool(attrs.has_bias or (attrs.epilogue is not None and attrs.epilogue.steps))


def product_of(
    key: Key, *, rounded: bool, half: str | None = None, layout: Layout = LAYOUT
) -> Product | None:
    """Read a product of matrices: dense layers, `matmul`, and convolutions of single pixels.

    Nothing for other ops, for nothing to compute, and where the memory is not as `memory_of` says.
    """
    kinds = (*key.operands, *key.results)
    memory = memory_of(key, half) if key.op in (matmul, dense) or key.op.name in _PASSES else None
    if memory is None or any(0 in t.shape for t in kinds):
        return None
    if key.op is matmul:
        # A batch over two axes lies otherwise than as matrices one after the other.
        found = _matmul(key, rounded=rounded) if key.results[0].rank != 4 else None
    elif key.op is dense:
        (count, inputs), (_, outputs) = key.operands[0].shape, key.results[0].shape
        found = Product(m=count, n=outputs, k=inputs, turned_b=True, rounded=rounded)
    else:
        conv = convolution_of(key, rounded=rounded, half=half, layout=layout)
        assert conv is not None, "its memory was read already"
        pixels = _by_pixel if conv.layout == "nhwc" else _by_image
        found = pixels(conv) if conv.pointwise else None
    if found is None:
        return None
    return replace(found, memory=memory, tail=_product_tail(key, found))


def _product_tail(key: Key, found: Product) -> Tail:
    """Give what a library does after a product; a bias is added to nothing but singles."""
    if key.op not in (conv2d, dense):
        return NOTHING
    halved = key.is_half(Place.RESULT, 0)
    tail = _fused(key, key.results[0].shape, halved=halved) or NOTHING
    across = found.batch > 1 or found.fixed_a  # what is one number a channel is one a row
    return NOTHING if tail.bias and (halved or across) else tail


def _matmul(key: Key, *, rounded: bool) -> Product:
    attrs = key.attrs
    assert isinstance(attrs, MatmulAttrs), "matmul has these attributes"
    a, y = key.operands[0].shape, key.results[0].shape
    return Product(
        m=y[-2],
        n=y[-1],
        k=a[-2] if attrs.transpose_a else a[-1],
        turned_a=attrs.transpose_a,
        turned_b=attrs.transpose_b,
        batch=prod(y[:-2]),
        rounded=rounded,
    )


def _by_pixel(conv: Convolution) -> Product:
    """Give a convolution of single pixels, channels last: all pixels are the rows of one matrix."""
    n, c, h, w = conv.image
    o, pixels = conv.weight[0], n * h * w
    match conv.direction:
        case "forward":  # y [p, o] = x [p, c] times w [o, c] turned
            return Product(m=pixels, n=o, k=c, turned_b=True, rounded=conv.rounded)
        case "grad_input":  # dx [p, c] = dy [p, o] times w [o, c]
            return Product(m=pixels, n=c, k=o, rounded=conv.rounded)
        case "grad_weight":  # dw [o, c] = dy [p, o] turned times x [p, c]
            return Product(m=o, n=c, k=pixels, turned_a=True, swapped=True, rounded=conv.rounded)


def _by_image(conv: Convolution) -> Product | None:
    """Give a convolution of single pixels, channels first: each image is a matrix of its own.

    What is one number a channel is one a row here, which no tail has. The gradient of weights adds
    up over images, which is no product of matrices but for a single one.
    """
    n, c, h, w = conv.image
    o, pixels = conv.weight[0], h * w
    match conv.direction:
        case "forward":  # y [o, p] = w [o, c] times x [c, p]
            return Product(
                m=o,
                n=pixels,
                k=c,
                batch=n,
                fixed_a=True,
                swapped=True,
                rounded=conv.rounded,
            )
        case "grad_input":  # dx [c, p] = w [o, c] turned times dy [o, p]
            return Product(
                m=c,
                n=pixels,
                k=o,
                turned_a=True,
                batch=n,
                fixed_a=True,
                swapped=True,
                rounded=conv.rounded,
            )
        case "grad_weight":  # dw [o, c] = dy [o, p] times x [c, p] turned
            if n > 1:
                return None
            return Product(m=o, n=c, k=pixels, turned_b=True, swapped=True, rounded=conv.rounded)
