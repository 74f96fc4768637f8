"""Products and their tiles: how large, and how the threads of a block fetch a factor's part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cnndsl.backends.cuda.kernel import Pointer, ceil_div
from cnndsl.backends.cuda.kernels.elementwise import Epilogue

MULTIPROCESSORS = 132
PLAIN_ENDING = Epilogue("", "value")
"""The sum as it is."""
LONG = 12
"""Statements from which on a store is long, as one with a sigmoid in its epilogue is."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Where the elements of a factor lie."""

    array: str
    """Name of the array."""
    text: str
    """Statements that set `offset` from `f`, `k` and `g`, all within bounds; -1 before: zero."""
    along_k: bool
    """Whether neighbours along `k` are neighbours in memory; else those along `f` are."""
    run: int
    """So many elements, from a multiple of it on, are neighbours, and begin at a multiple of it."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where a sum goes, and what is done to it on the way.

    Neighbouring columns are neighbours in memory.
    """

    place: str
    """Statements that set `i`, where the element of row `m` and column `n` lies."""
    ending: Epilogue = PLAIN_ENDING
    """What is done to the element at `i`, whose sum is `value`; it knows `m` and `n` too."""
    run: int = 1
    """So many columns, from a multiple of it on, begin at a multiple of it."""

    @property
    def is_long(self) -> bool:
        """Whether it takes many registers."""
        return self.ending.work.count("\n") >= LONG


@dataclass(frozen=True, slots=True)
class Product:
    """What is computed, for `groups` independent products of one size."""

    m: int
    """Rows of the result."""
    n: int
    """Columns of the result."""
    depth: int
    """Terms of each sum."""
    groups: int
    """How many such products; text knows the number of one as `g`."""
    a: Fetch
    """The first factor, by `f` (its row) and `k`."""
    b: Fetch
    """The second factor, by `f` (its column) and `k`."""
    store: Store
    """Where the sums go."""
    factors: Sequence[tuple[str, Pointer]]
    """Arrays that the factors are fetched from."""
    others: Sequence[tuple[str, Pointer]] = field(default=())
    """Arrays that `store` reads."""
    moments: bool = False
    """Whether the moments of what is stored are wanted, by column and tile."""
    terms: str = ""
    """Expression of how many terms the sums of product `g` have, where they have fewer."""

    def kind_of(self, factor: Fetch) -> str:
        """Give the element type in memory of a factor."""
        return dict(self.factors)[factor.array].kind


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

    def registers(self, store: Store, *fetches: Fetch) -> int:
        """How many a thread may have: for sums, for what is fetched, and for a long `store`.

        Of `fetches`, which a thread makes element by element, windows keep a place for each.
        """
        if self.m * self.n > 64 * 128 or store.is_long:
            return 255
        return 168 if any("\n" in fetch.text for fetch in fetches) else 128

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
    Tile(128, 32, 32, 16, 0.5),
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
    """One factor's part of a tile, and who fetches which units of it."""

    name: str
    """"a" or "b"."""
    fetch: Fetch
    """Where an element lies."""
    size: int
    """Length along `f`, in units of what a thread fetches at once."""
    depth: int
    """Length along `k`, in units."""
    threads: int
    """Of the block."""

    @property
    def each(self) -> int:
        """How many units a thread fetches."""
        return ceil_div(self.size * self.depth, self.threads)

    def loop(self, body: str) -> str:
        """Write a loop over a thread's units, each at `ff`, `kk` of the part."""
        unit, count = f"tid + e * {self.threads}", self.size * self.depth
        if self.fetch.along_k:
            place = f"const int ff = ({unit}) / {self.depth}, kk = ({unit}) % {self.depth};"
        else:
            place = f"const int ff = ({unit}) % {self.size}, kk = ({unit}) / {self.size};"
        lines = [place, *body.split("\n")]
        if count % self.threads:
            lines = [f"if ({unit} < {count}) {{", *(f"    {line}" for line in lines), "}"]
        inside = "\n".join(f"    {line}" for line in lines)
        return f"#pragma unroll\nfor (int e = 0; e < {self.each}; ++e) {{\n{inside}\n}}"


def locate(part: Part, *, start: str, bound: int, k: str, f: str = "ff") -> str:
    """Write `offset` = where the element at `f`, `k` of a part that begins at `start` lies."""
    body = "\n".join(f"    {line}" for line in part.fetch.text.strip().split("\n"))
    return (
        f"const $I f = {start} + {f}, k = {k};\n"
        f"$I offset = -1;\n"
        f"if (f < {bound} && k < stop) {{\n"
        f"{body}\n"
        f"}}"
    )


def fetch_one(part: Part, *, start: str, bound: int, k: str, to: str) -> str:
    """Write the fetch of the element at `ff` and `k` of a part that begins at `start`."""
    found = locate(part, start=start, bound=bound, k=k)
    inside = "\n".join(f"    {line}" for line in found.split("\n"))
    return f"{{\n{inside}\n    {to} = offset < 0 ? $T(0) : $T({part.fetch.array}[offset]);\n}}"


def store_many(store: Store, vector: int, value: str, *, keep: bool = False) -> str:
    """Write the store of `vector` sums, of row `m` and from column `n0` on; `value` is of `j`.

    With `keep` what is stored takes the place of the sum as well, rounded as in memory.
    """
    end = store.ending
    work = [end.work] if end.work else []
    fetch = end.fetch(vector, "i" if vector == 1 else "first")
    fetched = [fetch] if fetch else []
    if vector == 1:
        start = ["const $I n = n0;", "const int j = 0;", store.place, *fetched]
        last = [f"y[i] = {end.found};"]
        if keep:
            last = ["$S stored;", f"stored = {end.found};", "y[i] = stored;", f"{value} = stored;"]
        return "\n".join([*start, f"$T value = {value};", *work, *last])
    kept = [f"{value} = out.at[j];"] if keep else []
    each = ["const $I i = first + j, n = n0 + j;", f"$T value = {value};", *work]
    lines = [
        "$I first;",
        "{",
        _indented(f"const $I n = n0;\n{store.place}\nfirst = i;"),
        "}",
        *fetched,
        f"Pack<$S, {vector}> out;",
        "#pragma unroll",
        f"for (int j = 0; j < {vector}; ++j) {{",
        _indented("\n".join([*each, f"out.at[j] = {end.found};", *kept])),
        "}",
        f"put<{vector}>(y + first, out);",
    ]
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def typed(text: str, values: dict[str, object]) -> str:
    """Put the element type `$T`, that in memory `$S` and the type `$I` of indices into a text."""
    for name in ("T", "S", "I"):
        text = text.replace(f"${name}", str(values[name]))
    return text
