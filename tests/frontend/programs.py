"""Random programs as text, for property tests: `programs()` draws one that must parse."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

FOLDER = Path(__file__).parent / "programs"

EXAMPLES = sorted(FOLDER.glob("*.cnn"))
"""The programs of the language's own description."""

NAMES = ("conv", "relu", "x", "n", "CONV1", "soft-max", "max-pool", "fc", "id", "stride", "_k")

names = st.sampled_from(("a", "b2", "depth", "C", "k_1", "unit"))
layers = st.sampled_from(NAMES)
numbers = st.sampled_from(("0", "7", "64", "1_000", "0.5", "5e-4", "40%", "35K", "93MB", "2KiB"))
whole = st.sampled_from(("1", "3", "12", "512"))
sizes = st.sampled_from(("3x3", "7x7/2", "5×5", "227x227x3", "?x28x28x81"))
strings = st.sampled_from(('"vgg.cnn"', '""', '"<end>  # no comment"', '"größe"'))
sized = st.sampled_from(("conv3-64", "FC-4096", "POOL-2"))
shapes = st.sampled_from(
    ("[55x55x96]", "[4096]", "[N]", "[2*k]", "[h/2 x w/2 x 2*k]", "[H × W × 2×k]", "[? x (n + 1)]")
)
dashes = st.sampled_from((" - ", "-", " -> ", "->", " – ", "—", " → ", " − ", "\n  -> ", ", "))


def expressions(depth: int = 2) -> st.SearchStrategy[str]:
    """Draw an expression, with blanks and brackets as people write them."""
    leaves = st.one_of(names, numbers, sizes, strings, st.sampled_from(("true", "false")))
    if depth == 0:
        return leaves
    inner = expressions(depth - 1)
    operators = st.sampled_from((" + ", "-", " * ", " × ", " / ", " % ", "^", " ^ ", "*", " − "))
    compares = st.sampled_from((" < ", "<=", " ≤ ", " == ", "≠", " >= ", " in ", " != "))
    return st.one_of(
        leaves,
        st.builds(lambda a, o, b: f"({a}){o}({b})", inner, operators, inner),
        st.builds(lambda a, o, b: f"{a}{o}{b}", names, operators, names),
        st.builds(lambda a, b, c: f"({a}){b}({c})", inner, compares, inner),
        st.builds(lambda a, b, c: f"({a} if {b} else {c})", inner, inner, inner),
        st.builds(
            lambda items, word: "(" + f" {word} ".join(f"({i})" for i in items) + ")",
            st.lists(inner, min_size=2, max_size=3),
            st.sampled_from(("and", "or")),
        ),
        st.builds(lambda a: f"(not ({a}))", inner),
        st.builds(lambda a: f"-({a})", inner),
        st.builds(lambda items: f"[{', '.join(items)}]", st.lists(inner, max_size=3)),
        st.builds(lambda k, v: f"[{k}: {v}, 2: {k}]", names, inner),
        st.builds(lambda a, i: f"({a})[{i}].h", inner, inner),
        st.builds(lambda f, a, b: f"{f}({a}, key = {b})", names, inner, inner),
        st.builds(lambda a, b, c: f"(({a})..({b}) by ({c}))", inner, inner, inner),
        st.builds(lambda a, b: f"({a}..{b})", names, names),
    )


def tests() -> st.SearchStrategy[str]:
    """Draw what follows a postfix `if`."""
    simple = st.one_of(
        names,
        st.builds(lambda a, b: f"{a} == {b}", names, numbers),
        st.builds(lambda a: f"{a} in 1..6", names),
        st.builds(lambda a: f"{a} in [1, 2]", names),
        st.builds(lambda a: f"not {a}", names),
        st.builds(lambda a: f"({a})", expressions(1)),
    )
    return st.one_of(
        simple,
        st.builds(lambda a, b: f"{a} and {b}", simple, simple),
        st.builds(lambda a, b, c: f"{a} or {b} and {c}", simple, simple, simple),
    )


def words(depth: int = 1) -> st.SearchStrategy[str]:
    """Draw an element made of words."""
    first = st.one_of(
        layers,
        sized,
        st.just("trunk.c1"),
        st.just("CONV2..12"),
        st.builds(
            lambda f, a, b: f"{f}({a}, s={b})", names, expressions(depth), expressions(depth)
        ),
        st.builds(lambda a: f"skip[{a}]", expressions(depth)),
        st.sampled_from(("input [224x224x3]", "input [H x W x 3]", "x[2..5]", "t [T]")),
    )
    more = st.one_of(first, numbers, sizes, strings, st.just("pad"), st.just("(class scores)"))
    return st.builds(lambda a, rest: " ".join([a, *rest]), first, st.lists(more, max_size=3))


def postfixes() -> st.SearchStrategy[str]:
    """Draw what may follow an element, or nothing."""
    one = st.one_of(
        st.sampled_from(("*3", " * N", "∗(n-1)", " *1..5", "?", " as x", " as c[i+2]", " ^* 2")),
        st.sampled_from(
            (" => [55x55x96]", " ⇒ [N]", " => [h/2 x 2*k - 1 x ?]", " => [4] (one two)")
        ),
        st.builds(lambda a: f" if {a}", tests()),
    )
    return st.lists(one, max_size=2).map("".join)


def chains(depth: int = 2) -> st.SearchStrategy[str]:
    """Draw a chain."""
    elements = words()
    if depth > 0:
        inner = chains(depth - 1)
        label = st.sampled_from(("", "", "score: ", "q[i]: "))
        elements = st.one_of(
            elements,
            elements,
            st.builds(lambda a: f"[{a} - relu]", inner),
            st.builds(
                lambda branches: "(" + " | ".join(branches) + ")",
                st.lists(st.builds(lambda a, b: a + b, label, inner), min_size=1, max_size=3),
            ),
            st.builds(lambda a: f"concat {a}", bodies(depth - 1)),
        )
    part = st.builds(lambda a, b: a + b, elements, postfixes())
    joint = st.builds(lambda a, b: a + b, dashes, part)
    return st.builds(lambda a, rest: "".join([a, *rest]), part, st.lists(joint, max_size=2))


def bodies(depth: int) -> st.SearchStrategy[str]:
    """Draw a body, on one line or on several."""
    inside = st.lists(statements(depth), max_size=3)
    comment = st.sampled_from(("", "", "  # why"))
    return st.one_of(
        inside.map(lambda lines: "{ " + "; ".join(lines) + " }"),
        st.builds(
            lambda c, lines: "{" + c + "\n" + "".join(f"{x}\n" for x in lines) + "}",
            comment,
            inside,
        ),
    )


def lines(depth: int) -> st.SearchStrategy[str]:
    """Draw a line with or without a size, a label, claims and a where."""
    chain = chains(depth)
    label = st.sampled_from(("C1: ", "MAX POOL1:  ", "CONV3-64: ", "at 10: ", "p[i]: "))
    spec = st.sampled_from(("96 11x11 filters, stride 4", "[224x224x3]", "3x3", "4096"))
    claim = st.sampled_from(
        (" memory: 3*4=12", " memory: 3.2M params: (3*3*3)*64 = 1,728", " a: 0 (not counting it)")
    )
    where = st.sampled_from((" where N in 1..5 = 2, 0 <= K <= 2", "\n where M = 3"))
    return st.one_of(
        chain,
        st.builds(lambda a, b: f"{a}  {b}", shapes, chain),
        st.builds(lambda a, b: a + b, label, chain),
        st.builds(lambda a, b, c: f"{a} {b}{c}", shapes, label, spec),
        st.builds(lambda a, b, c: a + b + c, label, spec, claim),
        st.builds(lambda a, b: a + b, chain, where),
    )


def statements(depth: int = 2) -> st.SearchStrategy[str]:
    """Draw a statement."""
    if depth == 0:
        return words()
    body, e = bodies(depth - 1), expressions()
    return st.one_of(
        lines(depth - 1),
        lines(depth - 1),
        st.builds(lambda a: f"let a = {a}", e),
        st.builds(lambda a, b: f"param p = {a}, q in [1, 2] = {b}, r in 1..5", e, e),
        st.builds(lambda a: f"block double(c, n=2, k in 1..3) {a}", body),
        st.builds(lambda a: f"net G {a}", body),
        st.builds(lambda a: f"net t = {a}", chains(1)),
        st.builds(lambda a, b: f"repeat i in ({a})..3 {b} => [7x7x512]", e, body),
        st.builds(lambda a: f"repeat 5 {a}", body),
        st.builds(lambda a, b, c: f"if {a} {b} else if x {c} else {b}", e, body, body),
        st.builds(lambda a, b: f"if {a} {b}", e, body),
        st.builds(lambda a: f'assert {a} : "must hold"', e),
        st.builds(lambda a: f"update G and F minimize {a}", e),
        st.just('import "vgg.cnn" as vgg'),
    )


def programs() -> st.SearchStrategy[str]:
    """Draw a program with comments and blank lines."""
    ends = st.sampled_from(
        ("\n", "\n\n\n", "  # a remark\n", " ; ", "\n# alone\n", "\r\n", "\n\t\n")
    )
    rows = st.lists(st.builds(lambda a, b: a + b, statements(), ends), max_size=5)
    return st.builds(lambda a, b: a + "".join(b), st.sampled_from(("", "# head\n", "\n\n")), rows)
