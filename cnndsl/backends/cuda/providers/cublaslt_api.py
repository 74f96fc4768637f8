"""The few functions of cuBLASLt that are used, by ctypes: CuPy does not offer this library.

Numbers are those of `cublasLt.h` of CUDA 13. A matrix is described column by column, so a matrix
that lies row by row is described as its transpose. https://docs.nvidia.com/cuda/cublas/#using-the-cublaslt-api
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnndsl.support.diagnostics import BackendError

LIBRARY = "libcublasLt.so.13"

FLOAT, HALF, BFLOAT = 0, 2, 14
"""CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF."""
FULL, F16, BF16, TF32 = 68, 74, 75, 77
"""CUBLAS_COMPUTE_32F, and with factors rounded to halves (_FAST_16F), bf16 (_FAST_16BF) or tf32
(_FAST_TF32)."""
TURNED = 1
"""CUBLAS_OP_T."""
TRANSA, TRANSB, EPILOGUE, BIAS_POINTER = 3, 4, 7, 8
"""Attributes of a product: CUBLASLT_MATMUL_DESC_..."""
BATCH_COUNT, BATCH_STRIDE = 5, 6
"""Attributes of a matrix: CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT and _STRIDED_BATCH_OFFSET."""
MOST_WORKSPACE = 1
"""CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES."""
PLAIN, RELU, BIAS = 1, 2, 4
"""CUBLASLT_EPILOGUE_...; ReLU and bias together are the sum of theirs."""


class Algorithm(ctypes.Structure):
    """`cublasLtMatmulAlgo_t`: what to run; may be kept for the same version of the library."""

    _fields_ = (("data", ctypes.c_uint64 * 8),)


class Heuristic(ctypes.Structure):
    """`cublasLtMatmulHeuristicResult_t`: an algorithm and the workspace that it needs."""

    _fields_ = (
        ("algorithm", Algorithm),
        ("workspace", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


def find() -> str | None:
    """Give where the library lies: in NVIDIA's wheel, else where the system finds it."""
    spec = importlib.util.find_spec("nvidia")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in Path(place).glob(f"*/lib/{LIBRARY}"):
            return str(path)
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    return LIBRARY


Place = tuple[int, ctypes.c_void_p]
"""Where a matrix lies, and its description."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix as the library sees it: column by column."""

    rows: int
    """Of each column."""
    columns: int
    """How many."""
    batch: int = 1
    """Matrices one after the other."""
    stride: int = 0
    """Elements from one to the next; 0 where all are the same."""
    kind: int = FLOAT
    """Type of the elements."""


class CublasLt:
    """The library with a handle of its own; raises `BackendError` with its status."""

    def __init__(self, library: Any) -> None:
        """Begin with a loaded library, on the present device."""
        self._library = library
        self._handle = ctypes.c_void_p()
        self._check("cublasLtCreate", ctypes.byref(self._handle))

    def _check(self, name: str, *given: object) -> None:
        status = getattr(self._library, name)(*given)
        if status:
            raise BackendError(f"{name} gives the status {status}")

    def version(self) -> int:
        """Give the version: 130100."""
        ask: Callable[[], int] = self._library.cublasLtGetVersion
        self._library.cublasLtGetVersion.restype = ctypes.c_size_t
        return int(ask())

    def product(
        self, compute: int, *, turned_a: bool, turned_b: bool, epilogue: int
    ) -> ctypes.c_void_p:
        """Describe a product of two matrices; the description stays for good."""
        made = ctypes.c_void_p()
        self._check("cublasLtMatmulDescCreate", ctypes.byref(made), compute, FLOAT)
        for attribute, value in (
            (TRANSA, TURNED * turned_a),
            (TRANSB, TURNED * turned_b),
            (EPILOGUE, epilogue),
        ):
            self._set("cublasLtMatmulDescSetAttribute", made, attribute, ctypes.c_int32(value))
        return made

    def set_bias(self, product: ctypes.c_void_p, address: int) -> None:
        """Say where the bias of a product lies."""
        place = ctypes.c_void_p(address)
        self._set("cublasLtMatmulDescSetAttribute", product, BIAS_POINTER, place)

    def matrix(self, told: Matrix) -> ctypes.c_void_p:
        """Describe a matrix; the description stays for good."""
        made = ctypes.c_void_p()
        sizes = ctypes.c_uint64(told.rows), ctypes.c_uint64(told.columns)
        lead = ctypes.c_int64(told.rows)
        self._check("cublasLtMatrixLayoutCreate", ctypes.byref(made), told.kind, *sizes, lead)
        if told.batch > 1:
            name = "cublasLtMatrixLayoutSetAttribute"
            self._set(name, made, BATCH_COUNT, ctypes.c_int32(told.batch))
            self._set(name, made, BATCH_STRIDE, ctypes.c_int64(told.stride))
        return made

    def _set(self, name: str, what: Any, attribute: int, value: Any) -> None:
        size = ctypes.c_size_t(ctypes.sizeof(value))
        self._check(name, what, attribute, ctypes.byref(value), size)

    def heuristics(
        self,
        product: ctypes.c_void_p,
        a: ctypes.c_void_p,
        b: ctypes.c_void_p,
        result: ctypes.c_void_p,
        *,
        most: int,
        workspace: int,
    ) -> list[Heuristic]:
        """Ask for algorithms, the best guess first; none where the library knows none."""
        wish = ctypes.c_void_p()
        self._check("cublasLtMatmulPreferenceCreate", ctypes.byref(wish))
        try:
            name = "cublasLtMatmulPreferenceSetAttribute"
            self._set(name, wish, MOST_WORKSPACE, ctypes.c_uint64(workspace))
            found, count = (Heuristic * most)(), ctypes.c_int()
            status = self._library.cublasLtMatmulAlgoGetHeuristic(
                self._handle, product, a, b, result, result, wish, most, found, ctypes.byref(count)
            )
        finally:
            self._library.cublasLtMatmulPreferenceDestroy(wish)
        return [] if status else [one for one in found[: count.value] if not one.state]

    def multiply(
        self,
        product: ctypes.c_void_p,
        factors: tuple[Place, Place],
        added: int | None,
        result: Place,
        algorithm: Algorithm,
        workspace: tuple[int, int],
        stream: int,
    ) -> None:
        """Queue result = a b, plus what lies at `added`, on a stream."""
        one, kept = ctypes.c_float(1.0), ctypes.c_float(0.0 if added is None else 1.0)
        (a, a_matrix), (b, b_matrix), (place, matrix) = *factors, result
        self._check(
            "cublasLtMatmul",
            self._handle,
            product,
            ctypes.byref(one),
            ctypes.c_void_p(a),
            a_matrix,
            ctypes.c_void_p(b),
            b_matrix,
            ctypes.byref(kept),
            ctypes.c_void_p(place if added is None else added),
            matrix,
            ctypes.c_void_p(place),
            matrix,
            ctypes.byref(algorithm),
            ctypes.c_void_p(workspace[0]),
            ctypes.c_size_t(workspace[1]),
            ctypes.c_void_p(stream),
        )
