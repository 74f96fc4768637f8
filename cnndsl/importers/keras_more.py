"""Keras's layers that go back to a larger image, and those that read sequences."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.importers.listing import Call, refuse, short_size, size_text

RECURRENT = {"SimpleRNN": "rnn", "LSTM": "lstm", "GRU": "gru"}
"""Keras's recurrent layers, and the language's."""

EACH_STEP = frozenset(("Dense", "Dropout", "Activation", "ReLU", "Softmax", "BatchNormalization"))
"""Layers that work on every step of a sequence by itself."""


def transposed(call: Call, name: str, activation: str) -> str:
    """Write `Conv2DTranspose(64, 2, strides=2)`; `name` is the file's, for a refusal."""
    window, stride = call.argument("kernel_size", 1), call.argument("strides", 2) or 1
    words = [f"upconv {call.argument('filters', 0)}", size_text(window)]
    if short_size(stride) != "1":
        words.append(f"stride {short_size(stride)}")
    dilation = call.argument("dilation_rate") or 1
    if short_size(dilation) != "1":
        words.append(f"dilation {short_size(dilation)}")
    if call.argument("output_padding") is not None:
        raise refuse(call, name, "has an `output_padding`, which Keras counts otherwise")
    if call.argument("padding") == "same":
        words.append("same")
    elif any(f < s for f, s in zip(sides(window), sides(stride), strict=True)):
        raise refuse(call, name, "has a stride beyond its window")
    if call.argument("use_bias") is False:
        words.append("nobias")
    return " ".join(words) + activation


def sides(size: object) -> tuple[int, int]:
    """Give a size as two numbers; 0 for what is none."""
    pair = size if isinstance(size, tuple) and len(size) == 2 else (size, size)
    first, second = (side if isinstance(side, int) else 0 for side in pair)
    return first, second


def upsampled(call: Call, name: str) -> str:
    """Write `UpSampling2D(2)`, or `Resizing(32, 48)`; raises E0930 for other interpolations."""
    usual = "nearest" if call.name == "UpSampling2D" else "bilinear"
    how = call.argument("interpolation", 2) or usual
    if how not in ("nearest", "bilinear"):
        raise refuse(call, name, f"interpolates {how}, which the language does not")
    if usual == "nearest":
        words = f"upsample {short_size(call.argument('size', 0) or 2)}"
    elif any(call.argument(key) for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio")):
        raise refuse(call, name, "keeps the proportions, which the language does not")
    else:
        words = f"resize {call.argument('height', 0)}x{call.argument('width', 1)}"
    return words if how == usual else f"{words} {how}"


def recurrent(call: Call, name: str) -> str:
    """Write `LSTM(64, return_sequences=True)`; raises E0930 for gates other than the usual."""
    kind = RECURRENT[call.name]
    words = [f"{kind} {call.argument('units', 0)}"]
    bend = call.argument("activation")
    if kind == "rnn" and bend in ("relu", "sigmoid", "linear"):
        words.append(str(bend))
    elif bend not in (None, "tanh"):
        raise refuse(call, name, "has another activation than tanh")
    if call.argument("recurrent_activation") not in (None, "sigmoid"):
        raise refuse(call, name, "has other gates than sigmoids")
    for option in ("go_backwards", "stateful"):
        if call.argument(option) is True:
            raise refuse(call, name, f"asks for `{option}`")
    if call.argument("reset_after") is False:
        words.append("reset before")
    if call.argument("use_bias") is False:
        words.append("nobias")
    if call.argument("return_sequences") is True:
        words.append("all")
    return " ".join(words)


METRICS: Mapping[str, str] = {
    **dict.fromkeys(
        ("accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy"), "accuracy"
    ),
    "top_k_categorical_accuracy": "top5",
    "sparse_top_k_categorical_accuracy": "top5",
}
"""Keras's names of what is measured here."""
