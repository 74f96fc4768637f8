"""From a `DataSpec` to data: the one call that commands and models make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from cnndsl.data.base import DATASETS, Dataset, Places, open_dataset
from cnndsl.data.cifar10 import open_cifar_folder
from cnndsl.data.files import data_error
from cnndsl.data.folder import FolderOptions, open_folder
from cnndsl.data.idx_folder import open_idx_folder
from cnndsl.data.preparation import PreparedData, prepare
from cnndsl.data.spec import DataSpec
from cnndsl.support.settings import Settings


def open_data(
    spec: DataSpec,
    input_shape: tuple[int, ...],
    *,
    base_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    settings: Settings | None = None,
    keep_bytes: bool = False,
) -> PreparedData:
    """Open what `spec` names and prepare it for a program whose input is `input_shape`.

    `base_dir` is the folder of the program, where its own data folders are looked for first;
    the other arguments are those of `open_dataset` and of `prepare`. Raises `DataError`.
    """
    places = Places.of(data_dir=data_dir, cache_dir=cache_dir, settings=settings)
    base = Path(base_dir) if base_dir is not None else None
    dataset = _open(spec, input_shape, base, places)
    prepared = prepare(dataset, spec, input_shape, keep_bytes=keep_bytes)
    if spec.source == "folder" and spec.resize is None:
        height, width = dataset.shape[:2]
        scaled = f"the images of {dataset.name} were read at {height}x{width}"
        prepared = replace(prepared, notes=(scaled, *prepared.notes))
    return prepared


def _open(
    spec: DataSpec, input_shape: tuple[int, ...], base: Path | None, places: Places
) -> Dataset:
    """Open the source; `idx "mnist"` and `cifar "cifar10"` mean the data sets of these names."""
    if spec.source == "named" or (spec.source in ("idx", "cifar") and spec.name in DATASETS):
        if spec.name in DATASETS:
            return DATASETS[spec.name].open(places)
        return open_dataset(spec.name)  # raises, with the names that are known
    folder = find_folder(spec.name, base=base, places=places)
    openers: dict[str, Callable[[], Dataset]] = {
        "idx": lambda: open_idx_folder(folder),
        "cifar": lambda: open_cifar_folder(folder, name=folder.name),
        "folder": lambda: open_folder(folder, options=_folder_options(spec, input_shape)),
    }
    return openers[spec.source]()


def find_folder(name: str, *, base: Path | None, places: Places) -> Path:
    """Find the folder that a program calls `name`, below its own folder or a data folder.

    Raises `DataError`: E0813 for a path that could lead elsewhere (absolute, with "..", a drive,
    a backslash, a URL, or a link out of the program's folder), E0801 where there is none.
    """
    parts = PurePosixPath(name).parts
    if (
        not parts
        or PurePosixPath(name).is_absolute()
        or PureWindowsPath(name).drive
        or ".." in parts
        or any(sign in name for sign in ("\\", "://", "\0"))
    ):
        raise data_error(
            "E0813",
            f'the data path "{name}" is not below the program\'s folder',
            notes=("a program names data by a relative path, with / and without ..",),
            helps=("name the folder that holds the data with --data-dir or CNNDSL_DATA",),
        )
    looked = [root / name for root in ((base,) if base else ()) + places.roots]
    for folder in looked:
        if folder.is_dir():
            # The user's own data folders may hold links; a program that came along may not.
            inside = folder.resolve().is_relative_to((base or folder).resolve())
            if base is not None and folder == base / name and not inside:
                raise data_error(
                    "E0813",
                    f"{folder} is a link that leads out of {base}",
                    helps=("name the folder that holds the data with --data-dir or CNNDSL_DATA",),
                )
            return folder
    raise data_error(
        "E0801",
        f"the data folder {name} is not here",
        notes=("looked for\n" + "\n".join(str(folder) for folder in looked),),
        helps=("name the folder that holds it with --data-dir or CNNDSL_DATA",),
    )


def _folder_options(spec: DataSpec, input_shape: tuple[int, ...]) -> FolderOptions:
    """Say how to read image files of any size for this program."""
    channels = input_shape[2] if len(input_shape) == 3 else 3
    size = spec.resize
    if size is None and len(input_shape) == 3 and spec.pad is None:
        size = (input_shape[0], input_shape[1])
        if spec.crop is not None:
            # Room for the window to move: 8/7 of it, as 256 is to 224.
            size = (-(-size[0] * 8 // 7), -(-size[1] * 8 // 7))
    return FolderOptions(
        size=size,
        channels=1 if channels == 1 else 3,
        limit=spec.limit,
        skip_bad=spec.skip_bad,
        seed=spec.seed,
    )
