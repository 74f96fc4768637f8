"""Definitions that use one another in a circle, and how large a program is before unrolling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from cnndsl.frontend import ast
from cnndsl.support.source import Span

Definition = ast.Block | ast.Net | ast.NetBinding


def uses(node: object, names: frozenset[str]) -> Iterator[ast.Name]:
    """Walk the places in a tree that may use one of `names`: heads of elements and calls."""
    work: list[object] = [node]
    while work:
        item = work.pop()
        match item:
            case ast.Words(items=items):
                first = items[0]
                target = first.target if isinstance(first, ast.Call) else first
                if isinstance(target, ast.Name) and target.text in names:
                    yield target
                work += [w for w in items if not isinstance(w, ast.Name)]
            case ast.Let(value=ast.Name() as value) if value.text in names:
                yield value
            case ast.Choose(then=then, other=other):
                yield from (e for e in (then, other) if isinstance(e, ast.Name) and e.text in names)
                work += [item.then, item.test, item.other]
            case tuple():
                work += item
            case _ if is_dataclass(item) and not isinstance(item, Span):
                work += [getattr(item, f.name) for f in fields(item) if f.name != "span"]


def find_cycle(definitions: Mapping[str, Definition]) -> list[tuple[str, Span]]:
    """Find definitions that use one another in a circle, each with where it uses the next."""
    names = frozenset(definitions)
    edges = {}
    for name, node in definitions.items():
        hidden = _hidden(node)
        found = uses(_inside(node), names)
        edges[name] = {use.text: use.span for use in found if use.text not in hidden}
    done: set[str] = set()
    for start in definitions:
        way: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(edges[start]))]
        while stack:
            name, following = stack[-1]
            if name not in way:
                way.append(name)
            step = next(following, None)
            if step is None:
                done.add(name)
                stack.pop()
                way.remove(name)
            elif step in way:
                circle = way[way.index(step) :]
                after = [*circle[1:], circle[0]]
                return [(a, edges[a][b]) for a, b in zip(circle, after, strict=True)]
            elif step not in done:
                stack.append((step, iter(edges[step])))
    return []


def _inside(node: Definition) -> object:
    return node.chain if isinstance(node, ast.NetBinding) else node.body


def _hidden(node: Definition) -> frozenset[str]:
    """Names that mean an argument inside a definition."""
    formals = () if isinstance(node, ast.NetBinding) else node.formals
    return frozenset(f.name.text for f in formals)
