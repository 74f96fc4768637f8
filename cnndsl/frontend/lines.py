"""Lines of a body: labels, stated sizes, claims, and where a patch puts another line."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from cnndsl.frontend import ast
from cnndsl.frontend.claims import Claims
from cnndsl.frontend.core import Env, Name
from cnndsl.frontend.flow import Flow
from cnndsl.frontend.heads import LayerHead, PseudoHead, find_head
from cnndsl.frontend.here import text_of
from cnndsl.frontend.instances import input_line
from cnndsl.frontend.naming import label_text
from cnndsl.frontend.scope import Scope
from cnndsl.support.diagnostics import DiagnosticError, error


class Lines(Claims):
    """Elaborates lines."""

    @abstractmethod
    def run_directive(self, line: ast.Line, env: Env, flow: Flow) -> Flow | None:
        """Elaborate a line that says something about layers; nothing if it is none."""

    def run_line(self, line: ast.Line, env: Env, flow: Flow) -> Flow:
        """Elaborate one line."""
        if line.where:
            env = env.within(Scope(env.scope, open_=True))
            self.bind_params(line.where, env, self.given, source="where")
        directed = self.run_directive(line, env, flow)
        if directed is not None:
            return directed
        replaced = self._patched(line, env)
        if replaced is None:
            return self._plain(line, env, flow)
        patch_line, scope = replaced
        inner = env.within(Scope(scope))
        made = self._plain(patch_line, inner, flow)
        owner = env.scope.owner()
        owner.labels.update(inner.scope.labels)
        for name, family in inner.scope.families.items():
            owner.families.setdefault(name, {}).update(family)
        return made

    def _patched(self, line: ast.Line, env: Env) -> tuple[ast.Line, Scope] | None:
        """Give the line that a patch puts in this one's place, and where its names live."""
        label = "input" if input_line(line) else label_text(line.label) if line.label else ""
        key = label.casefold() if label.casefold() == "input" else label
        for visit in env.visits():
            patch = visit.patch
            if patch is not None and label and key in patch.lines:
                patch.used.add(key)
                visit.changed = visit.changed or label
                return patch.lines[key], patch.scope
        return None

    def _plain(self, line: ast.Line, env: Env, flow: Flow) -> Flow:
        names = self._names(line, env)
        start = len(env.frame.records)
        if input_line(line) and _is_input(line, env):
            made = self._input(line, env)
        else:
            made = self.run_chain(line.chain, env, flow, names)
            if line.shape is not None and not made.broken:
                self._stated(line.shape, made, env)
        if names is not None and (line.label is not None) and names.names != (None,):
            self._label_line(line.label, made, env)
            self._remember(line.label, env, start)
        if line.claims and not made.broken:
            self.check_claims(line, made, env, env.frame.records[start:])
        if names is not None:
            self.stop_at(env, self._cut_name(line, env), made)
        return made

    def _remember(self, label: ast.Words, env: Env, start: int) -> None:
        """Keep which layers a labelled line made, for assertions about it."""
        labels = env.scope.owner().labels
        name = label_text(label)
        if name in labels:
            labels[name] = replace(labels[name], made=tuple(env.frame.records[start:]))

    def _stated(self, shape: ast.ShapeLiteral, flow: Flow, env: Env) -> None:
        try:
            self.expect(flow, shape, env)
        except DiagnosticError as problem:
            self.reports.add(*problem.diagnostics)

    def _label_line(self, label: ast.Words | None, flow: Flow, env: Env) -> None:
        assert label is not None
        first = label.items[0]
        if isinstance(first, ast.Through):
            names = through_names(first)
            for name in names[-1:]:
                self.label(ast.Name(name, span=label.span), flow, env)
            return
        self.label(label, flow, env)

    def _cut_name(self, line: ast.Line, env: Env) -> str:
        assert line.label is not None
        first = line.label.items[0]
        if isinstance(first, ast.Indexed):
            return self.alias_text(first, env)
        if isinstance(first, ast.Through):
            return through_names(first)[-1]
        return label_text(line.label)

    def _names(self, line: ast.Line, env: Env) -> Name | None:
        """Give the layers' names that a label says."""
        if line.label is None:
            return None
        first = line.label.items[0]
        if isinstance(first, ast.Sized):
            return Name(line.label, (None,))
        if isinstance(first, ast.Through):
            return Name(line.label, tuple(through_names(first)))
        if isinstance(first, ast.Indexed):
            return Name(line.label, (self._cut_name(line, env),))
        text = label_text(line.label)
        element = line.chain.parts[0].element
        words = element if isinstance(element, ast.Words) else None
        own = find_head(words.items, env.scope) if words is not None else None
        if text in env.scope.repeated and own is None:
            head = find_head(line.label.items, env.scope)
            if isinstance(head, LayerHead | PseudoHead):
                return Name(line.label, (None,))
        return Name(line.label, (text,))

    def _input(self, line: ast.Line, env: Env) -> Flow:
        """Elaborate `[227x227x3] INPUT`, `INPUT: [224x224x3]`, `input [28x28x1] - conv ..`."""
        first, *rest = line.chain.parts
        element = first.element
        assert isinstance(element, ast.Words)

        def declare() -> Flow:
            return self.run_input(element, env, line.shape)

        made = self.guarded(declare)
        for postfix in first.postfixes:
            if isinstance(postfix, ast.Expects) and not made.broken:
                self._stated(postfix.shape, made, env)
            elif isinstance(postfix, ast.Alias):
                self.label(postfix.name, made, env)
        if not rest:
            return made
        chain = ast.Chain(tuple(rest), line.chain.joints[1:], span=line.chain.span)
        return self.run_chain(chain, env, made)


def _is_input(line: ast.Line, env: Env) -> bool:
    """Tell whether no definition of the program takes the word `input` for itself."""
    element = line.chain.parts[0].element
    return isinstance(element, ast.Words) and env.scope.value("input") is None


def through_names(word: ast.Through) -> list[str]:
    """Give the labels of `CONV2..12` or `c2..c4`; raises `DiagnosticError` E0106."""
    start = text_of(word.start)
    stem = start.rstrip("0123456789")
    first = start[len(stem) :]
    if isinstance(word.stop, ast.Number):
        last = word.stop.text
    else:
        text = text_of(word.stop)
        last = text[len(stem) :] if text.startswith(stem) else ""
    if not first.isdigit() or not last.isdigit() or int(first) > int(last):
        raise DiagnosticError(
            error(
                "E0106",
                f"`{text_of(word)}` is no range of labels",
                word.span,
                helps=("a range of labels is `CONV2..12`",),
            )
        )
    return [f"{stem}{number}" for number in range(int(first), int(last) + 1)]
