from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.backends import BACKENDS, load
from cnndsl.passes import pipelines
from tests.cli.runner import run, run_json
from tests.cli.test_comparison import Spoiled, put_tanh_for_relu
from tests.zoo.networks import LIGHT

READY = [name for name in BACKENDS if load(name).unavailable() is None]
"""The backends that can run here."""

SMALL = "input [6x6x2]\nconv 3 3x3 -> bn -> relu -> fc 4 -> softmax\n"


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.cnn"
    path.write_text(SMALL)
    return str(path)


def test_a_line_a_case(small: str) -> None:
    result = run("verify", small)
    assert (result.code, result.err) == (0, "")
    passes = {each.name for each in pipelines.INFER}
    cases, backends = 2 * len(passes) + 2, len(READY)
    assert len(result.lines) == 2 + backends * (1 + cases) + 2
    assert result.lines[-1] == f"{backends * cases} cases agree"
    for name in READY:
        assert f"backend {name}" in result.lines
    assert max(map(len, result.lines)) <= 80
    for name in passes:
        assert any(line.startswith(f"only {name} ") for line in result.lines)
        assert any(line.startswith(f"all but {name} ") for line in result.lines)


def test_training_too(small: str) -> None:
    document = run_json("verify", small, "--train", "--seed", "3")
    assert document["ok"] is True
    graphs = [case["graph"] for case in document["cases"]]
    assert {*graphs} == {"inference", "training"}
    assert {case["dtype"] for case in document["cases"]} == {"f32", "f64"}
    assert all(case["error"] <= case["bound"] for case in document["cases"])


def test_a_wrong_pass_is_told(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "INFER", (*pipelines.INFER[:1], Spoiled(put_tanh_for_relu)))
    result = run("verify", small)
    assert result.code == 7
    assert "DIFFERS; first at %relu1" in result.out
    assert result.lines[-1] == f"{3 * len(READY)} of {6 * len(READY)} cases differ"
    document = run_json("verify", small)
    wrong = {case["passes"] for case in document["cases"] if not case["ok"]}
    assert wrong == {"only spoiled", "all but eliminate-dead-nodes", "all passes"}


def test_backends_by_name(small: str) -> None:
    document = run_json("verify", small, "--backend", "reference")
    assert {case["backend"] for case in document["cases"]} == {"reference"}
    result = run("verify", small, "--backend", "abacus")
    assert (result.code, "E0912" in result.err) == (1, True)


@pytest.mark.parametrize("name", ["lenet", "mlp"])
def test_zoo_agrees(name: str) -> None:
    assert run_json("verify", name, "--batch", "1")["ok"] is True


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHT)
def test_zoo_agrees_in_training_too(name: str) -> None:
    assert run_json("verify", name, "--train")["ok"] is True
