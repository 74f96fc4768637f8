"""Chains: parts in a row, what stands behind them, and parallel branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env, Name
from cnndsl.frontend.flow import BROKEN, Flow
from cnndsl.frontend.heads import (
    FILLERS,
    CalleeHead,
    LayerHead,
    MissingHead,
    PseudoHead,
    find_head,
    find_label_head,
)
from cnndsl.frontend.here import text_of
from cnndsl.frontend.layering import Layering
from cnndsl.frontend.places import MAYBE, TIMES
from cnndsl.frontend.scope import Scope
from cnndsl.frontend.strangers import unknown_head
from cnndsl.frontend.values import show
from cnndsl.support.diagnostics import DiagnosticError, error

VALUES = (ast.Number, ast.Size, ast.ShapeLiteral, ast.Remark)
DENSE_WORDS = ("neurons", "neuron", "units", "unit")
"""Fillers that say that a layer is a dense one."""


class Inner(Protocol):
    """Elaborates a part without its last postfix."""

    def __call__(self, arriving: Flow, label: Name | None = ...) -> Flow:
        """Elaborate once."""


class Chains(Layering):
    """Elaborates chains."""

    def run_chain(self, chain: ast.Chain, env: Env, flow: Flow, name: Name | None = None) -> Flow:
        """Elaborate a chain; `name` is the label of its line.

        `CONV2..12: 192 3x3 filters, relu` is the whole chain eleven times.
        """
        if name is not None and len(name.names) > 1:
            for one in name.names:
                flow = self.run_chain(chain, env, flow, replace_name(name, one))
            return flow
        before: ast.Part | None = None
        for index, (part, joint) in enumerate(self._joined(chain, env, name)):
            label = name if index == 0 else None
            flow = self._run_part(part, len(part.postfixes), env, flow, label, (before, joint))
            before = part
        return flow

    def _joined(self, chain: ast.Chain, env: Env, name: Name | None) -> list[tuple[ast.Part, str]]:
        """Let clauses behind a comma join the layer before it."""
        parts: list[tuple[ast.Part, str]] = [(chain.parts[0], "")]
        for part, joint in zip(chain.parts[1:], chain.joints, strict=True):
            last, _ = parts[-1]
            if joint == "," and self._belongs(part, last, env, name if len(parts) == 1 else None):
                assert isinstance(last.element, ast.Words)
                assert isinstance(part.element, ast.Words)
                items = (*last.element.items, *part.element.items)
                words = ast.Words(items, span=last.element.span.to(part.element.span))
                merged = ast.Part(
                    words, (*last.postfixes, *part.postfixes), span=last.span.to(part.span)
                )
                parts[-1] = merged, parts[-1][1]
            else:
                parts.append((part, joint))
        return parts

    def _belongs(self, part: ast.Part, last: ast.Part, env: Env, name: Name | None) -> bool:
        if not isinstance(part.element, ast.Words) or not isinstance(last.element, ast.Words):
            return False
        first = part.element.items[0]
        if isinstance(first, VALUES):
            return True
        if not isinstance(first, ast.Name):
            return False
        head = find_head(last.element.items, env.scope)
        if head is None and name is not None:
            head = find_label_head(name.words.items, env.scope)
        if not isinstance(head, LayerHead):
            return False
        texts = [w.text for w in part.element.items if isinstance(w, ast.Name)]
        if head.kind.find_clause(texts) is not None:
            return True
        return first.text.casefold() in FILLERS and find_head(part.element.items, env.scope) is None

    def _run_part(
        self,
        part: ast.Part,
        count: int,
        env: Env,
        flow: Flow,
        name: Name | None,
        before: tuple[ast.Part | None, str],
    ) -> Flow:
        """Elaborate an element with its first `count` postfixes."""
        if count == 0:
            self.step(env, part.span)
            return self.guarded(lambda: self._run_element(part.element, env, flow, name, before))
        postfix = part.postfixes[count - 1]

        def inner(arriving: Flow, label: Name | None = name) -> Flow:
            return self._run_part(part, count - 1, env, arriving, label, before)

        match postfix:
            case ast.Times():
                return self.guarded(lambda: self._repeat(postfix, inner, env, flow))
            case ast.Maybe():
                return self._maybe(part, postfix, inner, flow)
            case ast.When():
                return self.guarded(
                    lambda: inner(flow) if self.evaluator(env, flow).truth(postfix.test) else flow
                )
            case ast.Alias():
                made = inner(flow)
                return self.guarded(lambda: self._alias(postfix, made, env))
            case ast.Expects():
                made = inner(flow)
                return self.guarded(lambda: self._expects(postfix, made, env))

    def _alias(self, postfix: ast.Alias, flow: Flow, env: Env) -> Flow:
        self.label(postfix.name, flow, env)
        self.stop_at(env, self.alias_text(postfix.name, env), flow)
        return flow

    def alias_text(self, name: ast.Name | ast.Indexed, env: Env) -> str:
        """Write an alias as `until` and messages name it: `c[5]`."""
        if isinstance(name, ast.Indexed) and not isinstance(name.index, ast.ShapeLiteral):
            value = self.evaluator(env, BROKEN).value(name.index[0])
            return f"{text_of(name.target)}[{show(value)}]"
        return text_of(name)

    def _expects(self, postfix: ast.Expects, flow: Flow, env: Env) -> Flow:
        if not flow.broken:
            try:
                self.expect(flow, postfix.shape, env)
            except DiagnosticError as problem:
                self.reports.add(*problem.diagnostics)
        return flow

    def _repeat(self, times: ast.Times, inner: Inner, env: Env, flow: Flow) -> Flow:
        if isinstance(times.count, ast.CountRange):
            least, most = times.count.start, times.count.stop
            place = self.choose(TIMES, least, most, usual=least, span=times.span)
            turns = most if self.exploring else place.value
        else:
            place, turns = None, self.turns(times.count, env, flow)
        for turn in range(turns):
            with self.within(place):
                flow = inner(flow) if turn == 0 else inner(flow, None)
            if flow.broken and not self.exploring:
                break
            self.step(env, times.span)
        return flow

    def _maybe(self, part: ast.Part, postfix: ast.Maybe, inner: Inner, flow: Flow) -> Flow:
        """Elaborate `POOL?`: taken unless somebody says otherwise."""
        words = part.element.items if isinstance(part.element, ast.Words) else ()
        first = words[0] if words else None
        stem = first.text if isinstance(first, ast.Name) else MAYBE
        place = self.choose(stem, 0, 1, usual=1, span=postfix.span)
        if not place.value and not self.exploring:
            return flow
        with self.within(place):
            return inner(flow)

    def turns(self, count: ast.Expr, env: Env, flow: Flow) -> int:
        """Work out how often something is repeated."""
        if isinstance(count, ast.Name) and env.scope.value(count.text) is None:
            free = self.free_count(count, env)
            if free is not None:
                return free
        turns = self.evaluator(env, flow).whole(count, "a number of turns")
        if turns < 0:
            raise DiagnosticError(
                error("E0505", f"nothing can be repeated {turns} times", count.span)
            )
        return turns

    # -------------------------------------------------------------- elements

    def _run_element(
        self,
        element: ast.Element,
        env: Env,
        flow: Flow,
        name: Name | None,
        before: tuple[ast.Part | None, str],
    ) -> Flow:
        match element:
            case ast.Words():
                return self._run_words(element, env, flow, name, before)
            case ast.Parallel():
                return self._run_parallel(element, env, flow, name)
            case ast.Bracket():
                return self.run_chain(element.chain, self._open(env), flow, name)
            case ast.Section():
                return self._run_section(element, env, flow)

    def _open(self, env: Env) -> Env:
        return env.within(Scope(env.scope, open_=True))

    def _run_parallel(self, group: ast.Parallel, env: Env, flow: Flow, name: Name | None) -> Flow:
        if len(group.branches) == 1 and group.branches[0].label is None:
            return self.run_chain(group.branches[0].chain, self._open(env), flow, name)
        flows = []
        for branch in group.branches:
            made = self.run_branch(branch.label, branch.chain, env, flow)
            flows.append(made.brought_by(branch.chain.parts[-1].span) if flow is made else made)
        return join(flows, group)

    def run_branch(self, label: ast.Words | None, chain: ast.Chain, env: Env, flow: Flow) -> Flow:
        """Elaborate one branch of several."""
        inner = self._open(env)
        if label is None:
            return self.run_chain(chain, inner, flow)
        made = self.run_chain(chain, inner, flow, Name(label, (text_of(label.items[0]),)))
        self.label(label, made, inner)
        return made

    def _run_section(self, section: ast.Section, env: Env, flow: Flow) -> Flow:
        head = find_head(section.words.items, env.scope)
        if isinstance(head, CalleeHead):
            return self.run_callee(
                head.callee,
                head.arguments,
                section.words,
                env,
                flow,
                patch=section.body,
            )
        if isinstance(head, LayerHead):
            joined = self.run_block_lines(section, env, flow)
            return self.run_layer(head, section.words, env, joined, None, head.used)
        if isinstance(head, MissingHead):
            return self.unavailable(head.word, head.what, section.words.span)
        raise unknown_head(section.words.items[0], env.scope)

    def _run_words(
        self,
        words: ast.Words,
        env: Env,
        flow: Flow,
        name: Name | None,
        before: tuple[ast.Part | None, str],
    ) -> Flow:
        head = find_head(words.items, env.scope)
        if head is None and name is not None:
            head = find_label_head(name.words.items, env.scope)
            if isinstance(head, LayerHead):
                own = replace_head(head)
                return self.run_layer(own, words, env, flow, name, 0)
            if isinstance(head, PseudoHead) and head.word == "input":
                shape = words.items[0]
                literal = shape if isinstance(shape, ast.ShapeLiteral) else None
                return self.run_input(words, env, literal)
        match head:
            case LayerHead():
                return self.run_layer(head, words, env, flow, name, head.used)
            case CalleeHead():
                return self.run_callee(head.callee, head.arguments, words, env, flow)
            case MissingHead():
                return self.unavailable(head.word, head.what, words.items[0].span)
            case PseudoHead():
                return self._run_pseudo(head, words, env, flow)
        last = before[0].element if before[0] is not None else None
        previous = last.items[-1] if isinstance(last, ast.Words) else None
        if name is not None and not isinstance(words.items[0], ast.Name | ast.Call | ast.Sized):
            raise _headless(words, name)
        raise unknown_head(words.items[0], env.scope, before=previous, joint=before[1])

    def _run_pseudo(self, head: PseudoHead, words: ast.Words, env: Env, flow: Flow) -> Flow:
        match head.word:
            case "input":
                return self.run_input(words, env, None)
            case "from":
                return self._run_from(words, env, flow)
        raise DiagnosticError(
            error(
                "E0213",
                f"`{head.word}` stands on a line of its own",
                words.span,
                helps=("end the chain before it",),
            )
        )

    def _run_from(self, words: ast.Words, env: Env, flow: Flow) -> Flow:
        here = self.here(env, flow)
        rest = words.items[1:]
        named = [w for w in rest if isinstance(w, ast.Name | ast.Indexed | ast.Dotted)]
        if len(rest) != 1 or not named:
            raise DiagnosticError(
                error(
                    "E0202",
                    "`from` takes the name of one stream",
                    words.span,
                    helps=("for several write `(from a | from b)`",),
                )
            )
        item = named[0]
        return here.flow(item).brought_by(words.span)


def replace_name(name: Name, label: str | None) -> Name:
    """Give a label with one layer's name."""
    return replace(name, names=(label,))


def replace_head(head: LayerHead) -> LayerHead:
    """Give the head that a label is: it uses none of the element's words."""
    return replace(head, used=0)


def join(flows: Sequence[Flow], group: ast.Syntax) -> Flow:
    """Put the streams of branches side by side."""
    streams = tuple(s for flow in flows for s in flow.streams)
    if any(flow.broken for flow in flows):
        return BROKEN
    return Flow(streams, span=group.span)


def _headless(words: ast.Words, name: Name) -> DiagnosticError:
    text = " ".join(text_of(w) for w in name.words.items)
    said = " ".join(text_of(w) for w in words.items)
    neurons = any(isinstance(w, ast.Name) and w.text in DENSE_WORDS for w in words.items)
    what, kind = ("dense layer", "fc") if neurons else ("convolution", "conv")
    return DiagnosticError(
        error(
            "E0201",
            f"neither `{text}` nor what follows names a layer",
            words.items[0].span,
            label="expected a layer",
            helps=(f"for a {what} write `{text}: {kind} {said}`",),
        )
    )
