"""Cases larger than the samples of the ops: several tiles, warps, slices and blocks, all ragged."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.ir.op import Attrs
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.activations import LeakyReluAttrs, leaky_relu
from cnndsl.ops.conv import Conv2dAttrs, Conv2dGradAttrs
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.linalg import DenseAttrs, MatmulAttrs
from cnndsl.ops.lrn import LrnAttrs
from cnndsl.ops.norm import BatchNormAttrs, BatchNormGradAttrs
from cnndsl.ops.pad import PadAttrs, PadGradAttrs
from cnndsl.ops.pixels import Pixels, UnpackPixelsAttrs
from cnndsl.ops.pool import AvgPool2dGradAttrs, Pool2dAttrs
from cnndsl.ops.random import DropoutMaskAttrs
from cnndsl.ops.reduce import ArgmaxAttrs, ReduceAttrs
from cnndsl.ops.resize import ResizeAttrs, ResizeGradAttrs
from cnndsl.ops.rules import Sample
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.ops.shape import ConcatAttrs, SliceAttrs, SliceGradAttrs, SplitAttrs, TransposeAttrs
from cnndsl.ops.softmax import SoftmaxAttrs

_LABELS = TensorType(DType.I64, (70,))
_SCALAR = TensorType(DType.I64, ())

_HALF_BELOW = ScalarStep(leaky_relu, LeakyReluAttrs(0.5), (2,))
_ADDED = ScalarProgram(2, (ScalarStep(add, Attrs(), (0, 1)), _HALF_BELOW))
"""An epilogue: the sum with another array, bent at 0."""
_BENT = ScalarProgram(
    3,
    (
        ScalarStep(add, Attrs(), (0, 2)),
        replace(_HALF_BELOW, operands=(1,)),
        ScalarStep(mul, Attrs(), (3, 4)),
    ),
)
"""A prologue of a gradient: the sum of two, times a function of the normalised number."""

LARGER: dict[str, list[Sample]] = {
    "matmul": [
        Sample((f32(70, 90), f32(90, 133))),
        Sample((f32(3, 33, 17), f32(3, 17, 65))),
        Sample((f32(700, 9), f32(700, 11)), MatmulAttrs(transpose_a=True)),
    ],
    "dense": [
        Sample((f32(40, 200), f32(150, 200), f32(150)), DenseAttrs()),
        Sample((f32(40, 64), f32(72, 64), f32(72), f32(40, 72)), DenseAttrs(epilogue=_ADDED)),
    ],
    "largest_magnitude": [
        Sample((f32(9, 1000), f32(5000), f32()), low=-3.0),
        Sample(tuple(f32(1 + i % 3) for i in range(140)), low=-3.0),
        Sample((f32(700, 1000),), low=-3.0),
    ],
    "lrn": [
        Sample((f32(2, 16, 3, 5),), LrnAttrs(5, 0.3)),
        Sample((f32(2, 12, 3, 5),), LrnAttrs(7, 0.3)),
        Sample((f32(1, 24, 9, 5),), LrnAttrs(19, 0.3)),
    ],
    "lrn_grad": [
        Sample((f32(2, 16, 3, 5), f32(2, 16, 3, 5)), LrnAttrs(5, 0.3)),
        Sample((f32(2, 12, 3, 5), f32(2, 12, 3, 5)), LrnAttrs(7, 0.3)),
        Sample((f32(1, 24, 9, 5), f32(1, 24, 9, 5)), LrnAttrs(19, 0.3)),
    ],
    "pad": [
        Sample((f32(2, 8, 3, 4),), PadAttrs(lo, hi, mode, 0.5))
        for mode in ("constant", "edge", "reflect")
        for lo, hi in (((0, 0, 1, 2), (0, 0, 2, 0)), ((0, 4, 1, 0), (0, 4, 0, 1)))
    ],
    "pad_grad": [
        Sample((f32(2, 8 + 2 * c, 6, 6),), PadGradAttrs((2, 8, 3, 4), PadAttrs(lo, hi, mode)))
        for mode in ("edge", "reflect")
        for c, lo, hi in ((0, (0, 0, 1, 2), (0, 0, 2, 0)), (4, (0, 4, 2, 1), (0, 4, 1, 1)))
    ],
    "slice_grad": [
        Sample((f32(2, 8, 3, 4),), SliceGradAttrs((2, 24, 5, 7), (0, start, 1, 0), stops, steps))
        for start, stops, steps in (
            (8, (2, 16, 4, 4), ()),
            (6, (2, 14, 4, 4), ()),
            (8, (2, 24, 4, 7), (1, 2, 1, 2)),
        )
    ],
    "transpose": [Sample((f32(3, 16, 5, 7),), TransposeAttrs((0, 2, 3, 1)))],
    "slice": [Sample((f32(2, 24, 5, 7),), SliceAttrs((0, 8, 1, 0), (2, 16, 3, 7)))],
    "concat": [
        Sample((f32(2, 8, 5, 7), f32(2, 24, 5, 7), f32(2, 16, 5, 7)), ConcatAttrs(1)),
        Sample((f32(2, 8, 5, 7), f32(2, 3, 5, 7)), ConcatAttrs(1)),
        Sample((f32(2, 8, 5, 7), f32(2, 8, 2, 7)), ConcatAttrs(2)),
    ],
    "split": [Sample((f32(2, 24, 5, 7),), SplitAttrs(1, (8, 16)))],
    "conv2d": [
        Sample((f32(2, 20, 9, 8), f32(40, 20, 3, 3), f32(40)), Conv2dAttrs(has_bias=True)),
        Sample((f32(2, 24, 7, 9), f32(36, 6, 3, 2)), Conv2dAttrs(strides=(2, 1), groups=4)),
        Sample(
            (f32(2, 16, 9, 8), f32(72, 16, 3, 3), f32(72)),
            Conv2dAttrs((2, 1), ((1, 1), (2, 0)), has_bias=True),
        ),
        Sample((f32(3, 32, 5, 6), f32(40, 8, 3, 3)), Conv2dAttrs(dilations=(1, 2), groups=4)),
        Sample((f32(2, 40, 5, 6), f32(24, 40, 1, 1))),
        Sample(
            (f32(2, 16, 5, 6), f32(40, 16, 3, 3), f32(40), f32(2, 40, 3, 4)),
            Conv2dAttrs(has_bias=True, epilogue=_ADDED),
        ),
        Sample(
            (f32(2, 16, 5, 6), f32(16, 1, 3, 3), f32(16), f32(2, 16, 3, 4)),
            Conv2dAttrs(groups=16, has_bias=True, epilogue=_ADDED),
        ),
        Sample((f32(2, 16, 9, 7), f32(16, 1, 3, 3)), Conv2dAttrs((2, 2), groups=16)),
    ],
    "conv2d_grad_input": [
        Sample(
            (f32(2, 40, 5, 5), f32(40, 16, 3, 3)),
            Conv2dGradAttrs((2, 2), ((1, 1), (1, 1)), shape=(2, 16, 10, 9)),
        ),
        # By phases: strides that divide the image, with more and with fewer taps than steps.
        Sample(
            (f32(2, 40, 5, 4), f32(40, 16, 3, 3)),
            Conv2dGradAttrs((2, 2), ((1, 1), (1, 1)), shape=(2, 16, 10, 8)),
        ),
        Sample((f32(3, 16, 4, 3), f32(16, 24, 1, 1)), Conv2dGradAttrs((2, 2), shape=(3, 24, 8, 6))),
        Sample(
            (f32(2, 7, 4, 2), f32(7, 5, 5, 4)),
            Conv2dGradAttrs((2, 3), ((3, 0), (0, 1)), shape=(2, 5, 8, 6)),
        ),
        Sample(
            (f32(1, 200, 3, 3), f32(200, 8, 7, 7)),
            Conv2dGradAttrs((3, 1), ((2, 2), (3, 3)), shape=(1, 8, 9, 3)),
        ),
        Sample(
            (f32(2, 32, 5, 5), f32(32, 8, 1, 1)),
            Conv2dGradAttrs(groups=2, shape=(2, 16, 5, 5)),
        ),
        Sample(
            (f32(2, 16, 5, 4), f32(16, 1, 3, 3)),
            Conv2dGradAttrs((2, 2), ((1, 1), (1, 1)), groups=16, shape=(2, 16, 9, 8)),
        ),
        Sample(
            (f32(2, 24, 5, 5), f32(24, 17, 3, 3)),
            Conv2dGradAttrs((2, 2), ((1, 1), (1, 1)), shape=(2, 17, 10, 9)),
        ),
    ],
    "conv2d_grad_weight": [
        Sample(
            (f32(3, 16, 10, 9), f32(3, 24, 5, 5)),
            Conv2dGradAttrs((2, 2), ((1, 1), (1, 1)), shape=(24, 16, 3, 3)),
        ),
        Sample(
            (f32(2, 16, 9, 8), f32(2, 16, 5, 4)),
            Conv2dGradAttrs((2, 2), ((1, 1), (1, 1)), groups=16, shape=(16, 1, 3, 3)),
        ),
        Sample(
            (f32(3, 17, 10, 9), f32(3, 24, 10, 9)),
            Conv2dGradAttrs(padding=((1, 1), (1, 1)), shape=(24, 17, 3, 3)),
        ),
        Sample(
            (f32(5, 6, 30, 29), f32(5, 6, 30, 29)),
            Conv2dGradAttrs(padding=((1, 1), (1, 1)), groups=6, shape=(6, 1, 3, 3)),
        ),
    ],
    "reduce_sum": [
        Sample((f32(3, 9000),), ReduceAttrs((1,))),
        Sample((f32(40, 3, 37, 9),), ReduceAttrs((0, 2, 3))),
        Sample((f32(5, 700),), ReduceAttrs((1,))),
        Sample((f32(9, 300, 130),), ReduceAttrs((0,))),
        Sample((f32(9, 24, 19, 17),), ReduceAttrs((0, 2, 3))),
        Sample((f32(3, 24, 5, 7),), ReduceAttrs((1,), keepdims=True)),
        Sample((f32(2, 3, 4, 5, 6),), ReduceAttrs((3,))),
    ],
    "reduce_max": [Sample((f32(2, 4801),), ReduceAttrs((1,)), distinct=True)],
    "reduce_max_grad": [Sample((f32(3), f32(3, 700)), ReduceAttrs((1,)), distinct=True)],
    "argmax": [Sample((f32(3, 700),), ArgmaxAttrs(1), distinct=True)],
    "softmax": [Sample((f32(3, 1000),)), Sample((f32(3, 40, 5),), SoftmaxAttrs(axis=1))],
    "softmax_cross_entropy": [Sample((f32(70, 600), _LABELS), integers=600)],
    "softmax_cross_entropy_grad": [Sample((f32(), f32(70, 600), _LABELS), integers=600)],
    "squared_error": [Sample((f32(70, 90), f32(70, 90)))],
    "batch_norm": [
        Sample((f32(9, 24, 3, 5), *(f32(24),) * 4), BatchNormAttrs(), 0.25, 2.0),
        Sample(
            (f32(9, 24, 3, 5), *(f32(24),) * 4, f32(9, 24, 3, 5)),
            BatchNormAttrs(0.1, _ADDED),
            0.25,
            2.0,
        ),
    ],
    "batch_norm_train": [
        Sample((f32(8, 3, 30, 31), f32(3), f32(3)), BatchNormAttrs()),
        Sample((f32(8, 3, 10, 9), f32(3), f32(3)), BatchNormAttrs()),
        Sample((f32(9, 24, 19, 17), f32(24), f32(24)), BatchNormAttrs()),
        Sample((f32(300, 40), f32(40), f32(40)), BatchNormAttrs()),
    ],
    "batch_norm_grad": [
        Sample(
            (*(f32(9, 24, 3, 5),) * 2, *(f32(24),) * 4, f32(9, 24, 3, 5)),
            BatchNormGradAttrs(0.1, _BENT),
            0.25,
            2.0,
        ),
        Sample(
            (f32(8, 3, 30, 31), f32(8, 3, 30, 31), f32(3), f32(3), f32(3)),
            BatchNormGradAttrs(0.1),
            0.25,
            2.0,
        ),
        Sample(
            (f32(9, 24, 19, 17), f32(9, 24, 19, 17), f32(24), f32(24), f32(24)),
            BatchNormGradAttrs(0.1),
            0.25,
            2.0,
        ),
    ],
    "max_pool2d": [Sample((f32(2, 24, 9, 8),), Pool2dAttrs((3, 2), (2, 2)), distinct=True)],
    "avg_pool2d_grad": [
        Sample(
            (f32(2, 24, 5, 4),),
            AvgPool2dGradAttrs(
                (3, 3), (2, 2), ((1, 1), (1, 1)), count_padding=False, shape=(2, 24, 9, 8)
            ),
        ),
    ],
    "max_pool2d_gather": [
        Sample((f32(2, 16, 9, 8), f32(2, 16, 9, 8)), Pool2dAttrs((3, 2), (2, 2)), distinct=True),
    ],
    "max_pool2d_grad": [
        Sample((f32(2, 24, 9, 8), f32(2, 24, 4, 3)), Pool2dAttrs((3, 3), (2, 2)), distinct=True),
        Sample((f32(1, 2, 18, 19), f32(1, 2, 2, 3)), Pool2dAttrs((17, 17)), distinct=True),
        Sample(
            (f32(2, 3, 19, 21), f32(2, 3, 10, 11)),
            Pool2dAttrs((3, 3), (2, 2), ((1, 1), (1, 1))),
            distinct=True,
        ),
        Sample((f32(2, 3, 19, 21), f32(2, 3, 1, 1)), Pool2dAttrs((19, 21)), distinct=True),
    ],
    "unpack_pixels": [
        Sample(
            (TensorType(DType.U8, (3, 3 * 17 * 19)),),
            UnpackPixelsAttrs(
                f32(3, 3, 17, 19), Pixels(mean=(0.5, 0.25, 0.75)), channels_last=True
            ),
            integers=256,
        ),
        Sample(
            (TensorType(DType.U8, (3, 3 * 16 * 20)),),
            UnpackPixelsAttrs(f32(3, 8, 16, 20), Pixels(std=(0.5, 0.25, 0.75)), 3),
            integers=256,
        ),
    ],
    "resize": [
        Sample((f32(2, 24, 9, 7),), ResizeAttrs(18, 21)),
        Sample((f32(2, 24, 9, 7),), ResizeAttrs(13, 5, align_corners=True)),
        Sample((f32(3, 16, 5, 6),), ResizeAttrs(11, 13, "nearest")),
        Sample((f32(1, 3, 33, 40),), ResizeAttrs(10, 37)),
    ],
    "resize_grad": [
        Sample((f32(2, 24, 18, 21),), ResizeGradAttrs(9, 7, ResizeAttrs(18, 21))),
        Sample(
            (f32(2, 24, 13, 5),),
            ResizeGradAttrs(9, 7, ResizeAttrs(13, 5, align_corners=True)),
        ),
        Sample((f32(3, 16, 11, 13),), ResizeGradAttrs(5, 6, ResizeAttrs(11, 13, "nearest"))),
        Sample((f32(1, 3, 10, 37),), ResizeGradAttrs(33, 40, ResizeAttrs(10, 37))),
    ],
    "dropout_mask": [
        Sample((_SCALAR, _SCALAR), DropoutMaskAttrs(f32(3, 1001), 0.3, 5), integers=2**62),
    ],
    "add": [
        Sample((f32(3, 7, 9, 16), f32(1, 7, 1, 1))),
        Sample((f32(4, 333), f32(4, 333))),
        Sample((f32(3, 16, 5, 3), f32(3, 16, 1, 1))),
        Sample((f32(3, 16, 5, 3), f32(3, 1, 5, 3))),
        Sample((f32(3, 16, 5, 3), f32(1, 1, 1, 3))),
    ],
}
"""Op to cases."""
