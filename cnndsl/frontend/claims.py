"""Claims behind a line of the accounting table: `memory: 224*224*3=150K  params: 0`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env
from cnndsl.frontend.evaluate import Evaluator, Number
from cnndsl.frontend.figures import (
    Counting,
    Verdict,
    figure_of,
    in_units_of,
    is_bytes,
    is_rounded,
)
from cnndsl.frontend.flow import Flow
from cnndsl.frontend.instances import Instances
from cnndsl.frontend.measures import POOLINGS, product
from cnndsl.frontend.records import Record
from cnndsl.layers.analysis import FLOAT_BYTES
from cnndsl.support.diagnostics import Diagnostic, Fix, error

WORDS = {
    "memory": "memory",
    "params": "params", "param": "params", "parameters": "params", "weights": "params",
    "ops": "ops", "macs": "ops", "flop": "ops", "flops": "ops", "operations": "ops",
    "depth": "depth",
}  # fmt: skip
"""What a line can claim, in every spelling."""


@dataclass(frozen=True, slots=True)
class Actual:
    """What a line really has of what it claims."""

    number: int
    """The number."""
    what: str
    """The number in a sentence."""


class Claims(Instances):
    """Checks claims."""

    def check_claims(self, line: ast.Line, flow: Flow, env: Env, records: list[Record]) -> None:
        """Check every claim of a line that made `records`; reports E0504."""
        counting = env.scope.find_counting()
        for claim in line.claims:
            quantity = WORDS.get(claim.key.text.casefold())
            if quantity is None:
                self.reports.add(
                    error(
                        "E0504",
                        f"a line claims memory, params, ops or depth, not `{claim.key.text}`",
                        claim.key.span,
                    )
                )
                continue
            in_bytes = is_bytes(claim.rounded or claim.value)
            actual = _actual(quantity, flow, records, counting, in_bytes=in_bytes)
            self._check(claim, actual, self.evaluator(env, flow), counting)

    def _check(
        self, claim: ast.Claim, actual: Actual, evaluator: Evaluator, counting: Counting
    ) -> None:
        for shown in (claim.value, claim.rounded):
            if shown is None:
                continue
            value = evaluator.number(shown)
            if isinstance(shown, ast.Number) and (is_rounded(shown) or shown is claim.rounded):
                figure = figure_of(shown, counting=counting)
                holds = figure.judge(actual.number) is not Verdict.WRONG
                value = int(figure.value) if figure.value.is_integer() else figure.value
            else:
                holds = value == actual.number
            if not holds:
                self.reports.add(_wrong(claim, shown, value, actual, counting))
                return


def _wrong(
    claim: ast.Claim, shown: ast.Expr, value: Number, actual: Actual, counting: Counting
) -> Diagnostic:
    said = f"{value:,}"
    if isinstance(shown, ast.Number) and is_rounded(shown):
        said = shown.text
    right = in_units_of(actual.number, shown, counting=counting)
    return error(
        "E0504",
        f"the claim `{claim.key.text}: {said}` is wrong",
        shown.span,
        label=f"{actual.what}: {right}" if right else actual.what,
        fixes=(Fix("write what is right", shown.span, _figure(actual.number, right)),),
    )


def _figure(number: int, right: str) -> str:
    """Write a number as a claim does: in the figure's unit where it has one."""
    return right.replace(",", "") if right else str(number)


def _actual(
    quantity: str, flow: Flow, records: list[Record], counting: Counting, *, in_bytes: bool
) -> Actual:
    match quantity:
        case "memory":
            numbers = math.prod(flow.size or ())
            if in_bytes:
                total = numbers * FLOAT_BYTES
                return Actual(total, f"{product(flow.size or ())} numbers are {total:,} bytes")
            return Actual(numbers, f"{product(flow.size or ())} numbers are kept here")
        case "params":
            return _weights(records, counting)
        case "ops":
            return _operations(records, counting)
    depth = _depth(records)
    return Actual(depth, f"the line has {depth} layers with weights one behind another")


def _weights(records: list[Record], counting: Counting) -> Actual:
    moved = [p for r in records for p in r.parameters if p.trainable]
    weights = sum(math.prod(p.shape) for p in moved if not p.bias)
    if counting.biases:
        total = sum(math.prod(p.shape) for p in moved)
        what = f"the line has {total:,} parameters, {total - weights:,} of them biases"
        return Actual(total, what)
    return Actual(weights, f"the line has {weights:,} weights, biases left out")


def _operations(records: list[Record], counting: Counting) -> Actual:
    macs = sum(r.spec.kind.macs(r.spec, r.sizes, r.size) for r in records)
    if not counting.pools:
        return Actual(macs, f"the line takes {macs:,} multiply-adds")
    pools = sum(
        r.spec.kind.flops(r.spec, r.sizes, r.size) for r in records if r.spec.kind.name in POOLINGS
    )
    return Actual(macs + pools, f"the line takes {macs + pools:,} operations, poolings included")


def _depth(records: list[Record]) -> int:
    depth: dict[int, int] = {}
    for record in records:
        macs = record.spec.kind.macs(record.spec, record.sizes, record.size)
        before = max((depth.get(id(source), 0) for source in record.inputs), default=0)
        depth[id(record)] = before + (macs > 0)
    return max(depth.values(), default=0)
