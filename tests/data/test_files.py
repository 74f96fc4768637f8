from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from cnndsl.data.files import CHUNK, DataFile, looks_like, open_regular
from cnndsl.support.diagnostics import DataError


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"E0801.*absent does not exist"):
        open_regular(tmp_path / "absent")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"E0806.*pipe is not a regular file"):
        open_regular(tmp_path / "pipe")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="E0806"):
        open_regular(tmp_path)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize("level", [None, 0, 9])
def test_reads_every_byte_in_any_form(tmp_path: Path, size: int, level: int | None) -> None:
    content = bytes(index % 251 for index in range(size))
    path = tmp_path / "x"
    path.write_bytes(content if level is None else gzip.compress(content, level))
    with DataFile(path) as file:
        assert file.packed == (level is not None)
        first = file.some(size // 3)
        rest = file.exactly(size - size // 3, what="the rest")
        assert file.offset == size
        file.finish(declared="all of it")
    assert first + rest == content


def test_a_failing_disk_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(10))

    class Failing:
        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

        def close(self) -> None:
            pass

    with DataFile(path) as file:
        file._raw.close()
        monkeypatch.setattr(file, "_raw", Failing())
        with pytest.raises(DataError, match=r"E0806.*cannot be read: Input/output error"):
            file.some(4)


def test_kinds_that_are_met_by_accident_are_named() -> None:
    assert looks_like(b"  <HTML>") == "a web page, perhaps the error page of a download"
    assert looks_like(b"\x80\x02}q\x00") == "a Python pickle"
    assert looks_like(b"\x00\x00\x08\x03") is None
