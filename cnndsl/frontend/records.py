"""A network while it is being built: layers with names that may still change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cnndsl.layers.base import Hwc, LayerKind, LayerSpec, ParameterSpec, show_size
from cnndsl.layers.network import Input, Layer, Network
from cnndsl.layers.weights import choose_inits
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.limits import DEADLINE, Limits
from cnndsl.support.source import Span


class TooLargeError(DiagnosticError):
    """The network has outgrown a limit; nothing more is elaborated."""


@dataclass(slots=True, eq=False)
class Record:
    """A layer that is being built."""

    name: str
    """Its name so far; a label that comes later may take it away."""
    labelled: bool
    """Whether the program gave the name."""
    spec: LayerSpec
    """Kind and settings."""
    inputs: tuple[Source, ...]
    """What it reads."""
    sizes: tuple[Hwc, ...]
    """Their sizes."""
    size: Hwc
    """The size of its result."""
    parameters: tuple[ParameterSpec, ...]
    """Its arrays."""
    owner: Record | None
    """The layer whose arrays it uses, if not its own."""
    implicit: bool
    """Whether another layer's words brought it."""
    path: tuple[str, ...]
    """The block instances around it."""
    turns: tuple[tuple[str, str], ...]
    """The variables of the loops around it, written out."""
    span: Span
    """Where it stands."""
    trainable: bool = True
    """Whether training moves its arrays."""
    instances: tuple[int, ...] = ()
    """A number for each of `path`: which use of a block it is."""

    @property
    def formula(self) -> str:
        """The size formula that ran."""
        return self.spec.kind.formula(self.spec, self.sizes)


@dataclass(slots=True, eq=False)
class Entry:
    """An input that is being built."""

    name: str
    """What a run is fed under."""
    size: Hwc
    """Its size."""
    span: Span
    """Where it is declared."""
    label: str = "INPUT"
    """The word it is declared with."""


Source = Record | Entry


@dataclass(slots=True, eq=False)
class NetworkBuilder:
    """Collects inputs and layers, with unique names."""

    name: str
    """The network's name."""
    limits: Limits
    """How large it may get."""
    entries: list[Entry] = field(default_factory=list)
    """Inputs."""
    records: list[Record] = field(default_factory=list)
    """Layers in the order in which they can run."""
    named: dict[str, Source] = field(default_factory=dict)
    """Everything by name."""
    outputs: dict[str, Source] = field(default_factory=dict)
    """Outputs that the program names."""
    stems: dict[str, int] = field(default_factory=dict)
    """How often a name was asked for."""
    unrolled: int = 0
    """What its layers stand for beyond their number."""

    def charge(self, span: Span, count: int = 1) -> None:
        """Count one more layer that stands for `count`; raises `TooLargeError` E0602."""
        self.unrolled += count - 1
        if len(self.records) + self.unrolled + 1 > self.limits.max_layers:
            raise too_many_layers(self.limits.max_layers, self.limits, span)

    def add_entry(self, entry: Entry) -> None:
        """Add an input."""
        self.entries.append(entry)
        self.named[entry.name] = entry

    def add(self, record: Record, taken_by_label: str | None) -> None:
        """Add a layer; a label takes its name away from a layer that has it by counting."""
        if taken_by_label is not None:
            holder = self.named.get(taken_by_label)
            if isinstance(holder, Record) and not holder.labelled:
                holder.name = self.free(f"{taken_by_label}_1")
                self.named[holder.name] = holder
                del self.named[taken_by_label]
            record.name = self.free(taken_by_label)
        self.records.append(record)
        self.named[record.name] = record

    def free(self, stem: str) -> str:
        """Give a name that nothing has."""
        name = stem
        while name in self.named:
            self.stems[stem] = self.stems.get(stem, 1) + 1
            name = f"{stem}_{self.stems[stem]}"
        return name

    def free_prefix(self, stem: str) -> str:
        """Give a beginning of names, without its dot, that no other namespace has."""
        count = self.stems.get(f"{stem}.", 0) + 1
        self.stems[f"{stem}."] = count
        return stem if count == 1 else f"{stem}_{count}"

    def finish(self, outputs: Mapping[str, Source], streams: Mapping[str, Source]) -> Network:
        """Give the network."""
        network = Network(
            self.name,
            tuple(Input(e.name, e.size, e.span) for e in self.entries),
            tuple(map(_layer, self.records)),
            {name: source.name for name, source in outputs.items()},
            {name: source.name for name, source in streams.items()},
        )
        return choose_inits(network)


def _layer(record: Record) -> Layer:
    return Layer(
        record.name,
        record.spec,
        tuple(s.name for s in record.inputs),
        record.sizes,
        record.size,
        record.parameters,
        (record.owner or record).name,
        (record.owner or record).trainable,
        record.implicit,
        record.path,
        record.span,
        record.instances,
    )


@dataclass(slots=True, eq=False)
class Frame:
    """One namespace of layers: the program, or one use of a net or an imported file."""

    builder: NetworkBuilder
    """The network."""
    prefix: str = ""
    """What names begin with: `trunk.`."""
    parent: Frame | None = None
    """The namespace around it."""
    first: Frame | None = None
    """The first use of the same net, whose arrays this use shares."""
    title: str = ""
    """What messages call it."""
    records: list[Record] = field(default_factory=list)
    """Its layers, those of inner namespaces included."""
    counters: dict[str, int] = field(default_factory=dict)
    """Layers of each kind so far."""
    pools: int = 0
    """Pooling layers so far."""
    mine: list[Record] = field(default_factory=list)
    """Its layers, those of inner namespaces left out."""
    labels: dict[str, Span] = field(default_factory=dict)
    """Labels of lines, for patches and cuts."""

    def name_layer(self, kind: LayerKind, label: str | None) -> str:
        """Give the next name: the label, else kind and number."""
        count = self.counters.get(kind.name, 0) + 1
        stem = f"{kind.name}_" if kind.name[-1].isdigit() else kind.name
        if label is None:
            while f"{self.prefix}{stem}{count}" in self.builder.named:
                count += 1
        self.counters[kind.name] = count
        return f"{self.prefix}{stem}{count}" if label is None else f"{self.prefix}{label}"

    def enter(self, record: Record) -> None:
        """Count a layer here and in the namespaces around."""
        self.mine.append(record)
        frame: Frame | None = self
        while frame is not None:
            frame.records.append(record)
            frame.pools += record.spec.kind.name in ("maxpool", "avgpool")
            frame = frame.parent

    def parameters(self) -> int:
        """Count the trained numbers; shared arrays once."""
        own = {id(r.owner or r): r.owner or r for r in self.records}
        return sum(math.prod(p.shape) for r in own.values() for p in r.parameters if p.trainable)

    def weights(self) -> int:
        """Count the trained numbers without biases."""
        own = {id(r.owner or r): r.owner or r for r in self.records}
        return sum(
            math.prod(p.shape)
            for r in own.values()
            for p in r.parameters
            if p.trainable and not p.bias
        )

    def macs(self) -> int:
        """Count the multiply-adds of one image."""
        return sum(r.spec.kind.macs(r.spec, r.sizes, r.size) for r in self.records)


def check_steps(kind: str, size: Hwc, steps: int, limits: Limits, span: Span) -> None:
    """Refuse a recurrence that would be unrolled too far; raises `DiagnosticError` E0602."""
    if steps > limits.recurrent_steps:
        raise DiagnosticError(
            error(
                "E0602",
                f"`{kind}` would be unrolled over {steps:,} steps; the limit is "
                f"{limits.recurrent_steps:,}",
                span,
                label=f"the rows of {show_size(size)} are its steps",
                helps=("pool or crop the sequence first, or read fewer rows at a time",),
            )
        )


def check_tensors(name: str, shapes: Sequence[tuple[int, ...]], limits: Limits, span: Span) -> None:
    """Refuse arrays beyond the limit; raises `DiagnosticError` E0608."""
    for shape in shapes:
        if math.prod(shape) > limits.tensor_elements:
            product = " * ".join(f"{n:,}" for n in shape)
            raise DiagnosticError(
                error(
                    "E0608",
                    f"{name} would need an array of {math.prod(shape):,} numbers; "
                    f"the limit is {limits.tensor_elements:,}",
                    span,
                    label=f"{product} = {math.prod(shape):,}",
                    notes=(f"in single precision that is {math.prod(shape) * 4 / 2**30:,.0f} GiB",),
                )
            )


def too_long(limits: Limits, phase: str, span: Span) -> Diagnostic:
    """Say that a program takes too long; `phase` is what was done when time was up."""
    return error(
        "E0609",
        f"{phase} this program takes over {limits.seconds:g} seconds",
        span,
        label=f"{phase} had come this far",
        helps=(DEADLINE,),
    )


def too_many_layers(
    least: int,
    limits: Limits,
    span: Span,
    *,
    label: str = "",
    notes: tuple[str, ...] = (),
    steps: bool = False,
) -> TooLargeError:
    """Say that a network is too large to build, or with `steps` too long to unroll."""
    what = f"this network would have over {least:,} layers; the limit is {limits.max_layers:,}"
    if steps:
        what = f"this program takes over {4 * limits.max_layers:,} steps to unroll"
    return TooLargeError(
        error(
            "E0602",
            what,
            span,
            label=label,
            notes=notes or ("nothing was built",),
            helps=("`--max-layers N` raises the limit, for a file you trust",),
        )
    )
