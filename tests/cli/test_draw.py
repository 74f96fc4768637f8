from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.runner import run, run_json


def test_svg_on_stdout() -> None:
    result = run("draw", "lenet")
    assert result.code == 0
    assert result.out.startswith("<svg ")
    assert ">conv 6 5x5<" in result.out


@pytest.mark.parametrize(
    ("ending", "begins"),
    [("svg", "<svg "), ("dot", "digraph"), ("gv", "digraph"), ("mmd", "flowchart")],
)
def test_the_ending_says_the_format(tmp_path: Path, ending: str, begins: str) -> None:
    path = tmp_path / f"net.{ending}"
    result = run("draw", "lenet", "-o", str(path))
    assert (result.code, result.out) == (0, "")
    assert path.read_text().startswith(begins)


def test_unknown_ending(tmp_path: Path) -> None:
    result = run("draw", "lenet", "-o", str(tmp_path / "net.jpg"))
    assert result.code == 2
    assert ".svg" in result.err
    assert run("draw", "lenet", "-o", str(tmp_path / "net.jpg"), "--format", "dot").code == 0


def test_png_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    path = tmp_path / "net.png"
    result = run("draw", "lenet", "-o", str(path))
    assert result.code == 4
    assert "cnndsl[draw]" in result.err
    assert not path.exists()


def test_styles_and_depth() -> None:
    assert run("draw", "lenet", "--style", "blocks").out != run("draw", "lenet").out
    program = str(Path(__file__).parents[1] / "frontend" / "programs" / "resnet.cnn")
    closed = run_json("draw", program, "--depth", "0")
    assert ["bottleneck(256)"] in [box["words"] for box in closed["boxes"]]
    assert [box["copies"] for box in closed["boxes"] if box["copies"] > 1] == [2, 3, 5, 2]
    assert sum(box["params"] for box in closed["boxes"]) == 25_557_032


def test_json(tmp_path: Path) -> None:
    document = run_json("draw", "lenet")
    assert document["format"] == "svg"
    assert document["file"] is None
    assert document["text"].startswith("<svg ")
    path = tmp_path / "lenet.dot"
    document = run_json("draw", "lenet", "-o", str(path))
    assert (document["format"], document["file"], document["text"]) == ("dot", str(path), None)
    assert path.exists()
