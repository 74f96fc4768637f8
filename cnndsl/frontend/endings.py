"""What is judged when a network is complete: assertions on its parameters and operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env
from cnndsl.frontend.evaluate import Evaluator
from cnndsl.frontend.figures import Counting, in_units_of, is_bytes
from cnndsl.frontend.flow import NOTHING, Flow
from cnndsl.frontend.here import text_of
from cnndsl.frontend.measures import QUANTITIES, Measured, ask
from cnndsl.frontend.records import Frame, NetworkBuilder, TooLargeError
from cnndsl.frontend.scope import HeldError, Label, Scope
from cnndsl.frontend.statements import Claimed, Statements
from cnndsl.frontend.values import Callee, ShapeValue, Value, show
from cnndsl.layers.analysis import LayerReport, analyse
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

MOST_LAYERS = 8
"""Layers whose parameters are listed when an assertion about them fails."""


@dataclass(frozen=True, slots=True)
class Judging:
    """One assertion while it is judged."""

    claimed: Claimed
    """The assertion."""
    frame: Frame
    """The layers that it is about."""
    measured: Measured
    """What they cost: the inputs and layers of its own namespace."""
    asked: dict[str, Value]
    """What it asked about layers and nets, as written, and the answers."""

    @property
    def counting(self) -> Counting:
        """The conventions that hold where it stands."""
        return self.measured.counting


class Endings(Statements):
    """Judges assertions."""

    def __init__(self, limits: Limits) -> None:
        """Judge within `limits`."""
        super().__init__(limits)
        self.measured_nets: dict[Hashable, tuple[Measured, Scope]] = {}

    def judge(self, builder: NetworkBuilder, *, measured: Frame | None = None) -> None:
        """Judge every assertion of a complete network; reports E0503.

        Assertions are about the layers around them, or about those of `measured`.
        """
        own = [claimed for claimed in self.claimed if claimed.env.frame.builder is builder]
        about = measured.builder if measured is not None else builder
        everything = Measured(analyse(about.finish({}, {})).layers if own else ())
        spaces: dict[tuple[str, Counting], Measured] = {}
        for claimed in own:
            if self.reports.are_enough:
                return
            try:
                frame = measured or claimed.env.frame
                key = frame.prefix, claimed.env.scope.find_counting()
                if key not in spaces:
                    spaces[key] = Measured(everything.within(frame.prefix), key[1])
                found = self._judged(Judging(claimed, frame, spaces[key], {}))
            except TooLargeError:
                raise
            except DiagnosticError as problem:
                self.reports.add(*problem.diagnostics)
            except HeldError:
                continue
            else:
                if found is not None:
                    self.reports.add(found)

    def _judged(self, judging: Judging) -> Diagnostic | None:
        node, env = judging.claimed.node, judging.claimed.env
        special = self._special(judging)
        evaluator = self.evaluator(env, judging.claimed.flow, special=special)
        evaluator = replace(evaluator, measured=self._measurer(judging), counting=judging.counting)
        if evaluator.truth(node.test):
            return None
        if env.dropped(node.span):
            return None
        used = [name for name in special if name in set(_names(node.test))]
        text = self.cut(node.test.span) or "this"
        answers = {**{name: special[name]() for name in used}, **judging.asked}
        notes = [*_computed(node.test, evaluator, self.cut)]
        if {"params", "weights"} & set(used):
            notes.append(_largest(judging.frame))
        if {"memory", "bytes"} & set(used):
            notes.append(_kept(judging.measured.reports))
        return error(
            "E0503",
            node.message.value if node.message is not None else f"`{text}` does not hold",
            node.test.span,
            label=", ".join(f"{name} = {_shown(value)}" for name, value in answers.items()),
            notes=tuple(notes),
        )

    def _special(self, judging: Judging) -> Mapping[str, Callable[[], Value]]:
        """Give what assertions may ask about their own network."""

        def asking(name: str) -> Callable[[], Value]:
            return lambda: judging.measured.quantity(name)

        return {name: asking(name) for name in QUANTITIES}

    # -------------------------------------------------------------- layers and nets

    def _measurer(self, judging: Judging) -> Callable[[ast.Attr], Value | None]:
        def measured(expr: ast.Attr) -> Value | None:
            found = self._found(expr.target, judging)
            if found is None:
                return None
            value = ask(found, expr.name.text)
            if value is None:
                raise _no_quantity(expr)
            judging.asked[self.cut(expr.span) or expr.name.text] = value
            return value

        return measured

    def _found(self, target: ast.Expr, judging: Judging) -> Measured | None:
        """Give the layers that `CONV1`, `trunk`, `vgg.FC8` or `vgg(v=A)` name, if any."""
        env = judging.claimed.env
        path = _path(target)
        if path is not None:
            said = ".".join(path)
            known = _part(judging.measured, env.scope.find_label(said), env.frame.prefix + said)
            if known.reports:
                return known
        first, rest = _first(target)
        name = first.target if isinstance(first, ast.Apply) else first
        callee = env.scope.value(name.text) if isinstance(name, ast.Name) else None
        if not isinstance(callee, Callee) or not isinstance(name, ast.Name):
            return None
        arguments = first.arguments if isinstance(first, ast.Apply) else ()
        alone, scope = self._by_itself(callee, arguments, name, env)
        inside = alone
        if rest:
            wanted = ".".join(rest)
            inside = _part(alone, scope.find_label(f"{callee.name}.{wanted}"), wanted)
        if not inside.reports:
            raise DiagnosticError(
                error("E0210", f"`{name.text}` has no layer called `{'.'.join(rest)}`", target.span)
            )
        return inside

    def _by_itself(
        self, callee: Callee, arguments: tuple[ast.Argument, ...], at: ast.Name, env: Env
    ) -> tuple[Measured, Scope]:
        """Elaborate a net or imported file as a network of its own, and analyse it."""
        counting = env.scope.find_counting()
        key = id(callee), tuple(self.cut(a.span) for a in arguments), counting
        if key in self.measured_nets:
            return self.measured_nets[key]
        frame = Frame(NetworkBuilder(callee.name, self.limits), title=callee.name)
        scope = Scope(env.scope)
        alone = Env(scope, frame, depth=1)
        kept = self.reports, self.missing, self.shared, self.visits, self.free
        self.reports, self.missing, self.shared = type(self.reports)(self.limits), [], {}
        self.visits, self.free = [], {}

        def use() -> Flow:
            words = ast.Words((at,), span=at.span)
            return self.run_callee(callee, arguments, words, alone, NOTHING)

        made = self.guarded(use)
        problems, missing = self.reports.errors, self.missing
        self.reports, self.missing, self.shared, self.visits, self.free = kept
        if problems:
            raise DiagnosticError(*problems)
        if made.broken or missing or not frame.records:
            raise DiagnosticError(
                error("E0505", f"`{callee.name}` is no network that can be measured", at.span)
            )
        reports = analyse(frame.builder.finish({}, {})).layers
        self.measured_nets[key] = Measured(reports, counting), scope
        return self.measured_nets[key]


def _part(measured: Measured, label: Label | None, name: str) -> Measured:
    """Give the layers of the line with a label, or else those called `name`."""
    if label is not None:
        made = label.made or tuple(stream.source for stream in label.flow.streams)
        found = measured.part(id(label), lambda: measured.called(source.name for source in made))
        if found.reports:
            return found
    return measured.part(name, lambda: measured.under(name))


def _no_quantity(expr: ast.Attr) -> DiagnosticError:
    return DiagnosticError(
        error(
            "E0505",
            f"a layer has no `{expr.name.text}`",
            expr.name.span,
            notes=(f"one may ask for {', '.join(QUANTITIES)}, size, h, w, c, field, step",),
        )
    )


def _path(expr: ast.Expr) -> tuple[str, ...] | None:
    """Give the names of `a.b.c`; nothing for another expression."""
    first, rest = _first(expr)
    if isinstance(first, ast.Name):
        return (first.text, *rest)
    if isinstance(first, ast.Index) and isinstance(first.target, ast.Name):
        inner = first.index
        return (f"{first.target.text}[{text_of(inner)}]", *rest)
    return None


def _first(expr: ast.Expr) -> tuple[ast.Expr, tuple[str, ...]]:
    rest: tuple[str, ...] = ()
    while isinstance(expr, ast.Attr):
        rest = (expr.name.text, *rest)
        expr = expr.target
    return expr, rest


def _shown(value: Value) -> str:
    if isinstance(value, ShapeValue):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else show(value)


def _computed(test: ast.Expr, evaluator: Evaluator, cut: Callable[[Span], str]) -> Iterator[str]:
    """Say what the side of a comparison that is no plain number comes to."""
    if not isinstance(test, ast.Compare):
        return
    for expr in test.operands:
        if isinstance(expr, ast.Number):
            continue
        try:
            value = evaluator.value(expr)
        except (DiagnosticError, HeldError):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        figures = [e for e in test.operands if isinstance(e, ast.Number)]
        units = [in_units_of(value, e, counting=evaluator.counting) for e in figures]
        if any(map(is_bytes, figures)):
            units.append(f"{value / 2**20:,.1f} MiB")
        also = [text for text in units if text]
        if isinstance(expr, ast.Name | ast.Attr) and not also:
            continue
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
        yield " = ".join([f"{cut(expr.span)} is {shown}", *also[:1]]) + (
            f" ({also[1]})" if also[1:] else ""
        )


def _names(expr: object) -> Iterator[str]:
    work = [expr]
    while work:
        item = work.pop()
        if isinstance(item, ast.Name):
            yield item.text
        elif isinstance(item, ast.Attr):
            work.append(item.target)
        elif isinstance(item, tuple):
            work += item
        elif is_dataclass(item) and not isinstance(item, Span):
            work += [getattr(item, f.name) for f in fields(item) if f.name != "span"]


def _largest(frame: Frame) -> str:
    counts = [
        (sum(math.prod(p.shape) for p in r.parameters if p.trainable), r.name)
        for r in frame.records
        if r.owner is None
    ]
    return _listed(counts, "no layer has parameters")


def _kept(reports: tuple[LayerReport, ...]) -> str:
    counts = [(r.activations, r.name) for r in reports if r.counted]
    return f"kept: {_listed(counts, 'nothing')}"


def _listed(counts: list[tuple[int, str]], nothing: str) -> str:
    having = [(count, name) for count, name in counts if count]
    if not having:
        return nothing
    shown = sorted(having, key=lambda item: -item[0])[:MOST_LAYERS]
    kept = [item for item in having if item in shown]
    listed = ", ".join(f"{name} {count:,}" for count, name in kept)
    more = len(having) - len(kept)
    rest = f", and {more} smaller ones" if more else ""
    return f"{listed}{rest}"
