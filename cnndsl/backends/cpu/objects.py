"""Object code kept on disk, so that a kernel is compiled once for a machine, not once a process.

A file is named after all that its content depends on, and begins with a checksum of the rest. It is
written under another name first and then renamed, so no reader sees half of one. Code is run, so a
folder that somebody else could write to is not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cnndsl.backends.cpu.target import CpuTarget

MOST_BYTES = 256 << 20
"""What the folder may hold; beyond it the files that were not used for longest go."""
OBJECT, CHOICE = ".o", ".choice"
"""What is kept: object code, and algorithms that were measured to be the fastest."""
KINDS = (f"*{OBJECT}", f"*{CHOICE}", "cuda/*.cubin", f"cuda/*{CHOICE}", "emulated/*.so")
"""What counts: this backend's files, and those that the CUDA backend keeps beside them."""
FORMAT = "2"
"""Changes with the content of the files, and with the passes that code goes through."""
_DIGEST = hashlib.sha256().digest_size


def object_key(text: str, target: CpuTarget, version: str) -> str:
    """Give the name of what LLVM of a `version` makes of a module for a processor."""
    parts = (FORMAT, version, target.triple, target.cpu, target.features, text)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A folder of object code. What goes wrong with it is no error: code is compiled again."""

    folder: Path
    """Where the files are."""
    most_bytes: int = MOST_BYTES
    """What it may hold."""

    @classmethod
    def of(cls, kernel_dir: str | None) -> ObjectStore | None:
        """Give the store in a folder, or in the user's cache; nothing for "off"."""
        if kernel_dir == "off":
            return None
        if kernel_dir is not None:
            return cls(Path(kernel_dir).expanduser())
        import platformdirs

        return cls(platformdirs.user_cache_path("cnndsl") / "kernels")

    def get(self, key: str, kind: str = OBJECT) -> bytes | None:
        """Give what was put under a key, if it is there and whole."""
        path = self._path(key, kind)
        try:
            if not self._ours():
                return None
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, image = content[:_DIGEST], content[_DIGEST:]
        return image if hashlib.sha256(image).digest() == digest else None

    def put(self, key: str, image: bytes, kind: str = OBJECT) -> None:
        """Keep an image under a key, within the room that there is."""
        self.write(key, image, kind)
        self.prune()

    def write(self, key: str, image: bytes, kind: str = OBJECT) -> None:
        """Keep an image under a key; `prune` is called when all of several are written."""
        # Without room, rights or a folder, there is nothing to keep it in.
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._ours():
                self._write(self._path(key, kind), hashlib.sha256(image).digest() + image)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file under another name, then rename it."""
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def clear(self) -> int:
        """Remove everything; gives the bytes that were freed."""
        freed = 0
        for path, size, _ in self._files():
            with contextlib.suppress(OSError):
                path.unlink()
                freed += size
        return freed

    def count(self) -> int:
        """Give the number of kernels, for processors and GPUs."""
        return len(self._files()) - self.choices()

    def choices(self) -> int:
        """Give the number of algorithms that were measured to be the fastest."""
        return sum(path.suffix == CHOICE for path, _, _ in self._files())

    def nbytes(self) -> int:
        """Give the bytes of all files."""
        return sum(size for _, size, _ in self._files())

    def _path(self, key: str, kind: str) -> Path:
        return self.folder / f"{key}{kind}"

    def _ours(self) -> bool:
        """Tell whether the folder belongs to this user, and nobody else may write to it."""
        if not hasattr(os, "getuid"):
            return True
        status = self.folder.stat()
        others = stat.S_IWGRP | stat.S_IWOTH
        return status.st_uid == os.getuid() and not status.st_mode & others

    def _files(self) -> list[tuple[Path, int, float]]:
        """Give the files with their sizes and the times of their last use."""
        found = []
        for path in (path for kind in KINDS for path in self.folder.glob(kind)):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
        return found

    def prune(self) -> None:
        """Remove what was not used for longest until a quarter of the room is free."""
        files = self._files()
        total = sum(size for _, size, _ in files)
        if total <= self.most_bytes:
            return
        for path, size, _ in sorted(files, key=lambda file: file[2]):
            if total <= 0.75 * self.most_bytes:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
