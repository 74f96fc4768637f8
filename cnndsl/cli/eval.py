"""`cnndsl eval`: trained weights measured on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import data_options, device_options, json_option
from cnndsl.ops.rules import Array

if TYPE_CHECKING:
    from cnndsl.backends.base import Precision


@click.command("eval")
@click.argument("trained", type=click.Path(path_type=Path))
@data_options
@click.option(
    "--split", type=click.Choice(["test", "val", "train"]), default="test", help="Which images."
)
@click.option("--confusion", is_flag=True, help="Show which classes are taken for which.")
@device_options
@json_option
def eval_(
    *,
    trained: Path,
    data: str | None,
    data_dir: Path | None,
    split: str,
    confusion: bool,
    device: str | None,
    precision: Precision | None,
    as_json: bool,
) -> None:
    """Measure TRAINED: the folder of a run (its best weights), or a .safetensors file."""
    from cnndsl.cli.trained import open_trained

    model, session = open_trained(
        trained, data=data, data_dir=data_dir, device=device, precision=precision
    )
    assert model.state is not None, "trained weights were loaded"
    tally = session.evaluate(model.state, split)
    if as_json:
        emit_json(
            {
                "split": split,
                "data": session.data.name,
                "images": tally.count,
                **tally.report(),
                "classes": list(session.data.classes),
                "confusion": None if tally.confusion is None else tally.confusion.tolist(),
            }
        )
        return
    report = tally.report()
    top = next(name for name in report if name.startswith("top"))
    click.echo(
        f"{session.data.name} {split}: accuracy {100 * tally.accuracy:.2f} % "
        f"({tally.correct:,} of {tally.count:,}), "
        f"{top.replace('top', 'top-')} {100 * report[top]:.2f} %, loss {tally.loss:.4f}"
    )
    if confusion and tally.confusion is not None:
        click.echo(confusion_table(tally.confusion, session.data.classes))


def confusion_table(confusion: Array, classes: tuple[str, ...]) -> str:
    """Write a confusion matrix, or its largest entries where it would not fit 80 columns."""
    width = max(len(str(int(confusion.max(initial=0)))), 3) + 1
    if 14 + width * len(classes) <= 80:
        head = " " * 14 + "".join(f"{str(name)[: width - 1]:>{width}}" for name in classes)
        rows = [
            f"{name[:13]:<14}" + "".join(f"{count or '.':>{width}}" for count in row)
            for name, row in zip(classes, confusion.tolist(), strict=True)
        ]
        return "\n".join(["true \\ given as", head, *rows])
    wrong = confusion.copy()
    for index in range(len(classes)):
        wrong[index, index] = 0
    order = [divmod(int(i), len(classes)) for i in wrong.ravel().argsort()[::-1][:10]]
    lines = [
        f"{wrong[true, given]:>6,}  {classes[true]} taken for {classes[given]}"
        for true, given in order
        if wrong[true, given]
    ]
    return "\n".join(["most frequent mistakes:", *lines])
