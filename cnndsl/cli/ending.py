"""How the command line ends: exit codes, and what is said about an error.

0 done · 1 the program has errors · 2 wrong command line or environment ·
3 data missing or unreadable · 4 backend or extra not available · 5 not a number ·
6 out of memory or disk · 7 verification differs · 8 file refused as unsafe or malformed ·
70 a bug of ours · 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cnndsl.support.diagnostics import DiagnosticError
    from cnndsl.support.source import SourceFile


class Exit(IntEnum):
    """The exit codes."""

    DONE = 0
    PROGRAM = 1
    USAGE = 2
    DATA = 3
    BACKEND = 4
    DIVERGED = 5
    RESOURCES = 6
    DIFFERS = 7
    REFUSED = 8
    BUG = 70
    INTERRUPTED = 130


def end(reason: BaseException, *, as_json: bool) -> int:
    """Say what went wrong and give the exit code; words go to stderr, `--json` to stdout."""
    from cnndsl.support.diagnostics import DiagnosticError

    if isinstance(reason, click.exceptions.Exit):
        return reason.exit_code
    if isinstance(reason, SystemExit):
        return reason.code if isinstance(reason.code, int) else 0
    if isinstance(reason, BrokenPipeError):
        # The reader has gone (`cnndsl ir x | head`); nothing more can be said.
        sys.stderr.close()
        return Exit.DONE
    code, text = describe(reason)
    if as_json:
        from cnndsl.cli.console import diagnostic_record, emit_json

        shown = reason.diagnostics if isinstance(reason, DiagnosticError) else ()
        emit_json(
            {
                "ok": False,
                "exit": int(code),
                "error": text,
                "diagnostics": [diagnostic_record(d) for d in shown],
            }
        )
    if isinstance(reason, DiagnosticError):
        from cnndsl.cli.console import show_diagnostics

        show_diagnostics(reason.diagnostics, _sources(reason))
    else:
        click.echo(text, err=True)
    return code


def _sources(reason: DiagnosticError) -> dict[str, SourceFile]:
    """Give the texts that an error points into; those that it does not carry are read."""
    from cnndsl.frontend.reading import read_text
    from cnndsl.support.diagnostics import DiagnosticError

    found = dict(reason.sources)
    for diagnostic in reason.diagnostics:
        name = diagnostic.span.file if diagnostic.span is not None else ""
        if name and name not in found and Path(name).is_file():
            with contextlib.suppress(DiagnosticError):
                found[name] = read_text(name)
    return found


def describe(reason: BaseException) -> tuple[Exit, str]:
    """Give the exit code of an error and what is said about it."""
    from cnndsl.support.diagnostics import (
        BackendError,
        DataError,
        DiagnosticError,
        DivergedError,
        SettingError,
        StoppedError,
        WeightsError,
    )

    if isinstance(reason, click.UsageError):
        return Exit.USAGE, usage_text(reason)
    if isinstance(reason, click.ClickException):
        return Exit.USAGE, f"error: {reason.format_message()}"
    if isinstance(reason, KeyboardInterrupt | click.exceptions.Abort):
        return Exit.INTERRUPTED, "stopped"
    if isinstance(reason, MemoryError):
        return Exit.RESOURCES, "error: out of memory; a smaller --batch needs less"
    if isinstance(reason, DataError):
        return Exit.DATA, str(reason)
    if isinstance(reason, WeightsError):
        return Exit.REFUSED, str(reason)
    if isinstance(reason, SettingError):
        return Exit.USAGE, str(reason)
    if isinstance(reason, DiagnosticError):
        return Exit.PROGRAM, str(reason)
    if isinstance(reason, BackendError):
        return Exit.BACKEND, f"error: {reason}"
    if isinstance(reason, DivergedError):
        return Exit.DIVERGED, f"error: {reason}"
    if isinstance(reason, OSError):
        return _describe_os_error(reason)
    if isinstance(reason, StoppedError):
        return Exit.INTERRUPTED, f"{reason}"
    return Exit.BUG, _report_bug(reason)


def usage_text(reason: click.UsageError) -> str:
    """Write a complaint about the command line, with the way to more help."""
    command = reason.ctx.command_path if reason.ctx is not None else "cnndsl"
    return f"error: {reason.format_message()}\nhelp: `{command} --help` lists what it takes"


def _describe_os_error(reason: OSError) -> tuple[Exit, str]:
    where = f" ({reason.filename})" if reason.filename else ""
    text = f"error: {reason.strerror or reason}{where}"
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
    if reason.errno in full:
        return Exit.RESOURCES, f"{text}\nhelp: what was there before is untouched; make room"
    return Exit.DATA, text


def _report_bug(reason: BaseException) -> str:
    """Write a report of an error that should not happen, and say where it is."""
    trace = "".join(traceback.format_exception(reason))
    handle, name = tempfile.mkstemp(prefix="cnndsl-report-", suffix=".txt")
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a handle, not a path
        file.write(f"cnndsl {' '.join(sys.argv[1:])}\n\n{trace}")
    return (
        f"error: this is a bug in cnndsl: {type(reason).__name__}: {reason}\n"
        f"help: a report for the developers is in {Path(name)}"
    )


def worst(codes: Sequence[int]) -> int:
    """Give the largest of several exit codes."""
    return max(codes, default=0)


JsonValue = None | bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
"""What `--json` prints."""
