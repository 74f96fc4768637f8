from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.cli.bench import duration, random_inputs
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.structural import InputAttrs, input_
from tests.cli.runner import run, run_json

SMALL = "input [6x6x2]\nconv 3 3x3 -> bn -> relu -> fc 4 -> softmax\n"


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.cnn"
    path.write_text(SMALL)
    return str(path)


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("options", [(), ("--train",)], ids=["inference", "training"])
def test_every_step_is_timed(small: str, device: str, options: tuple[str, ...]) -> None:
    document = run_json(
        "bench", small, "--batch", "3", "--rounds", "2", "--device", device, *options
    )
    planned = run_json("plan", small, "--batch", "3", *options)
    steps = [step for step in planned["steps"] if step["phase"] == "run"]
    assert [step["node"] for step in document["steps"]] == [step["node"] for step in steps]
    assert all(step["seconds"] > 0 for step in document["steps"])
    seconds = document["seconds"]
    assert (document["batch"], seconds["rounds"]) == (3, 2)
    assert 0 < seconds["best"] <= seconds["median"]
    assert (document["ceiling"] is not None) == (device == "cpu")
    for step in document["steps"]:
        assert (step["reached"] is not None) == (device == "cpu")


def test_the_work_of_a_convolution_is_counted(small: str) -> None:
    document = run_json("bench", small, "--batch", "3", "--rounds", "1")
    convolution = next(step for step in document["steps"] if step["op"] == "conv2d")
    assert convolution["flops"] >= 2 * 3 * 4 * 4 * 3 * 2 * 9
    assert convolution["algorithm"]
    reached, limit = convolution["reached"], document["ceiling"]
    least = reached * convolution["seconds"]
    assert least >= convolution["flops"] / limit["flops_per_second"] * (1 - 1e-9)
    assert limit["roofline_seconds"] >= least


@pytest.mark.parametrize("options", [(), ("--by-op",)])
def test_the_table_fits_eighty_columns_and_ends_with_the_whole(
    small: str, options: tuple[str, ...]
) -> None:
    result = run("bench", small, "--batch", "1", "--rounds", "1", "--train", *options)
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.lines)) <= 80
    assert "GFLOP/s" in result.lines[0]
    assert "a run takes" in result.out
    assert "its roofline" in result.out


def test_without_a_ceiling_nothing_is_said_about_one(small: str) -> None:
    result = run("bench", small, "--batch", "1", "--rounds", "1", "--device", "reference")
    assert result.code == 0
    assert "roofline" not in result.out


def test_a_device_that_cannot_run_is_an_exit_code(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "llvmlite", None)
    result = run("bench", small, "--batch", "1", "--rounds", "1", "--device", "cpu")
    assert result.code == 4
    assert "the backend cpu cannot run here: llvmlite" in result.err
    assert "help: --device auto" in result.err
    assert run("bench", small, "--batch", "1", "--rounds", "1", "--device", "auto").code == 0


def test_what_is_fed() -> None:
    graph = Graph("net")
    b = Builder(graph)
    kinds = {
        "images": f32(2, 3),
        "rate": f32(),
        "step": TensorType(DType.I64, ()),
        "labels": TensorType(DType.I64, (2,)),
    }
    for name, kind in kinds.items():
        b.emit(input_, attrs=InputAttrs(kind), name=name)
    feeds = random_inputs(graph)
    assert {name: (a.shape, a.dtype) for name, a in feeds.items()} == {
        name: (kind.shape, kind.dtype.numpy) for name, kind in kinds.items()
    }
    assert 0 < feeds["rate"] < 0.01
    assert np.ptp(feeds["images"]) > 0


@given(st.floats(1e-9, 1e4))
def test_durations_are_read_back(seconds: float) -> None:
    number, unit = duration(seconds).split()
    size = {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=0.006, abs=6e-9)
