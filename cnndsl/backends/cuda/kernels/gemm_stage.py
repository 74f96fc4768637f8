"""A factor's part of a tile on its way from memory to the fragments of tensor cores.

In shared memory a row holds 16 words of one `f`: 16 factors in tf32, 32 in bf16 or f16; it is 20
words long, so that eight rows of four words lie in 32 banks. A factor whose neighbours in memory
lie along `f` is copied as it lies, a row for each `k`, and turned when it is read from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import WIDE
from cnndsl.backends.cuda.kernels.gemm_tile import Fetch, Part, fetch_one, locate
from cnndsl.backends.cuda.policy import HALVES
from cnndsl.support.settings import GpuPrecision

WORDS, ROW = 16, 80
"""Words of a row that are used, and bytes from row to row."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One factor's part of a stage."""

    name: str
    """"a" or "b"."""
    fetch: Fetch
    """Where an element lies."""
    kind: str
    """Element type in memory."""
    size: int
    """Length along `f`."""
    threads: int
    """Of the block."""
    precision: GpuPrecision
    """What is multiplied."""
    warp: int
    """Length along `f` of a warp's part."""

    @property
    def half(self) -> str | None:
        """Element type of two bytes that is multiplied; none in tf32."""
        return HALVES.get(self.precision)

    @property
    def each(self) -> int:
        """Elements that 16 bytes hold in the form that is multiplied."""
        return 8 if self.half else 4

    @property
    def chunked(self) -> bool:
        """Whether 16 bytes of shared memory are filled at once."""
        return self.fetch.run % self.each == 0

    @property
    def turned(self) -> bool:
        """Whether a row of shared memory is one `k`."""
        return self.chunked and not self.fetch.along_k

    @property
    def as_it_lies(self) -> bool:
        """Whether memory holds what is multiplied, but for the rounding to tf32."""
        return self.chunked and self.kind == (self.half or "float")

    @property
    def depth(self) -> int:
        """Steps along k."""
        return WORDS * self.each // 4

    @property
    def row(self) -> int:
        """Bytes from row to row: turned, so many that a warp's accesses lie in all banks."""
        if not self.turned:
            return ROW
        return self.size * WIDE // self.each + (16 if self.half else 32)

    @property
    def nbytes(self) -> int:
        """Bytes of shared memory."""
        return self.row * (self.depth if self.turned else self.size)

    @property
    def _part(self) -> Part:
        if self.turned:
            size, depth = self.size // self.each, self.depth
        else:
            size, depth = self.size, self.depth // self.each if self.chunked else WORDS
        return Part(self.name, self.fetch, size, depth, self.threads)

    @property
    def kept(self) -> str:
        """Declare the registers that are on the way."""
        if self.as_it_lies:
            return ""
        words = self._part.each * (4 if self.chunked else 1)
        return f"unsigned {self.name}_kept[{words}];"

    def texts(self, start: str, bound: int) -> tuple[str, str]:
        """Write the fetch of a part, and the way from registers to shared memory, if it is one."""
        part, kept = self._part, f"{self.name}_kept"
        if not self.chunked:
            return (
                part.loop(self._words(part, start, bound)),
                part.loop(
                    f"*reinterpret_cast<unsigned*>({self.name}_next + ff * {ROW} + kk * 4)"
                    f" = {kept}[e];"
                ),
            )
        along_k = self.fetch.along_k
        place = locate(
            part,
            start=start,
            bound=bound,
            k=f"at + kk * {self.each}" if along_k else "at + kk",
            f="ff" if along_k else f"ff * {self.each}",
        )
        rows = ("ff", "kk") if along_k else ("kk", "ff")
        to = f"{self.name}_next + {rows[0]} * {self.row} + {rows[1]} * 16"
        if self.as_it_lies:
            source = f"{self.fetch.array} + (offset < 0 ? 0 : offset)"
            return part.loop(f"{place}\ncopy_async<16>({to}, {source}, offset >= 0);"), ""
        four = ", ".join(f"{kept}[e * 4 + {word}]" for word in range(4))
        keep = f"put<4>(reinterpret_cast<unsigned*>({to}), Pack<unsigned, 4>{{{{{four}}}}});"
        return part.loop(f"{place}\n{self._rounded(kept)}"), part.loop(keep)

    def _words(self, part: Part, start: str, bound: int) -> str:
        """Write the fetch of one word, element by element."""
        to = f"{self.name}_kept[e]"
        if self.half:
            low = fetch_one(part, start=start, bound=bound, k="at + 2 * kk", to="low")
            high = fetch_one(part, start=start, bound=bound, k="at + 2 * kk + 1", to="high")
            return f"float low, high;\n{low}\n{high}\n{to} = two_{self.half}(low, high);"
        one = fetch_one(part, start=start, bound=bound, k="at + kk", to="factor")
        return f"float factor;\n{one}\n{to} = as_tf32(factor);"

    def _rounded(self, kept: str) -> str:
        """Write the fetch of eight singles as four words of halves."""
        lines = [f"Pack<{self.kind}, 4> low = {{}}, high = {{}};", "if (offset >= 0) {"]
        for half, name in enumerate(("low", "high")):
            lines.append(f"    {name} = take<4>({self.fetch.array} + offset + {4 * half});")
        lines.append("}")
        for word in range(4):
            name, first = ("low", "high")[word // 2], word % 2 * 2
            pair = f"{name}.at[{first}], {name}.at[{first + 1}]"
            lines.append(f"{kept}[e * 4 + {word}] = two_{self.half}({pair});")
        return "\n".join(lines)

    @property
    def load(self) -> str:
        """The way of the fragments of step `step` to registers, four of 8 x 8 words at once.

        Of the first factor these are rows 0 to 7 and 8 to 15 at the first half of k, then both at
        the second; of the second factor columns 0 to 7 at both halves of k, then 8 to 15.
        """
        first = self.name == "a"
        far_f, far_k = ("{0} % 2", "{0} / 2") if first else ("{0} / 2", "{0} % 2")
        tile, start = f"{self.name}_tile", f"warp_{'m' if first else 'n'} + q * 16"
        lane_f, lane_k = far_f.format("(lane / 8)"), far_k.format("(lane / 8)")
        each = "#pragma unroll\nfor (int r = 0; r < 4; ++r) "
        if not self.turned:
            row = f"({start} + {lane_f} * 8 + lane % 8) * {ROW} + step * 32 + {lane_k} * 16"
            lines = [f"load_matrices(four, {tile} + {row});"]
            if not self.half and self.as_it_lies:
                lines.append(f"{each}four[r] = as_tf32(float_of(four[r]));")
        elif self.half:
            row = f"(step * 16 + {lane_k} * 8 + lane % 8) * {self.row}"
            column = f"({start} + {lane_f} * 8) * 2"
            lines = [f"load_matrices_turned(four, {tile} + {row} + {column});"]
        else:
            row = f"{tile} + (step * 8 + pair + {far_k.format('r')} * 4) * {self.row}"
            column = f"{start} + {far_f.format('r')} * 8 + group"
            word = f"reinterpret_cast<const float*>({row})[{column}]"
            lines = [f"{each}four[r] = as_tf32({word});"]
        to = "a[q][r]" if first else "b[q * 2 + r / 2][r % 2]"
        inside = _indented("\n".join(["unsigned four[4];", *lines, f"{each}{to} = four[r];"]))
        return f"#pragma unroll\nfor (int q = 0; q < {self.warp // 16}; ++q) {{\n{inside}\n}}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))
