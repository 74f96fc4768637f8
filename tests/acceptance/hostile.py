"""Files that mean harm: what each attacks, and the code that it gets."""

from __future__ import annotations

from collections.abc import Mapping

DOUBLING = "block b0 { relu - relu }\n" + "".join(
    f"block b{i} {{ b{i - 1} - b{i - 1} }}\n" for i in range(1, 60)
)

BRANCHING = "block c0 { (relu | relu) - add }\n" + "".join(
    f"block c{i} {{ (c{i - 1} | c{i - 1}) - add }}\n" for i in range(1, 60)
)

NETS = "net n0 { input [8]; relu - relu }\n" + "".join(
    f"net n{i} {{ input [8]; n{i - 1} - n{i - 1} }}\n" for i in range(1, 40)
)

BOMBS: Mapping[str, str] = {
    "a count": "relu*1000000000",
    "the largest count": "relu*999999999999999999",
    "counts inside one another": "(((relu*1000000)*1000000)*1000000)",
    "a count that is a name": "let n = 1000000000\nrelu*n",
    "a count that is an expression": "relu*(10^15)",
    "a pattern": "[(CONV-RELU)*100000-POOL?]*100000-(FC-RELU)*100000",
    "doubling blocks": f"{DOUBLING}b59",
    "doubling blocks as a choice": f"{DOUBLING}b59?",
    "doubling blocks under a condition": f"{DOUBLING}b59 if 1 == 1",
    "doubling blocks in branches": f"{BRANCHING}c59",
    "doubling blocks in a loop": f"{DOUBLING}repeat 5 {{ b40 }}",
    "a loop": "repeat 1000000 { relu }",
    "a loop over a long range": "repeat i in 1..100000 { relu; relu }",
    "loops inside one another": "repeat i in 1..90000 { repeat j in 1..90000 { let x = i } }",
    "three loops": "repeat 3000 { repeat 3000 { repeat 3000 { relu } } }",
    "a loop of nothing": "repeat 99999 { repeat 99999 { } }",
    "labels": "A1..999999: relu",
    "labels of layers": "C1..99999: conv 1 1x1\nD1..99999: conv 1 1x1",
    "a loop that uses a block": "block b { relu*1000 }\nrepeat 1000 { b }",
    "a block given a count": "block b(n) { relu*n }\nb(1000000000)",
    "a block given blocks": "block b(f) { f - f }\nblock r { relu*60000 }\nb(r)",
    "branches that repeat": "((id | relu*1000) - add)*10000",
    "sections that repeat": "concat { relu*60000; relu*60000 }",
    "conditions that repeat": "if true { relu*60000 } else { }\nrelu*60000",
    "recurrences": "reshape [2x4x1] - upsample 500x1 - rnn 1 all*60000",
    "chains of counts": "relu*40000 - relu*40000 - relu*40000",
}
"""Programs that unroll to more than the limit; each gets E0602, and nothing is built."""

LIMITS: Mapping[str, tuple[str, str]] = {
    "too many words": ("E0614", "relu - " * 55_000 + "relu"),
    "brackets": ("E0615", "(" * 101 + "relu" + ")" * 101),
    "braces": ("E0615", "repeat 1 { " * 101 + "relu" + " }" * 101),
    "minus signs": ("E0615", "let n = " + "- " * 300 + "1"),
    "not": ("E0615", "let n = " + "not " * 300 + "true"),
    "choices": ("E0615", "let n = " + "1 if true else " * 300 + "1"),
    "powers": ("E0615", "let n = " + "2^" * 300 + "1"),
    "digits": ("E0616", "fc 1234567890123456789"),
    "digits of a size": ("E0616", "conv 8 3x1234567890123456789"),
    "a name": ("E0616", f"{'a' * 256}: relu"),
    "a text": ("E0616", f'load "{"a" * 4097}"'),
    "a power": ("E0617", "let n = 2^10^10"),
    "a product": ("E0617", "let n = 10^15 * 10^15"),
    "a range": ("E0617", "let n = 1..1000000000"),
    "a list in a loop": ("E0617", "let n = [1..100000, 2]\nlet m = 1..200000"),
    "itself": ("E0603", "block a { a }\na"),
    "a circle": ("E0603", "block a { b }\nblock b { c }\nblock c { a }\na"),
    "a net of itself": ("E0603", "net a { input [8]; a }\na"),
    "depth": ("E0604", "".join(f"block b{i} {{ b{i + 1} }}\n" for i in range(70))
              + "block b70 { relu }\nb0"),
    "a tensor": ("E0608", "fc 100000 - fc 100000"),
    "a wide image": ("E0608", "reshape [1x1x8] - pad 2000000000"),
    "an enlarged image": ("E0608", "reshape [2x2x2] - upsample 2147483647"),
    "an image enlarged again and again": ("E0608", "reshape [2x2x2] - (upsample 2)*60"),
    "a stride of a transposed convolution": ("E0608", "reshape [2x2x2] - upconv 8 3x3/2147483647"),
    "a state": ("E0608", "reshape [2x2x2] - lstm 2147483647"),
    "a long recurrence": ("E0602", "reshape [2x2x2] - upsample 1000x1 - lstm 8"),
    "a path above": ("E0606", 'import "../w.cnn" as w'),
    "an absolute path": ("E0606", 'load "/etc/passwd"'),
    "a drive": ("E0606", 'load "C:\\w.npz"'),
    "an address": ("E0606", 'load "https://example.org/w.npz"'),
    "a pickle": ("E0607", 'load "w.pkl"'),
}  # fmt: skip
"""Programs beyond one of the other limits, with the code that they get; `input [8]` before each."""

FLOOD = "\n".join(f"rleu{i}" for i in range(500))
"""Five hundred mistakes."""

NOISE: Mapping[str, str] = {
    "blanks": " " * 1_000_000,
    "remarks": "#" * 1_000_000,
    "digits": "1" * 1_000_000,
    "sizes": "1x" * 500_000,
    "hyphens": "a-1" * 330_000,
    "open brackets": "(" * 1_000_000,
    "open texts": '"' * 999_999,
    "remarks of words": "(a b" * 250_000,
    "line ends": "\n" * 1_000_000,
    "carriage returns": "\r\n" * 500_000,
    "semicolons": ";" * 1_000_000,
    "arrows": "->" * 500_000,
    "stars": "*" * 1_000_000,
    "colons": "a:" * 500_000,
    "names": "a " * 500_000,
    "equals": "=>" * 500_000,
    "hidden characters": "relu\u202e" * 120_000,
    "foreign letters": "\u4e00" * 340_000,
}
"""A megabyte each."""
