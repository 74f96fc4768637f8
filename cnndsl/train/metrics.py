"""Metrics of a classifier, summed over batches: loss, accuracy, top-k, confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cnndsl.ops.rules import Array


@dataclass(slots=True)
class Tally:
    """Running sums; everything a report needs, and all of it plain numbers."""

    classes: int
    """Number of classes."""
    top: int = 5
    """The k of top-k; at most the number of classes."""
    count: int = 0
    """Images seen."""
    loss_sum: float = 0.0
    """Sum of the losses of all images."""
    correct: int = 0
    """Images whose class got the highest score."""
    top_correct: int = 0
    """Images whose class is among the k highest scores."""
    confusion: Array | None = field(default=None, repr=False)
    """i64[classes, classes]: images by true class (row) and predicted class (column)."""

    def add(self, scores: Array, labels: Array, loss: float) -> None:
        """Add a batch: `scores` [N, classes] (any monotone score), `labels` i64 [N], mean `loss`.

        Ties go to the class with the lower number, as in argmax.
        """
        flat = scores.reshape(len(labels), -1)
        predicted = flat.argmax(axis=1)
        self.count += len(labels)
        self.loss_sum += loss * len(labels)
        self.correct += int((predicted == labels).sum())
        k = min(self.top, flat.shape[1])
        own = flat[np.arange(len(labels)), labels][:, None]
        # The rank of the true class: how many score higher, or as high with a lower number.
        earlier = np.arange(flat.shape[1])[None, :] < labels[:, None]
        rank = (flat > own).sum(axis=1) + ((flat == own) & earlier).sum(axis=1)
        self.top_correct += int((rank < k).sum())
        if self.confusion is None:
            self.confusion = np.zeros((self.classes, self.classes), dtype=np.int64)
        np.add.at(self.confusion, (labels, np.minimum(predicted, self.classes - 1)), 1)

    @property
    def loss(self) -> float:
        """Mean loss; 0 before the first batch."""
        return self.loss_sum / self.count if self.count else 0.0

    @property
    def accuracy(self) -> float:
        """Share of images whose class got the highest score."""
        return self.correct / self.count if self.count else 0.0

    @property
    def top_k(self) -> float:
        """Share of images whose class is among the k highest scores."""
        return self.top_correct / self.count if self.count else 0.0

    def report(self) -> dict[str, float]:
        """Give loss, accuracy and top-k by name."""
        k = min(self.top, self.classes)
        return {"loss": self.loss, "accuracy": self.accuracy, f"top{k}": self.top_k}

    def state(self) -> dict[str, float]:
        """Give the sums of a training epoch as JSON numbers, from which `restore` goes on."""
        return {
            "count": self.count,
            "loss_sum": self.loss_sum,
            "correct": self.correct,
            "top_correct": self.top_correct,
        }

    def restore(self, state: Mapping[str, float]) -> None:
        """Take up sums that `state` gave; the confusion matrix of a part is not kept."""
        self.count = int(state["count"])
        self.loss_sum = float(state["loss_sum"])
        self.correct = int(state["correct"])
        self.top_correct = int(state["top_correct"])
