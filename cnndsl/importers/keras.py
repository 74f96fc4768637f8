"""Keras listings: `Sequential` models, by `add` or as a list, and chains of the functional form.

The text is read, never executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cnndsl.importers.keras_more import (
    EACH_STEP,
    METRICS,
    RECURRENT,
    recurrent,
    transposed,
    upsampled,
)
from cnndsl.importers.listing import (
    Call,
    Listing,
    Literal,
    Reference,
    pointing_into,
    read_listing,
    refuse,
    short_size,
    size_text,
    whole_number,
)
from cnndsl.support.diagnostics import DiagnosticError, error

ACTIVATIONS = {"relu", "sigmoid", "tanh", "softmax", "elu", "gelu", "swish", "softplus", "relu6"}
LOSSES = {
    "categorical_crossentropy": "crossentropy",
    "sparse_categorical_crossentropy": "crossentropy",
    "binary_crossentropy": "bce",
    "mean_squared_error": "mse",
    "mse": "mse",
    "hinge": "hinge",
    "categorical_hinge": "hinge",
}
"""Keras's names of losses, and the language's."""


@dataclass(slots=True)
class Imported:
    """A program while it is made of a listing."""

    name: str
    """What messages call the file."""
    rows: list[str] = field(default_factory=list)
    """Its lines."""
    counts: dict[str, int] = field(default_factory=dict)
    """Layers of each kind so far, for their names."""
    training: dict[str, str] = field(default_factory=dict)
    """The lines of its `train` section."""
    notes: list[str] = field(default_factory=list)
    """What is odd about the listing."""
    last: str = ""
    """The stream that the chain ends in, in the functional form."""
    streams: dict[str, str] = field(default_factory=dict)
    """What each variable of the functional form holds now."""
    sequences: set[str] = field(default_factory=set)
    """Layers that give every step of a recurrence."""

    def label(self, call: Call) -> str:
        """Name a layer as Keras does: conv2d_1, max_pooling2d_1; or as the listing does."""
        named = call.argument("name")
        if isinstance(named, str):
            return re.sub(r"\W", "_", named)
        stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", call.name).lower()
        self.counts[stem] = self.counts.get(stem, 0) + 1
        return f"{stem}_{self.counts[stem]}"


def read_keras(text: str, *, name: str = "<listing>") -> str:
    """Write the program of a Keras listing.

    Raises `DiagnosticError` E0930 for a layer that the language does not have, and for a listing
    without any.
    """
    listing = read_listing(text)
    made = Imported(name)
    with pointing_into(text, name):
        for call in listing.calls:
            _read(call, listing, made)
    if not any(row for row in made.rows if not row.startswith("#")):
        raise DiagnosticError(
            error(
                "E0930",
                f"{name} shows no layer of a Keras model",
                helps=("it is looked for in `Sequential([..])`, `.add(..)` and `Layer(..)(x)`",),
            )
        )
    training = [f"  {key + ':':<11}{value}" for key, value in made.training.items()]
    section = ["", "train {", *training, "}"] if training else []
    return "\n".join([*(f"# {n}" for n in made.notes), *made.rows, *section, ""])


def _read(call: Call, listing: Listing, made: Imported) -> None:
    match call.name:
        case "add" if call.calls():
            _layer(call.calls()[0], made)
        case "Sequential":
            for layer in call.calls():
                _layer(layer, made)
        case "Model":
            return
        case "compile":
            _compile(call, listing, made)
        case "fit" | "fit_generator":
            _fit(call, made)
        case "Input":
            _layer(call, made)
            made.last = made.streams[call.made] = call.made
        case _ if call.applied:
            _apply(call, made)


def _apply(call: Call, made: Imported) -> None:
    """Read `x = Dense(10)(x)`: a chain while each layer reads the one before."""
    joins = {"Add": "add", "Concatenate": "concat", "Multiply": "multiply"}
    names = call.applied
    if call.name in joins:
        first, *others = (made.streams.get(name, name) for name in names)
        made.last = made.label(call)
        made.rows += [f"from {first}", f"{made.last}: {joins[call.name]} {' '.join(others)}"]
    else:
        arriving = made.streams.get(names[0], names[0])
        if arriving != made.last:
            made.rows.append(f"from {arriving}")
            made.last = arriving
        _layer(call, made)
    if call.made:
        made.streams[call.made] = made.last


# ---------------------------------------------------------------- layers


def _layer(call: Call, made: Imported) -> None:
    shape = call.argument("input_shape") or call.argument("batch_input_shape")
    if call.name in ("Input", "InputLayer"):
        shape = call.argument("shape", 0) or shape
    if shape is None and call.argument("input_dim") is not None:
        shape = (call.argument("input_dim"),)
    if isinstance(shape, tuple):
        sides = [str(s) for s in shape if s is not None and not isinstance(s, tuple)]
        name = f" {call.made}" if call.name == "Input" and call.made else ""
        made.rows.append(f"input{name} [{'x'.join(sides)}]")
    if call.name in ("Input", "InputLayer"):
        return
    write = LAYERS.get(call.name)
    if write is None:
        raise refuse(call, made.name, "is a layer that the language does not have")
    words = write(call, made)
    steps = made.last in made.sequences and call.name in EACH_STEP
    made.last = made.label(call)
    if steps or call.argument("return_sequences") is True:
        made.sequences.add(made.last)
    made.rows.append(f"{made.last}: {words}")


def _activation(call: Call, made: Imported) -> str:
    word = call.argument("activation")
    if word in (None, "linear"):
        return ""
    if not isinstance(word, str) or word not in ACTIVATIONS:
        shown = word.text if isinstance(word, Reference) else word
        raise refuse(call, made.name, f"has the activation {shown}, which is not known here")
    return f", {word}"


def _border(call: Call, *, strided: bool) -> str:
    if call.argument("padding") == "same":
        return " same"
    return " floor" if strided else ""


def _convolution(call: Call, made: Imported) -> str:
    depthwise = call.name == "DepthwiseConv2D"
    window = call.argument("kernel_size", 0 if depthwise else 1)
    stride = call.argument("strides", 1 if depthwise else 2) or 1
    dilation = call.argument("dilation_rate") or 1
    words = ["depthwise" if depthwise else f"conv {call.argument('filters', 0)}", size_text(window)]
    if short_size(stride) != "1":
        words.append(f"stride {short_size(stride)}")
    if short_size(dilation) != "1":
        words.append(f"dilation {short_size(dilation)}")
    if whole_number(call.argument("groups"), 1) != 1:
        words.append(f"groups {call.argument('groups')}")
    if call.argument("use_bias") is False:
        words.append("nobias")
    border = _border(call, strided=short_size(stride) != "1")
    return " ".join(words) + border + _activation(call, made)


def _separable(call: Call, made: Imported) -> str:
    window = size_text(call.argument("kernel_size", 1))
    stride = short_size(call.argument("strides", 2) or 1)
    step = f" stride {stride}" if stride != "1" else ""
    border = _border(call, strided=bool(step))
    filters = call.argument("filters", 0)
    return f"depthwise {window}{step}{border} nobias - conv {filters} 1x1{_activation(call, made)}"


def _pooling(call: Call, made: Imported) -> str:
    kind = "maxpool" if call.name.startswith("Max") else "avgpool"
    window: Literal = call.argument("pool_size", 0) or (2, 2)
    stride = call.argument("strides", 1) or window
    step = f" stride {short_size(stride)}" if size_text(stride) != size_text(window) else ""
    return f"{kind} {size_text(window)}{step}{_border(call, strided=True)}"


def _dense(call: Call, made: Imported) -> str:
    bias = " nobias" if call.argument("use_bias") is False else ""
    window = " 1x1" if made.last in made.sequences else ""
    kind = "conv" if window else "fc"
    return f"{kind} {call.argument('units', 0)}{window}{bias}{_activation(call, made)}"


def _act(call: Call, made: Imported) -> str:
    word = call.argument("activation", 0)
    if not isinstance(word, str) or word not in ACTIVATIONS:
        raise refuse(call, made.name, "names no activation that is known here")
    return word


def _zero_padding(call: Call, made: Imported) -> str:
    amount = call.argument("padding", 0) or 1
    return f"pad {short_size(amount)}"


def _reshape(call: Call, made: Imported) -> str:
    return f"reshape [{size_text(call.argument('target_shape', 0))}]"


def _plain(word: str) -> Callable[[Call, Imported], str]:
    return lambda call, made: word


LAYERS: Mapping[str, Callable[[Call, Imported], str]] = {
    **dict.fromkeys(("Conv2D", "Convolution2D", "DepthwiseConv2D"), _convolution),
    "SeparableConv2D": _separable,
    "Conv2DTranspose": lambda call, made: transposed(call, made.name, _activation(call, made)),
    **dict.fromkeys(("UpSampling2D", "Resizing"), lambda call, made: upsampled(call, made.name)),
    **dict.fromkeys(RECURRENT, lambda call, made: recurrent(call, made.name)),
    **dict.fromkeys(("MaxPooling2D", "MaxPool2D", "AveragePooling2D", "AvgPool2D"), _pooling),
    "GlobalAveragePooling2D": _plain("gap"),
    "GlobalMaxPooling2D": _plain("gmp"),
    "Flatten": _plain("flatten"),
    "Dense": _dense,
    "Dropout": lambda call, made: f"dropout {call.argument('rate', 0)}",
    "Activation": _act,
    "ReLU": _plain("relu"),
    "LeakyReLU": _plain("leaky 0.3"),
    "Softmax": _plain("softmax"),
    "BatchNormalization": _plain("bn"),
    "ZeroPadding2D": _zero_padding,
    "Reshape": _reshape,
}
"""Keras's layers, and what writes each in the language."""


# ---------------------------------------------------------------- training


def _compile(call: Call, listing: Listing, made: Imported) -> None:
    loss = call.argument("loss")
    if isinstance(loss, str):
        made.training["loss"] = LOSSES.get(loss, loss)
    made.training["optimizer"] = _optimizer(call, listing, made)
    metrics = call.argument("metrics")
    if isinstance(metrics, tuple) and metrics:
        known = [METRICS[m] for m in metrics if isinstance(m, str) and m in METRICS]
        if len(known) < len(metrics):
            made.notes.append("a metric of the listing is none here")
        if known:
            made.training["metrics"] = ", ".join(dict.fromkeys(known))


def _optimizer(call: Call, listing: Listing, made: Imported) -> str:
    """Give the optimizer's name; a text that is a parameter's name was meant to be its value."""
    chosen = call.argument("optimizer")
    nested = call.named.get("optimizer")
    if isinstance(nested, Call):
        rate = nested.argument("learning_rate", 0) or nested.argument("lr")
        momentum = nested.argument("momentum")
        said = [f"lr={rate}"] if rate is not None else []
        said += [f"momentum={momentum}"] if momentum is not None else []
        return nested.name.lower() + (f"({', '.join(said)})" if said else "")
    wanted = chosen.text if isinstance(chosen, Reference) else chosen
    for function, parameters in listing.functions.items():
        if wanted not in parameters:
            continue
        uses = [c for c in listing.calls if c.name == function]
        given = uses[0].argument(str(wanted), parameters.index(str(wanted))) if uses else None
        if isinstance(chosen, str):
            made.notes.append(
                f"optimizer='{chosen}' names no optimizer: the argument `{chosen}` was meant"
                + (f", which is '{given}'" if isinstance(given, str) else "")
            )
        if isinstance(given, str):
            return given
    return str(wanted) if wanted is not None else "sgd"


def _fit(call: Call, made: Imported) -> None:
    epochs, batch = call.argument("epochs"), call.argument("batch_size")
    if isinstance(batch, int):
        made.training["batch"] = str(batch)
    if isinstance(epochs, int):
        made.training["epochs"] = str(epochs)
