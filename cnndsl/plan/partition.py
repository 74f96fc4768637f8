"""Which nodes are launched, when, and which values share memory from birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.op import Trait
from cnndsl.ops.structural import input_, parameter
from cnndsl.plan.storage import PLAIN, Storage
from cnndsl.support.diagnostics import VerifyError


@dataclass(frozen=True, slots=True)
class Partition:
    """The nodes that the roots of a graph need, sorted by when they run."""

    prepare: tuple[NodeId, ...]
    """Launched once a state: they depend on no input and on no parameter that a run updates."""
    run: tuple[NodeId, ...]
    """Launched at every run."""
    origin: Mapping[Value, Value]
    """Each needed value to the value whose memory it shows: itself unless it is a view."""


def partition(graph: Graph, storage: Storage = PLAIN) -> Partition:
    """Split the needed nodes of `graph` into what is prepared and what is run.

    Inputs, parameters, constants and views are launched never. Both parts are in program order.
    Raises `VerifyError` when a view does not have its operand's bytes.
    """
    needed = graph.ancestors(graph.roots())
    origin: dict[Value, Value] = {}
    changing: set[NodeId] = set()
    prepare: list[NodeId] = []
    run: list[NodeId] = []
    for node in graph.nodes():
        if node.id not in needed:
            continue
        if any(value.node in changing for value in node.operands) or (
            node.op is input_ or (node.op is parameter and node.id in graph.updates)
        ):
            changing.add(node.id)
        origin.update((value, value) for value in node.results)
        kinds = [graph.type_of(value) for value in node.operands]
        if kinds and storage.is_view(node, kinds[0]):
            if [node.type.nbytes] != [kind.nbytes for kind in kinds]:
                raise VerifyError(f"{node.id} ({node.op.name}) is no view: its bytes are others")
            origin[node.results[0]] = origin[node.operands[0]]
        elif Trait.STRUCTURAL not in node.op.traits:
            (run if node.id in changing else prepare).append(node.id)
    return Partition(tuple(prepare), tuple(run), origin)
