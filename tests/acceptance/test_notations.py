"""Every notation of the seeds, by its identifier: it runs or is checked as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.frontend.check import examine
from cnndsl.frontend.elaborate import Elaboration, elaborate
from cnndsl.frontend.figures import PLAIN
from cnndsl.frontend.measures import Measured, ask
from cnndsl.frontend.parse import parse
from cnndsl.frontend.values import ShapeValue
from cnndsl.importers.keras import read_keras
from cnndsl.importers.pytorch import read_torch
from cnndsl.importers.slide import read_slide
from cnndsl.layers.analysis import analyse
from cnndsl.support.diagnostics import Severity, render
from tests.acceptance.material import blocks
from tests.acceptance.notations import CASES, FORMULAS, NOT_PROGRAMS, PROSE, VGG_PARAMS, Case

PROGRAMS = Path(__file__).parents[1] / "frontend" / "programs"


def programs_of(id_: str) -> tuple[str, ...]:
    """Give the programs that a notation is read as."""
    case = CASES[id_]
    text = blocks()[id_].text
    earlier = [blocks()[other].text for other in case.after]
    match case.reader:
        case "keras":
            return (read_keras("\n".join([*earlier, text])),)
        case "torch":
            return (read_torch(text),)
        case "keras+slide":
            asserts = read_slide(text).programs[-1]
            kept = [line for line in asserts.splitlines() if line.startswith("assert")]
            return ("\n".join([read_keras("\n".join(earlier)), *kept, ""]),)
    return read_slide(*earlier, text, options=case.options).programs


def program_of(id_: str) -> str:
    """Give the program of a notation, with what its case puts around it."""
    case = CASES[id_]
    return f"{case.before}{programs_of(id_)[case.page]}{case.behind}\n"


def complaints(program: str, params: dict[str, str]) -> list[str]:
    found = examine(program, params=params, base_dir=PROGRAMS)
    errors = [d for d in found.diagnostics if d.severity is Severity.ERROR]
    return [render(d, found.sources) for d in errors]


def measure(elaboration: Elaboration, name: str) -> int | str:
    """Give "params" of a network, "CONV1.size" of one of its layers."""
    reports = analyse(elaboration.network).layers
    layer, _, quantity = name.rpartition(".")
    whole = Measured(reports, PLAIN)
    value = ask(Measured(whole.under(layer)) if layer else whole, quantity)
    if isinstance(value, ShapeValue):
        return "x".join(map(str, value.size))
    assert isinstance(value, int)
    return value


@pytest.mark.parametrize("id_", CASES)
def test_stands_as_it_is(id_: str) -> None:
    case = CASES[id_]
    assert len(programs_of(id_)) == case.pages
    program = program_of(id_)
    found = complaints(program, dict(case.params))
    assert len(found) == len(case.wrong), "\n".join([program, *found])
    for text, wanted in zip(found, case.wrong, strict=True):
        assert all(part in text for part in wanted.split("|")), text
    if case.facts:
        made = elaborate(parse(program), params=dict(case.params), base_dir=PROGRAMS)
        assert {name: measure(made, name) for name in case.facts} == dict(case.facts)


def test_every_notation_is_accounted_for() -> None:
    listed = [*CASES, *NOT_PROGRAMS, *FORMULAS, *PROSE]
    assert sorted(listed) == sorted(blocks())
    assert len(blocks()) == 88


def test_every_program_or_assertion_is_read_or_has_its_reason() -> None:
    wanted = {id_ for id_, block in blocks().items() if block.is_program_or_assertion}
    assert wanted <= {*CASES, *NOT_PROGRAMS, *FORMULAS}
    assert len(wanted & set(CASES)) == len(wanted) - len(wanted & set(FORMULAS))


@pytest.mark.parametrize("column", VGG_PARAMS)
@pytest.mark.parametrize("id_", ["N-33", "N-36"])
def test_one_table_gives_six_networks(id_: str, column: str) -> None:
    program = program_of(id_)
    assert not complaints(program, {"column": column})
    made = elaborate(parse(program), params={"column": column})
    assert measure(made, "params") == VGG_PARAMS[column]
    assert any(layer.kind == "lrn" for layer in made.network.layers) == (column == "A_LRN")


@pytest.mark.parametrize(("one", "other"), [("N-33", "N-36"), ("N-45", "N-46"), ("N-24", "N-25")])
def test_two_copies_of_a_slide_say_the_same(one: str, other: str) -> None:
    def without_remarks(id_: str) -> list[str]:
        return [line for line in program_of(id_).splitlines() if not line.startswith("#")]

    assert without_remarks(one) == without_remarks(other)


@pytest.mark.parametrize("width", [7, 9, 32])
@pytest.mark.parametrize(("window", "stride", "pad"), [(1, 1, 0), (3, 1, 1), (5, 2, 2), (3, 2, 0)])
def test_contracts_hold_for_other_numbers(width: int, window: int, stride: int, pad: int) -> None:
    if (width - window + 2 * pad) % stride:
        return
    asked = {"W1": width, "H1": width + stride, "F": window, "S": stride}
    pool = {name: str(value) for name, value in asked.items()}
    if pad == 0:
        assert not complaints(program_of("N-12"), pool)
    assert not complaints(program_of("N-11"), {**pool, "P": str(pad)})


@pytest.mark.parametrize("id_", PROSE)
def test_prose_has_its_program(id_: str) -> None:
    program = (PROGRAMS / PROSE[id_]).read_text("utf-8")
    assert not complaints(program, {})


def test_reading_takes_any_text() -> None:
    for id_, block in blocks().items():
        for program in read_slide(block.text).programs:
            examine(program)
        assert isinstance(id_, str)


def test_case_is_plain_by_default() -> None:
    assert Case() == Case(after=(), before="", behind="", reader="slide")
