"""Dropout: leaving out numbers at random while training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from cnndsl.ir.graph import Value
from cnndsl.layers.base import (
    Clause,
    Hwc,
    LayerContext,
    LayerError,
    LayerKind,
    LayerSpec,
    SettingValue,
    Takes,
    define_layer,
)
from cnndsl.ops.elementwise import mul
from cnndsl.ops.random import DropoutMaskAttrs, dropout_mask

USUAL_RATE = 0.5
"""Share left out when nothing is said."""


@define_layer
class Dropout(LayerKind):
    """Dropout: in training each number is left out with probability `rate`.

    Those that stay are multiplied by 1/(1 - rate), so that inference does nothing. `keep` says the
    same by the probability of staying. Srivastava et al., 2014.
    """

    name = "dropout"
    names = ("drop out", "dropout layer")
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("rate", Takes.NUMBER, doc="share of numbers left out, 0.5 or 50%", low=0.0,
               below=1.0, names=("drop", "p")),
        Clause("keep", Takes.NUMBER, doc="share of numbers that stay", low=1e-6, most=1.0),
    )  # fmt: skip
    order = ("rate",)
    counted = False
    draws = True

    def worked_out(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> Mapping[str, SettingValue]:
        """Give the rate: what `keep` leaves, else a half. E0206 if both are said."""
        keep = given.get("keep")
        if keep is not None and "rate" in given:
            raise LayerError(
                "E0206",
                "`rate` and `keep` say two different things",
                at="keep",
                also={"rate": ""},
                helps=["leave one of them out: `rate 0.4` is `keep 0.6`"],
            )
        if isinstance(keep, int | float):
            return {"rate": min(max(1.0 - keep, 0.0), 1.0 - 1e-6)}
        return {"rate": USUAL_RATE}

    def usual(self, settings: Mapping[str, SettingValue]) -> Mapping[str, SettingValue]:
        """Leave `keep` out, which the rate says already."""
        return {"keep": settings["keep"]} if "keep" in settings else {}

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the input."""
        return inputs[0]

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one product for each number, as in training."""
        return math.prod(output)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit the product with a random mask; in inference, or at rate 0, nothing."""
        (x,) = inputs
        rate = spec.number("rate")
        if not ctx.training or rate == 0.0:
            return x
        assert ctx.random is not None, "training graphs have random state"
        attrs = DropoutMaskAttrs(ctx.b.type_of(x), rate, ctx.random.stream)
        draw = ctx.random
        mask = ctx.b.emit(dropout_mask, draw.key, draw.step, attrs=attrs, name=f"{ctx.name}.mask")
        return ctx.b.emit(mul, x, mask, name=ctx.name)
