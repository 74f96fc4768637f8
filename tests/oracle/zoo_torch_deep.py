"""More of the zoo in PyTorch: networks with shortcuts, batch normalisation, thin convolutions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

from tests.oracle.zoo_torch_models import Model, Size, Weights, gap, tf_same

UNITS = {
    18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3),
}  # fmt: skip


def resnet(depth: int, *, preact: bool = False, groups: int = 1, width: int = 64) -> Model:
    deep = depth >= 50

    def branch(w: Weights, x: Tensor, c: int, stride: int) -> Tensor:
        if not deep:
            x = w.unit(x, c, 3, stride, 1)
            return w.conv(x, c, 3, 1, 1, bias=False)
        inner = c * width // 64 * groups
        x = w.unit(x, inner, 1)
        x = w.unit(x, inner, 3, stride, 1, groups=groups)
        return w.conv(x, 4 * c, 1, bias=False)

    def block(w: Weights, x: Tensor, c: int, stride: int) -> Tensor:
        out = 4 * c if deep else c
        project = stride != 1 or x.shape[1] != out
        if not preact:
            main = w.bn(branch(w, x, c, stride))
            return F.relu(main + (w.bn(w.conv(x, out, 1, stride, bias=False)) if project else x))
        active = F.relu(w.bn(x))
        main = branch(w, active, c, stride)
        return main + (w.conv(active, out, 1, stride, bias=False) if project else x)

    def model(w: Weights, x: Tensor) -> Tensor:
        x = F.max_pool2d(w.unit(x, 64, 7, 2, 3), 3, 2, 1)
        for stage, count in enumerate(UNITS[depth]):
            for number in range(count):
                x = block(w, x, 64 * 2**stage, 2 if stage and not number else 1)
        return w.fc(gap(F.relu(w.bn(x)) if preact else x), 1000)

    return model


def densenet(counts: tuple[int, ...], k: int) -> Model:
    def model(w: Weights, x: Tensor) -> Tensor:
        x = F.max_pool2d(w.unit(x, 2 * k, 7, 2, 3), 3, 2, 1)
        for block, count in enumerate(counts):
            for _ in range(count):
                new = w.conv(F.relu(w.bn(x)), 4 * k, 1, bias=False)
                new = w.conv(F.relu(w.bn(new)), k, 3, 1, 1, bias=False)
                x = torch.cat([x, new], 1)
            if block < len(counts) - 1:
                x = w.conv(F.relu(w.bn(x)), x.shape[1] // 2, 1, bias=False)
                x = F.avg_pool2d(x, 2)
        return w.fc(gap(F.relu(w.bn(x))), 1000)

    return model


def inception_v2(w: Weights, x: Tensor) -> Tensor:
    def unit(x: Tensor, out: int, kernel: int, stride: int = 1) -> Tensor:
        return w.unit(x, out, kernel, stride, kernel // 2, bias=True)

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def module(
        x: Tensor, n1: int, r3: int, n3: int, rd: int, nd: int, proj: int, *, top: bool = False
    ) -> Tensor:
        stride = 1 if n1 else 2
        paths = [unit(x, n1, 1)] if n1 else []
        paths.append(unit(unit(x, r3, 1), n3, 3, stride))
        paths.append(unit(unit(unit(x, rd, 1), nd, 3), nd, 3, stride))
        if not n1:
            paths.append(pool(x))
        elif top:
            paths.append(unit(F.max_pool2d(x, 3, 1, 1), proj, 1))
        else:
            mean = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            paths.append(unit(mean, proj, 1))
        return torch.cat(paths, 1)

    x = pool(unit(x, 64, 7, 2))
    x = pool(unit(unit(x, 64, 1), 192, 3))
    x = module(x, 64, 64, 64, 64, 96, 32)
    x = module(x, 64, 64, 96, 64, 96, 64)
    x = module(x, 0, 128, 160, 64, 96, 0)
    x = module(x, 224, 64, 96, 96, 128, 128)
    x = module(x, 192, 96, 128, 96, 128, 128)
    x = module(x, 160, 128, 160, 128, 160, 128)
    x = module(x, 96, 128, 192, 160, 192, 128)
    x = module(x, 0, 128, 192, 192, 256, 0)
    x = module(x, 352, 192, 320, 160, 224, 128)
    x = module(x, 352, 192, 320, 192, 224, 128, top=True)
    return w.fc(gap(x), 1000)


class Inception:
    """The modules that versions 3 and 4 are made of."""

    def __init__(self, w: Weights) -> None:
        self.w = w

    def u(self, x: Tensor, *rows: tuple[int, Size], stride: int = 1, valid: bool = False) -> Tensor:
        """Apply convolutions (filters, window) in turn; the last has the stride, or no border."""
        for number, (out, kernel) in enumerate(rows, 1):
            last = number == len(rows)
            kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
            border = (0, 0) if last and (valid or stride > 1) else (kh // 2, kw // 2)
            x = self.w.unit(x, out, (kh, kw), stride if last else 1, border, eps=1e-3)
        return x

    def mean(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def forked(self, x: Tensor, *rows: tuple[int, Size]) -> Tensor:
        return torch.cat([self.u(x, row) for row in rows], 1)


ROW, COLUMN = (1, 7), (7, 1)


def inception_v3(w: Weights, x: Tensor, *, aux: bool = False) -> Tensor:
    """Give the scores; with `aux` those of the head on the 17x17 grid behind them."""
    m = Inception(w)
    x = m.u(m.u(m.u(x, (32, 3), stride=2), (32, 3), valid=True), (64, 3))
    x = m.u(m.u(F.max_pool2d(x, 3, 2), (80, 1)), (192, 3), valid=True)
    x = F.max_pool2d(x, 3, 2)
    for proj in (32, 64, 64):
        paths = [m.u(x, (64, 1)), m.u(x, (48, 1), (64, 5)), m.u(x, (64, 1), (96, 3), (96, 3))]
        x = torch.cat([*paths, m.u(m.mean(x), (proj, 1))], 1)
    paths = [m.u(x, (384, 3), stride=2), m.u(x, (64, 1), (96, 3), (96, 3), stride=2)]
    x = torch.cat([*paths, F.max_pool2d(x, 3, 2)], 1)
    for c in (128, 160, 160, 192):
        paths = [
            m.u(x, (192, 1)),
            m.u(x, (c, 1), (c, ROW), (192, COLUMN)),
            m.u(x, (c, 1), (c, COLUMN), (c, ROW), (c, COLUMN), (192, ROW)),
            m.u(m.mean(x), (192, 1)),
        ]
        x = torch.cat(paths, 1)
    grid = x
    paths = [
        m.u(x, (192, 1), (320, 3), stride=2),
        m.u(x, (192, 1), (192, ROW), (192, COLUMN), (192, 3), stride=2),
        F.max_pool2d(x, 3, 2),
    ]
    x = torch.cat(paths, 1)
    for _ in range(2):
        paths = [
            m.u(x, (320, 1)),
            m.forked(m.u(x, (384, 1)), (384, (1, 3)), (384, (3, 1))),
            m.forked(m.u(x, (448, 1), (384, 3)), (384, (1, 3)), (384, (3, 1))),
            m.u(m.mean(x), (192, 1)),
        ]
        x = torch.cat(paths, 1)
    scores = w.fc(gap(x), 1000)
    if not aux:
        return scores
    head = m.u(m.u(F.avg_pool2d(grid, 5, 3), (128, 1)), (768, 5), valid=True)
    return torch.cat([scores, w.fc(head.flatten(1), 1000)], 1)


def inception_v4(w: Weights, x: Tensor) -> Tensor:
    m = Inception(w)
    x = m.u(m.u(m.u(x, (32, 3), stride=2), (32, 3), valid=True), (64, 3))
    x = torch.cat([F.max_pool2d(x, 3, 2), m.u(x, (96, 3), stride=2)], 1)
    long = m.u(x, (64, 1), (96, 3), valid=True)
    x = torch.cat([long, m.u(x, (64, 1), (64, COLUMN), (64, ROW), (96, 3), valid=True)], 1)
    x = torch.cat([m.u(x, (192, 3), stride=2), F.max_pool2d(x, 3, 2)], 1)
    for _ in range(4):
        paths = [m.u(m.mean(x), (96, 1)), m.u(x, (96, 1)), m.u(x, (64, 1), (96, 3))]
        x = torch.cat([*paths, m.u(x, (64, 1), (96, 3), (96, 3))], 1)
    paths = [F.max_pool2d(x, 3, 2), m.u(x, (384, 3), stride=2)]
    x = torch.cat([*paths, m.u(x, (192, 1), (224, 3), (256, 3), stride=2)], 1)
    for _ in range(7):
        paths = [
            m.u(m.mean(x), (128, 1)),
            m.u(x, (384, 1)),
            m.u(x, (192, 1), (224, ROW), (256, COLUMN)),
            m.u(x, (192, 1), (192, ROW), (224, COLUMN), (224, ROW), (256, COLUMN)),
        ]
        x = torch.cat(paths, 1)
    paths = [F.max_pool2d(x, 3, 2), m.u(x, (192, 1), (192, 3), stride=2)]
    x = torch.cat([*paths, m.u(x, (256, 1), (256, ROW), (320, COLUMN), (320, 3), stride=2)], 1)
    for _ in range(3):
        paths = [
            m.u(m.mean(x), (256, 1)),
            m.u(x, (256, 1)),
            m.forked(m.u(x, (384, 1)), (256, (1, 3)), (256, (3, 1))),
            m.forked(m.u(x, (384, 1), (448, (1, 3)), (512, (3, 1))), (256, (3, 1)), (256, (1, 3))),
        ]
        x = torch.cat(paths, 1)
    return w.fc(gap(x), 1000)


def mobilenet(alpha: float) -> Model:
    rows = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5,
            (1024, 2), (1024, 1))  # fmt: skip

    def model(w: Weights, x: Tensor) -> Tensor:
        x = w.unit(x, int(32 * alpha), 3, 2, "same")
        for out, stride in rows:
            x = F.relu(w.bn(w.depthwise(x, 3, stride, "same")))
            x = w.unit(x, int(out * alpha), 1)
        return w.fc(gap(x), 1000)

    return model


def mobilenet_v2(w: Weights, x: Tensor) -> Tensor:
    x = F.relu6(w.bn(w.conv(x, 32, 3, 2, 1, bias=False)))
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
    for t, c, n, s in rows:
        for number in range(n):
            before, stride = x, 1 if number else s
            if t > 1:
                x = F.relu6(w.bn(w.conv(x, t * x.shape[1], 1, bias=False)))
            x = F.relu6(w.bn(w.depthwise(x, 3, stride, 1)))
            x = w.bn(w.conv(x, c, 1, bias=False))
            x = before + x if stride == 1 and before.shape[1] == c else x
    x = F.relu6(w.bn(w.conv(x, 1280, 1, bias=False)))
    return w.fc(gap(x), 1000)


def shufflenet(g: int, c: int) -> Model:
    def branch(w: Weights, x: Tensor, mid: int, out: int, stride: int, first: int) -> Tensor:
        x = w.unit(x, mid, 1, groups=first)
        n, channels, h, width = x.shape
        x = x.view(n, first, channels // first, h, width).transpose(1, 2).reshape(x.shape)
        x = w.bn(w.depthwise(x, 3, stride, 1))
        return w.bn(w.conv(x, out, 1, groups=g, bias=False))

    def model(w: Weights, x: Tensor) -> Tensor:
        x = F.max_pool2d(w.unit(x, 24, 3, 2, 1), 3, 2, 1)
        for stage, repeats in enumerate((3, 7, 3)):
            out = c * 2**stage
            short = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            main = branch(w, x, out // 4, out - x.shape[1], 2, g if stage else 1)
            x = F.relu(torch.cat([short, main], 1))
            for _ in range(repeats):
                x = F.relu(x + branch(w, x, out // 4, out, 1, g))
        return w.fc(gap(x), 1000)

    return model


def xception(w: Weights, x: Tensor) -> Tensor:
    def sep(x: Tensor, out: int) -> Tensor:
        return w.bn(w.conv(w.depthwise(x, 3, 1, "same"), out, 1, bias=False), 1e-3)

    def shrink(x: Tensor, one: int, two: int, *, rectified: bool = True) -> Tensor:
        main = sep(F.relu(sep(F.relu(x) if rectified else x, one)), two)
        main = F.max_pool2d(tf_same(main, 3, 2, float("-inf")), 3, 2)
        return main + w.bn(w.conv(x, two, 1, 2, bias=False), 1e-3)

    x = w.unit(w.unit(x, 32, 3, 2, eps=1e-3), 64, 3, eps=1e-3)
    x = shrink(x, 128, 128, rectified=False)
    x = shrink(shrink(x, 256, 256), 728, 728)
    for _ in range(8):
        y = x
        for _ in range(3):
            y = sep(F.relu(y), 728)
        x = x + y
    x = shrink(x, 728, 1024)
    return w.fc(gap(F.relu(sep(F.relu(sep(x, 1536)), 2048))), 1000)


def efficientnet_b0(w: Weights, x: Tensor) -> Tensor:
    def conv(x: Tensor, out: int, kernel: int = 1, stride: int = 1) -> Tensor:
        return w.bn(w.conv(x, out, kernel, stride, "same", bias=False), 1e-3)

    x = F.silu(conv(x, 32, 3, 2))
    rows = ((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2),
            (6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1))  # fmt: skip
    for t, k, c, n, s in rows:
        for number in range(n):
            before, stride = x, 1 if number else s
            few = x.shape[1] // 4
            if t > 1:
                x = F.silu(conv(x, t * x.shape[1]))
            x = F.silu(w.bn(w.depthwise(x, k, stride, "same"), 1e-3))
            gate = torch.sigmoid(w.fc(F.silu(w.fc(gap(x), few)), x.shape[1]))
            x = conv(x * gate[:, :, None, None], c)
            x = before + x if stride == 1 and before.shape[1] == c else x
    return w.fc(gap(F.silu(conv(x, 1280))), 1000)
