"""Losses: how far a network's output is from its target, as one number.

Every loss is a mean: over images, and over positions or elements where there are several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Value
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.clauses import (
    Clause,
    LayerError,
    SettingValue,
    Takes,
    check_settings,
    fold_words,
)
from cnndsl.ops.elementwise_loss import (
    SmoothL1Attrs,
    binary_cross_entropy_logits,
    l1,
    smooth_l1,
    squared_error,
)
from cnndsl.ops.loss import cross_entropy, hinge, softmax_cross_entropy
from cnndsl.support.registry import Registry
from cnndsl.support.suggest import nearest

HEADS = Clause("aux", Takes.NUMBER, low=0.0, doc="what the loss of an auxiliary head counts")
"""A setting of every loss: the further outputs of a network are heads that only training uses, and
their losses are added, each times this number (Szegedy et al., 2015, section 5)."""


class Target(Enum):
    """What a loss compares the output with."""

    LABELS = auto()
    """The number of the right class, i64 [N], or one at each position, i64 [N,H,W]."""
    LIKE_OUTPUT = auto()
    """Numbers of the output's own type and shape."""


Settings: TypeAlias = Mapping[str, SettingValue]
LossRule: TypeAlias = Callable[[Builder, Value, Value, Settings], Value]
"""`(b, output, target, settings) -> scalar loss`."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One way to measure an output against its target."""

    name: str
    """The canonical word."""
    target: Target
    """What the target is."""
    rule: LossRule
    """Puts the loss into a graph."""
    doc: str
    """What it computes."""
    names: tuple[str, ...] = ()
    """Other spellings."""
    folds: tuple[str, ...] = ()
    """Kinds of last layers that it contains: the loss takes what such a layer reads, which is
    exact where their own result would round to 0 or 1."""
    clauses: tuple[Clause, ...] = ()
    """Its settings, but for `HEADS`, which all losses have."""

    def target_type(self, output: TensorType) -> TensorType:
        """Give the type of the target for an output [N,C] or [N,C,H,W]."""
        if self.target is Target.LIKE_OUTPUT:
            return output
        return TensorType(DType.I64, (output.shape[0], *output.shape[2:]))

    def complete(self, given: Settings) -> dict[str, SettingValue]:
        """Fill in the settings that were not given; `LayerError` E0204 or E0207 for a wrong one."""
        usual = {c.name: c.default for c in self.clauses if c.default is not None}
        settings = {**usual, **given}
        check_settings(self.name, (*self.clauses, HEADS), settings)
        return settings

    def emit(
        self, b: Builder, output: Value, target: Value, settings: Settings | None = None
    ) -> Value:
        """Add the loss to a graph; gives a scalar of the output's precision.

        `output` is what the last layer gives, or what it reads if its kind is in `folds`.
        """
        return self.rule(b, output, target, self.complete(settings or {}))


LOSSES: Registry[Loss] = Registry("loss")
"""Every loss by its canonical name."""


def find_loss(word: str) -> Loss:
    """Find a loss by any of its spellings; raises `LayerError` E0730 with the nearest ones."""
    spellings = {
        fold_words(name): loss for loss in LOSSES.values() for name in (loss.name, *loss.names)
    }
    found = spellings.get(fold_words(word))
    if found is None:
        close = list(dict.fromkeys(spellings[name].name for name in nearest(word, spellings)))
        raise LayerError(
            "E0730",
            f"there is no loss called `{word}`",
            label=f"did you mean `{close[0]}`?" if close else "",
            notes=[f"there are: {', '.join(LOSSES)}"],
        )
    return found


def _define(loss: Loss) -> None:
    LOSSES.register(loss.name, loss)


def _crossentropy(b: Builder, output: Value, target: Value, settings: Settings) -> Value:
    return b.emit(softmax_cross_entropy, output, target, name="loss")


def _nll(b: Builder, output: Value, target: Value, settings: Settings) -> Value:
    return b.emit(cross_entropy, output, target, name="loss")


def _hinge(b: Builder, output: Value, target: Value, settings: Settings) -> Value:
    return b.emit(hinge, output, target, name="loss")


def _squared_error(b: Builder, output: Value, target: Value, settings: Settings) -> Value:
    return b.emit(squared_error, output, target, name="loss")


def _l1(b: Builder, output: Value, target: Value, settings: Settings) -> Value:
    return b.emit(l1, output, target, name="loss")


def _smooth_l1(b: Builder, output: Value, target: Value, settings: Settings) -> Value:
    beta = settings["beta"]
    assert isinstance(beta, int | float)
    return b.emit(smooth_l1, output, target, attrs=SmoothL1Attrs(float(beta)), name="loss")


def _bce(b: Builder, output: Value, target: Value, settings: Settings) -> Value:
    return b.emit(binary_cross_entropy_logits, output, target, name="loss")


_define(
    Loss(
        "crossentropy",
        Target.LABELS,
        _crossentropy,
        "minus the logarithm of the right class's softmax; scores that no softmax follows count "
        "as its input",
        names=("cross entropy", "categorical crossentropy", "sparse categorical crossentropy",
               "softmax loss", "log loss", "ce"),
        folds=("softmax", "logsoftmax"),
    )
)  # fmt: skip
_define(
    Loss(
        "nll",
        Target.LABELS,
        _nll,
        "minus the logarithm of the right class's probability, of outputs that are probabilities",
        names=("negative log likelihood",),
    )
)
_define(
    Loss(
        "hinge",
        Target.LABELS,
        _hinge,
        "the sum of max(0, score - right score + 1) over the wrong classes",
        names=("svm", "svm loss", "multiclass svm", "multiclass hinge"),
        folds=("softmax", "logsoftmax"),
    )
)
_define(
    Loss(
        "mse",
        Target.LIKE_OUTPUT,
        _squared_error,
        "the square of the difference",
        names=("squared", "squared error", "mean squared error", "l2", "euclidean"),
    )
)
_define(
    Loss(
        "l1",
        Target.LIKE_OUTPUT,
        _l1,
        "the absolute difference",
        names=("mae", "absolute error", "mean absolute error"),
    )
)
_define(
    Loss(
        "smooth_l1",
        Target.LIKE_OUTPUT,
        _smooth_l1,
        "the square of differences below `beta`, the absolute value of others (Girshick, 2015)",
        names=("huber", "smoothl1"),
        clauses=(
            Clause("beta", Takes.NUMBER, default=1.0, doc="where square and line meet", low=1e-6),
        ),
    )
)
_define(
    Loss(
        "bce",
        Target.LIKE_OUTPUT,
        _bce,
        "cross-entropy of yes and no at each number; scores that no sigmoid follows count as its "
        "input",
        names=("binary cross entropy", "binary crossentropy"),
        folds=("sigmoid",),
    )
)
