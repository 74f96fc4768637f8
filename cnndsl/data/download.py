"""Fetching the published files of a data set: mirrors, hashes, nothing half written.

The standard library's urllib does it. The files are few, their sizes and hashes are known, and a
mirror that fails is followed by the next one: resuming and caching, which a library such as pooch
would add, have no use here. This is the only module of the package that opens a socket, and it
does so only when `fetch` is called.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cnndsl.data.base import DATASETS, default_cache
from cnndsl.data.files import CHUNK, cause, data_error, open_regular
from cnndsl.support.diagnostics import DataError

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that have arrived, and the bytes it has."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One published file."""

    name: str
    """Its name, on the mirrors and on disk."""
    size: int
    """Bytes."""
    md5: str
    """The hash its authors published."""
    sha256: str
    """The hash it is checked by."""


@dataclass(frozen=True, slots=True)
class RemoteSet:
    """The published files of a data set and where they can be had."""

    mirrors: tuple[str, ...]
    """Addresses that a file's name is put after, tried in this order."""
    files: tuple[RemoteFile, ...]
    """What is fetched."""


REMOTE: Mapping[str, RemoteSet] = {
    "mnist": RemoteSet(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    ),
    "fashion_mnist": RemoteSet(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "25c81989df183df01b3e8a0aad5dffbe",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "bef4ecab320f06d8554ea6380940ec79",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "bb300cfdad3c16e7a12a480ee83cd310",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
    "cifar10": RemoteSet(
        ("https://www.cs.toronto.edu/~kriz/",),
        (
            RemoteFile(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c32a1d4ab5d03f1284b67883e8d87530",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
    ),
}
"""What can be fetched by name."""


class _NotPublishedError(Exception):
    """What arrived is not the published file."""


def fetch(
    name: str,
    *,
    folder: str | Path | None = None,
    remote: RemoteSet | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> tuple[Path, ...]:
    """Fetch the files of the data set `name` that are not there yet, and give their paths.

    They go into `folder`, by default the data set's folder in the user's cache. Every file is
    written under another name, checked by size and SHA-256, synced and then renamed, so that a
    file that is there is whole. `timeout` is in seconds, for each wait on the network. Raises
    `DataError`: E0802 for a name without published files, E0816 if no mirror gave a file, E0817
    if what they gave is not the published file, E0818 if the folder cannot be written.
    """
    remote = remote or REMOTE.get(name)
    if remote is None:
        known = f"{name} needs no download" if name in DATASETS else f"no data set is called {name}"
        raise data_error("E0802", known, helps=(f"can be downloaded: {', '.join(REMOTE)}",))
    target = Path(folder) if folder is not None else default_cache() / name
    with _writing(target, sum(file.size for file in remote.files)):
        target.mkdir(parents=True, exist_ok=True)
    return tuple(
        _fetch_file(file, target, remote.mirrors, progress=progress, timeout=timeout)
        for file in remote.files
    )


def is_published(path: Path, file: RemoteFile) -> bool:
    """Say whether `path` is there and is the published file, by size and SHA-256."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with open_regular(path) as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _fetch_file(
    file: RemoteFile,
    folder: Path,
    mirrors: Sequence[str],
    *,
    progress: Progress | None,
    timeout: float,
) -> Path:
    path = folder / file.name
    if is_published(path, file):
        return path
    failures: list[str] = []
    wrong = False
    for mirror in mirrors:
        try:
            _fetch_from(mirror + file.name, file, path, progress=progress, timeout=timeout)
        except _NotPublishedError as problem:
            wrong = True
            failures.append(f"{mirror}{file.name}: {problem}")
        except (OSError, http.client.HTTPException) as problem:
            failures.append(f"{mirror}{file.name}: {_reason(problem)}")
        else:
            return path
    message = "did not arrive as it was published" if wrong else "could not be downloaded"
    raise data_error(
        "E0817" if wrong else "E0816",
        f"{file.name} {message}",
        notes=("\n".join(failures), f"{file.size:,} bytes, SHA-256 {file.sha256}"),
        helps=(
            "check the connection and try again",
            f"or get it elsewhere and put it here: {path}",
        ),
    )


def _fetch_from(
    url: str, file: RemoteFile, path: Path, *, progress: Progress | None, timeout: float
) -> None:
    """Fetch `url` into `path` by way of a temporary name; nothing is left behind on failure."""
    import urllib.request

    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer, _create(part, file) as out:
            digest = hashlib.sha256()
            done = 0
            while done <= file.size and (piece := answer.read(min(CHUNK, file.size + 1 - done))):
                with _writing(part.parent, file.size):
                    out.write(piece)
                digest.update(piece)
                done += len(piece)
                if progress is not None:
                    progress(file.name, done, file.size)
            if done != file.size:
                size = f"{done:,}" if done < file.size else f"more than {file.size:,}"
                raise _NotPublishedError(f"{size} bytes instead of {file.size:,}")
            if digest.hexdigest() != file.sha256:
                raise _NotPublishedError(f"SHA-256 {digest.hexdigest()}")
            with _writing(part.parent, file.size):
                out.flush()
                os.fsync(out.fileno())
        with _writing(part.parent, file.size):
            part.replace(path)
            _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _create(part: Path, file: RemoteFile) -> BinaryIO:
    with _writing(part.parent, file.size):
        return part.open("xb", buffering=0)


@contextlib.contextmanager
def _writing(folder: Path, size: int) -> Iterator[None]:
    """Turn the failures of writing into E0818, apart from those of the network."""
    try:
        yield
    except OSError as problem:
        raise _cannot_write(folder, size, problem) from problem


def _cannot_write(folder: Path, size: int, problem: OSError) -> DataError:
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    other = "name another folder with --to"
    return data_error(
        "E0818",
        f"{folder} cannot be written: {cause(problem)}",
        notes=(f"{size:,} bytes are needed",),
        helps=(f"free some space, or {other}" if full else other,),
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename last; where folders cannot be opened (Windows) the system sees to it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(problem: Exception) -> str:
    reason = getattr(problem, "reason", None)
    code = getattr(problem, "code", None)
    if isinstance(reason, OSError):
        return cause(reason)
    if isinstance(code, int):
        return f"the server answered {code} {reason}"
    return str(reason or problem) or type(problem).__name__
