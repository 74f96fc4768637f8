"""JAX on a GPU, for `gpu.py`: the network that `peer_jax.py` writes, channels last, in bf16."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from peer_jax import Arrays, Written, descent
from peer_recipe import Recipe

WARM, TURNS, RUNS = 10, 5, 20


class Rounded(Written):
    """The network with factors and activations in `dtype`, norms in float32."""

    dtype: Any = jnp.bfloat16

    def _step(self, step: dict[str, Any], x: list[Any], w: list[Any], number: int) -> Any:
        if step["op"] in ("batch_norm", "lrn"):
            wide = [value.astype(jnp.float32) for value in x]
            return super()._step(step, wide, w, number).astype(self.dtype)
        small, own = ([value.astype(self.dtype) for value in given] for given in (x, w))
        return super()._step(step, small, own, number)


def scores_of(recipe: Recipe, weights: Arrays, key: Any, x: Any, dtype: Any) -> tuple[Any, Arrays]:
    """Compute scores in float32, and in training the new statistics."""
    written = Rounded(recipe, weights, key, last=True)
    written.dtype = dtype
    scores, fresh = written(x.astype(dtype))
    return scores.astype(jnp.float32), fresh


def time_jax(folder: Path, kind: str, batch: int) -> dict[str, Any]:
    """Time a network with images that lie on the device; the median of five turns of 20 runs."""
    if jax.default_backend() != "gpu":
        return {"skipped": "JAX finds no GPU"}
    once = runner(Recipe(folder), folder, kind, batch, dtype=jnp.bfloat16)
    for _ in range(WARM):
        once()
    seconds = []
    for _ in range(TURNS):
        jax.block_until_ready(once())
        begin = time.perf_counter()
        for _ in range(RUNS - 1):
            once()
        jax.block_until_ready(once())
        seconds.append((time.perf_counter() - begin) / RUNS)
    return {
        "framework": f"JAX {jax.__version__} bf16",
        "images_per_second": batch / median(seconds),
        "milliseconds": 1e3 * median(seconds),
    }


def runner(recipe: Recipe, folder: Path, kind: str, batch: int, *, dtype: Any) -> Callable[[], Any]:
    """Give what runs once without waiting: inference, or a training step that keeps its state."""
    known = {name: jnp.asarray(array) for name, array in recipe.weights.items()}
    images = jnp.asarray(np.load(folder / f"images{batch}.npy"))
    if kind == "infer":
        infer = jax.jit(lambda w, x: jax.nn.softmax(scores_of(recipe, w, None, x, dtype)[0]))
        return lambda: infer(known, images)
    labels = jnp.asarray(np.load(folder / f"labels{batch}.npy"))
    norms = (step for step in recipe.steps if step["op"] == "batch_norm")
    still = {name: known.pop(name) for step in norms for name in step["reads"][3:]}

    def loss_of(weights: Arrays, fixed: Arrays, x: Any, key: Any) -> tuple[Any, Arrays]:
        scores, fresh = scores_of(recipe, {**weights, **fixed}, key, x, dtype)
        logs = jax.nn.log_softmax(scores, axis=1)
        return -jnp.take_along_axis(logs, labels[:, None], axis=1).mean(), fresh

    ready = jax.jit(descent(loss_of), donate_argnums=0)
    held = [(known, {n: jnp.zeros_like(a) for n, a in known.items()}, still, jax.random.key(0))]

    def once() -> Any:
        held[0], loss = ready(held[0], images)
        return loss

    return once
