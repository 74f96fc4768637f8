"""`cnndsl train`: train a program, or go on with a run that was stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.options import data_options, device_options, json_option, param_option
from cnndsl.cli.run import start, training_options

if TYPE_CHECKING:
    from cnndsl.session import Choices, Session
    from cnndsl.train.runs import RunFolder


@click.command()
@click.argument("program", required=False)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="Go on with the run in this folder, bit for bit.",
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="Begin with the weights of this file."
)
@param_option
@data_options
@training_options
@device_options
@json_option
def train(
    *,
    program: str | None,
    resume: Path | None,
    weights: Path | None,
    as_json: bool,
    runs: Path | None,
    **chosen: Any,
) -> None:
    """Train PROGRAM, or go on with a run; the test images are left alone.

    `cnndsl eval RUN` measures the result. With --resume, only --epochs and --data-dir may be
    given anew.
    """
    if (program is None) == (resume is None):
        raise click.UsageError("give a PROGRAM, or --resume with the folder of a run")
    if resume is None:
        assert program is not None
        start(program, as_json=as_json, runs=runs, chosen=chosen, test=False, weights=weights)
        return
    fixed = {
        name: value
        for name, value in {**chosen, "weights": weights, "runs": runs}.items()
        if value not in (None, (), False) and name not in ("epochs", "data_dir")
    }
    if fixed:
        name = next(iter(fixed)).replace("_", "-")
        raise click.UsageError(f"a run goes on as it began: --{name} cannot be changed")
    go_on(resume, as_json=as_json, epochs=chosen["epochs"], data_dir=chosen["data_dir"])


def go_on(path: Path, *, as_json: bool, epochs: int | None, data_dir: Path | None) -> None:
    """Resume the run in the folder `path`."""
    from cnndsl.cli.training import perform
    from cnndsl.train.loop import load_checkpoint
    from cnndsl.train.runs import RunFolder

    folder = RunFolder.open(path)
    session = reopen(folder, epochs=epochs, data_dir=data_dir)
    state, progress = load_checkpoint(folder)
    perform(session, folder, as_json=as_json, state=state, progress=progress, test=False)


def reopen_choices(folder: RunFolder) -> tuple[Choices, Path | None]:
    """Read the choices of an earlier run and the folder of its program.

    Raises `DiagnosticError` E0721 for a record that cannot be used.
    """
    from cnndsl.ir.types import DType
    from cnndsl.session import Choices
    from cnndsl.support.diagnostics import DiagnosticError, error

    try:
        record = json.loads(folder.resolved.read_text())
        plain = dict(record["choices"])
        plain["dtype"] = DType(plain["dtype"])
        plain["data_dir"] = Path(plain["data_dir"]) if plain["data_dir"] else None
        base_dir = Path(record["base_dir"]) if record["base_dir"] else None
        return Choices(**plain), base_dir
    except (OSError, ValueError, KeyError, TypeError) as why:
        raise DiagnosticError(
            error("E0721", f"{folder.resolved} cannot be used", notes=(f"{why}",))
        ) from None


def reopen(
    folder: RunFolder, *, epochs: int | None = None, data_dir: Path | None = None
) -> Session:
    """Open the session of an earlier run as it was, for more epochs if asked."""
    from cnndsl.frontend.parse import parse_file
    from cnndsl.session import open_session

    chosen, base_dir = reopen_choices(folder)
    chosen = replace(chosen, epochs=epochs or chosen.epochs, data_dir=data_dir or chosen.data_dir)
    return open_session(parse_file(folder.program), chosen, base_dir=base_dir)
