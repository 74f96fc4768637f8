"""What is said about mistakes that only Python can make, exactly; and that no code goes unsaid.

The texts lie beside those of the command line's mistakes, in golden/test_renderings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock
from urllib.error import URLError

import numpy as np
import pytest

import cnndsl
from cnndsl.data.download import RemoteFile, RemoteSet, fetch
from cnndsl.frontend.check import examine
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import mul
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.codes import CODES
from cnndsl.support.limits import Limits

TESTS = Path(__file__).parent
SHOWN = (TESTS / "frontend" / "errors", TESTS / "golden" / "test_renderings")
"""Where the exact texts lie; a test compares each with what is said."""

EXCEPTIONS: Mapping[str, str] = {}
"""Codes without an exact text, and why that cannot be."""

TEXT = "input [8x8x1]\nconv 4 3x3 same - relu\nflatten - fc 10 - softmax\n"


def model() -> cnndsl.Model:
    made = cnndsl.Model.from_text(TEXT, name="small")
    made.initialize()
    return made


def product() -> Executable:
    from cnndsl.backends.reference.backend import ReferenceBackend

    b = Builder(Graph("product"))
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    weight = b.emit(parameter, attrs=ParameterAttrs(f32(2, 3)), name="fc1.weight")
    b.graph.outputs["y"] = b.emit(mul, x, weight)
    return ReferenceBackend().compile(make_plan(b.graph))


def unreachable() -> object:
    remote = RemoteSet(
        ("https://data.example/mnist/", "https://mirror.example/mnist/"),
        (RemoteFile("a.gz", 1_648_877, "0" * 32, "5e" * 32),),
    )
    problem = URLError(OSError(-2, "Name or service not known"))
    with mock.patch("urllib.request.urlopen", side_effect=problem):
        return fetch("mnist", folder="data", remote=remote)


def feed_two_things() -> object:
    executable = product()
    executable.load_state({"fc1.weight": np.zeros((2, 3), np.float32)})
    return executable.run({"x": np.zeros((5, 3)), "y": np.zeros(2)})


MISTAKES: Mapping[str, Callable[[], object]] = {
    "E0609": lambda: examine("input [8]; relu", limits=Limits(seconds=0.0)),
    "E0650": lambda: parse_graph("graph g {\n  %x = input {type=f32[2]\n  %y = relu(%x)\n}\n"),
    "E0650-type": lambda: parse_graph("graph g {\n  %x = input {type=f33[2]}\n}\n"),
    "E0713": lambda: cnndsl.Model.from_text(TEXT, name="small").predict(np.zeros((8, 8, 1))),
    "E0816": unreachable,
    "E0821": lambda: model().evaluate(split="tests"),
    "E0910": lambda: model().predict(np.zeros((2, 9, 9, 1))),
    "E0910-feeds": feed_two_things,
    "E0911": lambda: product().load_state({"fc1.weights": np.zeros((3, 2), np.float32)}),
    "E0913": lambda: cnndsl.compile(TEXT, precision="exakt"),  # type: ignore[arg-type]
    "W0608": lambda: examine("input [20000]; fc 20000", limits=Limits(memory_bytes=1 << 30)),
}
"""By code, and a word where a code has several."""


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_said_in_python(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        said = str(MISTAKES[name]())
    except cnndsl.DiagnosticError as problem:
        said = str(problem)
    assert f"[{name[:5]}]" in said.split("\n")[0]
    golden(said)


def test_every_code_is_shown_by_an_exact_text() -> None:
    texts = [path.read_text("utf-8") for folder in SHOWN for path in folder.glob("*.txt")]
    heads = re.compile(r"^(?:error|warning|note)\[([ENW]\d{4})\]: ", re.MULTILINE)
    shown = {code for text in texts for code in heads.findall(text)}
    assert set(CODES) - shown == set(EXCEPTIONS)
    assert shown <= set(CODES)


def test_every_exact_text_is_compared_with_what_is_said() -> None:
    from tests.cli.scenes import SCENES

    names = {f"test_the_message-{name}" for name in SCENES}
    names |= {f"test_what_is_said_in_python-{name}" for name in MISTAKES}
    assert {path.stem for path in SHOWN[1].glob("*.txt")} == names
