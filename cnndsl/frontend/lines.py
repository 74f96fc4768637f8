"""Lines of a body: labels, stated sizes, claims, and where a patch puts another line."""

from __future__ import annotations

import math
from abc import abstractmethod

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env, Name
from cnndsl.frontend.heads import LayerHead, PseudoHead, find_head
from cnndsl.frontend.here import text_of
from cnndsl.frontend.instances import Instances, input_line
from cnndsl.frontend.naming import label_text
from cnndsl.frontend.records import Record
from cnndsl.frontend.scope import Flow, Scope
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.source import Span

CLAIMS = ("memory", "params")
"""What a line can claim."""


class Lines(Instances):
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
        if line.claims and not made.broken:
            self._claims(line, made, env, env.frame.records[start:])
        if names is not None:
            self.stop_at(env, self._cut_name(line, env), made)
        return made

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

    # -------------------------------------------------------------- claims

    def _claims(self, line: ast.Line, flow: Flow, env: Env, records: list[Record]) -> None:
        for claim in line.claims:
            key = claim.key.text.casefold()
            if key == "memory":
                actual = math.prod(flow.size or ())
                what = f"{_product(flow)} numbers are kept here"
            elif key == "params":
                actual = sum(
                    math.prod(p.shape)
                    for r in records
                    for p in r.parameters
                    if p.trainable and not p.bias
                )
                what = f"the line has {actual:,} weights, biases left out"
            else:
                self.reports.add(
                    error(
                        "E0504",
                        f"a line claims {' or '.join(CLAIMS)}, not `{claim.key.text}`",
                        claim.key.span,
                    )
                )
                continue
            self._claim(claim, actual, what, env, flow)

    def _claim(self, claim: ast.Claim, actual: int, what: str, env: Env, flow: Flow) -> None:
        evaluator = self.evaluator(env, flow)
        value = evaluator.number(claim.value)
        exact = not (isinstance(claim.value, ast.Number) and _is_rounded(claim.value))
        if abs(value - actual) > (0 if exact else resolution(claim.value)):
            self.reports.add(_wrong_claim(claim, claim.value.span, f"{value:,}", what))
        elif claim.rounded is not None:
            rounded = evaluator.number(claim.rounded)
            if abs(rounded - actual) >= max(resolution(claim.rounded), 1):
                self.reports.add(_wrong_claim(claim, claim.rounded.span, f"{rounded:,}", what))


def _wrong_claim(claim: ast.Claim, span: Span, said: str, what: str) -> Diagnostic:
    return error(
        "E0504",
        f"the claim `{claim.key.text}: {said}` is wrong",
        span,
        label=what,
    )


def _product(flow: Flow) -> str:
    size = flow.size or ()
    text = "*".join(map(str, size))
    return text if len(size) == 1 else f"{text} = {math.prod(size):,}"


def _is_rounded(number: ast.Number) -> bool:
    return number.text[-1:] in "KMGTB" and number.text[-1:] != ""


def resolution(expr: ast.Expr) -> float:
    """Give how far off a rounded number may be: its last digit, or 1% where that is a zero.

    `3.2M` stands for anything that rounds or is cut to it, `400K` for 401,408 too.
    """
    if not isinstance(expr, ast.Number):
        return 1.0
    digits = expr.text.rstrip("KMGTiB%").replace("_", "").replace(",", "")
    _, _, fraction = digits.partition(".")
    shown = float(digits or 0)
    unit = expr.value / shown if shown else 1.0
    last = float(unit) * 10.0 ** -len(fraction)
    return max(last, abs(expr.value) / 100) if digits.endswith("0") and unit > 1 else last


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
