"""Short ways for tests to elaborate text and to look at networks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from cnndsl.frontend.elaborate import Elaboration, elaborate
from cnndsl.frontend.parse import parse, parse_file
from cnndsl.frontend.values import Value
from cnndsl.layers.base import Hwc
from cnndsl.layers.network import Network
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError

FOLDER = Path(__file__).parent
PROGRAMS = FOLDER / "programs"
FILES = FOLDER / "errors" / "files"


def built(text: str, **params: Value) -> Elaboration:
    """Elaborate a text that is right; it may import what lies in `errors/files`."""
    return elaborate(parse(text, "t.cnn"), params=params, base_dir=FILES)


def program(name: str, **params: Value) -> Elaboration:
    """Elaborate one of the language's example programs."""
    return elaborate(parse_file(PROGRAMS / f"{name}.cnn", name=f"{name}.cnn"), params=params,
                     base_dir=PROGRAMS)  # fmt: skip


def wrong(text: str, **params: Value) -> tuple[Diagnostic, ...]:
    """Elaborate a text that is wrong, and give what is said about it."""
    with pytest.raises(DiagnosticError) as caught:
        elaborate(parse(text, "t.cnn"), params=params, base_dir=FILES)
    assert caught.value.diagnostics
    assert str(caught.value)
    return caught.value.diagnostics


def codes(text: str, **params: Value) -> list[str]:
    """Give the codes of what is wrong with a text."""
    return [d.code for d in wrong(text, **params)]


def kinds(network: Network) -> list[str]:
    """Give the layers' kinds in order."""
    return [layer.kind for layer in network.layers]


def names(network: Network) -> list[str]:
    """Give the layers' names in order."""
    return [layer.name for layer in network.layers]


def parameters(network: Network) -> int:
    """Count the trained numbers of a network, shared ones once."""
    arrays = {
        (layer.parameters_of, spec.name): math.prod(spec.shape)
        for layer in network.layers
        for spec in layer.parameters
        if spec.trainable
    }
    return sum(arrays.values())


def result(network: Network) -> Hwc:
    """Give the size of a network's only output."""
    (name,) = network.outputs.values()
    return network.size_of(name)
