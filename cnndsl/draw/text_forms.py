"""Pictures as text for other tools: DOT for Graphviz, Mermaid for Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

from cnndsl.draw.colours import paint
from cnndsl.draw.scene import Box, Item, Scene


def to_dot(scene: Scene) -> str:
    """Give a `digraph` with clusters for blocks, sizes on the edges and counts of what repeats."""
    names = {box.key: f"n{number}" for number, box in enumerate(scene.boxes, 1)}
    lines = [
        f"digraph {json.dumps(scene.name, ensure_ascii=False)} {{",
        "  rankdir=TB;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=9, color="#7b8794"];',
        *_dot_items(scene.items, names, "  "),
    ]
    for source, target, size in _edges(scene):
        label = f" [label={json.dumps(size)}]" if size else ""
        lines.append(f"  {names[source]} -> {names[target]}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_items(items: tuple[Item, ...], names: dict[str, str], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Box):
            colours = paint(item.kind)
            label = json.dumps("\n".join(_lines(item)), ensure_ascii=False)
            look = f'fillcolor="{colours.fill}", color="{colours.stroke}"'
            yield f"{indent}{names[item.key]} [label={label}, {look}];"
            continue
        yield f"{indent}subgraph {json.dumps('cluster ' + item.key, ensure_ascii=False)} {{"
        label = json.dumps(_counted(item.title, item.copies), ensure_ascii=False)
        yield f'{indent}  label={label}; style="rounded"; fontname="Helvetica"; fontsize=11;'
        yield from _dot_items(item.children, names, indent + "  ")
        yield f"{indent}}}"


def to_mermaid(scene: Scene) -> str:
    """Give a `flowchart` with subgraphs for blocks, sizes on the edges, counts of what repeats."""
    names = {box.key: f"n{number}" for number, box in enumerate(scene.boxes, 1)}
    lines = ["flowchart TB", *_mermaid_items(scene.items, names, count(1), "  ")]
    for source, target, size in _edges(scene):
        label = f'|"{size}"|' if size else ""
        lines.append(f"  {names[source]} -->{label} {names[target]}")
    by_fill: dict[str, list[str]] = {}
    for box in scene.boxes:
        colours = paint(box.kind)
        look = f"fill:{colours.fill},stroke:{colours.stroke},color:#1f2933"
        by_fill.setdefault(look, []).append(names[box.key])
    for number, (look, members) in enumerate(by_fill.items(), 1):
        lines += [f"  classDef c{number} {look}", f"  class {','.join(members)} c{number}"]
    return "\n".join(lines) + "\n"


def _mermaid_items(
    items: tuple[Item, ...], names: dict[str, str], numbers: Iterator[int], indent: str
) -> Iterator[str]:
    for item in items:
        if isinstance(item, Box):
            label = "<br>".join(map(_mermaid_text, _lines(item)))
            yield f'{indent}{names[item.key]}("{label}")'
            continue
        title = _mermaid_text(_counted(item.title, item.copies))
        yield f'{indent}subgraph s{next(numbers)} ["{title}"]'
        yield from _mermaid_items(item.children, names, numbers, indent + "  ")
        yield f"{indent}end"


def _mermaid_text(text: str) -> str:
    """Write text so that Mermaid takes none of it for its own signs."""
    for sign, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(sign, code)
    return text


def _lines(box: Box) -> list[str]:
    words = [strip.words for strip in box.strips]
    if box.kind in ("input", "output") and not box.labelled:
        return words
    return [_counted(box.title, box.copies), *words]


def _counted(title: str, copies: int) -> str:
    return f"{title} ×{copies}".strip() if copies > 1 else title


def _edges(scene: Scene) -> Iterator[tuple[str, str, str]]:
    """Give (key of the source, key of the target, size)."""
    made = {outlet.value: (box.key, outlet.size) for box in scene.boxes for outlet in box.outlets}
    for box in scene.boxes:
        for value in box.inputs:
            source, size = made[value]
            yield source, box.key, size
