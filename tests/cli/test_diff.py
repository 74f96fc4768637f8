from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.runner import run, run_json

PROGRAMS = Path(__file__).parents[1] / "frontend" / "programs"
ALEXNET, ZFNET, VGG = (str(PROGRAMS / f"{name}.cnn") for name in ("alexnet", "zfnet", "vgg"))


def test_zfnet_is_a_delta(golden: Callable[[str], None]) -> None:
    result = run("diff", ALEXNET, ZFNET)
    assert result.code == 0
    assert max(map(len, result.lines)) <= 80
    golden(result.out)


def test_the_same() -> None:
    result = run("diff", "lenet", "lenet")
    assert result.lines[0] == "the layers are the same"
    assert run_json("diff", "lenet", "lenet")["same"] is True


def test_members_of_a_family() -> None:
    document = run_json("diff", VGG, VGG, "-a", "v=A", "-b", "v=B")
    added = [row["b"]["words"] for row in document["rows"] if row["a"] is None]
    assert added == ["conv 64 3x3 half, relu", "conv 128 3x3 half, relu"]
    assert all(row["b"] is not None for row in document["rows"])
    assert document["totals"]["parameters"] == {"a": 132_863_336, "b": 133_047_848}
    changed = [row["a"]["name"] for row in document["rows"] if row["a"] and not row["alike"]]
    assert changed == []


def test_rows_are_aligned_by_words_then_kinds(tmp_path: Path) -> None:
    one, two = tmp_path / "one.cnn", tmp_path / "two.cnn"
    one.write_text("input [8x8x1]\nconv 4 3x3 half\nmaxpool 2x2\nfc 3\n")
    two.write_text("input [8x8x1]\nconv 5 3x3 half\nmaxpool 2x2\ntanh\nfc 3\n")
    rows = run_json("diff", str(one), str(two))["rows"]
    pairs = [((r["a"] or {}).get("words"), (r["b"] or {}).get("words")) for r in rows]
    assert pairs == [
        ("input [8x8x1]", "input [8x8x1]"),
        ("conv 4 3x3 half", "conv 5 3x3 half"),
        ("maxpool 2x2", "maxpool 2x2, tanh"),
        ("fc 3", "fc 3"),
    ]


@pytest.mark.parametrize(("form", "begins"), [("markdown", "|"), ("latex", r"\begin{tabular}")])
def test_documents(form: str, begins: str) -> None:
    assert run("diff", ALEXNET, ZFNET, "--format", form).out.startswith(begins)


def test_all_rows() -> None:
    short, long = run("diff", ALEXNET, ZFNET), run("diff", ALEXNET, ZFNET, "--all")
    assert "2 alike" in short.out
    assert "alike" not in long.out
