"""How much the kernels are held to: `python -m tests.backends.cuda.cases` counts."""

from __future__ import annotations

from dataclasses import dataclass

import cnndsl.ops  # noqa: F401 - defines the ops
from cnndsl.backends.cuda.emulated.driver import ORDERS
from cnndsl.ops.rules import samples
from tests.backends.cuda import test_planted_faults
from tests.backends.cuda.emulation import LAUNCHED, SLACK
from tests.backends.cuda.larger import LARGER


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of cases."""

    ops: int
    """Ops that are launched."""
    samples: int
    """Shapes and attributes of theirs."""
    larger: int
    """Cases of several tiles, slices and blocks."""
    precisions: int
    """Each case is run in so many."""
    orders: int
    """Each of these runs is made in so many orders of threads."""
    faults: int
    """Mistakes put into kernels, each of which must be found."""

    @property
    def cases(self) -> int:
        """Cases that are compared with the reference."""
        return (self.samples + self.larger) * self.precisions


def count() -> Counts:
    """Count what `test_conformance.py` and `test_planted_faults.py` run."""
    return Counts(
        ops=len(LAUNCHED),
        samples=sum(len(list(samples[op]())) for op in LAUNCHED),
        larger=sum(map(len, LARGER.values())),
        precisions=len(SLACK),
        orders=len(ORDERS),
        faults=len(faults()),
    )


def faults() -> list[str]:
    """Name the planted faults: a test each, or a row of a test's table."""
    found = []
    for name, test in vars(test_planted_faults).items():
        if not name.startswith("test_"):
            continue
        rows = 1
        for mark in getattr(test, "pytestmark", []):
            if mark.name == "parametrize":
                rows *= len(mark.args[1])
        found += [f"{name}-{row}" for row in range(rows)]
    return found


def main() -> None:
    """Print them."""
    found = count()
    print(
        f"{found.ops} ops, {found.samples} samples and {found.larger} larger cases, "
        f"each in {found.precisions} precisions: {found.cases} cases,\n"
        f"each in {found.orders} orders of threads on guarded copies; "
        f"{found.faults} planted faults"
    )


if __name__ == "__main__":
    main()
