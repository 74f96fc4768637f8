"""The text of attributes: exact, and read back by ir/parser.py to equal ones."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import operator
from enum import Enum

import numpy as np

from cnndsl.ir.op import Op, ScalarChain
from cnndsl.ir.types import DType, TensorType
from cnndsl.support.diagnostics import VerifyError


def format_fields(record: object) -> str:
    """Give the fields of a record that differ from their defaults: `strides=(2, 2), groups=4`."""
    assert dataclasses.is_dataclass(record)
    shown: list[str] = []
    for entry in dataclasses.fields(record):
        text = format_attribute(getattr(record, entry.name))
        default: object = entry.default
        if entry.default_factory is not dataclasses.MISSING:
            default = entry.default_factory()
        # Texts are compared, not values: True == 1 and -0.0 == 0.0, but they are not the same.
        if default is dataclasses.MISSING or format_attribute(default) != text:
            shown.append(f"{entry.name}={text}")
    return ", ".join(shown)


def format_attribute(value: object) -> str:
    """Give the text of one attribute value; raises `VerifyError` for what text cannot hold."""
    if value is None or isinstance(value, bool | np.bool_):
        return {None: "none", True: "true", False: "false"}[None if value is None else bool(value)]
    if isinstance(value, int | np.integer):
        return str(operator.index(value))
    if isinstance(value, float | np.floating):
        return _format_float(float(value))
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bytes):
        return f'bytes"{base64.b64encode(value).decode("ascii")}"'
    if isinstance(value, tuple):
        inner = ", ".join(format_attribute(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return _format_object(value)


def _format_float(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return repr(value)


def _format_object(value: object) -> str:
    if isinstance(value, TensorType):
        return str(value)
    if isinstance(value, DType):
        return value.value
    if isinstance(value, Op):
        return f"@{value.name}"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, ScalarChain) and all(type(s.attrs) is s.op.attrs for s in value.steps):
        return _format_chain(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({format_fields(value)})"
    raise VerifyError(f"an attribute holds a {type(value).__name__}, which has no text: {value!r}")


def _format_chain(chain: ScalarChain) -> str:
    steps = []
    for step in chain.steps:
        attrs = format_fields(step.attrs)
        places = ", ".join(f"${place}" for place in step.operands)
        steps.append(f" {step.op.name}({places})" + (f" {{{attrs}}}" if attrs else ""))
    return f"[{chain.inputs}:{','.join(steps)}]"
