"""Reading data files that nobody has checked: plain or gzip, never more than was declared.

Every file of a data set is opened through `DataFile`. It opens regular files only (a pipe never
blocks a run), tells gzip by content and not by name, counts bytes so that a message can say
where, and hands out at most what is asked for, so that a file of zeros that unpacks to 10 GB
costs no more memory than its header declares.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from types import TracebackType

from cnndsl.support.diagnostics import DataError, error

CHUNK = 1 << 16
"""Bytes that are read, and unpacked, at a time."""

MAX_BYTES = 1 << 31
"""Most bytes that one data file may hold once unpacked (2 GiB)."""

DEFLATE_RATIO = 1032
"""Most bytes that one byte of a deflate stream can stand for (zlib's technical notes)."""

_GZIP = b"\x1f\x8b"


def data_error(
    code: str, message: str, *, notes: Sequence[str] = (), helps: Sequence[str] = ()
) -> DataError:
    """Make the error for a broken, missing or refused piece of data."""
    return DataError(error(code, message, notes=tuple(notes), helps=tuple(helps)))


def cause(problem: OSError) -> str:
    """Give the system's word for `problem`, without the path that the message already has.

    >>> cause(FileNotFoundError(2, "No such file or directory", "x"))
    'No such file or directory'
    """
    return problem.strerror or str(problem) or type(problem).__name__


def open_regular(path: Path) -> BufferedReader:
    """Open `path` for reading; `DataError` for what is missing, unreadable or no regular file."""
    # Non-blocking, so that opening a pipe returns and the check below can refuse it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise data_error("E0801", f"{path} does not exist") from None
    except OSError as problem:
        raise data_error("E0806", f"{path} cannot be opened: {cause(problem)}") from problem
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise data_error("E0806", f"{path} is not a regular file")
    return os.fdopen(handle, "rb")


def looks_like(head: bytes) -> str | None:
    """Name the kind of file that begins with `head`, where it is one that is met by accident.

    >>> looks_like(b"<!DOCTYPE html>")
    'a web page, perhaps the error page of a download'
    """
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, perhaps the error page of a download"
    kinds = {
        b"PK\x03\x04": "a zip archive",
        b"\x1f\x8b": "a gzip file inside a gzip file",
        b"BZh": "a bzip2 file",
        b"\xfd7zXZ": "an xz file",
        b"\x80\x02}": "a Python pickle",
        b"version https://git-lfs": "a Git LFS pointer",
    }
    return next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)


class DataFile:
    """One data file, read forwards; offsets count bytes of the unpacked content."""

    def __init__(self, path: Path) -> None:
        """Open `path` and look whether it is a gzip stream; `DataError` if it cannot be opened."""
        self.path = path
        self.offset = 0
        self._raw = open_regular(path)
        try:
            self._size = os.fstat(self._raw.fileno()).st_size
            self.packed = self._read_raw(2) == _GZIP
            self._raw.seek(0)
        except BaseException:
            self._raw.close()
            raise
        self._engine = zlib.decompressobj(wbits=31)

    def __enter__(self) -> DataFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._raw.close()

    @property
    def most(self) -> int:
        """An upper bound of the bytes the file can hold once unpacked."""
        return self._size * DEFLATE_RATIO if self.packed else self._size

    def some(self, size: int) -> bytes:
        """Read `size` bytes, or as many as the file still has."""
        pieces = bytearray()
        while len(pieces) < size:
            piece = self._piece(min(CHUNK, size - len(pieces)))
            if not piece:
                break
            pieces += piece
            self.offset += len(piece)
        return bytes(pieces)

    def exactly(self, size: int, *, what: str) -> bytes:
        """Read `size` bytes; E0804 if the file ends before, naming `what` they are for."""
        needed = self.offset + size
        # Compared before a byte is read: a header cannot make a small file cost memory.
        data = self.some(size) if needed <= self.most else b""
        if len(data) < size:
            raise self._short(needed, what)
        return data

    def finish(self, *, declared: str) -> None:
        """Check that nothing follows; E0805 if something does, with what was `declared`."""
        end = self.offset
        more = bool(self.some(1))
        if self.packed and not more:
            rest = len(self._engine.unused_data)
            if rest or self._read_raw(1):
                raise data_error(
                    "E0805",
                    f"{self.path} goes on after its gzip stream",
                    notes=(f"the stream ends after {end:,} unpacked bytes", declared),
                    helps=("unpack the file and keep the part that belongs to the data set",),
                )
        if more:
            raise data_error(
                "E0805",
                f"{self.path} goes on after byte {end:,}, where it should end",
                notes=(declared,),
                helps=("get the file again: it is longer than its header declares",),
            )

    def _short(self, needed: int, what: str) -> DataError:
        if self.packed and needed > self.most:
            message = f"{self.path} is too short for the {needed:,} bytes it declares"
            note = f"{self._size:,} bytes of gzip unpack to at most {self.most:,}"
        else:
            end = self.offset if self.packed else self._size
            message = f"{self.path} ends at byte {end:,} of {needed:,}"
            note = f"{what} goes up to byte {needed:,}"
        return data_error(
            "E0804", message, notes=(note,), helps=("get the file again: it was cut off",)
        )

    def _piece(self, limit: int) -> bytes:
        if not self.packed:
            return self._read_raw(limit)
        while not self._engine.eof:
            feed = self._engine.unconsumed_tail or self._read_raw(CHUNK)
            try:
                piece = self._engine.decompress(feed, limit)
            except zlib.error as problem:
                raise self._damaged(str(problem)) from problem
            if piece:
                return piece
            if not feed and not self._engine.eof:
                raise data_error(
                    "E0804",
                    f"{self.path} stops in the middle of its gzip stream",
                    notes=(f"after {self.offset:,} unpacked bytes the file's {self._size:,} end",),
                    helps=("get the file again: it was cut off",),
                )
        return b""

    def _damaged(self, reason: str) -> DataError:
        # zlib says "Error -3 while decompressing data: incorrect data check".
        word = reason.rpartition(": ")[2]
        where = f"it shows after unpacked byte {self.offset:,}"
        if word in ("incorrect data check", "incorrect length check"):
            word = "the checksum at its end does not match its content"
            where = "the damage may be anywhere in the file"
        return data_error(
            "E0806",
            f"{self.path} is damaged: {word}",
            notes=(where,),
            helps=("get the file again",),
        )

    def _read_raw(self, size: int) -> bytes:
        try:
            return self._raw.read(size)
        except OSError as problem:
            raise data_error("E0806", f"{self.path} cannot be read: {cause(problem)}") from problem
