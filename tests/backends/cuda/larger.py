"""Cases larger than the samples of the ops: several tiles, warps, slices and blocks, all ragged."""

from __future__ import annotations

from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.conv import Conv2dAttrs, Conv2dGradAttrs
from cnndsl.ops.linalg import DenseAttrs, MatmulAttrs
from cnndsl.ops.norm import BatchNormAttrs, BatchNormGradAttrs
from cnndsl.ops.pool import Pool2dAttrs
from cnndsl.ops.random import DropoutMaskAttrs
from cnndsl.ops.reduce import ArgmaxAttrs, ReduceAttrs
from cnndsl.ops.rules import Sample
from cnndsl.ops.softmax import SoftmaxAttrs

_LABELS = TensorType(DType.I64, (70,))
_SCALAR = TensorType(DType.I64, ())

LARGER: dict[str, list[Sample]] = {
    "matmul": [
        Sample((f32(70, 90), f32(90, 133))),
        Sample((f32(3, 33, 17), f32(3, 17, 65))),
        Sample((f32(700, 9), f32(700, 11)), MatmulAttrs(transpose_a=True)),
    ],
    "dense": [Sample((f32(40, 200), f32(150, 200), f32(150)), DenseAttrs())],
    "conv2d": [
        Sample((f32(2, 20, 9, 8), f32(40, 20, 3, 3), f32(40)), Conv2dAttrs(has_bias=True)),
        Sample((f32(2, 24, 7, 9), f32(36, 6, 3, 2)), Conv2dAttrs(strides=(2, 1), groups=4)),
    ],
    "conv2d_grad_input": [
        Sample(
            (f32(2, 24, 5, 5), f32(24, 17, 3, 3)),
            Conv2dGradAttrs((2, 2), ((1, 1), (1, 1)), shape=(2, 17, 10, 9)),
        ),
    ],
    "conv2d_grad_weight": [
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
    ],
    "reduce_max": [Sample((f32(2, 4801),), ReduceAttrs((1,)), distinct=True)],
    "reduce_max_grad": [Sample((f32(3), f32(3, 700)), ReduceAttrs((1,)), distinct=True)],
    "argmax": [Sample((f32(3, 700),), ArgmaxAttrs(1), distinct=True)],
    "softmax": [Sample((f32(3, 1000),)), Sample((f32(3, 40, 5),), SoftmaxAttrs(axis=1))],
    "softmax_cross_entropy": [Sample((f32(70, 600), _LABELS), integers=600)],
    "softmax_cross_entropy_grad": [Sample((f32(), f32(70, 600), _LABELS), integers=600)],
    "squared_error": [Sample((f32(70, 90), f32(70, 90)))],
    "batch_norm_train": [
        Sample((f32(8, 3, 30, 31), f32(3), f32(3)), BatchNormAttrs()),
        Sample((f32(8, 3, 10, 9), f32(3), f32(3)), BatchNormAttrs()),
    ],
    "batch_norm_grad": [
        Sample(
            (f32(8, 3, 30, 31), f32(8, 3, 30, 31), f32(3), f32(3), f32(3)),
            BatchNormGradAttrs(0.1),
            0.25,
            2.0,
        ),
    ],
    "max_pool2d_grad": [
        Sample(
            (f32(2, 3, 19, 21), f32(2, 3, 10, 11)),
            Pool2dAttrs((3, 3), (2, 2), ((1, 1), (1, 1))),
            distinct=True,
        ),
        Sample((f32(2, 3, 19, 21), f32(2, 3, 1, 1)), Pool2dAttrs((19, 21)), distinct=True),
    ],
    "dropout_mask": [
        Sample((_SCALAR, _SCALAR), DropoutMaskAttrs(f32(3, 1001), 0.3, 5), integers=2**62),
    ],
    "add": [Sample((f32(3, 7, 9, 16), f32(1, 7, 1, 1))), Sample((f32(4, 333), f32(4, 333)))],
}
"""Op to cases."""
