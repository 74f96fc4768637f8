"""Files are replaced whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cnndsl.support.files import sweep_temporaries, write_atomic


def test_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    write_atomic(target, b"one")
    write_atomic(target, [b"t", b"wo"])
    assert target.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_keeps_the_mode_of_the_file_it_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"")
    target.chmod(0o640)
    write_atomic(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a.bin", b"x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.bin"
    write_atomic(target, b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def chunks() -> list[bytes]:
        refuse()
        return []

    if step == "write":
        with pytest.raises(OSError, match="No space"):
            write_atomic(target, (chunk for _ in "x" for chunk in chunks()))
    else:
        monkeypatch.setattr(os, step, refuse)
        with pytest.raises(OSError, match="No space"):
            write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_refuses_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_atomic(tmp_path / "pipe", b"x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_sweeps_what_a_killed_writer_left(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    (tmp_path / ".a.bin.cnndsl-tmp-dead").write_bytes(b"half")
    (tmp_path / ".b.bin.cnndsl-tmp-other").write_bytes(b"another file's")
    assert sweep_temporaries(target) == 1
    write_atomic(target, b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.bin.cnndsl-tmp-other", "a.bin"]


def test_syncs_the_file_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        calls.append(f"sync {kind}")
        real_sync(handle)

    def replace(source: str, target: str) -> None:
        calls.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomic(tmp_path / "a.bin", b"x")
    assert calls == ["sync file", "rename", "sync folder"]
