"""From text to the nodes of values: numbers, sizes, expressions, words."""

from __future__ import annotations

import pytest

from cnndsl.frontend import ast
from tests.frontend.trees import HERE, name, number, value, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64", 64),
        ("1_000", 1000),
        ("0.5", 0.5),
        ("5e-4", 5e-4),
        ("1E3", 1000.0),
        ("40%", 0.4),
        ("0.1%", 0.001),
        ("100%", 1.0),
        ("35K", 35_000),
        ("3.2M", 3_200_000),
        ("7M", 7_000_000),
        ("1.0001K", 1000.1),
        ("93MB", 93_000_000),
        ("2KiB", 2048),
        ("1.5MiB", 1_572_864),
        ("4GB", 4_000_000_000),
        ("1TiB", 2**40),
        ("12B", 12),
        ("007", 7),
        ("1e3K", 1e6),
    ],
)
def test_numbers(text: str, expected: float) -> None:
    found = value(text)
    assert found == ast.Number(expected, text, span=HERE)
    assert isinstance(found, ast.Number)
    assert type(found.value) is type(expected)


@pytest.mark.parametrize(
    ("text", "dims", "stride"),
    [
        ("3x3", (3, 3), None),
        ("7X7/2", (7, 7), 2),
        ("5×5", (5, 5), None),
        ("227x227x3", (227, 227, 3), None),
        ("?x28x28x81", (None, 28, 28, 81), None),
        ("7x7x?", (7, 7, None), None),
    ],
)
def test_sizes(text: str, dims: tuple[int | None, ...], stride: int | None) -> None:
    assert value(text) == ast.Size(dims, stride, span=HERE)


def test_other_leaves() -> None:
    assert value('"a # b // c"') == ast.String("a # b // c", span=HERE)
    assert value("true") == ast.Boolean(True, span=HERE)
    assert value("True") == name("True")
    assert value("soft-max") == name("soft-max")


def arith(sign: str, left: ast.Expr, right: ast.Expr) -> ast.Arith:
    return ast.Arith(sign, left, right, span=HERE)


def test_expressions() -> None:
    a, b, c = name("a"), name("b"), name("c")
    assert value("a + b × c") == arith("+", a, arith("*", b, c))
    assert value("a - b − c") == arith("-", arith("-", a, b), c)
    assert value("a ^ b ^ c") == arith("^", a, arith("^", b, c))
    assert value("-a ^ b") == ast.Minus(arith("^", a, b), span=HERE)
    assert value("a < b ≤ c") == ast.Compare((a, b, c), ("<", "<="), span=HERE)
    assert value("a or b and not c") == ast.Logic(
        "or", (a, ast.Logic("and", (b, ast.Not(c, span=HERE)), span=HERE)), span=HERE
    )
    assert value("a if b else c") == ast.Choose(a, b, c, span=HERE)
    assert value("a in b..c by -1") == ast.Member(
        a, ast.Interval(b, c, ast.Minus(number(1), span=HERE), span=HERE), span=HERE
    )
    assert value("a.b[c](a, b=c,)") == ast.Apply(
        ast.Index(ast.Attr(a, b, span=HERE), c, span=HERE),
        (ast.Argument(None, a, span=HERE), ast.Argument(b, c, span=HERE)),
        span=HERE,
    )
    assert value("[]") == ast.ListExpr((), span=HERE)
    assert value("[a, b,]") == ast.ListExpr((a, b), span=HERE)
    assert value("[1: a, 2: b]") == ast.MapExpr(((number(1), a), (number(2), b)), span=HERE)
    assert value("(a)") == a


def test_a_product_is_not_a_comment_and_a_division_is_not_a_stride() -> None:
    assert value("3x3 / 2") == ast.Arith("/", ast.Size((3, 3), span=HERE), number(2), span=HERE)
    assert value("7 // 2\n") == number(7)


def test_words() -> None:
    assert words("conv 96 11x11 filters at stride 4") == (
        name("conv"),
        number(96),
        ast.Size((11, 11), span=HERE),
        name("filters"),
        name("at"),
        name("stride"),
        number(4),
    )
    assert words("conv3-64") == (ast.Sized("conv3", 64, span=HERE),)
    assert words("max-pool 2x2") == (name("max-pool"), ast.Size((2, 2), span=HERE))
    assert words("fc 10 (class scores)")[-1] == ast.Remark("(class scores)", span=HERE)
    assert words("freeze a.b..CONV3")[1] == ast.Through(
        ast.Dotted((name("a"), name("b")), span=HERE), name("CONV3"), span=HERE
    )
    assert words("CONV2..12") == (ast.Through(name("CONV2"), number(12), span=HERE),)
    assert words("let_it in by and") == tuple(map(name, ("let_it", "in", "by", "and")))


def test_what_stands_in_brackets_after_a_name() -> None:
    shape = ast.ShapeLiteral((224, 224, 3), span=HERE)
    assert words("input [224x224x3]") == (ast.Indexed(name("input"), shape, span=HERE),)
    assert words("input [224 x 224 x 3]") == words("input [224x224x3]")
    free = ast.ShapeLiteral(("H", "W", 3), span=HERE)
    assert words("input [H x W x 3]") == (ast.Indexed(name("input"), free, span=HERE),)
    assert words("skip[i]") == (ast.Indexed(name("skip"), (name("i"),), span=HERE),)
    assert words("x[1]") == (ast.Indexed(name("x"), (number(1),), span=HERE),)
    assert words("x[3x3/2]") == (
        ast.Indexed(name("x"), (ast.Size((3, 3), 2, span=HERE),), span=HERE),
    )
