"""The store of object code: kept, checked, bounded, and never trusted to somebody else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends.cpu import compile as compiling
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.objects import ObjectStore, object_key
from cnndsl.backends.cpu.target import HASWELL, CpuTarget
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Plan
from cnndsl.support.settings import Settings
from tests.backends.cpu.machine import needs_jit

KEY = object_key("define", HASWELL, "0.50")


def plan() -> Plan:
    graph = Graph("one")
    b = Builder(graph)
    graph.outputs["y"] = b.emit(relu, b.emit(input_, attrs=InputAttrs(f32(40)), name="x"))
    return make_plan(graph)


def store_in(folder: Path, most_bytes: int = 1 << 20) -> ObjectStore:
    return ObjectStore(folder / "kernels", most_bytes)


def test_what_is_put_is_found_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, b"code")
    assert store.get(KEY) == b"code"
    assert store_in(tmp_path).get(KEY) == b"code"
    assert [path.name for path in store.folder.iterdir()] == [f"{KEY}.o"]
    assert store.nbytes() == 32 + 4
    assert store.clear() == 36
    assert store.get(KEY) is None


def test_keys_differ_with_all_that_code_depends_on() -> None:
    other = CpuTarget(HASWELL.triple, "znver4", "", 64, 32)
    keys = {
        KEY,
        object_key("other", HASWELL, "0.50"),
        object_key("define", HASWELL, "0.49"),
        object_key("define", other, "0.50"),
    }
    assert len(keys) == 4


@pytest.mark.parametrize("damage", [b"", b"x", b"y" * 36])
def test_damaged_files_are_not_code(tmp_path: Path, damage: bytes) -> None:
    store = store_in(tmp_path)
    store.put(KEY, b"code")
    (store.folder / f"{KEY}.o").write_bytes(damage)
    assert store.get(KEY) is None
    store.put(KEY, b"code")
    assert store.get(KEY) == b"code"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners")
def test_a_folder_that_others_write_to_is_not_used(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.put(KEY, b"code")
    store.folder.chmod(0o777)
    assert store.get(KEY) is None
    store.put("f" * 64, b"code")
    assert len(list(store.folder.iterdir())) == 1


def test_the_oldest_go_when_there_is_no_room(tmp_path: Path) -> None:
    store = store_in(tmp_path, most_bytes=1000)
    for number in range(8):
        store.put(f"{number}", bytes(80))
        os.utime(store.folder / f"{number}.o", (number, number))
    assert store.get("0") is not None  # used just now, so the youngest
    store.put("8", bytes(80))
    assert store.nbytes() <= 750
    assert store.get("0") is not None
    assert store.get("1") is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "kernels").write_text("a file")
    store = store_in(tmp_path)
    store.put(KEY, b"code")
    assert store.get(KEY) is None
    assert store.clear() == 0


def test_the_setting_names_the_folder() -> None:
    assert ObjectStore.of("off") is None
    named, usual = ObjectStore.of("/some/where"), ObjectStore.of(None)
    assert named is not None
    assert named.folder == Path("/some/where")
    assert usual is not None
    assert usual.folder.name == "kernels"


class TestWithCode:
    pytestmark = needs_jit

    def test_kernels_are_compiled_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = Settings(kernel_dir=str(tmp_path / "kernels"))
        x = np.linspace(-1, 1, 40, dtype=np.float32)
        first = CpuBackend(settings=settings).compile(plan()).run({"x": x})["y"]

        def refuse(text: str, target: object) -> bytes:
            raise AssertionError("compiled again")

        monkeypatch.setattr(compiling, "compile_object", refuse)
        second = CpuBackend(settings=settings).compile(plan()).run({"x": x})["y"]
        assert np.array_equal(first, second)
        assert np.array_equal(first, np.maximum(x, 0))
