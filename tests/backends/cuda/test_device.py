"""`--device cuda` where there is no GPU: what is said, and what the driver would ask of CuPy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends import load
from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.cupy_driver import CupyDriver
from cnndsl.backends.cuda.device import GpuBackend, driver_of, why_not
from cnndsl.backends.cuda.folders import code_folder, prepare
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.diagnostics import BackendError, DiagnosticError
from tests.backends.cuda.fake_cupy import World, install


def graph() -> Graph:
    b = Builder(Graph("small"))
    x = b.emit(input_, attrs=InputAttrs(f32(4, 8)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(4, 8)), name="w")
    new = b.emit(add, x, w)
    b.graph.outputs["y"] = b.emit(relu, new)
    b.graph.outputs["old"] = w
    b.graph.updates[w.node] = new
    return b.graph


def test_importing_cnndsl_or_its_backends_never_imports_cupy() -> None:
    script = (
        "import sys\n"
        "import cnndsl, cnndsl.compiler, cnndsl.model, cnndsl.session\n"
        "from cnndsl.backends import BACKENDS, load\n"
        "import cnndsl.backends.cuda.device\n"
        "load('cuda')\n"
        "assert not any(name.split('.')[0] in ('cupy', 'cupyx') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_devices_have_numbers() -> None:
    first, third = load("cuda"), load("cuda:2")
    assert isinstance(first, GpuBackend)
    assert isinstance(third, GpuBackend)
    assert (first.number, third.number, third.name) == (0, 2, "cuda")
    for wrong in ("cuda:", "cuda:x", "cpu:1", "cuda:-1"):
        with pytest.raises(DiagnosticError, match=f"no backend is called {wrong}"):
            load(wrong)


def test_without_cupy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        BackendError,
        match=r"cuda cannot run here: CuPy is not installed; pip install 'cnndsl\[cuda",
    ):
        load("cuda").compile(make_plan(graph(), alignment=256))


@pytest.mark.parametrize(
    ("world", "number", "words"),
    [
        (World(), 0, None),
        (World(driver=0), 0, "there is no NVIDIA driver on this machine"),
        (
            World(driver=12080),
            0,
            "the NVIDIA driver serves CUDA 12.8, and this CuPy is for CUDA 13.x; a newer driver, "
            "or pip install cupy-cuda12x, helps",
        ),
        (World(devices=0), 0, "no GPU answers: cudaErrorNoDevice"),
        (World(), 1, "there is no GPU 1; this machine has cuda:0"),
        (World(devices=4), 4, "there is no GPU 4; this machine has cuda:0 to cuda:3"),
    ],
)
def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, world: World, number: int, words: str | None
) -> None:
    install(monkeypatch, world)
    assert why_not(number) == words


def test_an_old_gpu_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, World(capability=(7, 5)))
    with pytest.raises(BackendError, match=r"Fake GPU has compute capability 7\.5; .* needs 8\.0"):
        CupyDriver(0, folder=tmp_path)


def compiled(monkeypatch: pytest.MonkeyPatch, world: World, folder: Path) -> Executable:
    install(monkeypatch, world)
    driver = CupyDriver(0, folder=folder)
    return CudaBackend(lambda: driver).compile(make_plan(graph(), alignment=256))


def test_too_little_memory_is_told_with_the_batch_that_fits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver_of.cache_clear()
    install(monkeypatch, World(free=1 << 26))
    b = Builder(Graph("wide"))
    x = b.emit(input_, attrs=InputAttrs(f32(1 << 21, 8)), name="x")
    b.graph.outputs["y"] = b.emit(relu, x)
    with pytest.raises(
        BackendError,
        match=r"wide takes 128 MiB of device memory; Fake GPU has 64 MiB free\n"
        r"help: a batch of 1048576 would fit; this one is 2097152",
    ):
        GpuBackend().compile(make_plan(b.graph, alignment=256))
    driver_of.cache_clear()


def test_a_run_is_feeds_one_graph_and_outputs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World()
    executable = compiled(monkeypatch, world, tmp_path)
    assert [call[0] for call in world.calls].count("allocate") == 1
    feeds = {"x": np.ones((4, 8), np.float32)}
    executable.load_state({"w": np.ones((4, 8), np.float32)})
    world.calls.clear()
    executable.run(feeds)
    kinds = [call[0] for call in world.calls]
    # The first run records: the launches are captured, not started.
    assert kinds[:2] == ["copy", "capture"]
    assert kinds.index("launch") < kinds.index("graph")
    assert kinds[kinds.index("graph") + 1 :] == ["copy", "wait", "copy", "wait"]
    world.calls.clear()
    executable.run(feeds)
    assert [call[0] for call in world.calls] == ["copy", "graph", "copy", "wait", "copy", "wait"]
    world.calls.clear()
    profile = executable.profile(feeds)
    kinds = [call[0] for call in world.calls]
    assert kinds.count("event") == len(executable.plan.steps) + 1
    assert [row.seconds for row in profile.rows] == [2e-3] * len(profile.rows)
    assert all(call[-1] == 77 for call in world.calls if call[0] in ("copy", "fill", "graph"))


def test_machine_code_is_compiled_once_and_loaded_by_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = World(), World()
    compiled(monkeypatch, first, tmp_path)
    made = [call for call in first.calls if call[0] == "compile"]
    loaded = [call for call in first.calls if call[0] == "load"]
    assert made
    assert {call[1] for call in made} == {"-arch=sm_90"}
    assert sorted(Path(call[1]) for call in loaded) == sorted(tmp_path.iterdir())
    compiled(monkeypatch, second, tmp_path)
    assert not [call for call in second.calls if call[0] == "compile"]
    assert [call for call in second.calls if call[0] == "load"] == loaded


def test_the_folder_of_machine_code(tmp_path: Path) -> None:
    assert code_folder("off", "cuda") is None
    assert code_folder("/kept", "cuda") == Path("/kept/cuda")
    kept = code_folder(None, "cuda")
    assert kept is not None
    assert kept.name == "cuda"
    prepare(tmp_path / "new")
    (tmp_path / "new").chmod(0o777)
    with pytest.raises(BackendError, match="somebody else could write to it"):
        prepare(tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match=r"cannot be kept in .*file"):
        prepare(tmp_path / "file" / "inside")
