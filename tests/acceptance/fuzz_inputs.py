"""Inputs that nobody would write: bytes, damaged programs, and sentences of the grammar.

Input number i of a seed is always the same text, so that a finding can be looked at again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from random import Random

from cnndsl.frontend import tables
from cnndsl.support.resources import resource_dir
from tests.frontend.programs import EXAMPLES
from tests.zoo.networks import SMALL

SIGNS = (
    "-", "->", "–", "→", ",", "|", "(", ")", "[", "]", "{", "}", ":", ";", "?", "=", "==", "=>",
    "*", "*3", "*N", "×", "/", "%", "^", "+", "..", ".", "#", "//", '"', "\n", "\t", "\r\n", "\\",
    "@", "~=", "<=", "\u202e", "\ufeff", "\u00a0", "\0", "é", "\u4e00", "\U0001f600",
)  # fmt: skip
WORDS = (
    "conv", "fc", "relu", "maxpool", "softmax", "input", "output", "from", "as", "if", "else",
    "repeat", "block", "net", "let", "param", "import", "assert", "where", "train", "data", "id",
    "concat", "add", "replace", "load", "freeze", "until", "default", "counting", "minimize",
    "update", "half", "same", "floor", "ceil", "pad", "stride", "groups", "in", "by", "not", "and",
    "or", "true", "false", "x", "n", "N", "K", "C1", "shape.c", "params", "gap", "bn", "lrn",
    "dropout", "conv3-64", "FC-4096", "upconv", "lstm", "depthwise", "reshape", "flatten",
    "unpool", "upsample", "rnn", "gru", "all", "tanh", "peephole", "nails", "extra", "p1",
    "optimizer:", "schedule:", "sgd(lr=0.1)", "cosine", "augment:", "init:", "metrics:",
)  # fmt: skip
VALUES = (
    "0", "1", "2", "3", "64", "1000", "999999999999999999", "1234567890123456789", "1e308", "1e-9",
    "0.5", "40%", "35K", "93MB", "1x1", "3x3", "7x7/2", "0x0", "3x3/0", "227x227x3", "?x28",
    "99999x99999", "[8]", "[8x8x3]", "[H x W x 3]", "[?]", "[0x0x0]", '"a.cnn"', '"../x"', '""',
    "1..5", "5..1", "2^62", "(1/0)", "(n - 1)", "[1, 2][7]", "[a: 1][b]", "-1", "1,728",
)  # fmt: skip
SNIPPETS = (*SIGNS, *WORDS, *VALUES)

TERMINALS: dict[str, Sequence[str]] = {
    "NAME": (*WORDS, "a", "b", "unit", "soft-max"),
    "NUMBER": ("0", "1", "2", "3", "8", "10", "0.5", "7M"),
    "SIZED": ("conv3-8", "FC-10", "a-1"), "DIMS": ("3x3", "2x2/2", "8x8x3", "?x2", "0x3"),
    "STRING": ('"a.cnn"', '""', '"w.npz"'), "REMARK": ("(class scores)",), "THOUSANDS": ("1,728",),
    "ARROW": ("->",), "FAT": ("=>",), "DASH": ("-", " - ", "–"), "STAR": ("*", "×"), "TO": ("..",),
    "CMP": ("==", "<", "~=", ">="), "X": (" x ",), "_NL": ("\n",), "PLUS": ("+",), "SLASH": ("/",),
    "PERCENT": ("%",),
}  # fmt: skip
"""What stands for a terminal that is no fixed text."""


@cache
def seeds() -> tuple[str, ...]:
    """Give the programs that are damaged: the zoo, the examples, small and wrong programs."""
    errors = EXAMPLES[0].parents[1] / "errors"
    paths = [*sorted(resource_dir("zoo").glob("*.cnn")), *EXAMPLES, *sorted(errors.glob("*.cnn"))]
    return (*(path.read_text("utf-8") for path in paths), *SMALL.values())


@cache
def _rules() -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """Give the expansions of every symbol, shortest first, and the text of fixed terminals."""
    parser = tables.build()
    rules = defaultdict(list)
    for rule in parser.rules:
        rules[str(rule.origin.name)].append([str(s.name) for s in rule.expansion])
    fixed = {str(t.name): str(t.pattern.value) for t in parser.terminals}
    for expansions in rules.values():
        expansions.sort(key=len)
    return dict(rules), fixed


@cache
def _heights() -> dict[str, int]:
    """Give how deep the shallowest derivation of every symbol is."""
    rules, _ = _rules()
    heights: dict[str, int] = {}
    while len(heights) < len(rules):
        for name, expansions in rules.items():
            known = [
                1 + max((heights.get(s, 0) for s in e), default=0)
                for e in expansions
                if all(s not in rules or s in heights for s in e)
            ]
            if known and name not in heights:
                heights[name] = min(known)
    return heights


def sentence(random: Random, depth: int = 40) -> str:
    """Derive a program from the grammar."""
    rules, fixed = _rules()
    heights = _heights()
    made: list[str] = []
    waiting = [("start", depth)]
    while waiting and len(made) < 400:
        name, left = waiting.pop()
        if name not in rules:
            texts = TERMINALS.get(name)
            made.append(random.choice(texts) if texts else fixed[name])
            continue
        fitting = [e for e in rules[name] if max((heights.get(s, 0) for s in e), default=0) < left]
        expansion = random.choice(fitting or rules[name][:1])
        waiting.extend((symbol, left - 1) for symbol in reversed(expansion))
    start = random.choice(("", "input [8x8x3]\n", "input [32x32x3]\nlet n = 2\n"))
    return start + " ".join(made)


def mutated(random: Random) -> str:
    """Damage a program in one to eight places."""
    text = random.choice(seeds())
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        at = random.randrange(len(text) + 1)
        end = min(len(text), at + random.choice((0, 1, 1, 2, 5, 20, 80)))
        lines = text.split("\n")
        match random.randrange(8):
            case 0:
                text = text[:at] + text[end:]
            case 1 | 2:
                text = f"{text[:at]} {random.choice(SNIPPETS)} {text[end:]}"
            case 3:
                text = text[:at] + random.choice(SNIPPETS) + text[at:]
            case 4:
                random.shuffle(lines)
                text = "\n".join(lines)
            case 5:
                lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
                text = "\n".join(lines)
            case 6:
                other = random.choice(seeds()).split("\n")
                cut = random.randrange(len(lines) + 1)
                text = "\n".join(lines[:cut] + other[random.randrange(len(other)) :])
            case 7:
                text = text[:at] + text[at:end] * random.choice((2, 3, 20)) + text[end:]
    return text[:40_000]


def noise(random: Random) -> bytes:
    """Draw bytes: any, printable ones, or words and signs without sense."""
    length = random.choice((0, 1, 3, 10, 50, 200, 1000))
    match random.randrange(3):
        case 0:
            return random.randbytes(length)
        case 1:
            return bytes(random.choices(range(32, 127), k=length))
    texts = random.choices(SNIPPETS, k=length // 4)
    return random.choice((" ", "")).join(texts).encode()


def draw(seed: int, number: int) -> bytes:
    """Give input `number` of `seed`."""
    random = Random(f"{seed}:{number}")
    match number % 10:
        case 0 | 1:
            return noise(random)
        case 2 | 3 | 4:
            return sentence(random).encode()
    return mutated(random).encode()
