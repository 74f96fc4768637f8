"""Weights and checkpoints on disk: safetensors, written whole or not at all.

A checkpoint is one file. Everything that a run needs to go on, arrays and progress, lies in it,
so that no crash can leave arrays of one step beside the progress of another.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import Diagnostic, WeightsError, error
from cnndsl.support.files import write_atomic
from cnndsl.support.suggest import nearest

FORMAT = "1"
"""Version of the layout of our metadata."""

_HEADER_LIMIT = 100_000_000
"""Bytes of header that safetensors itself accepts."""


def encode(state: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Give the bytes of a safetensors file with `state` by name and our `metadata`."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(state[name]) for name in sorted(state)}
    # ascontiguousarray makes vectors of scalars; the shape () has to stay.
    arrays = {name: array.reshape(np.shape(state[name])) for name, array in arrays.items()}
    return _in_order(
        save(arrays, metadata={"format": "cnndsl", "cnndsl.format": FORMAT, **metadata})
    )


def _in_order(data: bytes) -> bytes:
    """Sort the metadata in a file's header, which come in another order at every call.

    The same run then gives the same file, byte for byte.
    """
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def save_state(path: Path, state: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata to `path`, whole or not at all; raises `OSError`."""
    write_atomic(path, encode(state, metadata))


def load_state(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read arrays and metadata; raises `WeightsError` for anything that is not such a file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(
            error("E0710", f"there is no weights file {path}", helps=_siblings(path))
        ) from None
    except OSError as reason:
        raise WeightsError(error("E0710", f"{path} cannot be read: {reason.strerror}")) from None
    return decode(data, str(path))


def decode(data: bytes, name: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the bytes of a safetensors file; `name` is what messages call it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        metadata = _metadata(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, struct.error) as why:
        raise WeightsError(
            error(
                "E0711",
                f"{name} is not a safetensors file, or is damaged",
                notes=(f"{len(data)} bytes; {why}",),
                helps=("weights are read from .safetensors files only; pickles are never opened",),
            )
        ) from None
    return arrays, metadata


def _metadata(data: bytes) -> dict[str, str]:
    """Read the metadata of a file whose arrays have been read already."""
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(_HEADER_LIMIT, len(data) - 8):
        raise ValueError(f"a header of {length} bytes")
    header: Any = json.loads(data[8 : 8 + length])
    found = header.get("__metadata__") or {}
    return {str(key): str(value) for key, value in found.items()}


def _siblings(path: Path) -> tuple[str, ...]:
    folder = path.parent
    if not folder.is_dir():
        return (f"there is no folder {folder} either",)
    names = sorted(p.name for p in folder.glob("*.safetensors"))
    return (f"{folder} holds {', '.join(names[:5])}",) if names else ()


def check_fit(
    found: Mapping[str, Array],
    wanted: Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic]]],
    *,
    name: str,
) -> None:
    """Compare the arrays of a file with those a program has; all or nothing.

    `wanted` maps names to (shape, dtype). Raises `WeightsError` with one diagnostic that lists
    every mismatch: missing (with the nearest name that is there), superfluous, wrong shape, wrong
    element type, and values that are not numbers.
    """
    wrong: list[str] = []
    for key, (shape, dtype) in wanted.items():
        array = found.get(key)
        if array is None:
            close = nearest(key, set(found) - set(wanted), limit=1)
            wrong.append(f"{key}: missing" + (f" (the file has {close[0]})" if close else ""))
        elif array.shape != shape:
            wrong.append(f"{key}: the file holds {_x(array.shape)}, the program needs {_x(shape)}")
        elif array.dtype != dtype:
            wrong.append(f"{key}: the file holds {array.dtype}, the program needs {dtype}")
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            wrong.append(f"{key}: {int((~np.isfinite(array)).sum())} values are not finite")
    wrong.extend(f"{key}: not in the program" for key in found if key not in wanted)
    if wrong:
        raise WeightsError(_misfit(name, wrong, fitting=len(wanted)))


def _misfit(name: str, wrong: list[str], *, fitting: int) -> Diagnostic:
    shown = [*wrong[:20], f"and {len(wrong) - 20} more"] if len(wrong) > 20 else wrong
    return error(
        "E0702",
        f"{name} does not fit the program",
        notes=("\n".join(shown), f"the program has {fitting} arrays; nothing was loaded"),
        helps=("load it with the program it was saved from: the file holds its text",),
    )


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
