from __future__ import annotations

from collections.abc import Callable

import pytest

import cnndsl.ops  # noqa: F401 - registers what graphs are made of
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import print_graph
from cnndsl.ir.verify import verify
from cnndsl.passes.pipelines import INFER, TRAIN
from tests.cli.runner import run, run_json

SMALL = ("--batch", "2")
NAMES = sorted({each.name for each in (*INFER, *TRAIN)})


def test_graph_as_it_is_lowered(golden: Callable[[str], None]) -> None:
    golden(run("ir", "lenet", "--after", "lower").out)


def test_graph_after_all_passes(golden: Callable[[str], None]) -> None:
    golden(run("ir", "lenet").out)


@pytest.mark.parametrize("options", [(), ("--train",), ("--dtype", "f64"), ("--origins",)])
def test_text_is_read_back_to_the_same_graph(options: tuple[str, ...]) -> None:
    result = run("ir", "lenet", *SMALL, *options)
    assert result.code == 0
    graph = parse_graph(result.out)
    verify(graph)
    plain = run("ir", "lenet", *SMALL, *(o for o in options if o != "--origins"))
    assert print_graph(graph) == plain.out


def test_every_pass_can_be_stopped_behind() -> None:
    found = [
        run_json("ir", "mlp", *SMALL, "--after", label)["passes"]
        for label in ("lower", "eliminate-dead-nodes", "decompose", "eliminate-dead-nodes#2")
    ]
    assert found[:3] == [[], ["eliminate-dead-nodes"], ["eliminate-dead-nodes", "decompose"]]
    assert len(found[3]) == len(INFER)


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_can_be_left_out(name: str) -> None:
    ran = run_json("ir", "mlp", *SMALL, "--without", name, *_where_it_runs(name))["passes"]
    assert ran
    assert name not in {label.partition("#")[0] for label in ran}


def _where_it_runs(name: str) -> tuple[str, ...]:
    return () if name in {each.name for each in INFER} else ("--train",)


def test_fusion_can_be_seen_and_left_out() -> None:
    assert "epilogue" in run("ir", "mlp", *SMALL).out
    assert "epilogue" not in run("ir", "mlp", *SMALL, "--without", "fuse-epilogue").out


def test_training_step_updates_every_parameter() -> None:
    document = run_json("ir", "lenet", *SMALL, "--train")
    trained = {name for name in document["updates"] if not name.startswith("optimizer.")}
    assert trained == {
        f"{layer}.{kind}" for layer in ("C1", "C3", "C5", "F6", "fc3")
        for kind in ("weight", "bias")
    }  # fmt: skip
    assert document["outputs"]["loss"] == "%loss"


def test_unknown_pass_lists_the_known_ones() -> None:
    result = run("ir", "lenet", "--after", "fuse-epilog")
    assert result.code == 2
    assert "did you mean fuse-epilogue?" in result.err
    assert "eliminate-dead-nodes#2" in result.err
    assert run("ir", "lenet", "--without", "magic").code == 2


def test_dot() -> None:
    result = run("ir", "mlp", *SMALL, "--dot")
    assert result.out.startswith('digraph "mlp" {')
    assert run_json("ir", "mlp", *SMALL, "--dot")["dot"] == result.out


def test_json_knows_where_nodes_come_from() -> None:
    nodes = {node["id"]: node for node in run_json("ir", "lenet", *SMALL)["nodes"]}
    assert (nodes["S2"]["file"], nodes["S2"]["line"], nodes["S2"]["of"]) == ("lenet.cnn", 10, "S2")
