"""Statements of a body, from top to bottom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env
from cnndsl.frontend.cycles import find_cycle
from cnndsl.frontend.directives import Directives
from cnndsl.frontend.flow import BROKEN, Flow
from cnndsl.frontend.given import Given
from cnndsl.frontend.naming import label_text
from cnndsl.frontend.scope import BlockDef, BrokenDef, NetDef, Scope
from cnndsl.frontend.values import Callee, RangeValue, Value, kind_of, show
from cnndsl.layers.base import find_layer
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, Severity, error
from cnndsl.support.diagnostics import Label as Mark
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

MOST_BROKEN = 32
"""Turns of a loop that are still elaborated after errors, for the labels they give."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An assertion, judged when its network is complete."""

    node: ast.Assert
    """As written."""
    env: Env
    """Where."""
    flow: Flow
    """What arrives there."""


class Statements(Directives):
    """Elaborates statements."""

    def __init__(self, limits: Limits) -> None:
        """Elaborate within `limits`."""
        super().__init__(limits)
        self.claimed: list[Claimed] = []
        self.cyclic: set[int] = set()

    def run_statements(self, statements: Sequence[ast.Statement], env: Env, flow: Flow) -> Flow:
        """Elaborate the statements of a body from top to bottom."""
        self.define(statements, env.scope)
        for statement in statements:
            self.step(env, statement.span)
            flow = self.guarded(partial(self._run_statement, statement, env, flow))
        return flow

    def bind_files(self, program: ast.Program, scope: Scope, files: Mapping[str, Callee]) -> None:
        """Bind the files that a program imports."""
        for statement in program.statements:
            if isinstance(statement, ast.Import) and statement.path.value in files:
                name = statement.alias or statement.path
                self._define(files[statement.path.value], name.span, scope)

    def _define(self, callee: Callee, span: Span, scope: Scope) -> bool:
        if isinstance(scope.values.get(callee.name), Callee):
            self.reports.add(_twice(callee.name, span, scope.spans[callee.name]))
            return False
        scope.bind(callee.name, callee, span)
        found = find_layer([callee.name])
        if found is not None and not isinstance(callee, BrokenDef):
            self.reports.add(
                warning(
                    "W0201",
                    f"`{callee.name}` hides the layer `{found[0].name}`",
                    span,
                    label="from here on the word means this",
                )
            )
        return True

    def define(self, statements: Sequence[ast.Statement], scope: Scope) -> None:
        """Bind what may be used before it is defined: blocks and nets."""
        labels = Counter(
            label_text(s.label) for s in statements if isinstance(s, ast.Line) and s.label
        )
        scope.repeated |= {text for text, count in labels.items() if count > 1}
        callees: list[Callee] = []
        for statement in statements:
            found: Callee | None = None
            name: ast.Syntax = statement
            match statement:
                case ast.Block():
                    name = statement.name
                    found = BlockDef(statement.name.text, statement, scope)
                case ast.Net() | ast.NetBinding():
                    name = statement.name
                    found = NetDef(statement.name.text, statement, scope)
            if found is not None and self._define(found, name.span, scope):
                callees.append(found)
        self._refuse_cycles(callees, scope)

    def _refuse_cycles(self, callees: Sequence[Callee], scope: Scope) -> None:
        own = [c for c in callees if isinstance(c, BlockDef | NetDef)]
        cycle = find_cycle({c.name: c.node for c in own})
        if not cycle:
            return
        way = " -> ".join([*(name for name, _ in cycle), cycle[0][0]])
        span = scope.spans[cycle[0][0]]
        self.cyclic |= {id(c) for c in own}
        self.reports.add(
            error(
                "E0603",
                f"`{cycle[0][0]}` is defined by itself",
                span,
                label=way,
                related=tuple(Mark(use, "used here") for _, use in cycle if use != span),
                helps=("`repeat` repeats; a definition cannot",),
            )
        )

    def is_cyclic(self, callee: Callee) -> bool:
        """Tell whether a definition uses itself; that was reported."""
        return id(callee) in self.cyclic

    def _run_statement(self, statement: ast.Statement, env: Env, flow: Flow) -> Flow:
        match statement:
            case ast.Line():
                return self.run_line(statement, env, flow)
            case ast.Param():
                self._param(statement, env)
            case ast.Let():
                self._let(statement, env, flow)
            case ast.Repeat():
                return self._run_repeat(statement, env, flow)
            case ast.If():
                return self._run_if(statement, env, flow)
            case ast.Assert():
                self.claimed.append(Claimed(statement, env, flow))
            case ast.Import() if env.scope.parent is not None:
                raise DiagnosticError(
                    error("E0213", "`import` belongs at the top of the program", statement.span)
                )
            case ast.Objective():
                raise DiagnosticError(
                    error(
                        "E0213",
                        "`minimize` belongs in `train { .. }`",
                        statement.span,
                        label="not in a network",
                    )
                )
        return flow

    def _param(self, statement: ast.Param, env: Env) -> None:
        if env.scope.parent is not None:
            raise DiagnosticError(
                error(
                    "E0213",
                    "`param` belongs at the top of the program",
                    statement.span,
                    helps=("a block or net takes arguments: `block b(c, stride=1) { .. }`",),
                )
            )
        own = env.visit is None
        given = self.given if env.visit is None else env.visit.given
        asked = {name: value for name, value in given.items() if isinstance(value, Given)}
        self.bind_params(statement.bindings, env, asked, own=own)

    def _let(self, statement: ast.Let, env: Env, flow: Flow) -> None:
        name = statement.name
        if name.text in env.scope.values:
            self.reports.add(_twice(name.text, name.span, env.scope.spans[name.text]))
            return
        value = self.evaluator(env, flow).value(statement.value)
        env.scope.bind(name.text, value, name.span)

    def _run_if(self, statement: ast.If, env: Env, flow: Flow) -> Flow:
        branch: ast.Body | ast.If | None = statement
        while isinstance(branch, ast.If):
            holds = self.evaluator(env, flow).truth(branch.test)
            branch = branch.then if holds else branch.other
        if branch is None:
            return flow
        inner = env.within(Scope(env.scope, open_=True))
        return self.run_statements(branch.statements, inner, flow)

    def _run_repeat(self, statement: ast.Repeat, env: Env, flow: Flow) -> Flow:
        broken = 0
        for value in self.turn_values(statement, env, flow):
            inner = self._turn(statement, value, env)
            flow = self.run_statements(statement.body.statements, inner, flow)
            broken += flow.broken
            if broken > MOST_BROKEN:
                break
        if statement.expects is not None and not flow.broken:
            self.expect(flow, statement.expects, env)
        return flow

    def _turn(self, statement: ast.Repeat, value: Value, env: Env) -> Env:
        """Give the place of one turn of a loop."""
        inner = env.within(Scope(env.scope, open_=True))
        name = statement.variable
        if name is None:
            return inner
        inner.scope.bind(name.text, value, name.span)
        return replace(inner, turns=(*env.turns, (name.text, show(value))))

    def turn_values(self, statement: ast.Repeat, env: Env, flow: Flow) -> Iterator[Value]:
        """Walk the values of a loop's variable."""
        if isinstance(statement.range, ast.Name) and env.scope.value(statement.range.text) is None:
            yield from range(self.turns(statement.range, env, flow))
            return
        value = self.evaluator(env, flow).value(statement.range)
        if isinstance(value, tuple) or (isinstance(value, RangeValue) and value.is_whole):
            yield from value
        elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            yield from range(value)
        else:
            raise DiagnosticError(
                error(
                    "E0505",
                    f"`repeat` takes a range, a list or a number of turns, not {kind_of(value)}",
                    statement.range.span,
                )
            )

    def run_block_lines(self, section: ast.Section, env: Env, flow: Flow) -> Flow:
        """Elaborate the lines of `concat { .. }` as branches."""
        inner = env.within(Scope(env.scope, open_=True))
        flows: list[Flow] = []
        self._branches(section.body.statements, inner, flow, flows)
        if any(f.broken for f in flows):
            return BROKEN
        return Flow(tuple(s for f in flows for s in f.streams), span=section.span)

    def _branches(
        self, statements: Sequence[ast.Statement], env: Env, flow: Flow, flows: list[Flow]
    ) -> None:
        self.define(statements, env.scope)
        for statement in statements:
            match statement:
                case ast.Line(shape=None, claims=(), where=()):
                    flows.append(
                        self.guarded(
                            partial(self.run_branch, statement.label, statement.chain, env, flow)
                        )
                    )
                case ast.If():
                    branch: ast.Body | ast.If | None = statement
                    while isinstance(branch, ast.If):
                        holds = self.evaluator(env, flow).truth(branch.test)
                        branch = branch.then if holds else branch.other
                    if branch is not None:
                        self._branches(branch.statements, env, flow, flows)
                case ast.Repeat():
                    for value in self.turn_values(statement, env, flow):
                        inner = self._turn(statement, value, env)
                        self._branches(statement.body.statements, inner, flow, flows)
                case _:
                    made = self.guarded(partial(self._run_statement, statement, env, flow))
                    if isinstance(statement, ast.Line):
                        flows.append(made)


def warning(code: str, message: str, span: Span, *, label: str) -> Diagnostic:
    """Make a diagnostic of severity warning."""
    return Diagnostic(Severity.WARNING, code, message, span, label)


def _twice(name: str, span: Span, known: Span) -> Diagnostic:
    related = (Mark(known, "first here"),) if known.file == span.file else ()
    return error("E0209", f"`{name}` is defined twice", span, label="again here", related=related)
