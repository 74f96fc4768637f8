"""`cnndsl explain`: what a code means, or how a layer comes about."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.explain_layer import Wanted, explain_layer
from cnndsl.cli.loading import Reading, reading_options
from cnndsl.cli.options import complete_program, json_option

CODE = re.compile(r"[ENW]\d{3,}\w*", re.IGNORECASE)


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
        explain_code(what, as_json=as_json)
        return
    wanted = Wanted(layer, at, weights, image, invert)
    explain_layer(what, wanted, reading, as_json=as_json)


def explain_code(code: str, *, as_json: bool) -> None:
    """Print what a code stands for, and its page if there is one.

    Raises a usage error for a code that there is not.
    """
    from cnndsl.support.codes import CODES
    from cnndsl.support.suggest import nearest

    if code.upper() not in CODES:
        close = nearest(code.upper(), CODES)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise click.UsageError(f"there is no code {code!r}.{hint}")
    title = CODES[code.upper()]
    page_of = getattr(importlib.import_module("cnndsl.support.pages"), "page_of", None)
    page = page_of(code) if page_of is not None else None
    if as_json:
        parts = ("cause", "example", "fix") if page is not None else ()
        emit_json(
            {"code": code.upper(), "title": title, **{part: getattr(page, part) for part in parts}}
        )
    elif page is not None:
        click.echo(page.text(), nl=False)
    else:
        click.echo(f"{code.upper()}: {title}")
