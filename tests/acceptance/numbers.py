"""The numbers of the seeds: which program each is asked of, what is right, what the slide says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from cnndsl.frontend import ast
from cnndsl.frontend.check import examine
from cnndsl.frontend.figures import PLAIN, Counting, Verdict, figure_of
from cnndsl.frontend.parse import parse
from cnndsl.importers.keras import read_keras
from cnndsl.importers.slide import read_slide
from cnndsl.support.diagnostics import Severity
from cnndsl.support.limits import Limits
from tests.acceptance.material import FOLDER, blocks
from tests.acceptance.notations import (
    ALEXNET_224,
    ALEXNET_227,
    LENET,
    SINGLE_CONVOLUTIONS,
)

EXAMPLES = FOLDER.parent / "frontend" / "programs"
MANY = Limits(messages=10_000)
NOTHING = "input [1]\n"

TOWERS = """
net Towers {
  input [227x227x3]
  conv 96 11x11/4; maxpool 3x3/2; conv 256 5x5 pad 2 groups 2; maxpool 3x3/2
  conv 384 3x3 pad 1; conv 384 3x3 pad 1 groups 2; conv 256 3x3 pad 1 groups 2; maxpool 3x3/2
  fc 4096; fc 4096; fc 1000
}
"""

ALEXNET = """
input [227x227x3]
CONV1: conv 96 11x11/4; POOL1: maxpool 3x3/2; NORM1: lrn
CONV2: conv 256 5x5 pad 2; POOL2: maxpool 3x3/2; NORM2: lrn
CONV3: conv 384 3x3 pad 1; CONV4: conv 384 3x3 pad 1; CONV5: conv 256 3x3 pad 1
POOL3: maxpool 3x3/2; FC6: fc 4096; FC7: fc 4096; FC8: fc 1000
"""

VGG16 = """
input [224x224x3]
default conv: half
c11: conv 64 3x3; c12: conv 64 3x3; maxpool; c21: conv 128 3x3; c22: conv 128 3x3; maxpool
c31: conv 256 3x3; c32: conv 256 3x3; c33: conv 256 3x3; maxpool
c41: conv 512 3x3; c42: conv 512 3x3; c43: conv 512 3x3; maxpool
c51: conv 512 3x3; c52: conv 512 3x3; c53: conv 512 3x3; maxpool
fc6: fc 4096; fc7: fc 4096; fc8: fc 1000
"""

STEMS = """counting: with pools, without input
net Stem {
  input [224x224x3]
  default conv and maxpool: floor
  s1: conv 64 7x7/2 pad 3; s2: maxpool 3x3/2 pad 1; s3: conv 64 1x1; s4: conv 192 3x3 pad 1
  s5: maxpool 3x3/2 pad 1
}
net SixConvs {
  input [224x224x3]
  conv3-64; conv3-64; POOL; conv3-128; conv3-128; POOL; conv3-256; conv3-256
}
net VGG16 {
  input [224x224x3]
  conv3-64; conv3-64; POOL; conv3-128; conv3-128; POOL; conv3-256; conv3-256; conv3-256; POOL
}
"""

FILES = "".join(
    f'import "{name}.cnn" as {name}\n'
    for name in ("alexnet", "zfnet", "vgg", "googlenet", "alphago", "resnet")
)


@dataclass(frozen=True)
class Row:
    """One number."""

    id: str
    program: str
    asked: str
    right: str
    figure: str
    verdict: str

    @property
    def assertion(self) -> str:
        exact = re.fullmatch(r"[\dx]+", self.right) is not None
        return f"assert {self.asked} {'==' if exact else '~='} {self.right}"

    @property
    def claim(self) -> str:
        sign = "==" if "x" in self.figure else "~="
        return f"assert {self.asked} {sign} {self.figure}"


@cache
def rows() -> tuple[Row, ...]:
    """Read the table."""
    lines = (FOLDER / "numbers.txt").read_text("utf-8").splitlines()
    return tuple(Row(*line.split(" | ")) for line in lines if not line.startswith("#"))


def program(name: str) -> str:
    """Give the text of a program of the table: its name, a notation, or the program itself."""
    walk = read_slide(blocks()["N-35"].text).programs[0]
    inception = read_slide(blocks()["N-45"].text).programs[0]
    listing = blocks()["N-72"].text
    apart = listing.replace("Dense(64, activation='relu')", "Dense(64)").replace(
        "model.add(layers.Dense(10", "model.add(Activation('relu'))\nmodel.add(layers.Dense(10"
    )
    small = ALEXNET_224.replace("AlexNet", "Small")
    known = {
        "arithmetic": NOTHING,
        "networks": f"{ALEXNET_227}{small}{LENET}{TOWERS}{NOTHING}",
        "alexnet": ALEXNET,
        "vgg16": VGG16,
        "walk": re.sub(r"^assert.*\n", "", walk, flags=re.MULTILINE),
        "googlenet": re.sub(r"  depth:.*", "", inception),
        "stems": f"{STEMS}{NOTHING}",
        "single convolutions": f"{SINGLE_CONVOLUTIONS}{NOTHING}",
        "files": f"{FILES}{NOTHING}",
        "files and towers": f"{FILES}{TOWERS}{NOTHING}",
        "zfnet literal": read_slide(blocks()["N-24"].text, blocks()["N-29"].text).programs[0],
        "N-72": read_keras(listing),
        "keras with activation": read_keras(apart),
    }
    return known.get(name, f"{name}\n")


@cache
def failures(name: str) -> dict[str, str]:
    """Give what is said about each assertion of the table on one program, by its text."""
    asked = [row for row in rows() if row.program == name]
    texts = [text for row in asked for text in (row.assertion, row.claim if row.figure else "")]
    base = program(name)
    found = examine("\n".join([base.rstrip("\n"), *texts, ""]), limits=MANY, base_dir=EXAMPLES)
    first = base.rstrip("\n").count("\n") + 2
    said: dict[str, str] = {}
    for diagnostic in found.diagnostics:
        if diagnostic.severity is Severity.ERROR:
            assert diagnostic.span is not None
            at = diagnostic.span.line - first
            assert at >= 0, diagnostic
            said[texts[at]] = f"{diagnostic.message}: {diagnostic.label} {diagnostic.notes}"
    return said


def verdict_of(row: Row) -> Verdict:
    """Judge the slide's figure by the right value."""
    if "x" in row.right:
        return Verdict.EXACT if row.figure == row.right else Verdict.WRONG
    counting = Counting(kilo=1024, digits=True) if row.program == "googlenet" else PLAIN
    (statement,) = parse(f"assert 1 == {row.figure}").statements
    assert isinstance(statement, ast.Assert)
    assert isinstance(statement.test, ast.Compare)
    shown = statement.test.operands[1]
    assert isinstance(shown, ast.Number)
    return figure_of(shown, counting=counting).judge(float(row.right))
