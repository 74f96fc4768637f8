from __future__ import annotations

import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.given import convert
from cnndsl.frontend.parse import parse
from cnndsl.frontend.values import RangeValue, SizeValue, Symbol, Value
from tests.frontend.elaborating import built, codes, kinds, program, wrong

PATTERN = "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K, SOFTMAX"


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("50", 18, 50),
        ("0.5", 1.0, 0.5),
        ("40%", 1.0, 0.4),
        ("1e-3", 1.0, 0.001),
        ("true", False, True),
        ("3x3", SizeValue((5, 5)), SizeValue((3, 3))),
        ("D", Symbol("A"), Symbol("D")),
        ("a file", "text", "a file"),
        ("-7", 1, -7),
    ],
)
def test_text_of_the_command_line_is_read(text: str, default: Value, value: Value) -> None:
    found = convert(text, None, default)
    assert found == value
    assert type(found) is type(value)


def test_text_that_is_a_choice_is_it() -> None:
    assert convert("34", (18, 34), 18) == 34
    assert convert("x", (Symbol("x"), Symbol("y")), Symbol("y")) == Symbol("x")


@pytest.mark.parametrize("value", ["4", 4, "1_2", "12"])
def test_parameters_take_values_from_outside(value: Value) -> None:
    found = built("param c in 4..16 = 8\ninput [8]\nfc c", c=value)
    assert found.network.layers[0].output == (int(str(value).replace("_", "")),)
    assert found.params["c"].source == "given"
    assert found.params["c"].default == 8
    assert found.params["c"].choices == RangeValue(4, 16)


def test_parameters_have_defaults() -> None:
    found = built("param a in [3, 4], b in 2..5, c = 1, d in [X, Y] = Y\ninput [8]\nfc a")
    assert {name: p.value for name, p in found.params.items()} == {
        "a": 3, "b": 2, "c": 1, "d": Symbol("Y"),
    }  # fmt: skip
    assert {p.source for p in found.params.values()} == {"default"}


@pytest.mark.parametrize(
    ("declared", "given", "helps"),
    [
        ("n in [18, 34]", 20, ("the closest is 18",)),
        ("n in [18, 34]", "x", ()),
        ("n in [A, AB] = A", "ABC", ("did you mean `AB`?",)),
        ("n in 1..5", 9, ("the closest is 5",)),
        ("n in 1..5", 2.5, ("the closest is 1",)),
        ("n = 3", "many", ()),
        ("n = true", 3, ()),
        ("n = 3x3", 3, ()),
    ],
)
def test_values_outside_the_choices(declared: str, given: Value, helps: tuple[str, ...]) -> None:
    (found,) = wrong(f"param {declared}\ninput [8]\nfc 2", n=given)
    assert found.code == "E0501"
    assert found.helps[:1] == helps


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("param n in [1, 2] = 3", "E0501"),
        ("param n in 5", "E0505"),
        ("param n in []", "E0505"),
        ("block b { param n = 1\nfc n }\nb", "E0213"),
    ],
)
def test_mistakes_in_declarations(text: str, code: str) -> None:
    assert codes(f"input [8]\n{text}\nfc 2")[0] == code


def test_parameters_that_do_not_exist() -> None:
    (found,) = wrong("param depth = 3\ninput [8]\nfc depth", dept="4")
    assert found.code == "E0502"
    assert found.helps == ("did you mean `depth`?",)


# ------------------------------------------------------------------ the pattern notation


def test_free_counts_are_parameters_with_the_lectures_ranges() -> None:
    found = built(PATTERN)
    assert {n: (p.value, str(p.choices), p.source) for n, p in found.params.items()} == {
        "N": (2, "1..5", "pattern"),
        "M": (3, "1..8", "pattern"),
        "K": (1, "0..2", "pattern"),
        **{f"POOL.{n}": (True, "(True, False)", "place") for n in (1, 2, 3)},
    }
    assert [n.code for n in found.notes] == ["N0004", "N0005", "N0003", "N0001", "N0007"]


def test_free_counts_may_be_given() -> None:
    found = built(PATTERN, N="1", M=2, K="0")
    assert kinds(found.network) == ["conv", "relu", "maxpool"] * 2 + ["fc", "softmax"]
    assert "N0001" not in [n.code for n in found.notes]
    found = built(PATTERN, N="1")
    assert "M and K are free here" in found.notes[-2].message


def test_free_counts_have_limits() -> None:
    (found,) = wrong(PATTERN, N=6)
    assert (found.code, found.label) == ("E0501", "it lies in 1..5")


def test_where_gives_counts_their_ranges() -> None:
    found = program("pattern")
    named = {n: p for n, p in found.params.items() if "." not in n}
    assert {n: (p.value, str(p.choices)) for n, p in named.items()} == {
        "N": (2, "1..5"), "M": (3, "1..4"), "K": (1, "0..2"),
    }  # fmt: skip
    assert kinds(program("pattern", M="1", K=2).network) == [
        "conv", "relu", "conv", "relu", "maxpool", "fc", "relu", "fc", "relu", "fc", "softmax",
    ]  # fmt: skip


def test_other_free_names_are_mistakes() -> None:
    assert codes("input [8]\n(fc 2) * Q") == ["E0208"]


def test_programs_take_size_and_classes_from_their_data() -> None:
    from cnndsl.frontend.elaborate import elaborate
    from cnndsl.frontend.parse import parse

    found = elaborate(parse(PATTERN), input_size=(32, 32, 1), classes=7)
    assert found.network.inputs[0].size == (32, 32, 1)
    assert found.network.layers[-1].output == (7,)
    assert (found.taken_from_data.input, found.taken_from_data.classes) == ((32, 32, 1), 7)
    found = elaborate(parse("[CONV-POOL-FC]"), classes=7)
    assert found.network.layers[-1].output == (7,)
    assert found.taken_from_data.classes == 7
    found = elaborate(parse("input [8]\nfc 512"), input_size=(28, 28, 1), classes=7)
    assert found.network.layers[-1].output == (512,)
    assert found.taken_from_data.classes is None


@pytest.mark.parametrize(
    ("before", "brings"),
    [
        ("fc 7", False),
        ("fc 7 relu", False),
        ("FC", False),
        ("FC - RELU", True),
        ("conv 7 3x3 - gap", False),
        ("conv 7 3x3", False),
        ("conv 7 3x3 relu", False),
        ("conv 7 3x3 - maxpool 2x2 floor", False),
        ("conv 7 3x3 - POOL", True),
    ],
)
def test_a_bare_softmax_brings_scores_where_there_are_none(before: str, brings: bool) -> None:
    network = built(f"param classes = 4\ninput [8x8x3]\n{before} - softmax").network
    assert (network.layers[-1].output == (4,)) is brings


def test_a_program_that_names_its_classes_is_believed() -> None:
    found = built("param classes = 4\ninput [8]\nFC - RELU - softmax")
    assert [n.code for n in found.notes] == ["N0003", "N0007"]


SLIDE = "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K, SOFTMAX"


def test_the_pattern_pools_as_often_as_fits() -> None:
    def pools(size: int) -> int:
        made = elaborate(parse(SLIDE), input_size=(size, size, 1), classes=10)
        assert made.params["M"].source == "pattern"
        return sum(layer.kind == "maxpool" for layer in made.network.layers)

    assert [pools(size) for size in (32, 28, 14, 8)] == [3, 2, 1, 3]


def test_an_image_that_fits_no_pool_is_refused_as_it_was_first() -> None:
    for text in (f"input [7x7x1]\n{SLIDE} 10", f"input [28x28x1]\n{SLIDE} 10 where M = 3"):
        assert codes(text) == ["E0301"]
    assert codes(f"input [28x28x1]\n{SLIDE} 10", M="3") == ["E0301"]
