"""From what a user calls a program to the file that holds it."""

from __future__ import annotations

from pathlib import Path

from cnndsl.frontend import ast
from cnndsl.frontend.parse import parse_file
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.limits import DEFAULT_LIMITS, Limits
from cnndsl.support.resources import resource_dir
from cnndsl.support.suggest import nearest

SUFFIX = ".cnn"


def zoo_programs() -> dict[str, Path]:
    """Give the programs of the zoo by name, without `.cnn`."""
    return {path.stem: path for path in sorted(resource_dir("zoo").glob(f"*{SUFFIX}"))}


def find_program(name: str | Path) -> Path:
    """Give the file that `name` means: itself, or the program of that name in the zoo.

    A file wins over the zoo; `.cnn` may be left out for both. Raises `DiagnosticError` with the
    nearest names if there is neither.
    """
    path = Path(name)
    for candidate in (path, path.with_name(path.name + SUFFIX) if path.name else path):
        if candidate.exists() and not candidate.is_dir():
            return candidate
    zoo = zoo_programs()
    stem = str(name).removesuffix(SUFFIX)
    if stem in zoo:
        return zoo[stem]
    if path.is_dir():
        inside = sorted(p.name for p in path.glob(f"*{SUFFIX}"))
        helps = (f"name a program in it: {', '.join(str(path / n) for n in inside[:5])}",)
        what = f"{name} is a folder, not a program"
        raise DiagnosticError(error("E0613", what, helps=helps if inside else ()))
    here = [p.name for p in Path().glob(f"*{SUFFIX}")]
    close = nearest(str(name), [*zoo, *(f"{z}{SUFFIX}" for z in zoo), *here])
    known = "".join(f"did you mean {close[0]}?" for _ in close[:1])
    raise DiagnosticError(
        error(
            "E0619",
            f"there is no program {name}, neither a file nor in the zoo",
            notes=(f"the zoo has {', '.join(zoo)}",),
            helps=(known,) if known else ("`cnndsl zoo list` says what the zoo has",),
        )
    )


def read_program(name: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> tuple[ast.Program, Path]:
    """Parse the program that `name` means, and give the folder that its paths start from.

    Messages call a program of the zoo by its name there, not by where it is installed. Raises
    `DiagnosticError` for a program that is not there or has syntax errors.
    """
    path = find_program(name)
    shown = path.name if path in zoo_programs().values() else str(path)
    return parse_file(path, name=shown, limits=limits), path.resolve().parent
