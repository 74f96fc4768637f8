"""Blocks that a slide tells in sentences: the four paths of an Inception block, residual blocks."""

from __future__ import annotations

import re

from cnndsl.importers.rules import DIMS, Reader, join, rule

COUNTS = {"two": 2, "three": 3}

join(
    rf"the first three paths use convolutional layers with window sizes of {DIMS} ?, {DIMS} ?, "
    rf"and {DIMS} ?[^.]*\."
)

RESIDUAL = """block shortcut(c, stride) {{
  if stride == 1 and shape.c == c {{ id }} else {{ conv(c, 1x1, stride=stride, floor) }}
}}
block residual(c, stride=1) {{
  ( conv(c, {window}, stride=stride, half, floor) - relu{more}
  | shortcut(c, stride) ) - add - relu
}}"""
"""F(x) + x, with a projection where the sizes differ."""

STAGES = """repeat i in 0..3 {{
  residual(64 * 2^i, stride={stride} if i > 0 else 1)
  repeat n - 1 {{ residual(64 * 2^i) }}
}}"""
"""Periodically twice the filters at half the size."""


@rule(
    rf"the first three paths use convolutional layers with window sizes of ({DIMS}), ({DIMS}), "
    rf"and ({DIMS})\b.*"
)
def read_paths(reader: Reader, found: re.Match[str]) -> bool:
    """`The first three paths use .. layers with window sizes of 1x1, 3x3, and 5x5 ..`."""
    reader.turn()
    reader.topic = "paths"
    reader.values |= {"path 1": found[1], "path 2": found[2], "path 3": found[3]}
    return True


@rule(rf"the middle two paths perform a ({DIMS}) convolution on the input to reduce .*")
def read_reduction(reader: Reader, found: re.Match[str]) -> bool:
    """`The middle two paths perform a 1x1 convolution on the input to reduce ..`."""
    reader.values["reduce"] = found[1]
    return reader.topic == "paths"


@rule(
    rf"the fourth path uses a ({DIMS}) maximum pooling layer, followed by a ({DIMS}) "
    r"convolutional layer .*"
)
def read_fourth_path(reader: Reader, found: re.Match[str]) -> bool:
    """`The fourth path uses a 3x3 maximum pooling layer, followed by a 1x1 convolutional layer`."""
    reader.values |= {"pool": found[1], "projection": found[2]}
    return reader.topic == "paths"


@rule(r"the four paths all use appropriate padding .*concatenated along the channel dimension.*")
def read_joined_paths(reader: Reader, found: re.Match[str]) -> bool:
    """`The four paths all use appropriate padding .. concatenated along the channel dimension`."""
    values = reader.values
    if reader.topic != "paths" or not {"reduce", "pool"} <= set(values):
        return False
    reduce = values["reduce"]
    reader.sheet.head.append(
        "block inception(n1, r3, n3, r5, n5, proj) {\n"
        f"  ( conv(n1, {values['path 1']}, half)\n"
        f"  | conv(r3, {reduce}, half) - conv(n3, {values['path 2']}, half)\n"
        f"  | conv(r5, {reduce}, half) - conv(n5, {values['path 3']}, half)\n"
        f"  | maxpool {values['pool']}/1 half - conv(proj, {values['projection']}, half) )"
        " - concat\n}"
    )
    return True


@rule(rf"residual block has (two|three) ({DIMS}) conv layers")
def read_residual(reader: Reader, found: re.Match[str]) -> bool:
    """`Residual block has two 3x3 conv layers`."""
    count, window = COUNTS[found[1].casefold()], found[2]
    more = " - relu".join([""] + [f" - conv(c, {window}, half)" for _ in range(count - 1)])
    more = more.removeprefix(" - relu")
    reader.sheet.head.append(RESIDUAL.format(window=window, more=more))
    reader.sheet.head.append("param n = 2")
    reader.topic = "residual"
    return True


@rule(r"periodically, double # of filters and downsample F\(x\) spatially using stride (\d+)\b.*")
def read_stages(reader: Reader, found: re.Match[str]) -> bool:
    """`Periodically, double # of filters and downsample F(x) spatially using stride 2`."""
    reader.values["stages"] = STAGES.format(stride=found[1])
    return reader.topic == "residual"


@rule(r"additional conv layer at the beginning")
def read_first_layer(reader: Reader, found: re.Match[str]) -> bool:
    """`Additional conv layer at the beginning`."""
    if reader.topic != "residual":
        return False
    reader.input(reader.options.input or "224x224x3")
    reader.layer("conv 64 3x3 half - relu")
    reader.sheet.rows.append(reader.values.pop("stages", STAGES.format(stride=2)))
    return True


@rule(r"no FC layers at the end \(only FC (\d+) to output classes\)")
def read_last_layer(reader: Reader, found: re.Match[str]) -> bool:
    """`No FC layers at the end (only FC 1000 to output classes)`."""
    if reader.topic != "residual" or not reader.sheet.layers:
        return False
    reader.layer(f"gap - fc {found[1]} - softmax")
    return True
