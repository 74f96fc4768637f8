"""The zoo's families against the figures of their sources, and one step of each at a small size."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.compiler import CompileOptions, Training, compile_network
from cnndsl.layers.analysis import analyse
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.network import Network
from cnndsl.recipes.optimizers import SGD
from tests.zoo.networks import LIGHT, ZOO, feeds
from tests.zoo.readme import README, network_of, readme
from tests.zoo.small_inputs import SMALL_SIZES, small
from tests.zoo.variants import VARIANTS, Variant

RATE = 1e-4

MACS = {
    ("alexnet", "1"): 1_135_256_096,
    ("alexnet", "2"): 724_406_816,
    ("vgg", "A"): 7_609_090_048,
    ("vgg", "B"): 11_308_466_176,
    ("vgg", "C"): 11_770_888_192,
    ("vgg", "D"): 15_470_264_320,
    ("vgg", "E"): 19_632_062_464,
    ("googlenet", "false"): 1_582_671_872,
    ("alphago", "192"): 1_400_726_208,
}
"""Multiply-adds worked out by hand from the lectures' tables."""

MOBILENET = {
    ("1.0", "224"): 569, ("0.75", "224"): 325, ("0.5", "224"): 149, ("0.25", "224"): 41,
    ("1.0", "192"): 418, ("1.0", "160"): 290, ("1.0", "128"): 186,
}  # fmt: skip
"""Million multiply-adds of width and resolution: tables 6 and 7 of the paper."""

HEAVY = frozenset(
    ("alexnet", "densenet", "efficientnet_b0", "googlenet", "inception_v2", "inception_v3",
     "inception_v4", "resnext", "segnet", "shufflenet", "unet", "vgg", "wide_resnet",
     "xception", "zfnet")
)  # fmt: skip
"""Those that take seconds even so."""


def losses(network: Network) -> list[float]:
    """Take two steps of plain gradient descent on one batch of four; the loss before each."""
    training = Training(SGD(lr=RATE, momentum=0.0))
    compiled = compile_network(network, CompileOptions(batch=4, verify=False), training=training)
    compiled.executable.load_state(initial_state(compiled.lowered, 0))
    given = feeds(compiled.lowered)
    given["learning_rate"] = np.asarray(RATE, dtype=np.float32)
    return [float(compiled.executable.run(given)["loss"]) for _ in range(2)]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v.program} {v.options}".strip())
def test_parameters_are_those_of_the_source(variant: Variant) -> None:
    assert analyse(network_of(variant)).params == variant.count


@pytest.mark.parametrize(("program", "choice"), MACS)
def test_operations_are_those_of_the_lectures(program: str, choice: str) -> None:
    (variant,) = (v for v in VARIANTS if v.program == program and choice in v.params.values())
    assert analyse(network_of(variant)).macs == MACS[program, choice]


@pytest.mark.parametrize(("alpha", "side"), MOBILENET)
def test_operations_of_mobilenet_are_those_of_its_paper(alpha: str, side: str) -> None:
    network = network_of(Variant("mobilenet", 0, "", {"alpha": alpha, "side": side}))
    assert round(analyse(network).macs / 1e6) == pytest.approx(MOBILENET[alpha, side], abs=1)


def test_every_program_is_here() -> None:
    counted = {variant.program for variant in VARIANTS}
    assert counted == set(ZOO) - {"pattern", "slide"}
    assert set(SMALL_SIZES) == set(ZOO) - {*LIGHT, "pattern"}


def test_the_readme_says_what_the_analysis_finds() -> None:
    assert README.read_text(encoding="utf-8") == readme()


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in HEAVY else n for n in SMALL_SIZES],
)
def test_a_step_lowers_the_loss_at_a_small_size(name: str) -> None:
    before, after = losses(small(name))
    assert 0 <= after < before


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_outputs_like_the_first(name: str) -> None:
    network = network_of(Variant(name, 0, "", {"aux": "true"}))
    assert list(network.outputs)[:2] == ["probs", "aux1"]
    assert all(network.size_of(layer) == (1000,) for layer in network.outputs.values())
