"""From the PROGRAM of a command line to what is looked at: read, parsed, elaborated."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cnndsl.cli.console import show_diagnostics
from cnndsl.cli.options import param_option, parameters

if TYPE_CHECKING:
    from cnndsl.frontend import ast
    from cnndsl.frontend.elaborate import Elaboration
    from cnndsl.layers.base import Hwc
    from cnndsl.support.limits import Limits

F = TypeVar("F", bound=Callable[..., object])

USUAL_DATA = "digits"
"""The data set whose sizes hold if nothing is said: the one that `cnndsl run` then trains on."""

STANDARD_INPUT = "-"
"""The PROGRAM that is read from stdin."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How programs are read: the options of `reading_options`."""

    params: dict[str, str] = field(default_factory=dict)
    """Values of parameters, as written."""
    max_layers: int | None = None
    """Layers that a network may have; nothing for the usual limit."""
    allow_paths: tuple[Path, ...] = ()
    """Folders outside the program's own that it may name files in."""
    data: str | None = None
    """The data set whose sizes a program takes that says none; nothing for the built-in one."""

    @property
    def limits(self) -> Limits:
        """The limits under which files are read."""
        from dataclasses import replace

        from cnndsl.support.limits import DEFAULT_LIMITS

        if self.max_layers is None:
            return DEFAULT_LIMITS
        return replace(DEFAULT_LIMITS, max_layers=self.max_layers)


def reading_options(command: F) -> F:
    """Add `-p`, `--data`, `--max-layers`, `--allow-path`; the command gets them as `reading`."""

    @functools.wraps(command)
    def gathered(
        *,
        params: tuple[str, ...],
        max_layers: int | None,
        allow_paths: tuple[Path, ...],
        data: str | None,
        **rest: object,
    ) -> object:
        reading = Reading(parameters(params), max_layers, allow_paths, data)
        return command(reading=reading, **rest)

    for option in (
        click.option(
            "--allow-path",
            "allow_paths",
            multiple=True,
            metavar="FOLDER",
            type=click.Path(path_type=Path),
            help="A folder besides the program's own that it may import from.",
        ),
        click.option(
            "--max-layers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Raise the limit of 100,000 layers, for a file you trust.",
        ),
        click.option(
            "--data",
            metavar="NAME",
            help="Whose image size and classes hold where the program says none.  "
            "[default: digits]",
        ),
        param_option,
    ):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def read_program(name: str, reading: Reading) -> tuple[ast.Program, Path]:
    """Parse the program that `name` means, and give the folder that its paths start from.

    `-` is stdin. Raises `DiagnosticError` for a program that is not there or has syntax errors.
    """
    from cnndsl.frontend import find
    from cnndsl.frontend.parse import parse
    from cnndsl.frontend.reading import decode_source

    limits = reading.limits
    if name == STANDARD_INPUT:
        data = sys.stdin.buffer.read(limits.file_bytes + 1)
        return parse(decode_source(data, "<stdin>", limits=limits), limits=limits), Path()
    return find.read_program(name, limits=limits)


def load_program(name: str, reading: Reading, *, quiet: bool = False) -> Elaboration:
    """Read and elaborate a program; its notes go to stderr unless `quiet`.

    Raises `DiagnosticError` with everything that is wrong with it.
    """
    from cnndsl.frontend.elaborate import elaborate

    program, base_dir = read_program(name, reading)
    size, classes = sizes_of_data(reading.data)
    elaboration = elaborate(
        program,
        params=reading.params,
        input_size=size,
        classes=classes,
        limits=reading.limits,
        base_dir=base_dir,
        allow_paths=reading.allow_paths,
    )
    if not quiet:
        show_diagnostics(elaboration.notes, elaboration.sources)
    return elaboration


def sizes_of_data(name: str | None) -> tuple[Hwc | None, int | None]:
    """Give image size and number of classes of a data set, without opening it.

    Nothing is known of a folder of images; `DataError` for what is neither.
    """
    from cnndsl.data import DATASETS, open_dataset

    if name is not None and name not in DATASETS:
        if not Path(name).is_dir():
            open_dataset(name)  # raises, with the names that are known
        return None, None
    source = DATASETS[name or USUAL_DATA]
    return source.shape, len(source.classes)
