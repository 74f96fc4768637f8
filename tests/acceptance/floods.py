"""Texts as long as a file may be: what each family of them says again and again.

A text within the limits is read, elaborated and judged, so that what a line costs must not depend
on how many there are. `FAMILIES` are texts of any length; `filled` makes one of as many words and
signs as a file may have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cnndsl.frontend.parse import Attempt
from cnndsl.support.limits import DEFAULT_LIMITS
from cnndsl.support.source import SourceFile

IMAGE = "input 8x8x1\n"


def _each(line: str, *, before: str = IMAGE, after: str = "") -> Callable[[int], str]:
    """Repeat a line; `@` in it is its number."""
    if "@" not in line:
        return lambda count: before + line * count + after
    return lambda count: before + "".join(line.replace("@", str(i)) for i in range(count)) + after


def _both(first: str, second: str, *, before: str = IMAGE) -> Callable[[int], str]:
    """Repeat a line, then another one as often."""
    return lambda count: _each(first, before=before)(count) + _each(second, before="")(count)


FAMILIES: Mapping[str, Callable[[int], str]] = {
    "layers": _each("conv 1 1x1\n"),
    "layers without settings": _each("relu\n"),
    "a chain": lambda count: f"{IMAGE}{' -> '.join(['relu'] * count)}\n",
    "a list": _each("relu;"),
    "labels": _each("l@: relu\n"),
    "aliases": _each("relu as a@\n"),
    "batch norms": _each("batchnorm\n"),
    "pools": _each("pool 1x1 stride 1\n"),
    "dense layers": _each("fc 10\n"),
    "sizes": _each("relu => [8x8x1]\n"),
    "wrong sizes": _each("relu => [9x9x1]\n"),
    "conditions": _each("relu if 1 < 2\n"),
    "choices": _each("relu?\n"),
    "counts to choose": _each("relu*1..5\n"),
    "repeats": _each("relu*2\n"),
    "a loop": _each("relu; conv 1 1x1 as c[@]\n"),
    "branches": lambda count: f"{IMAGE}({' | '.join(['relu'] * count)}) -> concat\n",
    "pairs of branches": _each("(relu | conv 1 1x1) -> concat -> conv 1 1x1\n"),
    "sums": _each("add x\n", before=f"{IMAGE}x: relu\n"),
    "growing depth": _each("concat x\n", before="input 2x2x1\nx: relu\n"),
    "many streams": lambda count: (
        f"{IMAGE}{''.join(f'a{i}: relu{chr(10)}' for i in range(count))}"
        f"concat {' '.join(f'a{i}' for i in range(count))}\n"
    ),
    "constants": lambda count: (
        f"{''.join(f'let a{i} = {i + 1}{chr(10)}' for i in range(count))}"
        f"{IMAGE}{''.join(f'conv a{i} 1x1{chr(10)}' for i in range(count))}"
    ),
    "constants of constants": lambda count: (
        f"let a0 = 1\n{''.join(f'let a{i} = a{i - 1} + 1{chr(10)}' for i in range(1, count + 1))}"
        f"{IMAGE}conv a{count} 1x1\n"
    ),
    "parameters": _each("param p@ in 1..5 = 3\n", before="", after=f"{IMAGE}relu\n"),
    "parameters and layers": lambda count: (
        f"{''.join(f'param p{i} = 3{chr(10)}' for i in range(count))}{IMAGE}"
        f"{''.join(f'conv p{i} 1x1{chr(10)}' for i in range(count))}"
    ),
    "defaults": _each("conv 1 1x1\n", before=f"default conv: stride 1\n{IMAGE}"),
    "defaults again and again": _each("default conv: stride 1\nconv 1 1x1\n"),
    "blocks": _both("block b@ { relu }\n", "b@\n"),
    "nets": _both("net n@ { relu }\n", "n@\n"),
    "a block again and again": _each("b\n", before=f"block b {{ relu }}\n{IMAGE}"),
    "a net again and again": _each("n\n", before=f"net n {{ conv 1 1x1 }}\n{IMAGE}"),
    "assertions": _both("relu\n", "assert params == 0\n"),
    "assertions that fail": _both("relu\n", "assert params == 1\n"),
    "assertions about a layer": _both("l@: relu\n", "assert l@.params == 0\n"),
    "assertions about a net": lambda count: (
        f"net n {{ {'relu; ' * count} }}\n{IMAGE}n\n{('assert n.params == 0' + chr(10)) * count}"
    ),
    "assertions about nets": _both("net n@ { relu }\n", "n@\nassert n@.params == 0\n"),
    "train sections": _each("train { epochs: 3 }\n", before=f"{IMAGE}relu\n"),
    "data sections": _each("data d@ { classes: 3 }\n", before=f"{IMAGE}relu\n"),
    "wrong words": _each("xyzzy@ 3\n"),
    "wrong windows": _each("conv 1 9x9\n"),
    "wrong settings": _each("conv 1 1x1 padd 3\n"),
    "wrong streams": _both("aa@: relu\n", "add bb@\n"),
    "wrong syntax": _each("conv 1 1x1 )\n"),
    "remarks": _each(f"relu # {'x' * 60}\n"),
    "blank lines": _each(f"relu\n{chr(10) * 8}"),
}
"""Texts by what they say many times."""


def words(text: str) -> int:
    """Count words and signs as the limit does, of a text without mistakes of syntax."""
    attempt = Attempt(SourceFile("<text>", text), text, DEFAULT_LIMITS)
    attempt.run()
    return len(attempt.tokens)


def filled(family: Callable[[int], str], share: float = 0.97) -> str:
    """Give the text of a family that has `share` of the words that a file may have."""
    few, more = words(family(20)), words(family(40))
    each = max((more - few) / 20, 2.0)
    count = int((share * DEFAULT_LIMITS.tokens - few) / each)
    text = family(count)
    while len(text.encode()) > share * DEFAULT_LIMITS.file_bytes:
        count = count * 9 // 10
        text = family(count)
    return text
