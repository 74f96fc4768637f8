"""Files that are never half written: the one way this package stores anything."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_MARK = ".cnndsl-tmp-"
"""Part of every temporary name, by which leftovers of a killed process are found."""


def write_atomic(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write `data` to `path` such that a reader sees the old file or the new one, never half.

    A temporary file beside `path` is written and synced, given the mode of the file it replaces
    (else what the umask allows) and renamed over `path`; then the folder is synced, so that the
    result also survives a loss of power. Leftovers of killed writers of the same file are swept.
    Raises `OSError` when the disk refuses (the old file is untouched), and refuses to replace
    anything but a regular file, a device node for example.
    """
    mode = _mode_to_keep(path)
    sweep_temporaries(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}{_MARK}", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in (data,) if isinstance(data, bytes) else data:
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names inside `folder` durable, where folders can sync."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_temporaries(path: Path) -> int:
    """Remove what killed writers of `path` left behind; gives how many files went."""
    swept = 0
    for leftover in path.parent.glob(f".{path.name}{_MARK}*"):
        with suppress(OSError):
            leftover.unlink()
            swept += 1
    return swept


def _mode_to_keep(path: Path) -> int:
    try:
        status = path.lstat()
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
    if stat.S_ISLNK(status.st_mode):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file, so it is not replaced")
    return stat.S_IMODE(status.st_mode)
