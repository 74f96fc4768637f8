"""`cnndsl data`: what data sets there are, where their files lie, and how to get them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cnndsl.cli.console import emit_json, err, is_terminal
from cnndsl.cli.options import json_option


@click.group()
def data() -> None:
    """List data sets, see where their files lie, download them."""


@data.command("list")
@json_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="A folder to look into first.")
def list_(*, as_json: bool, data_dir: Path | None) -> None:
    """List the data sets known by name. Those whose files are here can be used at once."""
    from cnndsl.data import DATASETS, open_dataset
    from cnndsl.support.diagnostics import DataError

    rows = []
    for name, source in DATASETS.items():
        try:
            open_dataset(name, data_dir=data_dir)
            here = True
        except DataError:
            here = False
        rows.append(
            {
                "name": name,
                "title": source.title,
                "shape": list(source.shape),
                "classes": len(source.classes),
                "counts": dict(source.counts),
                "licence": source.licence,
                "here": here,
            }
        )
    if as_json:
        emit_json({"datasets": rows})
        return
    for row, source in zip(rows, DATASETS.values(), strict=True):
        counts = " + ".join(f"{n:,} {split}" for split, n in source.counts.items())
        state = "here" if row["here"] else f"`cnndsl data get {row['name']}`"
        size = "x".join(map(str, source.shape))
        click.echo(f"{row['name']:<14} {size:<9} {len(source.classes):>4} classes  {state}")
        click.echo(f"{'':<14} {source.title}: {counts}")


@data.command()
@click.argument("name")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Where to put the files.")
@json_option
def get(*, name: str, folder: Path | None, as_json: bool) -> None:
    """Download a data set's files. Hashes are checked, and nothing is half written."""
    from cnndsl.data.download import fetch

    if not is_terminal(sys.stderr):
        paths = list(fetch(name, folder=folder))
    else:
        paths = _download_with_bars(name, folder)
    if as_json:
        emit_json({"files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(str(path))


def _download_with_bars(name: str, folder: Path | None) -> list[Path]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    from cnndsl.data.download import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=err(), transient=True) as bars:

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=done)

        return list(fetch(name, folder=folder, progress=show))
