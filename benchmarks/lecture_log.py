"""The lecture's training log beside ours: `python benchmarks/lecture_log.py --data-dir DIR`.

The slide trains the Keras classifier on MNIST, ten epochs in batches of 200 with RMSprop, and
shows loss and accuracy over each epoch's training images. This trains `keras_mnist` so, on the
54,000 images that a validation set of 6,000 leaves, and writes both logs as a Markdown table, with
what the second lecture says of MNIST's size. MNIST must lie in DIR.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cnndsl.data import open_dataset

SLIDE = (
    (0.2413, 0.9235), (0.0533, 0.9837), (0.0337, 0.9891), (0.0250, 0.9921), (0.0193, 0.9941),
    (0.0146, 0.9953), (0.0119, 0.9964), (0.0095, 0.9970), (0.0085, 0.9974), (0.0070, 0.9976),
)  # fmt: skip
"""Loss and accuracy of each epoch as the slide prints them."""

SIZES = {"images": 60_000, "side": 28, "classes": 10}
"""What the other lecture's table says of MNIST."""


def sizes(data_dir: Path) -> dict[str, int]:
    """Measure the training images of MNIST: how many, how large, of how many classes."""
    train = open_dataset("mnist", data_dir=data_dir).train
    images, labels = np.asarray(train.images), np.asarray(train.labels)
    return {"images": len(images), "side": images.shape[-1], "classes": len(np.unique(labels))}


def train(data_dir: Path, epochs: int) -> list[dict[str, float]]:
    """Train the zoo's program; give what `cnndsl run --json` says at the end of each epoch."""
    with tempfile.TemporaryDirectory() as runs:
        words = ["run", "keras_mnist", "--data", "mnist", "--data-dir", str(data_dir)]
        words += ["--epochs", str(epochs), "--runs", runs, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "cnndsl", *words], stdout=subprocess.PIPE, text=True, check=True
        )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    test = next(event["test"] for event in events if event["event"] == "done")
    print(f"accuracy on the test images: {test['accuracy']:.2%}\n", file=sys.stderr)
    return [event for event in events if event["event"] == "epoch"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder that holds mnist")
    parser.add_argument("--epochs", type=int, default=len(SLIDE))
    options = parser.parse_args()
    found = sizes(options.data_dir)
    log = train(options.data_dir, options.epochs)
    print("| epoch | the slide's loss | ours | the slide's accuracy | ours | seconds |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for number, ((loss, accuracy), ours) in enumerate(zip(SLIDE, log, strict=False), 1):
        print(
            f"| {number} | {loss:.4f} | {ours['loss']:.4f} | {accuracy:.4f} | "
            f"{ours['accuracy']:.4f} | {ours['seconds']:.1f} |"
        )
    print(f"\nMNIST: {found}" + ("" if found == SIZES else f"; the lecture says {SIZES}"))
    return 0 if found == SIZES else 1


if __name__ == "__main__":
    sys.exit(main())
