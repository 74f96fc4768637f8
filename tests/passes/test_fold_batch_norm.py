"""Batch norms with hard numbers; the structure is tested by fold_batch_norm.ir."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import cnndsl.ops  # noqa: F401 - fills OPS
from cnndsl.ir.graph import Graph
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.types import DType
from cnndsl.ops.evaluate import evaluate
from cnndsl.passes.fold_batch_norm import FoldBatchNorm
from tests.strategies import feeds, in_precision

VARIANCES = (1e-6, 1e-2, 1.0, 1e4)
EPSILONS = (1e-3, 1e-5)
CHANNELS = "f32[6]"


def network(bias: str, groups: int, eps: float) -> Graph:
    shape = {"none": "", "tied": CHANNELS, "untied": "f32[6,3,2]"}[bias]
    declared = f"%b = parameter {{type={shape}}}" if shape else ""
    operand, flag = (", %b", "true") if shape else ("", "false")
    return parse_graph(
        f"""
        graph network {{
          %x = input {{type=f32[2,6,5,4]}}
          %weight = parameter {{type=f32[6,{6 // groups},3,3]}}
          {declared}
          %scale = parameter {{type={CHANNELS}}}
          %shift = parameter {{type={CHANNELS}}}
          %mean = parameter {{type={CHANNELS}}}
          %variance = parameter {{type={CHANNELS}}}
          %c = conv2d(%x, %weight{operand}) {{groups={groups}, has_bias={flag}}}
          %n = batch_norm(%c, %scale, %shift, %mean, %variance) {{eps={eps}}}
          output y = %n
        }}"""
    )


@pytest.mark.parametrize(("bias", "groups"), list(product(("none", "tied", "untied"), (1, 2, 6))))
@pytest.mark.parametrize(("variance", "eps"), list(product(VARIANCES, EPSILONS)))
def test_hard_statistics(bias: str, groups: int, variance: float, eps: float) -> None:
    graph = network(bias, groups, eps)
    folded = FoldBatchNorm()(graph)
    assert not any(node.op.name == "batch_norm" for node in folded.nodes())
    given = feeds(graph)
    given["variance"] = np.full(6, variance)
    given["scale"] = np.array([0.0, -1.5, 1e-4, 2.0, -0.5, 100.0])
    # How much larger than the result the numbers are that cancel in it.
    rate = float(np.abs(given["scale"]).max() / np.sqrt(variance + eps))
    for dtype, unit in ((DType.F32, 6e-8), (DType.F64, 1.2e-16)):
        expected = evaluate(in_precision(graph, dtype), given)["y"]
        found = evaluate(in_precision(folded, dtype), given)["y"]
        assert float(np.abs(expected - found).max()) <= 64 * unit * max(1.0, rate)
        zero = np.broadcast_to(given["shift"][0].astype(dtype.numpy), found[:, 0].shape)
        np.testing.assert_array_equal(found[:, 0], zero)


def test_new_statistics_need_no_new_compilation() -> None:
    graph = network("tied", 1, 1e-5)
    folded = FoldBatchNorm()(graph)
    for seed in range(3):
        given = feeds(graph, seed)
        expected = evaluate(graph, given, dtype=DType.F64)["y"]
        np.testing.assert_allclose(evaluate(folded, given, dtype=DType.F64)["y"], expected)
