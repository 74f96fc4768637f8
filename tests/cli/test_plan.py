from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.runner import run, run_json

RESNET = Path(__file__).parents[1] / "frontend" / "programs" / "resnet.cnn"


def test_table_and_chart(golden: Callable[[str], None]) -> None:
    result = run("plan", "lenet")
    assert (result.code, result.err) == (0, "")
    golden(result.out)


@pytest.mark.parametrize("options", [(), ("--train",), ("--dtype", "f64")])
def test_fits_eighty_columns(options: tuple[str, ...]) -> None:
    assert max(map(len, run("plan", "lenet", "--batch", "4", *options).lines)) <= 80


def test_deep_networks_fit_too() -> None:
    result = run("plan", str(RESNET), "-p", "depth=18", "--batch", "1")
    assert result.code == 0
    assert max(map(len, result.lines)) <= 80


def test_json_is_a_plan_that_could_be_run() -> None:
    document = run_json("plan", "lenet", "--batch", "2")
    assert document["without_sharing"] >= document["arenas"]["workspace"]
    assert document["arenas"]["workspace"] >= document["lower_bound"]
    for step in document["steps"]:
        first, last = step["live"]
        assert first == step["step"] <= last
        for slot in (*step["reads"], *step["writes"]):
            assert 0 <= slot["offset"] <= document["arenas"][slot["arena"]]


def test_batch_scales_the_workspace_not_the_state() -> None:
    one, two = (run_json("plan", "lenet", "--batch", n)["arenas"] for n in ("16", "32"))
    assert one["state"] == two["state"]
    assert one["workspace"] * 2 == two["workspace"]


def test_the_algorithms_of_convolutions_are_shown() -> None:
    document = run_json("plan", str(RESNET), "-p", "depth=18", "--batch", "1")
    chosen = {step["op"]: set[str]() for step in document["steps"]}
    for step in document["steps"]:
        if step["algorithm"] is not None:
            chosen[step["op"]].add(step["algorithm"].partition(",")[0])
    assert {op for op, names in chosen.items() if names} == {"conv2d"}
    assert chosen["conv2d"] <= {"direct", "winograd2", "winograd4"}
    plain = run_json("plan", "lenet", "--device", "reference")
    assert {step["algorithm"] for step in plain["steps"]} == {None}


@pytest.mark.parametrize("options", [(), ("--train",)])
def test_exact_forbids_winograd(options: tuple[str, ...]) -> None:
    def chosen(precision: str) -> set[str]:
        words = ("-p", "depth=18", "--batch", "4", "--precision", precision, *options)
        steps = run_json("plan", str(RESNET), *words)["steps"]
        found = [step["algorithm"] for step in steps if step["algorithm"] is not None]
        return {part.partition(",")[0] for text in found for part in text.split("; ")}

    assert any(name.startswith("winograd") for name in chosen("fast"))
    exact = chosen("exact")
    assert exact
    assert not any("winograd" in name for name in exact)


def test_unknown_device() -> None:
    result = run("plan", "lenet", "--device", "referense")
    assert (result.code, "did you mean reference?" in result.err) == (1, True)
