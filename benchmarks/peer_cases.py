"""The networks that are timed beside the peers, and with how many images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parents[1] / "tests" / "frontend" / "programs"


@dataclass(frozen=True)
class Net:
    """A program and the numbers of images that it is timed with."""

    title: str
    program: str
    infer: tuple[int, ...]
    train: tuple[int, ...] = ()
    goals: dict[str, float] = field(default_factory=dict)
    """What the best peer's time by ours should be at least: "infer 1", "train 64"."""


ZOO = Path(__file__).resolve().parents[1] / "zoo"


def zoo(name: str) -> str:
    return str(ZOO / f"{name}.cnn")


def program(name: str) -> str:
    return str(PROGRAMS / f"{name}.cnn")


NETS: dict[str, Net] = {
    "lenet": Net(
        *("LeNet-5", "lenet", (1, 64), (64,)),
        {"infer 1": 1.3, "infer 64": 1.1, "train 64": 1.8},
    ),
    "keras": Net(
        *("Keras classifier", program("keras_mnist"), (1, 200), (200,)),
        {"infer 1": 1.3, "infer 200": 1.6, "train 200": 2.2},
    ),
    "mobilenet": Net(
        *("MobileNet", program("mobilenet"), (1,), (8,)), {"infer 1": 1.0, "train 8": 1.2}
    ),
    "resnet50": Net(
        *("ResNet-50", program("resnet"), (1, 8), (4,)),
        {"infer 1": 1.1, "infer 8": 1.2, "train 4": 1.4},
    ),
    "vgg16": Net(
        *("VGG-16", program("vgg"), (1, 8), (4,)),
        {"infer 1": 1.8, "infer 8": 2.2, "train 4": 1.7},
    ),
    "alexnet": Net(*("AlexNet", program("alexnet"), (1,), (8,)), {"infer 1": 1.0, "train 8": 1.0}),
    "googlenet": Net(
        *("GoogLeNet", program("googlenet"), (1,), (4,)), {"infer 1": 1.0, "train 4": 1.0}
    ),
    "densenet121": Net(
        *("DenseNet-121", program("densenet"), (1,), (4,)), {"infer 1": 1.0, "train 4": 1.0}
    ),
    "nin": Net(
        *("Network in Network", program("nin"), (1,), (8,)), {"infer 1": 1.0, "train 8": 1.0}
    ),
    "inception_v3": Net(
        *("Inception-v3", zoo("inception_v3"), (1,), (4,)), {"infer 1": 1.0, "train 4": 1.0}
    ),
    "mobilenet_v2": Net(
        *("MobileNet-v2", zoo("mobilenet_v2"), (1,), (8,)), {"infer 1": 1.0, "train 8": 1.0}
    ),
    **{
        name: Net(title, zoo(name), (1,), (batch,), {"infer 1": 1.0, f"train {batch}": 1.0})
        for name, title, batch in (
            ("squeezenet", "SqueezeNet", 8),
            ("shufflenet", "ShuffleNet", 8),
            ("efficientnet_b0", "EfficientNet-B0", 4),
            ("resnext", "ResNeXt-50", 2),
            ("wide_resnet", "Wide ResNet-50", 2),
            ("xception", "Xception", 2),
            ("inception_v2", "Inception-v2", 2),
            ("inception_v4", "Inception-v4", 2),
            ("zfnet", "ZFNet", 4),
            ("convnetjs_cifar10", "ConvNetJS, CIFAR-10", 32),
            ("alphago", "AlphaGo's policy", 16),
            ("mlp", "Perceptron", 200),
        )
    },
}
