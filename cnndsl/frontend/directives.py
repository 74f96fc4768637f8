"""Lines that say something about layers: default, load, freeze, output, replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnndsl.frontend import ast
from cnndsl.frontend.closeness import is_close, near
from cnndsl.frontend.core import Env, Patch
from cnndsl.frontend.counting import read_counting
from cnndsl.frontend.flow import BROKEN, NOTHING, Flow, Stream
from cnndsl.frontend.heads import SECTIONS, LayerHead, find_head, layer_words
from cnndsl.frontend.here import text_of
from cnndsl.frontend.lines import Lines, through_names
from cnndsl.frontend.paths import check_path
from cnndsl.frontend.readings import Reading
from cnndsl.frontend.records import Frame, Record
from cnndsl.frontend.scope import NetDef, Scope
from cnndsl.frontend.words import WordReader
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

DIRECTIVES = frozenset(("default", "load", "freeze", "unfreeze", "output", "replace", "counting"))
"""First words of lines that are no chains."""


@dataclass(frozen=True, slots=True)
class Load:
    """Weights that a program asks for."""

    net: str
    """The net they belong to, as layers' names begin; empty for the program itself."""
    path: str
    """The file, as written: relative to the program's folder."""
    span: Span
    """Where."""
    fresh: tuple[str, ...] = ()
    """Labels of lines that a patch replaced: their layers start afresh."""


@dataclass(frozen=True, slots=True)
class Action:
    """A `freeze` or `unfreeze`, done when its network is complete."""

    frame: Frame
    """The namespace that its names are looked up in."""
    word: str
    """Which."""
    targets: tuple[ast.Word, ...]
    """Layers, ranges of layers, nets."""
    scope: Scope
    """What names mean there."""


class Directives(Lines):
    """Elaborates directives."""

    def __init__(self, limits: Limits) -> None:
        """Elaborate within `limits`."""
        super().__init__(limits)
        self.loads: list[tuple[Frame, Load]] = []
        self.actions: list[Action] = []

    def run_directive(self, line: ast.Line, env: Env, flow: Flow) -> Flow | None:
        """Elaborate a line that says something about layers; nothing if it is none."""
        words = line.label
        if words is None:
            element = line.chain.parts[0].element
            if isinstance(element, ast.Section):
                return self._section(element, env, flow)
            words = element if isinstance(element, ast.Words) else None
        if words is None or not isinstance(words.items[0], ast.Name):
            return None
        word = words.items[0].text.casefold()
        if word not in DIRECTIVES or env.scope.value(words.items[0].text) is not None:
            return None
        items = directive_words(line)
        match word:
            case "default":
                self._set_default(line, env, flow)
            case "load":
                self._load(items, words.span, env)
            case "freeze" | "unfreeze":
                self.actions.append(Action(env.frame, word, tuple(items), env.scope))
            case "output":
                return self._output(items, words.span, env, flow)
            case "counting":
                env.scope.owner().counting = read_counting(items, words.span)
            case "replace":
                raise DiagnosticError(
                    error(
                        "E0213",
                        "`replace` belongs in a patch",
                        words.span,
                        helps=("a patch is `net mine = other { replace LABEL: .. }`",),
                    )
                )
        return flow

    def _section(self, section: ast.Section, env: Env, flow: Flow) -> Flow | None:
        first = section.words.items[0]
        if not isinstance(first, ast.Name) or first.text.casefold() not in SECTIONS:
            return None
        if env.scope.value(first.text) is not None:
            return None
        if env.scope.parent is not None:
            raise DiagnosticError(
                error(
                    "E0213",
                    f"`{first.text}` belongs at the top of the program",
                    section.words.span,
                    label="not inside a block, a net or a loop",
                )
            )
        return flow

    # -------------------------------------------------------------- default

    def _set_default(self, line: ast.Line, env: Env, flow: Flow) -> None:
        """Read `default conv and depthwise: half, relu`."""
        if line.label is None or len(line.label.items) < 2:
            raise DiagnosticError(
                error(
                    "E0213",
                    "`default` says for which layer, then a colon, then the words",
                    line.span,
                    helps=("for example `default conv: half, relu`",),
                )
            )
        words: list[ast.Word] = []
        for part in line.chain.parts:
            if not isinstance(part.element, ast.Words) or part.postfixes:
                raise DiagnosticError(
                    error("E0213", "a default consists of words", part.span, label="unexpected")
                )
            words += part.element.items
        for item in line.label.items[1:]:
            if isinstance(item, ast.Name) and item.text == "and":
                continue
            head = find_head([item], env.scope)
            if not isinstance(head, LayerHead):
                known = near(text_of(item), layer_words(), limit=1)
                raise DiagnosticError(
                    error(
                        "E0201",
                        f"there is no layer called `{text_of(item)}`",
                        item.span,
                        label=f"did you mean `{known[0]}`?" if known else "",
                    )
                )
            reading = Reading(head.kind, item.span)
            WordReader(self.here(env, flow), words, reading).read()
            reading.shapes.clear()
            env.scope.defaults[head.kind.name] = reading

    # -------------------------------------------------------------- load, output

    def _load(self, items: Sequence[ast.Word], span: Span, env: Env) -> None:
        strings = [i for i in items if isinstance(i, ast.String)]
        others = [i for i in items if not isinstance(i, ast.String | ast.Remark)]
        if len(strings) != 1 or len(others) > 1:
            raise DiagnosticError(
                error(
                    "E0213",
                    "`load` takes one file",
                    span,
                    helps=('`load "weights.npz"`, or for a net `load trunk: "weights.npz"`',),
                )
            )
        path = strings[0]
        check_path(path, what="weights")
        if not path.value.casefold().endswith((".npz", ".safetensors")):
            raise DiagnosticError(
                error(
                    "E0607",
                    f"`{path.value}` is no weights file",
                    path.span,
                    label="weights are .npz or .safetensors",
                )
            )
        prefix = env.frame.prefix
        if others:
            name = text_of(others[0])
            if not isinstance(env.scope.value(name), NetDef):
                raise DiagnosticError(
                    error("E0210", f"there is no net called `{name}`", others[0].span)
                )
            prefix = f"{prefix}{name}."
        visit = env.visit
        fresh = tuple(visit.patch.lines) if visit is not None and visit.patch is not None else ()
        self.loads.append((env.frame, Load(prefix.removesuffix("."), path.value, span, fresh)))

    def _output(self, items: Sequence[ast.Word], span: Span, env: Env, flow: Flow) -> Flow:
        here = self.here(env, flow)
        builder = env.frame.builder
        named = [i for i in items if isinstance(i, ast.Name | ast.Dotted | ast.Indexed)]
        if len(named) != len(items) or not named:
            raise DiagnosticError(error("E0213", "`output` takes names of streams", span))
        streams: list[Stream] = []
        broken = False
        for item in named:
            found = here.flow(item)
            broken = broken or found.broken
            streams += found.streams
            if env.frame.parent is None and len(found.streams) == 1:
                builder.outputs[text_of(item)] = found.streams[0].source
        return BROKEN if broken else Flow(tuple(streams), span=span)

    # -------------------------------------------------------------- patches

    def read_patch(self, body: ast.Body, env: Env) -> Patch:
        """Read the lines of a patch; raises `DiagnosticError` E0213."""
        lines: dict[str, ast.Line] = {}
        scope = Scope(env.scope)
        for statement in body.statements:
            match statement:
                case ast.Let(name=name, value=value):
                    scope.bind(name.text, self.evaluator(env, NOTHING).value(value), name.span)
                case ast.Line(label=ast.Words(items=(ast.Name(text="replace"), *rest))) if rest:
                    assert statement.label is not None
                    span = rest[0].span.to(rest[-1].span)
                    label = ast.Words(tuple(rest), span=span)
                    line = ast.Line(
                        statement.shape,
                        label,
                        statement.chain,
                        statement.claims,
                        statement.where,
                        span=statement.span,
                    )
                    key = " ".join(text_of(w) for w in rest)
                    lines[key.casefold() if key.casefold() == "input" else key] = line
                case ast.Line() if _first_word(statement) in ("load", "freeze", "unfreeze"):
                    pass
                case _:
                    raise DiagnosticError(
                        error(
                            "E0213",
                            "a patch consists of `replace`, `load`, `freeze` and `unfreeze`",
                            statement.span,
                            label="unexpected",
                        )
                    )
        return Patch(lines, scope, body)

    def finish_patch(self, patch: Patch, env: Env) -> None:
        """Run the lines of a patch that act on the finished net: `load`, `freeze`."""
        env = replace(env, scope=patch.scope)
        for statement in patch.body.statements:
            if isinstance(statement, ast.Line) and _first_word(statement) in (
                "load",
                "freeze",
                "unfreeze",
            ):
                line = statement

                def run(line: ast.Line = line) -> Flow:
                    return self.run_directive(line, env, NOTHING) or NOTHING

                self.guarded(run)

    # -------------------------------------------------------------- actions

    def act(self, root: Frame, outer: Frame | None = None) -> None:
        """Do every `freeze` and `unfreeze` of a finished network, in order.

        Those of the program `outer` around a net act on the net by its name: `trunk.conv1`.
        """
        for action in self.actions:
            inside = action.frame.builder is root.builder
            if not inside and (outer is None or action.frame is not outer):
                continue
            for target in action.targets:
                if isinstance(target, ast.Remark) or text_of(target) in ("and", ""):
                    continue
                try:
                    found = (
                        self.layers_named(target, action.frame, action.scope)
                        if inside
                        else self._from_outside(target, root)
                    )
                except DiagnosticError as problem:
                    self.reports.add(*problem.diagnostics)
                    continue
                for record in found:
                    (record.owner or record).trainable = action.word == "unfreeze"

    def _from_outside(self, target: ast.Word, root: Frame) -> list[Record]:
        """Find the layers of a net that stands by itself, named as from outside."""
        name = f"{root.title}."
        if text_of(target) == root.title:
            return list(root.records)
        if isinstance(target, ast.Through):
            names = [text_of(target.start), text_of(target.stop)]
            if isinstance(target.stop, ast.Number):
                names[1] = through_names(target)[-1]
        else:
            names = [text_of(target)]
        if not all(n.startswith(name) for n in names):
            return []
        found = [self._layers(n.removeprefix(name), target, root, Scope()) for n in names]
        first, last = root.records.index(found[0][0]), root.records.index(found[-1][-1])
        return root.records[first : last + 1]

    def layers_named(self, target: ast.Word, frame: Frame, scope: Scope) -> list[Record]:
        """Find the layers that `conv1..FC7`, `trunk`, `FC8` name; raises E0210."""
        if isinstance(target, ast.Through):
            names = list(map(str, (text_of(target.start), text_of(target.stop))))
            if isinstance(target.stop, ast.Number):
                names[1] = through_names(target)[-1]
            ends = [self._layers(name, target, frame, scope) for name in names]
            if not ends[0] or not ends[1]:
                return []
            order = frame.builder.records
            first, last = order.index(ends[0][0]), order.index(ends[1][-1])
            return order[first : last + 1]
        return self._layers(text_of(target), target, frame, scope)

    def _layers(self, name: str, at: ast.Syntax, frame: Frame, scope: Scope) -> list[Record]:
        full = frame.prefix + name
        found = frame.builder.named.get(full)
        if isinstance(found, Record):
            return [found]
        inside = [r for r in frame.records if r.name.startswith(f"{full}.")]
        if inside:
            return inside
        label = scope.find_label(name)
        if label is not None:
            return [s.source for s in label.flow.streams if isinstance(s.source, Record)]
        if isinstance(scope.value(name.partition(".")[0]), NetDef):
            return []
        known = [r.name.removeprefix(frame.prefix) for r in frame.records]
        close = near(name, known, limit=3)
        raise DiagnosticError(
            error(
                "E0210",
                f"there is no layer called `{name}`",
                at.span,
                label=f"did you mean `{close[0]}`?"
                if close and is_close(name, close[0])
                else "not a layer of this network",
            )
        )


def directive_words(line: ast.Line) -> list[ast.Word]:
    """Give the words of a directive behind its first word, commas left out."""
    found: list[ast.Word] = list(line.label.items) if line.label is not None else []
    for part in line.chain.parts:
        if not isinstance(part.element, ast.Words) or part.postfixes:
            raise DiagnosticError(
                error("E0213", "this line consists of words", part.span, label="unexpected")
            )
        found += part.element.items
    return found[1:]


def _first_word(line: ast.Line) -> str:
    words = line.label
    if words is None:
        element = line.chain.parts[0].element
        words = element if isinstance(element, ast.Words) else None
    if words is None or not isinstance(words.items[0], ast.Name):
        return ""
    return words.items[0].text.casefold()
