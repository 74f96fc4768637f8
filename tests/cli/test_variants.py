from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.runner import run, run_json

TINY = """param act in [tanh, relu] = tanh, c in 2..6 by 2
input [8x8x1]
conv c 3x3 stride 2 floor, act
fc 3
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("tiny.cnn").write_text(TINY)
    return "tiny.cnn"


def test_list(tiny: str, golden: Callable[[str], None]) -> None:
    result = run("variants", tiny)
    assert (result.code, result.err) == (0, "")
    golden(result.out)


def test_sizes(tiny: str, golden: Callable[[str], None]) -> None:
    golden(run("variants", tiny, "--sizes", "--limit", "4").out)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    path = tmp_path / "uneven.cnn"
    path.write_text("param s in [1, 2]\ninput [8x8x1]\nconv(2, 3x3, stride=s)\n")
    rows = run_json("variants", str(path), "--sizes")["variants"]
    assert [row["params"] for row in rows] == [20, None]
    assert rows[1]["problem"].startswith("E0301")


def test_the_slide_counts_and_lists(tiny: str) -> None:
    document = run_json("variants", "slide", "--limit", "3")
    assert document["count"] == 7650
    assert document["exact"] is True
    assert document["choices"] == {"N": "1..5", "M": "1..8", "K": "0..2"}
    assert len(document["variants"]) == 3
    assert document["variants"][0]["settings"] == {"N": "1", "M": "1", "K": "0", "POOL.1": "no"}


def test_many_are_counted_and_not_listed(tmp_path: Path) -> None:
    path = tmp_path / "many.cnn"
    path.write_text("input [8]\n(relu?)*70 - fc 2\n")
    result = run("variants", str(path))
    assert "about 1.18e+21 variants" in result.lines[0]
    assert len(result.lines) == 3
    assert run_json("variants", str(path), "--limit", "2")["count"] == 2**70


def test_variants_can_be_asked_for(tiny: str) -> None:
    for row in run_json("variants", "slide", "--limit", "5")["variants"]:
        chosen = [
            word for name, value in row["settings"].items() for word in ("-p", f"{name}={value}")
        ]
        assert run("check", "slide", *chosen).code == 0


def test_fixed_parameters(tiny: str) -> None:
    assert run_json("variants", tiny, "-p", "c=4")["count"] == 2
    result = run("variants", tiny, "-p", "d=4")
    assert (result.code, "E0502" in result.err) == (1, True)
