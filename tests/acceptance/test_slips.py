"""Every slip of the slides: the compiler says it, or its convention has a name."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnndsl.autodiff.backward import backward
from cnndsl.frontend.check import examine
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.importers.clean import clean
from cnndsl.importers.keras import read_keras
from cnndsl.importers.slide import read_slide
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.base import LAYERS
from cnndsl.ops.activations import relu
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.structural import InputAttrs, input_
from tests.acceptance.material import FOLDER, blocks
from tests.acceptance.notations import CASES
from tests.acceptance.numbers import EXAMPLES
from tests.acceptance.running import run
from tests.acceptance.slips import (
    SLIPS,
    Accepted,
    Beyond,
    Check,
    Cleaned,
    Held,
    Notation,
    Read,
    Refused,
)
from tests.acceptance.test_notations import program_of

CHECKS = [(id_, check) for id_, checks in SLIPS.items() for check in checks]


def said(program: str, params: dict[str, str] | None = None) -> tuple[bool, str]:
    found = examine(program, params=params, base_dir=EXAMPLES)
    return any(d.severity.value == "error" for d in found.diagnostics), str(found)


@pytest.mark.parametrize(("id_", "check"), CHECKS, ids=lambda value: str(value)[:40])
def test_slip(id_: str, check: Check) -> None:
    match check:
        case Refused(program, says):
            refused, text = said(program)
            assert refused
            assert says in text, text
        case Accepted(program):
            refused, text = said(program)
            assert not refused, text
        case Notation(notation, says):
            _, text = said(program_of(notation), dict(CASES[notation].params))
            assert says in text, text
        case Read(source, wanted):
            if source.startswith("keras"):
                program = read_keras(blocks()[source.split()[1]].text)
            else:
                case = CASES.get(source)
                made = read_slide(blocks()[source].text, options=case.options if case else None)
                program = "\n".join([*made.programs, *made.remarks])
            assert wanted in program, program
        case Cleaned(before, after):
            assert clean(before).lines == (after,)
        case Held(test):
            file, _, name = test.partition("::")
            text = (FOLDER / file).read_text("utf-8")
            assert f"def {name.partition('[')[0]}(" in text
        case Beyond(reason):
            assert reason


def test_the_register_is_complete() -> None:
    assert sorted(SLIPS) == [f"E-{number:02}" for number in range(1, 55)]
    beyond = [id_ for id_, checks in SLIPS.items() if isinstance(checks[0], Beyond)]
    assert beyond == ["E-20", "E-39", "E-53"]
    assert all(re.fullmatch(r"N-\d\d", c.id) for _, c in CHECKS if isinstance(c, Notation))


def test_normalising_after_pooling_gives_other_values() -> None:
    """E-19: shapes and parameters are the same, the values are not."""
    image = np.random.default_rng(0).normal(size=(4, 4, 8)) * 30
    after = run("input [4x4x8]; maxpool 2x2 - lrn", image)
    before = run("input [4x4x8]; lrn - maxpool 2x2", image)
    assert after.shape == before.shape
    assert np.abs(after - before).max() > 1e-3


def test_valid_means_after_padding() -> None:
    """E-43: pad P, then a valid cross-correlation."""
    image = np.random.default_rng(1).normal(size=(6, 6))
    kernel = "weights=[[1, 2, 0], [0, 1, 0], [3, 0, 1]]"
    padded = run(f"input [6x6x1]; conv(1, {kernel}, pad=2)", image)
    np.testing.assert_allclose(padded, run(f"input [10x10x1]; conv(1, {kernel})", np.pad(image, 2)))


def test_keep_and_rate_are_two_names() -> None:
    """E-45: 40% dropped is 0.6 kept."""
    kinds = [
        elaborate(parse(f"input [8]; dropout {words}")).network.layers[0].spec
        for words in ("40%", "rate 0.4", "keep 0.6")
    ]
    words = {LAYERS["dropout"].words(spec) for spec in kinds[:2]}
    assert len(words) == 1
    assert run("input [8]; dropout keep 0.6", np.arange(8.0)).tolist() == list(range(8))
    rates = [spec.settings.get("rate") for spec in kinds]
    assert rates[0] == pytest.approx(0.4)
    assert rates[1] == pytest.approx(0.4)
    assert kinds[2].settings.get("keep") == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("matrices", "note"),
    [
        (("hh", "hx", "oh"), ""),
        (("hh", "hx", "ho"), "W_ho makes o of h: named as W_hx is, to-from, it is W_oh"),
        (("hh", "xh", "oh"), "W_xh makes h of x: named as W_hh is, to-from, it is W_hx"),
        (("hh", "hx", "xy"), "W_xy stands before h_t and makes o"),
    ],
)
def test_the_order_of_the_letters_is_said_where_it_differs(
    matrices: tuple[str, str, str], note: str
) -> None:
    """E-49: in W_hh and W_hx what is made stands first, in W_ho what is read."""
    state, entering, leaving = (f"W_{{{letters}}}" for letters in matrices)
    text = (
        f"h_t = \\phi({state} h_{{t-1}} + {entering} x_t + b_h)\no_t = \\phi({leaving} h_t + b_o)\n"
    )
    (program,) = read_slide(text).programs
    assert [line[2:] for line in program.splitlines() if line.startswith("# W_")] == (
        [note] if note else []
    )
    assert not said(program)[0]


def test_relu_has_a_gradient_for_positive_inputs_only() -> None:
    """E-47: the gradient does not vanish where the input is positive, and is 0 elsewhere."""
    graph = Graph("relu")
    b = Builder(graph)
    x = b.emit(input_, attrs=InputAttrs(TensorType(DType.F64, (4,))), name="x")
    total = b.emit(reduce_sum, b.emit(relu, x), attrs=ReduceAttrs(axes=(0,)))
    made, gradients = backward(graph, total, [x])
    feeds = {"x": np.array([-2.0, -0.5, 0.5, 200.0])}
    found = evaluate_values(made, [gradients[x]], feeds)
    np.testing.assert_array_equal(found[gradients[x]], [0, 0, 1, 1])
