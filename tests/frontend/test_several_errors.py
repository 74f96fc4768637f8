"""Several errors of one program: which are reported, and which are held back."""

from __future__ import annotations

from tests.frontend.elaborating import codes


def test_independent_errors_are_all_reported() -> None:
    text = """
    input [32x32x3]
    (cnov 8 3x3 | conv 8 3x3 stride 3) - concat
    from nowhere - relu
    let x = 1/0
    """
    assert sorted(codes(text)) == ["E0201", "E0202", "E0301", "E0505"]


def test_an_error_on_a_stream_holds_back_what_follows_on_it() -> None:
    text = "input [8x8x3]\nconv 8 9x9 - maxpool 3x3 - conv(shape.c, 5x5)  => [1x1x8]\nfc 10"
    assert codes(text) == ["E0305"]


def test_unknown_words_are_found_behind_other_errors_too() -> None:
    assert codes("input [8x8x3]\nconv 8 9x9 - rleu") == ["E0305", "E0201"]


def test_at_most_twenty_errors_are_reported() -> None:
    text = "input [8x8x3]\n" + "\n".join(f"bad{i} 3" for i in range(50))
    assert len(codes(text)) == 20


def test_the_same_error_in_a_loop_is_reported_once() -> None:
    assert codes("input [8x8x3]\nrepeat i in 1..50 { cnov 8 3x3 }") == ["E0201"]
