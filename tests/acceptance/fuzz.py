"""Checks inputs that nobody would write: `python -m tests.acceptance.fuzz --count N --seed S`.

Every input is read, checked and its messages are written out; a program that parses is also
formatted and parsed again. What must not happen is an exception, `RecursionError` and
`MemoryError` included, and an answer that takes seconds. Whatever is found is printed with the
number that gives the input again; the exit status says whether anything was.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from cnndsl.frontend.check import examine
from cnndsl.frontend.format import format_program
from cnndsl.frontend.parse import parse
from cnndsl.frontend.reading import decode_source
from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.support.resources import resource_dir
from cnndsl.support.source import SourceFile
from tests.acceptance.fuzz_inputs import draw

SLOW_SECONDS = 2.0
DEADLINE_SECONDS = 20
MEMORY_BYTES = 3 << 30


class TooSlow(BaseException):
    """The deadline of one input has passed; no `Exception`, so that nothing catches it."""


@dataclass
class Found:
    """What the inputs led to."""

    run: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    fine: int = 0
    slowest: float = 0.0
    problems: list[str] = field(default_factory=list)


def answer(data: bytes) -> tuple[str, ...]:
    """Do with an input what `check` and `fmt` do; give the codes of what is said."""
    try:
        source = decode_source(data, "fuzz.cnn")
    except DiagnosticError as problem:
        return tuple(d.code for d in problem.diagnostics)
    checked = examine(source, base_dir=resource_dir("zoo"))
    str(checked)
    _format(source)
    return tuple(d.code for d in checked.diagnostics)


def _format(source: SourceFile) -> None:
    try:
        program = parse(source)
    except DiagnosticError:
        return
    shown = format_program(program)
    again = parse(shown)
    assert again.statements == program.statements, f"not the same after fmt:\n{shown}"
    assert format_program(again) == shown, f"fmt changes its own text:\n{shown}"


def try_one(data: bytes) -> tuple[tuple[str, ...], float, str]:
    """Give an input's codes, its seconds, and what went wrong."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(DEADLINE_SECONDS)
    start = time.process_time()
    codes: tuple[str, ...] = ()
    wrong = ""
    try:
        codes = answer(data)
    except (Exception, TooSlow):
        wrong = traceback.format_exc(limit=-6)
    finally:
        signal.alarm(0)
    seconds = time.process_time() - start
    if not wrong and seconds > SLOW_SECONDS:
        wrong = f"took {seconds:.1f} s"
    return codes, seconds, wrong


def fuzz(seed: int, numbers: Iterator[int], *, seconds: float | None = None) -> Found:
    """Try inputs until they or the seconds run out."""
    found = Found()
    until = None if seconds is None else time.monotonic() + seconds
    for number in numbers:
        if until is not None and time.monotonic() > until:
            break
        codes, took, wrong = try_one(draw(seed, number))
        found.run += 1
        found.slowest = max(found.slowest, took)
        found.codes.update(set(codes))
        found.fine += not any(code.startswith("E") for code in codes)
        if wrong:
            found.problems.append(f"seed {seed}, number {number}: {wrong}")
    return found


def main() -> int:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=0, help="which inputs")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seconds", type=float, help="stop after this long")
    parser.add_argument("--save", type=Path, help="a folder for the inputs that led to a problem")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    numbers = iter(range(options.first, options.first + options.count))
    found = fuzz(options.seed, numbers, seconds=options.seconds)
    for problem in found.problems:
        print(problem)
        if options.save is not None:
            number = int(problem.partition("number ")[2].partition(":")[0])
            options.save.mkdir(parents=True, exist_ok=True)
            path = options.save / f"{options.seed}-{number}.cnn"
            path.write_bytes(draw(options.seed, number))
    print(f"{found.run} inputs of seed {options.seed}: {len(found.problems)} problems")
    print(f"{found.fine} without an error; slowest {found.slowest:.2f} s")
    print(", ".join(f"{code} {count}" for code, count in sorted(found.codes.items())))
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
