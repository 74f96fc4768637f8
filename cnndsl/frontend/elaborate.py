"""From the syntax tree to networks: names, sizes and settings of every layer worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnndsl.frontend import ast
from cnndsl.frontend.directives import Load
from cnndsl.frontend.elaboration import Assumed, Elaboration
from cnndsl.frontend.elaborator import Elaborator
from cnndsl.frontend.given import Given
from cnndsl.frontend.imports import Loader
from cnndsl.frontend.params import Parameter
from cnndsl.frontend.places import Place
from cnndsl.frontend.records import TooLargeError
from cnndsl.frontend.values import Value, show
from cnndsl.layers.base import Hwc
from cnndsl.support.collector import paused_collector
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.limits import DEFAULT_LIMITS, Limits

POOLS = "M"
"""The count of the lecture's pattern that divides the image."""

MISFITS = frozenset(("E0301", "E0305"))
"""What is said when the image becomes too small, or odd."""

__all__ = ["Assumed", "Elaboration", "Load", "Parameter", "elaborate", "explore"]


def elaborate(
    program: ast.Program,
    *,
    params: Mapping[str, Value] | None = None,
    input_size: Hwc | None = None,
    classes: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    base_dir: Path | None = None,
    allow_paths: Sequence[Path] = (),
) -> Elaboration:
    """Work out a program's networks and sections.

    `params` are values for its parameters, as text of the command line or as values; `input_size`
    and `classes` are used where the program leaves them to its data. `base_dir` is the program's
    folder, from which it imports; without it, it is the folder of the program's file.

    Where nobody says how often the lecture's pattern pools and its three times do not fit the
    image, it is as often as fits.

    Raises `DiagnosticError` with every error found, and the sources they point into.
    """
    fewer: dict[str, int] = {}
    refused: DiagnosticError | None = None
    while True:
        elaborator, path = _prepared(
            program, params, input_size, classes, limits, base_dir, allow_paths
        )
        elaborator.fewer = fewer
        elaborator.misfit = refused.diagnostics[0].label if refused is not None else ""
        try:
            return _run(elaborator, path)
        except DiagnosticError as problem:
            refused = refused or problem
            pools = elaborator.params.get(POOLS)
            misfits = all(d.code in MISFITS for d in problem.diagnostics)
            if not misfits or pools is None or pools.source != "pattern" or pools.value == 1:
                raise refused from None
            assert isinstance(pools.value, int)
            fewer = {POOLS: pools.value - 1}


def _run(elaborator: Elaborator, path: Path | None) -> Elaboration:
    program = elaborator.program
    try:
        with paused_collector():
            return elaborator.run(path)
    except TooLargeError as problem:
        raise DiagnosticError(*problem.diagnostics, sources=elaborator.sources) from None
    except RecursionError:
        deep = error("E0604", "this program is nested too deeply", program.span)
        raise DiagnosticError(deep, sources={program.source.name: program.source}) from None


def explore(
    program: ast.Program,
    *,
    params: Mapping[str, Value] | None = None,
    input_size: Hwc | None = None,
    classes: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    base_dir: Path | None = None,
) -> tuple[Mapping[str, Parameter], tuple[Place, ...]]:
    """Give the parameters of a program, and its choices without a name with every one taken.

    Sizes that do not fit are ignored: they may fit when something else is chosen. Raises
    `DiagnosticError` for what is wrong with the files and for a network that is too large.
    """
    elaborator, path = _prepared(program, params, input_size, classes, limits, base_dir, ())
    try:
        places = elaborator.explore(path)
    except TooLargeError as problem:
        raise DiagnosticError(*problem.diagnostics, sources=elaborator.sources) from None
    return elaborator.params, places


def _prepared(
    program: ast.Program,
    params: Mapping[str, Value] | None,
    input_size: Hwc | None,
    classes: int | None,
    limits: Limits,
    base_dir: Path | None,
    allow_paths: Sequence[Path],
) -> tuple[Elaborator, Path | None]:
    """Make what elaborates a program, and give the path that its imports start from."""
    path = _path_of(program)
    folder = base_dir or (path.parent if path is not None else None)
    loader = Loader(
        limits,
        folder.resolve() if folder is not None else None,
        [p.resolve() for p in allow_paths],
    )
    elaborator = Elaborator(program, loader, limits)
    elaborator.given = {
        name: Given(value, isinstance(value, str), _asked(name, value))
        for name, value in (params or {}).items()
    }
    elaborator.input_size = input_size
    elaborator.given_classes = classes
    return elaborator, path if path is not None else _as_if_in(folder, program)


def _path_of(program: ast.Program) -> Path | None:
    path = Path(program.source.name)
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _as_if_in(folder: Path | None, program: ast.Program) -> Path | None:
    return folder / Path(program.source.name).name if folder is not None else None


def _asked(name: str, value: Value) -> str:
    return f"-p {name}={value}" if isinstance(value, str) else f"{name}={show(value)}"
