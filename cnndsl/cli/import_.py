"""`cnndsl import`: programs from slides, tables, Keras and PyTorch listings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.ending import Exit
from cnndsl.cli.loading import STANDARD_INPUT
from cnndsl.cli.options import json_option

file_argument = click.argument("file", type=click.Path(dir_okay=False))

output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write a file instead."
)


@click.group(name="import")
def import_() -> None:
    """Write the program that a slide, a table or another tool's listing describes.

    Files are read as text; nothing in them is executed. `-` reads stdin.
    """


@import_.command()
@file_argument
@output_option
@json_option
def keras(*, file: str, output: Path | None, as_json: bool) -> int:
    """Read a Keras listing: Sequential models and functional chains."""
    from cnndsl.importers.keras import read_keras

    return _listing(file, output, read_keras, as_json=as_json)


@import_.command()
@file_argument
@output_option
@json_option
def torch(*, file: str, output: Path | None, as_json: bool) -> int:
    """Read a PyTorch listing: nn.Sequential, or the signature of a layer as a block."""
    from cnndsl.importers.pytorch import read_torch

    return _listing(file, output, read_torch, as_json=as_json)


@import_.command()
@file_argument
@output_option
@json_option
def darknet(*, file: str, output: Path | None, as_json: bool) -> int:
    """Read a Darknet .cfg: convolutions, poolings, dense layers, routes and shortcuts."""
    from cnndsl.importers.darknet import read_darknet

    return _listing(file, output, read_darknet, as_json=as_json)


@import_.command()
@file_argument
@output_option
@click.option("--input", "size", default="", metavar="SIZE", help="The input where none is shown.")
@click.option(
    "--layout",
    type=click.Choice(["hwc", "chw"]),
    default="hwc",
    help="How sizes are written: channels last or first.  [default: hwc]",
)
@click.option(
    "--rounding",
    type=click.Choice(["floor", "ceil"]),
    help="What to do with sizes that do not come out whole.",
)
@click.option("--page", type=click.IntRange(min=1), help="Which network, if there are several.")
@json_option
@click.option("--repairs", is_flag=True, help="Say what was cleaned, on stderr.")
def slide(
    *,
    file: str,
    output: Path | None,
    size: str,
    layout: str,
    rounding: str | None,
    page: int | None,
    repairs: bool,
    as_json: bool,
) -> int:
    """Read the text of a lecture slide: layers, tables, patterns, claims.

    Prose stays as remarks. `cnndsl check` then says which of the slide's numbers are wrong.
    """
    from cnndsl.importers.sheet import Options
    from cnndsl.importers.slide import read_slide

    found = read_slide(_text(file), options=Options(size, layout, rounding or ""))
    if repairs:
        for repair in found.repairs:
            click.echo(f"line {repair.line}: {repair.what}: {repair.after}", err=True)
    if as_json:
        changed = [{"line": r.line, "what": r.what} for r in found.repairs]
        emit_json({"programs": list(found.programs), "repairs": changed})
        return Exit.DONE
    programs = found.programs if page is None else found.programs[page - 1 : page]
    if len(programs) == 1:
        return _write(programs[0], output)
    if not programs:
        count = len(found.programs)
        what = f"there are {count} networks" if count else "no network is found in it"
        raise click.UsageError(f"{file}: {what}")
    for number, program in enumerate(programs, 1):
        click.echo(f"# ---- network {number}: `--page {number}` writes it alone\n{program}")
    return Exit.DONE


def _listing(file: str, output: Path | None, read: Callable[..., str], *, as_json: bool) -> int:
    shown = "<stdin>" if file == STANDARD_INPUT else file
    program = read(_text(file), name=shown)
    if as_json:
        emit_json({"programs": [program], "repairs": []})
        return Exit.DONE
    return _write(program, output)


def _text(file: str) -> str:
    """Read a file under the limits of programs; raises `DiagnosticError`."""
    from cnndsl.frontend.reading import decode_text, read_text
    from cnndsl.support.limits import DEFAULT_LIMITS

    if file == STANDARD_INPUT:
        data = sys.stdin.buffer.read(DEFAULT_LIMITS.file_bytes + 1)
        return decode_text(data, "<stdin>").text
    return read_text(file).text


def _write(program: str, output: Path | None) -> int:
    if output is None:
        click.echo(program, nl=False)
    else:
        output.write_text(program, encoding="utf-8")
        click.echo(f"wrote {output}", err=True)
    return Exit.DONE
