"""Reading slides: what the notations of the seeds do not show."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cnndsl.frontend.check import check
from cnndsl.importers.grid import Grid, find_grids
from cnndsl.importers.sheet import Options
from cnndsl.importers.slide import is_slide, read_slide

WORDS = st.sampled_from(
    (
        "[227x227x3] INPUT", "CONV1: 96 11x11 filters at stride 4, pad 0", "Input: 32x32x3 images",
        "=>", "Output volume [55x55x96]", "Parameters: 0!", "After CONV1: 55x55x96", "AlexNet but:",
        "10 5x5 filters with stride 1, pad 2", "| a | b |", "x\ty\t1", "conv3-64\tconv3-64",
        "Network\tA\tB", "Number of parameters\t1\t2", "type\tpatch size/ stride", "~~~",
        "where N is 3", "[(CONV-RELU)*N-POOL?]*M", "Epoch 1/10", "TOTAL params: 138M parameters",
        "CONV3,4,5: instead of 1, 2 filters use 3", "FC 1000 FC 4096", "Pool", "1x1 CONV",
        "dropout 0.5", "batch size 128", "Layer (type)\tOutput Shape\tParam #", "$", "**",
    )
)  # fmt: skip


@given(st.lists(WORDS, max_size=12))
def test_any_order_of_lines_gives_text(lines: list[str]) -> None:
    for program in read_slide("\n".join(lines)).programs:
        check(program)


def test_a_second_input_begins_a_second_program() -> None:
    found = read_slide("32x32x3 image\n6 5x5 filters\ninput 7x7\n3x3 filter")
    assert found.programs == (
        "input [32x32x3]\nconv 6 5x5\n",
        "input [7x7x1]\nconv 1 3x3\n",
    )


def test_prose_stays_as_remarks() -> None:
    found = read_slide("A convolution slides.\n32x32x3 image\n6 5x5 filters")
    assert found.programs[0].startswith("# A convolution slides.\n")
    assert not read_slide("A convolution slides.").programs


def test_a_change_that_does_not_fit_is_remarked() -> None:
    table = "[227x227x3] INPUT\n[55x55x96] CONV1: 96 11x11 filters at stride 4, pad 0"
    delta = "AlexNet but:\nCONV1: change from (7x7 stride 4) to (5x5 stride 2)"
    (program,) = read_slide(table, delta).programs
    assert "# CONV1 was not 7x7 stride 4 but: 96 11x11 filters" in program


def test_rounding_is_an_option() -> None:
    rows = "Layer\tflop (M)\nconv\t3\t224\t64\t7\t2\t3\t64\t112\t3136\t9\t118"
    floor = read_slide(rows).programs[0]
    assert "pad 3, floor" in floor
    ceil = read_slide(rows, options=Options(rounding="ceil")).programs[0]
    assert "pad 3, ceil" in ceil
    assert not check(floor)
    assert [d.code for d in check(ceil)] == ["E0302", "E0504", "E0504"]


def test_tables_end_where_lines_are_plain() -> None:
    found = list(find_grids(["a\tb", "1\t2", "text", "| x |", "more"]))
    assert found == [Grid((("a", "b"), ("1", "2"))), "text", "| x |", "more"]


def test_slides_are_known_by_their_typesetting() -> None:
    assert is_slide("memory: $224*224*3=150K$")
    assert is_slide("[55x55x96] **CONV1**: 96 filters")
    assert not is_slide("input [3x3x1]\nconv 2 1x1 * 3")
