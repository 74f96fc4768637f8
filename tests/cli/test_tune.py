"""`cnndsl tune`: what is measured is kept, used, shown and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.backends import load
from cnndsl.backends.base import Measurement
from cnndsl.backends.cpu import tuning
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.cli.ending import Exit
from cnndsl.ir.graph import NodeId
from tests.cli.runner import run, run_json

pytestmark = pytest.mark.skipif(
    load("cpu").unavailable() is not None, reason=str(load("cpu").unavailable())
)

PROGRAM = "input [14x14x8]\nconv 16 3x3 same, relu\nconv 16 3x3 same, relu\nfc 3 - softmax\n"
WORDS = ("--batch", "2")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tuning, "ENOUGH_SECONDS", 0.0)
    monkeypatch.setenv("CNNDSL_KERNELS", str(tmp_path / "kernels"))
    (tmp_path / "net.cnn").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "kernels"


def let_win(monkeypatch: pytest.MonkeyPatch, fastest: str) -> None:
    """Let measuring find one algorithm to be the fastest."""

    def measure(step: object, backend: object, names: tuple[str, ...], **_: object) -> object:
        return {name: 1.0 if name == fastest else 2.0 for name in names}

    monkeypatch.setattr(tuning, "measure", measure)


def algorithms(*words: str) -> list[tuple[str, bool]]:
    steps = run_json("plan", "net.cnn", *WORDS, *words)["steps"]
    chosen = [(str(s["algorithm"]).partition(",")[0], s["tuned"]) for s in steps if s["algorithm"]]
    return [each for each in chosen if each[0] != "None"]


def test_every_algorithm_of_every_shape_is_timed() -> None:
    document = run_json("tune", "net.cnn", *WORDS)
    assert [shape["op"] for shape in document["shapes"]] == ["conv2d", "conv2d"]
    for shape in document["shapes"]:
        assert set(shape["seconds"]) == {"direct", "winograd2", "winograd4"}
        assert all(seconds > 0 for seconds in shape["seconds"].values())
        assert shape["chosen"] in shape["seconds"]
    assert [name for name, _ in algorithms()] == [s["chosen"] for s in document["shapes"]]


@pytest.mark.parametrize("fastest", ["direct", "winograd2", "winograd4"])
def test_the_fastest_is_taken_from_then_on_and_shown(
    fastest: str, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    assert all(not tuned for _, tuned in algorithms())
    let_win(monkeypatch, fastest)
    shown = run("tune", "net.cnn", *WORDS)
    assert "2 shapes measured; " in shown.out
    assert max(map(len, shown.lines)) <= 80
    assert algorithms() == [(fastest, True)] * 2
    # The column is narrow, and the mark stands in the line below.
    assert run("plan", "net.cnn", *WORDS).out.count("(tuned)") == 2
    bench = run_json("bench", "net.cnn", *WORDS, "--rounds", "1")
    found = [s["algorithm"] for s in bench["steps"] if s["op"] == "conv2d"]
    assert [each.partition(",")[0] for each in found] == [fastest] * 2
    assert run_json("cache", "info")["choices"] == 2
    assert "2 choices of `cnndsl tune`" in run("cache", "info").out
    run("cache", "clear")
    assert run_json("cache", "info")["choices"] == 0
    assert all(not tuned for _, tuned in algorithms())


def test_exact_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    let_win(monkeypatch, "winograd4")
    run("tune", "net.cnn", *WORDS)
    assert algorithms("--precision", "exact") == [("direct", False)] * 2
    assert run_json("tune", "net.cnn", *WORDS, "--precision", "exact")["shapes"] == []


def test_what_is_measured_holds_for_its_batch_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    let_win(monkeypatch, "winograd2")
    run("tune", "net.cnn", *WORDS)
    assert all(not tuned for _, tuned in algorithms("--train"))
    monkeypatch.setenv("CNNDSL_THREADS", "1")
    other = run_json("plan", "net.cnn", "--batch", "3")["steps"]
    assert not any(step["tuned"] for step in other)


def test_training_has_choices_of_its_own() -> None:
    document = run_json("tune", "net.cnn", *WORDS, "--train")
    ops = {shape["op"] for shape in document["shapes"]}
    assert ops == {"conv2d", "conv2d_grad_input", "conv2d_grad_weight"}
    weights = next(s for s in document["shapes"] if s["op"] == "conv2d_grad_weight")
    assert set(weights["seconds"]) == {"outer", "dots", "winograd"}
    assert all(not tuned for _, tuned in algorithms())
    assert all(tuned for _, tuned in algorithms("--train"))


def test_damaged_choices_are_none(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    let_win(monkeypatch, "winograd2")
    run("tune", "net.cnn", *WORDS)
    for path in folder.glob("*.choice"):
        path.write_bytes(path.read_bytes()[:-3])
    assert all(not tuned for _, tuned in algorithms())


def test_where_nothing_can_be_kept_or_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("tune", "net.cnn", "--device", "reference")
    assert (result.code, "one algorithm for everything" in result.err) == (Exit.BACKEND, True)
    monkeypatch.setenv("CNNDSL_KERNELS", "off")
    result = run("tune", "net.cnn")
    assert (result.code, "CNNDSL_KERNELS is off" in result.err) == (Exit.BACKEND, True)


def test_what_was_refused_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"cudnn eng7": "it differs from our own kernel by 0.3 of the largest"}
    measured = [
        Measurement((NodeId(f"C{i}"),), "conv2d", "a shape", {"own": 1e-3}, "own", "own", refused)
        for i in (1, 2)
    ]
    monkeypatch.setattr(CpuBackend, "tune", lambda self, plan: iter(measured))
    shown = run("tune", "net.cnn", *WORDS).out
    assert shown.count("refused: cudnn eng7: it differs from our own kernel by 0.3") == 1
    shapes = run_json("tune", "net.cnn", *WORDS)["shapes"]
    assert [shape["refused"] for shape in shapes] == [refused, refused]
