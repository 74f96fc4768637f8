"""`cnndsl explain PROGRAM --layer NAME`: how a layer's size, counts and numbers come about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program

if TYPE_CHECKING:
    from cnndsl.layers.accounts import Account
    from cnndsl.layers.element_parts import Element, Floats, Place, Plane
    from cnndsl.layers.network import Layer, Network

MOST_PLANES = 3
"""Channels whose window is printed."""
MOST_NUMBERS = 10
"""Products of a long row that are printed."""
WIDTH = 80
"""Columns."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a program is to be explained: the options of the command."""

    layer: str | None = None
    """The layer."""
    at: str | None = None
    """Place in its result, as written: "0,4,7"."""
    weights: Path | None = None
    """A run's folder or a weights file."""
    image: Path | None = None
    """A picture."""
    invert: bool = False
    """Whether black and white are swapped first."""


def explain_layer(program: str, wanted: Wanted, reading: Reading, *, as_json: bool) -> None:
    """Print how one layer of a program comes about, or give it as JSON."""
    from cnndsl.layers.accounts import accounts

    if (wanted.image is None) != (wanted.weights is None):
        raise click.UsageError("--weights and --image belong together")
    if wanted.image is not None and wanted.at is None:
        raise click.UsageError("--image needs --at: which number is to be worked out?")
    network = load_program(program, reading, quiet=as_json).network
    layer = _find(network, wanted.layer)
    at = _place(wanted.at, layer) if wanted.at is not None else None
    said = accounts(network, layer.name)
    window = None
    element, reference = None, None
    if at is not None and wanted.image is not None:
        element, reference = worked_out(program, layer, at, wanted, reading)
        window = element.window if element is not None else None
    elif at is not None:
        from cnndsl.layers.element import reach_of

        window = reach_of(layer, at)
    if as_json:
        emit_json(record(layer, said, at, window, element, reference))
        return
    click.echo(f"{layer.name}: {layer.spec.kind.words(layer.spec)}")
    for account in said:
        click.echo(f"  {account.title:<14}{account.text}")
    if at is not None:
        click.echo("")
        click.echo("\n".join(_about(layer, at, window, element, reference)))


def _find(network: Network, name: str | None) -> Layer:
    """Find the layer; raises a usage error for none, `DiagnosticError` E0210 for a wrong name."""
    from cnndsl.support.diagnostics import DiagnosticError, error
    from cnndsl.support.suggest import nearest

    names = [layer.name for layer in network.layers]
    listed = ", ".join(names[:12]) + (", .." if len(names) > 12 else "")
    if name is None:
        raise click.UsageError(f"which layer? --layer takes one of {listed}")
    known = {key: of for key, of in network.streams.items() if of in names}
    known |= {n: n for n in names}
    folded = {key.casefold(): of for key, of in known.items()}
    found = known.get(name) or folded.get(name.casefold())
    if found is not None:
        return network[found]
    close = nearest(name, known)
    raise DiagnosticError(
        error(
            "E0210",
            f"`{network.name}` has no layer called `{name}`",
            notes=(f"its layers: {listed}",),
            helps=(f"did you mean `{close[0]}`?",) if close else (),
        )
    )


def _place(text: str, layer: Layer) -> Place:
    """Read `y,x,k`, or `k` of a vector; `DiagnosticError` E0923 for a place outside the result."""
    from cnndsl.layers.base import show_size
    from cnndsl.support.diagnostics import DiagnosticError, error

    axes = "row,column,channel" if len(layer.output) == 3 else "number"
    try:
        place = tuple(int(part) for part in text.split(","))
    except ValueError:
        place = ()
    if len(place) != len(layer.output):
        raise click.BadParameter(f"{text!r} is not {axes}", param_hint="--at")
    if any(not 0 <= at < side for at, side in zip(place, layer.output, strict=True)):
        last = ",".join(str(side - 1) for side in layer.output)
        raise DiagnosticError(
            error(
                "E0923",
                f"{layer.name} gives {show_size(layer.output)}, and nothing is at {text}",
                helps=(f"places count from 0; the last one is {last}",),
            )
        )
    return place


def worked_out(
    program: str, layer: Layer, at: Place, wanted: Wanted, reading: Reading
) -> tuple[Element | None, float]:
    """Work a number out by hand and by the reference backend, for weights and a picture."""
    import numpy as np

    from cnndsl.cli.loading import read_program
    from cnndsl.data.single import read_pictures
    from cnndsl.layers.element import work_out
    from cnndsl.layers.element_parts import Seen
    from cnndsl.layers.moves import MOVES, moved
    from cnndsl.model import Model
    from cnndsl.session import Choices

    assert wanted.weights is not None
    assert wanted.image is not None
    tree, base_dir = read_program(program, reading)
    choices = Choices(params=reading.params, data=reading.data)
    model = Model(tree, choices=choices, base_dir=base_dir)
    file = wanted.weights
    model.load_weights(file / "best.safetensors" if file.is_dir() else file)
    size = model.network.inputs[0].size
    channels = size[-1] if len(size) == 3 else 1
    (picture,) = read_pictures([wanted.image], channels=3 if channels == 3 else 1)
    picture = 255 - picture if wanted.invert else picture
    found = model.look(picture, layer.name, *layer.inputs)
    reference = float(found[layer.name][(at[-1], *at[:-1])])
    inputs = [np.asarray(found[name], np.float64) for name in layer.inputs]
    arrays = {
        spec.name: np.asarray(found[f"{layer.name}.{spec.name}"], np.float64)
        for spec in layer.parameters
    }
    seen = Seen(layer, inputs, arrays)
    return (moved(seen, at) if layer.kind in MOVES else work_out(seen, at)), reference


# ------------------------------------------------------------------ words


def _about(
    layer: Layer,
    at: Place,
    window: tuple[tuple[int, int], tuple[int, int]] | None,
    element: Element | None,
    reference: float | None,
) -> Iterator[str]:
    place = ", ".join(map(str, at))
    what = "row, column, channel" if len(at) == 3 else "number"
    yield f"at {place} ({what})"
    if window is not None:
        (top, bottom), (left, right) = window
        height, width, _ = layer.input_sizes[0]
        border = top < 0 or left < 0 or bottom >= height or right >= width
        yield (
            f"  looks at rows {top} to {bottom} and columns {left} to {right}"
            f"{', partly over the border' if border else ''}"
        )
    if reference is None:
        return
    if element is None:
        yield f"  the reference gives {reference:.7g}; `{layer.kind}` is not taken apart here"
        return
    yield from _planes(element.planes)
    yield ""
    widest = max(len(step.text) for step in element.steps)
    for step in element.steps:
        yield f"  {step.text:<{widest}} = {step.value:.7g}"
    yield f"  the reference gives {reference:.7g}"


def _planes(planes: Sequence[Plane]) -> Iterator[str]:
    """Print the channels that count most: numbers, weights and products."""
    import numpy as np

    def weight(plane: Plane) -> float:
        values = plane.values if plane.products is None else plane.products
        return float(np.nansum(np.abs(values)))

    shown = sorted(planes, key=weight, reverse=True)[:MOST_PLANES]
    for plane in (plane for plane in planes if any(plane is one for one in shown)):
        yield ""
        yield f"  {plane.title}"
        yield from _grids(plane) if plane.values.ndim == 2 else _rows(plane)
    rest = [plane for plane in planes if not any(plane is one for one in shown)]
    if rest:
        total = math.fsum(float(p.products.sum()) for p in rest if p.products is not None)
        yield ""
        yield f"  and {len(rest)} channels more, whose products sum to {total:.6g}"


def _grids(plane: Plane) -> Iterator[str]:
    grids = [("numbers", plane.values)]
    if plane.weights is not None and plane.products is not None:
        grids += [("weights", plane.weights), ("products", plane.products)]
    blocks = [[title, *_grid(values)] for title, values in grids]
    widths = [max(map(len, block)) for block in blocks]
    if sum(widths) + 3 * len(widths) + 1 <= WIDTH:
        for row in zip(*blocks, strict=True):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield f"    {'   '.join(cells)}".rstrip()
        return
    for block in blocks:
        yield from (f"    {line}" for line in block)


def _grid(values: Floats) -> list[str]:
    """Write a grid; the middle of one too large for the screen is left out."""
    most = 9
    rows, columns = values.shape
    across = _ends(columns, most)
    lines = []
    for row in _ends(rows, most):
        if row is None:
            lines.append("..")
            continue
        cells = ("..".rjust(4) if c is None else _cell(float(values[row, c])) for c in across)
        lines.append(" ".join(cells))
    return lines


def _ends(count: int, most: int) -> list[int | None]:
    if count <= most:
        return list(range(count))
    half = most // 2
    return [*range(half), None, *range(count - half, count)]


def _cell(number: float) -> str:
    return "border".rjust(7) if math.isnan(number) else f"{number:7.3f}".replace("-0.000", " 0.000")


def _rows(plane: Plane) -> Iterator[str]:
    """Print the largest products of a vector, or its numbers if they are few."""
    import numpy as np

    values = plane.values
    order = np.argsort(-np.abs(values if plane.products is None else plane.products), kind="stable")
    for index in order[:MOST_NUMBERS]:
        text = f"    {int(index):>6}  {float(values[index]):10.6g}"
        if plane.weights is not None and plane.products is not None:
            weight, product = float(plane.weights[index]), float(plane.products[index])
            text += f" * {weight:10.6g} = {product:10.6g}"
        yield text
    if len(values) > MOST_NUMBERS:
        yield f"    and {len(values) - MOST_NUMBERS:,} smaller ones"


# ------------------------------------------------------------------ JSON


def record(
    layer: Layer,
    said: Sequence[Account],
    at: Place | None,
    window: tuple[tuple[int, int], tuple[int, int]] | None,
    element: Element | None,
    reference: float | None,
) -> dict[str, object]:
    """Give everything as JSON values; what lies over the border is null."""
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "words": layer.spec.kind.words(layer.spec),
        "accounts": {account.title: account.text for account in said},
        "at": list(at) if at is not None else None,
        "window": [list(side) for side in window] if window is not None else None,
        "value": element.value if element is not None else None,
        "reference": reference,
        "steps": [{"text": s.text, "value": s.value} for s in element.steps] if element else [],
        "planes": [_plane_record(plane) for plane in element.planes] if element else [],
    }


def _plane_record(plane: Plane) -> dict[str, object]:
    return {
        "title": plane.title,
        "numbers": _listed(plane.values),
        "weights": _listed(plane.weights) if plane.weights is not None else None,
        "products": _listed(plane.products) if plane.products is not None else None,
    }


def _listed(values: Floats) -> list[object]:
    return [
        _listed(row) if row.ndim else None if math.isnan(float(row)) else float(row)
        for row in values
    ]
