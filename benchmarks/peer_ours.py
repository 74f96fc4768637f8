"""Our side: programs compiled and timed, and written down so that the peers can build the same.

A recipe is the list of a network's operations in plain words, as JSON: what each reads, writes and
is told. Weights go beside it as arrays under our names.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peer_recipe import MOMENTUM, RATE

from cnndsl.compiler import CompileOptions, Training, compile_network, lower_network
from cnndsl.frontend.lower import lower
from cnndsl.ir.graph import Graph, Value
from cnndsl.layers.initializers import initial_state
from cnndsl.model import Model
from cnndsl.recipes.optimizers import SGD
from cnndsl.runtime.executable import Executable

LOSS = "crossentropy"


class Ours:
    """One network, compiled as it is asked for."""

    def __init__(self, program: str, threads: int) -> None:
        import os

        os.environ["CNNDSL_THREADS"] = str(threads)
        self.network = Model.load(program).network
        self._graph = lower_network(self.network, CompileOptions(batch=1))
        self.state = initial_state(self._graph, 0)
        self.classes = self._graph.type_of(self._graph.outputs["output"]).shape[-1]
        self._known: dict[tuple[str, int], Executable] = {}

    def write(self, folder: Path) -> None:
        """Write recipe and weights."""
        (folder / "recipe.json").write_text(json.dumps(recipe(self.network, self._graph)))
        np.savez(folder / "weights.npz", **{k: v.astype(np.float32) for k, v in self.state.items()})

    def take(self, folder: Path) -> None:
        """Take the statistics that were measured on the peers' side."""
        with np.load(folder / "statistics.npz") as found:
            self.state.update({name: found[name] for name in found.files})

    def input(self, batch: int) -> np.ndarray[Any, Any]:
        """Draw images that everybody is fed."""
        height, width, channels = self.network.inputs[0].size
        rng = np.random.default_rng(batch)
        return rng.standard_normal((batch, channels, height, width)).astype(np.float32)

    def labels(self, batch: int) -> np.ndarray[Any, Any]:
        return np.random.default_rng(batch).integers(0, self.classes, batch)

    def compile(self, kind: str, batch: int) -> float:
        """Compile for inference or training; gives the seconds that it took."""
        self._known.clear()
        gc.collect()
        options = CompileOptions(batch=batch, device="cpu", verify=False)
        since = time.perf_counter()
        if kind == "infer":
            made = compile_network(self.network, options).executable
        else:
            training = Training(SGD(lr=RATE, momentum=MOMENTUM), LOSS)
            made = compile_network(self.network, options, training=training).executable
        seconds = time.perf_counter() - since
        self._known[kind, batch] = made
        self._load(made)
        return seconds

    def _load(self, executable: Executable) -> None:
        state = {name: v for name, v in self.state.items() if name in executable.parameters}
        if len(state) < len(executable.parameters):  # what an optimizer keeps
            state = {**initial_state(executable.plan.graph, 0), **state}
        executable.load_state(state)

    def call(self, kind: str, batch: int) -> Callable[[], dict[str, Any]]:
        """Give what runs once."""
        executable = self._known[kind, batch]
        feeds: dict[str, Any] = {}
        for name, type_ in executable.inputs.items():
            if len(type_.shape) == 4:
                feeds[name] = self.input(batch)
            elif type_.shape:
                feeds[name] = self.labels(batch).astype(type_.dtype.numpy)
            else:
                feeds[name] = np.asarray(RATE if type_.dtype.is_float else 0, type_.dtype.numpy)
        return lambda: executable.run(feeds)

    def output(self, batch: int) -> np.ndarray[Any, Any]:
        return np.asarray(self.call("infer", batch)()["output"])

    def losses(self, batch: int, steps: int) -> list[float]:
        """Train some steps on the same images and begin again afterwards."""
        once = self.call("train", batch)
        found = [float(once()["loss"]) for _ in range(steps)]
        self._load(self._known["train", batch])
        return found


def recipe(network: Any, graph: Graph) -> dict[str, Any]:
    """Write a network down: the operations of training up to the scores, with dropout.

    A batch norm's statistics are named as in the graph of inference.
    """
    statistics = {
        str(node.operands[1].node): [str(value.node) for value in node.operands[3:]]
        for node in graph.nodes()
        if node.op.name == "batch_norm"
    }
    forward = lower(network, batch=2, training=True, loss=LOSS)
    loss = forward[forward.outputs["loss"]]
    assert loss.op.name == "softmax_cross_entropy", loss.op.name
    scores = loss.operands[0]
    steps: list[dict[str, Any]] = []
    for node in reachable(forward, scores):
        if node.op.name in ("parameter", "input"):
            continue
        operands = [str(value.node) for value in node.operands]
        name, attrs = node.op.name, plain(node.attrs)
        if name == "batch_norm_train":
            name, operands = "batch_norm", [*operands, *statistics[operands[1]]]
        if name == "dropout_mask":
            continue
        mask = forward[node.operands[-1]] if node.operands else node
        if name == "mul" and mask.op.name == "dropout_mask":
            name, operands, attrs = "dropout", operands[:1], {"rate": mask.attrs.rate}
        steps.append({"name": node.id, "op": name, "reads": operands, "attrs": attrs})
    (images,) = [
        node for node in forward.nodes() if node.op.name == "input" and node.type.shape[2:]
    ]
    height, width, channels = network.inputs[0].size
    return {
        "steps": steps,
        "input": images.id,
        "size": [channels, height, width],
        "scores": str(scores.node),
        "has_dropout": any(step["op"] == "dropout" for step in steps),
    }


def reachable(graph: Graph, root: Value) -> list[Any]:
    """Give the nodes that a value is made of, in order."""
    wanted = {root.node}
    for node in reversed(list(graph.nodes())):
        if node.id in wanted and node.op.name not in ("parameter", "dropout_mask"):
            wanted.update(value.node for value in node.operands)
    return [node for node in graph.nodes() if node.id in wanted]


def plain(attrs: object) -> dict[str, Any]:
    """Give attributes as JSON values, as far as they are such."""
    found = {}
    for name in getattr(attrs, "__dataclass_fields__", {}):
        value = getattr(attrs, name)
        if isinstance(value, int | float | str | bool | tuple):
            found[name] = value
    return found


def main() -> None:
    """Run one case a few times in a process of its own, and print the most memory it had."""
    from peer_recipe import peak_bytes, timed

    _, program, kind, batch, threads = sys.argv
    ours = Ours(program, int(threads))
    ours.compile(kind, int(batch))
    timed(ours.call(kind, int(batch)), 0.2)
    print(peak_bytes())


if __name__ == "__main__":
    main()
