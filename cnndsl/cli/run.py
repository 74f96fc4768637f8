"""`cnndsl run`: from a program to trained weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnndsl.cli.options import (
    data_options,
    device_options,
    json_option,
    param_option,
    parameters,
    program_argument,
)

if TYPE_CHECKING:
    from cnndsl.session import Choices

F = TypeVar("F", bound=Callable[..., object])

POSITIVE = click.IntRange(min=1)


def training_options(command: F) -> F:
    """Add what may be said about a training."""
    options = (
        click.option("--epochs", type=POSITIVE, help="Passes over the training images."),
        click.option("--batch", type=POSITIVE, help="Images of a step."),
        click.option("--lr", "rate", type=click.FloatRange(min=0), help="Learning rate at first."),
        click.option("--seed", type=click.IntRange(min=0), help="For every random number."),
        click.option("--patience", type=POSITIVE, help="Stop after so many idle epochs."),
        click.option("--limit", type=POSITIVE, help="Use at most so many images of each split."),
        click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read."),
        click.option(
            "--runs",
            type=click.Path(path_type=Path, file_okay=False),
            help="Where run folders are made (runs).",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@program_argument
@param_option
@data_options
@training_options
@device_options
@json_option
def run(*, program: str, as_json: bool, runs: Path | None, **chosen: Any) -> None:
    """Check, compile and train PROGRAM, then test it.

    Everything about the run is kept in runs/NAME-N. Ctrl-C stops and keeps the state.
    """
    start(program, as_json=as_json, runs=runs, chosen=chosen, test=True)


def start(
    program: str,
    *,
    as_json: bool,
    runs: Path | None,
    chosen: dict[str, Any],
    test: bool,
    weights: Path | None = None,
) -> None:
    """Open a session for a program and train it in a new run folder."""
    from cnndsl.cli.console import show_diagnostics
    from cnndsl.cli.training import perform, runs_root
    from cnndsl.frontend.find import read_program
    from cnndsl.session import open_session
    from cnndsl.train.runs import RunFolder

    tree, base_dir = read_program(program)
    session = open_session(tree, choices(chosen), base_dir=base_dir)
    sources = {tree.source.name: tree.source}
    show_diagnostics(session.elaboration.notes, sources)
    state = None
    if weights is not None:
        from cnndsl.cli.weights import weights_for

        state = weights_for(session, weights)
    # Whatever is wrong with the weights that the program loads shows before there is a folder.
    state = {**session.first_state(), **(state or {})}
    folder = RunFolder.claim(runs_root(runs), Path(tree.source.name).stem)
    folder.describe(tree.source.text, session.record())
    perform(session, folder, as_json=as_json, state=state, test=test)


def choices(chosen: dict[str, Any]) -> Choices:
    """Make the session's choices of the command's options."""
    from cnndsl.session import Choices
    from cnndsl.support.settings import Settings

    plain = {name: value for name, value in chosen.items() if value is not None}
    plain["params"] = parameters(plain.pop("params", ()))
    plain.setdefault("device", Settings.from_env().device)
    return Choices(**plain)
