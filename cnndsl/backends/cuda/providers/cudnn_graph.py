"""A convolution as an operation graph of cuDNN, by the API of nvidia-cudnn-frontend 1.22 to 1.28.

https://docs.nvidia.com/deeplearning/cudnn/frontend/latest/: a graph is told tensors (dimensions,
strides, element types) and operations, and asks the library for plans, best first by its heuristic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cnndsl.backends.cuda.providers.problem import Convolution, strides_of
from cnndsl.ir.types import Shape

X, WEIGHT, BIAS, OTHER, RESULT = 1, 2, 3, 4, 5
"""Identifiers of the tensors: the first two operands, those of the tail, and the result."""


@dataclass(frozen=True, slots=True)
class Elements:
    """Types of the elements, by the names of `cudnn.data_type`."""

    memory: str = "FLOAT"
    """Of arrays."""
    result: str = "FLOAT"
    """Of the result."""
    bias: str = "FLOAT"
    """Of the bias."""
    sums: str = "FLOAT"
    """Of what is computed."""


FLOATS = Elements()


@dataclass(frozen=True, slots=True)
class OperationGraph:
    """A graph and its tensors."""

    graph: Any
    """`cudnn.pygraph`."""
    identifiers: tuple[int, ...]
    """Of the tensors in the order of a step's operands, then the result's."""
    plans: list[str] = field(default_factory=list)
    """Names of the plans, the heuristic's best first."""


def declare(
    cudnn: object, conv: Convolution, *, elements: Elements = FLOATS, **given: object
) -> OperationGraph:
    """Tell cuDNN's graph what is computed; `given` says for which device, or with which handle.

    Raises what the library raises.
    """
    library: Any = cudnn
    kinds = library.data_type
    memory, sums = getattr(kinds, elements.memory), getattr(kinds, elements.sums)
    graph = library.pygraph(
        io_data_type=memory, intermediate_data_type=sums, compute_data_type=sums, **given
    )

    def _tensor(shape: Shape, identifier: int) -> Any:
        kind = getattr(kinds, elements.bias) if identifier == BIAS else memory
        steps = list(strides_of(shape, conv.layout))
        made = graph.tensor(dim=list(shape), stride=steps, data_type=kind)
        made.set_uid(identifier)
        return made

    (top, bottom), (left, right) = conv.slide.padding
    slide = {
        "pre_padding": [top, left],
        "post_padding": [bottom, right],
        "stride": list(conv.slide.strides),
        "dilation": list(conv.slide.dilations),
    }
    identifiers = [X, WEIGHT]
    match conv.direction:
        case "forward":
            found = graph.conv_fprop(
                image=_tensor(conv.image, X), weight=_tensor(conv.weight, WEIGHT), **slide
            )
            found = _finish(graph, conv, found, _tensor, identifiers)
            shape = conv.result
        case "grad_input":
            found = graph.conv_dgrad(
                loss=_tensor(conv.result, X), filter=_tensor(conv.weight, WEIGHT), **slide
            )
            shape = conv.image
        case "grad_weight":
            found = graph.conv_wgrad(
                image=_tensor(conv.image, X), loss=_tensor(conv.result, WEIGHT), **slide
            )
            shape = conv.weight
    found.set_output(True).set_data_type(getattr(kinds, elements.result))
    found.set_dim(list(shape)).set_stride(list(strides_of(shape, conv.layout))).set_uid(RESULT)
    return OperationGraph(graph, (*identifiers, RESULT))


def _finish(graph: Any, conv: Convolution, found: Any, tensor: Any, identifiers: list[int]) -> Any:
    """Add bias, addition and ReLU."""
    channels = conv.result[1]
    if conv.tail.bias:
        found = graph.bias(input=found, bias=tensor((1, channels, 1, 1), BIAS))
        identifiers.append(BIAS)
    if conv.tail.add:
        found = graph.add(a=found, b=tensor(conv.result, OTHER))
        identifiers.append(OTHER)
    return graph.relu(input=found) if conv.tail.relu else found


def plan(
    cudnn: object, made: OperationGraph, *, rounded: bool, exact: bool, most_workspace: int
) -> None:
    """Ask for plans, and leave those out that round factors, add in any order, or take too much.

    `exact` also forbids those that transform their factors. Raises what the library raises where
    it knows no plan.
    """
    library: Any = cudnn
    graph, notes = made.graph, library.numerical_note
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([library.heur_mode.A, library.heur_mode.FALLBACK])
    barred = [notes.NONDETERMINISTIC]
    if not rounded:
        barred += [notes.TENSOR_CORE, notes.DOWN_CONVERT_INPUTS, notes.REDUCED_PRECISION_REDUCTION]
    if exact:
        barred += [notes.WINOGRAD, notes.FFT]
    graph.deselect_numeric_notes(barred)
    graph.deselect_workspace_greater_than(most_workspace)
    graph.check_support()
    count = graph.get_execution_plan_count()
    made.plans[:] = [graph.get_plan_name_at_index(index) for index in range(count)]


def pack(made: OperationGraph, addresses: Sequence[int]) -> dict[int, int]:
    """Give the tensors' addresses by their identifiers."""
    return dict(zip(made.identifiers, addresses, strict=True))
