"""One number of a layer's result, worked out by hand: what goes in, what is done, what comes out.

The sums here are written out in double precision, apart from the ops, so that a person can follow
them and a test can hold the two against each other. Places are as the language writes sizes: (row,
column, channel) of an image, (number,) of a vector, counted from 0. Arrays are [C, H, W] or [N].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from cnndsl.layers.base import LayerSpec
from cnndsl.layers.conv import Conv, Depthwise
from cnndsl.layers.element_parts import (
    Element,
    Floats,
    Place,
    Plane,
    Seen,
    Step,
    counted,
    show,
)
from cnndsl.layers.element_recurrent import worked_recurrence
from cnndsl.layers.element_resize import reach_of_resized, worked_resize
from cnndsl.layers.element_upconv import reach_back, worked_upconv
from cnndsl.layers.network import Layer
from cnndsl.layers.pool import AvgPool, MaxPool
from cnndsl.layers.resize import Resizing
from cnndsl.layers.upconv import UpConv
from cnndsl.layers.window import Slide


def work_out(seen: Seen, at: Place) -> Element | None:
    """Work out the number at `at`; nothing for a kind of layer that is not taken apart here."""
    worker = WORKERS.get(seen.layer.kind)
    return worker(seen, at) if worker is not None else None


# ------------------------------------------------------------------ weights


def _conv(seen: Seen, at: Place) -> Element:
    kind = seen.spec.kind
    assert isinstance(kind, Conv | Depthwise)
    sizes = seen.layer.input_sizes
    row, column, filter_ = at
    weights = seen.parameters["weight"][filter_]
    depth = weights.shape[0]
    first = filter_ // (seen.layer.output[-1] // kind.groups(seen.spec, sizes)) * depth
    slide = kind.slide(seen.spec, sizes)
    windows = _window(seen.inputs[0][first : first + depth], slide, row, column)
    products = np.nan_to_num(windows) * weights
    planes = tuple(
        Plane(f"channel {first + c}", windows[c], weights[c], products[c]) for c in range(depth)
    )
    total = math.fsum(products.ravel())
    count = products.size - int(np.isnan(windows).sum())
    steps = [Step(f"sum of {counted(count, 'product')}", total)]
    if "bias" in seen.parameters:
        bias = seen.parameters["bias"][filter_]
        own = float(bias[row, column]) if bias.ndim else float(bias)
        steps.append(Step(f"plus the bias {show(own)}", total + own))
    return Element(at, steps[-1].value, tuple(steps), planes, _reach(slide, row, column))


def _fc(seen: Seen, at: Place) -> Element:
    (neuron,) = at
    values = seen.inputs[0].ravel()
    weights = seen.parameters["weight"][neuron]
    products = values * weights
    total = math.fsum(products)
    steps = [Step(f"sum of {counted(len(products), 'product')}", total)]
    if "bias" in seen.parameters:
        bias = float(seen.parameters["bias"][neuron])
        steps.append(Step(f"plus the bias {show(bias)}", total + bias))
    plane = Plane("all inputs", values, weights, products)
    return Element(at, steps[-1].value, tuple(steps), (plane,))


def _radial(seen: Seen, at: Place) -> Element:
    (neuron,) = at
    values, point = seen.inputs[0].ravel(), seen.parameters["weight"][neuron]
    value = math.fsum((values - point) ** 2)
    plane = Plane("differences to the point", values - point)
    return Element(at, value, (Step(f"sum of {counted(values.size, 'square')}", value),), (plane,))


def _bn(seen: Seen, at: Place) -> Element:
    mean, variance, scale, shift = (
        float(seen.parameters[name][at[-1]]) for name in ("mean", "variance", "scale", "shift")
    )
    x, eps = seen.number(at), seen.spec.number("eps")
    normal = (x - mean) / math.sqrt(variance + eps)
    value = normal * scale + shift
    return Element(
        at,
        value,
        (
            Step(f"({show(x)} - {show(mean)})/sqrt({show(variance)} + {eps:g})", normal),
            Step(f"times the scale {show(scale)} plus the shift {show(shift)}", value),
        ),
    )


def _prelu(seen: Seen, at: Place) -> Element:
    return _leaking(seen.number(at), float(seen.parameters["slope"][at[-1]]), at)


# ------------------------------------------------------------------ windows


def _window(planes: Floats, slide: Slide, row: int, column: int) -> Floats:
    """Cut the window of a place out of [C, H, W]; nan over the border."""
    down, across = slide.axes
    rows = row * down.stride - down.pads[0] + down.dilation * np.arange(down.window)
    columns = column * across.stride - across.pads[0] + across.dilation * np.arange(across.window)
    inside = (
        ((rows >= 0) & (rows < down.length))[:, None]
        & ((columns >= 0) & (columns < across.length))[None, :]
    )  # fmt: skip
    taken = planes[
        :, np.clip(rows, 0, down.length - 1)[:, None], np.clip(columns, 0, across.length - 1)
    ]
    return np.where(inside, taken, np.nan)


def _reach(slide: Slide, row: int, column: int) -> tuple[tuple[int, int], tuple[int, int]]:
    down, across = slide.axes
    top, left = row * down.stride - down.pads[0], column * across.stride - across.pads[0]
    return (top, top + down.extent - 1), (left, left + across.extent - 1)


def reach_of(layer: Layer, at: Place) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Give the rows and columns that the window of a place spans; nothing for other layers."""
    kind = layer.spec.kind
    if isinstance(kind, UpConv):
        return reach_back(layer, at)
    if isinstance(kind, Resizing):
        return reach_of_resized(layer, at)
    if not isinstance(kind, Conv | Depthwise | MaxPool | AvgPool):
        return None
    return _reach(kind.slide(layer.spec, layer.input_sizes), at[0], at[1])


def _pool(seen: Seen, at: Place) -> Element:
    kind = seen.spec.kind
    assert isinstance(kind, MaxPool | AvgPool)
    row, column, channel = at
    slide = kind.slide(seen.spec, seen.layer.input_sizes)
    (window,) = _window(seen.inputs[0][channel : channel + 1], slide, row, column)
    real = window[~np.isnan(window)]
    if isinstance(kind, MaxPool):
        value = float(real.max())
        steps = [Step(f"the largest of {counted(len(real), 'number')}", value)]
    else:
        count = window.size if seen.spec.flag("count_padding") else len(real)
        total = math.fsum(real)
        value = total / count
        steps = [
            Step(f"sum of {counted(len(real), 'number')}", total),
            Step(f"divided by {count}", value),
        ]
    plane = Plane(f"channel {channel}", window)
    return Element(at, value, tuple(steps), (plane,), _reach(slide, row, column))


def _global_pool(seen: Seen, at: Place) -> Element:
    (channel,) = at
    plane = Plane(f"channel {channel}", seen.inputs[0][channel])
    numbers = plane.values.ravel()
    if seen.layer.kind == "gmp":
        value = float(numbers.max())
        return Element(
            at,
            value,
            (Step(f"the largest of {counted(len(numbers), 'number')}", value),),
            (plane,),
        )
    total = math.fsum(numbers)
    value = total / len(numbers)
    steps = (
        Step(f"sum of {counted(len(numbers), 'number')}", total),
        Step(f"divided by {len(numbers)}", value),
    )
    return Element(at, value, steps, (plane,))


def _lrn(seen: Seen, at: Place) -> Element:
    row, column, channel = at
    spec, half = seen.spec, seen.spec.count("size") // 2
    near = seen.inputs[0][max(0, channel - half) : channel + half + 1, row, column]
    squares = math.fsum(near * near)
    k, alpha, beta = spec.number("k"), spec.number("alpha"), spec.number("beta")
    below = (k + alpha * squares) ** beta
    x = seen.number(at)
    first = max(0, channel - half)
    return Element(
        at,
        x / below,
        (
            Step(f"sum of {counted(len(near), 'square')}", squares),
            Step(f"({k:g} + {alpha:g}*{show(squares)})^{beta:g}", below),
            Step(f"{show(x)}/{show(below)}", x / below),
        ),
        (Plane(f"channels {first} to {first + len(near) - 1}", near),),
    )


# ------------------------------------------------------------------ one number, or one pixel


def _leaking(x: float, slope: float, at: Place) -> Element:
    value = x if x > 0 else slope * x
    text = f"{show(x)} is above 0" if x > 0 else f"{slope:g}*{show(x)}"
    return Element(at, value, (Step(text, value),))


def _activation(
    formula: str, rule: Callable[[float, LayerSpec], float]
) -> Callable[[Seen, Place], Element]:
    """Make what works out a function of one number; `x` in the formula is replaced by it."""

    def worked(seen: Seen, at: Place) -> Element:
        x = seen.number(at)
        value = rule(x, seen.spec)
        return Element(at, value, (Step(formula.replace("{x}", show(x)), value),))

    return worked


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _pixel(values: Floats, at: Place) -> Floats:
    """Give all channels of the pixel at `at`, or a whole vector."""
    return values[:, at[0], at[1]] if len(at) == 3 else values


def _softmax(seen: Seen, at: Place) -> Element:
    numbers = _pixel(seen.inputs[0], at)
    x, largest = seen.number(at), float(numbers.max())
    total = math.fsum(np.exp(numbers - largest))
    raised = math.exp(x - largest)
    steps = [
        Step(f"exp({show(x)} - {show(largest)}), the largest score taken off", raised),
        Step(f"sum of the same for all {len(numbers)}", total),
        Step(f"{show(raised)}/{show(total)}", raised / total),
    ]
    if seen.layer.kind == "logsoftmax":
        steps.append(Step(f"log({show(raised / total)})", x - largest - math.log(total)))
    return Element(at, steps[-1].value, tuple(steps), (Plane("all scores", numbers),))


def _maxout(seen: Seen, at: Place) -> Element:
    pieces = seen.spec.count("pieces")
    first = at[-1] * pieces
    numbers = _pixel(seen.inputs[0], at)[first : first + pieces]
    value = float(numbers.max())
    plane = Plane(f"channels {first} to {first + pieces - 1}", numbers)
    return Element(at, value, (Step(f"the largest of {pieces}", value),), (plane,))


def _joined(seen: Seen, at: Place) -> Element:
    """Work out a sum or a product of several streams; a vector beside images scales channels."""
    plus = seen.layer.kind == "add"
    numbers = [
        seen.number(at if array.ndim == len(at) else at[-1:], which)
        for which, array in enumerate(seen.inputs)
    ]
    value = math.fsum(numbers) if plus else math.prod(numbers)
    text = (" + " if plus else " * ").join(map(show, numbers))
    return Element(at, value, (Step(text, value),))


def _unpool(seen: Seen, at: Place) -> Element | None:
    """Say which pixel a number is a copy of; nothing where a pool chose its place."""
    if len(seen.inputs) > 1:
        return None
    row, column, channel = at
    down, across = seen.spec.size("factor")
    place = (row // down, column // across, channel)
    if seen.spec.flag("nails") and (row % down or column % across):
        return Element(at, 0.0, (Step("a zero between the nails", 0.0),))
    text = f"the number of {seen.layer.inputs[0]} at {', '.join(map(str, place))}"
    value = seen.number(place)
    return Element(at, value, (Step(text, value),))


WORKERS: Mapping[str, Callable[[Seen, Place], Element | None]] = {
    "conv": _conv,
    "depthwise": _conv,
    "upconv": worked_upconv,
    **dict.fromkeys(("rnn", "lstm", "gru"), worked_recurrence),
    "fc": _fc,
    "rbf": _radial,
    "bn": _bn,
    "lrn": _lrn,
    "maxpool": _pool,
    "unpool": _unpool,
    **dict.fromkeys(("upsample", "resize"), worked_resize),
    "avgpool": _pool,
    "gap": _global_pool,
    "gmp": _global_pool,
    "softmax": _softmax,
    "logsoftmax": _softmax,
    "maxout": _maxout,
    "add": _joined,
    "multiply": _joined,
    "prelu": _prelu,
    "leaky": lambda seen, at: _leaking(seen.number(at), seen.spec.number("slope"), at),
    "relu": _activation("max(0, {x})", lambda x, spec: max(0.0, x)),
    "relu6": _activation("min(max(0, {x}), 6)", lambda x, spec: min(max(0.0, x), 6.0)),
    "sigmoid": _activation("1/(1 + exp(-({x})))", lambda x, spec: _sigmoid(x)),
    "tanh": _activation("tanh({x})", lambda x, spec: math.tanh(x)),
    "softplus": _activation(
        "log(1 + exp({x}))", lambda x, spec: max(x, 0.0) + math.log1p(math.exp(-abs(x)))
    ),
    "elu": _activation(
        "x above 0, else alpha*(exp(x) - 1), for x = {x}",
        lambda x, spec: x if x > 0 else spec.number("alpha") * math.expm1(x),
    ),
    "swish": _activation(
        "x * sigmoid(beta*x), for x = {x}", lambda x, spec: x * _sigmoid(spec.number("beta") * x)
    ),
    "gelu": _activation(
        "x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x^3))), for x = {x}",
        lambda x, spec: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
}
"""What works out a number, by the canonical word of the kind."""
