"""Inputs, labels and stated sizes."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.frontend import ast
from cnndsl.frontend.chains import Chains
from cnndsl.frontend.core import Env, Visit
from cnndsl.frontend.explain import counted, wrong_size
from cnndsl.frontend.flow import BROKEN, NOTHING, Flow, Stream
from cnndsl.frontend.format_columns import FLAT
from cnndsl.frontend.format_values import shape as format_shape
from cnndsl.frontend.here import text_of, whole
from cnndsl.frontend.records import Entry, check_tensors
from cnndsl.frontend.scope import Label
from cnndsl.frontend.values import kind_of
from cnndsl.layers.base import Hwc, show_size
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.diagnostics import Label as Mark
from cnndsl.support.source import Span

ONLY_INPUT = "input"
"""Name of an input without a name."""


class Naming(Chains):
    """Elaborates inputs and labels, and checks stated sizes."""

    # -------------------------------------------------------------- labels

    def label(self, target: ast.Name | ast.Indexed | ast.Words, flow: Flow, env: Env) -> None:
        """Name a stream; raises `DiagnosticError` E0209 if the name is taken."""
        owner = env.scope.owner()
        first = target.items[0] if isinstance(target, ast.Words) else target
        if isinstance(first, ast.Indexed) and isinstance(first.target, ast.Name | ast.Dotted):
            self._label_member(first, flow, env)
            return
        name = label_text(target)
        known = owner.labels.get(name)
        if known is not None:
            raise _taken(name, target.span, known.span)
        owner.labels[name] = Label(flow, target.span)

    def _label_member(self, target: ast.Indexed, flow: Flow, env: Env) -> None:
        name = text_of(target.target)
        if isinstance(target.index, ast.ShapeLiteral) or len(target.index) != 1:
            raise DiagnosticError(error("E0106", "a label has one index", target.span))
        value = self.evaluator(env, flow).value(target.index[0])
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise DiagnosticError(
                error(
                    "E0505",
                    f"the index of a label is a whole number, not {kind_of(value)}",
                    target.span,
                )
            )
        family = env.scope.owner().families.setdefault(name, {})
        known = family.get(value)
        if known is not None:
            raise _taken(f"{name}[{value}]", target.span, known.span)
        family[value] = Label(flow, target.span)

    # -------------------------------------------------------------- inputs

    def run_input(self, words: ast.Words, env: Env, shape: ast.ShapeLiteral | None) -> Flow:
        """Elaborate `input x [32x32x3]`; `shape` is a size that stands before the word."""
        name, size = self._declared(words, env, shape)
        visit = env.visit
        if visit is not None and visit.fed:
            fed = self.guarded(lambda: self._fed(visit, size, words.span))
            self._name_input(name, fed, words.span, env)
            return fed
        if size is None:
            self._name_input(name, BROKEN, words.span, env)
            return self.unavailable("input of a free size", "sizes known at a run only", words.span)
        builder = env.frame.builder
        full = env.frame.prefix + (name or ONLY_INPUT)
        known = builder.named.get(full)
        if known is not None:
            raise _taken(name or "input", words.span, known.span)
        check_tensors("the input", (size,), self.limits, words.span)
        first = words.items[0]
        title = first.text if isinstance(first, ast.Name) else "INPUT"
        entry = Entry(full, size, words.span, name or title)
        builder.add_entry(entry)
        flow = Flow((Stream(entry, size, words.span),))
        self._name_input(name, flow, words.span, env)
        return flow

    def _name_input(self, name: str | None, flow: Flow, span: Span, env: Env) -> None:
        if name is not None:
            self.label(ast.Name(name, span=span), flow, env)

    def _declared(
        self, words: ast.Words, env: Env, shape: ast.ShapeLiteral | None
    ) -> tuple[str | None, Hwc | None]:
        """Read name and size of an input; no size if it is free."""
        name: str | None = None
        index: tuple[ast.Expr, ...] | ast.ShapeLiteral | None = shape
        for item in words.items:
            match item:
                case ast.Indexed(target=ast.Name(text=text)):
                    name = text if text.casefold() != "input" else name
                    index = item.index
                case ast.ShapeLiteral():
                    index = item
                case ast.Size():
                    index = (item,)
                case ast.Name(text=text) if text.casefold() == "input" and item is words.items[0]:
                    pass
                case ast.Name(text=text) if name is None:
                    name = text
                case ast.Remark():
                    pass
                case _:
                    raise DiagnosticError(
                        error(
                            "E0204",
                            f"`input` has no `{text_of(item)}`",
                            item.span,
                            label="unexpected",
                            helps=("an input is `input [32x32x3]` or `input name [32x32x3]`",),
                        )
                    )
        if index is None and env.visit is not None and env.visit.fed:
            return name, None
        if index is None:
            raise DiagnosticError(
                error(
                    "E0205",
                    "this input has no size",
                    words.span,
                    helps=("height x width x channels: `input [32x32x3]`",),
                )
            )
        return name, self._size(index, env, words.span)

    def _size(
        self, index: tuple[ast.Expr, ...] | ast.ShapeLiteral, env: Env, span: Span
    ) -> Hwc | None:
        free = _free_names(index, env)
        if free:
            return None
        value = self.here(env, NOTHING).shape(index)
        assert isinstance(value, tuple)
        dims = tuple(v for v in value if isinstance(v, int) and not isinstance(v, bool))
        if len(dims) != len(value) or len(dims) not in (1, 2, 3) or min(dims) < 1:
            raise DiagnosticError(
                error(
                    "E0207",
                    "the size of an input is height x width x channels, or one length",
                    span,
                    label="each number is a whole one, at least 1",
                )
            )
        return (*dims, 1) if len(dims) == 2 else dims

    def _fed(self, visit: Visit, size: Hwc | None, span: Span) -> Flow:
        if not visit.feeds:
            raise DiagnosticError(
                error(
                    "E0402",
                    f"`{visit.callee.name}` reads more streams than it was given",
                    visit.span,
                    label="too few streams arrive here",
                    helps=("give all of them: `(from x | from y) -> net`",),
                )
            )
        stream = visit.feeds.pop(0)
        visit.reads += 1
        if size is not None and stream.size != size:
            visit.changed = visit.changed or "its input"
        return Flow((stream,)).brought_by(visit.span)

    # -------------------------------------------------------------- stated sizes

    def expect(self, flow: Flow, shape: ast.ShapeLiteral, env: Env) -> None:
        """Check a size that the program states; raises `DiagnosticError` E0302."""
        if flow.broken or not flow.streams:
            return
        if len(flow.streams) > 1:
            raise DiagnosticError(
                error(
                    "E0302",
                    f"{counted(len(flow.streams), 'stream')} arrive here, not one "
                    f"{show_literal(shape)}",
                    shape.span,
                    label=" and ".join(show_size(s.size) for s in flow.streams),
                    helps=("join them first with `concat` or `add`",),
                )
            )
        here = self.here(env, flow)
        names = (ast.Name(d, span=shape.span) if isinstance(d, str) else d for d in shape.dims)
        wanted = tuple(
            d if d is None or isinstance(d, int) else whole(here.evaluator.value(d), d)
            for d in names
        )
        if fits(flow.streams[0].size, wanted):
            return
        if not env.dropped(shape.span):
            raise wrong_size(flow.streams[0], wanted, shape, env)


def fits(size: Hwc, wanted: Sequence[int | None]) -> bool:
    """Tell whether a size is the stated one; axes of length 1 may be left out.

    >>> fits((19, 19, 1), (19, 19)), fits((4096,), (1, 1, 4096)), fits((7, 7, 512), (7, 7, None))
    (True, True, True)
    """
    if len(size) == len(wanted):
        return all(b is None or a == b for a, b in zip(size, wanted, strict=True))
    short = [a for a in size if a != 1]
    asked = [b for b in wanted if b != 1]
    return len(short) == len(asked) and all(
        b is None or a == b for a, b in zip(short, asked, strict=True)
    )


def show_literal(shape: ast.ShapeLiteral) -> str:
    """Write a stated size."""
    return format_shape(shape).translate(FLAT)


def label_text(target: ast.Name | ast.Indexed | ast.Words) -> str:
    """Write a label as it is referred to: its words with single spaces."""
    if isinstance(target, ast.Words):
        return " ".join(text_of(w) for w in target.items)
    return text_of(target)


def _free_names(index: tuple[ast.Expr, ...] | ast.ShapeLiteral, env: Env) -> list[str]:
    if isinstance(index, ast.ShapeLiteral):
        return [
            d or "?"
            for d in index.dims
            if d is None or (isinstance(d, str) and env.scope.value(d) is None)
        ]
    sizes = [e for e in index if isinstance(e, ast.Size)]
    if any(None in size.dims for size in sizes):
        return ["?"]
    return [e.text for e in index if isinstance(e, ast.Name) and env.scope.value(e.text) is None]


def _taken(name: str, span: Span, known: Span) -> DiagnosticError:
    if known == span:
        helps = (f"give it an index: `{name}[i]` in `repeat i in ..`",)
        return DiagnosticError(
            error("E0209", f"`{name}` would be defined at every turn", span, helps=helps)
        )
    related = (Mark(known, "first here"),) if known.file == span.file else ()
    return DiagnosticError(
        error("E0209", f"`{name}` is defined twice", span, label="again here", related=related)
    )
