"""How wide text is, so that no box is too small for what stands in it.

The widths are those of DejaVu Sans, the widest of the usual sans-serif fonts: whichever of them a
viewer has, nothing is cut.
"""

from __future__ import annotations

import re

REGULAR = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip
"""Thousandths of the font's size for the characters from space to tilde."""
BOLD = (
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696,
    696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683,
    683, 821, 837, 372, 372, 775, 637, 995, 837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771,
    724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665,
    343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838,
)  # fmt: skip
"""The same in bold."""
WIDEST = 1050
"""For every other character."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Give the width of a text in pixels, for a font of `size` pixels.

    >>> round(text_width("conv 64 3x3", 10))
    62
    """
    table = BOLD if bold else REGULAR
    units = sum(table[ord(c) - 32] if 32 <= ord(c) < 127 else WIDEST for c in text)
    return units * size / 1000


def broken(text: str, size: float, width: float, *, bold: bool = False) -> list[str]:
    """Break a text between words into lines of at most `width` pixels, if its words allow that.

    A number stays with the word before it: `pad 1`.
    """
    lines: list[str] = []
    for word in re.split(r" (?![0-9.]+(?: |$))|(?<=[0-9]) ", text):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines or [""]
