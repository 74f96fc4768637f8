"""Prints how far the seeds are reached: `python -m tests.acceptance.report`.

Every identifier is reached by tests or has its reason. The report runs the tests of this folder
and counts what passed; it takes nobody's word for it.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from tests.acceptance.material import FOLDER, blocks
from tests.acceptance.notations import CASES, FORMULAS, NOT_PROGRAMS, PROSE
from tests.acceptance.numbers import rows
from tests.acceptance.slips import SLIPS, Beyond

BY_OPERATORS = {
    "C-040": "test_cross_correlation", "C-041": "test_padded_cross_correlation",
    "C-042": "test_strided_cross_correlation", "C-043": "test_pooling",
    "C-044": "test_pooling_at_stride_2", "C-045": "test_vertical_edge",
    "C-046": "test_sharpening_leaves_a_constant_image", "C-047": "test_tanh_by_sigmoid",
    "C-048": "test_gradient_of_the_expression", "C-049": "test_top_k_of_the_example",
    "C-050": "test_top_k_of_the_example", "C-192": "test_inception_blocks",
}  # fmt: skip
"""Numbers that are run and not analysed, and the test of each."""

IMAGENET = "an error rate on ImageNet: needs its images and nets trained for weeks"
CLAIMS: Mapping[str, str] = {
    **dict.fromkeys(("C-198", *(f"C-{n}" for n in range(229, 235)), "C-246"), IMAGENET),
    "C-235": "gains over other entries of competitions, which the seed does not describe",
    "C-236": "the log of ten epochs on MNIST, reproduced by hand: `benchmarks/lecture_log.py`",
    "C-237": "how long two GPUs of 2012 took: a measurement of them",
    "C-238": "how long a GPU of 2015 took: a measurement of it",
    "C-239": "the speed of Mask R-CNN: needs detection, which is not built yet, and its machine",
    "C-240": "what people and the best nets of a year reach on CIFAR-10: a survey",
    "C-241": "how long detectors train from scratch: needs detection, which is not built yet",
    "C-242": "a rule of thumb about data sets: nothing to compute",
    "C-243": "the size of ImageNet: needs its images",
    "C-244": "the sizes of ImageNet need its files; MNIST's are measured by `lecture_log.py`",
    "C-245": "the neurons of a visual cortex: anatomy",
}
"""Numbers that no test reaches, and what would be needed."""

NUMBERS = 246
SLIP_COUNT = 54


@dataclass
class Outcomes:
    """The tests that ran, by file and name."""

    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition(f"{FOLDER.name}/")[2]
        if report.failed:
            self.failed.add(name)
        elif report.when == "call" and report.passed:
            self.passed.add(name)

    def reached(self, start: str) -> bool:
        """Tell whether tests whose names begin so ran, and all of them passed."""
        ran = [name for name in self.passed if name.startswith(start)]
        return bool(ran) and not any(name.startswith(start) for name in self.failed)


def notations(outcomes: Outcomes) -> Mapping[str, str]:
    """Give what is not reached of the notations, and why."""
    missing = dict(NOT_PROGRAMS)
    for id_ in CASES:
        if not outcomes.reached(f"test_notations.py::test_stands_as_it_is[{id_}]"):
            missing[id_] = "its test fails"
    for id_, test in FORMULAS.items():
        file, _, name = test.partition(".")
        if not outcomes.reached(f"{file}.py::{name}"):
            missing[id_] = "its test fails"
    for id_ in PROSE:
        if not outcomes.reached(f"test_notations.py::test_prose_has_its_program[{id_}]"):
            missing[id_] = "its test fails"
    return missing


def numbers(outcomes: Outcomes) -> Mapping[str, str]:
    """Give what is not reached of the numbers, and why."""
    missing: dict[str, str] = {}
    analysed = {row.id for row in rows()}
    for number in range(1, NUMBERS + 1):
        id_ = f"C-{number:03}"
        reached = []
        if id_ in analysed:
            test = "test_numbers.py::test_the_right_value_comes_out"
            reached.append(outcomes.reached(f"{test}[{id_}"))
        if id_ in BY_OPERATORS:
            reached.append(outcomes.reached(f"test_operators.py::{BY_OPERATORS[id_]}"))
        figures = [row for row in rows() if row.id == id_ and row.figure]
        if figures:
            test = "test_numbers.py::test_the_slides_figure_is_judged"
            reached.append(outcomes.reached(f"{test}[{id_}"))
        if not reached:
            missing[id_] = CLAIMS[id_]
        elif not all(reached):
            missing[id_] = "its test fails"
    return missing


def slips(outcomes: Outcomes) -> Mapping[str, str]:
    """Give what is not reached of the slips, and why."""
    missing: dict[str, str] = {}
    for id_, checks in SLIPS.items():
        reasons = [check.reason for check in checks if isinstance(check, Beyond)]
        if reasons:
            missing[id_] = reasons[0]
        elif not outcomes.reached(f"test_slips.py::test_slip[{id_}"):
            missing[id_] = "its test fails"
    return missing


def grouped(missing: Mapping[str, str]) -> Iterable[str]:
    """Write what is missing, one line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for id_ in sorted(missing):
        by_reason.setdefault(missing[id_], []).append(id_)
    for reason, ids in by_reason.items():
        yield f"  {_ranges(ids)}: {reason}"


def _ranges(ids: list[str]) -> str:
    """Write identifiers in a row as a range: C-229 to C-246."""
    runs: list[list[str]] = []
    for id_ in ids:
        if runs and int(id_[2:]) == int(runs[-1][-1][2:]) + 1:
            runs[-1].append(id_)
        else:
            runs.append([id_])
    return ", ".join(r[0] if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs)


def main() -> int:
    """Run the tests and print the table."""
    outcomes = Outcomes()
    options = ["-q", "-p", "no:randomly", "-n", "0", "-p", "no:cacheprovider", str(FOLDER)]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(options, plugins=[outcomes])
    parts = (
        ("notations (N)", len(blocks()), notations(outcomes)),
        ("numbers (C)", NUMBERS, numbers(outcomes)),
        ("slips (E)", SLIP_COUNT, slips(outcomes)),
    )
    width = max(len(name) for name, _, _ in parts)
    for name, total, missing in parts:
        print(f"{name:<{width}}  {total - len(missing):>3} of {total}")
    for name, _, missing in parts:
        if missing:
            print(f"\n{re.sub(r' .*', '', name)} not reached:")
            print("\n".join(grouped(missing)))
    print(f"\n{len(outcomes.passed)} tests passed, {len(outcomes.failed)} failed")
    return 1 if outcomes.failed else 0


if __name__ == "__main__":
    sys.exit(main())
