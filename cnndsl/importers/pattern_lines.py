"""Patterns, defaults, lists of layers and stacks of a figure."""

from __future__ import annotations

import re

from cnndsl.importers.rules import DIMS, Reader, join, rule

WORDS = {"pooling": "maxpool", "subsampling (pooling)": "maxpool", "conv": "conv"}

join(r"Only 3x3 CONV stride \d+, pad \d+ and 2x2 MAX POOL stride \d+")


@rule(r".*?(?:architecture is )?(\[[^\]]*\b(?:CONV|POOL)\b[^=]*)", case=True)
def read_pattern(reader: Reader, found: re.Match[str]) -> bool:
    """`[(CONV-RELU) * N - POOL?] * M - (FC-RELU) * K, SOFTMAX`, also within a sentence."""
    text = found[1].strip()
    if not re.fullmatch(r"[A-Z\[\]()*?, \d^-]+", text):
        return False
    reader.layer(text)
    return True


@rule(r"where (.*\b[NMK]\b.*)")
def read_where(reader: Reader, found: re.Match[str]) -> bool:
    """`where N is usually up to ~5, M is large, 0 <= K <= 2.`."""
    last = reader.sheet.last
    if last is None:
        return False
    said = []
    for part in found[1].rstrip(".").split(","):
        upto = re.fullmatch(r"\s*([NMK]) is usually up to ~?(\d+)\s*", part)
        bounds = re.fullmatch(r"\s*(\d+ <= [NMK] <= \d+)\s*", part)
        if upto:
            said.append(f"{upto[1]} in 1..{upto[2]}")
        elif bounds:
            said.append(bounds[1])
    if said:
        last.words += f" where {', '.join(said)}"
    return bool(said)


@rule(rf"(conv) filters were ({DIMS}), applied at stride (\d+)")
@rule(rf"(subsampling \(pooling\)) layers were ({DIMS}) applied at stride (\d+)")
def read_default(reader: Reader, found: re.Match[str]) -> bool:
    """`Conv filters were 5x5, applied at stride 1`: for every conv of the page."""
    kind = WORDS[found[1].casefold()]
    reader.sheet.head.append(f"default {kind}: {found[2]} stride {found[3]}")
    return True


@rule(rf"only ({DIMS}) CONV stride (\d+), pad (\d+)(?: and ({DIMS}) MAX POOL stride (\d+))?")
def read_only(reader: Reader, found: re.Match[str]) -> bool:
    """`Only 3x3 CONV stride 1, pad 1 and 2x2 MAX POOL stride 2`."""
    window, stride, pad, pool, pool_stride = found.groups()
    reader.sheet.head.append(f"default conv: {window} stride {stride}, pad {pad}")
    if pool:
        reader.sheet.head.append(f"default maxpool: {pool} stride {pool_stride}")
    return True


@rule(r"([A-Za-z-]+) layer(?: \((?:such as )?([\w, ]+?)(?:,? etc\.)?\))?")
def read_kind(reader: Reader, found: re.Match[str]) -> bool:
    """`Pooling Layer (such as Max Pooling, Average Pooling, etc.)`: the first that is named."""
    kind, examples = found[1].casefold(), [e.strip() for e in (found[2] or "").split(",")]
    if kind == "input":
        reader.layer("id") if reader.options.input else reader.input("32x32x3")
        return True
    words = {"convolutional": "conv", "fully-connected": "fc"}.get(kind, examples[0])
    if not words:
        return False
    others = f"or {', '.join(examples[1:])}" if examples[1:] else ""
    reader.layer(words, remark=others)
    for other in examples[1:]:
        reader.values[f"kind {other}"] = other
    return True


# ---------------------------------------------------------------- expressions

join(r'(?<=\n)[a-z] = [a-z] [*+] [a-z] where, " [a-z] = [^"]+" and " [a-z] = [^"]+"')


@rule(r'([a-z]) = ([a-z] [*+] [a-z]) where, " ([a-z]) = ([^"]+?) " and " ([a-z]) = ([^"]+?) "')
def read_assignments(reader: Reader, found: re.Match[str]) -> bool:
    """`e = c * d where, "c = a + b" and "d = b + 1"`: names that build on one another."""
    name, formula, *rest = found.groups()
    pairs = [(rest[0], rest[1]), (rest[2], rest[3]), (name, formula)]
    used = {letter for _, text in pairs for letter in re.findall(r"[a-z]", text)}
    for at, free in enumerate(sorted(used - {made for made, _ in pairs}), 2):
        reader.sheet.head.append(f"param {free} = {at}")
    reader.sheet.head += [f"let {made} = {text}" for made, text in pairs]
    reader.values["result"] = name
    return True


@rule(r"so, ([a-z]) = ([a-z\d()+*/ -]+)")
def read_expanded(reader: Reader, found: re.Match[str]) -> bool:
    """`So, e = (a+b)*(b+1)`."""
    if reader.values.get("result") != found[1]:
        return False
    reader.sheet.claim(f"{found[1]} == {found[2]}")
    return True


# ---------------------------------------------------------------- stacks: the input stands last

STACKED = re.compile(
    r"(?P<dense>(?:Dense|FC)\s?\(?(?P<n>\d+)\)?)|(?P<gauss>Gauss\s?\((?P<g>\d+)\))"
    r"|(?P<conv>(?P<f>\d+x\d+) Conv \((?P<c>\d+)\))|(?P<avg>Average Pooling)|(?P<pool>Pool\b)"
    r"|(?P<softmax>Softmax)|(?P<image>image \((?P<size>\d+x\d+)\))|(?P<input>Input\b)",
    re.IGNORECASE,
)
"""A part of a figure's stack of layers."""

join(r"(?:softmax )?(?:FC \d+ |Pool )+input \w+")
join(r"(?:\w+ )?Gauss \(\d+\) .* image \(\d+x\d+\)")
join(r"(?:FC \d+ ){2,}\w+\d+")


@rule(r"(.*\b(?:FC|Dense|Pool|Gauss)\b.*)")
def read_stack(reader: Reader, found: re.Match[str]) -> bool:
    """`Softmax FC 1000 FC 4096 Pool .. Input AlexNet`: a figure's stack, read from its foot."""
    parts = list(STACKED.finditer(found[1]))
    rest = STACKED.sub(" ", found[1]).split()
    if len(parts) < 2 or len(rest) > 1:
        return False
    reader.turn()
    if rest:
        reader.sheet.head.append(f"# {rest[0]}")
    for part in reversed(parts):
        match part.lastgroup:
            case "size" | "image":
                reader.input(part["size"])
            case "input":
                reader.input(reader.options.input or "224x224x3")
            case _:
                reader.layer(_stacked(part))
    return True


def _stacked(part: re.Match[str]) -> str:
    if part["conv"]:
        return f"conv {part['c']} {part['f']}"
    if part["dense"]:
        return f"fc {part['n']}"
    if part["gauss"]:
        return f"rbf {part['g']}"
    if part["avg"]:
        return "avgpool"
    return "softmax" if part["softmax"] else "maxpool"


# ---------------------------------------------------------------- rows of names


@rule(r"\|((?: *(?:(?:conv|pool|fc) ?[\d_]+|\w+ities) *\|?)+)")
def read_names(reader: Reader, found: re.Match[str]) -> bool:
    """`| conv 1_1 conv 1_2 .. | .. pool 4 | .. fc 6 .. probabilities |`, names with an index."""
    seen: set[str] = set()
    for name in re.findall(r"(?:conv|pool|fc) [\d_]+|\w+ities", found[1]):
        word, _, index = name.partition(" ")
        label = f"{word}{index}"
        if label in seen:
            reader.sheet.note(f"{name} stands here twice")
            continue
        seen.add(label)
        reader.layer("softmax" if not index else {"pool": "maxpool"}.get(word, word), label=label)
    return True
