"""What is judged when a network is complete: assertions on its parameters and operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass

from cnndsl.frontend import ast
from cnndsl.frontend.records import Frame, NetworkBuilder, TooLargeError
from cnndsl.frontend.scope import HeldError
from cnndsl.frontend.statements import Claimed, Statements
from cnndsl.frontend.values import Value
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.source import Span

MOST_LAYERS = 8
"""Layers whose parameters are listed when an assertion about them fails."""


class Endings(Statements):
    """Judges assertions."""

    def judge(self, builder: NetworkBuilder, *, measured: Frame | None = None) -> None:
        """Judge every assertion of a complete network; reports E0503.

        Assertions are about the layers around them, or about those of `measured`.
        """
        for claimed in self.claimed:
            if claimed.env.frame.builder is not builder:
                continue
            try:
                found = self._judged(claimed, measured or claimed.env.frame)
            except TooLargeError:
                raise
            except DiagnosticError as problem:
                self.reports.add(*problem.diagnostics)
            except HeldError:
                continue
            else:
                if found is not None:
                    self.reports.add(found)

    def _judged(self, claimed: Claimed, frame: Frame) -> Diagnostic | None:
        node, env = claimed.node, claimed.env
        special = measures(frame)
        if self.evaluator(env, claimed.flow, special=special).truth(node.test):
            return None
        if env.dropped(node.span):
            return None
        used = [name for name in special if name in set(_names(node.test))]
        source = self.sources.get(node.span.file)
        text = source.cut(node.test.span) if source is not None else "this"
        notes = []
        if {"params", "weights"} & set(used):
            notes.append(_largest(frame))
        return error(
            "E0503",
            node.message.value if node.message is not None else f"`{text}` does not hold",
            node.test.span,
            label=", ".join(f"{name} = {_shown(special[name]())}" for name in used),
            notes=tuple(notes),
        )


def measures(frame: Frame) -> Mapping[str, Callable[[], Value]]:
    """Give what assertions may ask about a network."""
    return {
        "params": frame.parameters,
        "weights": frame.weights,
        "macs": frame.macs,
        "layers": lambda: len(frame.records),
    }


def _shown(value: Value) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _names(expr: object) -> Iterator[str]:
    work = [expr]
    while work:
        item = work.pop()
        if isinstance(item, ast.Name):
            yield item.text
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
    having = [(count, name) for count, name in counts if count]
    if not having:
        return "no layer has parameters"
    shown = sorted(having, key=lambda item: -item[0])[:MOST_LAYERS]
    kept = [item for item in having if item in shown]
    listed = ", ".join(f"{name} {count:,}" for count, name in kept)
    more = len(having) - len(kept)
    rest = f", and {more} smaller ones" if more else ""
    return f"{listed}{rest}"
