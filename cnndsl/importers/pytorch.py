"""PyTorch listings: the signature of a layer as a block, `nn.Sequential(..)` as a program.

The text is read, never executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cnndsl.importers.listing import (
    Call,
    Literal,
    pointing_into,
    read_listing,
    refuse,
    short_size,
    size_text,
    whole_number,
)
from cnndsl.support.diagnostics import DiagnosticError, error

SIGNATURE = re.compile(r"(?:CLASS|class)\s+torch\.nn\.(Conv2d|MaxPool2d|Linear)\(([^)]*)\)")

BODIES = {
    "Conv2d": (
        "conv(out_channels, kernel_size, stride=stride, pad=padding, dilation=dilation, "
        "groups=groups, nobias=not bias, floor)",
        "in_channels",
    ),
    "MaxPool2d": ("maxpool(kernel_size, stride=stride, pad=padding, floor)", ""),
    "Linear": ("fc(out_features, nobias=not bias)", ""),
}
"""What the layers of signatures are in the language, and the argument that is the input's depth."""


def read_torch(text: str, *, name: str = "<listing>") -> str:
    """Write the program of a PyTorch listing, or the block of a layer's signature.

    Raises `DiagnosticError` E0930 for a layer that the language does not have, and for a listing
    without any.
    """
    joined = " ".join(text.split())
    rows = [_block(found) for found in SIGNATURE.finditer(joined)]
    listing = read_listing(SIGNATURE.sub("", text))
    channels: list[int] = []
    with pointing_into(text, name):
        for call in listing.calls:
            layers = call.calls() if call.name == "Sequential" else (call,)
            for layer in layers:
                if layer.name in LAYERS and ("nn" in layer.owner or call.name == "Sequential"):
                    rows.append(_write(layer, name, channels))
                elif call.name == "Sequential":
                    raise refuse(layer, name, "is a layer that the language does not have")
    if not rows:
        raise DiagnosticError(error("E0930", f"{name} shows no layer of a PyTorch network"))
    return "\n".join([*rows, ""])


def _block(found: re.Match[str]) -> str:
    layer, signature = found[1], found[2]
    body, depth = BODIES[layer]
    formals = []
    for part in signature.split(","):
        argument, _, usual = part.strip().partition("=")
        shown = {"True": "true", "False": "false"}.get(usual.strip(), usual.strip())
        formals.append(f"{argument.strip()}={shown}" if shown else argument.strip())
    check = f"  assert shape.c == {depth}\n" if depth else ""
    return f"block {layer}({', '.join(formals)}) {{\n{check}  {body}\n}}"


def _write(call: Call, name: str, channels: list[int]) -> str:
    words = LAYERS[call.name](call)
    arriving = whole_number(call.argument("in_channels", 0))
    if call.name == "Conv2d" and channels and arriving and arriving != channels[-1]:
        raise refuse(call, name, f"reads {arriving} channels, and {channels[-1]} arrive")
    if call.name == "Conv2d":
        channels.append(whole_number(call.argument("out_channels", 1)))
    return words


def _convolution(call: Call) -> str:
    filters, window = call.argument("out_channels", 1), call.argument("kernel_size", 2)
    words = [f"conv {filters} {size_text(window)}"]
    for word, key, at in (("stride", "stride", 3), ("dilation", "dilation", 5)):
        value = call.argument(key, at)
        if value is not None and short_size(value) != "1":
            words.append(f"{word} {short_size(value)}")
    padding = call.argument("padding", 4)
    if padding == "same":
        words.append("same")
    elif padding is not None and short_size(padding) != "0":
        words.append(f"pad {short_size(padding)}")
    groups = call.argument("groups", 6)
    if whole_number(groups, 1) != 1:
        words.append(f"groups {groups}")
    if call.argument("bias", 7) is False:
        words.append("nobias")
    return " ".join([*words, "floor"] if any("stride" in w for w in words) else words)


def _pooling(call: Call) -> str:
    kind = "maxpool" if call.name.startswith("Max") else "avgpool"
    window: Literal = call.argument("kernel_size", 0) or 2
    stride = call.argument("stride", 1) or window
    padding = call.argument("padding", 2)
    pad = f" pad {short_size(padding)}" if padding not in (None, 0) else ""
    rounding = "ceil" if call.argument("ceil_mode") is True else "floor"
    return f"{kind} {size_text(window)} stride {short_size(stride)}{pad} {rounding}"


def _linear(call: Call) -> str:
    bias = " nobias" if call.argument("bias", 2) is False else ""
    return f"fc {call.argument('out_features', 1)}{bias}"


def _plain(word: str) -> Callable[[Call], str]:
    return lambda call: word


LAYERS: Mapping[str, Callable[[Call], str]] = {
    "Conv2d": _convolution,
    "MaxPool2d": _pooling,
    "AvgPool2d": _pooling,
    "Linear": _linear,
    "Dropout": lambda call: f"dropout {0.5 if (p := call.argument('p', 0)) is None else p}",
    "ReLU": _plain("relu"),
    "ReLU6": _plain("relu6"),
    "Sigmoid": _plain("sigmoid"),
    "Tanh": _plain("tanh"),
    "Softmax": _plain("softmax"),
    "Flatten": _plain("flatten"),
    "Identity": _plain("id"),
    "BatchNorm2d": _plain("bn"),
    "AdaptiveAvgPool2d": _plain("gap"),
    "LocalResponseNorm": _plain("lrn"),
}
"""PyTorch's layers, and what writes each in the language."""
