"""From text to the nodes of chains and statements."""

from __future__ import annotations

import pytest

from cnndsl.frontend import ast
from cnndsl.frontend.parse import parse
from tests.frontend.trees import HERE, element, line, name, number


def test_chains_and_joints() -> None:
    chain = line("a - b -> c, d – e → f").chain
    assert chain.joints == ("-", "->", ",", "-", "->")
    assert [part.element for part in chain.parts] == [
        ast.Words((name(text),), span=HERE) for text in "abcdef"
    ]


def test_groups() -> None:
    group = element("[a - b]")
    assert isinstance(group, ast.Bracket)
    both = element("(x: a | b)")
    assert isinstance(both, ast.Parallel)
    assert both.branches[0].label == ast.Words((name("x"),), span=HERE)
    assert both.branches[1].label is None
    section = element("concat { a; b }")
    assert isinstance(section, ast.Section)
    assert len(section.body.statements) == 2


def test_postfixes() -> None:
    found = line("a*3? * N *(n-1) ^*1..5 if x and not y in 1..6 as c[i] => [7 x N] (a b)")
    postfixes = found.chain.parts[0].postfixes
    assert postfixes[0] == ast.Times(number(3), span=HERE)
    assert postfixes[1] == ast.Maybe(span=HERE)
    assert postfixes[2] == ast.Times(name("N"), span=HERE)
    assert postfixes[3] == ast.Times(ast.Arith("-", name("n"), number(1), span=HERE), span=HERE)
    assert postfixes[4] == ast.Times(ast.CountRange(1, 5, span=HERE), span=HERE)
    assert isinstance(postfixes[5], ast.When)
    assert postfixes[6] == ast.Alias(ast.Indexed(name("c"), (name("i"),), span=HERE), span=HERE)
    shape = ast.ShapeLiteral((7, "N"), span=HERE)
    assert postfixes[7] == ast.Expects(shape, ast.Remark("(a b)", span=HERE), span=HERE)


def test_a_condition_leaves_arithmetic_to_the_chain() -> None:
    chain = line("pool if n - relu").chain
    assert len(chain.parts) == 2
    assert chain.parts[0].postfixes == (ast.When(name("n"), span=HERE),)


@pytest.mark.parametrize(
    ("text", "dims"),
    [
        ("[55x55x96] a", (55, 55, 96)),
        ("[4096] a", (4096,)),
        ("[H x W x 3] a", ("H", "W", 3)),
        ("[7 x 7 x ?] a", (7, 7, None)),
    ],
)
def test_a_size_before_a_line(text: str, dims: tuple[int | str | None, ...]) -> None:
    assert line(text).shape == ast.ShapeLiteral(dims, span=HERE)


def test_a_remark_is_none_where_a_group_belongs() -> None:
    assert isinstance(line("[10] (conv relu)").chain.parts[0].element, ast.Parallel)
    spec = line("A: [10] (class scores)").chain.parts[0].element
    assert isinstance(spec, ast.Words)
    assert spec.items[1] == ast.Remark("(class scores)", span=HERE)


def test_claims_take_their_first_key_from_the_chain() -> None:
    found = line("CONV3-64: [224x224x64] memory: 224*224*64=3.2M params: 64 = 1,728 (a b)")
    assert found.label == ast.Words((ast.Sized("CONV3", 64, span=HERE),), span=HERE)
    (part,) = found.chain.parts
    assert part.element == ast.Words((ast.ShapeLiteral((224, 224, 64), span=HERE),), span=HERE)
    memory, params = found.claims
    assert memory.key == name("memory")
    assert memory.rounded == number(3_200_000, "3.2M")
    assert params == ast.Claim(
        name("params"),
        number(64),
        number(1728, "1,728"),
        ast.Remark("(a b)", span=HERE),
        span=HERE,
    )


def test_bindings() -> None:
    (param,) = parse("param a = 1, b in [1, 2], c in 1..5 = 2").statements
    assert isinstance(param, ast.Param)
    assert [b.name.text for b in param.bindings] == ["a", "b", "c"]
    assert [b.default is None for b in param.bindings] == [False, True, False]
    where = line("a * K where 0 <= K ≤ 2").where
    ends = ast.Interval(number(0), number(2), span=HERE)
    assert where == (ast.Binding(name("K"), ends, span=HERE),)


def test_definitions() -> None:
    block, net, binding = parse(
        "block b(c, k=3x3, n in 1..4 = 2,) { conv c k }\nnet g { }\nnet t = vgg(v=D) until x"
    ).statements
    assert isinstance(block, ast.Block)
    assert [formal.name.text for formal in block.formals] == ["c", "k", "n"]
    assert net == ast.Net(name("g"), (), ast.Body((), span=HERE), span=HERE)
    assert isinstance(binding, ast.NetBinding)


def test_repeat_and_if() -> None:
    repeat, counted, choice = parse(
        "repeat i in 0..3 { a } => [7x7x512]\nrepeat 5 { a }\n"
        "if a { b }\nelse if c { d }\nelse { e }"
    ).statements
    assert isinstance(repeat, ast.Repeat)
    assert repeat.variable == name("i")
    assert repeat.expects == ast.ShapeLiteral((7, 7, 512), span=HERE)
    assert isinstance(counted, ast.Repeat)
    assert counted.variable is None
    assert counted.range == number(5)
    assert isinstance(choice, ast.If)
    assert isinstance(choice.other, ast.If)
    assert isinstance(choice.other.other, ast.Body)


def test_other_statements() -> None:
    load, check, update, loss = parse(
        'import "a.cnn" as a\nassert a == 1 : "so"\nupdate G and F minimize a\nminimize b'
    ).statements
    assert load == ast.Import(ast.String("a.cnn", span=HERE), name("a"), span=HERE)
    assert isinstance(check, ast.Assert)
    assert check.message == ast.String("so", span=HERE)
    assert isinstance(update, ast.Objective)
    assert update.words is not None
    assert len(update.words.items) == 4
    assert isinstance(loss, ast.Objective)
    assert loss.words is None
