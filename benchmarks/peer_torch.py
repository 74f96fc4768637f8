"""PyTorch's side: a module whose `forward` is written out from the recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peer_recipe import MOMENTUM, RATE, Recipe, Ways

PARTS = ("weight", "bias", "running_mean", "running_var")
"""What PyTorch calls the arrays of a layer, in our order."""


def torch_model(recipe: Recipe) -> Any:
    """Build a module whose `forward` is written out, a line a step; scores in training."""
    import torch

    class Written(torch.nn.Module):
        pass

    model = Written()
    names = {recipe.input: "x"}
    lines = ["def forward(self, x):"]
    for number, step in enumerate(recipe.steps):
        name = f"v{number}"
        reads = [names[read] for read in step["reads"] if read in names]
        lines.append(f"    {name} = {torch_step(model, recipe, step, number, reads)}")
        names[step["name"]] = name
    scores = names[recipe.scores]
    lines.append(f"    return {scores} if self.training else torch.softmax({scores}, 1)")
    scope: dict[str, Any] = {"torch": torch, "F": torch.nn.functional}
    exec("\n".join(lines), scope)
    Written.forward = scope["forward"]
    return model


def torch_step(model: Any, recipe: Recipe, step: dict[str, Any], number: int, x: list[str]) -> str:
    """Add what a step needs to the module, and give the expression that computes it."""
    import torch

    nn, op, attrs = torch.nn, step["op"], step["attrs"]
    weights = [
        torch.from_numpy(recipe.weights[n].copy()) for n in step["reads"] if n in recipe.weights
    ]
    if op in ("relu", "tanh", "sigmoid"):
        return f"torch.{op}({x[0]})"
    if op == "relu6":
        return f"F.relu6({x[0]})"
    if op == "swish" and attrs["beta"] == 1:
        return f"F.silu({x[0]})"
    if op in ("add", "mul"):
        return f"{x[0]} {'+' if op == 'add' else '*'} {x[1]}"
    if op == "transpose":
        return f"{x[0]}.permute({', '.join(map(str, attrs['permutation']))})"
    if op == "concat":
        return f"torch.cat([{', '.join(x)}], {attrs['axis']})"
    if op == "reshape":
        return f"{x[0]}.reshape({x[0]}.shape[0], {', '.join(map(str, attrs['shape'][1:]))})"
    if op == "global_avg_pool":
        return f"{x[0]}.mean((2, 3))"
    before, after = x[0], ""
    if "padding" in attrs:
        (top, bottom), (left, right) = attrs["padding"]
        even = top == bottom and left == right
        pad = (top, left) if even else (0, 0)
        if not even:
            fill = ", value=float('-inf')" if op == "max_pool2d" else ""
            before = f"F.pad({before}, ({left}, {right}, {top}, {bottom}){fill})"
    if op == "conv2d":
        weight = weights[0]
        module: Any = nn.Conv2d(
            weight.shape[1] * attrs["groups"], weight.shape[0], tuple(weight.shape[2:]),
            tuple(attrs["strides"]), pad, tuple(attrs["dilations"]), attrs["groups"],
            bias=len(weights) > 1 and weights[1].ndim == 1,
        )  # fmt: skip
        if len(weights) > 1 and weights[1].ndim > 1:  # A bias of its own at each place.
            setattr(model, f"b{number}", nn.Parameter(weights.pop()))
            after = f" + self.b{number}"
    elif op == "dense":
        module = nn.Linear(weights[0].shape[1], weights[0].shape[0], bias=len(weights) > 1)
    elif op == "batch_norm":
        module = nn.BatchNorm2d(len(weights[0]), attrs["eps"])
    elif op == "max_pool2d":
        module = nn.MaxPool2d(tuple(attrs["window"]), tuple(attrs["strides"]), pad)
    elif op == "avg_pool2d":
        assert before == x[0], "no average pool with uneven padding is timed"
        module = nn.AvgPool2d(
            tuple(attrs["window"]), tuple(attrs["strides"]), pad,
            count_include_pad=attrs["count_padding"],
        )  # fmt: skip
    elif op == "lrn":
        size = attrs["size"]
        module = nn.LocalResponseNorm(size, attrs["alpha"] * size, attrs["beta"], attrs["k"])
    elif op == "dropout":
        module = nn.Dropout(attrs["rate"])
    else:
        raise ValueError(f"nobody knows how to write {op} for PyTorch")
    with torch.no_grad():
        for target, source in zip(PARTS, weights, strict=False):
            getattr(module, target).copy_(source)
    setattr(model, f"m{number}", module)
    return f"self.m{number}({before}){after}"


class Torch:
    """PyTorch in its two layouts, and compiled if asked."""

    def __init__(self, folder: Path, threads: int, *, compiled: bool) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.folder, self.recipe, self.compiled = folder, Recipe(folder), compiled
        self.version = f"PyTorch {torch.__version__}"

    def statistics(self) -> dict[str, object]:
        """Measure each batch norm's statistics on some images, so that all stay near 1."""
        import torch

        model = torch_model(self.recipe).train()
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            if norms:
                model(torch.randn(8, *self.recipe.size))
        named = [step for step in self.recipe.steps if step["op"] == "batch_norm"]
        arrays = {}
        for step, norm in zip(named, norms, strict=True):
            mean, variance = step["reads"][3:]
            arrays[mean], arrays[variance] = norm.running_mean.numpy(), norm.running_var.numpy()
        np.savez(self.folder / "statistics.npz", **arrays)
        self.recipe = Recipe(self.folder)
        return {"norms": len(norms), "has_dropout": self.recipe.has_dropout}

    def ways(self, kind: str, batch: int) -> Ways:
        """Give what builds the network in each way."""
        import torch

        x = self._images(batch)

        def laid_out(layout: Any) -> Callable[[], Any]:
            model = torch_model(self.recipe).to(memory_format=layout)
            return self._once(model, x.contiguous(memory_format=layout), kind, batch)

        def compiled() -> Callable[[], Any]:
            return self._once(torch.compile(torch_model(self.recipe)), x, kind, batch)

        ways: Ways = {
            "eager": lambda: laid_out(torch.contiguous_format),
            "channels last": lambda: laid_out(torch.channels_last),
        }
        return {**ways, "compile": compiled} if self.compiled else ways

    def exact_losses(self, batch: int, steps: int) -> list[float]:
        """Give the losses of some training steps in double precision."""
        import torch

        double = torch.float64
        once = self._once(torch_model(self.recipe).to(double), self._images(batch).to(double),
                          "train", batch)  # fmt: skip
        return [once() for _ in range(steps)]

    def _images(self, batch: int) -> Any:
        import torch

        return torch.from_numpy(np.load(self.folder / f"images{batch}.npy"))

    def _once(self, model: Any, x: Any, kind: str, batch: int) -> Callable[[], Any]:
        import torch

        if kind == "infer":
            model.eval()

            def infer() -> Any:
                with torch.inference_mode():
                    return model(x)

            return infer
        labels = torch.from_numpy(np.load(self.folder / f"labels{batch}.npy"))
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)

        def train() -> float:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return train
