"""Tensor types: an element type and a static shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

Shape = tuple[int, ...]


class DType(Enum):
    """Element types; the value is the name in printed graphs."""

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    I64 = "i64"
    I32 = "i32"
    U8 = "u8"
    BOOL = "bool"

    @property
    def nbytes(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy element type of the same name."""
        return _NUMPY[self]

    @property
    def is_float(self) -> bool:
        """Whether gradients flow through values of this type."""
        return self in (DType.F64, DType.F32, DType.F16)

    @classmethod
    def of(cls, dtype: np.dtype[np.generic]) -> DType:
        """Give the element type of a NumPy array; `ValueError` for one that graphs do not have."""
        for member, known in _NUMPY.items():
            if known == dtype:
                return member
        raise ValueError(f"graphs have no element type {dtype}")


_NUMPY: dict[DType, np.dtype[np.generic]] = {
    DType.F64: np.dtype(np.float64),
    DType.F32: np.dtype(np.float32),
    DType.F16: np.dtype(np.float16),
    DType.I64: np.dtype(np.int64),
    DType.I32: np.dtype(np.int32),
    DType.U8: np.dtype(np.uint8),
    DType.BOOL: np.dtype(np.bool_),
}


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape; the batch size is bound when a graph is made.

    >>> str(TensorType(DType.F32, (32, 1, 28, 28)))
    'f32[32,1,28,28]'
    """

    dtype: DType
    """Element type."""
    shape: Shape
    """Length of each axis; `()` for a scalar."""

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.nbytes

    def with_shape(self, shape: Shape) -> TensorType:
        """Give the type with the same elements and another shape."""
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        """Give the type with the same shape and other elements."""
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.value}[{','.join(map(str, self.shape))}]"


def f32(*shape: int) -> TensorType:
    """Make a single-precision type: `f32(2, 3)` is `f32[2,3]`."""
    return TensorType(DType.F32, shape)
