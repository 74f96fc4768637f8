"""Lines of a slide that say a layer, its size, or the input."""

from __future__ import annotations

import re

from cnndsl.importers.rules import DIMS, Reader, join, rule

SPEC = r"(?:\d[^:=]*?|[A-Za-z]+ layer)"

join(rf"{DIMS} CONV with \d+ filters\s*(?:→|->)?\s*\(each filter has size {DIMS}")
join(r"with \d+ filters, CONV layer consists of neurons arranged in a 3D grid \([^)]*\)")
join(rf"{DIMS} filters(?=\n)")
join(r"\\left\[\S*array\}\{c+\}.+?\\end\{array\}\s*\S*ight\]\s*\w*")
join(r"\d+ activation maps, each \d+(?:x\d+)+")
join(r"Stack activations to get a \d+(?:x\d+)+ output image!?")


@rule(rf"(?:e\.g\. )?(?:module )?input(?: volume)?:? ({DIMS})(?: images?| \(spatially\))?")
@rule(rf"({DIMS}) image")
@rule(rf"input \(({DIMS})(?: RGB image)?\)")
def read_input(reader: Reader, found: re.Match[str]) -> bool:
    """`32x32x3 image`, `Input: 227x227x3 images`, `e.g. input 7x7 (spatially)`."""
    reader.input(_deep(found[1], found[0]))
    return True


def _deep(size: str, text: str) -> str:
    return f"{size}x3" if "RGB" in text and size.count("x") == 1 else size


@rule(rf"({DIMS}) image (?:->|→) stretch to (\d+)(?:x1)?")
def read_stretch(reader: Reader, found: re.Match[str]) -> bool:
    """`32x32x3 image -> stretch to 3072x1`."""
    reader.input(found[1])
    reader.layer("flatten", size=found[2])
    return True


@rule(r"\[([\dx]+)\] (\w[\w ]*?)(?:: (.+))?")
def read_row(reader: Reader, found: re.Match[str]) -> bool:
    """`[55x55x96] CONV1: 96 11x11 filters at stride 4, pad 0`, a row of the slide's table."""
    size, name, spec = found.groups()
    if spec is None:
        if name.casefold() != "input":
            return False
        reader.input(size)
        return True
    reader.layer(spec, label=name, size=reader.options.size(size))
    return True


@rule(
    r"(?:\w+ layer \()?([A-Z][A-Z ]*\d*(?:\.\.\d+)?)\)?: (\d.*?)(?: ?=> ?\[([^\]]+)\](.*))?",
    case=True,
)
def read_labelled(reader: Reader, found: re.Match[str]) -> bool:
    """`First layer (CONV1): 96 11x11 filters ..`, `CONV1: 192 5x5 filters .. => [19x19x192]`."""
    label, spec, size, remark = found.groups()
    reader.layer(spec.rstrip(), label=label, remark=(remark or "").strip(" ()"))
    last = reader.sheet.last
    if size and last is not None:
        last.size = size
    return True


@rule(r"((?:[A-Z]+\d*(?:-\d+)?)): (\[[\dx]+\])\s+(memory: .+)", case=True)
def read_walk(reader: Reader, found: re.Match[str]) -> bool:
    """`CONV3-64: [224x224x64] memory: .. params: ..`, a line of the accounting walk."""
    label, size, claims = found.groups()
    if label == "INPUT" and reader.sheet.layers:
        reader.turn()
    if "not counting biases" in claims:
        reader.values["biases"] = "without"
    row = reader.sheet.add(size, label=label)
    for key, value in re.findall(r"(\w+): (.+?)(?=\s+\w+: |$)", claims):
        row.claims[key] = value.strip()
    return True


@rule(rf"(\d+) ({DIMS}) filters?(.*)")
def read_filters(reader: Reader, found: re.Match[str]) -> bool:
    """`10 5x5 filters with stride 1, pad 2`."""
    reader.layer(f"conv {found[1]} {found[2]}{_clauses(found[3])}")
    return True


@rule(rf".*\bif we had (\d+) ({DIMS}) filters.*")
def read_supposed_filters(reader: Reader, found: re.Match[str]) -> bool:
    """`For example, if we had 6 5x5 filters, ..`."""
    reader.layer(f"conv {found[1]} {found[2]}")
    return True


@rule(rf"({DIMS}) filters?(.*)")
def read_filter(reader: Reader, found: re.Match[str]) -> bool:
    """`3x3 filter, applied with stride 1`, `5x5x3 filter`, channels first `6x3x5x5 filters`."""
    axes = found[1].replace(" ", "").split("x")
    if len(axes) == 4:
        reader.layer(f"conv {axes[0]} {axes[2]}x{axes[3]}x{axes[1]}")
    else:
        reader.layer(f"conv 1 {'x'.join(axes)}{_clauses(found[2])}")
    return True


def _clauses(text: str) -> str:
    kept = re.findall(r"(?:stride|pad) \d+", text)
    return f" {', '.join(kept)}" if kept else ""


@rule(rf"({DIMS}) CONV with (\d+) filters\s*(?:→|->)?\s*\(each filter has size ({DIMS}).*")
def read_one_by_one(reader: Reader, found: re.Match[str]) -> bool:
    """`1x1 CONV with 32 filters (each filter has size 1x1x64 ..`."""
    reader.layer(f"conv {found[2]} {found[3]}")
    return True


@rule(r".*with (\d+) filters, CONV layer consists of neurons arranged in a 3D grid \(([^)]*)\)")
def read_grid_of_neurons(reader: Reader, found: re.Match[str]) -> bool:
    """`with 5 filters, CONV layer consists of neurons arranged in a 3D grid (28x28x5)`."""
    window = reader.values.get("window", "5x5")
    reader.layer(f"conv {found[1]} {window}", size=found[2].replace(" ", ""))
    return True


@rule(r"pad with (\d+) pixel border.*")
def read_border(reader: Reader, found: re.Match[str]) -> bool:
    """`pad with 1 pixel border`, about the layer before."""
    last = reader.sheet.last
    if last is None:
        return False
    last.words += f", pad {found[1]}"
    return True


@rule(r"\\left\[\S*array\}\{c+\}\s*(.+?)\s*\\end\{array\}\s*\S*ight\]\s*(\w*)")
def read_kernel(reader: Reader, found: re.Match[str]) -> bool:
    """A filter written out as a LaTeX array, with its name behind it."""
    rows = [row.split("&") for row in re.split(r"\\+", found[1]) if row.strip()]
    written = ", ".join(f"[{', '.join(number.strip() for number in row)}]" for row in rows)
    reader.layer(f"conv(1, weights=[{written}], same)", label=found[2].casefold())
    return True


@rule(rf"(max|average|avg) pool(?:ing)? with ({DIMS}) filters and stride (\d+)")
def read_pool(reader: Reader, found: re.Match[str]) -> bool:
    """`max pool with 2x2 filters and stride 2`."""
    kind = "maxpool" if found[1].casefold() == "max" else "avgpool"
    reader.layer(f"{kind} {found[2]} stride {found[3]}")
    return True


@rule(r"(?:also )?(\d+)-dim bias vector:?")
def read_biases(reader: Reader, found: re.Match[str]) -> bool:
    """`6-dim bias vector`."""
    reader.sheet.claim(f"biases == {found[1]}")
    return True


@rule(r"(\d+)-dimensional dot(?: product\)?)?.*")
def read_dot_product(reader: Reader, found: re.Match[str]) -> bool:
    """`64-dimensional dot product`, of each filter."""
    last = reader.sheet.last
    count = re.match(r"conv (\d+)", last.words) if last is not None else None
    if count is None:
        return False
    reader.sheet.claim(f"weights / {count[1]} == {found[1]}")
    return True


@rule(rf"output volume:? \[?({DIMS})\]?")
@rule(rf".*(?:new image.? of size|output volume:?) \[?({DIMS})\]?!?")
@rule(rf"({DIMS}) output(?: image)?!?")
@rule(rf"\d+ activation maps, each ({DIMS})")
@rule(rf"stack activations to get a ({DIMS}) output image!?")
def read_output(reader: Reader, found: re.Match[str]) -> bool:
    """`Output volume [55x55x96]`, `7x7 Output`, `a "new image" of size 28x28x6!`."""
    text = found[0].casefold()
    if "activation maps" in text:
        return True  # each of them; the stack of them follows
    return reader.expect(found[1])


@rule(r"output volume size:")
@rule(r"=>|⇒")
def read_announcement(reader: Reader, found: re.Match[str]) -> bool:
    """`Output volume size:`, and the size on a line of its own behind it."""
    reader.expecting = True
    return True


@rule(rf"({DIMS})")
def read_bare_size(reader: Reader, found: re.Match[str]) -> bool:
    """A size alone: the result if one is due, a layer's weights if it has four numbers."""
    axes = found[1].split("x")
    if len(axes) == 4:
        reader.layer(f"conv {axes[0]} {axes[2]}x{axes[3]}x{axes[1]}")
        return True
    return reader.expecting and reader.expect(found[1])


@rule(rf"after (\w+): ({DIMS})")
def read_after(reader: Reader, found: re.Match[str]) -> bool:
    """`After CONV1: 55x55x96` goes on behind a layer of an earlier page."""
    earlier = next(
        (s for s in reversed(reader.sheets) if any(r.label == found[1] for r in s.layers)), None
    )
    if earlier is None:
        return False
    copied = earlier.copy()
    for row in list(copied.rows):
        copied.rows.remove(row) if isinstance(row, str) else None
    labels = [row.label for row in copied.layers]
    copied.rows = copied.rows[: labels.index(found[1]) + 1]
    last = copied.last
    if last is not None:
        last.size = reader.options.size(found[2])
    reader.sheets[-1] = copied
    return True
