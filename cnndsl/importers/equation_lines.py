"""Recurrences as equations, one network behind another, and sizes with letters for pixels."""

from __future__ import annotations

import re

from cnndsl.importers.rules import Reader, rule

USUAL = {"T": 6, "H": 64, "W": 96}
"""Values that letters begin with; others have `OTHERS`. Each is a parameter."""

OTHERS = 8

TERM = re.compile(r"W_([a-z])([a-z]) ?([a-z])_t(-1)?")
BIAS = re.compile(r"b_([a-z])")


def _param(reader: Reader, letter: str, value: int | None = None) -> None:
    line = f"param {letter} = {value or USUAL.get(letter, OTHERS)}"
    if not any(known.startswith(f"param {letter} =") for known in reader.sheet.head):
        reader.sheet.head.append(line)


# ---------------------------------------------------------------- recurrences


@rule(r"([a-z])_t = (?:\\phi|φ)\((.+)\)")
def read_recurrence(reader: Reader, found: re.Match[str]) -> bool:
    """`h_t = phi(W_hh h_t-1 + W_hx x_t + b_h)`, `o_t = phi(W_ho h_t + b_o)`: a layer each.

    The equation's matrices and biases are asserted of the layer. A matrix whose letters stand the
    other way round than the first one's is pointed out.
    """
    made, text = found.groups()
    parts = [part.strip() for part in text.split("+")]
    terms = [term for part in parts if (term := TERM.fullmatch(part))]
    biases = [bias for part in parts if (bias := BIAS.fullmatch(part))]
    if len(terms) + len(biases) != len(parts) or any(bias[1] != made for bias in biases):
        return False
    again = [term for term in terms if term[3] == made and term[4]]
    others = [term for term in terms if term not in again]
    if len(others) != 1 or others[0][4] or len(again) > 1:
        return False
    (other,) = others
    if not any("param phi" in line for line in reader.sheet.head):
        reader.sheet.head.append("param phi in [tanh, relu, sigmoid] = tanh")
    size, each = made.upper(), other[3].upper()
    for letter, value in (("T", None), (each, None), (size, OTHERS + 2)):
        _param(reader, letter, value)
    if not reader.sheet.layers:
        reader.sheet.add(f"input {other[3]} [T x 1 x {each}]")
    nobias = "" if biases else " nobias"
    words = f"rnn {size} phi all{nobias}" if again else f"conv {size} 1x1{nobias} phi"
    reader.sheet.add(words, label=made)
    for term in terms:
        _note_order(reader, term, made)
    weights = " + ".join(f"{size}*{term[3].upper()}" for term in terms)
    reader.sheet.claim(f"{made}.weights == {weights} and {made}.biases == {size if biases else 0}")
    return True


def _note_order(reader: Reader, term: re.Match[str], made: str) -> None:
    """Say which way round the letters of a matrix stand, where they do not say to-from."""
    first, second, read = term[1], term[2], term[3]
    if (first, second) == (made, read):
        reader.values["order"] = f"W_{first}{second}"
        return
    usual = reader.values.get("order", f"W_{made}{read}")
    if (first, second) == (read, made):
        reader.sheet.note(
            f"W_{first}{second} makes {made} of {read}: named as {usual} is, to-from, it is "
            f"W_{made}{read}"
        )
    else:
        reader.sheet.note(f"W_{first}{second} stands before {read}_t and makes {made}")


# ---------------------------------------------------------------- one network behind another


@rule(r"(\w[\w ]*): ([CR]NN) \+ ([CR]NN)")
def read_composition(reader: Reader, found: re.Match[str]) -> bool:
    """`Image Captioning: CNN + RNN`: the second reads what the first gives."""
    task, first, second = found.groups()
    reader.layer(f"{first.upper()} - {second.upper()}", remark=task)
    return True


# ---------------------------------------------------------------- down and up again

SIZE = r"(?:(\w+) ?x ?)?H(?:/(\d+))? ?x ?W(?:/(\d+))?"

DOWN = {"pooling": "maxpool", "strided convolution": "conv"}
UP = {"unpooling": "unpool", "strided transpose convolution": "upconv"}


@rule(r"downsampling: ?(pooling|strided convolution)(?:,.*)?")
def read_downsampling(reader: Reader, found: re.Match[str]) -> bool:
    """`Downsampling: Pooling, strided convolution`: the first that is named."""
    reader.topic = "pixels"
    reader.values["down"] = DOWN[found[1].casefold()]
    return False  # it stays as a remark too


@rule(r"(unpooling|strided transpose convolution)(?: or .+)?")
def read_upsampling(reader: Reader, found: re.Match[str]) -> bool:
    """`Unpooling or strided transpose convolution`: the first that is named."""
    reader.values["up"] = UP[found[1].casefold()]
    return False


@rule(r"input: (\d+) ?x ?H ?x ?W")
def read_symbolic_input(reader: Reader, found: re.Match[str]) -> bool:
    """`Input: 3 x H x W`: height and width are parameters."""
    for letter in "HW":
        _param(reader, letter)
    reader.sheet.add(f"input [H x W x {found[1]}]")
    return True


@rule(rf"[\w-]+: {SIZE}")
def read_symbolic_size(reader: Reader, found: re.Match[str]) -> bool:
    """`High-res: D1 x H/2 x W/2` on the way down, `Predictions: H x W` at its end."""
    if reader.topic != "pixels" or not reader.sheet.layers:
        return False
    channels, down, across = found.groups()
    if down != across:
        return False
    now = int(reader.values.get("factor", "1"))
    wanted = int(down or 1)
    size = f"[{_part('H', wanted)} x {_part('W', wanted)}" + (
        f" x {channels}]" if channels else "]"
    )
    if channels and not channels.isdigit():
        _param(reader, channels)
    layers = [f"conv({channels or 1}, {'3x3, half' if channels else '1x1'})"]
    if wanted > now:
        layers.append(_reduced(reader.values.get("down", "maxpool"), wanted // now, channels))
    elif wanted < now:
        layers.insert(0, _enlarged(reader.values.get("up", "unpool"), now // wanted, channels))
    reader.values["factor"] = str(wanted)
    reader.sheet.add(f"{' - '.join(layers)} => {size}", remark=found[0].strip())
    return True


def _part(letter: str, factor: int) -> str:
    return letter if factor == 1 else f"{letter}/{factor}"


def _reduced(word: str, factor: int, channels: str | None) -> str:
    if word == "conv":
        return f"conv({channels or 1}, {factor}x{factor}, stride={factor})"
    return f"{word} {factor}x{factor}/{factor}"


def _enlarged(word: str, factor: int, channels: str | None) -> str:
    if word == "upconv":
        return f"upconv({channels or 1}, {factor}x{factor}, stride={factor})"
    return f"{word} {factor}"
