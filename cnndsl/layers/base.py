"""What a layer is: the words it takes, its size formula, its parameters, its graph nodes.

The grammar knows no layer. Everything that the words of one kind of layer mean lives together in
one `LayerKind`, so that the derivation in a message is the formula that ran.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property
from typing import ClassVar, TypeAlias

from cnndsl.ir.graph import Value
from cnndsl.layers.clauses import (
    Clause,
    LayerError,
    SettingValue,
    Takes,
    check_settings,
    fold_words,
    merge_settings,
    show_value,
)
from cnndsl.layers.context import LayerContext, ParameterSpec, RandomState
from cnndsl.support.registry import Registry
from cnndsl.support.source import Span

__all__ = [
    "LAYERS",
    "Clause",
    "Hwc",
    "LayerContext",
    "LayerError",
    "LayerKind",
    "LayerSpec",
    "Maker",
    "ParameterSpec",
    "RandomState",
    "SettingValue",
    "Steps",
    "Takes",
    "batched",
    "define_layer",
    "find_layer",
    "show_size",
]

Hwc: TypeAlias = tuple[int, ...]
"""A size as the language writes it: (height, width, channels), or (neurons,)."""

Steps: TypeAlias = int | Fraction
"""Pixels of what a layer reads from one number of its result to the next."""


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

    def margin(self, name: str) -> tuple[int, int, int, int]:
        """Give a setting that is a margin, as (top, bottom, left, right); 0 if it is not there."""
        match self.settings.get(name, 0):
            case int(all_sides):
                return all_sides, all_sides, all_sides, all_sides
            case (int(rows), int(columns)):
                return rows, rows, columns, columns
            case (int(top), int(bottom), int(left), int(right)):
                return top, bottom, left, right
            case value:
                raise AssertionError(f"{name} is no margin: {value!r}")

    def flag(self, name: str) -> bool:
        """Tell whether a flag was given."""
        return bool(self.settings.get(name, False))

    def word(self, name: str) -> str:
        """Give a setting that is a word."""
        return str(self.settings[name])


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes an input of a layer: the layer before it, and the sizes that this one reads."""

    name: str
    """Its name."""
    spec: LayerSpec
    """Its kind and settings."""
    inputs: tuple[Hwc, ...]
    """Sizes of what it reads."""


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

    preferred_init: ClassVar[str] = "he_normal"
    """How weights begin that an activation of this kind follows."""
    pools: ClassVar[bool] = False
    """Whether a bare CONV after it has twice the filters."""
    draws: ClassVar[bool] = False
    """Whether it needs random numbers in training."""
    solid: ClassVar[str] = ""
    """The clause that the third number of a window goes to, 3 of `5x5x3`; empty if it has none."""
    asks_makers: ClassVar[bool] = False
    """Whether `settled` looks at the layers that make the inputs."""
    spreads: ClassVar[bool] = False
    """Whether its filters are laid over the result, one set for each pixel of the input, and its
    weight is [C, O/groups, KH, KW]; else each result sums a window and it is [O, C/groups, ..]."""
    counted: ClassVar[bool] = True
    """Whether the slides count memory for its result; they do not for activations, which may
    overwrite what they read, nor for what only gives another shape."""

    @property
    def doc(self) -> str:
        """What it computes: the first paragraph of the class's docstring."""
        return (self.__doc__ or "").strip().split("\n\n")[0]

    def clause(self, word: str) -> Clause | None:
        """Find a clause by one of its names, in any case; a name may be several words."""
        return self._clauses_by_word.get(fold_words(word))

    @cached_property
    def _clauses_by_word(self) -> Mapping[str, Clause]:
        named = [(name, c) for c in self.clauses for name in (c.name, *c.names)]
        return {fold_words(name): clause for name, clause in reversed(named)}

    def find_clause(self, words: Sequence[str]) -> tuple[Clause, int] | None:
        """Find the clause that the first of `words` name and how many they are, the most first."""
        for count in range(min(len(words), MOST_WORDS), 0, -1):
            clause = self.clause(" ".join(words[:count]))
            if clause is not None:
                return clause, count
        return None

    def sized(self, digits: str, number: int) -> dict[str, SettingValue]:
        """Read the shorthand NAMEdigits-number: `conv3-64`, `FC-4096`; E0204 if it has none."""
        raise LayerError("E0204", f"`{self.name}` has no form with a hyphen and a number")

    def merge(
        self, own: Mapping[str, SettingValue], defaults: Mapping[str, SettingValue]
    ) -> dict[str, SettingValue]:
        """Add the settings of `default conv: ..`; what the layer says itself displaces them."""
        return merge_settings(self.clauses, own, defaults)

    def complete(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> dict[str, SettingValue]:
        """Fill in the settings that were not given, and check them all.

        `bare` says that nothing was given but a shorthand (`CONV`, `conv3-64`), whose defaults
        differ; `pools` is how many pooling layers came before in this network. Raises `LayerError`
        E0204 to E0207 for a setting that is unknown, missing, contradicted or out of range.
        """
        filled = {c.name: c.default for c in self.clauses if c.default is not None}
        filled.update(self.worked_out(given, bare=bare, pools=pools))
        filled.update(given)
        check_settings(self.name, self.clauses, filled)
        return filled

    def worked_out(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> Mapping[str, SettingValue]:
        """Give the defaults that depend on what was given; see `complete`."""
        return {}

    def brings(
        self, settings: Mapping[str, SettingValue]
    ) -> tuple[tuple[str, dict[str, SettingValue]], ...]:
        """Give the layers that the words bring in front, `softmax 10` an `fc 10`: (kind, given)."""
        return ()

    def words(self, spec: LayerSpec) -> str:
        """Write the layer as a program does, `conv 96 11x11 stride 4`, without defaults."""
        usual = self.usual(spec.settings)
        clauses = [c for c in self.clauses if _worth_saying(c, spec, usual)]
        bare = [c for name in self.order for c in clauses if c.name == name]
        sizes = [c for c in bare if c.takes is Takes.SIZE]
        said = [self.name]
        for clause in bare:
            if clause not in sizes[1:]:  # only the first size needs no word
                said.append(show_value(spec.settings[clause.name]))
        for clause in clauses:
            value = spec.settings[clause.name]
            if clause in sizes[1:] or clause not in bare:
                named = fold_words(clause.name)
                said.append(named if value is True else f"{named} {_short(value)}")
        return " ".join(said)

    def usual(self, settings: Mapping[str, SettingValue]) -> Mapping[str, SettingValue]:
        """Give the values that need not be written because they hold anyway."""
        return {c.name: c.default for c in self.clauses if c.default is not None}

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

    def macs_formula(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> str:
        """Write how `macs` comes about if not from one weight and its places; may be empty."""
        return ""

    def unrolled(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give how many layers it counts as where the size of a network is limited."""
        return 1

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count floating-point operations for one image; a multiply-add is two."""
        return 2 * self.macs(spec, inputs, output)

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[Steps, Steps]]:
        """Give the window a result looks at (dilation included) and the stride, (h, w) each.

        Where the result is larger than the input the stride is a fraction: 1/2.
        """
        return (1, 1), (1, 1)

    def border(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[int, int]:
        """Give how far the first window lies over the upper and left border of what it reads."""
        return 0, 0

    def settled(
        self, settings: Mapping[str, SettingValue], makers: Sequence[Maker | None]
    ) -> Mapping[str, SettingValue]:
        """Give the settings, and what follows from the layers that make the inputs.

        `makers` has nothing for an input of the network. Raises `LayerError` E0307 if they are not
        such as the layer needs.
        """
        return settings

    @abstractmethod
    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Put the layer's nodes into the graph and give its result."""


def _short(value: SettingValue) -> str:
    """Write a square size as one number, others as they are."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return show_value(value)


def _worth_saying(clause: Clause, spec: LayerSpec, usual: Mapping[str, SettingValue]) -> bool:
    value = spec.settings.get(clause.name)
    return value is not None and value is not False and value != usual.get(clause.name)


MOST_WORDS = 4
"""Words of the longest name of a layer or clause."""

LAYERS: Registry[LayerKind] = Registry("layer")
"""Every kind of layer by its canonical name."""


def define_layer(kind: type[LayerKind]) -> type[LayerKind]:
    """Class decorator: put an instance of the kind into `LAYERS`."""
    LAYERS.register(kind.name, kind())
    return kind


def find_layer(words: Sequence[str]) -> tuple[LayerKind, int] | None:
    """Find the kind that the first of `words` name and how many they are, the most words first."""
    spellings = _spellings(len(LAYERS))
    for count in range(min(len(words), MOST_WORDS), 0, -1):
        kind = spellings.get(fold_words(" ".join(words[:count])))
        if kind is not None:
            return kind, count
    return None


@cache
def _spellings(known: int) -> Mapping[str, LayerKind]:
    """Give every spelling of the `known` kinds that `LAYERS` holds by now."""
    kinds = LAYERS.values()
    return {fold_words(name): kind for kind in kinds for name in (kind.name, *kind.names)}
