"""Canonical text of words and expressions, with marks where a long line may be broken.

The marks are characters that no program can hold outside comments (see `frontend.reading`).
"""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.frontend import ast

BAR = "\u202c"
"""A space at which a long line is broken first: between branches, before a condition on it all."""
STRONG = "\u2066"
"""A space between the parts of a chain."""
WEAK = "\u2067"
"""A space inside a call or an expression."""
TIGHT = "\u2068"
"""Nothing, at which a line may be broken as well."""

OR, AND, NOT, COMPARE, RANGE, SUM, TERM, FACTOR, POWER, PRIMARY = range(1, 11)
"""How tightly each kind of expression binds, as in the grammar; 0 takes everything."""

ARITHMETIC = {"+": (SUM, SUM, TERM), "-": (SUM, SUM, TERM), "^": (POWER, PRIMARY, FACTOR)}
"""An operator's own level and those of its operands; `* / %` are the rest."""


def level(node: ast.Expr) -> int:
    """Give how tightly an expression binds."""
    match node:
        case ast.Choose():
            return 0
        case ast.Logic(operator=operator):
            return OR if operator == "or" else AND
        case ast.Not():
            return NOT
        case ast.Compare() | ast.Member():
            return COMPARE
        case ast.Interval():
            return RANGE
        case ast.Arith(operator=operator):
            return ARITHMETIC.get(operator, (TERM, TERM, FACTOR))[0]
        case ast.Minus():
            return FACTOR
        case _:
            return PRIMARY


def expr(node: ast.Expr, need: int = 0) -> str:
    """Give the text of an expression where the grammar takes those of level `need` or tighter."""
    if level(node) < need:
        return f"({expr(node)})"
    match node:
        case ast.Number(text=text) | ast.Name(text=text):
            return text
        case ast.Size() | ast.String() | ast.Boolean():
            return _plain(node)
        case ast.Logic(operator=operator, operands=operands):
            need = AND if operator == "or" else NOT
            return f"{WEAK}{operator} ".join([expr(o, need) for o in operands])
        case ast.Not(operand=operand):
            return f"not {expr(operand, NOT)}"
        case ast.Compare():
            return _compare(node, RANGE)
        case ast.Member(item=item, container=container):
            return f"{expr(item, RANGE)} in {expr(container, RANGE)}"
        case ast.Arith(operator=operator, left=left, right=right):
            _, before, after = ARITHMETIC.get(operator, (TERM, TERM, FACTOR))
            sign = operator if operator in "*^" else f" {operator}{WEAK}"
            return expr(left, before) + sign + expr(right, after)
        case ast.Minus(operand=operand):
            return f"-{expr(operand, FACTOR)}"
        case ast.Attr(target=target, name=name):
            return f"{expr(target, PRIMARY)}.{name.text}"
        case ast.Index(target=target, index=index):
            return f"{expr(target, PRIMARY)}[{TIGHT}{expr(index)}]"
        case ast.Apply(target=target, arguments=arguments):
            return expr(target, PRIMARY) + call_arguments(arguments)
        case _:
            return _compound(node)


def _compound(node: ast.Expr) -> str:
    match node:
        case ast.Choose(then=then, test=test, other=other):
            return f"{expr(then, OR)} if {expr(test, OR)}{WEAK}else {expr(other)}"
        case ast.Interval(start=start, stop=stop, step=step):
            by = f" by {expr(step, SUM)}" if step is not None else ""
            return f"{expr(start, SUM)}..{expr(stop, SUM)}{by}"
        case ast.ListExpr(items=items):
            return listed("[", [expr(item) for item in items], "]")
        case ast.MapExpr(pairs=pairs):
            return listed("[", [f"{expr(key)}: {expr(value)}" for key, value in pairs], "]")
    raise TypeError(f"{type(node).__name__} is not an expression")


def _plain(node: ast.Size | ast.String | ast.Boolean) -> str:
    match node:
        case ast.Size(dims=dims, stride=stride):
            body = "x".join(["?" if d is None else str(d) for d in dims])
            return body if stride is None else f"{body}/{stride}"
        case ast.String(value=value):
            return f'"{value}"'
        case ast.Boolean(value=value):
            return "true" if value else "false"


def _compare(node: ast.Compare, need: int) -> str:
    text = expr(node.operands[0], need)
    for sign, operand in zip(node.operators, node.operands[1:], strict=True):
        text += f" {sign}{WEAK}{expr(operand, need)}"
    return text


def listed(opening: str, items: Sequence[str], closing: str) -> str:
    """Give `items` with commas between brackets."""
    return opening + TIGHT + f",{WEAK}".join(items) + closing


def call_arguments(arguments: Sequence[ast.Argument]) -> str:
    """Give the arguments of a call with their parentheses."""
    texts = []
    for argument in arguments:
        name = f"{argument.name.text}=" if argument.name is not None else ""
        texts.append(name + expr(argument.value))
    return listed("(", texts, ")") if texts else "()"


def condition(node: ast.Expr, need: int = 0) -> str:
    """Give the text of the test after a postfix `if`: no arithmetic outside parentheses."""
    if level(node) < need:
        return f"({expr(node)})"
    match node:
        case ast.Logic(operator=operator, operands=operands):
            need = AND if operator == "or" else NOT
            return f" {operator} ".join([condition(o, need) for o in operands])
        case ast.Not(operand=operand):
            return f"not {condition(operand, NOT)}"
        case ast.Compare():
            return _compare(node, PRIMARY).replace(WEAK, " ")
        case ast.Member(item=item, container=ast.Interval(step=None) as ends):
            span = f"{expr(ends.start, PRIMARY)}..{expr(ends.stop, PRIMARY)}"
            return f"{expr(item, PRIMARY)} in {span}"
        case ast.Member(item=item, container=container):
            return f"{expr(item, PRIMARY)} in {expr(container, PRIMARY)}"
        case _:
            return expr(node, PRIMARY)


# ------------------------------------------------------------------ words


def words(node: ast.Words) -> str:
    """Give the text of an element or a label."""
    return " ".join([word(item) for item in node.items])


def word(node: ast.Word) -> str:
    """Give the text of one word."""
    match node:
        case ast.Name(text=text) | ast.Number(text=text) | ast.Remark(text=text):
            return text
        case ast.Size() | ast.String():
            return _plain(node)
        case ast.Sized(name=name, number=number):
            return f"{name}-{number}"
        case ast.Dotted(parts=parts):
            return ".".join([part.text for part in parts])
        case ast.Through(start=start, stop=stop):
            return f"{word(start)}..{word(stop)}"
        case ast.Call(target=target, arguments=arguments):
            return word(target) + call_arguments(arguments)
        case ast.ShapeLiteral():
            return shape(node)
        case ast.Indexed():
            return indexed(node)


def indexed(node: ast.Indexed) -> str:
    """Give `skip[i]` tight, and `input [H x W x 3]` and `input [T]` as they were written."""
    target = word(node.target)
    if isinstance(node.index, ast.ShapeLiteral):
        return f"{target} {shape(node.index)}"
    before, after = node.target.span, node.index[0].span
    apart = after.line == before.end_line and after.column > before.end_column + 1
    texts = [expr(item) for item in node.index]
    items = listed("[", texts, "]")
    if apart:  # read again, a blank is known only where the index begins on the same line
        items = f" [{items[1:].lstrip(TIGHT)}"
    return f"{target}{items}"


def shape(node: ast.ShapeLiteral) -> str:
    """Give `[227x227x3]`, or `[H x W x 3]` if a name or arithmetic is among the sizes."""
    spaced = any(d is not None and not isinstance(d, int) for d in node.dims)
    return f"[{(' x ' if spaced else 'x').join(map(_length, node.dims))}]"


def _length(dim: int | str | ast.Expr | None) -> str:
    """Give one length: its sums and products as they are, everything else in parentheses."""
    match dim:
        case None:
            return "?"
        case int() | str():
            return str(dim)
        case ast.Number() | ast.Name():
            return expr(dim)
        case ast.Arith(operator="+" | "-" as sign, left=left, right=right):
            return f"{_length(left)} {sign} {_term(right)}"
        case ast.Arith(operator="*" | "/"):
            return _term(dim)
    return f"({expr(dim)})"


def _term(node: ast.Expr) -> str:
    """Give a product of lengths: factors that are no name or number stand in parentheses."""
    match node:
        case ast.Number() | ast.Name():
            return expr(node)
        case ast.Arith(operator="*" | "/" as sign, left=left, right=right):
            factor = right if isinstance(right, ast.Number | ast.Name) else None
            return f"{_term(left)}{sign}{expr(factor) if factor else f'({expr(right)})'}"
    return f"({expr(node)})"


def binding(node: ast.Binding) -> str:
    """Give `name`, `name = value` or `name in choices = value`."""
    text = node.name.text
    if node.choices is not None:
        text += f" in {expr(node.choices, RANGE)}"
    if node.default is not None:
        text += f" = {expr(node.default)}"
    return text


def bindings(nodes: Sequence[ast.Binding]) -> str:
    """Give bindings with commas."""
    return f",{STRONG}".join([binding(node) for node in nodes])


def formals(nodes: Sequence[ast.Binding]) -> str:
    """Give the formals of a block or net, tight as a call's arguments."""
    texts = [
        binding(node).replace(" = ", "=") if node.choices is None else binding(node)
        for node in nodes
    ]
    return listed("(", texts, ")") if nodes else ""
