"""Mistakes put into the kernels: each must be found by what every kernel is held to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from cnndsl.backends.cuda.emulated import compile as emulated_compile
from cnndsl.backends.cuda.kernels import (
    columns,
    conv,
    conv_depthwise,
    elementwise,
    gemm,
    gemm_plain,
    gemm_tile,
    loss,
    lrn,
    magnitude,
    maps,
    norm,
    norm_grad,
    pad,
    pixels,
    pool,
    random,
    reduce,
    resize,
    rows,
    shape,
    softmax,
)
from cnndsl.backends.cuda.kernels.conv_window import Window
from cnndsl.backends.cuda.kernels.elementwise import Epilogue
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType
from cnndsl.ops.rules import samples
from cnndsl.support.diagnostics import BackendError
from tests.backends.cuda.emulation import check, needs_emulator
from tests.backends.cuda.larger import LARGER

pytestmark = needs_emulator

OUTSIDE = "outside its memory"
DIV = "barrier divergence"
MISALIGNED = "a misaligned access"
ANY = ""

TEMPLATES: list[tuple[str, ModuleType, str, str, str, str]] = [
    # A barrier left out, and one that not every thread comes to.
    ("matmul", gemm_plain, "_PLAIN", "$keep_b\n    __syncthreads();", "$keep_b", ANY),
    ("matmul", gemm_plain, "_PLAIN", "    __syncthreads();\n}\n#pragma", "}\n#pragma", ANY),
    ("dense", gemm_plain, "_PLAIN", "__syncthreads();\n    at", "if (tid) __syncthreads();at", DIV),
    ("reduce_sum", rows, "_ROWS", "$guard", "$guard\nif (lane == 1) return;", DIV),
    # A wrong index.
    ("add", maps, "_EACH", "blockIdx.x * $BLOCK +", "blockIdx.x * $BLOCK + 1 +", ANY),
    ("transpose", maps, "_EACH", "$body", "$body\n    y[$COUNT] = y[i];", OUTSIDE),
    ("matmul", gemm_plain, "_PLAIN", "ty * 4 + i % 4", "tx * 4 + i % 4", ANY),
    ("softmax", softmax, "NORM", "$T(x[$at])", "$T(x[$at + 1])", ANY),
    ("reduce_max_grad", reduce, "FIND", "x[$at]", "x[$at + $WIDTH]", ANY),
    ("max_pool2d", pool, "_MAX", "h < h1", "h <= h1", ANY),
    ("max_pool2d_grad", pool, "_SCATTER", "taps.at[j] == here", "taps.at[j] == here + 1", ANY),
    ("avg_pool2d_grad", pool, "_SPREAD", "q < q1", "q <= q1", ANY),
    ("concat", shape, "_JOIN", "at = e % $WHOLE", "at = e % ($WHOLE - 1)", ANY),
    ("lrn", lrn, "_ONE", "d <= high", "d < high", ANY),
    ("lrn", lrn, "_PACK", "d <= $VECTOR + $HALF", "d < $VECTOR + $HALF", ANY),
    ("lrn_grad", lrn, "_PACK", "from < $CHANNELS", "from <= $CHANNELS", ANY),
    ("pad", pad, "_MOVED", "x + ($offset)", "x + ($offset) + 1", ANY),
    ("slice_grad", shape, "_SPREAD", "x + ($offset)", "x + ($offset) + 2", MISALIGNED),
    ("resize", resize, "_BLEND", "top < $LAST_H ? top + 1 : top", "top + 1", ANY),
    ("resize", resize, "_BLEND", "before = 1 - behind", "before = 1", ANY),
    ("resize", resize, "_COPY", "column = $COLUMN", "column = $ROW", ANY),
    ("resize_grad", resize, "_GATHER", "w <= last_w", "w < last_w", ANY),
    ("resize_grad", resize, "_SHARE", "away_$A < 0", "away_$A > 0", ANY),
    ("unpack_pixels", pixels, "_UNPACK", "c < $GIVEN", "c <= $GIVEN", ANY),
    ("unpack_pixels", pixels, "_UNPACK", "pixel = (e + v)", "pixel = e", ANY),
    ("conv2d", conv_depthwise, "_FORWARD", "if ($inside)", "if ($inside || !tap)", ANY),
    ("conv2d_grad_input", conv_depthwise, "_BACKWARD", "c0 * $EACH", "c0", ANY),
    ("conv2d_grad_weight", columns, "_JOIN", "s < $SLICES", "s < $SLICES - 1", ANY),
    ("dropout_mask", random, "_FOUR", "drawn.word[j]", "drawn.word[3 - j]", ANY),
    # A wide access at a place that is no multiple of it.
    ("slice", maps, "_MOVE", "x + $FROM", "x + $FROM + 1", MISALIGNED),
    ("add", elementwise, "_MANY", "y + i * $VECTOR", "y + i * $VECTOR + 2", MISALIGNED),
    ("concat", shape, "_JOIN", "e = i * $VECTOR", "e = i * $VECTOR + 1", MISALIGNED),
    ("batch_norm", norm, "_APPLY", "x + e", "x + e + 2", MISALIGNED),
    ("resize", resize, "_BLEND", "e = i * $VECTOR", "e = i * $VECTOR + 1", MISALIGNED),
    ("max_pool2d", pool, "_MAX", "x + $pixel", "x + 2 + $pixel", MISALIGNED),
    # An output too short, or a part left out.
    ("relu", maps, "_EACH", "i < $COUNT", "i < $COUNT - 1", ANY),
    ("dropout_mask", random, "_FOUR", "i * 4 + j < $SIZE", "i * 4 + j + 1 < $SIZE", ANY),
    ("dropout_mask", random, "_FOUR", "if (i * 4 + j < $SIZE) ", "if ($SIZE) ", OUTSIDE),
    ("conv2d", gemm_plain, "_PLAIN", "m < $M && n0 < $N", "m < $M && n0 + 1 < $N", ANY),
    ("conv2d", gemm_plain, "_PLAIN", "m < $M && n0 < $N", "m < $M || n0 < $N", ANY),
    ("matmul", gemm, "_JOIN", "s < $SLICES", "s < $SLICES - 1", ANY),
    ("reduce_sum", rows, "_SLICED", "j < stop", "j + 1 < stop", ANY),
    ("reduce_sum", columns, "_COLUMNS", "j < stop", "j + 1 < stop", ANY),
    ("batch_norm_train", columns, "_COLUMNS", "__syncthreads();", "", ANY),
    ("batch_norm_train", columns, "_COLUMNS", "if (column < $WIDTH)", "", OUTSIDE),
    ("batch_norm_train", norm, "_STEP", "mean[v] += d;", "mean[v] += d + 1;", ANY),
    ("batch_norm_train", norm, "_TOGETHER", "d < $DOWN;", "d < $DOWN - 1;", ANY),
    ("batch_norm_train", norm, "_TOGETHER", "begin - d +", "begin +", ANY),
    ("batch_norm_train", norm, "_JOIN", " - 1 ? $LAST : $FIRST", " ? $LAST : $FIRST", ANY),
    ("batch_norm_grad", norm_grad, "_JOIN_SUMS", "s < $SLICES", "s < $SLICES - 1", ANY),
    ("batch_norm_grad", norm_grad, "_FACTOR", "[column + v] /", "[column] /", ANY),
    ("batch_norm_grad", norm_grad, "_SPREAD", "level.at[v]", "level.at[0]", ANY),
    ("largest_magnitude", magnitude, "_SEARCH", "j += $BLOCK", "j += 64 * $BLOCK", ANY),
    ("largest_magnitude", magnitude, "_SEARCH", "magnitude($T(x[j]))", "$T(x[j])", ANY),
    ("largest_magnitude", magnitude, "_SEARCH", "found[blockIdx.x]", "found[0]", ANY),
    ("largest_magnitude", magnitude, "_ALL", "j < {count}", "j < 1", ANY),
    ("softmax_cross_entropy", loss, "_LABEL", "labels[row]", "labels[row + 1]", ANY),
]  # fmt: skip
"""Op, module and name of a template, what is replaced in it by what, and what is said then."""


def assert_found(name: str, said: str) -> None:
    op = OPS[name]
    # Where packs are single elements, a place next to the right one is not misaligned.
    small = [] if said == MISALIGNED else samples[op]()
    with pytest.raises((AssertionError, BackendError)) as caught:
        check(op, [*small, *LARGER.get(name, ())], DType.F32)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "module", "template", "right", "wrong", "said"),
    TEMPLATES,
    ids=[f"{row[0]}-{index}" for index, row in enumerate(TEMPLATES)],
)
def test_a_fault_in_a_template_is_found(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: ModuleType,
    template: str,
    right: str,
    wrong: str,
    said: str,
) -> None:
    text = getattr(module, template)
    assert right in text
    changed = text.replace(right, wrong)
    # Templates that were imported by name stand in several modules.
    for place in (module, loss, pool, softmax):
        if getattr(place, template, None) == text:
            monkeypatch.setattr(place, template, changed)
    assert_found(name, said)


KEPT = "room[threadIdx.x / 32] = value;\n"
PRELUDE = [
    ("softmax", "__syncthreads();\n    if (threadIdx.x % 32 == 0)", "if (threadIdx.x % 32 == 0)"),
    ("reduce_sum", f"{KEPT}    __syncthreads();", KEPT),
    ("reduce_sum", "for (int away = 16;", "for (int away = 8;"),
    ("reduce_sum", "warp < LANES / 32", "warp < LANES / 64"),
    ("argmax", "value > than", "value < than"),
    ("dropout_mask", "round < 10", "round < 9"),
    ("pad", "2 * far - at", "2 * far - at - 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "right", "wrong"), PRELUDE, ids=[f"{row[0]}-{i}" for i, row in enumerate(PRELUDE)]
)
def test_a_fault_in_the_prelude_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, right: str, wrong: str
) -> None:
    text = emulated_compile.DEVICE.read_text(encoding="utf-8")
    assert right in text
    path = tmp_path / "device.cuh"
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr(emulated_compile, "DEVICE", path)
    assert_found(name, ANY)


@pytest.mark.parametrize("name", ["conv2d", "conv2d_grad_weight"])
def test_a_window_that_sees_past_the_image_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    right = Window.inside.fget  # type: ignore[attr-defined]
    wrong = property(lambda window: right(window).replace("w < ", "w <= "))
    monkeypatch.setattr(Window, "inside", wrong)
    assert_found(name, ANY)


def test_a_gradient_laid_at_the_wrong_places_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Window.over
    monkeypatch.setattr(Window, "over", lambda w, p, t: right(w, p, t).replace(" - ", " + "))
    assert_found("conv2d_grad_input", ANY)


def test_a_bound_left_out_of_a_fetch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = gemm_tile.locate

    def unbounded(part: gemm_tile.Part, **named: str) -> str:
        text = right(part, **named)  # type: ignore[arg-type]
        return text.replace("&& k < stop", "")

    monkeypatch.setattr(gemm_tile, "locate", unbounded)
    assert_found("matmul", ANY)


def test_a_bias_left_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = conv.ending

    def forgetful(*given: object) -> Epilogue:
        end = right(*given)  # type: ignore[arg-type]
        return replace(end, work=end.work.replace("value += bias", "0 * bias"))

    monkeypatch.setattr(conv, "ending", forgetful)
    assert_found("conv2d", ANY)
