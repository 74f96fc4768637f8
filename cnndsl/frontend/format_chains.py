"""Chains and statements as text with marks, bodies left open (see `frontend.format`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.format_values import (
    BAR,
    RANGE,
    STRONG,
    SUM,
    bindings,
    condition,
    expr,
    formals,
    indexed,
    shape,
    words,
)


@dataclass(slots=True)
class Pieces:
    """A statement as text and bodies in turn."""

    parts: list[str | ast.Body] = field(default_factory=list)
    """Text with marks, and bodies that are laid out later."""
    cells: dict[str, str] = field(default_factory=dict)
    """A line's text by column, in order; empty for other statements."""

    def add(self, text: str) -> None:
        """Append text."""
        if self.parts and isinstance(self.parts[-1], str):
            self.parts[-1] += text
        else:
            self.parts.append(text)

    def bodies(self) -> list[ast.Body]:
        """Give the bodies in order."""
        return [part for part in self.parts if isinstance(part, ast.Body)]

    def inline(self) -> str | None:
        """Give everything as text with marks; nothing if a body was written on several lines."""
        out = ""
        for part in self.parts:
            if isinstance(part, str):
                out += part
                continue
            if part.statements and part.span.line != part.span.end_line:
                return None
            texts: list[str] = []
            for statement in part.statements:
                text = statement_pieces(statement).inline()
                if text is None:
                    return None
                texts.append(text)
            out += f"{{ {'; '.join(texts)} }}" if texts else "{}"
        return out


def statement_pieces(node: ast.Statement) -> Pieces:
    """Give the pieces of a statement."""
    out = Pieces()
    match node:
        case ast.Line():
            _line(out, node)
        case ast.Import(path=path, alias=alias):
            out.add(f'import "{path.value}"' + (f" as {alias.text}" if alias is not None else ""))
        case ast.Param():
            out.add(f"param {bindings(node.bindings)}")
        case ast.Let(name=name, value=value):
            out.cells.update({"let": f"let {name.text}", "core": f"= {expr(value)}"})
            out.add(" ".join(out.cells.values()))
        case ast.Block() | ast.Net():
            keyword = "block" if isinstance(node, ast.Block) else "net"
            out.add(f"{keyword} {node.name.text}{formals(node.formals)} ")
            out.parts.append(node.body)
        case ast.NetBinding(name=name):
            out.add(f"net {name.text} = ")
            _chain(out, node.chain)
        case ast.Repeat(variable=variable):
            out.add(f"repeat {variable.text} in " if variable is not None else "repeat ")
            out.add(f"{expr(node.range, RANGE)} ")
            out.parts.append(node.body)
            if node.expects is not None:
                out.add(f" => {shape(node.expects)}")
        case ast.If():
            _if(out, node)
        case ast.Assert(test=test, message=message):
            out.add(f"assert {expr(test)}")
            if message is not None:
                out.add(f' : "{message.value}"')
        case ast.Objective(value=value):
            before = f"{words(node.words)} " if node.words is not None else ""
            out.add(f"{before}minimize {expr(value)}")
    return out


def _if(out: Pieces, node: ast.If) -> None:
    branch: ast.If | ast.Body | None = node
    lead = ""
    while isinstance(branch, ast.If):
        out.add(f"{lead}if {expr(branch.test)} ")
        out.parts.append(branch.then)
        branch, lead = branch.other, " else "
    if branch is not None:
        out.add(lead)
        out.parts.append(branch)


def _line(out: Pieces, node: ast.Line) -> None:
    cells = out.cells
    if node.shape is not None:
        cells["shape"] = shape(node.shape)
    if node.label is not None:
        cells["label"] = f"{words(node.label)}:"
    *_, last = node.chain.parts
    ending = last.postfixes[-1] if last.postfixes else None
    core = Pieces()
    _chain(core, node.chain, leave_out=ending if isinstance(ending, ast.Expects) else None)
    if isinstance(ending, ast.Expects):
        cells["expects"] = expects(ending)
    for number, claim in enumerate(node.claims):
        cells[f"claim {number}"] = claim_text(claim)
    if node.where:
        cells["where"] = f"where {bindings(node.where)}"
    lead = [cells[key] for key in ("shape", "label") if key in cells]
    if lead:
        out.add(f"{' '.join(lead)} ")
    for part in core.parts:
        if isinstance(part, str):
            out.add(part)
        else:
            out.parts.append(part)
    rest = [key for key in cells if key not in ("shape", "label")]
    for key in rest:
        out.add((" " if key.startswith("claim") else BAR) + cells[key])
    text = core.inline()
    if text is None:
        cells.clear()
    else:
        cells["core"] = text


def claim_text(node: ast.Claim) -> str:
    """Give `memory: 224*224*64 = 3.2M`, the product tight as the slides print it."""
    text = f"{node.key.text}: {expr(node.value, SUM)}"
    if node.rounded is not None:
        text += f" = {expr(node.rounded, SUM)}"
    return text if node.remark is None else f"{text} {node.remark.text}"


def expects(node: ast.Expects) -> str:
    """Give `=> [55x55x96]`."""
    text = f"=> {shape(node.shape)}"
    return text if node.remark is None else f"{text} {node.remark.text}"


def _chain(out: Pieces, node: ast.Chain, leave_out: ast.Postfix | None = None) -> None:
    for index, part in enumerate(node.parts):
        if index:
            joint = node.joints[index - 1]
            out.add(f",{STRONG}" if joint == "," else f"{STRONG}{joint} ")
        element = part.element
        match element:
            case ast.Words():
                out.add(words(element))
            case ast.Section():
                out.add(f"{words(element.words)} ")
                out.parts.append(element.body)
            case ast.Bracket():
                out.add("[")
                _chain(out, element.chain)
                out.add("]")
            case ast.Parallel():
                _branches(out, element.branches)
        for postfix in part.postfixes:
            if postfix is not leave_out:
                out.add(_postfix(postfix))


def _branches(out: Pieces, branches: Sequence[ast.Branch]) -> None:
    out.add("(")
    for index, branch in enumerate(branches):
        if index:
            out.add(f"{BAR}| ")
        if branch.label is not None:
            out.add(f"{words(branch.label)}: ")
        _chain(out, branch.chain)
    out.add(")")


def _postfix(node: ast.Postfix) -> str:
    match node:
        case ast.Times(count=ast.CountRange(start=start, stop=stop)):
            return f" * {start}..{stop}"
        case ast.Times(count=ast.Number(text=text) | ast.Name(text=text)):
            return f" * {text}"
        case ast.Times(count=count) if not isinstance(count, ast.CountRange):
            return f" * ({expr(count)})"
        case ast.Maybe():
            return "?"
        case ast.When(test=test):
            return f" if {condition(test)}"
        case ast.Alias(name=name):
            shown = name.text if isinstance(name, ast.Name) else indexed(name)
            return f"{STRONG}as {shown}"
        case ast.Expects():
            return f"{STRONG}{expects(node)}"
    raise TypeError(f"{type(node).__name__} follows no element")
