"""What a layer is: the words it takes, its size formula, its parameters, its graph nodes.

The grammar knows no layer. Everything that the words of one kind of layer mean lives together in
one `LayerKind`, so that the derivation in a message is the formula that ran.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, TypeAlias

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.structural import Init, ParameterAttrs, parameter
from cnndsl.support.diagnostics import CnnDslError
from cnndsl.support.registry import Registry
from cnndsl.support.source import Span

Hwc: TypeAlias = tuple[int, ...]
"""A size as the language writes it: (height, width, channels), or (neurons,)."""


def show_size(size: Hwc) -> str:
    """Write a size as the slides do.

    >>> show_size((28, 28, 6))
    '[28x28x6]'
    """
    return f"[{'x'.join(map(str, size))}]"


def batched(size: Hwc, batch: int) -> tuple[int, ...]:
    """Give the graph's shape of a size: (N, C, H, W) or (N, C).

    >>> batched((28, 24, 6), 32)
    (32, 6, 28, 24)
    """
    return (batch, size[-1], *size[:-1])


class Takes(Enum):
    """What a clause word takes as its value."""

    COUNT = auto()
    """A whole number, at least 1: `groups 32`."""
    WHOLE = auto()
    """A whole number, at least 0."""
    NUMBER = auto()
    """A number: `rate 0.5`."""
    SIZE = auto()
    """`3x3`, or a number for both axes: `window 3x3`, `stride 2`; the value is (height, width)."""
    FLAG = auto()
    """Nothing: the word is the value, `same`."""
    WORD = auto()
    """One of a few words, listed in `Clause.words`."""
    SHAPE = auto()
    """A size in brackets, `reshape [7x7x30]`; the value is a tuple of numbers."""
    STREAM = auto()
    """The name of a stream; it becomes one more input of the layer."""


SettingValue: TypeAlias = bool | int | float | str | tuple[int, ...]
"""The value of a clause."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One setting of a kind of layer."""

    name: str
    """The word that stands before the value, and the argument's name in the call form."""
    takes: Takes
    """What follows the word."""
    default: SettingValue | None = None
    """The value when it is not said; nothing if it must be said or is worked out."""
    doc: str = ""
    """What it means, in half a sentence."""
    names: tuple[str, ...] = ()
    """Other spellings."""
    words: tuple[str, ...] = ()
    """The choices of a clause that takes a WORD."""


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One use of a layer: its kind and the settings that were given or hold by default."""

    kind: LayerKind
    """Which layer."""
    settings: Mapping[str, SettingValue]
    """By clause name; complete (see `LayerKind.complete`)."""
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)
    """Where the given settings stand in the source."""
    span: Span | None = field(default=None, compare=False)
    """Where the layer stands."""

    def count(self, name: str) -> int:
        """Give a setting that is a whole number."""
        value = self.settings[name]
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        """Give a setting that is a number."""
        value = self.settings[name]
        assert isinstance(value, int | float)
        return float(value)

    def size(self, name: str) -> tuple[int, int]:
        """Give a setting that is a size, as (height, width)."""
        value = self.settings[name]
        assert isinstance(value, tuple)
        height, width = value
        return height, width

    def flag(self, name: str) -> bool:
        """Tell whether a flag was given."""
        return bool(self.settings.get(name, False))

    def word(self, name: str) -> str:
        """Give a setting that is a word."""
        return str(self.settings[name])


class LayerError(CnnDslError):
    """A layer cannot do what it is asked; the frontend turns this into a diagnostic with spans."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: str | None = None,
        label: str = "",
        also: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        helps: Sequence[str] = (),
    ) -> None:
        """Complain.

        `at` names the clause that gets the carets (nothing: the whole layer), `label` is the text
        behind them, `also` maps further clauses to the text under their dashes.
        """
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.label = label
        self.also = dict(also or {})
        self.notes = tuple(notes)
        self.helps = tuple(helps)


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """An array that belongs to a layer."""

    name: str
    """"weight", "bias", "scale", ...; the state holds it as "LAYER.NAME"."""
    shape: tuple[int, ...]
    """In the graph's layout: O, I, H, W for convolutions, O, I for fully connected layers."""
    init: Init
    """How it begins."""
    trainable: bool = True
    """Running statistics are not."""
    bias: bool = False
    """Biases are left out where the slides count weights, and from weight decay."""
    decay: bool = True
    """Whether weight decay applies."""


class LayerContext:
    """Where a layer puts its nodes while a network is lowered."""

    def __init__(
        self,
        b: Builder,
        *,
        name: str,
        parameters: Mapping[str, ParameterSpec],
        parameters_of: str,
        training: bool,
        dtype: DType,
        trainable: bool,
        random: RandomState | None,
    ) -> None:
        self.b = b
        """The builder of the graph."""
        self.name = name
        """The layer's name: the stem of its nodes' names."""
        self.training = training
        """Whether dropout drops and batch norm uses the batch."""
        self.dtype = dtype
        """Precision of the network."""
        self.random = random
        """Key and step of the random numbers; there in training only."""
        self._parameters = parameters
        self._parameters_of = parameters_of
        self._trainable = trainable

    def parameter(self, name: str) -> Value:
        """Give the layer's parameter `name`; layers that share weights get the same node."""
        spec = self._parameters[name]
        node_id = NodeId(f"{self._parameters_of}.{name}")
        if node_id in self.b.graph:
            return Value(node_id)
        attrs = ParameterAttrs(
            TensorType(self.dtype, spec.shape),
            spec.init,
            trainable=spec.trainable and self._trainable,
            decay=spec.decay and not spec.bias,
        )
        return self.b.emit(parameter, attrs=attrs, name=node_id)

    def has(self, name: str) -> bool:
        """Tell whether the layer has the parameter `name` (a bias, say)."""
        return name in self._parameters

    def update(self, name: str, value: Value) -> None:
        """Let a run leave `value` in the layer's parameter `name` (running statistics)."""
        node_id = self.parameter(name).node
        self.b.graph.updates[node_id] = value


@dataclass(frozen=True, slots=True)
class RandomState:
    """The counters that random draws in a training graph depend on."""

    key: Value
    """i64[]: the seed of the run."""
    step: Value
    """i64[]: how many steps have been taken."""
    stream: int
    """A number that no other layer of the graph has."""


class LayerKind(ABC):
    """A kind of layer. One instance a kind stands in `LAYERS`."""

    name: ClassVar[str]
    """The canonical word."""
    names: ClassVar[tuple[str, ...]] = ()
    """Other spellings; several words with spaces between them; case does not matter."""
    clauses: ClassVar[tuple[Clause, ...]] = ()
    """Its settings."""
    order: ClassVar[tuple[str, ...]] = ()
    """Which clauses bare values go to, in turn; the first size always goes to the first clause
    here that takes a SIZE."""
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    """How many streams it takes, at least and at most (nothing: any number)."""
    activation: ClassVar[bool] = False
    """Whether the layer is an activation, which may follow another layer's words directly."""
    takes_activation: ClassVar[bool] = False
    """Whether an activation may follow its words."""

    @property
    def doc(self) -> str:
        """What it computes: the first paragraph of the class's docstring."""
        return (self.__doc__ or "").strip().split("\n\n")[0]

    def clause(self, word: str) -> Clause | None:
        """Find a clause by one of its names, in any case."""
        folded = word.casefold()
        for clause in self.clauses:
            if folded in (clause.name, *clause.names):
                return clause
        return None

    def sized(self, digits: str, number: int) -> dict[str, SettingValue]:
        """Read the shorthand NAMEdigits-number: `conv3-64`, `FC-4096`; E0204 if it has none."""
        raise LayerError("E0204", f"`{self.name}` has no form with a hyphen and a number")

    def complete(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> dict[str, SettingValue]:
        """Fill in the settings that were not given.

        `bare` says that nothing was given but a shorthand (`CONV`, `conv3-64`), whose defaults
        differ; `pools` is how many pooling layers came before in this network.
        """
        filled = {c.name: c.default for c in self.clauses if c.default is not None}
        return {**filled, **given}

    @abstractmethod
    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the result; raises `LayerError` with the arithmetic if it has none."""

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the size formula with its numbers, `(227 - 11)/4 + 1 = 55`; may be empty."""
        return ""

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give the arrays of the layer."""
        return ()

    def macs(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count multiply-adds for one image, as the slides do: convolutions and FC only."""
        return 0

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the window a result looks at (dilation included) and the stride, (h, w) each."""
        return (1, 1), (1, 1)

    @abstractmethod
    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Put the layer's nodes into the graph and give its result."""


LAYERS: Registry[LayerKind] = Registry("layer")
"""Every kind of layer by its canonical name."""


def define_layer(kind: type[LayerKind]) -> type[LayerKind]:
    """Class decorator: put an instance of the kind into `LAYERS`."""
    LAYERS.register(kind.name, kind())
    return kind
