"""Words that mean nothing where they stand: what is said about them."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.frontend import ast
from cnndsl.frontend.closeness import akin, instead, is_close, near
from cnndsl.frontend.heads import LayerHead, find_head, layer_words, plain
from cnndsl.frontend.here import Here, text_of
from cnndsl.frontend.readings import Reading
from cnndsl.frontend.scope import LaterError, Scope
from cnndsl.frontend.values import Callee, Value, kind_of
from cnndsl.layers.base import LAYERS, LayerKind, find_layer
from cnndsl.support.diagnostics import DiagnosticError, Label, error
from cnndsl.support.source import Span

LATER = {
    ("softmax", "pairs"): "region layers",
    ("concat", "axis"): "layers of words",
}
"""Arguments of later versions, and what they belong to."""

VALUES = (ast.Number, ast.Size, ast.ShapeLiteral)


def unknown_head(
    item: ast.Word, scope: Scope, *, before: ast.Word | None = None, joint: str = ""
) -> DiagnosticError:
    """Say that a chain goes to something that is no layer: E0201, or E0203 after a hyphen."""
    name = text_of(item.target) if isinstance(item, ast.Call) else text_of(item)
    if isinstance(item, ast.Sized):
        name = item.name
    value = scope.value(name)
    if value is not None and not isinstance(value, Callee):
        return _value_as_layer(item, name, value, before, joint)
    if isinstance(item, ast.Name | ast.Indexed | ast.Dotted) and (
        scope.find_label(name) or scope.find_family(name.removesuffix("[..]"))
    ):
        return DiagnosticError(
            error(
                "E0201",
                f"`{name}` is a stream, not a layer",
                item.span,
                label="a chain goes from layer to layer",
                helps=(f"to go on from it write `from {name}`",),
            )
        )
    span = item.target.span if isinstance(item, ast.Call) else item.span
    own = [n for n in scope.known() if isinstance(scope.value(n), Callee)]
    bare = plain(name) or name
    close = near(bare, [*own, *layer_words()])
    label = meant = ""
    if close and is_close(bare, close[0]):
        meant = close[0]
        close = akin(meant, [*own, *layer_words()])
        label = f"did you mean `{meant}`?"
    return DiagnosticError(
        error(
            "E0201",
            f"there is no layer, block or net called `{name}`",
            span,
            label=label or "not a layer, a block or a net",
            notes=(f"also close: {', '.join(close)}",) if close else (),
            fixes=instead(span, meant),
        )
    )


def _value_as_layer(
    item: ast.Word, name: str, value: Value, before: ast.Word | None, joint: str
) -> DiagnosticError:
    label = f"`{name}` is {kind_of(value)}, not a layer"
    glued = (
        before is not None
        and joint == "-"
        and before.span.end_line == item.span.line
        and item.span.column - before.span.end_column == 1
    )
    if not glued or not isinstance(before, ast.Name):
        return DiagnosticError(
            error(
                "E0201",
                f"there is no layer, block or net called `{name}`",
                item.span,
                label=label,
            )
        )
    layer = before.text
    return DiagnosticError(
        error(
            "E0203",
            f"`{layer}-{name}` reads as the chain `{layer}` then `{name}`",
            item.span,
            label=label,
            notes=(f"only digits glue to a layer: {layer}-64",),
            helps=(_spelled_out(layer, name),),
        )
    )


def _spelled_out(layer: str, name: str) -> str:
    """Write `conv3` and `c` without the hyphen: `conv c 3x3`."""
    stem = plain(layer)
    digits = layer[len(stem) :]
    window = f" {digits}x{digits}" if digits.isdigit() else ""
    return f"`{stem} {name}{window}`"


def stranger(here: Here, reading: Reading, items: Sequence[ast.Word]) -> DiagnosticError:
    """Say that the first of `items` is no word of this layer: E0204."""
    kind, item = reading.kind, items[0]
    name = text_of(item)
    if isinstance(item, ast.Name | ast.Call | ast.Sized):
        head = find_head(items, here.scope)
        if isinstance(head, LayerHead) and not _is_clause(item, kind):
            return _forgotten_arrow(reading, items, head)
    label, notes, helps = "unexpected clause", list[str](), list[str]()
    words = [*_clause_words(kind), *here.scope.known()]
    close = near(name, words, limit=1)
    meant = close[0] if close and is_close(name, close[0]) else ""
    if meant:
        label = f"did you mean `{meant}`?"
    elif not isinstance(item, ast.Name):
        label = "unexpected"
    notes.append(f"`{kind.name}` takes: {_takes(kind)}")
    helps += _elsewhere(reading, name)
    span = _with_values(items)
    return DiagnosticError(
        error(
            "E0204",
            f"`{kind.name}` has no `{name}`",
            span,
            label=label,
            related=(Label(reading.head),) if reading.head.line == span.line else (),
            notes=tuple(notes),
            helps=tuple(helps),
            fixes=instead(item.span, meant),
        )
    )


def means_a_word(kind: LayerKind, name: str) -> bool:
    """Tell whether a name behind a layer that may do without a second stream is no stream.

    It is then a layer's name, or nearly one of the kind's own words.
    """
    if kind.inputs[0] != 1:
        return False
    close = near(name, _clause_words(kind), limit=1)
    return find_layer([name]) is not None or bool(close and is_close(name, close[0]))


def _is_clause(item: ast.Word, kind: LayerKind) -> bool:
    return isinstance(item, ast.Name) and kind.clause(item.text) is not None


def _forgotten_arrow(
    reading: Reading, items: Sequence[ast.Word], head: LayerHead
) -> DiagnosticError:
    name = " ".join(text_of(i) for i in items[: head.used])
    return DiagnosticError(
        error(
            "E0204",
            f"`{reading.kind.name}` has no `{name}`",
            items[0].span.to(items[head.used - 1].span),
            label=f"`{name}` is a layer of its own",
            related=(Label(reading.head),) if reading.head.line == items[0].span.line else (),
            helps=(f"put an arrow before it: `-> {name}`",),
        )
    )


def _takes(kind: LayerKind) -> str:
    named = [c.name.replace("_", " ") for c in kind.clauses]
    if kind.takes_activation:
        named.append("an activation")
    return ", ".join(named) or "nothing"


def _clause_words(kind: LayerKind) -> list[str]:
    words = [n for c in kind.clauses for n in (c.name, *c.names) if " " not in n]
    if kind.takes_activation:
        words += [name for name, other in LAYERS.items() if other.activation]
    return words


def _elsewhere(reading: Reading, word: str) -> list[str]:
    """Name the layers that do have a clause."""
    have = [name for name, kind in LAYERS.items() if kind.clause(word)]
    if not have:
        return []
    if reading.kind.name == "fc" and "conv" in have:
        neurons = reading.given.get("neurons", 64)
        adjective = {"stride": "strided", "pad": "padded", "dilation": "dilated"}.get(word)
        if adjective:
            return [f"a {adjective} convolution is `conv {neurons} 3x3 {word} 2`"]
    return [f"`{word}` is a word of {', '.join(have)}"]


def _with_values(items: Sequence[ast.Word]) -> Span:
    span = items[0].span
    for item in items[1:]:
        if not isinstance(item, VALUES):
            break
        span = span.to(item.span)
    return span


def refuse_later(kind: LayerKind, name: ast.Name) -> None:
    """Raise `LaterError` for an argument that the layer will have in a later version."""
    what = LATER.get((kind.name, name.text.casefold()))
    if what is not None:
        raise LaterError(f"{kind.name}({name.text})", what, name.span)
