"""The sections `train { .. }` and `data NAME { .. }`, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.frontend.values import Value
from cnndsl.support.source import Span


@dataclass(frozen=True, slots=True)
class Setting:
    """A name with arguments: `sgd(lr=0.1, momentum=0.9)`, `crop 227`, `folder "pets"`."""

    name: str
    """The name, in lower case."""
    args: tuple[Value, ...] = ()
    """Values without names."""
    kwargs: Mapping[str, Value] = field(default_factory=dict)
    """Values with names."""
    span: Span | None = field(default=None, compare=False)
    """Where it stands."""
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)
    """Where each of the values with a name stands, its name included."""


@dataclass(frozen=True, slots=True)
class EpochAction:
    """What happens when an epoch begins: `at 10: unfreeze FC6..FC7, lr 1e-4`."""

    epoch: int
    """Before which epoch, counted from 1."""
    kind: str
    """"freeze", "unfreeze" or "lr"."""
    layers: tuple[str, ...] = ()
    """Names of the layers that are frozen or not."""
    value: float | None = None
    """The new learning rate."""
    span: Span | None = field(default=None, compare=False)
    """Where it stands."""


@dataclass(frozen=True, slots=True)
class TrainSection:
    """How a program is trained; what it does not say is nothing here."""

    net: str | None = None
    """The net that it trains, if it names one."""
    data: str | None = None
    """Name of a data section or of a data set."""
    loss: Setting | None = None
    """The loss."""
    optimizer: Setting | None = None
    """The optimizer."""
    schedule: Setting | None = None
    """The learning rate's schedule."""
    init: Setting | None = None
    """How parameters begin."""
    batch: int | None = None
    """Images in a step."""
    epochs: int | None = None
    """Passes over the data."""
    steps: int | None = None
    """Steps in all, if the program counts them instead."""
    seed: int | None = None
    """The seed of everything that is random."""
    clip: float | None = None
    """Largest length of the gradient."""
    patience: int | None = None
    """Epochs without progress before training ends."""
    metrics: tuple[str, ...] = ()
    """What is measured beside the loss."""
    actions: tuple[EpochAction, ...] = ()
    """What happens at epochs."""
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)
    """Where each line's value stands, by the line's name."""
    span: Span | None = field(default=None, compare=False)
    """Where the section stands."""


@dataclass(frozen=True, slots=True)
class DataSection:
    """Where data come from and what is done to them."""

    name: str
    """What the program calls them."""
    source: Setting | None = None
    """The kind of source and its name: `folder "pets"`, `mnist`."""
    resize: tuple[int, int] | None = None
    """Height and width that images are scaled to."""
    pad: tuple[int, int] | int | None = None
    """Height and width that images are padded to, or pixels on each side."""
    mean: tuple[float, ...] | None = None
    """What is subtracted: one number, or one for each channel."""
    std: tuple[float, ...] | None = None
    """What is divided by: one number, or one for each channel."""
    split: tuple[float, ...] | None = None
    """Shares of training, validation and test images."""
    limit: int | None = None
    """How many images are used at most."""
    seed: int | None = None
    """The seed of splitting and augmenting."""
    channels: int | None = None
    """1 for grey, 3 for colour."""
    classes: int | None = None
    """How many classes there are."""
    augment: tuple[Setting, ...] = ()
    """What is done to training images at random."""
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)
    """Where each line's value stands, by the line's name."""
    span: Span | None = field(default=None, compare=False)
    """Where the section stands."""
