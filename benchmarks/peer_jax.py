"""JAX's side: the network as a function of its weights, compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peer_recipe import MOMENTUM, RATE, Recipe, Ways

Arrays = dict[str, Any]


class Jax:
    """JAX on the processor, in the two layouts of images."""

    def __init__(self, folder: Path, threads: int) -> None:
        import os

        # The number of threads is that of the processors that this process may use.
        os.environ.setdefault(
            "XLA_FLAGS", f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
        )
        os.environ["JAX_PLATFORMS"] = "cpu"
        import jax

        self.folder, self.recipe = folder, Recipe(folder)
        self.version = f"JAX {jax.__version__}"
        self._statistics = {
            name for step in self.recipe.steps if step["op"] == "batch_norm"
            for name in step["reads"][3:]
        }  # fmt: skip

    def ways(self, kind: str, batch: int) -> Ways:
        """Give what compiles the network."""
        build = self._infer if kind == "infer" else self._train
        return {
            "JAX": lambda: build(batch, last=False),
            "JAX, channels last": lambda: build(batch, last=True),
        }

    def _images(self, batch: int) -> Any:
        import jax

        return jax.device_put(np.load(self.folder / f"images{batch}.npy"))

    def _infer(self, batch: int, *, last: bool) -> Callable[[], Any]:
        import jax

        weights = jax.device_put(self.recipe.weights)

        def run(weights: Arrays, x: Any) -> Any:
            scores, _ = Written(self.recipe, weights, None, last=last)(x)
            return jax.nn.softmax(scores, axis=1)

        # Compiled for these weights and images, which may be laid out as XLA likes.
        ready = jax.jit(run).lower(weights, self._images(batch)).compile()
        x = self._images(batch)
        return lambda: np.asarray(ready(weights, x))

    def _train(self, batch: int, *, last: bool) -> Callable[[], Any]:
        import jax
        import jax.numpy as jnp

        labels = jax.device_put(np.load(self.folder / f"labels{batch}.npy"))
        known = {n: jnp.asarray(a) for n, a in self.recipe.weights.items()}
        moving = {n: a for n, a in known.items() if n not in self._statistics}

        def loss_of(weights: Arrays, fixed: Arrays, x: Any, key: Any) -> tuple[Any, Arrays]:
            scores, fresh = Written(self.recipe, {**weights, **fixed}, key, last=last)(x)
            logs = jax.nn.log_softmax(scores, axis=1)
            return -jnp.take_along_axis(logs, labels[:, None], axis=1).mean(), fresh

        x = self._images(batch)
        still = {n: a for n, a in known.items() if n in self._statistics}
        speed = {n: jnp.zeros_like(a) for n, a in moving.items()}
        state = (moving, speed, still, jax.random.key(0))
        ready = jax.jit(descent(loss_of), donate_argnums=0).lower(state, x).compile()
        held = [state]

        def once() -> float:
            held[0], loss = ready(held[0], x)
            jax.block_until_ready(held[0])
            return float(loss)

        return once


def descent(loss_of: Callable[..., tuple[Any, Arrays]]) -> Callable[..., tuple[Any, Any]]:
    """Make a step of descent with momentum.

    It takes and gives weights, their speed, statistics and the key of dropout; gives the loss too.
    """
    import jax

    slope = jax.value_and_grad(loss_of, has_aux=True)

    def step(state: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
        weights, speed, fixed, key = state
        key, drawn = jax.random.split(key)
        (loss, fresh), grads = slope(weights, fixed, x, drawn)
        speed = {n: MOMENTUM * speed[n] + grads[n] for n in weights}
        weights = {n: weights[n] - RATE * speed[n] for n in weights}
        return (weights, speed, fresh, key), loss

    return step


class Written:
    """The network with its weights; with a key for dropout it trains."""

    def __init__(self, recipe: Recipe, weights: Arrays, key: Any, *, last: bool) -> None:
        self.recipe, self.weights, self.key, self.last = recipe, weights, key, last
        self.fresh: Arrays = {}

    def __call__(self, x: Any) -> tuple[Any, Arrays]:
        """Give the scores, and in training the new statistics."""
        values = {self.recipe.input: x.transpose(0, 2, 3, 1) if self.last else x}
        for number, step in enumerate(self.recipe.steps):
            reads = [values[read] for read in step["reads"] if read in values]
            weights = [self.weights[read] for read in step["reads"] if read in self.weights]
            values[step["name"]] = self._step(step, reads, weights, number)
        return values[self.recipe.scores], self.fresh

    def _plain(self, x: Any) -> Any:
        """Give images with the channels before the pixels."""
        return x.transpose(0, 3, 1, 2) if self.last and x.ndim == 4 else x

    def _laid(self, x: Any) -> Any:
        """Give images in this function's layout."""
        return x.transpose(0, 2, 3, 1) if self.last and x.ndim == 4 else x

    def _step(self, step: dict[str, Any], x: list[Any], w: list[Any], number: int) -> Any:
        import jax
        import jax.numpy as jnp

        op, attrs = step["op"], step["attrs"]
        match op:
            case "relu" | "relu6" | "sigmoid" | "tanh":
                return getattr(jax.nn, op)(x[0])
            case "swish" if attrs["beta"] == 1:
                return jax.nn.silu(x[0])
            case "add":
                return x[0] + x[1]
            case "mul":
                return x[0] * x[1]
            case "concat":
                return jnp.concatenate(x, 3 if self.last and attrs["axis"] == 1 else attrs["axis"])
            case "reshape":
                plain = self._plain(x[0])
                return self._laid(plain.reshape(plain.shape[0], *attrs["shape"][1:]))
            case "transpose":
                return self._laid(self._plain(x[0]).transpose(attrs["permutation"]))
            case "global_avg_pool":
                return x[0].mean((1, 2) if self.last else (2, 3))
            case "dense":
                return x[0] @ w[0].T + (w[1] if len(w) > 1 else 0)
            case "conv2d":
                return self._conv(attrs, x[0], w)
            case "max_pool2d" | "avg_pool2d":
                return self._pool(attrs, x[0], mean=op == "avg_pool2d")
            case "batch_norm":
                return self._norm(step, x[0], w)
            case "lrn":
                return self._lrn(attrs, x[0])
            case "dropout":
                return self._dropout(attrs["rate"], x[0], number)
        raise ValueError(f"nobody knows how to write {op} for JAX")

    def _conv(self, attrs: dict[str, Any], x: Any, w: list[Any]) -> Any:
        import jax

        image = "NHWC" if self.last else "NCHW"
        y = jax.lax.conv_general_dilated(
            x, w[0], attrs["strides"], attrs["padding"], rhs_dilation=attrs["dilations"],
            dimension_numbers=(image, "OIHW", image), feature_group_count=attrs["groups"],
        )  # fmt: skip
        if len(w) == 1:
            return y
        bias = w[1] if w[1].ndim > 1 else w[1][:, None, None]
        return y + self._laid(bias[None])

    def _window(self, sizes: list[int], ones: Any) -> tuple[Any, ...]:
        return (ones, *sizes, ones) if self.last else (ones, ones, *sizes)

    def _pool(self, attrs: dict[str, Any], x: Any, *, mean: bool) -> Any:
        import jax
        import jax.numpy as jnp

        window, strides = (self._window(attrs[name], 1) for name in ("window", "strides"))
        pads = self._window([tuple(pad) for pad in attrs["padding"]], (0, 0))
        if not mean:
            return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, pads)
        total = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, strides, pads)
        if attrs["count_padding"]:
            return total / (window[1] * window[2] if self.last else window[2] * window[3])
        image = x.shape[1:3] if self.last else x.shape[2:]
        down, across = (
            seen(*axis)
            for axis in zip(image, attrs["window"], attrs["strides"], attrs["padding"], strict=True)
        )
        counts = np.outer(down, across).astype(np.float32)
        return total / (counts[:, :, None] if self.last else counts)

    def _norm(self, step: dict[str, Any], x: Any, w: list[Any]) -> Any:
        import jax
        import jax.numpy as jnp

        def laid(values: Any) -> Any:
            return values if self.last or x.ndim == 2 else values[:, None, None]

        scale, shift, mean, variance = w
        if self.key is not None:
            axes = (0, 1, 2) if self.last else (0, 2, 3)
            axes = (0,) if x.ndim == 2 else axes
            own, count = x.mean(axes), x.size // x.shape[-1 if self.last else 1]
            spread = jnp.square(x - laid(own)).mean(axes)
            for name, old, new in zip(
                step["reads"][3:],
                (mean, variance),
                (own, spread * count / (count - 1)),
                strict=True,
            ):
                self.fresh[name] = jax.lax.stop_gradient(0.9 * old + 0.1 * new)
            mean, variance = own, spread
        rate = scale * jax.lax.rsqrt(variance + step["attrs"]["eps"])
        return (x - laid(mean)) * laid(rate) + laid(shift)

    def _lrn(self, attrs: dict[str, Any], x: Any) -> Any:
        import jax

        size, axis = attrs["size"], 3 if self.last else 1
        window = tuple(size if i == axis else 1 for i in range(4))
        pads = tuple((size // 2, size // 2) if i == axis else (0, 0) for i in range(4))
        total = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, window, (1, 1, 1, 1), pads)
        return x * (attrs["k"] + attrs["alpha"] * total) ** -attrs["beta"]

    def _dropout(self, rate: float, x: Any, number: int) -> Any:
        import jax
        import jax.numpy as jnp

        if self.key is None:
            return x
        kept = jax.random.bernoulli(jax.random.fold_in(self.key, number), 1 - rate, x.shape)
        return jnp.where(kept, x / (1 - rate), 0.0)


def seen(length: int, window: int, stride: int, padding: tuple[int, int]) -> Any:
    """Count the real elements under each place of a window, along one axis."""
    before, after = padding
    first = np.arange(0, length + before + after - window + 1, stride) - before
    return np.minimum(first + window, length) - np.maximum(first, 0)
