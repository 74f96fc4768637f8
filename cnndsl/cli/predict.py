"""`cnndsl predict`: which class is on a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.options import device_options, json_option
from cnndsl.ops.rules import Array

if TYPE_CHECKING:
    from cnndsl.backends.base import Precision
    from cnndsl.model import Model


@click.command()
@click.argument("trained", required=False, type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", "given", type=click.Path(path_type=Path), help="The same as TRAINED.")
@click.option(
    "--source", "sources", multiple=True, type=click.Path(path_type=Path), help="One more image."
)
@click.option("--top", type=click.IntRange(min=1), default=3, help="How many classes to name.")
@click.option("--invert", is_flag=True, help="Swap black and white first (ink on paper).")
@device_options
@json_option
def predict(
    *,
    trained: Path | None,
    images: tuple[Path, ...],
    given: Path | None,
    sources: tuple[Path, ...],
    top: int,
    invert: bool,
    device: str | None,
    precision: Precision | None,
    as_json: bool,
) -> None:
    """Classify IMAGES (PNG, JPEG, BMP, WebP) with TRAINED: a run's folder or a weights file."""
    from cnndsl.cli.trained import load_trained

    if given is not None and trained is not None:
        images, trained = (trained, *images), None
    path = given or trained
    files = (*images, *sources)
    if path is None or not files:
        raise click.UsageError("give trained weights and at least one image")
    model = load_trained(path, device=device, precision=precision)
    rows = classify(model, path, files, top=top, invert=invert)
    if as_json:
        emit_json({"images": rows})
        return
    for row in rows:
        listed = row["scores"]
        assert isinstance(listed, list)
        scores = "  ".join(f"{s['class']} {100 * s['score']:.1f} %" for s in listed)
        click.echo(f"{row['file']}: {scores}")


def classify(
    model: Model, path: Path, files: tuple[Path, ...], *, top: int, invert: bool
) -> list[dict[str, object]]:
    """Give the classes with the highest scores for each file; `path` is what was trained.

    Raises `DataError` for files that are no pictures, with the name of each.
    """
    import numpy as np

    from cnndsl.data.single import read_pictures
    from cnndsl.train.checkpoint import load_state

    best = path / "best.safetensors" if path.is_dir() else path
    names = load_state(best)[1].get("classes", "").split("\n")
    channels = model.network.inputs[0].size[-1] if len(model.network.inputs[0].size) == 3 else 1
    rows: list[dict[str, object]] = []
    pictures = read_pictures(files, channels=3 if channels == 3 else 1)
    for file, pixels in zip(files, pictures, strict=True):
        scores = probabilities(model.predict(255 - pixels if invert else pixels).ravel())
        order = np.argsort(-scores, kind="stable")[:top]
        rows.append(
            {
                "file": str(file),
                "class": _class(names, int(order[0])),
                "scores": [
                    {"class": _class(names, int(i)), "score": float(scores[i])} for i in order
                ],
            }
        )
    return rows


def _class(names: list[str], index: int) -> str:
    return names[index] if index < len(names) and names[index] else str(index)


def probabilities(scores: Array) -> Array:
    """Give scores as probabilities: as they are if they sum to 1, else their softmax."""
    import numpy as np

    if (scores >= 0).all() and abs(float(scores.sum()) - 1.0) < 1e-3:
        return scores
    raised = np.exp(scores - scores.max())
    return np.asarray(raised / raised.sum())
