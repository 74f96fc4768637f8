"""What every part of the elaborator shares: the place, the reports, the order of calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import pairwise

from cnndsl.frontend import ast
from cnndsl.frontend.evaluate import Evaluator
from cnndsl.frontend.flow import BROKEN, Flow, Stream
from cnndsl.frontend.here import Here
from cnndsl.frontend.places import Place
from cnndsl.frontend.records import Frame, TooLargeError, too_long
from cnndsl.frontend.reports import Reports
from cnndsl.frontend.scope import HeldError, LaterError, NetDef, Scope
from cnndsl.frontend.values import Callee, ShapeValue, Value
from cnndsl.layers.base import SettingValue
from cnndsl.support.diagnostics import DiagnosticError, Label, error
from cnndsl.support.limits import Limits, Watch
from cnndsl.support.source import SourceFile, Span


class Stopped(Exception):  # noqa: N818 - no error
    """The layer behind `until` has been built; the use of its net ends here."""

    def __init__(self, visit: Visit, flow: Flow) -> None:
        """End `visit` with `flow`."""
        super().__init__(visit.callee.name)
        self.visit = visit
        self.flow = flow


@dataclass(slots=True, eq=False)
class Patch:
    """Lines of an imported net that are replaced."""

    lines: Mapping[str, ast.Line]
    """The new line by the label of the old one, folded."""
    scope: Scope
    """What names mean in the new lines."""
    body: ast.Body
    """The patch as written."""
    used: set[str] = field(default_factory=set)
    """Labels that were found."""


@dataclass(slots=True, eq=False)
class Visit:
    """One use of a net or a file: what it is fed, where it is cut, what is patched."""

    callee: Callee
    """What is used."""
    span: Span
    """Where."""
    feeds: list[Stream]
    """Streams that its inputs take, in order; empty if it reads inputs of its own."""
    fed: bool
    """Whether streams were given at all."""
    reads: int = 0
    """How many of them its inputs took."""
    until: str | None = None
    """The label or layer that it is cut behind."""
    patch: Patch | None = None
    """Its patch."""
    outer: Visit | None = None
    """The use of a net around it whose layers have the same names: `net x = vgg(v=D)`."""
    file: str = ""
    """The file that it is written in, for messages."""
    given: Mapping[str, object] = field(default_factory=dict)
    """Values of the file's parameters."""
    changed: str = ""
    """From where on its sizes are not the written ones; empty if they are."""
    dropped: list[Span] = field(default_factory=list)
    """Assertions that no longer hold behind the change."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One use of a block, for messages."""

    text: str
    """`bottleneck(64, 2)`."""
    span: Span
    """Where it is used."""
    values: tuple[tuple[str, str], ...]
    """Its arguments, written out."""
    outer: Instance | None = None
    """The use around it."""
    number: int = 0
    """No other use in the elaboration has it."""

    @property
    def nest(self) -> tuple[Instance, ...]:
        """The uses around it and itself, outermost first."""
        return (*(self.outer.nest if self.outer is not None else ()), self)


@dataclass(frozen=True, slots=True)
class Env:
    """The place at which something is elaborated."""

    scope: Scope
    """Names."""
    frame: Frame
    """Namespace of the layers."""
    visit: Visit | None = None
    """The net or file around it."""
    instance: Instance | None = None
    """The block around it."""
    depth: int = 0
    """Blocks, nets, groups and bodies around it."""
    whole: bool = True
    """Whether layers may read an input that the program does not declare."""
    turns: tuple[tuple[str, str], ...] = ()
    """The variables of the loops around it, written out."""
    merging: bool = False
    """Whether a file used here puts its layers into this namespace: `net x = vgg(v=D)`."""

    def within(self, scope: Scope) -> Env:
        """Give the same place with other names."""
        return replace(self, scope=scope, depth=self.depth + 1)

    def visits(self) -> Iterator[Visit]:
        """Walk the uses of nets and files whose namespace this is, from the inside."""
        visit = self.visit
        while visit is not None:
            yield visit
            visit = visit.outer

    def dropped(self, span: Span) -> bool:
        """Drop an assertion behind a change of the net that it belongs to; False if there is none.

        Assertions of a patch itself are never dropped.
        """
        for visit in self.visits():
            patch = visit.patch.body.span if visit.patch is not None else None
            own = patch is not None and patch.file == span.file and _holds(patch, span)
            if (visit.changed or visit.until) and not own:
                visit.dropped.append(span)
                return True
        return False

    @property
    def path(self) -> tuple[str, ...]:
        """The blocks around it, outermost first."""
        return tuple(use.text for use in self.instances)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The uses of blocks around it, outermost first."""
        return self.instance.nest if self.instance else ()


@dataclass(frozen=True, slots=True)
class Name:
    """The label of the line that an element begins."""

    words: ast.Words
    """As written."""
    names: tuple[str | None, ...]
    """The layers' names: one for each layer of `CONV2..12`; nothing where the label is no name."""


class Core(ABC):
    """State of one elaboration, and the calls by which its parts reach one another."""

    def __init__(self, limits: Limits) -> None:
        """Elaborate within `limits`."""
        self.limits = limits
        self.reports = Reports(limits)
        self.sources: dict[str, SourceFile] = {}
        self.steps = 0
        self.exploring = False
        self.watch = Watch(limits)
        self.missing: list[tuple[str, str, Span]] = []
        self.shared: dict[NetDef, Frame] = {}
        self.visits: list[Visit] = []
        self.bare: list[tuple[str, int, Span]] = []
        self.last_words: ast.Words | None = None

    # -------------------------------------------------------------- the parts

    @abstractmethod
    def run_statements(self, statements: Sequence[ast.Statement], env: Env, flow: Flow) -> Flow:
        """Elaborate the statements of a body from top to bottom."""

    @abstractmethod
    def run_chain(self, chain: ast.Chain, env: Env, flow: Flow, name: Name | None = None) -> Flow:
        """Elaborate a chain; `name` is the label of its line."""

    @abstractmethod
    def run_callee(
        self,
        callee: Callee,
        arguments: Sequence[ast.Argument],
        words: ast.Words,
        env: Env,
        flow: Flow,
        *,
        patch: ast.Body | None = None,
        used: int = 1,
    ) -> Flow:
        """Use a block, net or file; `words` are those of the element, `used` of them its head."""

    @abstractmethod
    def run_input(self, words: ast.Words, env: Env, shape: ast.ShapeLiteral | None) -> Flow:
        """Elaborate `input x [32x32x3]`."""

    @abstractmethod
    def run_block_lines(self, section: ast.Section, env: Env, flow: Flow) -> Flow:
        """Elaborate the lines of `concat { .. }` as branches."""

    @abstractmethod
    def assumed_input(self, env: Env, span: Span) -> Flow:
        """Give the input of a program that declares none."""

    @abstractmethod
    def classes(self, env: Env, span: Span) -> int:
        """Give the number of classes when the program does not say it."""

    @abstractmethod
    def score(self, given: dict[str, SettingValue]) -> None:
        """Give a bare FC at the end of a program as many neurons as the data have classes."""

    @abstractmethod
    def free_count(self, name: ast.Name, env: Env) -> int | None:
        """Give the value of a repetition count N, M or K that nothing binds."""

    @abstractmethod
    def choose(self, stem: str, least: int, most: int, *, usual: int, span: Span) -> Place:
        """Take a choice without a name, `POOL?` or `*1..5`, and record it."""

    @abstractmethod
    def within(self, place: Place | None) -> AbstractContextManager[None]:
        """Let choices made meanwhile belong to a turn of `place`."""

    @abstractmethod
    def expect(self, flow: Flow, shape: ast.ShapeLiteral, env: Env) -> None:
        """Check a size that the program states."""

    @abstractmethod
    def stop_at(self, env: Env, name: str, flow: Flow) -> None:
        """End the namespace here if this is what it is cut behind."""

    @abstractmethod
    def label(self, target: ast.Name | ast.Indexed | ast.Words, flow: Flow, env: Env) -> None:
        """Name a stream."""

    # -------------------------------------------------------------- shared services

    def here(self, env: Env, flow: Flow) -> Here:
        """Give what an element at this place sees."""
        return Here(env.scope, self.evaluator(env, flow), flow, self._finder(env))

    def evaluator(
        self, env: Env, flow: Flow, *, special: Mapping[str, Callable[[], Value]] | None = None
    ) -> Evaluator:
        """Give what works out expressions at this place."""

        def shape() -> Value:
            if flow.broken:
                raise HeldError
            if flow.size is None:
                raise HeldError if not flow.streams and not env.whole else _no_shape(flow, env)
            return ShapeValue(flow.size)

        names = {"shape": shape, **(special or {})}
        return Evaluator(env.scope, env.scope.all_symbols(), names, self.limits)

    def _finder(self, env: Env) -> Callable[[str], Flow | None]:
        def find(name: str) -> Flow | None:
            source = env.frame.builder.named.get(env.frame.prefix + name)
            if source is None:
                return None
            return Flow((Stream(source, source.size, source.span),))

        return find

    def guarded(self, action: Callable[[], Flow]) -> Flow:
        """Run an action; an error in it is reported and breaks the stream."""
        try:
            return action()
        except TooLargeError:
            raise
        except DiagnosticError as problem:
            self.sources.update(problem.sources)
            self.reports.add(*problem.diagnostics)
            return BROKEN
        except HeldError:
            return BROKEN
        except LaterError as later:
            return self.unavailable(later.word, later.what, later.span)

    def step(self, env: Env, span: Span) -> None:
        """Count one element; raises `TooLargeError` when there are far more than layers allowed."""
        self.steps += 1
        if self.watch.is_over:
            raise TooLargeError(too_long(self.limits, "building", span))
        if self.reports.are_enough:
            raise TooLargeError(*self.reports.errors)
        if self.steps > 4 * self.limits.max_layers:
            raise TooLargeError(
                error(
                    "E0602",
                    f"this program takes over {4 * self.limits.max_layers:,} steps to unroll",
                    span,
                    notes=("nothing was built",),
                )
            )
        if env.depth > self.limits.instance_depth:
            raise TooLargeError(
                error(
                    "E0604",
                    f"blocks, nets and groups are nested more than "
                    f"{self.limits.instance_depth} deep here",
                    span,
                    notes=tuple(f"{a} uses {b}" for a, b in pairwise(env.path[-4:])),
                )
            )

    def unavailable(self, word: str, what: str, span: Span) -> Flow:
        """Remember a construct that cannot be built yet; they are reported together."""
        self.missing.append((word, what, span))
        return BROKEN

    def cut(self, span: Span) -> str:
        """Give the text of a place in the source; empty if it is not known."""
        source = self.sources.get(span.file)
        return source.cut(span) if source is not None else ""

    def report_missing(self) -> None:
        """Report what cannot be built yet, all in one diagnostic."""
        found = {word: (what, span) for word, what, span in reversed(self.missing)}
        if not found:
            return
        ordered = sorted(found.items(), key=lambda item: item[1][1])
        first, *rest = ordered
        kinds: dict[str, list[str]] = {}
        for word, (what, _) in ordered:
            kinds.setdefault(what, []).append(f"`{word}`")
        words = ", ".join(f"`{word}`" for word, _ in ordered)
        verb = "is" if len(ordered) == 1 else "are"
        self.reports.add(
            error(
                "E0212",
                f"{words} {verb} part of the language, but not available yet",
                first[1][1],
                label=first[1][0],
                related=tuple(
                    Label(span, what)
                    for _, (what, span) in rest[:8]
                    if span.file == first[1][1].file
                ),
                notes=tuple(f"{what}: {', '.join(names)}" for what, names in kinds.items()),
            )
        )


def _holds(outer: Span, inner: Span) -> bool:
    return (outer.line, outer.column) <= (inner.line, inner.column) and (
        inner.end_line,
        inner.end_column,
    ) <= (outer.end_line, outer.end_column)


def _no_shape(flow: Flow, env: Env) -> DiagnosticError:
    count = len(flow.streams)
    arriving = f"{count} streams arrive" if count > 1 else "no stream arrives"
    return DiagnosticError(error("E0208", f"`shape` has no value where {arriving}", flow.span))
