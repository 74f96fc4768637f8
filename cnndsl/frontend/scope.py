"""What names mean at a place: values, definitions, labels, and the defaults of layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cnndsl.frontend import ast
from cnndsl.frontend.figures import PLAIN, Counting
from cnndsl.frontend.flow import Flow
from cnndsl.frontend.readings import Reading
from cnndsl.frontend.records import Source
from cnndsl.frontend.values import Callee, Value
from cnndsl.support.source import Span


class LaterError(Exception):
    """A word of the language that this version cannot build yet."""

    def __init__(self, word: str, what: str, span: Span) -> None:
        """Remember `word`, and `what` it belongs to."""
        super().__init__(word)
        self.word = word
        self.what = what
        self.span = span


class HeldError(Exception):
    """An earlier error on the same stream makes it impossible to go on; it was reported."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockDef(Callee):
    """A `block`: a rubber stamp."""

    node: ast.Block
    """Its definition."""
    scope: Scope
    """Where it is defined."""


@dataclass(frozen=True, slots=True, eq=False)
class NetDef(Callee):
    """A `net`: a thing, whose weights are shared by all its uses."""

    node: ast.Net | ast.NetBinding
    """Its definition."""
    scope: Scope
    """Where it is defined."""


@dataclass(frozen=True, slots=True, eq=False)
class FileDef(Callee):
    """An imported file: a template."""

    program: ast.Program
    """The file."""
    files: Mapping[str, Callee]
    """What it imports, by the path as written."""


@dataclass(frozen=True, slots=True, eq=False)
class BrokenDef(Callee):
    """An imported file that could not be read; that was reported."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name that a line, an element or a turn of a loop was given."""

    flow: Flow
    """What it names."""
    span: Span
    """Where it was given."""
    made: tuple[Source, ...] = ()
    """Every layer of the line it labels; empty where it names a stream alone."""


class Scope:
    """The names of one body, inside the names around it.

    Loop bodies, branches and `if` bodies are `open`: labels given in them are seen by what
    follows in the body around them.
    """

    def __init__(self, parent: Scope | None = None, *, open_: bool = False) -> None:
        """Open a body in `parent`."""
        self.parent = parent
        self.open = open_ and parent is not None
        self.values: dict[str, Value] = {}
        self.spans: dict[str, Span] = {}
        self.symbols: set[str] = set()
        self.labels: dict[str, Label] = {}
        self.families: dict[str, dict[Value, Label]] = {}
        self.defaults: dict[str, Reading] = {}
        self.repeated: set[str] = set()
        self.counting: Counting | None = None

    def chain(self) -> Iterator[Scope]:
        """Walk outwards."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def root(self) -> Scope:
        """Give the top level of the file."""
        *_, last = self.chain()
        return last

    def owner(self) -> Scope:
        """Give the body that labels given here belong to."""
        scope = self
        while scope.open and scope.parent is not None:
            scope = scope.parent
        return scope

    def value(self, name: str) -> Value | None:
        """Give what a name is bound to, or nothing."""
        for scope in self.chain():
            if name in scope.values:
                return scope.values[name]
        return None

    def known(self) -> Collection[str]:
        """Give every name that is bound to a value."""
        return {name: None for scope in self.chain() for name in scope.values}.keys()

    def all_symbols(self) -> Collection[str]:
        """Give the names that stand for themselves here."""
        return {name for scope in self.chain() for name in scope.symbols}

    def bind(self, name: str, value: Value, span: Span) -> None:
        """Give a name its value."""
        self.values[name] = value
        self.spans[name] = span

    def find_label(self, name: str) -> Label | None:
        """Find what was labelled `name`, from here outwards."""
        for scope in self.chain():
            if name in scope.labels:
                return scope.labels[name]
        return None

    def find_family(self, name: str) -> Mapping[Value, Label] | None:
        """Find the family `name` of `name[i]`, from here outwards."""
        for scope in self.chain():
            if name in scope.families:
                return scope.families[name]
        return None

    def default_of(self, kind: str) -> list[Reading]:
        """Give the defaults of a kind of layer that hold here, the outermost first."""
        found = [s.defaults[kind] for s in self.chain() if kind in s.defaults]
        return found[::-1]

    def find_counting(self) -> Counting:
        """Give the conventions by which claims are held here."""
        return next((s.counting for s in self.chain() if s.counting is not None), PLAIN)

    def in_reach(self) -> Mapping[str, Label]:
        """Give every label that can be named here, as it is written."""
        found: dict[str, Label] = {}
        for scope in self.chain():
            for name, label in scope.labels.items():
                found.setdefault(name, label)
            for name, family in scope.families.items():
                for index, label in family.items():
                    found.setdefault(f"{name}[{index}]", label)
        return found
