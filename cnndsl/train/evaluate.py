"""Measuring a network on a set of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from cnndsl.ops.rules import Array
from cnndsl.runtime.executable import Executable, State
from cnndsl.train.metrics import Tally

Scorers = Callable[[int], Executable]
"""Gives the executable of the network with its loss, in inference, for a number of images."""

Batches = Iterable[tuple[Array, Array]]
"""Images f32 [N, C, H, W] and labels i64 [N]; the last batch may be smaller."""


def weights_of(executable: Executable, state: Mapping[str, Array]) -> State:
    """Give those arrays of `state` that an executable has as parameters."""
    return {name: state[name] for name in executable.parameters}


def evaluate(
    scorers: Scorers,
    state: Mapping[str, Array],
    batches: Batches,
    *,
    classes: int,
    top: int = 5,
    feeds: Callable[[Array, Array], Mapping[str, Array]],
) -> Tally:
    """Run the network over `batches` and tally loss, accuracy, top-k and confusion.

    `feeds` names a batch's arrays as the network's inputs. Arrays of `state` that the network
    does not have (the optimizer's) are left aside.
    """
    tally = Tally(classes, top)
    ready: dict[int, Executable] = {}
    for images, labels in batches:
        size = len(labels)
        if size not in ready:
            ready[size] = scorers(size)
            ready[size].load_state(weights_of(ready[size], state))
        outputs = ready[size].run(feeds(images, labels))
        tally.add(outputs["output"], np.asarray(labels), float(outputs["loss"]))
    return tally
