"""Layers of well-known networks, as (images, channels, filters, height, window, ...) by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Conv:
    """A convolution of square images with padding on all sides alike."""

    images: int
    inputs: int
    outputs: int
    size: int
    window: tuple[int, int] = (3, 3)
    stride: int = 1
    padding: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def places(self) -> tuple[int, int]:
        high, wide = (
            (self.size + 2 * pad - taps) // self.stride + 1
            for pad, taps in zip(self.padding, self.window, strict=True)
        )
        return high, wide

    @property
    def flops(self) -> float:
        taps = self.window[0] * self.window[1] * self.inputs // self.groups
        return 2.0 * self.images * self.outputs * self.places[0] * self.places[1] * taps


@dataclass(frozen=True)
class Dense:
    """A dense layer."""

    images: int
    inputs: int
    outputs: int

    @property
    def flops(self) -> float:
        return 2.0 * self.images * self.inputs * self.outputs


def point(images: int, inputs: int, outputs: int, size: int, stride: int = 1) -> Conv:
    return Conv(images, inputs, outputs, size, (1, 1), stride, (0, 0))


def depthwise(images: int, channels: int, size: int, stride: int = 1) -> Conv:
    return Conv(images, channels, channels, size, stride=stride, groups=channels)


DIRECT_SHAPES = (
    "ResNet 64, 56²",
    "ResNet 128, 28²",
    "ResNet 256, 14²",
    "ResNet 512, 7²",
    "ResNet 64→256, 56², 1x1",
    "ResNet 256→64, 56², 1x1",
    "ResNet 512→2048, 7², 1x1",
    "VGG 64, 224²",
)
"""Layers whose direct convolution is to reach 95 % of what the multiply-add units can."""
WINOGRAD_SHAPES = (
    "VGG 64, 224²",
    "VGG 64→128, 112²",
    "VGG 128, 112²",
    "VGG 256, 56²",
    "VGG 512, 28²",
    "ResNet 64, 56²",
    "ResNet 128, 28²",
)
"""Layers whose convolution is to be as fast as 3 times what the units can, if summed directly."""

CASES: dict[str, Conv | Dense] = {
    "VGG 64, 224²": Conv(1, 64, 64, 224),
    "VGG 64→128, 112²": Conv(1, 64, 128, 112),
    "VGG 128, 112²": Conv(1, 128, 128, 112),
    "VGG 256, 56²": Conv(1, 256, 256, 56),
    "VGG 512, 28²": Conv(1, 512, 512, 28),
    "VGG 512, 14²": Conv(1, 512, 512, 14),
    "VGG first 3→64, 224²": Conv(1, 3, 64, 224),
    "ResNet 64, 56²": Conv(1, 64, 64, 56),
    "ResNet 128, 28²": Conv(1, 128, 128, 28),
    "ResNet 256, 14²": Conv(1, 256, 256, 14),
    "ResNet 512, 7²": Conv(1, 512, 512, 7),
    "ResNet first 3→64, 7x7/2": Conv(1, 3, 64, 224, (7, 7), 2, (3, 3)),
    "ResNet 128, 56²/2": Conv(1, 128, 128, 56, stride=2),
    "ResNet 64→256, 56², 1x1": point(1, 64, 256, 56),
    "ResNet 256→64, 56², 1x1": point(1, 256, 64, 56),
    "ResNet 512→128, 28², 1x1": point(1, 512, 128, 28),
    "ResNet 1024→256, 14², 1x1": point(1, 1024, 256, 14),
    "ResNet 512→2048, 7², 1x1": point(1, 512, 2048, 7),
    "ResNet 256→512, 56²/2, 1x1": point(1, 256, 512, 56, 2),
    "ResNet 64, 56², batch 8": Conv(8, 64, 64, 56),
    "ResNet 256, 14², batch 8": Conv(8, 256, 256, 14),
    "ResNet 512, 7², batch 8": Conv(8, 512, 512, 7),
    "ResNet 256→64, 56², 1x1, batch 8": point(8, 256, 64, 56),
    "ResNet 1024→256, 14², 1x1, batch 8": point(8, 1024, 256, 14),
    "LeNet 1→6, 5x5": Conv(1, 1, 6, 28, (5, 5), 1, (2, 2)),
    "LeNet 6→16, 5x5": Conv(1, 6, 16, 14, (5, 5), 1, (0, 0)),
    "LeNet 1→6, 5x5, batch 64": Conv(64, 1, 6, 28, (5, 5), 1, (2, 2)),
    "LeNet 6→16, 5x5, batch 64": Conv(64, 6, 16, 14, (5, 5), 1, (0, 0)),
    "Keras 1→32, 3x3, batch 200": Conv(200, 1, 32, 28, padding=(0, 0)),
    "Keras 32→64, 3x3, batch 200": Conv(200, 32, 64, 26, padding=(0, 0)),
    "MobileNet 32, 112², depthwise": depthwise(1, 32, 112),
    "MobileNet 128, 56²/2, depthwise": depthwise(1, 128, 56, 2),
    "MobileNet 512, 14², depthwise": depthwise(1, 512, 14),
    "MobileNet 512, 14², 1x1": point(1, 512, 512, 14),
    "AlexNet 3→64, 11x11/4": Conv(1, 3, 64, 224, (11, 11), 4, (2, 2)),
    "AlexNet 64→192, 5x5": Conv(1, 64, 192, 27, (5, 5), 1, (2, 2)),
    "Inception 192, 17², 1x7": Conv(1, 192, 192, 17, (1, 7), 1, (0, 3)),
    "dense 1024, batch 256": Dense(256, 1024, 1024),
    "LeNet 400→120, batch 64": Dense(64, 400, 120),
    "Keras 9216→128, batch 200": Dense(200, 9216, 128),
    "VGG 25088→4096, batch 1": Dense(1, 25088, 4096),
    "VGG 4096→4096, batch 8": Dense(8, 4096, 4096),
}
