"""Arrays that come to the emulated device and go from it without copies, and streams of others."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np
import pytest

from cnndsl.backends.cuda.borrowing import MOST_RECORDINGS
from cnndsl.backends.cuda.driver import Command, Recording
from cnndsl.backends.cuda.emulated.driver import EmulatedDriver, EmulatedRecording
from cnndsl.backends.cuda.executable import CudaExecutable
from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.rules import Array
from cnndsl.ops.shape import ReshapeAttrs, reshape
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena
from cnndsl.support.diagnostics import DiagnosticError
from tests.backends.cuda.emulation import backend, driver, needs_emulator
from tests.runtime.test_foreign import Exporter, OnGpu

pytestmark = needs_emulator


def graph() -> Graph:
    """Give y = relu(x + w) by rows; w becomes w * rate, an update that reads an input."""
    b = Builder(Graph("small"))
    x = b.emit(input_, attrs=InputAttrs(f32(64, 2)), name="x")
    rate = b.emit(input_, attrs=InputAttrs(f32()), name="rate")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(8, 16)), name="w")
    rows = b.emit(reshape, x, attrs=ReshapeAttrs((8, 16)))
    b.graph.outputs["y"] = b.emit(relu, b.emit(add, rows, w))
    b.graph.outputs["same"] = rows
    b.graph.updates[w.node] = b.emit(mul, w, rate)
    return b.graph


def compiled(machine: EmulatedDriver, *, record: bool = True) -> CudaExecutable:
    found = backend(machine, record=record, poison=True).compile(make_plan(graph(), alignment=256))
    assert isinstance(found, CudaExecutable)
    found.load_state({"w": np.linspace(-2, 2, 128, dtype=np.float32).reshape(8, 16)})
    return found


def aligned(seed: int, offset: int = 0) -> Array:
    """Give an array that begins `offset` bytes after a multiple of 256."""
    room = np.empty(64 * 2 * 4 + 512, np.uint8)
    begin = -room.ctypes.data % 256 + offset
    array = room[begin : begin + 512].view(np.float32).reshape(64, 2)
    array[:] = np.random.default_rng(seed).standard_normal((64, 2))
    return array


def expected(x: Array, runs: int = 1) -> Array:
    other = ReferenceBackend().compile(make_plan(graph(), alignment=256))
    other.load_state({"w": np.linspace(-2, 2, 128, dtype=np.float32).reshape(8, 16)})
    for _ in range(runs):
        found = other.run({"x": x, "rate": np.float32(0.5)})
    return found["y"]


RATE = np.array(0.5, np.float32)


@pytest.mark.parametrize("record", [True, False], ids=["recorded", "queued"])
def test_feeds_are_read_where_they_lie_and_outputs_seen_where_they_are(*, record: bool) -> None:
    executable = compiled(driver(), record=record)
    x = aligned(1)
    found = executable.run_on_device({"x": x, "rate": RATE})
    y = np.from_dlpack(found["y"])
    assert np.array_equal(y, expected(x))
    # A view of an input that was read elsewhere lies there, and the other in the device's memory.
    assert found["same"].address == x.ctypes.data
    base, size = executable._base, executable._layout.nbytes
    assert base <= found["y"].address < base + size
    assert y.ctypes.data == found["y"].address
    # The place of x in the device's own memory was never written.
    slot = executable.plan.slots[next(n for n in executable.plan.slots if n.node == "x")]
    assert slot.arena is Arena.INPUT
    own = np.empty(slot.type.shape, np.float32)
    executable.driver.read(executable._program.address(slot), own)
    assert not own.any()


def test_a_state_moves_on_as_by_run() -> None:
    here, there = compiled(driver()), compiled(driver())
    for step in range(3):
        x = aligned(step)
        lent = here.run_on_device({"x": x, "rate": RATE})
        read = there.run({"x": x, "rate": RATE})
        assert np.array_equal(np.asarray(lent["y"]), read["y"])
    assert np.array_equal(here.read_state()["w"], there.read_state()["w"])
    assert np.array_equal(expected(aligned(2), 3)[0], expected(aligned(2), 3)[0])


def test_images_lie_channels_last_and_say_so() -> None:
    """Fed row-major where they lie, turned on the device, offered with the strides they have."""
    b = Builder(Graph("images"))
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3, 4, 8)), name="x")
    b.graph.outputs["y"] = b.emit(relu, x)
    executable = backend(driver(guarded=True), poison=True).compile(
        make_plan(b.graph, alignment=256)
    )
    assert isinstance(executable, CudaExecutable)
    rng = np.random.default_rng(0)
    for _ in range(2):
        room = np.empty(4 * 192 + 256, np.uint8)
        begin = -room.ctypes.data % 256
        fed = room[begin : begin + 4 * 192].view(np.float32).reshape(2, 3, 4, 8)
        fed[:] = rng.standard_normal(fed.shape)
        found = executable.run_on_device({"x": fed})["y"]
        y = np.from_dlpack(found)
        assert y.strides == (4 * 96, 4 * 1, 4 * 24, 4 * 3)
        assert y.ctypes.data == found.address
        assert np.array_equal(y, np.maximum(fed, 0))
        assert np.array_equal(np.asarray(found), np.maximum(fed, 0))
    own = np.empty(fed.shape, np.float32)
    executable.driver.read(executable._program.feed("x"), own)
    assert not own.any(), "nothing was copied to the place of the input"
    assert np.array_equal(executable.run({"x": fed})["y"], np.maximum(fed, 0))
    executable.driver.read(executable._program.feed("x"), own)
    assert np.array_equal(own, fed)


def test_recordings_are_kept_by_address_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = driver()
    executable = compiled(machine)
    recorded: list[Recording] = []
    record = machine.record

    def counted(commands: Sequence[Command]) -> EmulatedRecording:
        recorded.append(found := record(commands))
        return found

    monkeypatch.setattr(machine, "record", counted)
    arrays = [aligned(i) for i in range(MOST_RECORDINGS + 1)]
    state = executable.read_state()
    for _ in range(2):
        executable.load_state(state)
        found = executable.run_on_device({"x": arrays[0], "rate": RATE})
        assert np.array_equal(np.asarray(found["y"]), expected(arrays[0]))
    assert len(recorded) == 1
    for x in arrays:
        executable.load_state(state)
        found = executable.run_on_device({"x": x, "rate": RATE})
        assert np.array_equal(np.asarray(found["y"]), expected(x))
    assert len(recorded) == len(arrays)
    assert len(executable._recordings) == MOST_RECORDINGS
    assert len(executable._kept) == 0


@pytest.mark.parametrize("offset", [4, 64])
def test_arrays_at_odd_addresses_are_copied_within_the_device(offset: int) -> None:
    executable = compiled(driver())
    x = aligned(4, offset)
    found = executable.run_on_device({"x": x, "rate": RATE})
    assert found["same"].address != x.ctypes.data
    assert np.array_equal(np.asarray(found["y"]), expected(x))


def test_run_takes_arrays_of_other_libraries_and_numpy_by_copy() -> None:
    executable = compiled(driver())
    x = aligned(5)
    state = executable.read_state()
    assert np.array_equal(executable.run({"x": Exporter(x), "rate": RATE})["y"], expected(x))  # type: ignore[dict-item]
    executable.load_state(state)
    strided = np.asfortranarray(x)
    found = executable.run_on_device({"x": strided, "rate": RATE})
    assert np.array_equal(np.asarray(found["y"]), expected(x))


def test_an_output_feeds_the_next_program() -> None:
    machine = driver()
    first, second = compiled(machine), compiled(machine)
    x = aligned(6)
    middle = first.run_on_device({"x": x, "rate": RATE})["same"]
    assert middle.shape == (8, 16)
    wide = np.from_dlpack(middle).reshape(64, 2)
    found = second.run_on_device({"x": wide, "rate": RATE})
    assert found["same"].address == x.ctypes.data


def test_views_outlive_the_program() -> None:
    executable = compiled(driver())
    x = aligned(7)
    y = np.from_dlpack(executable.run_on_device({"x": x, "rate": RATE})["y"])
    del executable
    gc.collect()
    assert np.array_equal(y, expected(x))


def test_what_does_not_fit_is_listed() -> None:
    executable = compiled(driver())
    with pytest.raises(DiagnosticError, match="E0910") as caught:
        executable.run_on_device(
            {"x": Exporter(np.zeros((64, 2), np.float32), device=(2, 1)), "rate": RATE.astype("f8")}  # type: ignore[dict-item]
        )
    (diagnostic,) = caught.value.diagnostics
    assert "x lies on cuda:1; this program runs on the host" in diagnostic.notes[0]
    assert "rate holds float64; it takes float32" in diagnostic.notes[0]
    with pytest.raises(DiagnosticError, match="x lies on cuda:0; this program runs on the host"):
        executable.run({"x": OnGpu(), "rate": RATE})  # type: ignore[dict-item]
    with pytest.raises(DiagnosticError, match=r"x has shape \(2, 64\); it takes \(64, 2\)"):
        executable.run_on_device({"x": np.zeros((2, 64), np.float32), "rate": RATE})
    strided = Exporter(np.zeros((64, 4), np.float32)[:, :2])
    with pytest.raises(DiagnosticError, match="x does not lie in the order of its indices"):
        executable.run_on_device({"x": strided, "rate": RATE})  # type: ignore[dict-item]
    with pytest.raises(DiagnosticError, match="rate is missing"):
        executable.run_on_device({"x": aligned(1)})


def test_other_backends_say_where_an_array_lies() -> None:
    executable = ReferenceBackend().compile(make_plan(graph(), alignment=256))
    executable.load_state({"w": np.zeros((8, 16), np.float32)})
    with pytest.raises(DiagnosticError, match="x lies on cuda:0; here arrays of the host are"):
        executable.run({"x": OnGpu(), "rate": RATE})  # type: ignore[dict-item]


def test_results_of_the_host_have_no_interface_of_a_gpu() -> None:
    found = compiled(driver()).run_on_device({"x": aligned(1), "rate": RATE})["y"]
    assert not hasattr(found, "__cuda_array_interface__")
    with pytest.raises(ValueError, match="no memory on the host to give uncopied"):
        np.asarray(found, copy=False)
