"""The function emitter: loops, vectors and memory, written as LLVM's text.

Indices (`Index`) that are plain integers are computed here and cost nothing in the code; loops over
one element vanish. Vectors have any number of lanes; masked loads and stores take the tails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from cnndsl.backends.cpu.llvm import I1, I32, I64, PTR, Index, LType, Module, V, constant
from cnndsl.backends.cpu.llvm import vector_constant as vector_constant


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable; LLVM turns it into registers."""

    pointer: V
    """Where it lies."""
    type: LType
    """What it holds."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring elements that are worked on at once."""

    index: Index
    """The first element."""
    lanes: int
    """How many there are; 0 means one scalar."""
    mask: V | None = None
    """Which lanes are real; nothing means all."""


class FunctionEmitter:
    """Writes one function of a module."""

    def __init__(
        self, module: Module, name: str, parameters: Sequence[tuple[LType, str]], *, local: bool
    ) -> None:
        """Begin a function that returns nothing; a `local` one is seen in its module only."""
        self.module = module
        self.target = module.target
        self.parameters = tuple(V(f"%{text}", kind) for kind, text in parameters)
        linkage = "internal " if local else ""
        listed = ", ".join(f"{kind} %{text}" for kind, text in parameters)
        attributes = "noinline #0" if local else "#0"
        self._head = f"define {linkage}void @{name}({listed}) {attributes} {{"
        self._slots: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self._block = "entry"

    def finish(self) -> None:
        """End the function and add it to the module."""
        lines = [self._head, "entry:", *self._slots, *self._lines, "  ret void", "}"]
        self.module.functions.append("\n".join(lines))

    # --- text

    def op(self, kind: LType, text: str) -> V:
        """Write an instruction that gives a value."""
        self._count += 1
        value = V(f"%v{self._count}", kind)
        self._lines.append(f"  {value.text} = {text}")
        return value

    def do(self, text: str) -> None:
        """Write an instruction that gives none."""
        self._lines.append(f"  {text}")

    def _label(self, name: str) -> str:
        self._count += 1
        return f"{name}{self._count}"

    def _begin(self, label: str) -> None:
        self._lines.append(f"{label}:")
        self._block = label

    def intrinsic(self, name: str, result: LType, *arguments: V, flags: str = "") -> V:
        """Call `llvm.<name>`, which gives a value."""
        self._declare(name, str(result), arguments)
        listed = ", ".join(map(str, arguments))
        return self.op(result, f"call {flags}{result} @llvm.{name}({listed})")

    def perform(self, name: str, *arguments: V) -> None:
        """Call `llvm.<name>`, which gives nothing."""
        self._declare(name, "void", arguments)
        self.do(f"call void @llvm.{name}({', '.join(map(str, arguments))})")

    def _declare(self, name: str, result: str, arguments: Sequence[V]) -> None:
        kinds = ", ".join(str(argument.type) for argument in arguments)
        self.module.declarations[name] = f"declare {result} @llvm.{name}({kinds})"

    # --- arithmetic of values of one type

    def add(self, a: V, b: V) -> V:
        """A + b."""
        return self.op(a.type, f"{'f' if a.type.is_float else ''}add {a}, {b.text}")

    def sub(self, a: V, b: V) -> V:
        """A - b."""
        return self.op(a.type, f"{'f' if a.type.is_float else ''}sub {a}, {b.text}")

    def mul(self, a: V, b: V) -> V:
        """A * b."""
        return self.op(a.type, f"{'f' if a.type.is_float else ''}mul {a}, {b.text}")

    def div(self, a: V, b: V) -> V:
        """A / b; integers round toward 0."""
        return self.op(a.type, f"{'f' if a.type.is_float else 's'}div {a}, {b.text}")

    def bits(self, operation: str, a: V, b: V) -> V:
        """Do "and", "or", "xor", "shl", "lshr" or "ashr"."""
        return self.op(a.type, f"{operation} {a}, {b.text}")

    def fma(self, a: V, b: V, c: V) -> V:
        """A * b + c, rounded once."""
        return self.intrinsic(f"fma.{a.type.mangled}", a.type, a, b, c)

    def maximum(self, a: V, b: V) -> V:
        """The larger of floats; a NaN in either is the result."""
        return self.intrinsic(f"maximum.{a.type.mangled}", a.type, a, b, flags="nsz ")

    def compare(self, relation: str, a: V, b: V) -> V:
        """Compare floats ("olt", "une", ...) or integers ("slt", "ult", "eq", ...)."""
        kind = I1.times(a.type.lanes)
        return self.op(kind, f"{'f' if a.type.is_float else 'i'}cmp {relation} {a}, {b.text}")

    def select(self, condition: V, then: V, other: V) -> V:
        """`then` where the condition holds, else `other`."""
        return self.op(then.type, f"select {condition}, {then}, {other}")

    def convert(self, operation: str, a: V, kind: LType) -> V:
        """Do "sext", "trunc", "sitofp", "fpext", "bitcast", ..."""
        return a if a.type == kind else self.op(kind, f"{operation} {a} to {kind}")

    # --- indices

    def index(self, value: Index) -> V:
        """Give an index as a value."""
        return constant(I64, value) if isinstance(value, int) else value

    def iadd(self, *terms: Index) -> Index:
        """Sum indices."""
        known = sum(term for term in terms if isinstance(term, int))
        total: V | None = None
        for term in terms:
            if isinstance(term, V):
                total = term if total is None else self.op(I64, f"add nsw {total}, {term.text}")
        if total is None:
            return known
        return self.op(I64, f"add nsw {total}, {known}") if known else total

    def isub(self, a: Index, b: Index) -> Index:
        """A - b."""
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        if isinstance(b, int):
            return self.iadd(a, -b)
        return self.op(I64, f"sub nsw {self.index(a)}, {b.text}")

    def imul(self, a: Index, b: Index) -> Index:
        """A * b."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if 0 in (a, b):
            return 0
        if 1 in (a, b):
            return b if a == 1 else a
        return self.op(I64, f"mul nsw {self.index(a)}, {self.index(b).text}")

    def idiv(self, a: Index, b: int) -> Index:
        """A // b of numbers that are not negative."""
        if isinstance(a, int) or b == 1:
            return a // b if isinstance(a, int) else a
        return self.op(I64, f"udiv {a}, {b}")

    def irem(self, a: Index, b: int) -> Index:
        """A % b of numbers that are not negative."""
        if isinstance(a, int) or b == 1:
            return a % b if isinstance(a, int) else 0
        return self.op(I64, f"urem {a}, {b}")

    def imin(self, a: Index, b: Index) -> Index:
        """The smaller."""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.intrinsic("smin.i64", I64, self.index(a), self.index(b))

    def imax(self, a: Index, b: Index) -> Index:
        """The larger."""
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self.intrinsic("smax.i64", I64, self.index(a), self.index(b))

    def unravel(self, index: Index, shape: Sequence[int]) -> list[Index]:
        """Split a row-major index into one for each axis."""
        found: list[Index] = []
        for length in reversed(shape[1:]):
            found.append(self.irem(index, length))
            index = self.idiv(index, length)
        return [index, *reversed(found)] if shape else []

    def dot(self, indices: Sequence[Index], strides: Sequence[Index]) -> Index:
        """Sum the products of indices and strides."""
        return self.iadd(*(self.imul(i, s) for i, s in zip(indices, strides, strict=True)))

    # --- memory

    def at(self, pointer: V, kind: LType, index: Index) -> V:
        """Point at an element of the scalar type of `kind`."""
        if index == 0:
            return pointer
        return self.op(PTR, f"getelementptr {kind.scalar}, {pointer}, {self.index(index)}")

    def load(self, kind: LType, pointer: V, index: Index = 0) -> V:
        """Load elements from `index` on."""
        place = self.at(pointer, kind, index)
        return self.op(kind, f"load {kind}, {place}, align {kind.nbytes}")

    def store(self, value: V, pointer: V, index: Index = 0) -> None:
        """Store elements from `index` on."""
        place = self.at(pointer, value.type, index)
        self.do(f"store {value}, {place}, align {value.type.nbytes}")

    def masked_load(self, kind: LType, pointer: V, index: Index, mask: V, other: V) -> V:
        """Load the lanes of a mask; the others have those of `other` and are not touched."""
        place = self.at(pointer, kind, index)
        align = constant(I32, kind.nbytes)
        return self.intrinsic(f"masked.load.{kind.mangled}.p0", kind, place, align, mask, other)

    def masked_store(self, value: V, pointer: V, index: Index, mask: V) -> None:
        """Store the lanes of a mask."""
        place = self.at(pointer, value.type, index)
        align = constant(I32, value.type.nbytes)
        self.perform(f"masked.store.{value.type.mangled}.p0", value, place, align, mask)

    def load_chunk(self, kind: LType, pointer: V, chunk: Chunk, other: float = 0.0) -> V:
        """Load a chunk of elements of a scalar type; lanes that are not real are `other`."""
        wide = kind.times(chunk.lanes)
        if chunk.mask is None:
            return self.load(wide, pointer, chunk.index)
        return self.masked_load(wide, pointer, chunk.index, chunk.mask, constant(wide, other))

    def store_chunk(self, value: V, pointer: V, chunk: Chunk) -> None:
        """Store a chunk's real lanes."""
        if chunk.mask is None:
            self.store(value, pointer, chunk.index)
        else:
            self.masked_store(value, pointer, chunk.index, chunk.mask)

    def gather(self, kind: LType, pointer: V, indices: V, mask: V | None, other: V) -> V:
        """Load a vector whose lanes lie at `indices` (a vector of i64)."""
        lanes = kind.lanes
        places = self.op(PTR.times(lanes), f"getelementptr {kind.scalar}, {pointer}, {indices}")
        chosen = constant(I1.times(lanes), 1) if mask is None else mask
        name = f"masked.gather.{kind.mangled}.v{lanes}p0"
        return self.intrinsic(name, kind, places, constant(I32, kind.nbytes), chosen, other)

    def prefetch(
        self, pointer: V, kind: LType, index: Index, *, use: Literal["read", "write"] = "read"
    ) -> None:
        """Ask for the line of an element, which may lie anywhere, before it is needed."""
        place = self.at(pointer, kind, index)
        # Whether it is written, how near it shall come, and that it is no code.
        numbers = (0, 2, 1) if use == "read" else (1, 3, 1)
        words = [constant(I32, number) for number in numbers]
        self.perform("prefetch.p0", place, *words)

    def variable(self, first: V) -> Slot:
        """Make a variable with a first value."""
        self._count += 1
        slot = Slot(V(f"%s{self._count}", PTR), first.type)
        self._slots.append(f"  {slot.pointer.text} = alloca {first.type}, align 64")
        self.set(slot, first)
        return slot

    def get(self, slot: Slot) -> V:
        """Read a variable."""
        return self.op(slot.type, f"load {slot.type}, {slot.pointer}, align 64")

    def set(self, slot: Slot, value: V) -> None:
        """Write a variable."""
        self.do(f"store {value}, {slot.pointer}, align 64")

    # --- control

    @contextmanager
    def loop(self, start: Index, stop: Index, step: int = 1) -> Iterator[Index]:
        """Repeat what is written inside for start, start + step, ... below stop."""
        known = isinstance(start, int) and isinstance(stop, int)
        if isinstance(start, int) and isinstance(stop, int) and start < stop <= start + step:
            yield start
            return
        body, done = self._label("loop"), self._label("done")
        if known and int(str(start)) < int(str(stop)):  # certain to run: no test before
            self.do(f"br label %{body}")
        else:
            runs = self.compare("slt", self.index(start), self.index(stop))
            self.do(f"br {runs}, label %{body}, label %{done}")
        before = self._block
        self._begin(body)
        counter = self.op(I64, "")
        place = len(self._lines) - 1
        yield counter
        following = self.op(I64, f"add nsw {counter}, {step}")
        again = self.compare("slt", following, self.index(stop))
        self.do(f"br {again}, label %{body}, label %{done}")
        sources = f"[ {self.index(start).text}, %{before} ], [ {following.text}, %{self._block} ]"
        self._lines[place] = f"  {counter.text} = phi i64 {sources}"
        self._begin(done)

    @contextmanager
    def when(self, condition: V) -> Iterator[None]:
        """Do what is written inside if the condition holds."""
        body, done = self._label("then"), self._label("end")
        self.do(f"br {condition}, label %{body}, label %{done}")
        self._begin(body)
        yield
        self.do(f"br label %{done}")
        self._begin(done)

    @contextmanager
    def repeat(self) -> Iterator[Callable[[V], None]]:
        """Repeat until the condition given to the yielded function at the end holds."""
        body, done = self._label("again"), self._label("over")
        self.do(f"br label %{body}")
        self._begin(body)
        ended: list[V] = []
        yield ended.append
        self.do(f"br {ended[0]}, label %{done}, label %{body}")
        self._begin(done)

    def call(self, name: str, *arguments: V) -> None:
        """Call a function of this module."""
        self.do(f"call void @{name}({', '.join(map(str, arguments))})")
