"""`--device cuda` where there is no GPU: what is said, and what the driver would ask of CuPy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnndsl.backends import load
from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.cupy_driver import CupyDriver
from cnndsl.backends.cuda.device import GpuBackend, driver_of, libraries_of, why_not
from cnndsl.backends.cuda.driver import Invoke, Stretch
from cnndsl.backends.cuda.executable import CudaExecutable
from cnndsl.backends.cuda.folders import code_folder, prepare
from cnndsl.backends.cuda.kernel import Access, Call
from cnndsl.backends.cuda.lending import DeviceArray, HostMemory
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.diagnostics import BackendError, DiagnosticError
from cnndsl.support.settings import Settings
from tests.backends.cuda.fake_cupy import World, install
from tests.runtime.test_foreign import OnGpu


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
        (
            World(nvrtc=False),
            0,
            "NVRTC cannot be loaded: libnvrtc.so.13 not found; pip install 'cnndsl[cuda]'",
        ),
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


def test_measurements_belong_to_a_gpu_and_its_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, World(driver=13000, runtime=13020))
    driver = CupyDriver(0, folder=tmp_path)
    assert driver.identity == (
        "Fake GPU, sm_90, 132 multiprocessors, CUDA driver 13000, runtime 13020, NVRTC 13.0"
    )
    assert driver.cache_bytes == 60 << 20


def test_tuning_without_a_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, World())
    driver_of.cache_clear()
    libraries_of.cache_clear()
    table = [("cudnn", lambda: "it is not installed; pip install 'cnndsl[cudnn]'", list)]
    monkeypatch.setattr("cnndsl.backends.cuda.libraries.LIBRARIES", table)
    gpu = GpuBackend(settings=Settings(kernel_dir=str(tmp_path)))
    words = r"cuda has no library to measure beside it\nhelp: cudnn: .*pip install 'cnndsl\[cudnn"
    with pytest.raises(BackendError, match=words):
        gpu.tune(make_plan(graph(), alignment=256))
    monkeypatch.setattr("cnndsl.backends.cuda.device.why_not", lambda number: "no GPU at all")
    with pytest.raises(BackendError, match="cuda cannot run here: no GPU at all"):
        gpu.tune(make_plan(graph(), alignment=256))
    assert gpu.tuned(make_plan(graph(), alignment=256)) == frozenset()
    driver_of.cache_clear()
    libraries_of.cache_clear()


def test_a_library_is_called_in_the_order_of_the_stream(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, World())
    driver = CupyDriver(0, folder=tmp_path)
    queued: list[tuple[list[int], int | None]] = []
    call = Call("lib one", "", (), lambda addresses, stream: queued.append(([*addresses], stream)))
    stretches = (Stretch(4096, 4, Access.READ), Stretch(8192, 4, Access.WRITE))
    driver.do([Invoke(call, stretches)])
    assert queued == [([4096, 8192], 77)]


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


def test_memory_in_pieces_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(
        BackendError,
        match=r"Fake GPU cannot give 0 MiB: cudaErrorMemoryAllocation: out of memory\n"
        r"help: --device cpu has the memory of the machine",
    ):
        compiled(monkeypatch, World(fragmented=True), tmp_path)


class Tensor:
    """An array of a library that has both protocols."""

    def __init__(self, address: int, device: tuple[int, int] = (2, 0)) -> None:
        self.array = np.asarray(HostMemory(address, f32(4, 8), None))
        self.device, self.streams = device, list[object]()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, *, stream: object = None, **words: Any) -> object:
        self.streams.append(stream)
        return self.array.__dlpack__(**words)


def test_arrays_of_the_gpu_are_read_where_they_lie_behind_their_streams(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World()
    executable = compiled(monkeypatch, world, tmp_path)
    assert isinstance(executable, CudaExecutable)
    executable.load_state({"w": np.ones((4, 8), np.float32)})
    room = np.zeros(512, np.uint8)
    address = room.ctypes.data + -room.ctypes.data % 256
    tensor = Tensor(address)
    world.calls.clear()
    executable.run_on_device({"x": tensor}, stream=9)  # type: ignore[dict-item]
    assert tensor.streams == [77]
    kinds = [call for call in world.calls if call[0] in ("after", "graph", "copy", "wait")]
    # Nothing is copied but (while capturing) an output to safety, and nobody waits on the host.
    assert kinds[0] == ("after", 77, 9)
    assert kinds[-2:] == [("graph", 77), ("after", 9, 77)]
    assert {call[1] for call in kinds[1:-2]} <= {3}
    world.calls.clear()
    executable.run_on_device({"x": OnGpu(shape=(4, 8), data=(address, True), stream=5)})  # type: ignore[dict-item]
    assert world.calls == [("after", 77, 5), ("graph", 77)]
    other = Tensor(address, device=(2, 1))
    with pytest.raises(DiagnosticError, match="x lies on cuda:1; this program runs on cuda:0"):
        executable.run_on_device({"x": other})  # type: ignore[dict-item]
    assert not other.streams
    world.gpu_of = 3
    with pytest.raises(DiagnosticError, match="x lies on cuda:3; this program runs on cuda:0"):
        executable.run({"x": OnGpu(shape=(4, 8))})  # type: ignore[dict-item]


def test_arrays_of_others_are_kept_until_the_device_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(busy=True)
    executable = compiled(monkeypatch, world, tmp_path)
    assert isinstance(executable, CudaExecutable)
    executable.load_state({"w": np.ones((4, 8), np.float32)})
    for _ in range(3):
        executable.run_on_device({"x": OnGpu(shape=(4, 8), data=(4096, True), stream=None)})  # type: ignore[dict-item]
    assert len(executable._kept) == 3
    world.busy = False
    executable.run_on_device({"x": OnGpu(shape=(4, 8), data=(4096, True), stream=None)})  # type: ignore[dict-item]
    assert len(executable._kept) == 0


def test_results_are_offered_behind_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World()
    executable = compiled(monkeypatch, world, tmp_path)
    assert isinstance(executable, CudaExecutable)
    executable.load_state({"w": np.ones((4, 8), np.float32)})
    found = executable.run_on_device({"x": np.ones((4, 8), np.float32)})["y"]
    assert found.__cuda_array_interface__ == {
        "shape": (4, 8),
        "typestr": "<f4",
        "data": (found.address, False),
        "strides": None,
        "version": 3,
        "stream": 77,
    }
    assert found.__dlpack_device__() == (2, 0)
    for stream, waits in ((None, 1), (2, 2), (4242, 4242)):
        world.calls.clear()
        given: object = found.__dlpack__(stream=stream)
        assert given == ("capsule", found.address, -1)
        assert world.calls == [("after", waits, 77)]
    world.calls.clear()
    unordered: object = found.__dlpack__(stream=-1)
    assert unordered == ("capsule", found.address, -1)
    assert world.calls == []
    for wrong in (0, -2, "stream"):
        with pytest.raises(ValueError, match="a stream is a handle, 1, 2 or -1; given"):
            found.__dlpack__(stream=wrong)
    again = np.asarray(found)
    assert world.calls == [("copy", 2, 128, 77), ("wait",)]
    assert again.shape == (4, 8)


def test_images_are_offered_with_their_strides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, World())
    driver = CupyDriver(0, folder=tmp_path)
    array = DeviceArray(4096, f32(2, 3, 4, 8), driver, None)
    assert array.__cuda_array_interface__["strides"] == (384, 4, 96, 12)
    view: Any = driver.view(4096, f32(2, 3, 4, 8), None)
    assert (view.shape, view.strides) == ((2, 3, 4, 8), (384, 4, 96, 12))
    grey = DeviceArray(4096, f32(2, 1, 4, 8), driver, None)
    assert grey.__cuda_array_interface__["strides"] is None


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
