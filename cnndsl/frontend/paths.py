"""Paths that a program names: relative, and inside the program's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnndsl.frontend import ast
from cnndsl.support.diagnostics import DiagnosticError, error


def check_path(path: ast.String, *, what: str) -> None:
    """Refuse paths that are not plain relative ones; raises `DiagnosticError` E0606."""
    text = path.value
    wrong = ""
    if not text.strip():
        wrong = "it is empty"
    elif "\\" in text or "\0" in text:
        wrong = "folders are separated by `/`"
    elif "://" in text:
        wrong = "it is an address, not a file"
    elif text.startswith(("/", "~")) or (len(text) > 1 and text[1] == ":"):
        wrong = "it is not relative to the program's folder"
    if wrong:
        raise DiagnosticError(
            error(
                "E0606",
                f"`{text}` is no path that a program may name",
                path.span,
                label=wrong,
                helps=(f"put the {what} beside the program and name it as it lies there",),
            )
        )


def resolve_path(path: ast.String, folder: Path, allowed: Sequence[Path], *, what: str) -> Path:
    """Give the file that a path names; it lies in one of the `allowed` folders, links followed.

    `folder` is that of the file in which the path stands. Raises `DiagnosticError` E0606.
    """
    check_path(path, what=what)
    try:
        found = (folder / path.value).resolve()
    except (OSError, RuntimeError, ValueError):
        found = None
    if found is not None and any(found.is_relative_to(root) for root in allowed):
        return found
    raise DiagnosticError(
        error(
            "E0606",
            f"`{path.value}` lies outside the program's folder",
            path.span,
            label="not read",
            helps=("`--allow-path FOLDER` permits another folder",),
        )
    )
