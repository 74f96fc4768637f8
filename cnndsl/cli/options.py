"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., object])


def complete_program(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the zoo's names, then files."""
    from cnndsl.support.resources import resource_dir

    zoo = sorted(path.name for path in resource_dir("zoo").glob("*.cnn"))
    items = [CompletionItem(name) for name in zoo if name.startswith(incomplete)]
    return [*items, CompletionItem(incomplete, type="file")]


program_argument = click.argument("program", shell_complete=complete_program)
"""PROGRAM: a file or the name of one in the zoo."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else."
)

param_option = click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="Choose a parameter of the program.",
)


def parameters(params: tuple[str, ...]) -> dict[str, str]:
    """Read the values of `-p`; raises a usage error for one without `=`."""
    chosen: dict[str, str] = {}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="-p")
        chosen[name.strip()] = value.strip()
    return chosen


def data_options(command: F) -> F:
    """Add `--data` and `--data-dir`."""
    for option in (
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="A folder that holds data sets (also: CNNDSL_DATA).",
        ),
        click.option("--data", metavar="NAME", help="A data set by name, or a folder of images."),
    ):
        command = option(command)
    return command


def device_options(command: F) -> F:
    """Add `--device` and `--precision`."""
    for option in (
        click.option(
            "--precision",
            type=click.Choice(["fast", "exact"]),
            help="exact: no algorithm that rounds otherwise than a plain sum.  [default: fast]",
        ),
        click.option(
            "--device",
            metavar="NAME",
            help="What runs it: cpu, cuda (cuda:1 for the second GPU), reference, or auto for "
            "the fastest that can (also: CNNDSL_DEVICE).  [default: cpu]",
        ),
    ):
        command = option(command)
    return command
