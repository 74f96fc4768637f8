"""How many layers a program makes at least, counted before anything is unrolled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnndsl.frontend import ast
from cnndsl.frontend.records import too_many_layers
from cnndsl.layers.base import find_layer
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

Definition = ast.Block | ast.Net


class Estimate:
    """Counts layers from below: literal repetitions count, conditions and unknown counts do not."""

    def __init__(self, limits: Limits) -> None:
        """Count against `limits.max_layers`."""
        self.limits = limits
        self.known: dict[int, int] = {}
        self.largest: dict[str, str] = {}
        self.way: list[str] = []

    def check(self, statements: Sequence[ast.Statement]) -> None:
        """Raise `TooLargeError` E0602 if the statements make too many layers."""
        self._statements(statements, {})

    def _statements(
        self, statements: Sequence[ast.Statement], outer: Mapping[str, Definition]
    ) -> int:
        own = {s.name.text: s for s in statements if isinstance(s, ast.Block | ast.Net)}
        names = {**outer, **own}
        total = 0
        for statement in statements:
            match statement:
                case ast.Line(chain=chain):
                    total += self._chain(chain, names)
                case ast.Repeat(body=body):
                    inner = self._statements(body.statements, names)
                    total += self._times(inner, _turns(statement.range), statement.range.span)
            self._refuse(total, statement.span)
        return total

    def _chain(self, chain: ast.Chain, names: Mapping[str, Definition]) -> int:
        total = 0
        for part in chain.parts:
            if any(isinstance(p, ast.Maybe | ast.When) for p in part.postfixes):
                continue
            count = self._element(part.element, names)
            for postfix in part.postfixes:
                if isinstance(postfix, ast.Times):
                    count = self._times(count, _turns(postfix.count), postfix.span)
            total += count
            self._refuse(total, part.span)
        return total

    def _element(self, element: ast.Element, names: Mapping[str, Definition]) -> int:
        match element:
            case ast.Bracket(chain=chain):
                return self._chain(chain, names)
            case ast.Parallel(branches=branches):
                return sum(self._chain(b.chain, names) for b in branches)
            case ast.Words(items=items):
                return self._words(items[0], names)
        return 0

    def _words(self, first: ast.Word, names: Mapping[str, Definition]) -> int:
        target = first.target if isinstance(first, ast.Call) else first
        if isinstance(target, ast.Sized):
            return 1
        if not isinstance(target, ast.Name):
            return 0
        definition = names.get(target.text)
        if definition is None:
            return int(find_layer([target.text]) is not None and target.text.casefold() != "id")
        if target.text in self.way:
            return 0
        if id(definition) not in self.known:
            self.way.append(target.text)
            hidden = {f.name.text for f in definition.formals}
            inner = {name: d for name, d in names.items() if name not in hidden}
            self.known[id(definition)] = self._statements(definition.body.statements, inner)
            self.way.pop()
            if self.way and self.known[id(definition)] > 1:
                self.largest[self.way[-1]] = target.text
        return self.known[id(definition)]

    def _times(self, count: int, turns: int, span: Span) -> int:
        if count * turns > self.limits.max_layers:
            layers = f"{count:,} layer" if count == 1 else f"{count:,} layers"
            raise too_many_layers(
                count * turns, self.limits, span, label=f"{layers}, {turns:,} times"
            )
        return count * turns

    def _refuse(self, total: int, span: Span) -> None:
        if total > self.limits.max_layers:
            way = [*self.way, *([names[-1]] if (names := list(self.largest)) else [])]
            while way and way[-1] in self.largest:
                way.append(self.largest[way[-1]])
            notes = (_uses(way),) if way else ()
            raise too_many_layers(
                self.limits.max_layers, self.limits, span, notes=(*notes, "nothing was built")
            )


def _turns(count: ast.Expr | ast.CountRange) -> int:
    """Give a literal number of turns; 1 for anything that has to be worked out."""
    match count:
        case ast.Number(value=int(value)):
            return value
        case ast.CountRange(start=start):
            return start
        case ast.Interval(start=ast.Number(value=int(a)), stop=ast.Number(value=int(b)), step=None):
            return max(0, b - a + 1)
        case ast.ListExpr(items=items):
            return len(items)
    return 1


def _uses(way: Sequence[str]) -> str:
    """Write which definition uses which: `b3` uses `b2`, which uses `b1`."""
    first, *rest = [f"`{name}`" for name in way[:12]]
    return f"{first} uses {', which uses '.join(rest)}" if rest else f"in {first}"
