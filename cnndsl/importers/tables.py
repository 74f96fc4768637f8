"""Tables of lectures, known by their headers: each becomes a program or assertions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from cnndsl.importers.columns import read_configurations, read_counts
from cnndsl.importers.complexity import read_complexity, read_costs
from cnndsl.importers.grid import Grid, filled
from cnndsl.importers.rules import Reader, whole
from cnndsl.importers.sheet import hyphened

INCEPTION = """block inception(n1, r3, n3, r5, n5, proj) {
  concat {
    conv n1 1x1
    conv r3 1x1 - conv n3 3x3
    conv r5 1x1 - conv n5 5x5
    maxpool 3x3/1 same - conv proj 1x1
  }
}"""
"""The four paths that the columns of the table are the widths of."""


def read_table(grid: Grid, reader: Reader) -> bool:
    """Read a table; False if none of the known kinds."""
    header = grid.header()
    for clue, read in KINDS:
        if re.search(clue, header):
            return read(grid, reader)
    if any(re.search(r"conv\d-\d+", cell) for row in grid.rows for cell in row):
        return read_configurations(grid, reader)
    return False


# ---------------------------------------------------------------- the table of GoogLeNet


def read_inception_table(grid: Grid, reader: Reader) -> bool:
    """Read `type | patch size/stride | output size | depth | #1x1 | .. | params | ops`."""
    sheet = reader.turn()
    sheet.head += ["default conv: same, relu", "default maxpool: same", INCEPTION]
    sheet.counting |= dict.fromkeys(("kilo 1024", "every digit"))
    reader.input(reader.options.input or "224x224x3")
    for row in grid.rows[1:]:
        cells = [*row, *[""] * (12 - len(row))]
        kind, patch, size, depth, *widths, params, ops = cells[:12]
        _add_inception_row(reader, kind, patch, size, widths)
        last = reader.sheet.last
        if last is None:
            return False
        claims = {"depth": depth, "params": params, "ops": ops}
        last.claims |= {
            key: whole(value) for key, value in claims.items() if value and value != "0"
        }
    return True


def _add_inception_row(
    reader: Reader, kind: str, patch: str, size: str, widths: Sequence[str]
) -> None:
    window, _, stride = patch.replace(" ", "").partition("/")
    filters = size.split("x")[-1]
    name = hyphened(kind)
    if kind.startswith("inception"):
        reader.layer(f"inception({', '.join(widths)})", label=name.replace("inception", "i"))
    elif kind == "convolution" and filled(widths):
        reduce = widths[1]
        words = f"conv {reduce} 1x1 - conv {filters} {window} stride {stride}"
        reader.layer(words, label=f"conv{_count(reader, 'conv')}")
    elif kind == "convolution":
        words = f"conv {filters} {window} stride {stride}"
        reader.layer(words, label=f"conv{_count(reader, 'conv')}")
    elif kind.endswith("pool"):
        pool = "maxpool" if kind.startswith("max") else "avgpool"
        reader.layer(f"{pool} {window} stride {stride}")
    elif kind.startswith("dropout"):
        reader.layer(f"dropout {kind[kind.index('(') + 1 : -1]}")
    elif kind == "linear":
        reader.layer(f"fc {filters}", label="linear")
    else:
        reader.layer(kind)
    last = reader.sheet.last
    assert last is not None
    last.size = size


def _count(reader: Reader, word: str) -> int:
    return 1 + sum(row.label.startswith(word) for row in reader.sheet.layers)


# ---------------------------------------------------------------- both ends of every layer


def read_structure(grid: Grid, reader: Reader) -> bool:
    """Read `input | output | layer | stride | pad | kernel | in | out | # of param`."""
    sheet = reader.turn()
    sheet.counting["with biases"] = None
    arriving = ""
    for row in grid.rows:
        cells = " ".join(filled(row)).split()
        names = [c for c in cells if re.fullmatch(r"(?:conv|maxpool|fc)\d+", c)]
        if cells[:1] == ["Total"]:
            sheet.claim(f"params == {whole(cells[-1])}")
        elif names and names[0].startswith("fc"):
            _add_dense(reader, names[0], cells)
        elif names and len(cells) == 14:
            if not sheet.layers:
                reader.input("x".join(cells[:3]))
            elif arriving and arriving != "x".join(cells[:3]):
                sheet.note(f"{names[0]} is said to read {'x'.join(cells[:3])}, not {arriving}")
            arriving = "x".join(cells[3:6])
            _add_spatial(reader, cells)
    return bool(sheet.layers)


def _add_spatial(reader: Reader, cells: Sequence[str]) -> None:
    name, stride, pad, down, across, _, filters, params = cells[6:14]
    count = f"{filters} " if name.startswith("conv") else ""
    words = f"{count}{down}x{across} filters at stride {stride}, pad {pad}"
    reader.layer(words, label=name, size="x".join(cells[3:6]))
    last = reader.sheet.last
    assert last is not None
    last.claims["params"] = whole(params)


def _add_dense(reader: Reader, name: str, cells: Sequence[str]) -> None:
    """Add `fc6 1 1 9216 4096 .. 37752832`; a row without sizes follows from its parameters."""
    last = reader.sheet.last
    assert last is not None
    params = int(whole(cells[-1]))
    if len(cells) >= 6:
        neurons = int(cells[4])
        last_size = last.size.split("x")
        arriving = 1
        for side in last_size:
            arriving *= int(side)
        if arriving != int(cells[3]):
            reader.sheet.note(f"{name} is said to read {cells[3]}, not {arriving}")
    else:
        neurons = params // (int(last.size.split("x")[-1]) + 1)
    reader.layer(f"{neurons} neurons", label=name, size=str(neurons))
    made = reader.sheet.last
    assert made is not None
    made.claims["params"] = str(params)


# ---------------------------------------------------------------- a stem with its costs


def read_stem(grid: Grid, reader: Reader) -> bool:
    """Read `layer | C, H/W | filters | kernel | stride | pad | C, H/W | memory | params | flop`."""
    sheet = reader.turn()
    sheet.counting |= dict.fromkeys(("with biases", "with pools"))
    for row in grid.rows:
        kind = row[0].strip()
        if kind not in ("conv", "max-pool"):
            continue
        before = sheet.last.size.split("x")[-1] if sheet.last is not None else ""
        wanted = 11 if kind == "conv" else 10
        numbers = _numbers(row[1:], wanted, before)
        if len(numbers) != wanted:
            sheet.note(" ".join(row))
            continue
        channels, side, *middle, out, out_side, memory, params, flop = numbers
        filters, window, stride, pad = middle if kind == "conv" else (0, *middle)
        if not sheet.layers:
            reader.input(f"{side}x{side}x{channels}")
        whole_size = (side + 2 * pad - window) % stride == 0
        rounding = "" if whole_size else f", {reader.options.rounding or 'floor'}"
        count = f"conv {filters}" if kind == "conv" else "maxpool"
        reader.layer(
            f"{count} {window}x{window} stride {stride}, pad {pad}{rounding}",
            size=f"{out_side}x{out_side}x{out}",
        )
        last = sheet.last
        assert last is not None
        last.claims |= {"memory": f"{memory}KiB", "params": f"{params}K", "ops": f"{flop}M"}
        if not params:
            last.claims["params"] = "0"
    return bool(sheet.layers)


def _numbers(cells: Sequence[str], wanted: int, channels: str) -> list[int]:
    """Give the numbers of a row without stray signs.

    Where the row has one too many, its first number fell apart: it is the `channels` that the row
    before makes, of which the pieces are the beginning and the end.

    >>> _numbers(["19", "92", "56", ". 3"], 3, "192")
    [192, 56, 3]
    """
    found = [re.sub(r"[^\d]", "", cell) for cell in cells]
    kept = [text for text in found if text]
    if len(kept) == wanted + 1 and channels.startswith(kept[0]) and channels.endswith(kept[1]):
        kept[:2] = [channels]
    return [int(text) for text in kept]


# ---------------------------------------------------------------- a summary of Keras


def read_summary(grid: Grid, reader: Reader) -> bool:
    """Read `conv2d_1 (Conv2D) | (None, 28, 28, 32) | 320`: assertions on the page before."""
    sheet = reader.resume()
    for row in grid.rows[1:]:
        name = re.match(r"(\w+) \(\w+\)", row[0])
        axes = re.findall(r"\d+", row[1]) if len(row) > 1 else []
        if name is None or not axes:
            continue
        size = "x".join(axes) if len(axes) == 3 else f"1x1x{axes[0]}"
        sheet.claim(f"{name[1]}.size == {size}")
        sheet.claim(f"{name[1]}.params == {whole(row[-1])}")
    return bool(sheet.tail)


KINDS: tuple[tuple[str, Callable[[Grid, Reader], bool]], ...] = (
    (r"patch size", read_inception_table),
    (r"# of param\b", read_structure),
    (r"layer \(type\)", read_summary),
    (r"flop \(m\)", read_stem),
    (r"#parameters\s+flops", read_costs),
    (r"^network\b.*number of parameters", read_counts),
    (r"#par\w+ .*flop", read_complexity),
)
"""What a table is known by, and what reads it."""
