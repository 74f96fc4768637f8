"""Everything that is wrong with a program, without an exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnndsl.frontend import ast
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse, parse_file
from cnndsl.frontend.values import Value
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, render_all
from cnndsl.support.limits import DEFAULT_LIMITS, Limits
from cnndsl.support.source import SourceFile


@dataclass(frozen=True, slots=True)
class Checked:
    """What there is to say about a program."""

    diagnostics: tuple[Diagnostic, ...]
    """Errors, or the notes of a program without any."""
    sources: Mapping[str, SourceFile] = field(default_factory=dict, repr=False)
    """The texts that they point into."""

    def __str__(self) -> str:
        return render_all(self.diagnostics, self.sources)


def check(
    source: SourceFile | ast.Program | str | Path,
    *,
    params: Mapping[str, Value] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    base_dir: Path | None = None,
    allow_paths: Sequence[Path] = (),
) -> tuple[Diagnostic, ...]:
    """Give everything that is wrong with a program, else its notes; never raises for its text.

    A `Path` is read; a string is the text itself.
    """
    return examine(
        source, params=params, limits=limits, base_dir=base_dir, allow_paths=allow_paths
    ).diagnostics


def examine(
    source: SourceFile | ast.Program | str | Path,
    *,
    params: Mapping[str, Value] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    base_dir: Path | None = None,
    allow_paths: Sequence[Path] = (),
) -> Checked:
    """Do what `check` does, and give the sources too."""
    try:
        program = _program(source, limits)
        found = elaborate(
            program, params=params, limits=limits, base_dir=base_dir, allow_paths=allow_paths
        )
    except DiagnosticError as problem:
        return Checked(problem.diagnostics, problem.sources)
    return Checked(found.notes, found.sources)


def _program(source: SourceFile | ast.Program | str | Path, limits: Limits) -> ast.Program:
    if isinstance(source, ast.Program):
        return source
    if isinstance(source, Path):
        return parse_file(source, limits=limits)
    return parse(source, limits=limits)
