"""Why a loss is not a number: the first value of a step that is not finite."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.rules import Array, compute
from cnndsl.ops.structural import input_, parameter
from cnndsl.runtime.executable import Executable


def _role(node: Node[Attrs]) -> str:
    return {"parameter": "parameter", "input": "input"}.get(node.op.name, "result")


def first_not_finite(step: Executable, feeds: Mapping[str, Array]) -> str:
    """Say which layer's value is the first that is not finite when a step runs on `feeds`.

    The step's parameters are taken as they are. Gives the end of a sentence, which is empty if
    every value is finite.
    """
    graph = step.plan.graph
    state = step.read_state()
    values: dict[str, tuple[Array, ...]] = {}
    with np.errstate(all="ignore"):
        for node in graph.nodes():
            if node.op is input_:
                values[node.id] = (np.asarray(feeds[node.id]),)
            elif node.op is parameter:
                values[node.id] = (state[node.id],)
            else:
                read = (values[v.node][v.index] for v in node.operands)
                values[node.id] = compute(node, *read)
            for array in values[node.id]:
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    layer = node.origin.of or node.id
                    bad = int((~np.isfinite(array)).sum())
                    what = _role(node)
                    return (
                        f": the first value that is not finite is the {what}"
                        f" of {layer}, {bad} of {array.size} elements"
                    )
    return ""
