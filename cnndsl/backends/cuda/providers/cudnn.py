"""cuDNN 9 as a provider of convolutions, by nvidia-cudnn-frontend.

Which fused forms to ask for stands in a table (`cudnn_support.json`) that was made by asking the
library without a device; whether a plan is right is seen when it is measured. Nothing here was run
on a GPU yet: graphs are declared to the real library and planned by it, calls are held to a
stand-in that computes.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from cnndsl.backends.cuda.kernel import Key
from cnndsl.backends.cuda.providers.base import Offer, Rules, Way, fused_way, split_way
from cnndsl.backends.cuda.providers.cudnn_graph import (
    Elements,
    OperationGraph,
    declare,
    pack,
    plan,
)
from cnndsl.backends.cuda.providers.problem import (
    NOTHING,
    Convolution,
    Memory,
    can_follow,
    convolution_of,
)
from cnndsl.support.diagnostics import BackendError

MOST_PLANS = 8
"""Plans of one graph that are offered."""
TABLE = Path(__file__).parent / "cudnn_support.json"
INSTALL = "pip install 'cnndsl[cudnn]'"
VERSIONS = ((1, 22), (1, 29))
"""Of the frontend: from the first, before the second."""


def unavailable() -> str | None:
    """Say why cuDNN cannot be asked here, or nothing if it can."""
    if importlib.util.find_spec("cudnn") is None:
        return f"nvidia-cudnn-frontend is not installed; {INSTALL}"
    try:
        import cudnn

        cudnn.backend_version()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return f"cuDNN cannot be loaded: {first_line(error)}; {INSTALL}"
    found = tuple(int(part) for part in str(cudnn.__version__).split(".")[:2])
    if not VERSIONS[0] <= found < VERSIONS[1]:
        return f"nvidia-cudnn-frontend {cudnn.__version__} is not one of 1.22 to 1.28; {INSTALL}"
    return None


def first_line(error: BaseException) -> str:
    """Give the first line of an error's words, or its name where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@functools.cache
def supported_forms() -> Mapping[str, int]:
    """Read the table: a form's name to the number of plans that cuDNN listed for it."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name: int(row["listed"]) for name, row in table["forms"].items()}


TYPES = {"float": "FLOAT", "bf16": "BFLOAT16", "f16": "HALF"}
"""C++ types of elements in the library's words."""


def elements_of(memory: Memory) -> str:
    """Name the types of elements as the table does.

    >>> elements_of(Memory()), elements_of(Memory("bf16", "bf16")), elements_of(Memory("f16"))
    ('f32', 'bf16', 'f16 to f32')
    """
    names = [{"float": "f32"}.get(kind, kind) for kind in (memory.factors, memory.result)]
    return " to ".join(dict.fromkeys(names))


def form_of(conv: Convolution) -> str:
    """Name what the table is asked by."""
    tail = f"+{conv.tail.name}" if conv.tail.name else ""
    groups = "grouped " if conv.slide.groups > 1 else ""
    products = "rounded" if conv.rounded else "full"
    return f"{elements_of(conv.memory)} {products} {conv.layout} {groups}{conv.direction}{tail}"


class Cudnn:
    """The library on one device, with one handle; its calls come one at a time."""

    def __init__(self, cudnn: Any, handle: Any) -> None:
        """Use a module `cudnn` with a handle that it made."""
        self._cudnn = cudnn
        self._handle = handle
        self._stream: int | None = None
        self._lock = threading.Lock()

    @classmethod
    def here(cls) -> Cudnn:
        """Make one for the present device; raises `BackendError` with the library's words."""
        import cudnn

        try:
            return cls(cudnn, cudnn.create_handle())
        except RuntimeError as error:
            raise BackendError(f"cuDNN gives no handle: {first_line(error)}") from None

    @property
    def name(self) -> str:
        """Say which library."""
        return "cudnn"

    @property
    def version(self) -> str:
        """Give the versions of library and frontend."""
        return f"cudnn {self._cudnn.backend_version()}, frontend {self._cudnn.__version__}"

    def ways(self, key: Key, rules: Rules, wanted: str | None = None) -> Iterator[Way]:
        """Give the whole region where the table has its form, and the product with our tail."""
        conv = convolution_of(key, rounded=rules.rounded, half=rules.policy.half)
        if conv is None or not can_follow(key):
            return
        forms = [conv] if conv.tail == NOTHING else [conv, replace(conv, tail=NOTHING)]
        for form in forms:
            if not supported_forms().get(form_of(form), 0):
                continue
            found = self._ways(key, form, rules)
            if wanted is None:
                yield from itertools.islice(found, MOST_PLANS)
            else:
                yield from itertools.islice((way for way in found if way.name == wanted), 1)

    def _ways(self, key: Key, conv: Convolution, rules: Rules) -> Iterator[Way]:
        """Give a way for each plan that the library builds; it knows none where it refuses."""
        cudnn = self._cudnn
        refusals = (RuntimeError, ValueError, cudnn.cudnnGraphNotSupportedError)
        try:
            memory = conv.memory
            elements = Elements(TYPES[memory.factors], TYPES[memory.result])
            made = declare(cudnn, conv, elements=elements, handle=self._handle)
            plan(
                cudnn,
                made,
                rounded=rules.rounded,
                exact=rules.exact,
                most_workspace=rules.most_workspace,
            )
        except refusals:
            return
        # The fallback's plans come after the heuristic's, and may be among them.
        first = {label: index for index, label in reversed([*enumerate(made.plans)])}
        for label, index in sorted(first.items(), key=itemgetter(1)):
            try:
                made.graph.build_plan_at_index(index)
                workspace = int(made.graph.get_workspace_size_plan_at_index(index))
            except refusals:
                continue
            if workspace > rules.most_workspace:
                continue
            queued = _Queued(self, made, index, label)
            text = f"// {form_of(conv)}: {conv}"
            offer = Offer(label, queued, workspace, text, memory.result)
            if conv.tail == NOTHING:
                yield split_way(key, self.name, offer, rules.policy)
            else:
                yield fused_way(key, self.name, conv.tail, offer, rules.policy)

    def execute(
        self, made: OperationGraph, index: int, addresses: Sequence[int], stream: int | None
    ) -> None:
        """Queue a plan on a stream; the workspace is the address after the tensors'."""
        count = len(made.identifiers)
        workspace = addresses[count] if len(addresses) > count else 0
        with self._lock:
            if stream is not None and stream != self._stream:
                self._cudnn.set_stream(handle=self._handle, stream=stream)
                self._stream = stream
            tensors = pack(made, addresses[:count])
            made.graph.execute_plan_at_index(tensors, workspace, index, handle=self._handle)


@dataclass(frozen=True, slots=True)
class _Queued:
    """A plan that can be queued."""

    library: Cudnn
    made: OperationGraph
    index: int
    label: str

    def __call__(self, addresses: Sequence[int], stream: int | None) -> None:
        """Queue it; raises `BackendError` with the library's words."""
        try:
            self.library.execute(self.made, self.index, addresses, stream)
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"cuDNN fails at {self.label}: {first_line(error)}") from None
