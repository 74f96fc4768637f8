"""PyTorch on a GPU, for `gpu.py`: the network that `peer_torch.py` writes, at its best."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from peer_recipe import MOMENTUM, RATE, Recipe
from peer_torch import torch_model

WARM, TURNS, RUNS = 10, 5, 20


def time_torch(folder: Path, kind: str, batch: int, *, compiled: bool) -> dict[str, Any]:
    """Time a network with images that lie on the device; the median of five turns of 20 runs."""
    if not torch.cuda.is_available():
        return {"skipped": "PyTorch finds no GPU"}
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    layout = torch.channels_last
    model: Any = torch_model(Recipe(folder)).cuda().to(memory_format=layout)
    images = torch.from_numpy(np.load(folder / f"images{batch}.npy")).cuda()
    images = images.contiguous(memory_format=layout)
    if compiled:
        model = torch.compile(model, mode="max-autotune")
    once = _inference(model, images) if kind == "infer" else _training(model, images, folder, batch)
    for _ in range(WARM):
        once()
    seconds = []
    for _ in range(TURNS):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(RUNS):
            once()
        torch.cuda.synchronize()
        seconds.append((time.perf_counter() - begin) / RUNS)
    return {
        "framework": f"PyTorch {torch.__version__} {'compile' if compiled else 'eager'} bf16",
        "images_per_second": batch / median(seconds),
        "milliseconds": 1e3 * median(seconds),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def _inference(model: Any, images: Any) -> Callable[[], None]:
    model.eval()

    def once() -> None:
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
            model(images)

    return once


def _training(model: Any, images: Any, folder: Path, batch: int) -> Callable[[], None]:
    model.train()
    labels = torch.from_numpy(np.load(folder / f"labels{batch}.npy")).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)

    def once() -> None:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    return once
