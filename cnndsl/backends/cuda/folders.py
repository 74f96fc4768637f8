"""Folders of compiled code, by the setting CNNDSL_KERNELS; `cnndsl cache` clears them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cnndsl.support.diagnostics import BackendError


def code_folder(kernel_dir: str | None, name: str) -> Path | None:
    """Give the folder `name` in the kernels' folder, or in the user's cache; nothing for "off"."""
    if kernel_dir == "off":
        return None
    if kernel_dir is not None:
        return Path(kernel_dir).expanduser() / name
    import platformdirs

    return platformdirs.user_cache_path("cnndsl") / "kernels" / name


def prepare(folder: Path) -> None:
    """Make a folder that code is kept in, if it is not there.

    Code is run: raises `BackendError` for a folder that somebody else could write to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise BackendError(
            f"compiled kernels cannot be kept in {folder}: {error.strerror}\n"
            "help: CNNDSL_KERNELS names another folder, or off"
        ) from None
    others = stat.S_IWGRP | stat.S_IWOTH
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & others):
        raise BackendError(
            f"compiled kernels are not taken from {folder}: somebody else could write to it\n"
            "help: CNNDSL_KERNELS names another folder, or off"
        )
