"""From a file to text that can be parsed: cheap checks before anything is spent on it."""

from __future__ import annotations

import itertools
import os
import re
import stat
from pathlib import Path

from cnndsl.frontend.foreign import recognise_bytes
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.limits import DEFAULT_LIMITS, Limits
from cnndsl.support.source import SourceFile, Span
from cnndsl.support.suggest import nearest

SCAN = re.compile(
    r'(?P<string>"[^"\n]*")|(?P<comment>(?:#|//)[^\n]*)|(?P<hidden>[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c])'
)
"""Strings, comments, and the characters that make text read in another order than it is."""

MOST_NEIGHBOURS = 10_000
"""Files of a folder that are looked through for the name that is meant."""

HIDDEN = re.compile(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")


def read_source(
    path: str | Path, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> SourceFile:
    """Read a program's text; `name` is how messages call the file.

    Raises `DiagnosticError`: E0610 if it cannot be read, E0613 if it is not a regular file, E0611
    if it is too large, E0105 if it is another tool's binary file, E0612 if it is not text.
    """
    shown = str(path) if name is None else name
    return decode_source(_read_bytes(Path(path), shown, limits), shown, limits=limits)


def read_text(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> SourceFile:
    """Read a text that is no program, under the same limits; raises as `read_source` does."""
    return decode_text(_read_bytes(Path(path), str(path), limits), str(path), limits=limits)


def decode_source(data: bytes, name: str, *, limits: Limits = DEFAULT_LIMITS) -> SourceFile:
    """Make a program's text of bytes; raises `DiagnosticError` E0105, E0611 or E0612."""
    foreign = recognise_bytes(data, name)
    if foreign is not None:
        raise DiagnosticError(foreign)
    return decode_text(data, name, limits=limits)


def decode_text(data: bytes, name: str, *, limits: Limits = DEFAULT_LIMITS) -> SourceFile:
    """Make text of bytes; raises `DiagnosticError` E0611 or E0612."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DiagnosticError(_not_utf8(data, name, problem.start)) from None
    source = SourceFile(name, text)
    check_text(source, limits=limits)
    return source


def _not_there(path: Path, name: str) -> Diagnostic:
    """Say that there is no such file, and which of its neighbours is probably meant."""
    folder = path.parent
    if not folder.is_dir():
        return error("E0610", f"there is no file called {name}, and no folder called {folder}")
    try:
        around = sorted(other.name for other in itertools.islice(folder.iterdir(), MOST_NEIGHBOURS))
    except OSError:
        around = []
    close = [str(folder / other) for other in nearest(path.name, around, limit=1)]
    helps = tuple(f"did you mean {other}?" for other in close)
    return error("E0610", f"there is no file called {name}", helps=helps)


def _read_bytes(path: Path, name: str, limits: Limits) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    except IsADirectoryError:
        raise DiagnosticError(_not_a_file(name, "a folder")) from None
    except FileNotFoundError:
        raise DiagnosticError(_not_there(path, name)) from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise DiagnosticError(error("E0610", f"{name} cannot be read: {reason}")) from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise DiagnosticError(_not_a_file(name, kind))
    with os.fdopen(handle, "rb") as file:
        if status.st_size > limits.file_bytes:
            raise DiagnosticError(_too_large(name, status.st_size, limits))
        data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise DiagnosticError(_too_large(name, len(data), limits))
    return data


def check_text(source: SourceFile, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse text that is too large or that hides something; raises `DiagnosticError`."""
    text = source.text
    size = len(text)
    if size <= limits.file_bytes and not text.isascii():
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.file_bytes:
        raise DiagnosticError(_too_large(source.name, size, limits))
    hidden = _hidden(text)
    if hidden is not None:
        at, what = hidden
        line = text.count("\n", 0, at) + 1
        column = at - text.rfind("\n", 0, at)
        offset = len(text[:at].encode("utf-8", "surrogatepass"))
        found = error(
            "E0612",
            f"{source.name} holds {what} at byte {offset:,}",
            Span(source.name, line, column, line, column + 1),
            label="this does not belong in a program",
        )
        raise DiagnosticError(found, sources={source.name: source})


def _hidden(text: str) -> tuple[int, str] | None:
    """The first character that text of a program does not hold, and its name."""
    at = text.find("\0")
    if at >= 0:
        return at, "a zero byte"
    if text.isascii():
        return None
    surrogate = re.search("[\ud800-\udfff]", text)
    if surrogate is not None:
        return surrogate.start(), "half a character"
    if HIDDEN.search(text) is None:
        return None
    for match in SCAN.finditer(text):
        if match.lastgroup == "hidden":
            return match.start(), "a character that changes the reading direction"
        inside = HIDDEN.search(match[0]) if match.lastgroup == "string" else None
        if inside is not None:
            return match.start() + inside.start(), "a character that changes the reading direction"
    return None


def _not_utf8(data: bytes, name: str, offset: int) -> Diagnostic:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return error(
            "E0612", f"{name} is UTF-16 text; a program is UTF-8", helps=("save it as UTF-8",)
        )
    return error("E0612", f"{name} is not UTF-8 text: byte {offset:,} is 0x{data[offset]:02x}")


def _too_large(name: str, size: int, limits: Limits) -> Diagnostic:
    limit = limits.file_bytes
    return error("E0611", f"{name} has {size:,} bytes; the limit is {limit:,}")


def _not_a_file(name: str, kind: str) -> Diagnostic:
    return error("E0613", f"{name} is {kind}, not a file")
