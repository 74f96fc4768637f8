"""The size formula against windows that are really slid."""

from __future__ import annotations

import itertools

import pytest

from cnndsl.layers.clauses import LayerError
from cnndsl.layers.misfit import check_slide
from cnndsl.layers.window import Axis, Padding, Rounding, Slide

SIZES, WINDOWS, STRIDES, PADS, DILATIONS = (
    range(1, 18), range(1, 8), range(1, 5), range(4), range(1, 4)
)  # fmt: skip
SITUATIONS = list(itertools.product(SIZES, WINDOWS, STRIDES, PADS, DILATIONS))


def starts(length: int, extent: int, stride: int, before: int, behind: int) -> list[int]:
    """Slide a window as long as it fits the padded axis."""
    return list(range(-before, length + behind - extent + 1, stride))


def refusal(axis: Axis) -> str:
    """Give the code of the complaint about a window, if there is one."""
    try:
        check_slide(Slide(axis, axis))
    except LayerError as problem:
        return problem.code
    return ""


def test_exact_and_floor_place_the_windows_that_fit() -> None:
    checked = 0
    for n, f, s, p, d in SITUATIONS:
        extent = d * (f - 1) + 1
        places = starts(n, extent, s, p, p)
        axis = Axis(n, f, s, d, margin=(p, p))
        if not places:
            assert refusal(axis) == "E0305", (n, f, s, p, d)
        elif places[-1] + extent < n + p:
            assert refusal(axis) == "E0301", (n, f, s, p, d)
        else:
            assert refusal(axis) == ""
            assert axis.places == len(places)
        floor = Axis(n, f, s, d, margin=(p, p), rounding=Rounding.FLOOR)
        assert (floor.places if places else 0) == len(places)
        assert bool(refusal(floor)) == (not places)
        assert floor.pads == (p, p)
        checked += 1
    assert checked == 17 * 7 * 4 * 4 * 3


def test_ceil_pads_behind_but_never_slides_over_padding_alone() -> None:
    for n, f, s, p, d in SITUATIONS:
        extent = d * (f - 1) + 1
        places = starts(n, extent, s, p, p) or [-p]
        if n + p - extent > places[-1] and places[-1] + s < n:
            places.append(places[-1] + s)
        axis = Axis(n, f, s, d, margin=(p, p), rounding=Rounding.CEIL)
        if n + 2 * p - extent <= -s:
            assert refusal(axis) == "E0305", (n, f, s, p, d)
            continue
        assert axis.places == len(places), (n, f, s, p, d)
        before, behind = axis.pads
        assert before == p
        assert behind >= p
        assert len(starts(n, extent, s, before, behind)) == len(places)


@pytest.mark.parametrize("padding", [Padding.SAME, Padding.SAME_LOWER])
def test_same_has_a_place_for_each_stride_and_pads_as_little_as_it_takes(padding: Padding) -> None:
    for n, f, s, _, d in SITUATIONS:
        extent = d * (f - 1) + 1
        axis = Axis(n, f, s, d, padding=padding)
        before, behind = axis.pads
        assert axis.places == len(range(0, n, s))
        assert len(starts(n, extent, s, before, behind)) == axis.places
        assert refusal(axis) == ""
        if before + behind:
            assert (axis.places - 1) * s + extent == n + before + behind
        odd = (behind - before) if padding is Padding.SAME else (before - behind)
        assert odd in (0, 1)


def test_half_is_as_much_on_both_sides_and_refuses_even_windows() -> None:
    for n, f, s, _, d in SITUATIONS:
        axis = Axis(n, f, s, d, padding=Padding.HALF, rounding=Rounding.FLOOR)
        if d * (f - 1) % 2:
            assert refusal(axis) == "E0306"
        else:
            assert axis.pads == (d * (f - 1) // 2,) * 2
            assert axis.places == (n - 1) // s + 1


@pytest.mark.parametrize(
    ("axis", "formula"),
    [
        (Axis(227, 11, 4), "(227 - 11)/4 + 1 = 55"),
        (Axis(27, 5, margin=(2, 2)), "(27 - 5 + 2*2)/1 + 1 = 27"),
        (Axis(27, 5, margin=(2, 2), stride_said=False), "27 - 5 + 2*2 + 1 = 27"),
        (Axis(7, 3, 3), "(7 - 3)/3 + 1 = 2.33"),
        (Axis(4, 5, stride_said=False), "4 - 5 + 1 = 0"),
        (Axis(4, 7, 2), "(4 - 7)/2 + 1 = -0.5"),
        (Axis(32, 3, 2, 2, margin=(0, 1)), "(32 - (2*(3 - 1) + 1) + 0 + 1)/2 + 1 = 15"),
        (Axis(224, 7, 2, padding=Padding.SAME), "ceil(224/2) = 112"),
        (
            Axis(224, 7, 2, padding=Padding.HALF, rounding=Rounding.FLOOR),
            "floor((224 - 7 + 2*3)/2) + 1 = 112",
        ),
        (Axis(112, 3, 2, rounding=Rounding.CEIL), "ceil((112 - 3)/2) + 1 = 56"),
        (Axis(4, 1, 2, rounding=Rounding.CEIL), "ceil((4 - 1)/2) + 1 - 1 = 2"),
        (Axis(7, 3, 2, rounding=Rounding.CEIL), "(7 - 3)/2 + 1 = 3"),
    ],
)
def test_the_formula_shows_the_numbers_that_ran(axis: Axis, formula: str) -> None:
    assert axis.formula() == formula


def complaint(slide: Slide) -> LayerError:
    with pytest.raises(LayerError) as caught:
        check_slide(slide)
    return caught.value


def test_a_window_that_does_not_fit_gets_its_three_remedies() -> None:
    problem = complaint(Slide(Axis(7, 3, 3), Axis(7, 3, 3)))
    assert problem.code == "E0301"
    assert problem.message == "a 3x3 window at stride 3 does not fit a 7x7 image"
    assert problem.at == "stride"
    assert problem.label == "(7 - 3)/3 + 1 = 2.33 is not an integer"
    assert problem.also == {"window": ""}
    assert problem.helps == (
        "`stride 2` fits: (7 - 3)/2 + 1 = 3",
        "`pad 1` fits: (7 - 3 + 2*1)/3 + 1 = 3",
        "`floor` leaves out the last row and column and gives 2; "
        "`ceil` pads them and gives 3",
    )  # fmt: skip


def test_the_remedies_count_what_is_left_out() -> None:
    problem = complaint(Slide(Axis(10, 3, 4), Axis(11, 3, 4)))
    assert problem.message == "a 3x3 window at stride 4 does not fit a 10x11 image"
    assert problem.helps[-1] == "`floor` leaves out the last 3 rows and gives 2x3; " \
        "`ceil` pads them and gives 3"  # fmt: skip
    both = complaint(Slide(Axis(10, 3, 4), Axis(9, 3, 4)))
    assert both.helps[-1].startswith("`floor` leaves out the last 3 rows and the last 2 columns")


def test_every_remedy_that_is_offered_fits() -> None:
    offered = 0
    for n, f, s, p, _ in SITUATIONS:
        axis = Axis(n, f, s, margin=(p, p))
        if refusal(axis) != "E0301":
            continue
        for text in complaint(Slide(axis, axis)).helps[:-1]:
            word, number = text.split("`")[1].split()
            other = {"stride": (int(number), p), "pad": (s, int(number))}[word]
            fitting = Axis(n, f, other[0], margin=(other[1], other[1]))
            assert refusal(fitting) == ""
            assert text == f"`{word} {number}` fits: {fitting.formula()}"
            offered += 1
    assert offered > 1000


def test_a_window_larger_than_the_image_is_told_of_half() -> None:
    axis = Axis(4, 5, stride_said=False)
    problem = complaint(Slide(axis, axis))
    assert problem.code == "E0305"
    assert problem.message == "a 5x5 window is larger than the 4x4 image it slides over"
    assert (problem.at, problem.label) == ("window", "4 - 5 + 1 = 0")
    assert problem.helps == ("`half` keeps the size (pads 2 on every side)",)


def test_a_window_larger_than_the_image_names_padding_and_dilation() -> None:
    axis = Axis(4, 4, 2, 3, margin=(1, 1))
    problem = complaint(Slide(axis, axis))
    assert problem.message == (
        "a 4x4 window at dilation 3 is larger than the 4x4 image it slides over, padded to 6x6"
    )
    assert problem.label == "(4 - (3*(4 - 1) + 1) + 2*1)/2 + 1 = -1"
    assert problem.helps == ("`same` pads as much as it takes and gives 2",)


def test_half_of_an_even_window_is_refused_with_what_would_do() -> None:
    axis = Axis(8, 4, padding=Padding.HALF)
    problem = complaint(Slide(axis, axis))
    assert problem.code == "E0306"
    assert problem.label == "(4 - 1)/2 = 1.5"
    assert problem.helps == (
        "`same` pads 1 above and left and 2 below and right at stride 1",
        "or say how much: `pad 2`",
    )
