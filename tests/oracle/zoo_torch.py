"""Compare the zoo with PyTorch at full size, and take one training step of each network.

Run by hand, in an environment that has PyTorch (2.13 was used); names choose some of the networks:

    PYTHONPATH=. python tests/oracle/zoo_torch.py [NAME ...]

Both sides get the same random image and the same random weights, in the order in which a reader
meets the layers; the PyTorch models are independent readings of the papers. What is compared is
the scores before the softmax, after all passes, in f32 (SegNet's in f64, because a rounding moves a
number to another place): the largest difference, relative to the largest score. Biases, scales,
shifts and running statistics are random too, so that none of them can be forgotten. The step is
plain gradient descent on a batch of two, dropout included, from the initial weights, at the largest
of a few rates that lowers the loss; it must be lower after it. The script ends with 1 if an error
is above 1e-4 or a loss does not go down.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from cnndsl.compiler import CompileOptions, Training, compile_network
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse_file
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.network import Network
from cnndsl.ops.rules import Array
from cnndsl.recipes.optimizers import SGD
from tests.oracle import zoo_torch_deep as deep
from tests.oracle import zoo_torch_models as plain
from tests.oracle.zoo_torch_models import Model, Weights
from tests.zoo.networks import ZOO, feeds

BOUND = 1e-4
RATES = (1e-3, 1e-4, 1e-5, 1e-6)
DENSE = {"121": (6, 12, 24, 16), "161": (6, 12, 36, 24), "201": (6, 12, 48, 32)}


@dataclass(frozen=True)
class Case:
    """A member of the zoo and the same network in PyTorch."""

    program: str
    model: Model
    params: Mapping[str, str] = field(default_factory=dict)
    dtype: DType = DType.F32
    """Double where a rounding decides between places, which no bound of errors holds for."""

    @property
    def title(self) -> str:
        return " ".join([self.program, *(f"{k}={v}" for k, v in self.params.items())])


CASES = [
    Case("lenet28", plain.lenet28),
    Case("convnetjs_cifar10", plain.convnetjs),
    Case("alexnet", plain.alexnet(1)),
    Case("alexnet", plain.alexnet(2), {"towers": "2"}),
    Case("zfnet", plain.zfnet),
    *(Case("vgg", plain.vgg(v), {"v": v}) for v in plain.VGG),
    Case("nin", plain.nin),
    Case("googlenet", plain.googlenet),
    Case("googlenet", partial(plain.googlenet, aux=True), {"aux": "true"}),
    Case("inception_v2", deep.inception_v2),
    Case("inception_v3", deep.inception_v3),
    Case("inception_v3", partial(deep.inception_v3, aux=True), {"aux": "true"}),
    Case("inception_v4", deep.inception_v4),
    *(Case("resnet", deep.resnet(d), {"depth": str(d)}) for d in deep.UNITS),
    *(
        Case("resnet", deep.resnet(d, preact=True), {"depth": str(d), "flavour": "preact"})
        for d in (18, 50)
    ),
    Case("resnext", deep.resnet(50, groups=32, width=4)),
    Case("wide_resnet", deep.resnet(50, width=128)),
    Case("densenet", deep.densenet(DENSE["121"], 32)),
    Case("densenet", deep.densenet(DENSE["161"], 48), {"depth": "161"}),
    Case("densenet", deep.densenet(DENSE["201"], 32), {"depth": "201"}),
    Case("mobilenet", deep.mobilenet(1.0)),
    Case("mobilenet", deep.mobilenet(0.25), {"alpha": "0.25"}),
    Case("mobilenet_v2", deep.mobilenet_v2),
    Case("shufflenet", deep.shufflenet(3, 240)),
    Case("shufflenet", deep.shufflenet(8, 384), {"g": "8"}),
    Case("squeezenet", plain.squeezenet(early=False)),
    Case("squeezenet", plain.squeezenet(early=True), {"v": "1.1"}),
    Case("xception", deep.xception),
    Case("efficientnet_b0", deep.efficientnet_b0),
    Case("alphago", plain.alphago(192)),
    Case("unet", plain.unet),
    Case("segnet", plain.segnet, dtype=DType.F64),
]


def network_of(case: Case) -> Network:
    path = ZOO[case.program]
    return elaborate(parse_file(path), params=case.params, base_dir=path.parent).network


def before_softmax(network: Network) -> Network:
    """Let the network give what its softmax reads, and those of its auxiliary heads."""
    ends = {name: network[layer] for name, layer in network.outputs.items()}
    assert all(last.kind == "softmax" for last in ends.values())
    return replace(network, outputs={name: last.inputs[0] for name, last in ends.items()})


def random_state(state: Mapping[str, Array], dtype: DType) -> dict[str, Array]:
    """Make what begins as 0 or 1 random; weights are random already."""
    rng = np.random.default_rng(5)
    ranges = {"variance": (0.5, 1.5), "scale": (0.5, 1.5), "mean": (-0.3, 0.3),
              "shift": (-0.3, 0.3), "bias": (-0.3, 0.3)}  # fmt: skip
    found = {}
    for name, array in sorted(state.items()):
        low_high = ranges.get(name.rpartition(".")[2])
        drawn = rng.uniform(*low_high, array.shape) if low_high is not None else array
        found[name] = np.asarray(drawn, dtype=dtype.numpy)
    return found


def forward(case: Case, network: Network) -> tuple[float, float]:
    """Give the relative error of the scores, and the seconds that our side took."""
    options = CompileOptions(batch=1, verify=False, dtype=case.dtype)
    compiled = compile_network(before_softmax(network), options)
    state = random_state(initial_state(compiled.lowered, 1), case.dtype)
    compiled.executable.load_state(state)
    size = network.inputs[0].size
    image = np.random.default_rng(2).uniform(-1, 1, (1, size[-1], *size[:-1]))
    image = image.astype(case.dtype.numpy)
    began = time.perf_counter()
    given = compiled.executable.run({network.inputs[0].name: image})
    ours = np.concatenate([given[name] for name in network.outputs], axis=1)
    seconds = time.perf_counter() - began
    layers = [
        (layer.name, {spec.name: torch.from_numpy(state[f"{layer.name}.{spec.name}"])
                      for spec in layer.parameters})
        for layer in network.layers if layer.parameters
    ]  # fmt: skip
    weights = Weights(layers)
    with torch.no_grad():
        theirs = case.model(weights, torch.from_numpy(image)).numpy()
    assert weights.used == len(layers), f"{len(layers) - weights.used} layers were not used"
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max()), seconds


def step(network: Network) -> tuple[float, float, float, float]:
    """Give the loss before and after a step, its rate, and the seconds it took."""
    heads = {"aux": 0.3} if len(network.outputs) > 1 else {}
    training = Training(SGD(momentum=0.0), loss_options=heads)
    compiled = compile_network(network, CompileOptions(batch=2, verify=False), training=training)
    state = initial_state(compiled.lowered, 0)
    given = feeds(compiled.lowered)
    before, after, rate, seconds = float("nan"), float("inf"), 0.0, 0.0
    for rate in RATES:
        given["learning_rate"] = np.asarray(rate, dtype=np.float32)
        compiled.executable.load_state(state)
        began = time.perf_counter()
        before = float(compiled.executable.run(given)["loss"])
        seconds = time.perf_counter() - began
        after = float(compiled.executable.run(given)["loss"])
        if after < before:
            break
    return before, after, rate, seconds


def main(names: list[str]) -> int:
    failures = 0
    print(f"{'network':34} {'error':>9} {'forward':>8} {'loss':>8} {'after':>8} {'rate':>7} step")
    for case in CASES:
        if names and case.program not in names:
            continue
        network = network_of(case)
        error, seconds = forward(case, network)
        before, after, rate, took = step(network)
        passed = error <= BOUND and after < before
        failures += not passed
        print(
            f"{case.title:34} {error:9.1e} {seconds:6.1f} s {before:8.4f} {after:8.4f} "
            f"{rate:7.0e} {took:.1f} s{'' if passed else '  FAILED'}",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{failures} failures; at most {peak:.1f} GiB")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
