from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from cnndsl.autodiff import check_gradient
from cnndsl.autodiff.check_gradient import GradientReport, Kink
from cnndsl.ir.graph import NodeId, Value
from tests.cli.runner import run, run_json

SMALL = "input [6x6x2]\nconv 3 3x3 -> bn -> tanh -> dropout 0.4 -> fc 4 -> softmax\n"


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A program with a layer that normalises and one that draws."""
    path = tmp_path / "small.cnn"
    path.write_text(SMALL)
    return str(path)


def test_gradients_are_right(small: str) -> None:
    document = run_json("gradcheck", small, "--samples", "5")
    assert document["ok"] is True
    assert document["worst"] < 1e-7
    names = [row["name"] for row in document["parameters"]]
    assert names == [
        "conv1.bias",
        "conv1.weight",
        "bn1.scale",
        "bn1.shift",
        "fc1.bias",
        "fc1.weight",
    ]
    assert document["checked"] == 3 + 5 + 3 + 3 + 4 + 5
    result = run("gradcheck", small, "--samples", "5")
    assert (result.code, result.err) == (0, "")
    assert "23 numbers compared, largest relative error" in result.out


def test_other_seeds_check_other_numbers(small: str) -> None:
    found = [run_json("gradcheck", small, "--seed", seed)["parameters"] for seed in ("1", "2", "1")]
    assert found[0] == found[2] != found[1]


def report(error: float, *kinks: Kink) -> mock.Mock:
    value = Value(NodeId("conv1.bias"))
    return mock.Mock(return_value=GradientReport({value: error}, kinks, checked=5))


def kink(gradient: float) -> Kink:
    return Kink(Value(NodeId("conv1.bias")), (1,), left=0.0, right=1.0, gradient=gradient)


def test_a_wrong_gradient_is_found(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_gradient, "check_gradient", report(2e-6))
    result = run("gradcheck", small)
    assert result.code == 7
    assert "the gradient is wrong: the bound is 1e-06" in result.out
    assert run_json("gradcheck", small)["ok"] is False


@pytest.mark.parametrize(("gradient", "code"), [(0.5, 0), (2.0, 7)])
def test_kinks_are_counted(
    gradient: float, code: int, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_gradient, "check_gradient", report(1e-9, kink(gradient)))
    result = run("gradcheck", small)
    assert result.code == code
    assert "1 more lie where the loss bends" in result.out
