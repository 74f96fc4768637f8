"""Contracts of layers, sets of hyper-parameters, blocks in prose, and what changes in a network."""

from __future__ import annotations

import re

from cnndsl.importers.rules import DIMS, Reader, join, rule
from cnndsl.importers.sheet import Row, Sheet, hyphened

USUAL = {"W1": 32, "H1": 32, "D1": 3, "K": 64, "F": 3, "S": 1, "P": 1}
"""Values that a contract's letters begin with; each is a parameter."""

COUNTS = {"two": 2, "three": 3, "four": 4}

# ---------------------------------------------------------------- contracts


@rule(r"accepts a volume of size ([WHD]1)x([WHD]1)x([WHD]1)")
def read_accepts(reader: Reader, found: re.Match[str]) -> bool:
    """`Accepts a volume of size W1xH1xD1`: the sides are parameters, in whatever order."""
    reader.turn()
    reader.topic = "contract"
    sides = ", ".join(f"{side} = {USUAL[side]}" for side in sorted(found.groups(), reverse=True))
    reader.sheet.head.append(f"param {sides}")
    reader.sheet.add("input [H1 x W1 x D1]")
    return True


@rule(
    r"(?:number of filters|their spatial extent|the stride|the amount of zero padding)"
    r" ([KFSP])[ ,.]*"
)
def read_hyperparameter(reader: Reader, found: re.Match[str]) -> bool:
    """`their spatial extent F,`: a parameter of the layer."""
    if reader.topic != "contract":
        return False
    letter = found[1].upper()
    reader.values["letters"] = reader.values.get("letters", "") + letter
    reader.sheet.head.append(f"param {letter} = {USUAL[letter]}")
    return True


@rule(r"requires (two|three|four) hyper-?parameters:?")
def read_number_of_parameters(reader: Reader, found: re.Match[str]) -> bool:
    """`Requires four hyperparameters:`, which are counted when they have been read."""
    reader.values["promised"] = str(COUNTS[found[1].casefold()])
    return reader.topic == "contract"


@rule(r"produces a volume of size W2xH2xD2 where:?")
def read_produces(reader: Reader, found: re.Match[str]) -> bool:
    """`Produces a volume of size W2xH2xD2 where:`: now the layer is known."""
    if reader.topic != "contract":
        return False
    letters = reader.values.pop("letters", "")
    promised = reader.values.pop("promised", str(len(letters)))
    if int(promised) != len(letters):
        reader.sheet.note(
            f"the slide speaks of {promised} hyper-parameters and lists {len(letters)}: "
            f"{', '.join(letters)}"
        )
    layer = "conv(K, F, stride=S, pad=P)" if "K" in letters else "maxpool(F, stride=S)"
    reader.sheet.add(layer, label="L")
    return True


@rule(r"([WHD])2 = ([WHDFSPK\d\s()+/*-]+?)(?: \(i\.e\..*\))?")
def read_side(reader: Reader, found: re.Match[str]) -> bool:
    """`W2 = (W1 - F + 2P)/S + 1`: what the layer makes of a side."""
    if reader.topic != "contract":
        return False
    axis = {"W": "w", "H": "h", "D": "c"}[found[1].upper()]
    formula = re.sub(r"(\d)([A-Z])", r"\1*\2", found[2].strip())
    reader.sheet.claim(f"L.{axis} == {formula}")
    return True


@rule(r".*for a total of (.+?) weights and K biases\.?")
def read_weights(reader: Reader, found: re.Match[str]) -> bool:
    """`.. for a total of (F * F * D1) * K weights and K biases`."""
    if reader.topic != "contract":
        return False
    reader.sheet.claim(f"weights == {found[1]}")
    reader.sheet.claim("biases == K")
    return True


@rule(r"introduces zero parameters.*")
def read_no_parameters(reader: Reader, found: re.Match[str]) -> bool:
    """`Introduces zero parameters since it computes a fixed function of the input`."""
    reader.sheet.claim("params == 0")
    return True


@rule(r".*\\sum_([a-z])=0\^\{([a-z]_[a-z])\}.*")
def read_sum(reader: Reader, found: re.Match[str]) -> bool:
    """A sum over channels from i = 0 to c_i, which has a term too many."""
    letter, last = found.groups()
    reader.sheet.note(
        f"the sum from {letter} = 0 to {last} has {last} + 1 terms: {last} channels are 0 .. "
        f"{last} - 1"
    )
    return True


@rule(r"even k_h ?: pad \\lceil p_h/2 \\rceil on top, \\lceil p_h/2 \\rceil on bottom")
def read_two_ceilings(reader: Reader, found: re.Match[str]) -> bool:
    """`Even k_h: pad ceil(p_h/2) on top, ceil(p_h/2) on bottom`, said to keep the size: k = 2."""
    reader.input("7x7x1")
    reader.layer("conv(1, 2x2, pad=[1, 1, 1, 1])", size="7x7x1")
    return True


# ---------------------------------------------------------------- sets of hyper-parameters


@rule(r"K = \(.*?((?:\d+, )+\d+)\)")
def read_filter_choices(reader: Reader, found: re.Match[str]) -> bool:
    """`K = (powers of 2, e.g. 32, 64, 128, 512)`."""
    reader.sheet.head.append(f"param K in [{found[1]}]")
    return True


@rule(r"F = (\d+), S = (\d+), P = (\d+|\?)(?: \(.*\))?")
def read_setting(reader: Reader, found: re.Match[str]) -> bool:
    """`F = 5, S = 2, P = ? (whatever fits)`."""
    window, stride, pad = found.groups()
    border = "fit" if pad == "?" else f"pad {pad}"
    filters = "K" if any("param K" in line for line in reader.sheet.head) else "64"
    reader.layer(f"conv {filters} {window}x{window} stride {stride}, {border}")
    return True


@rule(r"(?:e\.g\. )?F = (\d+) => zero pad with (\d+)")
def read_same_padding(reader: Reader, found: re.Match[str]) -> bool:
    """`F = 5 => zero pad with 2`: the padding that keeps the size."""
    reader.layer(f"conv 1 {found[1]}x{found[1]}, pad {found[2]}", size="7x7x1")
    return True


# ---------------------------------------------------------------- blocks in prose

join(
    rf"VGG block\s*-?\s* {DIMS} convolutions \(pad \d+\) \(n layers, m channels\)\s*-?\s* "
    rf"{DIMS} max-pooling \(stride \d+\)"
)
join(
    r"\w+ block a convolutional layer kernel size, stride, and padding are hyper-parameters "
    rf"followed by \w+ {DIMS} convolutions"
)
join(rf"a depthwise convolution and a {DIMS} convolution \(pointwise convolution\)")


@rule(
    rf"(\w+) block\W+({DIMS}) convolutions \(pad (\d+)\) \(n layers, m channels\)\W+"
    rf"({DIMS}) max-pooling \(stride (\d+)\)"
)
def read_vgg_block(reader: Reader, found: re.Match[str]) -> bool:
    """`VGG block: 3x3 convolutions (pad 1) (n layers, m channels), 2x2 max-pooling (stride 2)`."""
    name, window, pad, pool, stride = found.groups()
    reader.sheet.head.append(
        f"block {name}(n, m) {{ (conv(m, {window}, pad={pad}) - relu) * n - "
        f"maxpool {pool} stride {stride} }}"
    )
    return True


@rule(
    r"(\w+) block a convolutional layer kernel size, stride, and padding are hyper-parameters "
    rf"followed by (\w+) ({DIMS}) convolutions"
)
def read_nin_block(reader: Reader, found: re.Match[str]) -> bool:
    """`NiN Block: a convolutional layer .. followed by two 1x1 convolutions`."""
    name, count, window = found.groups()
    reader.sheet.head.append(
        f"block {name}(c, k, stride=1, pad=0) {{ conv(c, k, stride=stride, pad=pad) - relu - "
        f"(conv(c, {window}) - relu) * {COUNTS.get(count.casefold(), 1)} }}"
    )
    return True


@rule(rf"a depthwise convolution and a ({DIMS}) convolution \(pointwise convolution\)")
def read_separable(reader: Reader, found: re.Match[str]) -> bool:
    """`a depthwise convolution and a 1x1 convolution (pointwise convolution)`."""
    reader.sheet.head.append(
        f"block separable(c, k=3x3, stride=1) {{ depthwise(k, stride=stride, half) - "
        f"conv(c, {found[1]}) }}"
    )
    return True


@rule(r".*a (\d+)-layer dense block with a growth rate of k=(\d+)\..*")
def read_dense_block(reader: Reader, found: re.Match[str]) -> bool:
    """`A 5-layer dense block with a growth rate of k=4`: each layer reads all before it."""
    reader.layer(f"(id | conv {found[2]} 3x3 half - relu) - concat", label="")
    last = reader.sheet.last
    assert last is not None
    last.words = f"repeat {found[1]} {{ {last.words} }}"
    return True


@rule(r"replace .* with an? (\w+) block")
def read_use(reader: Reader, found: re.Match[str]) -> bool:
    """`Replace AlexNet's dense layers with a NiN block`: its channels are the classes."""
    block = found[1]
    if not any(line.startswith(f"block {block}(") for line in reader.sheet.head):
        return False
    reader.sheet.head.append("param classes = 1000")
    reader.layer(f"{block}(classes, 3x3, pad=1)")
    return True


@rule(r"global average pooling layer to combine outputs")
def read_global_pool(reader: Reader, found: re.Match[str]) -> bool:
    """`Global average pooling layer to combine outputs`."""
    reader.layer("gap")
    return True


# ---------------------------------------------------------------- another network, but


@rule(r"(\w+) but:")
def read_base(reader: Reader, found: re.Match[str]) -> bool:
    """`AlexNet but:`: the program of the page before, with what changes."""
    earlier = next((s for s in reversed(reader.sheets) if s.layers), None)
    if earlier is None:
        return False
    base = _net(found[1], earlier)
    reader.turn()
    reader.sheet.head.append(base)
    reader.values["base"] = found[1]
    reader.values["net"] = reader.values.pop("title", "changed")
    return True


def _net(name: str, sheet: Sheet) -> str:
    """Write a page's program as a net of its own."""
    lines = sheet.text().splitlines()
    return "\n".join([f"net {name} {{", *(f"  {line}" for line in lines), "}"])


@rule(r"case study: (\w+)\b.*")
def read_title(reader: Reader, found: re.Match[str]) -> bool:
    """`Case Study: ZFNet [Zeiler and Fergus, 2013]`."""
    reader.values["title"] = found[1]
    reader.sheet.note(found[0])
    return True


@rule(rf"(\w+): change from \(({DIMS}) stride (\d+)\) to \(({DIMS}) stride (\d+)\)")
def read_change(reader: Reader, found: re.Match[str]) -> bool:
    """`CONV1: change from (11x11 stride 4) to (7x7 stride 2)`; the old values are checked."""
    label, window, stride, new_window, new_stride = found.groups()
    row = reader.known.get(label)
    if row is None:
        return False
    stated = re.search(rf"({DIMS}).*?stride (\d+)", row.words)
    if stated is None or (stated[1], stated[2]) != (window, stride):
        reader.sheet.note(f"{label} was not {window} stride {stride} but: {row.words}")
    words = row.words.replace(window, new_window, 1)
    _replace(reader, row, re.sub(r"stride \d+", f"stride {new_stride}", words, count=1))
    return True


@rule(r"([A-Z]+)([\d,]+): instead of ([\d, ]+) filters use ([\d, ]+)")
def read_new_filters(reader: Reader, found: re.Match[str]) -> bool:
    """`CONV3,4,5: instead of 384, 384, 256 filters use 512, 1024, 512`."""
    stem, numbers, old, new = found.groups()
    labels = [f"{stem}{number}" for number in numbers.split(",")]
    olds, news = old.replace(" ", "").split(","), new.replace(" ", "").split(",")
    if not len(labels) == len(olds) == len(news):
        return False
    for label, before, after in zip(labels, olds, news, strict=True):
        row = reader.known.get(label)
        if row is None:
            return False
        if not row.words.startswith(f"{before} "):
            reader.sheet.note(f"{label} had not {before} filters but: {row.words}")
        _replace(reader, row, row.words.replace(before, after, 1))
    return True


def _replace(reader: Reader, row: Row, words: str) -> None:
    line = f"  replace {row.label}: {words}"
    base, net = reader.values["base"], hyphened(reader.values["net"])
    head = f"net {net} = {base} {{"
    tail = reader.sheet.tail
    if head not in tail:
        tail += [head, "}"]
    tail.insert(tail.index("}"), line)
