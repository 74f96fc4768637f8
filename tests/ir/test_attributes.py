from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import pytest

from cnndsl.ir.attributes import format_attribute, format_fields
from cnndsl.ir.op import Attrs
from cnndsl.ir.types import DType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.structural import Init, ParameterAttrs
from cnndsl.support.diagnostics import VerifyError


def test_defaults_are_left_out_but_never_what_only_equals_them() -> None:
    assert format_fields(Init()) == ""
    assert format_fields(Init(value=-0.0)) == "value=-0.0"
    assert format_fields(Init(value=0)) == "value=0"
    assert format_fields(ParameterAttrs(f32(1), trainable=False)) == "type=f32[1], trainable=false"


def test_values() -> None:
    class Colour(Enum):
        RED = 1

    shown = {
        format_attribute(value)
        for value in (None, True, (), (1,), (1, (2.5, "a")), b"\x00", DType.I64, relu, Colour.RED)
    }
    assert shown == {
        "none", "true", "()", "(1,)", '(1, (2.5, "a"))', 'bytes"AA=="', "i64", "@relu",
        "Colour.RED",
    }  # fmt: skip
    assert format_attribute(np.int64(3)) == "3"
    assert format_attribute(np.float64(0.5)) == "0.5"
    assert format_attribute(np.bool_(False)) == "false"


def test_what_has_no_text_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd(Attrs):
        things: object = None

    with pytest.raises(VerifyError, match="an attribute holds a list"):
        format_fields(Odd([1]))
