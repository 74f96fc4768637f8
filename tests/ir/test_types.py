from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.types import DType, TensorType, f32


@pytest.mark.parametrize("dtype", DType)
def test_every_element_type_is_one_of_numpy(dtype: DType) -> None:
    assert DType.of(dtype.numpy) is dtype
    assert dtype.nbytes == np.zeros(3, dtype.numpy).nbytes // 3
    assert dtype.is_float == (dtype.numpy.kind == "f")


def test_strange_element_types_are_refused() -> None:
    with pytest.raises(ValueError, match="no element type complex64"):
        DType.of(np.dtype(np.complex64))


def test_sizes_and_text() -> None:
    kind = f32(2, 3, 4)
    assert (kind.rank, kind.size, kind.nbytes) == (3, 24, 96)
    assert str(kind) == "f32[2,3,4]"
    assert (str(f32()), f32().size) == ("f32[]", 1)
    assert f32(0, 5).nbytes == 0
    assert kind.with_shape((24,)) == f32(24)
    assert kind.with_dtype(DType.U8) == TensorType(DType.U8, (2, 3, 4))
