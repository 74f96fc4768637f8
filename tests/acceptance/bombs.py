"""Measures what hostile files cost: `python -m tests.acceptance.bombs`.

Each file is checked in a process of its own; time and the growth of its memory are printed, and
what is over the targets (200 ms and 50 MB for a bomb, 2 s for a megabyte or for a text of as many
words as a file may have) is marked.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection

from cnndsl.frontend.check import check
from tests.acceptance.floods import FAMILIES, filled
from tests.acceptance.hostile import BOMBS, FLOOD, NOISE

BOMB_SECONDS, BOMB_MB = 0.2, 50.0
NOISE_SECONDS = 2.0


def _work(text: str, answer: Connection) -> None:
    check("input [8]; relu")  # what every check needs is loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = check(text)
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    answer.send((seconds, grown, found[0].code if found else "fine "))


def measure(text: str) -> tuple[float, float, str]:
    """Give seconds, megabytes and the code, from a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(text, there))
    process.start()
    seconds, grown, code = here.recv()
    process.join()
    return float(seconds), float(grown), str(code)


def show(title: str, files: Mapping[str, str], seconds: float, megabytes: float | None) -> bool:
    """Print a table; True if everything stays below its targets."""
    print(title)
    good = True
    for name, text in files.items():
        took, grown, code = measure(text)
        over = took > seconds or (megabytes is not None and grown > megabytes)
        good = good and not over
        mark = "  <- over" if over else ""
        print(f"  {name:<36} {code}  {took * 1000:8.1f} ms  {grown:6.1f} MB{mark}")
    return good


def main() -> int:
    """Measure everything."""
    bombs = {name: f"input [8]\n{text}" for name, text in BOMBS.items()}
    good = show(f"{len(bombs)} expansion bombs", bombs, BOMB_SECONDS, BOMB_MB)
    flood = {"five hundred mistakes": f"input [8]\n{FLOOD}"}
    good = show("a megabyte each", {**NOISE, **flood}, NOISE_SECONDS, None) and good
    floods = {name: filled(family) for name, family in FAMILIES.items()}
    return 0 if show("filled texts", floods, NOISE_SECONDS, None) and good else 1


if __name__ == "__main__":
    sys.exit(main())
