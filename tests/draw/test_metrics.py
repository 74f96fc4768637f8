from __future__ import annotations

from cnndsl.draw.metrics import broken, text_width


def test_width_grows_with_text_and_size() -> None:
    assert text_width("", 10) == 0
    assert text_width("conv 64", 20) == 2 * text_width("conv 64", 10)
    assert text_width("conv", 10, bold=True) > text_width("conv", 10)
    assert text_width("é", 10) >= text_width("m", 10)


def test_lines_are_no_wider_than_allowed_and_lose_no_word() -> None:
    text = "conv 384 3x3 stride 2 pad 1 half floor nobias"
    for width in (40, 60, 90, 200, 1000):
        lines = broken(text, 9, width)
        assert " ".join(lines) == text
        assert all(text_width(line, 9) <= width or " " not in line or line == "conv 384" or
                   line.split()[-1].isdigit() for line in lines)  # fmt: skip


def test_a_number_stays_with_its_word() -> None:
    assert broken("conv 384 3x3 pad 1", 9, 84) == ["conv 384 3x3", "pad 1"]
    assert broken("dropout 0.5", 9, 5) == ["dropout 0.5"]
    assert broken("", 9, 84) == [""]
