"""How the weights of a layer are said to begin, and what is chosen where nothing is said."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.layers.base import LayerSpec, ParameterSpec
from cnndsl.layers.clauses import Clause, Takes
from cnndsl.layers.network import Layer, Network
from cnndsl.ops.structural import Init

_WORDS = {
    "he": "he_normal",
    "kaiming": "he_normal",
    "glorot": "glorot_uniform",
    "xavier": "glorot_uniform",
    "lecun": "lecun_normal",
}

AUTO = "auto"
"""The choice when the program makes none: see `choose_inits`."""

INIT_CLAUSES: tuple[Clause, ...] = (
    Clause("init", Takes.WORD, default=AUTO, doc="how the weights begin",
           names=("initializer", "kernel_initializer"),
           words=(AUTO, *_WORDS, "he_normal", "he_uniform", "glorot_normal", "glorot_uniform",
                  "lecun_normal", "lecun_uniform", "normal", "uniform", "zeros", "ones")),
    Clause("std", Takes.NUMBER, doc="spread of `init normal` and `init uniform`", low=0.0),
    Clause("bias_init", Takes.NUMBER, default=0.0, doc="where the biases begin"),
)  # fmt: skip
"""The clauses about the start of a layer with weights."""

USUAL_STD = 0.01
"""Spread of `init normal` when it is not said, as in AlexNet."""


def initial_weight(spec: LayerSpec, *, fan_in: int, fan_out: int) -> Init:
    """Give the start of a weight from the layer's `init` and `std`."""
    word = spec.word("init")
    scheme = "he_normal" if word == AUTO else _WORDS.get(word, word)
    plain = USUAL_STD if scheme in ("normal", "uniform") else 1.0
    value = spec.number("std") if "std" in spec.settings else plain
    return Init(scheme, value, fan_in, fan_out)


def written_weight(text: str) -> tuple[tuple[float, ...], ...]:
    """Read the rows of a filter that a program writes out.

    >>> written_weight("[[1, -1], [0.5, 2]]")
    ((1.0, -1.0), (0.5, 2.0))
    """
    rows = text.strip("[]").split("], [")
    return tuple(tuple(float(number) for number in row.split(", ")) for row in rows)


def initial_bias(spec: LayerSpec) -> Init:
    """Give the start of a bias from the layer's `bias_init`."""
    return Init("constant", spec.number("bias_init"))


def choose_inits(network: Network) -> Network:
    """Fit the weights whose start the program does not choose to the activation that follows.

    He for the ReLU family and where nothing follows, Glorot before those that saturate (sigmoid,
    tanh, softmax). Pooling, normalisation and dropout between a layer and its activation are
    looked through.
    """
    followers = _followers(network)
    chosen = tuple(_fitted(layer, followers.get(layer.name)) for layer in network.layers)
    return replace(network, layers=chosen)


def _followers(network: Network) -> dict[str, Layer | None]:
    """Find the activation that the first reader of each layer leads to, last layers first."""
    found: dict[str, Layer | None] = {}
    for layer in reversed(network.layers):
        leads_to = found.get(layer.name)
        if layer.spec.kind.activation:
            leads_to = layer
        elif any(p.trainable and not p.bias and len(p.shape) > 1 for p in layer.parameters):
            leads_to = None
        for source in layer.inputs:
            found[source] = leads_to  # of several readers the first one stays
    return found


def _fitted(layer: Layer, follower: Layer | None) -> Layer:
    if layer.spec.settings.get("init") != AUTO or follower is None:
        return layer
    scheme = follower.spec.kind.preferred_init
    return replace(layer, parameters=tuple(_with_scheme(p, scheme) for p in layer.parameters))


def _with_scheme(spec: ParameterSpec, scheme: str) -> ParameterSpec:
    if _is_said(spec):
        return spec
    return replace(spec, init=replace(spec.init, scheme=scheme))


def _is_said(spec: ParameterSpec) -> bool:
    """Tell whether nothing is left to choose: a bias, or numbers that the program writes out."""
    return spec.bias or bool(spec.init.table)


def start_words() -> tuple[str, ...]:
    """Give the words by which weights may be said to begin, `auto` left out."""
    return next(clause for clause in INIT_CLAUSES if clause.name == "init").words[1:]


def override_inits(network: Network, word: str, *, spread: float | None = None) -> Network:
    """Let every weight whose layer does not say how it begins begin as `word` says.

    `spread` scales the start (the standard deviation of `normal`). Raises `KeyError` with the
    known words for one that is none.
    """
    if word.casefold() not in start_words():
        raise KeyError(", ".join(start_words()))
    scheme = _WORDS.get(word.casefold(), word.casefold())
    usual = USUAL_STD if scheme in ("normal", "uniform") else 1.0
    value = usual if spread is None else float(spread)

    def chosen(layer: Layer) -> Layer:
        if layer.spec.settings.get("init") != AUTO:
            return layer
        parameters = tuple(
            p if _is_said(p) else replace(p, init=replace(p.init, scheme=scheme, value=value))
            for p in layer.parameters
        )
        return replace(layer, parameters=parameters)

    return replace(network, layers=tuple(map(chosen, network.layers)))
