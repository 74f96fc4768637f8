"""Canonical forms of ops that only move elements; every rule is exact."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cnndsl.ops  # noqa: F401 - fills OPS, which the table below walks
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import OPS, Op, Trait
from cnndsl.ir.rewrite import Match, Pattern, Rule, pattern, var
from cnndsl.ops.conv import conv2d
from cnndsl.ops.pad import pad
from cnndsl.ops.pool import avg_pool2d, max_pool2d
from cnndsl.ops.reduce import reduce_max, reduce_mean, reduce_sum
from cnndsl.ops.shape import (
    BroadcastToAttrs,
    ReshapeAttrs,
    TransposeAttrs,
    broadcast_to,
    concat,
    reshape,
    slice_,
    split,
    transpose,
)
from cnndsl.ops.unary import cast, identity
from cnndsl.support.diagnostics import TypeRuleError

X = var("x")


def _operand(b: Builder, match: Match) -> Value | None:
    """Give the operand, where it has the type of the result."""
    x = match.root.operands[0]
    return x if b.type_of(x) == match.root.type else None


def _merge_reshapes(b: Builder, match: Match) -> Value:
    return b.emit(reshape, match.values["x"], attrs=ReshapeAttrs(match.root.type.shape))


def _merge_transposes(b: Builder, match: Match) -> Value:
    outer, inner = match.root.attrs.permutation, match.nodes["inner"].attrs.permutation
    order = tuple(inner[axis] for axis in outer)
    return b.emit(transpose, match.values["x"], attrs=TransposeAttrs(order))


def _transpose_as_reshape(b: Builder, match: Match) -> Value | None:
    """Moving axes of length 1 only leaves the elements in their order."""
    shape = b.type_of(match.values["x"]).shape
    long = [axis for axis in match.root.attrs.permutation if shape[axis] != 1]
    if long != sorted(long):
        return None
    return _merge_reshapes(b, match)


def _merge_broadcasts(b: Builder, match: Match) -> Value:
    attrs = BroadcastToAttrs(match.root.type.shape)
    return b.emit(broadcast_to, match.values["x"], attrs=attrs)


def _reduce_as_reshape(b: Builder, match: Match) -> Value | None:
    """Reducing axes of length 1 leaves every element alone."""
    shape = b.type_of(match.values["x"]).shape
    if any(shape[axis] != 1 for axis in match.root.attrs.axes):
        return None
    return _merge_reshapes(b, match)


def _is_single_window(node: Node[Any]) -> bool:
    attrs = node.attrs
    return bool(
        attrs.window == (1, 1) and attrs.strides == (1, 1) and attrs.padding == ((0, 0), (0, 0))
    )


def _join_split(b: Builder, match: Match) -> Value | None:
    """Parts of one split laid end to end again."""
    parts = match.root.operands
    source = b.graph[parts[0]]
    if source.op is not split or source.attrs.axis != match.root.attrs.axis:
        return None
    return source.operands[0] if parts == source.results else None


def _pad_into_window(b: Builder, match: Match) -> Value | None:
    """Zeros around an image are the padding of the convolution that reads it."""
    inner = match.nodes["pad"].attrs
    lo, hi = inner.lo, inner.hi
    if inner.mode != "constant" or inner.value != 0 or any((*lo[:2], *hi[:2])):
        return None
    (top, bottom), (left, right) = match.root.attrs.padding
    padding = ((top + lo[2], bottom + hi[2]), (left + lo[3], right + hi[3]))
    attrs = replace(match.root.attrs, padding=padding)
    return b.emit(conv2d, match.values["x"], *match.root.operands[1:], attrs=attrs)


def _drop_broadcasts(b: Builder, match: Match) -> Value | None:
    """Elementwise ops broadcast by themselves: read what was broadcast, if the type stays."""
    operands = list(match.root.operands)
    for index, value in enumerate(operands):
        source = b.graph[value]
        if source.op is not broadcast_to:
            continue
        tried = [*operands[:index], source.operands[0], *operands[index + 1 :]]
        kinds = [b.type_of(operand) for operand in tried]
        with contextlib.suppress(TypeRuleError):
            if match.root.op.infer(match.root.attrs, *kinds) == match.root.types:
                operands = tried
    if tuple(operands) == match.root.operands:
        return None
    return b.emit(match.root.op, *operands, attrs=match.root.attrs)


def _any_operands(op: Op[Any], where: Callable[[Node[Any]], bool] | None = None) -> Pattern:
    return pattern(op, any_operands=True, where=where or (lambda node: True))


def _elementwise() -> list[Op[Any]]:
    return [
        op
        for op in OPS.values()
        if Trait.ELEMENTWISE in op.traits and (len(op.operands) > 1 or op.variadic)
    ]


LAYOUT: tuple[Rule, ...] = (
    Rule("identity of x is x", pattern(identity, X), _operand),
    Rule("cast to the type it has", pattern(cast, X), _operand),
    Rule("reshape to the shape it has", pattern(reshape, X), _operand),
    Rule(
        "reshape of a reshape",
        pattern(reshape, pattern(reshape, X, shared=True)),
        _merge_reshapes,
    ),
    Rule(
        "transpose of a transpose",
        pattern(transpose, pattern(transpose, X, name="inner", shared=True)),
        _merge_transposes,
    ),
    Rule("transpose of axes of length 1", pattern(transpose, X), _transpose_as_reshape),
    Rule("broadcast to the shape it has", pattern(broadcast_to, X), _operand),
    Rule(
        "broadcast of a broadcast",
        pattern(broadcast_to, pattern(broadcast_to, X, shared=True)),
        _merge_broadcasts,
    ),
    Rule("concat of one", pattern(concat, X), _operand),
    Rule("concat of a split's parts", _any_operands(concat), _join_split),
    Rule("slice of everything", pattern(slice_, X), _operand),
    Rule("split into one part", pattern(split, X), _operand),
    Rule("padding by nothing", pattern(pad, X), _operand),
    *(
        Rule("reduction of axes of length 1", pattern(op, X), _reduce_as_reshape)
        for op in (reduce_sum, reduce_mean, reduce_max)
    ),
    *(
        Rule("pooling of single elements", pattern(op, X, where=_is_single_window), _operand)
        for op in (max_pool2d, avg_pool2d)
    ),
    Rule(
        "padding by zeros before conv2d",
        pattern(conv2d, pattern(pad, X, name="pad", shared=True), any_operands=True),
        _pad_into_window,
    ),
    *(
        Rule("an elementwise op broadcasts by itself", _any_operands(op), _drop_broadcasts)
        for op in _elementwise()
    ),
)
"""Rules for reshape, transpose, broadcast_to, concat, split, slice, pad, cast and reductions."""
