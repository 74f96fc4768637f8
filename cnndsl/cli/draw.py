"""`cnndsl draw`: a picture of a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.options import json_option, program_argument

if TYPE_CHECKING:
    from cnndsl.draw.picture import Style
    from cnndsl.draw.scene import Scene

FORMATS = ("svg", "png", "dot", "mmd")


@click.command()
@program_argument
@reading_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to: .svg, .png, .dot or .mmd. Without it, SVG goes to stdout.",
)
@click.option(
    "--style",
    type=click.Choice(["graph", "blocks"]),
    default="graph",
    help="Boxes with words, or solids as in papers.  [default: graph]",
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    metavar="N",
    help="Open blocks N deep; 0 leaves all closed.  [default: as deep as is clear]",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="What the file's ending does not say."
)
@json_option
def draw(
    *,
    program: str,
    reading: Reading,
    output: Path | None,
    style: Style,
    depth: int | None,
    form: str | None,
    as_json: bool,
) -> None:
    """Draw a program: its layers, the sizes between them, branches and shortcuts.

    Layers and blocks that stand several times in a row are drawn once, with their count. SVG, DOT
    (for Graphviz) and Mermaid need nothing else; PNG needs the extra `draw`.
    """
    from cnndsl.draw.picture import arrange
    from cnndsl.support.files import write_atomic

    chosen = form or _form_of(output)
    network = load_program(program, reading, quiet=as_json).network
    scene = arrange(network, style=style, depth=depth)
    picture = rendered(scene, style, chosen)
    if output is not None:
        write_atomic(output, picture)
    if as_json:
        text = None if chosen == "png" or output is not None else picture.decode()
        emit_json(record(scene, chosen, output, text))
    elif output is None:
        click.echo(picture, nl=False)
    else:
        click.echo(f"{output}: {len(scene.boxes)} boxes", err=True)


def _form_of(output: Path | None) -> str:
    """Read the format off the file's ending."""
    if output is None:
        return "svg"
    ending = output.suffix.removeprefix(".").casefold()
    ending = {"gv": "dot", "mermaid": "mmd"}.get(ending, ending)
    if ending not in FORMATS:
        raise click.BadParameter(
            f"{str(output)!r} ends in none of .{', .'.join(FORMATS)}; --format says it apart",
            param_hint="-o",
        )
    return ending


def rendered(scene: Scene, style: Style, form: str) -> bytes:
    """Give the picture in a format; raises `BackendError` for PNG without the extra."""
    from cnndsl.draw.picture import svg_of, to_dot, to_mermaid
    from cnndsl.draw.png import to_png

    if form == "dot":
        return to_dot(scene).encode()
    if form == "mmd":
        return to_mermaid(scene).encode()
    svg = svg_of(scene, style)
    return to_png(svg) if form == "png" else svg.encode()


def record(scene: Scene, form: str, output: Path | None, text: str | None) -> dict[str, object]:
    """Give what is drawn as JSON values; `text` is the picture if it went to no file."""
    return {
        "name": scene.name,
        "format": form,
        "file": str(output) if output is not None else None,
        "boxes": [
            {
                "name": box.key,
                "layers": list(box.members),
                "words": [strip.words for strip in box.strips],
                "inputs": list(box.inputs),
                "sizes": [list(size) for outlet in box.outlets for size in outlet.sizes],
                "copies": box.copies,
                "params": box.params,
                "macs": box.macs,
            }
            for box in scene.boxes
        ],
        "text": text,
    }
