"""`cnndsl explain`: what a code means, or how a layer comes about."""

from __future__ import annotations

import re
from pathlib import Path

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.explain_layer import Wanted, explain_layer
from cnndsl.cli.loading import Reading, reading_options
from cnndsl.cli.options import complete_program, json_option

CODE = re.compile(r"[ENW]\d{2,}\w*", re.IGNORECASE)


@click.command()
@click.argument("what", shell_complete=complete_program)
@click.option("--layer", metavar="NAME", help="The layer of the program that is explained.")
@click.option("--at", metavar="Y,X,K", help="One number of its result: row, column, channel.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="A run's folder or a weights file: work the number out.",
)
@click.option("--image", type=click.Path(path_type=Path), help="The picture that goes in.")
@click.option("--invert", is_flag=True, help="Swap black and white first (ink on paper).")
@reading_options
@json_option
def explain(
    *,
    what: str,
    layer: str | None,
    at: str | None,
    weights: Path | None,
    image: Path | None,
    invert: bool,
    reading: Reading,
    as_json: bool,
) -> None:
    """Explain a code (`E0301`), or a layer of a program.

    Of a layer: the formulas of its size, its parameters, its multiply-adds and of what it sees of
    the input, with their numbers. With --at, the window behind one number of its result; with
    --weights and --image too, the window's numbers, the weights, the products and the sum, beside
    what the reference backend gives.
    """
    if CODE.fullmatch(what):
        if layer or at or weights or image:
            raise click.UsageError(f"{what} is a code, and has no layers")
        explain_code(what.upper(), as_json=as_json)
        return
    wanted = Wanted(layer, at, weights, image, invert)
    explain_layer(what, wanted, reading, as_json=as_json)


def explain_code(code: str, *, as_json: bool) -> None:
    """Print the page of a code: cause, example, fix; a usage error for one that there is not."""
    from cnndsl.support.codes import CODES
    from cnndsl.support.pages import page_of
    from cnndsl.support.suggest import nearest

    if code not in CODES:
        close = nearest(code, CODES)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise click.UsageError(f"there is no code {code!r}.{hint}")
    page = page_of(code)
    if not as_json:
        click.echo(page.text(), nl=False)
        return
    emit_json(
        {
            "code": page.code,
            "title": page.title,
            "cause": page.cause,
            "example": page.example,
            "fix": page.fix,
        }
    )
