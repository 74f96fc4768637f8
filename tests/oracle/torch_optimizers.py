"""The update rules of both sides, and the state from which they go on.

The rules agree as they stand, epsilons included: PyTorch, too, adds Adam's, RMSprop's and
Adagrad's outside the root (Adam's after bias correction) and Adadelta's inside. Defaults differ, so
every option is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from cnndsl.ops.rules import Array
from cnndsl.recipes.optimizers import (
    SGD,
    STATE_PREFIX,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
)

Groups = list[dict[str, object]]


@dataclass(frozen=True)
class Recipe:
    """An optimizer on both sides, with the names that PyTorch gives to its state."""

    label: str
    ours: Optimizer
    make: Callable[[Groups], torch.optim.Optimizer]
    slots: Mapping[str, str]
    clip: float | None = None


optim = torch.optim
VELOCITY = {"momentum": "momentum_buffer"}
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}
MEANS = {"gradients": "square_avg", "steps": "acc_delta"}
RECIPES = (
    Recipe("sgd", SGD(lr=0.1), lambda g: optim.SGD(g, lr=0.1), {}),
    Recipe(
        "sgd, momentum, decay",
        SGD(lr=0.05, momentum=0.9, decay=1e-2),
        lambda g: optim.SGD(g, lr=0.05, momentum=0.9),
        VELOCITY,
    ),
    Recipe(
        "sgd, nesterov",
        SGD(lr=0.05, momentum=0.9, nesterov=True),
        lambda g: optim.SGD(g, lr=0.05, momentum=0.9, nesterov=True),
        VELOCITY,
    ),
    Recipe(
        "sgd, clipped",
        SGD(lr=0.1, momentum=0.9),
        lambda g: optim.SGD(g, lr=0.1, momentum=0.9),
        VELOCITY,
        0.1,
    ),
    Recipe("adam", Adam(lr=1e-3), lambda g: optim.Adam(g, lr=1e-3, eps=1e-8), MOMENTS),
    Recipe(
        "adam, decay",
        Adam(lr=1e-3, decay=1e-2),
        lambda g: optim.Adam(g, lr=1e-3, eps=1e-8),
        MOMENTS,
    ),
    Recipe(
        "adamw", AdamW(lr=1e-3, decay=1e-2), lambda g: optim.AdamW(g, lr=1e-3, eps=1e-8), MOMENTS
    ),
    Recipe(
        "adam, large epsilon", Adam(eps=0.1), lambda g: optim.Adam(g, lr=1e-3, eps=0.1), MOMENTS
    ),
    Recipe(
        "rmsprop",
        RMSprop(lr=1e-3),
        lambda g: optim.RMSprop(g, lr=1e-3, alpha=0.9, eps=1e-7),
        {"v": "square_avg"},
    ),
    Recipe(
        "rmsprop, momentum",
        RMSprop(lr=1e-3, momentum=0.9, eps=0.1),
        lambda g: optim.RMSprop(g, lr=1e-3, alpha=0.9, eps=0.1, momentum=0.9),
        {"v": "square_avg", **VELOCITY},
    ),
    Recipe(
        "adagrad",
        Adagrad(lr=1e-2, eps=0.1),
        lambda g: optim.Adagrad(g, lr=1e-2, eps=0.1),
        {"sum": "sum"},
    ),
    Recipe(
        "adadelta",
        Adadelta(lr=1.0),
        lambda g: optim.Adadelta(g, lr=1.0, rho=0.95, eps=1e-6),
        MEANS,
    ),
)


def eighth_step(
    stepper: torch.optim.Optimizer,
    slots: Mapping[str, str],
    learned: Mapping[str, torch.Tensor],
    scales: Mapping[str, float],
) -> dict[str, Array]:
    """Let an optimizer go on as from its eighth step, and give the same state for our side.

    Its moments have the size of the gradients, `scales`. From nothing, the first step of Adam and
    its kin is the sign of the gradient, which rounding decides where the gradient is nearly 0.
    """
    ours: dict[str, Array] = {}
    for number, (key, array) in enumerate(learned.items()):
        rng = np.random.default_rng([5, number])
        known: dict[str, object] = {"step": torch.tensor(7.0)}
        for slot, called in slots.items():
            drawn = _moment(slot, array.shape, scales[key], rng)
            kept = drawn.astype(array.detach().numpy().dtype)
            known[called] = torch.tensor(kept)
            ours[f"{STATE_PREFIX}{key}.{slot}"] = kept
        stepper.state[array] = known
    return ours


def _moment(slot: str, shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Array:
    if slot in ("v", "sum", "gradients"):
        return rng.uniform(0.5, 1.5, shape) * scale**2
    if slot == "steps":
        return rng.uniform(0.5, 1.5, shape) * 1e-6
    return rng.normal(0.0, 0.3, shape) * scale
