from __future__ import annotations

import random
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.params import Parameter
from cnndsl.frontend.parse import parse
from cnndsl.frontend.places import Place, assignments, count
from cnndsl.frontend.values import RangeValue, Value
from cnndsl.frontend.variants import Count, Family, described, family, values_of
from cnndsl.support.diagnostics import DiagnosticError


def of(text: str, **params: Value) -> Family:
    return family(parse(text, "t.cnn"), params=params)


def kinds(text: str, chosen: dict[str, Value]) -> str:
    network = elaborate(parse(text, "t.cnn"), params=chosen).network
    return " ".join(layer.kind for layer in network.layers)


OPTIONAL = "input [8x8x1]\nrelu? - tanh - (sigmoid - relu)?\nfc 2\n"
NESTED = "input [8x8x1]\n(tanh*1..2 - relu?)*0..2 - sigmoid\n"


def test_places_are_chosen_by_name() -> None:
    assert kinds(OPTIONAL, {}) == "relu tanh sigmoid relu fc"
    assert kinds(OPTIONAL, {"relu.1": "no"}) == "tanh sigmoid relu fc"
    assert kinds(OPTIONAL, {"relu.1": False, "maybe.1": "false"}) == "tanh fc"
    assert kinds(NESTED, {"times.1": "2", "times.2": 2, "relu.1": "no"}) == (
        "tanh tanh tanh relu sigmoid"
    )


def test_places_have_their_own_values_only() -> None:
    with pytest.raises(DiagnosticError) as found:
        kinds(OPTIONAL, {"relu.1": 3})
    assert found.value.diagnostics[0].code == "E0501"
    with pytest.raises(DiagnosticError) as found:
        kinds(NESTED, {"times.1": "3"})
    assert found.value.diagnostics[0].code == "E0501"
    with pytest.raises(DiagnosticError) as found:
        kinds(OPTIONAL, {"relu.2": "no"})
    assert found.value.diagnostics[0].code == "E0502"


@pytest.mark.parametrize("text", [OPTIONAL, NESTED])
def test_variants_are_built(text: str) -> None:
    found = of(text)
    variants = list(found.variants())
    assert found.count() == Count(len(variants), True)
    assert len({described(v) for v in variants}) == len(variants)
    built = [kinds(text, v) for v in variants]
    # Two turns of one tanh are one turn of two: 4 of the 21 nested ones are others in new words.
    assert (len(built), len(set(built))) == {OPTIONAL: (4, 4), NESTED: (21, 17)}[text]


def test_the_slide_is_a_family() -> None:
    text = "input [16x16x1]\n[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K, SOFTMAX 3\n"
    found = of(text)
    assert list(found.params) == ["N", "M", "K"]
    assert found.count() == Count(5 * 3 * sum(2**m for m in range(1, 9)), True)
    assert of(text, M=2).count() == Count(5 * 3 * 4, True)


def test_parameters_multiply() -> None:
    text = "param a in [1, 2, 3], b in 2..8 by 2 = 4, c = 5\ninput [8]\nfc(a + b + c)\n"
    found = of(text)
    assert found.count() == Count(12, True)
    assert next(found.variants()) == {"a": 1, "b": 2}
    assert of(text, b=4).count() == Count(3, True)


def test_places_that_only_other_values_unroll() -> None:
    text = "param n in 0..2 = 0\ninput [8]\n(tanh?)*n - fc 2\n"
    assert of(text).count() == Count(1 + 2 + 4, True)


def test_counting_many_settings_gives_a_bound() -> None:
    text = "param a in 1..40, b in 1..40\ninput [8]\nfc a - relu? - fc b\n"
    assert of(text).count() == Count(1000 * 2 + 600, False)


def test_bombs_are_counted_and_not_listed() -> None:
    found = of("input [8]\n((relu - tanh?)*40 - sigmoid*1..9)*20 - fc 2\n")
    assert found.count() == Count((2**40 * 9) ** 20, True)
    assert len(list(islice(found.variants(), 3))) == 3
    wide = of("input [8]\n(relu?)*3000 - fc 2\n")
    assert wide.count() == Count(2**3000, True)
    assert len(next(wide.variants())) == 3000


def test_what_does_not_fit_is_still_counted() -> None:
    found = of("input [4x4x1]\n[CONV-POOL?]*M, SOFTMAX 2\n", M=5)
    assert found.count() == Count(32, True)


def test_draws_are_variants() -> None:
    found = of(NESTED)
    all_of_them = {described(v) for v in found.variants()}
    rng = random.Random(3)
    drawn = {described(found.draw(rng)) for _ in range(400)}
    assert drawn <= all_of_them
    assert len(drawn) > len(all_of_them) // 2


def test_draws_of_any_number() -> None:
    found = of("param rate in 0.1..0.5 = 0.2\ninput [8]\nfc 2 - dropout rate\n")
    rng = random.Random(3)
    values = [found.draw(rng)["rate"] for _ in range(50)]
    assert len(set(map(str, values))) == 50
    assert all(isinstance(v, float) and 0.1 <= v <= 0.5 for v in values)
    assert len(values_of(found.params["rate"])) == 8
    stepped = Parameter("x", 1.0, 1.0, RangeValue(0.5, 1.0, 0.25))
    assert values_of(stepped) == (0.5, 0.75, 1.0)


def test_unknown_names() -> None:
    with pytest.raises(DiagnosticError, match="no parameter `depth`"):
        of(OPTIONAL, depth=3)
    with pytest.raises(DiagnosticError, match="stay open"):
        of(OPTIONAL, **{"relu.1": False})


trees = st.recursive(
    st.just(()),
    lambda inner: st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 3), inner), min_size=1, max_size=2
    ).map(tuple),
    max_leaves=6,
)


def places(tree: tuple[tuple[int, int, object], ...]) -> list[Place]:
    found = []
    for least, more, inner in tree:
        most = least + more - 1 or 1
        turns = [places(inner) for _ in range(most)]  # type: ignore[arg-type]
        found.append(Place("times", least, most, most, turns))
    return found


@given(trees)
def test_the_list_is_as_long_as_the_count(tree: tuple[tuple[int, int, object], ...]) -> None:
    built = places(tree)
    ways = [tuple(way.items()) for way in islice(assignments(built), 500)]
    assert len(ways) == min(500, count(built))
    assert len(set(ways)) == len(ways)
