"""What `cnndsl check` says about `train` and `data` sections, without training anything."""

from __future__ import annotations

import pytest

from cnndsl.frontend.check import check, examine

NET = "input [8x8x3]\nflatten - fc 10 - softmax\n"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("optimizer: sdg(lr=0.1)", "E0730", "did you mean `sgd`?"),
        ("optimizer: sgd(beta1=0.9)", "E0731", "`sgd` has no option `beta1`"),
        ("optimizer: sgd(momentum=1.5)", "E0732", "`momentum` is a number from 0 up and below 1"),
        ("optimizer: adam(lr=0)", "E0732", "0 * gradient = 0 changes no weight"),
        ("schedule: cosin", "E0730", "did you mean `cosine`?"),
        ("schedule: step(every=0)", "E0732", "`every` is a whole number above 0"),
        ("schedule: steps([0: fast])", "E0732", "an epoch and a rate from 0 up"),
        ("init: nromal", "E0730", "did you mean `normal`?"),
        ("metrics: acuracy", "E0730", "did you mean `accuracy`?"),
        ("metrics: top0", "E0730", "no metric called `top0`"),
    ],
)
def test_train_lines_are_judged(line: str, code: str, words: str) -> None:
    text = str(examine(f"{NET}train {{\n  {line}\n}}\n"))
    assert f"error[{code}]" in text
    assert words in text
    assert ":4:" in text


@pytest.mark.parametrize(
    "line",
    [
        "optimizer: sgd(lr=0.1, momentum=0.9, weight_decay=5e-4)",
        "optimizer: adam lr 1e-3",
        "schedule: plateau(by=0.1)",
        "schedule: steps([0: 1e-3, 75: 1e-4])",
        "schedule: linear(from=100, to=200)",
        "init: he",
        "init: normal std 0.01",
        "metrics: accuracy, top3, loss",
    ],
)
def test_train_lines_that_are_in_order(line: str) -> None:
    assert check(f"{NET}train {{\n  {line}\n}}\n") == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("augment: flop", "did you mean `flip`?"),
        ("augment: flip, shift", "`shift` does not say how far"),
        ("augment: crop", "`crop` does not say how far"),
        ("augment: rotate 10", "`rotate` is no step of augmentation"),
    ],
)
def test_data_lines_are_judged(line: str, words: str) -> None:
    text = str(examine(f"{NET}train {{ data: d }}\ndata d {{\n  source: digits\n  {line}\n}}\n"))
    assert "error[E0731]" in text
    assert words in text


def test_several_mistakes_of_a_section_come_at_once() -> None:
    text = f"{NET}train {{\n  optimizer: sdg\n  schedule: cosin\n  metrics: acuracy\n}}\n"
    assert [found.code for found in check(text)] == ["E0730"] * 3


def test_a_misspelt_word_by_itself_can_be_mended() -> None:
    (found,) = check(f"{NET}train {{ init: nromal }}\n")
    assert [fix.text for fix in found.fixes] == ["normal"]
    (found,) = check(f"{NET}train {{ init: nromal std 0.1 }}\n")
    assert found.fixes == ()
