"""The gradient of a strided convolution for its image, without the taps that see no place.

With a stride of s, a pixel is seen only by every s-th tap down and across, and which these are
depends on where the pixel lies between two places. Pixels are sorted by that, into s x s phases,
and each phase is a product of its own over its own taps: as many multiplications as forward.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import KernelBuilder, ceil_div
from cnndsl.backends.cuda.kernels.conv_window import Window
from cnndsl.backends.cuda.kernels.gemm import write_product
from cnndsl.backends.cuda.kernels.gemm_tile import Fetch, Product, Store


def has_phases(w: Window) -> bool:
    """Tell whether every phase has the same number of pixels, and there are several."""
    whole = all(size % step == 0 for size, step in zip(w.image, w.strides, strict=True))
    return w.strides != (1, 1) and w.dilations == (1, 1) and w.groups == 1 and whole


@dataclass(frozen=True, slots=True)
class _Phases:
    """The phases of a window's image; text knows the number of one as `g`."""

    w: Window

    def along(self, axis: int) -> str:
        """Write the phase along an axis."""
        step = self.w.strides[1]
        return f"(g / {step})" if axis == 0 else f"(g % {step})"

    def first(self, axis: int) -> str:
        """Write the first pixel of the phase: the one whose tap is the phase's number."""
        step, before = self.w.strides[axis], self.w.padding[axis][0]
        return f"(({self.along(axis)} + {-before % step}) % {step})"

    def taps(self, axis: int) -> str:
        """Write how many taps along an axis see the phase's pixels."""
        step, length = self.w.strides[axis], self.w.window[axis]
        return f"(({length + step - 1} - {self.along(axis)}) / {step})"

    def pixel(self, number: str) -> str:
        """Write `u` and `v`, the pixel of the phase down and across, and its `image`."""
        down, across = (size // s for size, s in zip(self.w.image, self.w.strides, strict=True))
        return (
            f"const $I image = {number} / {down * across};\n"
            f"const $I u = {number} / {across} % {down}, v = {number} % {across};"
        )

    def place(self, axis: int, pixel: str, tap: str) -> str:
        """Write the place at which a tap sees a pixel, both counted within the phase."""
        step, before = self.w.strides[axis], self.w.padding[axis][0]
        shift = f"({self.first(axis)} + {before} - {self.along(axis)}) / {step}"
        return f"{pixel} + {shift} - {tap}"

    def gradient(self) -> str:
        """Write `offset` = where the gradient lies that tap `k` of pixel `f` sees."""
        w, (rows, columns) = self.w, self.w.result
        return "\n".join(
            (
                self.pixel("f"),
                f"const $I tap = k / {w.filters}, across = {self.taps(1)};",
                f"const $I p = {self.place(0, 'u', 'tap / across')};",
                f"const $I q = {self.place(1, 'v', 'tap % across')};",
                f"if (p >= 0 && p < {rows} && q >= 0 && q < {columns})",
                f"    offset = ((image * {rows} + p) * {columns} + q) * {w.filters}"
                f" + k % {w.filters};",
            )
        )

    def weight(self) -> str:
        """Write `offset` = where the weight of tap and filter `k` and of channel `f` lies."""
        w, (down, across) = self.w, self.w.strides
        return "\n".join(
            (
                f"const $I tap = k / {w.filters}, across = {self.taps(1)};",
                f"const $I row = {self.along(0)} + tap / across * {down};",
                f"const $I column = {self.along(1)} + tap % across * {across};",
                f"offset = {w.filter_row(f'k % {w.filters}')}"
                f" + (row * {w.window[1]} + column) * {w.depth} + f;",
            )
        )

    def store(self) -> str:
        """Write `i` = where channel `n` of pixel `m` lies."""
        w, (down, across) = self.w, self.w.strides
        height, width = w.image
        return "\n".join(
            (
                self.pixel("m"),
                f"const $I h = u * {down} + {self.first(0)}, w = v * {across} + {self.first(1)};",
                f"const $I i = ((image * {height} + h) * {width} + w) * {w.channels} + n;",
            )
        )


def write_phases(k: KernelBuilder, w: Window) -> None:
    """Write the product of every phase, in one launch."""
    phases, count = _Phases(w), w.strides[0] * w.strides[1]
    most = ceil_div(w.window[0], w.strides[0]) * ceil_div(w.window[1], w.strides[1])
    write_product(
        k,
        Product(
            m=w.count * w.pixels // count,
            n=w.channels,
            depth=w.filters * most,
            groups=count,
            a=Fetch("grad", phases.gradient(), along_k=True, run=w.filters),
            b=Fetch("weight", phases.weight(), along_k=False, run=w.depth),
            store=Store(phases.store(), run=w.channels),
            factors=[("grad", k.operand(0)), ("weight", k.operand(1))],
            terms=f"{phases.taps(0)} * {phases.taps(1)} * {w.filters}",
        ),
    )
    k.algorithm += " by phases"
