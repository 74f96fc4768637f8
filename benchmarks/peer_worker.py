"""The peers' side: a process that builds one network in one framework and times it on request.

Runs in the environment of the peers and knows nothing of cnndsl but the recipe and the weights that
were written. Requests come as lines of JSON on stdin and are answered on stdout, one by one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peer_recipe import peak_bytes, timed


def load(framework: str, folder: Path, threads: int, *, compiled: bool) -> Any:
    """Give the framework's side."""
    if framework == "torch":
        from peer_torch import Torch

        return Torch(folder, threads, compiled=compiled)
    if framework == "jax":
        from peer_jax import Jax

        return Jax(folder, threads)
    from peer_onnx import OnnxRuntime, OpenVino

    return {"onnxruntime": OnnxRuntime, "openvino": OpenVino}[framework](folder, threads)


class Desk:
    """Answers requests."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.ways: dict[str, Callable[[], Any]] = {}

    def answer(self, ask: dict[str, Any]) -> Any:
        """Answer one."""
        match ask["do"]:
            case "version":
                return self.peer.version
            case "statistics":
                return self.peer.statistics()
            case "build":
                return self._build(ask["kind"], ask["batch"], one=ask["one"])
            case "output":
                return {way: np.asarray(once()).tolist() for way, once in self.ways.items()}
            case "losses":
                steps = range(ask["steps"])
                return {way: [once() for _ in steps] for way, once in self.ways.items()}
            case "exact losses":
                return self.peer.exact_losses(ask["batch"], ask["steps"])
            case "time":
                return timed(self.ways[ask["way"]], ask["seconds"])
            case "memory":
                return peak_bytes()
        raise ValueError(f"nobody knows how to {ask['do']}")

    def _build(self, kind: str, batch: int, *, one: bool) -> dict[str, float]:
        """Build in all ways, or in the first; gives the seconds until each can run.

        A framework that compiles when it is first called is given a call for that.
        """
        self.ways = {}
        seconds = {}
        for name, build in list(self.peer.ways(kind, batch).items())[: 1 if one else None]:
            since = time.perf_counter()
            self.ways[name] = build()
            seconds[name] = time.perf_counter() - since
        return seconds


def serve(desk: Desk) -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a framework prints is no answer.
    for line in sys.stdin:
        try:
            told = {"answer": desk.answer(json.loads(line))}
        except Exception as error:  # Whatever a framework says goes into the table.
            told = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    named, where, count, mode = sys.argv[1:]
    serve(Desk(load(named, Path(where), int(count), compiled=mode == "compile")))
