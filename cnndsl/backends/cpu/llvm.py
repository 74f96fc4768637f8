"""LLVM types, values and modules as text; nothing here needs llvmlite."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.ir.types import DType


@dataclass(frozen=True, slots=True)
class LType:
    """A scalar or a vector of scalars."""

    kind: str
    """"float", "double", "i1", "i8", "i32", "i64", "ptr"."""
    lanes: int = 0
    """Elements of a vector; 0 for a scalar."""

    def __str__(self) -> str:
        return f"<{self.lanes} x {self.kind}>" if self.lanes else self.kind

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point type."""
        return self.kind in ("float", "double")

    @property
    def scalar(self) -> LType:
        """The type of one element."""
        return LType(self.kind)

    @property
    def nbytes(self) -> int:
        """Bytes of one element."""
        return _BYTES[self.kind]

    @property
    def mangled(self) -> str:
        """As intrinsics spell it: "v16f32"."""
        return (f"v{self.lanes}" if self.lanes else "") + _MANGLED[self.kind]

    def times(self, lanes: int) -> LType:
        """Give the vector of `lanes` such elements; the scalar for 0."""
        return LType(self.kind, lanes)


_BYTES = {"float": 4, "double": 8, "i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "ptr": 8}
_MANGLED = {"float": "f32", "double": "f64", "ptr": "p0"} | {
    name: name for name in ("i1", "i8", "i16", "i32", "i64")
}

F32 = LType("float")
F64 = LType("double")
I1 = LType("i1")
I8 = LType("i8")
I16 = LType("i16")
I32 = LType("i32")
I64 = LType("i64")
PTR = LType("ptr")

_OF_DTYPE = {
    DType.F64: F64,
    DType.F32: F32,
    DType.I64: I64,
    DType.I32: I32,
    DType.U8: I8,
    DType.BOOL: I8,
}


def llvm_type(dtype: DType) -> LType:
    """Give the type of an element in memory; `KeyError` for f16, which the backend refuses."""
    return _OF_DTYPE[dtype]


@dataclass(frozen=True, slots=True)
class V:
    """A value of the code being written."""

    text: str
    """As it is read: "%7", "3", "zeroinitializer"."""
    type: LType
    """Its type."""

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


Index = int | V
"""An i64 that is known now, or when the code runs."""


def constant(kind: LType, value: float) -> V:
    """Give a constant; a vector has it in every lane."""
    one = _literal(kind, value)
    if not kind.lanes:
        return V(one, kind)
    return vector_constant(kind, [value] * kind.lanes)


def vector_constant(kind: LType, values: list[float] | list[int]) -> V:
    """Give a vector of constants."""
    if not any(values) and all(str(value)[0] != "-" for value in values):
        return V("zeroinitializer", kind)
    scalar = kind.scalar
    return V("<" + ", ".join(f"{scalar} {_literal(scalar, v)}" for v in values) + ">", kind)


def _literal(kind: LType, value: float) -> str:
    if not kind.is_float:
        return str(int(value))
    if kind.kind == "float":
        value = to_single(value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def to_single(value: float) -> float:
    """Round to single precision; what is too large becomes infinite."""
    try:
        single: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return single


ATTRIBUTES = "attributes #0 = { nounwind %s }"


@dataclass(slots=True)
class Module:
    """Functions, constants and declarations that are compiled together."""

    name: str
    """For the reader; it takes no part in what is compiled."""
    target: CpuTarget
    """What it is compiled for."""
    functions: list[str] = field(default_factory=list)
    """Definitions."""
    declarations: dict[str, str] = field(default_factory=dict)
    """Name to declaration of what is called."""
    tables: list[str] = field(default_factory=list)
    """Constant arrays."""

    def table(self, kind: LType, values: list[int] | list[float]) -> V:
        """Add a constant array; gives a pointer to its first element."""
        name = f"@table.{len(self.tables)}"
        body = ", ".join(f"{kind} {_literal(kind, value)}" for value in values)
        self.tables.append(
            f"{name} = private unnamed_addr constant [{len(values)} x {kind}] [{body}], align 64"
        )
        return V(name, PTR)

    def __str__(self) -> str:
        bits = self.target.vector_bytes * 8
        attributes = f'"prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
        head = [f'target triple = "{self.target.triple}"']
        body = [*self.tables, *self.functions, *self.declarations.values()]
        return "\n\n".join([*head, *body, ATTRIBUTES % attributes]) + "\n"
