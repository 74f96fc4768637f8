from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.backends import load
from tests.cli.runner import run, run_json

pytestmark = pytest.mark.skipif(
    load("cpu").unavailable() is not None, reason=str(load("cpu").unavailable())
)


def test_kernels_are_kept_counted_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kernels"
    monkeypatch.setenv("CNNDSL_KERNELS", str(folder))
    empty = run_json("cache", "info")
    assert (empty["folder"], empty["kernels"], empty["bytes"]) == (str(folder), 0, 0)
    assert run("kernels", "lenet", "C1", "--batch", "1", "--emit", "llvm").code == 0
    files = list(folder.glob("*.o"))
    full = run_json("cache", "info")
    assert full["kernels"] == len(files) > 0
    assert full["bytes"] == sum(file.stat().st_size for file in files) <= full["most_bytes"]
    assert run("cache", "info").out.startswith(
        f"{folder}: {len(files)} kernels, 0 choices of `cnndsl tune`, "
    )
    (folder / "note.txt").write_text("not a kernel")
    for kind in ("cuda/one.cubin", "emulated/one.so", "cuda/one.choice"):
        (folder / kind).parent.mkdir(exist_ok=True)
        (folder / kind).write_bytes(b"kept")
    assert run_json("cache", "info")["kernels"] == len(files) + 2
    assert run_json("cache", "info")["choices"] == 1
    cleared = run_json("cache", "clear")
    assert (cleared["freed"], cleared["kernels"]) == (full["bytes"] + 12, 0)
    assert [path.name for path in folder.rglob("*.*")] == ["note.txt"]
    assert run("cache", "clear").out == "0 B freed\n"


def test_nothing_is_kept_where_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDSL_KERNELS", "off")
    assert run_json("cache", "info")["folder"] is None
    assert "nothing is kept" in run("cache", "info").out
    assert run_json("cache", "clear")["freed"] == 0
