"""Lines of a slide that say how a network is trained."""

from __future__ import annotations

import re

from cnndsl.importers.rules import NUMBER, Reader, rule


@rule(r"batch size (\d+)")
def read_batch(reader: Reader, found: re.Match[str]) -> bool:
    """`batch size 128`."""
    reader.values["batch"] = found[1]
    return True


@rule(rf"SGD momentum ({NUMBER})")
def read_momentum(reader: Reader, found: re.Match[str]) -> bool:
    """`SGD Momentum 0.9`."""
    reader.values["momentum"] = found[1]
    return True


@rule(r"learning rate ([\d.e-]+), reduced(?: by (\d+))? manually when val accuracy \w+")
def read_rate(reader: Reader, found: re.Match[str]) -> bool:
    """`Learning rate 1e-2, reduced by 10 manually when val accuracy plateaus`: ends a recipe."""
    reader.values["rate"] = found[1]
    reader.values["by"] = found[2] or "10"
    _train(reader)
    return True


@rule(r"L2 weight decay ([\d.e-]+)")
def read_decay(reader: Reader, found: re.Match[str]) -> bool:
    """`L2 weight decay 5e-4`."""
    reader.values["decay"] = found[1]
    _train(reader)
    return True


@rule(rf"dropout ({NUMBER})")
def read_dropout(reader: Reader, found: re.Match[str]) -> bool:
    """`dropout 0.5`: behind the hidden fully connected layers."""
    reader.resume()
    dense = [row for row in reader.sheet.layers if re.match(r"FC\d", row.label)]
    for row in dense[:-1]:
        row.words += f", relu, dropout {found[1]}"
    return bool(dense)


def _train(reader: Reader) -> None:
    """Write the section anew with everything that is known."""
    values = reader.values
    reader.resume()
    decay = f", decay={values['decay']}" if "decay" in values else ""
    momentum = f", momentum={values['momentum']}" if "momentum" in values else ""
    by = 1 / float(values.get("by", "10"))
    lines = [
        "train {",
        "  loss: crossentropy",
        f"  optimizer: sgd(lr={values.get('rate', '1e-2')}{momentum}{decay})",
        f"  schedule: plateau(by={by:g})",
        *([f"  batch: {values['batch']}"] if "batch" in values else []),
        "}",
    ]
    tail = reader.sheet.tail
    tail[:] = [line for line in tail if not line.startswith("train {")]
    tail.append("\n".join(lines))
