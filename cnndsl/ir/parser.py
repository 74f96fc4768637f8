"""Text to graph: reads what ir/printer.py writes.

Ops and the records in their attributes are found by name in `OPS`, so the caller imports the op
families (`import cnndsl.ops`) before it reads a graph.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import json
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from cnndsl.ir.graph import Graph, Node, NodeId, Origin, Value
from cnndsl.ir.op import OPS, Attrs, Op, ScalarChain, ScalarStep
from cnndsl.ir.types import DType, TensorType
from cnndsl.support.diagnostics import DiagnosticError, TypeRuleError, error
from cnndsl.support.resources import resource_dir
from cnndsl.support.source import SourceFile, Span
from cnndsl.support.suggest import nearest

_DTYPES = {dtype.value: dtype for dtype in DType}
_WORDS: dict[str, object] = {
    "none": None,
    "true": True,
    "false": False,
    "inf": float("inf"),
    "nan": float("nan"),
    **_DTYPES,
}


def parse_graph(text: str, *, file: str = "<graph>") -> Graph:
    """Read one graph; raises `DiagnosticError` with the place of what cannot be read.

    Nodes whose result types are left out get the inferred ones. Types that are written are
    believed, so that `verify` can judge a graph that was read.
    """
    source = SourceFile(file, text)
    try:
        tree = _lark().parse(text)
    except UnexpectedInput as unexpected:
        raise _unexpected(source, unexpected) from None
    return _Reader(source).graph(tree)


def _unexpected(source: SourceFile, unexpected: UnexpectedInput) -> DiagnosticError:
    lines = source.text.split("\n")
    line, column = unexpected.line, unexpected.column
    message = "the text of the graph ends too early"
    # The end of the text has no place of its own.
    if line < 1 or (isinstance(unexpected, UnexpectedToken) and unexpected.token.type == "$END"):
        line, column = len(lines), len(lines[-1]) + 1
    else:
        found = lines[line - 1][column - 1 : column + 19]
        message = f"this is not the text of a graph: unexpected {found!r}"
    span = Span(source.name, line, column, line, column + 1)
    return DiagnosticError(error("E0650", message, span), sources={source.name: source})


@functools.cache
def _lark() -> Lark:
    grammar = (resource_dir("grammars") / "ir.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True)


@functools.cache
def _records(op: Op[Any]) -> dict[str, type[Any]]:
    """Collect the records and enumerations that an op's attributes are or hold."""
    found: dict[str, type[Any]] = {}
    work: list[Any] = [op.attrs]
    while work:
        kind = work.pop()
        work.extend(typing.get_args(kind))
        if not isinstance(kind, type) or found.get(kind.__name__) is kind:
            continue
        if issubclass(kind, Enum):
            found[kind.__name__] = kind
        elif dataclasses.is_dataclass(kind) and kind is not Op:
            found[kind.__name__] = kind
            work.extend(typing.get_type_hints(kind).values())
    return found


class _Reader:
    """Turns the parse tree of one graph into a graph."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._op: Op[Any] | None = None

    def graph(self, tree: Tree[Token]) -> Graph:
        """Read a whole graph."""
        label, *statements = _trees(tree)
        graph = Graph(self._label(label))
        for statement in statements:
            getattr(self, f"_{statement.data}")(graph, statement)
        return graph

    def _node(self, graph: Graph, tree: Tree[Token]) -> None:
        ref, name, *rest = tree.children
        assert isinstance(ref, Token)
        assert isinstance(name, Token)
        node_id = self._value(ref)
        if node_id.index or node_id.node in graph:
            raise self._fail(ref, f"{ref} is not a new name for a node")
        op = self._op = self._find_op(name)
        parts = {part.data: part for part in rest if isinstance(part, Tree)}
        operands = tuple(self._known(graph, child) for child in _tokens(parts.get("operands")))
        attrs = self._make(op.attrs, parts.get("fields"), name)
        if "types" in parts:
            types = tuple(self._type(child) for child in _trees(parts["types"]))
        else:
            try:
                types = op.infer(attrs, *(graph.type_of(value) for value in operands))
            except TypeRuleError as refusal:
                raise self._fail(name, str(refusal)) from None
        span = self._span(ref)
        graph.add(Node(node_id.node, op, operands, attrs, types, Origin(span, "parse")))

    def _output(self, graph: Graph, tree: Tree[Token]) -> None:
        label, ref = tree.children
        assert isinstance(label, Tree)
        assert isinstance(ref, Token)
        graph.outputs[self._label(label)] = self._known(graph, ref)

    def _update(self, graph: Graph, tree: Tree[Token]) -> None:
        parameter, ref = _tokens(tree)
        graph.updates[self._known(graph, parameter).node] = self._known(graph, ref)

    def _known(self, graph: Graph, token: Token) -> Value:
        value = self._value(token)
        if value.node not in graph or value.index >= len(graph[value.node].types):
            raise self._fail(token, f"no node above makes {token}")
        return value

    def _value(self, token: Token) -> Value:
        text = str(token)[1:]
        end = text.rfind('"') if text.startswith('"') else 0
        name, _, index = text[end:].partition("#") if end else text.partition("#")
        name = self._string(token, text[: end + 1]) if end else name
        return Value(NodeId(name), int(index or 0))

    def _find_op(self, token: Token) -> Op[Any]:
        try:
            return OPS[str(token)]
        except KeyError as unknown:
            raise self._fail(token, str(unknown)) from None

    def _label(self, tree: Tree[Token]) -> str:
        (token,) = _tokens(tree)
        return self._string(token, token) if token.type == "STRING" else str(token)

    def _string(self, token: Token, text: str) -> str:
        try:
            return str(json.loads(text))
        except json.JSONDecodeError as broken:
            raise self._fail(token, f"this is not a string: {broken.msg}") from None

    def _make(self, record: type[Any], fields: Tree[Token] | None, place: Token) -> Any:
        values: dict[str, object] = {}
        known = [entry.name for entry in dataclasses.fields(record)]
        for entry in _trees(fields) if fields is not None else ():
            name, value = entry.children
            assert isinstance(name, Token)
            assert isinstance(value, Tree)
            if name not in known:
                close = nearest(name, known)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise self._fail(name, f"{record.__name__} has no field {str(name)!r}{hint}")
            values[str(name)] = self._attribute(value)
        try:
            return record(**values)
        except TypeError:
            missing = [
                entry.name
                for entry in dataclasses.fields(record)
                if entry.name not in values
                and entry.default is dataclasses.MISSING
                and entry.default_factory is dataclasses.MISSING
            ]
            raise self._fail(place, f"{record.__name__} needs {', '.join(missing)}") from None

    def _attribute(self, tree: Tree[Token]) -> object:
        kind = str(tree.data)
        if kind == "tuple":
            return tuple(self._attribute(item) for item in _trees(tree))
        if kind == "type":
            return self._type(tree)
        if kind == "record":
            token = tree.children[0]
            assert isinstance(token, Token)
            parts = _trees(tree)
            return self._make(self._class(token, Attrs), parts[0] if parts else None, token)
        if kind == "chain":
            return self._chain(tree)
        if kind == "member":
            owner, member = _tokens(tree)
            members = self._class(owner, Enum).__members__
            if member not in members:
                raise self._fail(member, f"{owner} has no member {str(member)!r}")
            return members[member]
        (token,) = _tokens(tree)
        readers: dict[str, Callable[[Token], object]] = {
            "word": self._word,
            "number": self._number,
            "text": lambda string: self._string(string, string),
            "data": self._bytes,
            "op": self._find_op,
        }
        return readers[kind](token)

    def _chain(self, tree: Tree[Token]) -> ScalarChain:
        (inputs,) = _tokens(tree)
        if not inputs.isdecimal() or len(inputs) > 9:
            raise self._fail(inputs, "a chain begins with the number of its inputs")
        steps: list[ScalarStep] = []
        for step in _trees(tree):
            name = step.children[0]
            assert isinstance(name, Token)
            places, *fields = _trees(step)
            op = self._find_op(name)
            attrs = self._make(op.attrs, _trees(fields[0])[0] if fields else None, name)
            read = []
            for place in _tokens(places):
                if int(place[1:]) >= int(inputs) + len(steps):
                    raise self._fail(place, f"nothing before this step is {place}")
                read.append(int(place[1:]))
            steps.append(ScalarStep(op, attrs, tuple(read)))
        return self._chain_record(inputs)(int(inputs), tuple(steps))

    def _chain_record(self, token: Token) -> type[ScalarChain]:
        """Find the record that holds chains: the op's own before another op's."""
        assert self._op is not None
        for op in (self._op, *OPS.values()):
            for found in _records(op).values():
                if issubclass(found, ScalarChain):
                    return found
        raise self._fail(token, "no op has a chain among its attributes")

    def _word(self, token: Token) -> object:
        if token not in _WORDS:
            raise self._fail(token, f"{str(token)!r} is not a value")
        return _WORDS[token]

    def _number(self, token: Token) -> int | float:
        is_integer = token.lstrip("-").isdigit()
        return int(token) if is_integer else float(token)

    def _bytes(self, token: Token) -> bytes:
        try:
            return base64.b64decode(token[len('bytes"') : -1], validate=True)
        except binascii.Error as broken:
            raise self._fail(token, f"this is not base64: {broken}") from None

    def _type(self, tree: Tree[Token]) -> TensorType:
        name, *lengths = _tokens(tree)
        if name not in _DTYPES:
            raise self._fail(name, f"{str(name)!r} is not an element type")
        if not all(length.isdigit() for length in lengths):
            raise self._fail(name, "the lengths of a type's axes are whole numbers")
        return TensorType(_DTYPES[name], tuple(int(length) for length in lengths))

    def _class(self, token: Token, kind: type[Any]) -> type[Any]:
        """Find the record or enumeration called `token`: the op's own before another op's."""
        assert self._op is not None
        for op in (self._op, *OPS.values()):
            found = _records(op).get(token)
            if found is not None and (kind is not Enum or issubclass(found, Enum)):
                return found
        raise self._fail(token, f"no op has a record called {str(token)!r}")

    def _span(self, token: Token) -> Span:
        line, column = token.line or 1, token.column or 1
        end_line, end_column = token.end_line or line, token.end_column or column + 1
        return Span(self._source.name, line, column, end_line, end_column)

    def _fail(self, token: Token, message: str) -> DiagnosticError:
        found = error("E0650", message, self._span(token))
        return DiagnosticError(found, sources={self._source.name: self._source})


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if isinstance(child, Tree)]


def _tokens(tree: Tree[Token] | None) -> Iterator[Token]:
    return (child for child in (tree.children if tree else ()) if isinstance(child, Token))
