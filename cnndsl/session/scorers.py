"""Networks compiled for inference, one for each number of images, that remember their weights."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from cnndsl.compiler import compile_network
from cnndsl.layers.network import Network
from cnndsl.ops.rules import Array
from cnndsl.runtime.executable import Executable, State
from cnndsl.session.choices import Choices


def frozen(state: Mapping[str, Array]) -> State:
    """Give a copy of a state whose arrays nobody can write to.

    >>> frozen({"bias": np.zeros(2)})["bias"].flags.writeable
    False
    """
    copies = {name: np.array(array) for name, array in state.items()}
    for array in copies.values():
        array.flags.writeable = False
    return copies


class Scorers:
    """The executables of one network, compiled on demand.

    Loading a state copies all weights and lays them out anew, so an executable is loaded again
    only when its weights are others: an array that cannot be written to is known to be the same
    if it is the same object; one that can is not known to be, and is loaded each time. Threads may
    ask at the same time.
    """

    def __init__(self, network: Network, choices: Choices) -> None:
        """Compile `network` as `choices` say, later."""
        self._network = network
        self._choices = choices
        self._ready: dict[int, Executable] = {}
        self._loaded: dict[int, State] = {}
        self._lock = threading.Lock()

    def get(self, batch: int) -> Executable:
        """Give the executable for a number of images; nothing may have been loaded."""
        with self._lock:
            return self._get(batch)

    def with_weights(self, batch: int, state: Mapping[str, Array]) -> Executable:
        """Give the executable for a number of images, with the weights that `state` has for it."""
        with self._lock:
            executable = self._get(batch)
            wanted = {name: state[name] for name in executable.parameters}
            if not _same(self._loaded.get(batch), wanted):
                # Whatever happens meanwhile, half a state is never taken for a whole one.
                self._loaded.pop(batch, None)
                executable.load_state(wanted)
                self._loaded[batch] = wanted
            return executable

    def _get(self, batch: int) -> Executable:
        if batch not in self._ready:
            options = self._choices.options(batch)
            self._ready[batch] = compile_network(self._network, options).executable
        return self._ready[batch]


def _same(loaded: State | None, wanted: State) -> bool:
    """Tell whether every array is certain to hold what it held when it was loaded."""
    if loaded is None:
        return False
    return all(
        array is loaded.get(name) and not array.flags.writeable for name, array in wanted.items()
    )
