"""Imported files: found, read, parsed, each once, before anything is elaborated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cnndsl.frontend import ast
from cnndsl.frontend.parse import parse_file
from cnndsl.frontend.paths import resolve_path
from cnndsl.frontend.scope import BrokenDef, FileDef
from cnndsl.frontend.values import Callee
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.limits import Limits
from cnndsl.support.source import SourceFile, Span


@dataclass(frozen=True, slots=True)
class Step:
    """An import on the way to a file."""

    path: Path
    """The file that imports."""
    node: ast.Import
    """The import in it."""


@dataclass(slots=True)
class Loader:
    """Reads what a program imports."""

    limits: Limits
    """How many files, how deep."""
    folder: Path | None
    """The program's folder; nothing for a program that is no file."""
    allowed: Sequence[Path]
    """Folders outside it that may be read."""
    sources: dict[str, SourceFile] = field(default_factory=dict)
    """Every text that was read."""
    errors: list[Diagnostic] = field(default_factory=list)
    """What is wrong."""
    parsed: dict[Path, ast.Program] = field(default_factory=dict)
    """Programs by real path."""
    total: int = 0
    """Bytes read."""

    def load(self, program: ast.Program, path: Path | None) -> Mapping[str, Callee]:
        """Read everything that a program imports, by the paths as written."""
        here = path.resolve() if path is not None else Path()
        return self._files(program, here, [])

    def _files(self, program: ast.Program, path: Path, way: list[Step]) -> Mapping[str, Callee]:
        found: dict[str, Callee] = {}
        for statement in program.statements:
            if not isinstance(statement, ast.Import):
                continue
            alias = statement.alias.text if statement.alias else _stem(statement.path.value)
            found[statement.path.value] = BrokenDef(alias)
            try:
                target, other = self._file(statement, program, path, way)
            except DiagnosticError as problem:
                self.errors += problem.diagnostics
                self.sources.update(problem.sources)
                continue
            step = Step(path, statement)
            inner = self._files(other, target, [*way, step])
            found[statement.path.value] = FileDef(alias, other, inner)
        return found

    def _file(
        self, node: ast.Import, program: ast.Program, path: Path, way: list[Step]
    ) -> tuple[Path, ast.Program]:
        if self.folder is None:
            raise DiagnosticError(
                error(
                    "E0606",
                    "a program that is no file imports nothing",
                    node.path.span,
                    label="it has no folder to look in",
                )
            )
        folder = path.parent if path != Path() else self.folder
        target = resolve_path(node.path, folder, [self.folder, *self.allowed], what="file")
        steps = [*way, Step(path, node)]
        starts = [s.path for s in steps]
        if target in starts:
            raise _circle(steps[starts.index(target) :], target)
        if len(steps) > self.limits.import_depth:
            raise DiagnosticError(
                error(
                    "E0605",
                    f"files import one another more than {self.limits.import_depth} deep",
                    node.path.span,
                )
            )
        if target not in self.parsed:
            self.parsed[target] = self._parse(node, target, program.source.name)
        return target, self.parsed[target]

    def _parse(self, node: ast.Import, target: Path, importer: str) -> ast.Program:
        if len(self.parsed) + 1 >= self.limits.files:
            raise DiagnosticError(
                error("E0611", f"a program has at most {self.limits.files} files", node.path.span)
            )
        if not target.exists():
            raise DiagnosticError(
                error(
                    "E0619",
                    f"there is no file `{node.path.value}`",
                    node.path.span,
                    label=f"looked for {_shown(importer, node.path.value)}",
                )
            )
        size = target.stat().st_size if target.is_file() else 0
        self.total += size
        if self.total > self.limits.total_bytes:
            raise DiagnosticError(
                error(
                    "E0611",
                    f"a program and its imports have at most {self.limits.total_bytes:,} bytes",
                    node.path.span,
                    label=f"{self.total:,} with this file",
                )
            )
        name = _shown(importer, node.path.value)
        program = parse_file(target, limits=self.limits, name=name)
        self.sources[name] = program.source
        return program


def _shown(importer: str, path: str) -> str:
    """Name an imported file as its importer is named."""
    folder = PurePosixPath(importer.replace("\\", "/")).parent
    return str(folder / path)


def _stem(path: str) -> str:
    return PurePosixPath(path).stem


def _circle(steps: Sequence[Step], target: Path) -> DiagnosticError:
    names = [step.path.name for step in steps]
    way = " -> ".join([*names, target.name])
    first, *rest = steps
    place = first.node.path.span
    notes = [f'{_place(s.node.path.span)} imports "{s.node.path.value}"' for s in rest]
    return DiagnosticError(
        error(
            "E0601",
            f"{names[0]} imports itself",
            place,
            label=way,
            notes=tuple(notes),
            helps=("move what both need into a third file",),
        )
    )


def _place(span: Span) -> str:
    return f"{PurePosixPath(span.file).name}:{span.line}:{span.column}"
