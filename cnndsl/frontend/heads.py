"""What the first words of an element name: a layer, a block, a net, a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cnndsl.frontend import ast
from cnndsl.frontend.scope import Scope
from cnndsl.frontend.values import Callee, Symbol
from cnndsl.layers.base import LAYERS, LayerKind, find_layer

FILLERS = frozenset(
    ("filters", "filter", "neurons", "neuron", "units", "unit", "at", "applied", "with", "of",
     "layer")
)  # fmt: skip
"""Words that mean nothing between the words of a layer."""

PSEUDO = frozenset(("input", "from", "id", "output"))
"""Elements that are no layer: they steer the stream."""

UNAVAILABLE: Mapping[str, str] = {
    **dict.fromkeys(("embed", "attention"), "layers of words"),
    **dict.fromkeys(("roipool", "roialign", "proposals", "nms", "anchors"), "region layers"),
    **dict.fromkeys(("inorm", "instancenorm", "lnorm", "layernorm", "gnorm", "groupnorm"),
                    "normalisation of single images"),
    **dict.fromkeys(("local", "conv1d", "conv3d"), "other convolutions"),
}  # fmt: skip
"""Layers that the language has and this version cannot build yet, and what they belong to."""

STATEMENTS = frozenset(("load", "freeze", "unfreeze", "replace", "default"))
"""First words of lines that say something about layers."""

SECTIONS = frozenset(("train", "data", "generate"))
"""First words of sections that are no layers."""


@dataclass(frozen=True, slots=True)
class LayerHead:
    """The words name a kind of layer."""

    kind: LayerKind
    """Which."""
    used: int
    """How many words name it."""
    sized: tuple[str, int] | None = None
    """Digits and number of the shorthand: ("3", 64) of `conv3-64`."""
    arguments: tuple[ast.Argument, ...] | None = None
    """The arguments of the call form."""
    index: tuple[ast.Expr, ...] | ast.ShapeLiteral | None = None
    """What stands in brackets behind it: `reshape [7x7x30]`."""


@dataclass(frozen=True, slots=True)
class CalleeHead:
    """The words name a block, a net or an imported file."""

    callee: Callee
    """Which."""
    arguments: tuple[ast.Argument, ...]
    """Its arguments."""
    used: int = 1
    """How many words name it."""


@dataclass(frozen=True, slots=True)
class PseudoHead:
    """The word steers the stream: `input`, `from`, `id`."""

    word: str
    """Which."""
    used: int = 1
    """How many words name it."""


@dataclass(frozen=True, slots=True)
class MissingHead:
    """The word names something that cannot be built yet."""

    word: str
    """Which."""
    what: str
    """What it belongs to."""
    used: int = 1
    """How many words name it."""


Head = LayerHead | CalleeHead | PseudoHead | MissingHead


def plain(word: str) -> str:
    """Take off the digits that belong to a label, not to a kind.

    >>> plain("conv1_2"), plain("POOL2"), plain("relu")
    ('conv', 'POOL', 'relu')
    """
    return re.sub(r"[0-9_]+$", "", word)


def find_head(items: Sequence[ast.Word], scope: Scope) -> Head | None:
    """Find what the longest prefix of `items` names; nothing if it names nothing."""
    if not items:
        return None
    first = items[0]
    if isinstance(first, ast.Sized):
        kind = _kind([plain(first.name)]) or _kind([first.name])
        digits = first.name[len(plain(first.name)) :]
        return LayerHead(kind, 1, sized=(digits, first.number)) if kind else _missing(first.name)
    if isinstance(first, ast.Call):
        return _called(first, scope)
    if isinstance(first, ast.Through) and isinstance(first.start, ast.Name):
        kind = _kind([plain(first.start.text)])
        return LayerHead(kind, 1) if kind else None
    if isinstance(first, ast.Indexed) and isinstance(first.target, ast.Name):
        return _indexed(first, first.target.text)
    if not isinstance(first, ast.Name):
        return None
    return _bound(first.text, scope) or _worded(items)


def _bound(name: str, scope: Scope) -> Head | None:
    """What the program itself calls `name`."""
    value = scope.value(name)
    if isinstance(value, Callee):
        return CalleeHead(value, ())
    if isinstance(value, Symbol):
        kind = _kind([value])
        return LayerHead(kind, 1) if kind else None
    return None


def _called(call: ast.Call, scope: Scope) -> Head | None:
    if not isinstance(call.target, ast.Name):
        return None
    name = call.target.text
    bound = _bound(name, scope)
    if isinstance(bound, CalleeHead):
        return CalleeHead(bound.callee, call.arguments)
    kind = bound.kind if isinstance(bound, LayerHead) else _kind([name]) or _kind([plain(name)])
    return LayerHead(kind, 1, arguments=call.arguments) if kind else _missing(name)


def _indexed(word: ast.Indexed, name: str) -> Head | None:
    if name.casefold() in PSEUDO:
        return PseudoHead(name.casefold(), 0)
    kind = _kind([name])
    return LayerHead(kind, 1, index=word.index) if kind else _missing(name)


def _worded(items: Sequence[ast.Word]) -> Head | None:
    names = list(_names(items))
    for count in range(len(names), 0, -1):
        prefix = names[:count]
        kind = _kind(prefix) or _kind([*prefix[:-1], plain(prefix[-1])])
        if kind is not None:
            return LayerHead(kind, count)
    if names[0].casefold() in PSEUDO:
        return PseudoHead(names[0].casefold())
    return _missing(names[0])


def _names(items: Sequence[ast.Word]) -> Iterator[str]:
    for item in items[:4]:
        if not isinstance(item, ast.Name):
            return
        yield item.text


def _kind(words: Sequence[str]) -> LayerKind | None:
    """Give the kind that exactly these words name."""
    found = find_layer(words) if all(words) else None
    return found[0] if found is not None and found[1] == len(words) else None


def _missing(word: str) -> MissingHead | None:
    for name in (word.casefold(), plain(word).casefold()):
        if name in UNAVAILABLE:
            return MissingHead(name, UNAVAILABLE[name])
    return None


LETTERS: Mapping[str, str] = {"C": "conv", "S": "avgpool", "F": "fc"}
"""What the letters of LeNet's figure stand for: C1, S2, F6."""


def find_label_head(items: Sequence[ast.Word], scope: Scope) -> Head | None:
    """Find what a label says its line is: `CONV1:` a convolution, `C1:`, `S2:`, `F6:` too."""
    found = find_head(items, scope)
    first = items[0].start if isinstance(items[0], ast.Through) else items[0]
    if found is not None or len(items) != 1 or not isinstance(first, ast.Name):
        return found
    letter = re.fullmatch(r"([A-Z])[0-9]+", first.text)
    kind = _kind([LETTERS.get(letter[1], "")]) if letter is not None else None
    return LayerHead(kind, 1) if kind is not None else None


def layer_words() -> list[str]:
    """Give the words that name layers, for suggestions, those of later versions last."""
    return [*LAYERS, *UNAVAILABLE]
