"""Inputs, parameters, constants."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.op import OPS, Trait
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.rules import MissingRuleError, reference
from cnndsl.ops.structural import (
    ConstantAttrs,
    FullAttrs,
    InputAttrs,
    ParameterAttrs,
    constant,
    full,
    input_,
    parameter,
)
from tests.ops.apply import apply


def test_the_type_is_the_attribute() -> None:
    kind = f32(2, 3)
    assert input_.infer(InputAttrs(kind)) == (kind,)
    assert parameter.infer(ParameterAttrs(kind)) == (kind,)
    assert full.infer(FullAttrs(kind, 1.0)) == (kind,)


def test_a_constant_gives_its_array_back() -> None:
    for array in (
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.asarray(2.5),
        np.asarray([True, False]),
        np.zeros((0, 3), np.uint8),
    ):
        attrs = ConstantAttrs.of(array)
        assert attrs.type == TensorType(DType.of(array.dtype), array.shape)
        assert np.array_equal(apply(constant, attrs=attrs), array)
        assert hash(attrs) == hash(ConstantAttrs.of(array.copy()))


def test_a_constants_array_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ConstantAttrs.of(np.ones(3)).array[0] = 2


def test_full_fills() -> None:
    found = apply(full, attrs=FullAttrs(TensorType(DType.I64, (2, 2)), 3.0))
    assert found.dtype == np.int64
    assert found.tolist() == [[3, 3], [3, 3]]


def test_only_inputs_and_parameters_are_not_computed() -> None:
    structural = {op.name for op in OPS.values() if Trait.STRUCTURAL in op.traits}
    assert structural == {"input", "parameter", "constant", "full"}
    with pytest.raises(MissingRuleError, match="input has no reference rule"):
        reference[input_]
