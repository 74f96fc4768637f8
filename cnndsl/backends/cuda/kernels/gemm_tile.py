"""Tiles of a product: how large, and how the threads of a block fetch a factor's part of one."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import ceil_div

MULTIPROCESSORS = 132
LONG = 12
"""Statements from which on a store is long, as one with a sigmoid in its epilogue is."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Text that fetches one element of a factor."""

    text: str
    """Statements that set `value`, which is 0 before, from `f`, `k` and `g`, all within bounds."""
    along_k: bool
    """Whether neighbours along `k` are neighbours in memory; else those along `f` are."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The part of a result that a block computes."""

    m: int
    """Rows."""
    n: int
    """Columns."""
    rows: int
    """Rows of a thread, or of a warp where tensor cores work."""
    columns: int
    """Columns of a thread or warp."""
    rate: float
    """How fast it is, a large one being 1: what is fetched is used more often in a large one."""

    @property
    def parts(self) -> int:
        """How many threads or warps share a tile."""
        return self.m // self.rows * (self.n // self.columns)

    def registers(self, store: str) -> int:
        """How many a thread may have: for sums, for what is fetched, and for a long `store`."""
        large = self.m * self.n > 64 * 128
        return 255 if large or store.count("\n") >= LONG else 128

    def count(self, m: int, n: int) -> int:
        """Tell how many cover a result."""
        return ceil_div(m, self.m) * ceil_div(n, self.n)


PLAIN_TILES = (
    Tile(128, 128, 8, 8, 1.0),
    Tile(64, 128, 4, 8, 0.9),
    Tile(128, 64, 8, 4, 0.9),
    Tile(64, 64, 4, 4, 0.8),
    Tile(32, 128, 4, 4, 0.7),
    Tile(128, 32, 4, 4, 0.7),
    Tile(32, 32, 4, 4, 0.4),
)
"""Of 256 threads, the last of 64."""
TENSOR_TILES = (
    Tile(128, 128, 64, 32, 1.0),
    Tile(64, 128, 32, 32, 0.8),
    Tile(128, 64, 32, 32, 0.8),
    Tile(64, 64, 32, 16, 0.6),
    Tile(32, 128, 32, 16, 0.5),
    Tile(32, 32, 16, 16, 0.4),
)
"""Of 8 warps, the last of 4."""


def choose_tile(m: int, n: int, groups: int, *, tensors: bool, wide: bool) -> Tile:
    """Choose the tile with the least work in waves of blocks, padding counted.

    Where `wide` is false, elements have eight bytes, and a thread's registers hold half as many.
    """
    tiles = TENSOR_TILES if tensors else PLAIN_TILES
    fitting = [t for t in tiles if wide or t.m * t.n <= 64 * 64]

    def work(tile: Tile) -> float:
        waves = max(1.0, tile.count(m, n) * groups / MULTIPROCESSORS)
        return waves * tile.m * tile.n / tile.rate

    return min(fitting, key=work)


@dataclass(frozen=True, slots=True)
class Part:
    """One factor's part of a tile, and who fetches which element of it."""

    name: str
    """"a" or "b"."""
    fetch: Fetch
    """How an element is fetched."""
    size: int
    """Length along `f`."""
    depth: int
    """Length along `k`, in units of what a thread fetches at once."""
    threads: int
    """Of the block."""

    @property
    def each(self) -> int:
        """How many units a thread fetches."""
        return self.size * self.depth // self.threads

    @property
    def place(self) -> str:
        """Statement that gives the place `ff`, `kk` of a thread's unit `e` in the part."""
        if self.fetch.along_k:
            step = self.threads // self.depth
            return f"const int ff = tid / {self.depth} + e * {step}, kk = tid % {self.depth};"
        step = self.threads // self.size
        return f"const int ff = tid % {self.size}, kk = tid / {self.size} + e * {step};"

    def loop(self, body: str) -> str:
        """Write a loop over a thread's units."""
        inside = "\n".join(f"    {line}" for line in f"{self.place}\n{body}".split("\n"))
        return f"#pragma unroll\nfor (int e = 0; e < {self.each}; ++e) {{\n{inside}\n}}"


def fetch_one(part: Part, *, start: str, bound: int, k: str, to: str) -> str:
    """Write the fetch of the element at `ff` and `k` of a part that begins at `start`."""
    body = "\n".join(f"        {line}" for line in part.fetch.text.strip().split("\n"))
    return (
        f"{{\n"
        f"    const $I f = {start} + ff, k = {k};\n"
        f"    $T value = 0;\n"
        f"    if (f < {bound} && k < stop) {{\n"
        f"{body}\n"
        f"    }}\n"
        f"    {to} = value;\n"
        f"}}"
    )


def typed(text: str, kind: str, index: str) -> str:
    """Put the element type `$T` and the type `$I` of indices into a text."""
    return text.replace("$T", kind).replace("$I", index)
