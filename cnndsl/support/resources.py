"""Where grammars/ and zoo/ are, in an installed package and in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_dir(name: str) -> Path:
    """Give the folder `name` ("grammars" or "zoo") that came with this installation.

    A wheel holds the folder inside the package; an editable install finds it beside the package.
    """
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the folder {name!r} is missing from this installation of cnndsl")
