"""Trained weights as a command is given them: the folder of a run, or a weights file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnndsl.backends.base import Precision
    from cnndsl.model import Model
    from cnndsl.session import Session


def load_trained(
    path: Path, *, device: str | None = None, precision: Precision | None = None
) -> Model:
    """Load the model of a run's best weights, or of a weights file.

    `device` and `precision` stand over those of the run; a weights file knows of neither.
    Raises `DiagnosticError` for a folder that is no run and `WeightsError` for a broken file.
    """
    from cnndsl.cli.train import reopen_choices
    from cnndsl.frontend.parse import parse_file
    from cnndsl.model import Model
    from cnndsl.support.settings import Settings
    from cnndsl.train.runs import RunFolder

    if not path.is_dir():
        device = device or Settings.from_env().device
        return Model.from_weights(path, device=device, precision=precision or "fast")
    folder = RunFolder.open(path)
    choices, base_dir = reopen_choices(folder)
    choices = replace(
        choices, device=device or choices.device, precision=precision or choices.precision
    )
    model = Model(parse_file(folder.program), choices=choices, base_dir=base_dir)
    model.load_weights(folder.best)
    return model


def open_trained(
    path: Path,
    *,
    data: str | None,
    data_dir: Path | None,
    device: str | None = None,
    precision: Precision | None = None,
) -> tuple[Model, Session]:
    """Load trained weights, and open the data that they were trained on or `data`."""
    model = load_trained(path, device=device, precision=precision)
    chosen = {name: value for name, value in {"data": data, "data_dir": data_dir}.items() if value}
    return model, model.session(**chosen)
