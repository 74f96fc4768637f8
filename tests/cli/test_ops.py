from __future__ import annotations

from cnndsl.cli.ops import incomplete, matrix
from cnndsl.ir.op import OPS
from tests.cli.runner import run, run_json


def test_the_reference_serves_everything() -> None:
    rows = matrix()
    assert {row["name"] for row in rows} == set(OPS)
    assert [row["name"] for row in rows if incomplete(row)] == []
    assert run("ops", "--missing").out.splitlines()[-2].startswith("0 ops, 0 complete")


def test_text_and_json_agree() -> None:
    document = run_json("ops")
    lines = run("ops").lines
    for row, line in zip(document["ops"], lines[1:], strict=False):
        name, gradient, reference, *_ = line.split()
        assert name == row["name"]
        assert (gradient == "yes") == row["gradient"]
        assert (reference == "yes") == row["backends"]["reference"]
    assert f"{len(document['ops'])} ops" in lines[-2]


def test_a_lacking_gradient_is_lacking() -> None:
    row = {"gradient": False, "constant": False, "backends": {"reference": True}}
    assert incomplete(row)
    assert not incomplete({**row, "constant": True})
    assert incomplete({**row, "gradient": True, "backends": {"reference": False}})
