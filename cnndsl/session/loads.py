"""`load "weights.npz"`: weights that a program asks for."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnndsl.frontend.directives import Load
from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.rules import Array
from cnndsl.runtime.executable import State
from cnndsl.support.diagnostics import WeightsError, error
from cnndsl.train.checkpoint import load_state
from cnndsl.train.loop import weights_only

HEADER = 65_536
"""Bytes that a .npy header may take; beyond, an array is larger than it says."""


def loaded_weights(
    loads: Sequence[Load], parameters: Mapping[str, TensorType], *, base_dir: Path | None
) -> State:
    """Read what the program's `load` lines name, for the `parameters` of its network.

    Every array of the loaded net must be in the file with the right shape, but for those of
    layers that a patch replaced, which start afresh. Raises `WeightsError` E0702, E0710 or E0711.
    """
    found: State = {}
    for load in loads:
        prefix = f"{load.net}." if load.net else ""
        mine = {
            name: kind
            for name, kind in weights_only(parameters).items()
            if name.startswith(prefix) and not _is_fresh(name.removeprefix(prefix), load)
        }
        path = _inside(load, base_dir)
        shapes = {name.removeprefix(prefix): kind for name, kind in mine.items()}
        arrays = read_arrays(path, shapes)
        _check(load, arrays, shapes)
        for name, kind in mine.items():
            found[name] = arrays[name.removeprefix(prefix)].astype(kind.dtype.numpy)
    return found


def _is_fresh(name: str, load: Load) -> bool:
    return name.rpartition(".")[0] in load.fresh


def _inside(load: Load, base_dir: Path | None) -> Path:
    folder = (base_dir or Path()).resolve()
    path = (folder / load.path).resolve()
    if not path.is_relative_to(folder):
        raise WeightsError(
            error("E0606", f"{load.path} lies outside the program's folder", load.span)
        )
    if not path.is_file():
        raise WeightsError(
            error(
                "E0710",
                f"there is no weights file {load.path}",
                load.span,
                label=f"looked for in {folder}",
            )
        )
    return path


def read_arrays(path: Path, wanted: Mapping[str, TensorType]) -> State:
    """Read a .safetensors or .npz file; arrays that nobody wants stay unread in the latter.

    Nothing in either can run code, and no array larger than the wanted one is unpacked. Raises
    `WeightsError` E0711 for a damaged file.
    """
    if path.suffix != ".npz":
        return weights_only(load_state(path)[0])
    try:
        return _read_npz(path, wanted)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as why:
        raise WeightsError(
            error("E0711", f"{path.name} is not a .npz file, or is damaged", notes=(str(why),))
        ) from None


def _read_npz(path: Path, wanted: Mapping[str, TensorType]) -> State:
    found: State = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            kind = wanted.get(name)
            if kind is None:
                continue
            # Eight bytes an element is the widest type; a larger member is not that array.
            if entry.file_size > 8 * kind.size + HEADER:
                raise ValueError(f"{name} takes {entry.file_size:,} bytes")
            with archive.open(entry) as member:
                found[name] = np.lib.format.read_array(member, allow_pickle=False)
    return found


def _check(load: Load, arrays: Mapping[str, Array], shapes: Mapping[str, TensorType]) -> None:
    """Compare a file with the net that asks for it; the first misfit is told, the rest counted."""
    wrong = [name for name, kind in shapes.items() if not _fits(arrays.get(name), kind)]
    if not wrong:
        return
    name = wrong[0]
    layer = name.rpartition(".")[0]
    array = arrays.get(name)
    shown = _size(shapes[name].shape)
    has = _size(array.shape) if array is not None else f"no {name}"
    fitting = len(shapes) - len(wrong)
    others = f"the other {fitting} arrays fit" if fitting else "no array fits"
    if fitting == 1:
        others = "the other array fits"
    if len({n.rpartition(".")[0] for n in wrong}) > 1:
        others += "; these do not: " + ", ".join(wrong[1:10])
    raise WeightsError(
        error(
            "E0702",
            f"{load.path} does not fit {layer}",
            load.span,
            label=f"it holds {has}, {layer} is {shown}",
            notes=(others,),
            helps=(
                f"`replace {layer}: {_words(shapes[name].shape)}` starts {layer} afresh and loads "
                "the rest",
            ),
        )
    )


def _size(shape: Shape) -> str:
    """Write a shape; that of a dense layer as the lectures do, inputs x neurons."""
    return "x".join(map(str, shape[::-1] if len(shape) == 2 else shape))


def _words(shape: Shape) -> str:
    """Write the layer that has a weight of a shape, if the shape says all of it."""
    return f"fc {shape[0]}" if len(shape) == 2 else ".."


def _fits(array: Array | None, kind: TensorType) -> bool:
    return (
        array is not None
        and array.shape == kind.shape
        and array.dtype.kind == "f"
        and bool(np.isfinite(array).all())
    )
