"""JAX on a GPU, for `gpu.py`: the network that `peer_worker.py` reads, channels last, in bf16."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from peer_worker import MOMENTUM, RATE, Recipe

WARM, TURNS, RUNS = 10, 5, 20
Values = Mapping[str, Any]


def apply(recipe: Recipe, weights: Values, x: Any, *, training: bool, dtype: Any, key: Any) -> Any:
    """Compute the scores of images [N,H,W,C]; products in `dtype`, statistics in float32."""
    values = {recipe.input: x.astype(dtype)}
    for number, step in enumerate(recipe.steps):
        given = [values[name] for name in step["reads"] if name in values]
        own = [weights[name] for name in step["reads"] if name in weights]
        told = {"training": training, "key": jax.random.fold_in(key, number)}
        values[step["name"]] = compute(step["op"], step["attrs"], given, own, **told)
    return values[recipe.scores].astype(jnp.float32)


def compute(
    op: str, attrs: dict[str, Any], x: list[Any], own: list[Any], *, training: bool, key: Any
) -> Any:
    """Compute one step on arrays that lie channels last."""
    match op:
        case "relu":
            return jax.nn.relu(x[0])
        case "tanh":
            return jnp.tanh(x[0])
        case "add":
            return x[0] + x[1]
        case "concat":
            assert attrs["axis"] == 1, "channels are joined"
            return jnp.concatenate(x, axis=-1)
        case "reshape":
            # What is flattened has its channels first, as the weights after it expect.
            first = x[0].transpose(0, 3, 1, 2) if x[0].ndim == 4 else x[0]
            return first.reshape(first.shape[0], *attrs["shape"][1:])
        case "global_avg_pool":
            return x[0].astype(jnp.float32).mean((1, 2)).astype(x[0].dtype)
        case "conv2d":
            return convolve(attrs, x[0], own)
        case "dense":
            result = x[0] @ own[0].astype(x[0].dtype).T
            return result + own[1].astype(x[0].dtype) if len(own) > 1 else result
        case "batch_norm":
            return normalize(attrs, x[0], own, training=training)
        case "max_pool2d" | "avg_pool2d":
            return pool(op, attrs, x[0])
        case "lrn":
            return local_norm(attrs, x[0])
        case "dropout":
            if not training:
                return x[0]
            kept = jax.random.bernoulli(key, 1 - attrs["rate"], x[0].shape)
            return jnp.where(kept, x[0] / (1 - attrs["rate"]), 0)
    raise ValueError(f"nobody knows how to write {op} for JAX")


def convolve(attrs: dict[str, Any], x: Any, own: list[Any]) -> Any:
    weight = own[0].astype(x.dtype).transpose(2, 3, 1, 0)
    result = lax.conv_general_dilated(
        x,
        weight,
        attrs["strides"],
        attrs["padding"],
        rhs_dilation=attrs["dilations"],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=attrs["groups"],
    )
    return result + own[1].astype(x.dtype) if len(own) > 1 else result


def normalize(attrs: dict[str, Any], x: Any, own: list[Any], *, training: bool) -> Any:
    scale, shift, mean, variance = own
    wide = x.astype(jnp.float32)
    if training:
        mean, variance = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
    factor = scale * lax.rsqrt(variance + attrs["eps"])
    return ((wide - mean) * factor + shift).astype(x.dtype)


def pool(op: str, attrs: dict[str, Any], x: Any) -> Any:
    window, strides = (1, *attrs["window"], 1), (1, *attrs["strides"], 1)
    padding = ((0, 0), *attrs["padding"], (0, 0))
    # Constants that are known while tracing, by which JAX sees that these are sums and maxima.
    if op == "max_pool2d":
        low = np.array(-np.inf, x.dtype)
        return lax.reduce_window(x, low, lax.max, window, strides, padding)
    zero = np.array(0, x.dtype)
    sums = lax.reduce_window(x, zero, lax.add, window, strides, padding)
    if attrs["count_padding"]:
        return sums / (window[1] * window[2])
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return sums / lax.reduce_window(ones, zero, lax.add, window, strides, padding)


def local_norm(attrs: dict[str, Any], x: Any) -> Any:
    size = attrs["size"]
    wide = x.astype(jnp.float32)
    around = (((0, 0),) * 3) + ((size // 2, (size - 1) // 2),)
    zero = np.float32(0)
    sums = lax.reduce_window(wide**2, zero, lax.add, (1, 1, 1, size), (1, 1, 1, 1), around)
    return (wide / (attrs["k"] + attrs["alpha"] * sums) ** attrs["beta"]).astype(x.dtype)


def trainer(recipe: Recipe, *, dtype: Any) -> Callable[..., Any]:
    """Give a step of gradient descent with momentum: weights, momenta, images, labels to loss."""
    fixed = statistics(recipe)

    def step(weights: Values, momenta: Values, x: Any, labels: Any, key: Any) -> Any:
        def loss_of(weights: Values) -> Any:
            scores = apply(recipe, weights, x, training=True, dtype=dtype, key=key)
            chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], 1)
            return -chosen.mean()

        loss, slopes = jax.value_and_grad(loss_of)(weights)
        moved = {n: MOMENTUM * momenta[n] + slopes[n] for n in weights}
        news = {n: weights[n] if n in fixed else weights[n] - RATE * moved[n] for n in weights}
        return news, moved, loss

    return step


def statistics(recipe: Recipe) -> set[str]:
    """Name the running statistics, which no gradient moves."""
    norms = (step for step in recipe.steps if step["op"] == "batch_norm")
    return {name for step in norms for name in step["reads"][-2:]}


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
    """Give what runs once: inference, or a training step that keeps its weights."""
    weights = {name: jnp.asarray(array) for name, array in recipe.weights.items()}
    images = jnp.asarray(np.load(folder / f"images{batch}.npy").transpose(0, 2, 3, 1))
    key = jax.random.key(0)
    if kind == "infer":

        def infer(weights: Values, x: Any) -> Any:
            scores = apply(recipe, weights, x, training=False, dtype=dtype, key=key)
            return jax.nn.softmax(scores)

        compiled = jax.jit(infer)
        return lambda: compiled(weights, images)
    labels = jnp.asarray(np.load(folder / f"labels{batch}.npy"))
    step = jax.jit(trainer(recipe, dtype=dtype), donate_argnums=(0, 1))
    held: dict[str, Any] = {
        "state": (weights, {name: jnp.zeros_like(a) for name, a in weights.items()}),
        "number": 0,
    }

    def train() -> Any:
        held["number"] += 1
        *state, loss = step(*held["state"], images, labels, jax.random.fold_in(key, held["number"]))
        held["state"] = tuple(state)
        return loss

    return train
