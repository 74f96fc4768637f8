"""Lines of sections, `optimizer: sgd(lr=0.1, momentum=0.9)`: words and values of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from cnndsl.frontend import ast
from cnndsl.frontend.closeness import instead, is_close, near
from cnndsl.frontend.evaluate import Evaluator
from cnndsl.frontend.here import text_of
from cnndsl.frontend.sections import Setting
from cnndsl.frontend.values import SizeValue, Symbol, Value, kind_of
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.source import Span


class AnyName(Collection[str]):
    """Every name: in sections a name without a value stands for itself."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class SectionLine:
    """One line of a section."""

    key: str
    """What stands before the colon, in lower case."""
    label: ast.Words
    """The same, as written."""
    parts: tuple[ast.Words, ...]
    """The words behind the colon, between commas."""
    evaluator: Evaluator
    """Works out its values."""
    span: Span
    """Where its value stands."""

    @property
    def items(self) -> list[ast.Word]:
        """All words behind the colon."""
        return [item for part in self.parts for item in part.items]

    def value(self) -> Value:
        """Give the one value of the line."""
        items = [i for i in self.items if not isinstance(i, ast.Remark)]
        if len(items) != 1:
            raise self.wrong("takes one value")
        return word_value(items[0], self.evaluator)

    def whole(self, least: int = 1) -> int:
        """Give the whole number of the line."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.wrong(f"is a whole number, at least {least}, not {kind_of(value)}")
        return value

    def number(self) -> float:
        """Give the number of the line, above 0."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise self.wrong(f"is a number above 0, not {kind_of(value)}")
        return float(value)

    def name(self) -> str:
        """Give the name of the line."""
        value = self.value()
        if not isinstance(value, str):
            raise self.wrong(f"is a name, not {kind_of(value)}")
        return str(value)

    def sides(self) -> tuple[int, int] | int:
        """Give the size `32x32` or the number of the line."""
        value = self.value()
        if isinstance(value, SizeValue) and len(value.dims) == 2 and None not in value.dims:
            return value.dims[0] or 0, value.dims[1] or 0
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise self.wrong(f"is a size such as 32x32, not {kind_of(value)}")

    def setting(self) -> Setting:
        """Give the line as a name with arguments; further parts are further arguments."""
        first, *rest = self.parts
        found = read_setting(first.items, self.evaluator, first.span)
        for part in rest:
            more = read_setting((_no_head(part), *part.items), self.evaluator, part.span)
            found = replace(
                found,
                args=(*found.args, *more.args),
                kwargs={**found.kwargs, **more.kwargs},
                span=self.span,
                spans={**found.spans, **more.spans},
            )
        return found

    def settings(self) -> tuple[Setting, ...]:
        """Give each part of the line as a name with arguments."""
        return tuple(read_setting(p.items, self.evaluator, p.span) for p in self.parts)

    def wrong(self, what: str) -> DiagnosticError:
        """Say that the line's value does not serve."""
        return DiagnosticError(error("E0207", f"`{self.key}` {what}", self.span))


def _no_head(part: ast.Words) -> ast.Name:
    return ast.Name("", span=part.span)


def read_lines(
    section: ast.Section, evaluator: Evaluator, known: Sequence[str], title: str
) -> Iterator[SectionLine | ast.Statement | DiagnosticError]:
    """Walk the lines of a section; statements that are no lines come as they are."""
    own = replace(evaluator, symbols=AnyName())
    for statement in section.body.statements:
        if not isinstance(statement, ast.Line) or _is_bare(statement):
            yield statement
            continue
        try:
            yield _line(statement, own, known, title)
        except DiagnosticError as problem:
            yield problem


def _is_bare(line: ast.Line) -> bool:
    return line.label is None


def _line(line: ast.Line, evaluator: Evaluator, known: Sequence[str], title: str) -> SectionLine:
    assert line.label is not None
    first = line.label.items[0]
    key = text_of(first).casefold()
    if key != "at":
        key = " ".join(text_of(w) for w in line.label.items).casefold().replace("_", " ")
    if key not in known:
        close = near(key, known, limit=3)
        asked = close and is_close(key, close[0])
        raise DiagnosticError(
            error(
                "E0214",
                f"`{title}` has no line `{key}`",
                line.label.span,
                label=f"did you mean `{close[0]}`?" if asked else "",
                fixes=instead(line.label.span, close[0] if asked else ""),
                notes=(f"its lines are: {', '.join(known)}",),
            )
        )
    parts = []
    for part in line.chain.parts:
        if not isinstance(part.element, ast.Words) or part.postfixes:
            raise DiagnosticError(
                error("E0213", f"`{key}` takes words and values", part.span, label="unexpected")
            )
        parts.append(part.element)
    return SectionLine(key, line.label, tuple(parts), evaluator, line.chain.span)


def word_value(item: ast.Word, evaluator: Evaluator) -> Value:
    """Give the value of one word; a name without a value stands for itself."""
    match item:
        case ast.Number() | ast.Size() | ast.String() | ast.Name():
            return evaluator.value(item)
        case ast.Sized(name=name, number=number):
            return Symbol(f"{name}-{number}")
        case ast.Dotted():
            return Symbol(text_of(item))
        case ast.Call(target=ast.Name() as target):
            return evaluator.value(ast.Apply(target, item.arguments, span=item.span))
        case ast.ShapeLiteral(dims=dims) if all(isinstance(d, int) for d in dims):
            return SizeValue(tuple(d for d in dims if isinstance(d, int)))
    raise DiagnosticError(error("E0204", f"`{text_of(item)}` is no value here", item.span))


def read_setting(items: Sequence[ast.Word], evaluator: Evaluator, span: Span) -> Setting:
    """Read a name with arguments, in words or in parentheses; raises `DiagnosticError`."""
    head, *rest = items
    args: list[Value] = []
    kwargs: dict[str, Value] = {}
    spans: dict[str, Span] = {}
    if isinstance(head, ast.Call):
        name = text_of(head.target)
        for argument in head.arguments:
            value = evaluator.value(argument.value)
            if argument.name is None:
                args.append(value)
            else:
                kwargs[argument.name.text] = value
                spans[argument.name.text] = argument.span
    elif isinstance(head, ast.Indexed) and not isinstance(head.index, ast.ShapeLiteral):
        name = text_of(head.target)
        args.append(tuple(evaluator.value(e) for e in head.index))
    elif isinstance(head, ast.Name | ast.Sized):
        name = str(word_value(head, evaluator)) if isinstance(head, ast.Sized) else head.text
    else:
        raise DiagnosticError(
            error("E0204", f"a name belongs here, not `{text_of(head)}`", head.span)
        )
    at = 0
    while at < len(rest):
        item = rest[at]
        following = rest[at + 1] if at + 1 < len(rest) else None
        if isinstance(item, ast.Name) and isinstance(following, ast.Number | ast.Size | ast.String):
            kwargs[item.text] = word_value(following, evaluator)
            spans[item.text] = item.span.to(following.span)
            at += 2
            continue
        if isinstance(item, ast.Indexed) and not isinstance(item.index, ast.ShapeLiteral):
            kwargs[text_of(item.target)] = tuple(evaluator.value(e) for e in item.index)
        elif not isinstance(item, ast.Remark):
            args.append(word_value(item, evaluator))
        at += 1
    return Setting(name.casefold(), tuple(args), kwargs, span, spans)
