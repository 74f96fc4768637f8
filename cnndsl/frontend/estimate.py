"""How many layers a program makes at least, counted before anything is unrolled.

Counts, conditions and arguments that are constants are worked out; what only the elaboration can
know counts as little as it may. Every definition is counted once for each way in which it is used.
"""

from __future__ import annotations

import string
from collections import ChainMap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.evaluate import Evaluator
from cnndsl.frontend.heads import SECTIONS
from cnndsl.frontend.here import text_of
from cnndsl.frontend.records import too_many_layers
from cnndsl.frontend.scope import HeldError
from cnndsl.frontend.values import RangeValue, Value
from cnndsl.layers.base import find_layer
from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

Definition = ast.Block | ast.Net

STEPS = 4
"""Steps of the elaboration that a program may take for each layer it may have."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What something unrolls to."""

    layers: int = 0
    """Layers."""
    steps: int = 0
    """Statements and elements."""

    def plus(self, other: Cost) -> Cost:
        """Add what follows."""
        return Cost(self.layers + other.layers, self.steps + other.steps)

    def times(self, turns: int) -> Cost:
        """Repeat."""
        return Cost(self.layers * turns, max(self.steps, 1) * turns)


@dataclass(frozen=True, slots=True)
class Known:
    """What names mean at a place."""

    definitions: ChainMap[str, Definition | None] = field(default_factory=ChainMap)
    """Blocks and nets, the innermost first; nothing for a name that means something else here."""
    constants: ChainMap[str, Value | None] = field(default_factory=ChainMap)
    """Values that nothing from outside can change, likewise."""

    def value(self, name: str) -> Value | None:
        """Give a constant, or nothing."""
        return self.constants.get(name)

    def known(self) -> Collection[str]:
        """Give the names of constants."""
        return [name for name, value in self.constants.items() if value is not None]

    def inside(self, *hidden: str) -> Known:
        """Give what names mean further in, where `hidden` are what only the elaboration knows."""
        return Known(
            self.definitions.new_child(dict.fromkeys(hidden)),
            self.constants.new_child(dict.fromkeys(hidden)),
        )


class Estimate:
    """Counts layers from below."""

    def __init__(self, limits: Limits) -> None:
        """Count against `limits.max_layers`."""
        self.limits = limits
        self.costs: dict[tuple[int, str], Cost] = {}
        self.largest: dict[str, str] = {}
        self.way: list[str] = []

    def check(self, statements: Sequence[ast.Statement]) -> None:
        """Raise `TooLargeError` E0602 if the statements make too many layers."""
        self._statements(statements, Known())

    # -------------------------------------------------------------- statements

    def _statements(self, statements: Sequence[ast.Statement], outer: Known) -> Cost:
        known = outer.inside()
        for definition in statements:
            if isinstance(definition, ast.Block | ast.Net):
                known.definitions[definition.name.text] = definition
        total = Cost()
        for statement in statements:
            match statement:
                case ast.Let(name=name, value=expr):
                    value = self._value(expr, known)
                    if value is not None:
                        known.constants[name.text] = value
                    total = total.plus(Cost(0, 1))
                case ast.Param(bindings=bindings):
                    hidden = dict.fromkeys(b.name.text for b in bindings)
                    known.constants.update(hidden)
                    known.definitions.update(hidden)
                case ast.Line():
                    total = total.plus(self._line(statement, known))
                case ast.Repeat():
                    total = total.plus(self._repeat(statement, known))
                case ast.If():
                    total = total.plus(self._if(statement, known))
            self._refuse(total, statement.span)
        return total

    def _line(self, line: ast.Line, known: Known) -> Cost:
        cost = self._chain(line.chain, known)
        first = line.label.items[0] if line.label is not None else None
        if isinstance(first, ast.Through) and isinstance(first.stop, ast.Number):
            digits = text_of(first.start).lstrip(f"{string.ascii_letters}_")
            turns = int(first.stop.value) - int(digits) + 1 if digits.isdigit() else 1
            return self._times(Cost(max(cost.layers, 1), cost.steps), turns, first.span)
        return cost

    def _repeat(self, statement: ast.Repeat, known: Known) -> Cost:
        hidden = [statement.variable.text] if statement.variable is not None else []
        inner = self._statements(statement.body.statements, known.inside(*hidden))
        return self._times(inner, self._turns(statement.range, known), statement.range.span)

    def _if(self, statement: ast.If, known: Known) -> Cost:
        branch: ast.Body | ast.If | None = statement
        while isinstance(branch, ast.If):
            test = self._value(branch.test, known)
            if not isinstance(test, bool):
                return Cost()
            branch = branch.then if test else branch.other
        return Cost() if branch is None else self._statements(branch.statements, known)

    # -------------------------------------------------------------- chains

    def _chain(self, chain: ast.Chain, known: Known) -> Cost:
        total = Cost()
        for part in chain.parts:
            total = total.plus(self._part(part, known))
            self._refuse(total, part.span)
        return total

    def _part(self, part: ast.Part, known: Known) -> Cost:
        cost = self._element(part.element, known).plus(Cost(0, 1))
        for postfix in part.postfixes:
            if isinstance(postfix, ast.Times):
                cost = self._times(cost, self._turns(postfix.count, known), postfix.span)
            elif isinstance(postfix, ast.When) and self._value(postfix.test, known) is not True:
                return Cost()
        return cost

    def _element(self, element: ast.Element, known: Known) -> Cost:
        match element:
            case ast.Bracket(chain=chain):
                return self._chain(chain, known)
            case ast.Parallel(branches=branches):
                total = Cost()
                for branch in branches:
                    total = total.plus(self._chain(branch.chain, known))
                return total
            case ast.Section(words=words, body=body):
                first = words.items[0]
                if isinstance(first, ast.Name) and first.text.casefold() not in SECTIONS:
                    return self._statements(body.statements, known)
            case ast.Words(items=items):
                return self._words(items[0], known)
        return Cost()

    def _words(self, first: ast.Word, known: Known) -> Cost:
        target = first.target if isinstance(first, ast.Call) else first
        if isinstance(target, ast.Sized):
            return Cost(1)
        if not isinstance(target, ast.Name):
            return Cost()
        definition = known.definitions.get(target.text)
        if definition is None:
            is_layer = find_layer([target.text]) is not None and target.text.casefold() != "id"
            return Cost(int(is_layer))
        if target.text in self.way:
            return Cost()
        arguments = first.arguments if isinstance(first, ast.Call) else ()
        inner = self._arguments(definition, arguments, known)
        names = [f.name.text for f in definition.formals]
        key = id(definition), repr([
            id(inner.definitions.get(n)) if (value := inner.value(n)) is None else value
            for n in names
        ])  # fmt: skip
        if key not in self.costs:
            self.way.append(target.text)
            self.costs[key] = self._statements(definition.body.statements, inner)
            self.way.pop()
            if self.way and self.costs[key].layers > 1:
                self.largest[self.way[-1]] = target.text
        return self.costs[key]

    def _arguments(
        self, definition: Definition, arguments: Sequence[ast.Argument], known: Known
    ) -> Known:
        """Give what names mean in a definition that is used with these arguments."""
        formals = [f.name.text for f in definition.formals]
        inner = known.inside(*formals)
        said = {f.name.text: f.default for f in definition.formals if f.default is not None}
        for at, argument in enumerate(arguments):
            if argument.name is not None:
                said[argument.name.text] = argument.value
            elif at < len(formals):
                said[formals[at]] = argument.value
        for name, expr in said.items():
            value = self._value(expr, known)
            if value is not None:
                inner.constants[name] = value
            elif isinstance(expr, ast.Name):
                inner.definitions[name] = known.definitions.get(expr.text)
        return inner

    # -------------------------------------------------------------- numbers

    def _value(self, expr: ast.Expr, known: Known) -> Value | None:
        """Work out a constant; nothing if something else than constants is needed."""
        try:
            return Evaluator(known, limits=self.limits).value(expr)
        except (DiagnosticError, HeldError):
            return None

    def _turns(self, count: ast.Expr | ast.CountRange, known: Known) -> int:
        """Give a constant number of turns; 1 for anything else."""
        if isinstance(count, ast.CountRange):
            return count.start
        if isinstance(count, ast.Number) and isinstance(count.value, int):
            return count.value
        if isinstance(count, ast.Interval) and isinstance(count.stop, ast.Number):
            start = self._value(count.start, known)
            if isinstance(start, int) and count.step is None:
                return max(0, int(count.stop.value) - start + 1)
        value = self._value(count, known)
        if isinstance(value, bool):
            return 1
        if isinstance(value, int):
            return max(0, value)
        if isinstance(value, RangeValue) and value.is_whole:
            return len(value)
        return len(value) if isinstance(value, tuple) else 1

    def _times(self, cost: Cost, turns: int, span: Span) -> Cost:
        count = cost.layers
        if count * turns > self.limits.max_layers:
            layers = f"{count:,} layer" if count == 1 else f"{count:,} layers"
            raise too_many_layers(
                count * turns, self.limits, span, label=f"{layers}, {turns:,} times"
            )
        repeated = cost.times(turns)
        if repeated.steps > STEPS * self.limits.max_layers:
            raise too_many_layers(
                self.limits.max_layers, self.limits, span, label=f"{turns:,} times", steps=True
            )
        return repeated

    def _refuse(self, total: Cost, span: Span) -> None:
        if total.layers > self.limits.max_layers:
            way = [*self.way, *([names[-1]] if (names := list(self.largest)) else [])]
            while way and way[-1] in self.largest:
                way.append(self.largest[way[-1]])
            notes = (_uses(way),) if way else ()
            raise too_many_layers(
                self.limits.max_layers, self.limits, span, notes=(*notes, "nothing was built")
            )


def _uses(way: Sequence[str]) -> str:
    """Write which definition uses which: `b3` uses `b2`, which uses `b1`."""
    first, *rest = [f"`{name}`" for name in way[:12]]
    return f"{first} uses {', which uses '.join(rest)}" if rest else f"in {first}"
