"""Darknet .cfg files: every section becomes a line, every number of a layer a name.

Sizes follow Darknet: a convolution pads `size/2` where `pad=1` is set and rounds down, a maximum
pooling pads `size - 1` in all unless `padding` says otherwise, with the larger half below and
right. What the language does not have yet is refused, and so is a setting that nothing here reads:
left out it might make another network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cnndsl.importers.darknet_sections import Section, read_sections
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.source import SourceFile

ACTIVATIONS = {
    "linear": "", "relu": "relu", "leaky": "leaky 0.1", "logistic": "sigmoid", "tanh": "tanh",
    "elu": "elu", "relu6": "relu6", "swish": "swish", "gelu": "gelu",
}  # fmt: skip
"""Darknet's names of activations, and the language's."""

LATER = {
    "yolo": "detection", "region": "detection", "detection": "detection", "iseg": "segmentation",
    "local": "other convolutions", "reorg": "moving pixels into channels",
    **dict.fromkeys(("rnn", "lstm", "gru", "crnn"), "recurrences over batches"),
}  # fmt: skip
"""Sections that cannot be written as layers yet, and what they belong to."""

TRAINED = frozenset(
    ("subdivisions", "max_batches", "policy", "steps", "scales", "power", "burn_in", "gamma",
     "angle", "saturation", "exposure", "hue", "aspect", "min_crop", "max_crop", "min_ratio",
     "max_ratio", "center", "time_steps", "random", "notruth", "letterbox", "step", "scale",
     "mosaic", "cutmix", "mixup", "dynamic_minibatch", "b1", "b2", "eps", "log_step")
)  # fmt: skip
"""Settings of [net] about how it is trained, which make no layer."""

QUIET = frozenset(
    ("learning_rate", "stopbackward", "dontload", "dontloadscales", "noadjust", "noloss",
     "onlyforward", "burnin_update", "train_only_bn")
)  # fmt: skip
"""Settings of layers that change no size and no number of parameters in the usual files."""


@dataclass(slots=True)
class Layer:
    """One section, as lines of the program."""

    words: str
    """Its chain; empty if it only goes on from another layer."""
    start: str = ""
    """The name of the layer that it goes on from, if not the one before."""
    alias: int | None = None
    """The layer whose result it gives unchanged."""


@dataclass(slots=True)
class Cfg:
    """A program while it is made of a .cfg."""

    layers: list[Layer] = field(default_factory=list)
    """The sections behind [net], in order."""
    named: set[int] = field(default_factory=set)
    """Layers that others name."""
    training: dict[str, str] = field(default_factory=dict)
    """Lines of its `train` section."""

    def name(self, index: int) -> str:
        """Name a layer that another one goes back to."""
        while (alias := self.layers[index].alias) is not None:
            index = alias
        self.named.add(index)
        return f"layer{index}"

    @property
    def is_vector(self) -> bool:
        """Whether what arrives is a vector: one number for each channel, or neurons."""
        for layer in reversed(self.layers):
            if not layer.words.startswith("dropout"):
                return layer.words.startswith(("gap", "fc "))
        return False

    def absolute(self, index: int, section: Section, key: str) -> int:
        """Give a layer's number from one that may count back; raises E0930."""
        here = len(self.layers)
        found = here + index if index < 0 else index
        if not 0 <= found < here:
            what = f"layer {index} of [{section.name}] does not lie before it"
            raise section.complain(what, at=key, label=f"this is layer {here}")
        return found


def read_darknet(text: str, *, name: str = "<cfg>") -> str:
    """Write the program of a Darknet .cfg.

    Raises `DiagnosticError` E0930 for what the language does not have, for settings that nothing
    reads, and for a file that is no .cfg.
    """
    sections = read_sections(SourceFile(name, text))
    if not sections or sections[0].name not in ("net", "network"):
        what = f"{name} is no Darknet .cfg: it does not begin with [net]"
        raise DiagnosticError(error("E0930", what))
    cfg = Cfg()
    head = [_input(sections[0])]
    for section in sections[1:]:
        if section.name in LATER:
            raise section.complain(
                f"[{section.name}] cannot be written yet: {LATER[section.name]}",
                label="a layer of a later version",
            )
        read = LAYERS.get(section.name)
        if read is None:
            raise section.complain(f"there is no section [{section.name}] that is known here")
        cfg.layers.append(read(section, cfg))
        section.refuse_unread(QUIET)
    if not cfg.layers:
        raise sections[0].complain("this file has no layers")
    _training(sections[0], cfg)
    sections[0].refuse_unread(TRAINED)
    train = [f"  {key + ':':<11}{value}" for key, value in cfg.training.items()]
    return "\n".join([*head, *_rows(cfg), "", "train {", *train, "}", ""])


def _rows(cfg: Cfg) -> list[str]:
    """Write the layers' lines; all that others name is known by now."""
    rows = []
    for index, layer in enumerate(cfg.layers):
        if layer.start:
            rows.append(f"from {layer.start}")
        if layer.words:
            rows.append(f"layer{index}: {layer.words}" if index in cfg.named else layer.words)
    return rows


def _input(net: Section) -> str:
    height, width = net.whole("height", 0), net.whole("width", 0)
    channels = net.whole("channels", 3, least=1)
    if height and width:
        return f"input [{height}x{width}x{channels}]"
    inputs = net.whole("inputs", 0)
    if not inputs:
        raise net.complain("[net] says neither `height` and `width` nor `inputs`")
    return f"input [{inputs}]"


def _training(net: Section, cfg: Cfg) -> None:
    rate, decay = net.number("learning_rate", 0.001), net.number("decay", 0.0001)
    momentum = net.number("momentum", 0.9)
    adam = net.whole("adam", 0)
    rest = f"decay={decay:g}" if adam else f"momentum={momentum:g}, decay={decay:g}"
    cfg.training.setdefault("loss", "crossentropy")
    cfg.training["optimizer"] = f"{'adam' if adam else 'sgd'}(lr={rate:g}, {rest})"
    cfg.training["batch"] = str(net.whole("batch", 1, least=1))


# ---------------------------------------------------------------- layers


def _activation(section: Section, usual: str) -> str:
    said = section.word("activation", usual)
    if said not in ACTIVATIONS:
        what = f"the activation `{said}` is not known here"
        raise section.complain(what, at="activation")
    return f" - {ACTIVATIONS[said]}" if ACTIVATIONS[said] else ""


def _convolution(section: Section, cfg: Cfg) -> Layer:
    size = section.whole("size", 1, least=1)
    stride = section.whole("stride", 1, least=1)
    dilation = section.whole("dilation", 1, least=1)
    padding = section.whole("padding", 0)
    if section.whole("pad", 0):
        padding = size // 2
    groups = section.whole("groups", 1, least=1)
    normed = section.whole("batch_normalize", 0)
    filters = section.whole("filters", 1, least=1)
    vector = size == 1 and groups == 1 and cfg.is_vector
    words = [f"fc {filters}" if vector else f"conv {filters} {size}x{size}"]
    words += [f"stride {stride}"] if stride != 1 and not vector else []
    words += [f"dilation {dilation}"] if dilation != 1 and size != 1 else []
    words += [f"pad {padding}"] if padding and not vector else []
    words += [f"groups {groups}"] if groups != 1 else []
    words += ["floor"] if stride != 1 and not vector else []
    words += ["nobias - bn"] if normed else []
    return Layer(" ".join(words) + _activation(section, "logistic"))


def _transposed(section: Section, cfg: Cfg) -> Layer:
    size = section.whole("size", 1, least=1)
    stride = section.whole("stride", 1, least=1)
    padding = section.whole("padding", 0)
    if section.whole("pad", 0):
        padding = size // 2
    words = [f"upconv {section.whole('filters', 1, least=1)} {size}x{size}"]
    words += [f"stride {stride}"] if stride != 1 else []
    words += [f"pad {padding}"] if padding else []
    words += ["nobias - bn"] if section.whole("batch_normalize", 0) else []
    return Layer(" ".join(words) + _activation(section, "logistic"))


def _upsampled(section: Section, cfg: Cfg) -> Layer:
    if section.number("scale", 1) != 1:
        raise section.complain("a scale of the copies cannot be written yet", at="scale")
    return Layer(f"upsample {section.whole('stride', 2, least=1)}")


def _maximum(section: Section, cfg: Cfg) -> Layer:
    stride = section.whole("stride", 1, least=1)
    size = section.whole("size", stride, least=1)
    total = section.whole("padding", size - 1)
    words = f"maxpool {size}x{size} stride {stride}"
    if size == 2 and total == 1 and stride <= 2:
        return Layer(f"{words} same")
    before = total // 2
    border = f" pad {before}" if total % 2 == 0 and total else ""
    if total % 2:
        border = f" pad {before}x{total - before}x{before}x{total - before}"
    return Layer(f"{words}{border} floor")


def _connected(section: Section, cfg: Cfg) -> Layer:
    normed = " nobias - bn" if section.whole("batch_normalize", 0) else ""
    output = section.whole("output", 1, least=1)
    return Layer(f"fc {output}{normed}{_activation(section, 'logistic')}")


def _softmax(section: Section, cfg: Cfg) -> Layer:
    if section.whole("groups", 1) != 1 or section.word("tree", ""):
        at = "groups" if "groups" in section.entries else "tree"
        raise section.complain("a softmax over groups of classes cannot be written yet", at=at)
    return Layer("softmax")


def _route(section: Section, cfg: Cfg) -> Layer:
    layers = [cfg.absolute(n, section, "layers") for n in section.whole_numbers("layers")]
    if section.whole("groups", 1) != 1:
        what = "a route of a part of the channels cannot be written yet"
        raise section.complain(what, at="groups")
    if len(layers) == 1:
        return Layer("", start=cfg.name(layers[0]), alias=layers[0])
    return Layer("(" + " | ".join(f"from {cfg.name(n)}" for n in layers) + ") - concat")


def _shortcut(section: Section, cfg: Cfg) -> Layer:
    others = [cfg.absolute(n, section, "from") for n in section.whole_numbers("from")]
    names = " ".join(cfg.name(n) for n in others)
    return Layer(f"add {names}{_activation(section, 'linear')}")


def _dropout(section: Section, cfg: Cfg) -> Layer:
    return Layer(f"dropout {section.number('probability', 0.5):g}")


def _cost(section: Section, cfg: Cfg) -> Layer:
    kinds = {"sse": "mse", "smooth": "smooth_l1", "L1": "l1", "masked": ""}
    kind = kinds.get(section.word("type", "sse"), "")
    if not kind:
        raise section.complain("this cost is not known here", at="type")
    section.word("scale", "1")
    softmax = any(layer.words == "softmax" for layer in cfg.layers)
    cfg.training["loss"] = "crossentropy" if softmax else kind
    return Layer("", alias=len(cfg.layers) - 1 if cfg.layers else None)


def _plain(word: str) -> Callable[[Section, Cfg], Layer]:
    return lambda section, cfg: Layer(word)


LAYERS: Mapping[str, Callable[[Section, Cfg], Layer]] = {
    **dict.fromkeys(("convolutional", "conv"), _convolution),
    **dict.fromkeys(("deconvolutional", "deconv"), _transposed),
    "upsample": _upsampled,
    **dict.fromkeys(("maxpool", "max"), _maximum),
    **dict.fromkeys(("avgpool", "avg"), _plain("gap")),
    **dict.fromkeys(("connected", "conn"), _connected),
    **dict.fromkeys(("softmax", "soft"), _softmax),
    "route": _route,
    "shortcut": _shortcut,
    "dropout": _dropout,
    "cost": _cost,
    "batchnorm": _plain("bn"),
    "activation": lambda section, cfg: Layer(_activation(section, "linear")[3:] or "id"),
}
"""Darknet's sections, and what writes each in the language."""
