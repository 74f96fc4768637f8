"""Writes `zoo/README.md`: `PYTHONPATH=. python -m tests.zoo.readme`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse_file
from cnndsl.layers.analysis import analyse
from cnndsl.layers.network import Network
from tests.cli.runner import run
from tests.zoo.networks import ZOO
from tests.zoo.variants import VARIANTS, Variant

README = ZOO["lenet"].with_name("README.md")

HEAD = """# The zoo

Networks as they stand in their papers and on the lectures' slides. Each is a program that can be
read, run and changed, and a text to import: `cnndsl summary resnet -p depth=101`.

All sizes and counts in the programs are checked; the tables are made of the same analysis and are
checked by the tests. Multiply-adds are those of convolutions and full connections, for one image.

"""

BETWEEN = """
## Families

What `-p` chooses, and who counts the same number of parameters. Batch normalisation's running
statistics are no parameters. imgclsmob's table is that of the repository osmr/imgclsmob.

| program | options | parameters | multiply-adds | counted by |
| --- | --- | ---: | ---: | --- |
"""


def network_of(variant: Variant) -> Network:
    """Elaborate a member of the zoo."""
    path = ZOO[variant.program]
    return elaborate(parse_file(path), params=variant.params, base_dir=path.parent).network


def rows() -> Iterator[str]:
    for variant in VARIANTS:
        found = analyse(network_of(variant))
        options = f"`{variant.options}`" if variant.options else ""
        counts = f"{found.params:,} | {found.macs:,}"
        yield f"| `{variant.program}` | {options} | {counts} | {variant.source} |\n"


def readme() -> str:
    """Give the text that the file should hold."""
    return HEAD + run("zoo", "--table").out + BETWEEN + "".join(rows())


if __name__ == "__main__":
    Path(README).write_text(readme(), encoding="utf-8")
