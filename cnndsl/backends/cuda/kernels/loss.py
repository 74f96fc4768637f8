"""Losses of scores against labels, with their gradients: a row of scores a position.

The first label that no class has is reported; what is computed with it is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element
from cnndsl.backends.cuda.kernels.rows import Rows, launch_rows, rows_over, total_rows
from cnndsl.backends.cuda.kernels.softmax import NORM
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.loss import (
    FLOOR,
    cross_entropy,
    cross_entropy_grad,
    hinge,
    hinge_grad,
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
)

_LABEL = """
long long label = labels[row];
if (label < 0 || label >= $WIDTH) {
    if (lane == 0) report_label(report, (int)row, label);
    label = 0;
}
"""

_EACH = "for ($I j = lane; j < $WIDTH; j += $LANES) "


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores [N, C, ...] with a label at each position."""

    k: KernelBuilder

    @property
    def number(self) -> int:
        """Which operand the scores are."""
        return len(self.k.operands) - 2

    @property
    def rows(self) -> Rows:
        """The classes of each position."""
        return rows_over(self.k.operands[self.number], (1,))

    def loss(self, body: str, **values: object) -> None:
        """Write a loss: `body` makes `found` of each position, and then the mean is taken."""
        k, rows = self.k, self.rows
        kind = element(k.operands[self.number])
        each = k.scratch(rows.count, kind)
        self._launch("each", f"{body}\nif (lane == 0) y[row] = found;", each, **values)
        dtype = k.operands[self.number].dtype
        total_rows(
            k,
            Rows(Walk((1,), (0,)), Walk((rows.count,), (1,))),
            how="Sum",
            kind=kind,
            value=f"const {kind} value = each[j];",
            finish=f"total / {literal(rows.count, dtype)}",
            reads=[("each", each)],
            label="mean",
        )

    def gradient(self, body: str, **values: object) -> None:
        """Write a gradient: `body` writes the row; `share` is the loss's gradient over the mean."""
        count = literal(self.rows.count, self.k.operands[self.number].dtype)
        self._launch("", f"const $T share = grad[0] / {count};\n{body}", self.k.result(), **values)

    def _launch(self, label: str, body: str, to: Pointer, **values: object) -> None:
        k, rows = self.k, self.rows
        kind = element(k.operands[self.number])
        template = _LABEL + body
        known: dict[str, Any] = {"T": kind, "WIDTH": rows.width, "at": rows.at("row", "j")}
        known["LABELLED"] = rows.at("row", "label")
        known |= values
        reads = [("x", k.operand(self.number)), ("labels", k.operand(self.number + 1))]
        if self.number:
            reads.append(("grad", k.operand(0)))
        launch_rows(
            k,
            label,
            template,
            count=rows.count,
            lanes=rows.lanes,
            room=kind,
            reads=reads,
            writes=[("y", to), ("report", k.report())],
            **{name: value for name, value in known.items() if f"${name}" in template},
        )


@kernels.rule(softmax_cross_entropy)
def softmax_cross_entropy_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Subtract the maximum, then the label's score from the logarithm of the sum."""
    _Scored(k).loss(NORM + "const $T found = log_of(total) - (x[$LABELLED] - top);")


@kernels.rule(softmax_cross_entropy_grad)
def softmax_cross_entropy_grad_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Subtract 1 at the labels."""
    value = "(exp_of(x[$at] - top) / total - (j == label ? $T(1) : $T(0))) * share"
    _Scored(k).gradient(f"{NORM}{_EACH}y[$at] = {value};")


_GOT = "const $T got = larger(x[$LABELLED], $FLOOR);\n"


@kernels.rule(cross_entropy)
def cross_entropy_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Take the logarithm of what the label got."""
    floor = literal(FLOOR, k.operands[0].dtype)
    _Scored(k).loss(_GOT + "const $T found = -log_of(got);", FLOOR=floor)


@kernels.rule(cross_entropy_grad)
def cross_entropy_grad_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Write at the label, zeros elsewhere."""
    floor = literal(FLOOR, k.operands[1].dtype)
    value = "j == label ? -share / got : $T(0)"
    _Scored(k).gradient(f"{_GOT}{_EACH}y[$at] = {value};", FLOOR=floor)


_MARGINS = """
const $T line = x[$LABELLED] - $T(1);
$T total = 0;
for ($I j = lane; j < $WIDTH; j += $LANES)
    if (j != label) total += $counted;
total = over_lanes<Sum, $LANES>(total, reinterpret_cast<$T*>(shared_memory));
"""


@kernels.rule(hinge)
def hinge_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Sum the margins."""
    margins = _MARGINS.replace("$counted", "larger(x[$at] - line, $T(0))")
    _Scored(k).loss(f"{margins}const $T found = total;")


@kernels.rule(hinge_grad)
def hinge_grad_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Count the classes within the margin."""
    margins = _MARGINS.replace("$counted", "x[$at] - line > $T(0) ? $T(1) : $T(0)")
    slope = "(j == label ? -total : (x[$at] - line > $T(0) ? $T(1) : $T(0)))"
    _Scored(k).gradient(f"{margins}{_EACH}y[$at] = {slope} * share;")
