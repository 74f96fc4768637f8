"""The zoo's networks, written by hand from their papers with PyTorch's functions.

A model is a function of the image batch [N,C,H,W] that takes its arrays, one layer after another,
from `Weights`, and gives the scores before the softmax. Nothing of cnndsl is used: every window,
stride, padding and width is said here again, and `Weights` checks each array against them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def tf_same(x: Tensor, kernel: Size, stride: int, value: float = 0.0) -> Tensor:
    """Pad to ceil(size/stride) places, the odd pixel below and right."""
    sides: list[int] = []
    for length, taps in zip(reversed(x.shape[2:]), reversed(pair(kernel)), strict=True):
        total = max((-(-length // stride) - 1) * stride + taps - length, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides, value=value)


class Weights:
    """Arrays of layers in the order in which a model uses them."""

    def __init__(self, layers: Sequence[tuple[str, Mapping[str, Tensor]]]) -> None:
        self.layers = list(layers)
        self.used = 0

    def take(self, **shapes: tuple[int, ...]) -> dict[str, Tensor]:
        """Give the next layer's arrays; they must have just these shapes."""
        name, arrays = self.layers[self.used]
        self.used += 1
        found = {slot: tuple(array.shape) for slot, array in arrays.items()}
        assert found == shapes, f"{name} has {found}, the model {shapes}"
        return dict(arrays)

    def conv(
        self,
        x: Tensor,
        out: int,
        kernel: Size,
        stride: int = 1,
        pad: Size | str = 0,
        *,
        groups: int = 1,
        bias: bool = True,
    ) -> Tensor:
        kh, kw = pair(kernel)
        shapes: dict[str, tuple[int, ...]] = {"weight": (out, x.shape[1] // groups, kh, kw)}
        if bias:
            shapes["bias"] = (out,)
        arrays = self.take(**shapes)
        if isinstance(pad, str):  # "same"
            x, pad = tf_same(x, kernel, stride), 0
        return F.conv2d(x, arrays["weight"], arrays.get("bias"), stride, pair(pad), groups=groups)

    def upconv(self, x: Tensor, out: int, kernel: int, stride: int) -> Tensor:
        arrays = self.take(weight=(x.shape[1], out, kernel, kernel), bias=(out,))
        return F.conv_transpose2d(x, arrays["weight"], arrays["bias"], stride)

    def depthwise(self, x: Tensor, kernel: int, stride: int = 1, pad: int | str = 1) -> Tensor:
        return self.conv(x, x.shape[1], kernel, stride, pad, groups=x.shape[1], bias=False)

    def bn(self, x: Tensor, eps: float = 1e-5) -> Tensor:
        c = (x.shape[1],)
        a = self.take(scale=c, shift=c, mean=c, variance=c)
        return F.batch_norm(x, a["mean"], a["variance"], a["scale"], a["shift"], eps=eps)

    def unit(
        self, x: Tensor, out: int, kernel: Size, stride: int = 1, pad: Size | str = 0, *,
        groups: int = 1, bias: bool = False, eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        """Convolve, normalise, rectify."""
        x = self.conv(x, out, kernel, stride, pad, groups=groups, bias=bias)
        return F.relu(self.bn(x, eps))

    def fc(self, x: Tensor, out: int) -> Tensor:
        x = x.flatten(1)
        a = self.take(weight=(out, x.shape[1]), bias=(out,))
        return F.linear(x, a["weight"], a["bias"])


Model = Callable[[Weights, Tensor], Tensor]


def gap(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def alexnet(groups: int) -> Model:
    def model(w: Weights, x: Tensor) -> Tensor:
        def norm(x: Tensor) -> Tensor:  # PyTorch divides alpha by the size
            return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)

        x = norm(F.max_pool2d(F.relu(w.conv(x, 96, 11, 4)), 3, 2))
        x = norm(F.max_pool2d(F.relu(w.conv(x, 256, 5, 1, 2, groups=groups)), 3, 2))
        x = F.relu(w.conv(x, 384, 3, 1, 1))
        x = F.relu(w.conv(x, 384, 3, 1, 1, groups=groups))
        x = F.max_pool2d(F.relu(w.conv(x, 256, 3, 1, 1, groups=groups)), 3, 2)
        x = F.relu(w.fc(x, 4096))
        return w.fc(F.relu(w.fc(x, 4096)), 1000)

    return model


def zfnet(w: Weights, x: Tensor) -> Tensor:
    def norm(x: Tensor) -> Tensor:
        return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)

    x = norm(F.max_pool2d(F.relu(w.conv(x, 96, 7, 2, 1)), 3, 2, ceil_mode=True))
    x = norm(F.max_pool2d(F.relu(w.conv(x, 256, 5, 2)), 3, 2, ceil_mode=True))
    for out in (512, 1024, 512):
        x = F.relu(w.conv(x, out, 3, 1, 1))
    x = F.relu(w.fc(F.max_pool2d(x, 3, 2), 4096))
    return w.fc(F.relu(w.fc(x, 4096)), 1000)


VGG = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "LRN": "64 N M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 256/1 M 512 512 512/1 M 512 512 512/1 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def vgg(column: str) -> Model:
    def model(w: Weights, x: Tensor) -> Tensor:
        for word in VGG[column].split():
            if word == "M":
                x = F.max_pool2d(x, 2)
            elif word == "N":
                x = F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)
            else:
                out, _, kernel = word.partition("/")
                size = int(kernel or 3)
                x = F.relu(w.conv(x, int(out), size, 1, size // 2))
        x = F.relu(w.fc(x, 4096))
        return w.fc(F.relu(w.fc(x, 4096)), 1000)

    return model


def nin(w: Weights, x: Tensor) -> Tensor:
    rows = ((96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (1000, 3, 1, 1))
    for out, kernel, stride, pad in rows:
        x = F.relu(w.conv(x, out, kernel, stride, pad))
        x = F.relu(w.conv(F.relu(w.conv(x, out, 1)), out, 1))
        if out != 1000:
            x = F.max_pool2d(x, 3, 2)
    return gap(x)


def googlenet(w: Weights, x: Tensor, *, aux: bool = False) -> Tensor:
    """Give the scores; with `aux` those of the heads at 4a and 4d behind them."""

    def conv(x: Tensor, out: int, kernel: int, stride: int = 1) -> Tensor:
        return F.relu(w.conv(x, out, kernel, stride, kernel // 2))

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def norm(x: Tensor) -> Tensor:
        return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)

    x = norm(pool(conv(x, 64, 7, 2)))
    x = pool(norm(conv(conv(x, 64, 1), 192, 3)))
    rows = (
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None,
        (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), None,
        (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
    )  # fmt: skip
    ends = []
    for row in rows:
        if row is None:
            x = pool(x)
            continue
        n1, r3, n3, r5, n5, proj = row
        paths = [conv(x, n1, 1), conv(conv(x, r3, 1), n3, 3), conv(conv(x, r5, 1), n5, 5)]
        paths.append(conv(F.max_pool2d(x, 3, 1, 1), proj, 1))
        x = torch.cat(paths, 1)
        ends.append(x)
    scores = [w.fc(gap(x), 1000)]
    for x in (ends[2], ends[5]) if aux else ():
        head = conv(F.avg_pool2d(x, 5, 3), 128, 1).flatten(1)
        scores.append(w.fc(F.relu(w.fc(head, 1024)), 1000))
    return torch.cat(scores, 1)


def alphago(k: int) -> Model:
    def model(w: Weights, x: Tensor) -> Tensor:
        x = F.relu(w.conv(x, k, 5, 1, 2))
        for _ in range(11):
            x = F.relu(w.conv(x, k, 3, 1, 1))
        a = w.take(weight=(1, k, 1, 1), bias=(1, 19, 19))
        return (F.conv2d(x, a["weight"]) + a["bias"]).flatten(1)

    return model


def convnetjs(w: Weights, x: Tensor) -> Tensor:
    for out in (16, 20, 20):
        x = F.max_pool2d(F.relu(w.conv(x, out, 5, 1, 2)), 2)
    return w.fc(x, 10)


def lenet28(w: Weights, x: Tensor) -> Tensor:
    x = F.avg_pool2d(torch.sigmoid(w.conv(x, 6, 5, 1, 2)), 2)
    x = F.avg_pool2d(torch.sigmoid(w.conv(x, 16, 5)), 2)
    x = torch.sigmoid(w.fc(x, 120))
    return w.fc(torch.sigmoid(w.fc(x, 84)), 10)


def squeezenet(early: bool) -> Model:
    def model(w: Weights, x: Tensor) -> Tensor:
        def fire(x: Tensor, s: int, e: int) -> Tensor:
            x = F.relu(w.conv(x, s, 1))
            return torch.cat([F.relu(w.conv(x, e, 1)), F.relu(w.conv(x, e, 3, 1, 1))], 1)

        pools = (3, 5) if early else (4, 8)
        x = F.relu(w.conv(x, 64, 3, 2) if early else w.conv(x, 96, 7, 2))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for number in range(2, 10):  # fire2 to fire9, as in the paper
            x = fire(x, 16 * (number // 2), 64 * (number // 2))
            if number in pools:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return gap(F.relu(w.conv(x, 1000, 1)))

    return model


def unet(w: Weights, x: Tensor) -> Tensor:
    """The paper's figure: nothing is padded, and what goes over is cropped on all sides."""

    def double(x: Tensor, channels: int) -> Tensor:
        return F.relu(w.conv(F.relu(w.conv(x, channels, 3)), channels, 3))

    kept = []
    for level in range(4):
        x = double(x, 64 << level)
        kept.append(x)
        x = F.max_pool2d(x, 2)
    x = double(x, 1024)
    for level in (3, 2, 1, 0):
        x = w.upconv(x, 64 << level, 2, 2)
        over = (kept[level].shape[2] - x.shape[2]) // 2
        x = double(torch.cat([x, F.pad(kept[level], [-over] * 4)], dim=1), 64 << level)
    return w.conv(x, 2, 1)


def segnet(w: Weights, x: Tensor) -> Tensor:
    """VGG-16's convolutions there and back, with the places of the maxima."""
    widths, depths, places = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3), []
    for width, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            x = w.unit(x, width, 3, pad=1, bias=True)
        x, where = F.max_pool2d(x, 2, return_indices=True)
        places.append(where)
    for level in (4, 3, 2, 1, 0):
        x = F.max_unpool2d(x, places[level], 2)
        for _ in range(depths[level] - 1):
            x = w.unit(x, widths[level], 3, pad=1, bias=True)
        if level:
            x = w.unit(x, widths[level - 1], 3, pad=1, bias=True)
    return w.conv(x, 12, 3, pad=1)
