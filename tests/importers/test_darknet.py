"""Darknet .cfg files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.importers.darknet import read_darknet
from cnndsl.layers.analysis import analyse
from cnndsl.layers.network import Network
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError

NET = "[net]\nheight=64\nwidth=64\nchannels=3\n"

RESIDUAL = """
# a small residual network
[net]
batch=128
subdivisions=1
height=64
width=64
channels=3
learning_rate=0.1
momentum=0.9
decay=0.0005
policy=poly
max_batches=1600000

[convolutional]
batch_normalize=1
filters=32
size=7
stride=2
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
filters=32
size=3
pad=1
activation=linear

[shortcut]
from=-2
activation=relu

[route]
layers=-1, 1

[route]
layers=-2

[convolutional]
filters=16   # a remark behind it
activation=logistic

[dropout]
probability=.25

[avgpool]

[convolutional]
filters=10
size=1
pad=1
activation=linear

[softmax]
groups=1

[cost]
type=sse
"""


def network(text: str) -> Network:
    return elaborate(parse(read_darknet(text))).network


def refused(text: str) -> Diagnostic:
    with pytest.raises(DiagnosticError) as caught:
        read_darknet(text, name="net.cfg")
    (found,) = caught.value.diagnostics
    assert found.code == "E0930"
    assert str(caught.value)
    return found


def test_every_section_is_a_line() -> None:
    assert read_darknet(RESIDUAL).splitlines() == [
        "input [64x64x3]",
        "conv 32 7x7 stride 2 pad 3 floor nobias - bn - leaky 0.1",
        "layer1: maxpool 2x2 stride 2 same",
        "conv 32 3x3 pad 1",
        "layer3: add layer1 - relu",
        "(from layer3 | from layer1) - concat",
        "from layer3",
        "conv 16 1x1 - sigmoid",
        "dropout 0.25",
        "gap",
        "fc 10",
        "softmax",
        "",
        "train {",
        "  loss:      crossentropy",
        "  optimizer: sgd(lr=0.1, momentum=0.9, decay=0.0005)",
        "  batch:     128",
        "}",
    ]


def test_it_is_a_program_with_the_same_number_of_parameters() -> None:
    biases_and_scales = 32 + 32 + 32 + 16 + 10
    weights = 7 * 7 * 3 * 32 + 3 * 3 * 32 * 32 + 32 * 16 + 16 * 10
    assert analyse(network(RESIDUAL)).params == weights + biases_and_scales


@given(st.integers(5, 40), st.integers(1, 5), st.integers(1, 3), st.integers(0, 4))
def test_poolings_have_darknets_sizes(height: int, size: int, stride: int, padding: int) -> None:
    text = f"[net]\nheight={height}\nwidth={height}\n[maxpool]\nsize={size}\nstride={stride}\n"
    wanted = (height + size - 1 - size) // stride + 1
    assert network(text).layers[0].output == (wanted, wanted, 3)
    if padding < size:
        wanted = (height + padding - size) // stride + 1
        assert network(f"{text}padding={padding}\n").layers[0].output == (wanted, wanted, 3)


@given(st.integers(8, 40), st.integers(1, 6), st.integers(1, 3), st.booleans())
def test_convolutions_have_darknets_sizes(height: int, size: int, stride: int, pad: bool) -> None:
    text = f"[net]\nheight={height}\nwidth={height}\n[convolutional]\nsize={size}\n"
    wanted = (height + 2 * (size // 2 if pad else 0) - size) // stride + 1
    made = network(f"{text}stride={stride}\npad={int(pad)}\n")
    assert made.layers[0].output == (wanted, wanted, 1)


def test_a_misspelt_setting_is_no_remark() -> None:
    found = refused(f"{NET}[convolutional]\nfiltres=8\n")
    assert "filtres" in found.message
    assert found.label == "did you mean `filters`?"
    assert found.span is not None
    assert (found.span.line, found.span.file) == (6, "net.cfg")


def test_a_setting_that_stands_twice() -> None:
    found = refused(f"{NET}[convolutional]\nsize=3\nsize=5\n")
    assert "twice" in found.message
    assert found.related[0].span.line == 6


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[upsample]\nstride=2\nscale=0.5", "a scale of the copies cannot be written yet"),
        ("[lstm]\noutput=8", "recurrences over batches"),
        ("[yolo]\nclasses=80", "detection"),
        ("[conv3d]", "no section [conv3d]"),
        ("[maxpool]\n[shortcut]\nfrom=-3", "layer -3 of [shortcut] does not lie before it"),
        ("[maxpool]\n[route]\nlayers=5", "layer 5 of [route] does not lie before it"),
        ("[maxpool]\n[route]\nlayers=a", "names layers by number, not `a`"),
        ("[maxpool]\n[route]\nlayers=-1\ngroups=2", "a part of the channels"),
        ("[convolutional]\nfilters=0", "a whole number from 1 on, not `0`"),
        ("[convolutional]\nsize=three", "not `three`"),
        ("[convolutional]\nactivation=mish", "the activation `mish`"),
        ("[dropout]\nprobability=half", "is a number, not `half`"),
        ("[softmax]\ngroups=3", "groups of classes"),
        ("[cost]\ntype=seg", "this cost"),
        ("[convolutional]\nxnor=1", "no setting `xnor`"),
        ("filters", "neither a `[section]` nor a `setting=value`"),
        ("", "has no layers"),
    ],
)
def test_what_cannot_be_written_is_refused(layers: str, message: str) -> None:
    assert message in refused(NET + layers).message


def test_what_is_no_cfg() -> None:
    assert "[net]" in refused("[maxpool]\nsize=2\n").message
    assert "[net]" in refused("").message
    assert "before the first" in refused("width=3\n[net]\n").message
    assert "inputs" in refused("[net]\nbatch=1\n[softmax]\n").message


def test_vectors_and_sums_of_squares() -> None:
    program = read_darknet(
        "[net]\ninputs=100\nadam=1\n[connected]\noutput=5\nactivation=relu\n"
        "[connected]\noutput=2\nactivation=linear\n[cost]\ntype=sse\n"
    )
    assert program.startswith("input [100]\nfc 5 - relu\nfc 2\n")
    assert "loss:      mse" in program
    assert "adam(lr=0.001, decay=0.0001)" in program


@given(st.text(alphabet="[]=\n #-,0123456789netconvolutional", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, f"{NET}{text}"):
        codes = set()
        try:
            parse(read_darknet(whole))
        except DiagnosticError as problem:
            codes = {found.code for found in problem.diagnostics}
        assert codes <= {"E0930"}


def test_back_to_a_larger_image() -> None:
    """Darknet's sizes: stride*(N - 1) + size - 2*padding, and N*stride copies."""
    program = read_darknet(
        "[net]\nheight=8\nwidth=8\nchannels=3\n"
        "[deconvolutional]\nfilters=4\nsize=4\nstride=2\npadding=1\nactivation=leaky\n"
        "batch_normalize=1\n[upsample]\nstride=3\n[deconvolutional]\nfilters=2\nsize=3\npad=1\n"
        "activation=linear\n"
    )
    assert "upconv 4 4x4 stride 2 pad 1 nobias - bn - leaky 0.1" in program
    network = elaborate(parse(program)).network
    assert [layer.output for layer in network.layers] == [
        (16, 16, 4), (16, 16, 4), (16, 16, 4), (48, 48, 4), (48, 48, 2),
    ]  # fmt: skip
