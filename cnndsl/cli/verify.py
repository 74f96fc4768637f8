"""`cnndsl verify`: backends and passes compared on random inputs and weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.ending import Exit
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.lowering import Wanted
from cnndsl.cli.options import json_option, program_argument

if TYPE_CHECKING:
    from cnndsl.backends.base import Backend
    from cnndsl.cli.comparison import Outcome
    from cnndsl.frontend.elaborate import Elaboration
    from cnndsl.ir.graph import Graph


@dataclass(frozen=True, slots=True)
class Line:
    """What was found in one case."""

    graph: str
    """"inference" or "training"."""
    backend: str
    """Name of the backend."""
    case: str
    """Which passes ran."""
    outcomes: dict[str, Outcome]
    """By precision."""

    @property
    def ok(self) -> bool:
        """Whether it agrees in every precision."""
        return all(outcome.ok for outcome in self.outcomes.values())


@click.command()
@program_argument
@reading_options
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="Only this backend; may be given several times. Else all that can run here.",
)
@click.option("--train", is_flag=True, help="Also one training step.")
@click.option(
    "--batch",
    type=click.IntRange(1, 4096),
    default=2,
    show_default=True,
    metavar="N",
    help="Images of a run.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Where the random numbers come from.",
)
@json_option
def verify(
    *,
    program: str,
    reading: Reading,
    backends: tuple[str, ...],
    train: bool,
    batch: int,
    seed: int,
    as_json: bool,
) -> int:
    """Compare every backend and choice of passes with the plain evaluation in float64.

    The passes are left out, run one by one, all but one, and all. Each line gives the largest
    relative error over all outputs (and, with --train, over the change that one step of plain
    gradient descent makes to each parameter) in double and in single precision. The bound is
    sixteen times what rounding is expected to add up to: the square root of the number of
    products in each sum, over all ops. Beyond it, the exit code is 7.
    """
    loaded = _backends(backends)
    elaboration = load_program(program, reading, quiet=as_json)
    found: list[Line] = []
    bounds: dict[str, dict[str, float]] = {}
    for title in ("inference", "training") if train else ("inference",):
        wanted = Wanted(title == "training", batch)
        lines, bounds[title] = compare_all(
            elaboration, wanted, loaded, seed=seed, title=title, quiet=as_json
        )
        found += lines
    ok = all(line.ok for line in found)
    if as_json:
        emit_json(
            {
                "ok": ok,
                "name": elaboration.network.name,
                "batch": batch,
                "seed": seed,
                "cases": [_record(line, dtype) for line in found for dtype in line.outcomes],
            }
        )
    else:
        failed = sum(not line.ok for line in found)
        click.echo(
            f"\n{len(found)} cases agree" if ok else f"\n{failed} of {len(found)} cases differ"
        )
    return Exit.DONE if ok else Exit.DIFFERS


def _backends(names: tuple[str, ...]) -> dict[str, Backend]:
    """Load the backends asked for, or all that can run; `DiagnosticError` for an unknown one."""
    from cnndsl.backends import BACKENDS, load

    loaded = {name: load(name) for name in names or BACKENDS}
    if names:
        return loaded
    return {name: backend for name, backend in loaded.items() if backend.unavailable() is None}


def compare_all(
    elaboration: Elaboration,
    wanted: Wanted,
    backends: dict[str, Backend],
    *,
    seed: int,
    title: str,
    quiet: bool,
) -> tuple[list[Line], dict[str, float]]:
    """Compare every case on every backend, a printed line each unless `quiet`."""
    from cnndsl.cli.comparison import Reference, cases, compare
    from cnndsl.ir.types import DType

    graphs = {
        dtype: lower_for_comparison(elaboration, replace(wanted, floats=dtype))
        for dtype in ("f64", "f32")
    }
    reference = Reference.of(graphs["f64"], seed=seed)
    bounds = {dtype: reference.bound(DType(dtype)) for dtype in graphs}
    if not quiet:
        click.echo(_heading(title, bounds))
    lines = []
    for name, backend in backends.items():
        if not quiet:
            click.echo(f"backend {name}")
        # Graphics processors serve single precision.
        precisions = ("f64", "f32") if name in ("reference", "cpu") else ("f32",)
        for case in cases(wanted.passes):
            outcomes = {
                dtype: compare(reference, graphs[dtype], case, backend, dtype=DType(dtype))
                for dtype in precisions
            }
            line = Line(title, name, case.name, outcomes)
            lines.append(line)
            if not quiet:
                click.echo(text(line))
    return lines, bounds


def lower_for_comparison(elaboration: Elaboration, wanted: Wanted) -> Graph:
    """Make the graph that is compared: inference, or a step of plain gradient descent.

    Plain descent at rate 1 moves a parameter by its gradient. Adaptive rules divide by the
    gradient's size, which turns the rounding of a gradient that vanishes into a whole step.
    """
    from cnndsl.compiler import CompileOptions, Training, lower_network
    from cnndsl.recipes.optimizers import SGD
    from cnndsl.session import Choices, resolve

    options = CompileOptions(batch=wanted.batch, dtype=wanted.dtype)
    training = None
    if wanted.train:
        settings = resolve(elaboration, Choices(), [])
        training = Training(SGD(lr=1.0), settings.loss)
    return lower_network(elaboration.network, options, training=training)


def _heading(title: str, bounds: dict[str, float]) -> str:
    titles = f"{title + ': largest relative error':<40}{'f64':>9}{'f32':>9}  worst at"
    return f"{titles}\n{'bound':<40}{bounds['f64']:>9.1e}{bounds['f32']:>9.1e}"


def text(line: Line) -> str:
    """Write a case as a line; one that differs says where."""
    errors = "".join(
        f"{_short(line.outcomes[dtype].error) if dtype in line.outcomes else '-':>9}"
        for dtype in ("f64", "f32")
    )
    bad = [outcome for outcome in line.outcomes.values() if not outcome.ok]
    worst = bad[0] if bad else list(line.outcomes.values())[-1]
    said = f"{line.case:<40}{errors}  {worst.worst}"
    return f"{said}\n  DIFFERS; first at {worst.first}" if bad else said


def _short(error: float) -> str:
    return f"{error:.1e}" if error else "0"


def _record(line: Line, dtype: str) -> dict[str, object]:
    outcome = line.outcomes[dtype]
    return {
        "graph": line.graph,
        "backend": line.backend,
        "passes": line.case,
        "dtype": dtype,
        "error": outcome.error if math.isfinite(outcome.error) else None,
        "bound": outcome.bound,
        "ok": outcome.ok,
        "worst": outcome.worst,
        "first": outcome.first or None,
    }
