"""The emulated device itself: what it computes, and every kind of mistake that it must find."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from cnndsl.backends.cuda.driver import Fill, Move, Run, Stretch
from cnndsl.backends.cuda.emulated.driver import ORDERS, EmulatedDriver, Order
from cnndsl.backends.cuda.kernel import Access, Launch
from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import BackendError
from tests.backends.cuda.emulation import folder, needs_emulator

pytestmark = needs_emulator


@pytest.fixture(params=["assembly", "ucontext"])
def machine(request: pytest.FixtureRequest) -> Iterator[EmulatedDriver]:
    driver = EmulatedDriver(folder=folder(), guarded=True, ucontext=request.param == "ucontext")
    yield driver
    driver.close()


def run(
    machine: EmulatedDriver,
    body: str,
    *arrays: tuple[Array, Access],
    block: int = 64,
    grid: int = 1,
    shared: int = 0,
    order: Order = "forward",
) -> None:
    """Run a kernel whose arguments `a0`, `a1`, ... are arrays, which take what it writes."""
    kinds = {"f": "float", "i": "int", "u": "unsigned"}
    names = [f"{kinds[array.dtype.kind]}* a{i}" for i, (array, _) in enumerate(arrays)]
    digest = zlib.crc32(f"{body}{names}{block}{grid}{shared}".encode())
    name = f"test_{digest:08x}"
    text = f'extern "C" __global__ void {name}({", ".join(names)}) {{\n{body}\n}}\n'
    launch = Launch(name, text, (grid, 1, 1), (block, 1, 1), shared, ())
    machine.load([launch])
    stretches = []
    for array, access in arrays:
        address = machine.allocate(array.nbytes)
        machine.write(address, array)
        stretches.append(Stretch(address, array.nbytes, access))
    machine.order = order
    try:
        machine.do([Run(launch, tuple(stretches))])
        for (array, _), stretch in zip(arrays, stretches, strict=True):
            machine.read(stretch.address, array)
    finally:
        for stretch in stretches:
            machine.release(stretch.address)


def written(count: int, kind: type = np.float32) -> tuple[Array, Access]:
    return np.zeros(count, kind), Access.WRITE


REVERSE = """
float* room = reinterpret_cast<float*>(shared_memory);
room[threadIdx.x] = a0[blockIdx.x * 64 + threadIdx.x];
BARRIER
a1[blockIdx.x * 64 + threadIdx.x] = room[63 - threadIdx.x];
"""


@pytest.mark.parametrize("order", ORDERS)
def test_threads_meet_at_a_barrier(machine: EmulatedDriver, order: Order) -> None:
    x = np.arange(192, dtype=np.float32)
    y = written(192)
    body = REVERSE.replace("BARRIER", "__syncthreads();")
    run(machine, body, (x, Access.READ), y, grid=3, shared=256, order=order)
    assert np.array_equal(y[0], x.reshape(3, 64)[:, ::-1].reshape(-1))


@pytest.mark.parametrize("order", ORDERS)
def test_a_missing_barrier_gives_nan(machine: EmulatedDriver, order: Order) -> None:
    x = np.arange(192, dtype=np.float32)
    y = written(192)
    body = REVERSE.replace("BARRIER", "")
    run(machine, body, (x, Access.READ), y, grid=3, shared=256, order=order)
    assert np.isnan(y[0]).any()


def test_divergent_barriers_are_told_with_both_threads(machine: EmulatedDriver) -> None:
    body = "if (threadIdx.x != 5) __syncthreads();\na0[threadIdx.x] = 1;"
    with pytest.raises(
        BackendError,
        match=r"barrier divergence in block \(0, 0, 0\): thread 0 waits for its block at line \d+, "
        "thread 5 has ended",
    ):
        run(machine, body, written(64))
    body = "if (threadIdx.x < 32)\n__syncthreads();\nelse\n__syncthreads();\na0[threadIdx.x] = 1;"
    with pytest.raises(BackendError, match=r"thread 0 waits .* line \d+, thread 32 waits .* line"):
        run(machine, body, written(64))
    body = "if (threadIdx.x < 16) __syncwarp(); a0[threadIdx.x] = 1;"
    with pytest.raises(BackendError, match="waits for its warp"):
        run(machine, body, written(64))


@pytest.mark.parametrize("place", ["64", "-1", "1000"])
def test_an_access_outside_an_argument_is_told(machine: EmulatedDriver, place: str) -> None:
    # An array that fills pages ends and begins at a guard.
    x = np.zeros(1024, np.float32)
    where = int(place) + (960 if place != "-1" else 0)
    body = f"if (threadIdx.x == 3) a0[{where}] = 1;"
    with pytest.raises(
        BackendError,
        match=rf"outside its memory, byte {4 * where} of 4096 of argument 0, "
        r"by thread 3 of block 1",
    ):
        run(machine, f"if (blockIdx.x == 1) {{ {body} }}", (x, Access.UPDATE), grid=2)


def test_reading_too_far_is_told_too(machine: EmulatedDriver) -> None:
    x = np.ones(65, np.float32)
    body = "a1[threadIdx.x] = a0[threadIdx.x + 2];"
    with pytest.raises(BackendError, match=r"byte 260 of 260 of argument 0, by thread 63"):
        run(machine, body, (x, Access.READ), written(64))


def test_too_much_shared_memory_is_told(machine: EmulatedDriver) -> None:
    body = "reinterpret_cast<float*>(shared_memory)[threadIdx.x] = 1; a0[threadIdx.x] = 1;"
    run(machine, body, written(64), shared=256)
    with pytest.raises(BackendError, match="byte 128 of 128 of shared memory"):
        run(machine, body, written(64), shared=128)


def test_what_is_not_written_is_nan(machine: EmulatedDriver) -> None:
    y = written(65)
    run(machine, "a0[threadIdx.x] = 1;", y)
    assert np.isnan(y[0][64])
    assert np.all(y[0][:64] == 1)


def test_the_process_lives_on_and_works_after_a_fault(machine: EmulatedDriver) -> None:
    with pytest.raises(BackendError):
        run(machine, "a0[1 << 16] = 1;", written(64))
    y = written(64)
    run(machine, "a0[threadIdx.x] = threadIdx.x;", y)
    assert np.array_equal(y[0], np.arange(64))


@pytest.mark.parametrize("order", ORDERS)
def test_warps_exchange(machine: EmulatedDriver, order: Order) -> None:
    x = np.random.default_rng(0).integers(0, 99, 64).astype(np.int32)
    found = [written(64, np.int32) for _ in range(4)]
    body = """
    const int mine = a0[threadIdx.x];
    a1[threadIdx.x] = __shfl_xor_sync(0xffffffffu, mine, 5);
    a2[threadIdx.x] = __shfl_down_sync(0xffffffffu, mine, 3);
    a3[threadIdx.x] = __shfl_sync(0xffffffffu, mine, 7);
    a4[threadIdx.x] = (int)__ballot_sync(0xffffffffu, mine > 50);
    """
    run(machine, body, (x, Access.READ), *found, order=order)
    lane, warp = np.arange(64) % 32, np.arange(64) // 32 * 32
    assert np.array_equal(found[0][0], x[warp + (lane ^ 5)])
    assert np.array_equal(found[1][0], x[warp + np.where(lane + 3 < 32, lane + 3, lane)])
    assert np.array_equal(found[2][0], x[warp + 7])
    bits = [(x[w : w + 32] > 50) @ (1 << np.arange(32, dtype=np.int64)) for w in (0, 32)]
    assert np.array_equal(found[3][0].view(np.uint32), np.repeat(bits, 32))


def test_a_part_of_a_warp_may_meet(machine: EmulatedDriver) -> None:
    y = written(64, np.int32)
    body = """
    a0[threadIdx.x] = -1;
    if (threadIdx.x % 32 < 8)
        a0[threadIdx.x] = __shfl_xor_sync(0xffu, (int)threadIdx.x, 1);
    """
    run(machine, body, y)
    lane = np.arange(64)
    assert np.array_equal(y[0], np.where(lane % 32 < 8, lane ^ 1, -1))


def test_atomics_count_every_thread(machine: EmulatedDriver) -> None:
    y = (np.array([0, -5, 5, 0], np.int32), Access.UPDATE)
    body = """
    atomicAdd(a0, 1);
    atomicMax(a0 + 1, (int)(blockIdx.x * 64 + threadIdx.x));
    atomicMin(a0 + 2, -(int)threadIdx.x);
    atomicCAS(a0 + 3, 0, (int)threadIdx.x + 1);
    """
    run(machine, body, y, grid=3)
    assert y[0].tolist() == [192, 191, -63, 1]


@pytest.mark.parametrize("wait", [True, False])
def test_asynchronous_copies_arrive_at_the_wait_alone(machine: EmulatedDriver, wait: bool) -> None:
    x = np.arange(1, 65, dtype=np.float32)
    y = written(64)
    body = f"""
    float* room = reinterpret_cast<float*>(shared_memory);
    copy_async<4>(room + threadIdx.x, a0 + threadIdx.x, threadIdx.x != 7);
    copy_commit();
    {"copy_wait<0>();" if wait else "copy_wait<1>();"}
    __syncthreads();
    a1[threadIdx.x] = room[63 - threadIdx.x];
    """
    run(machine, body, (x, Access.READ), y, shared=256)
    expected = np.where(np.arange(64) == 7, 0, x)[::-1]
    assert np.array_equal(y[0], expected) if wait else np.isnan(y[0]).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("turned", [False, True])
def test_four_matrices_are_laid_out_as_ptx_says(
    machine: EmulatedDriver, turned: bool, order: Order
) -> None:
    """Lane i names row i % 8 of matrix i / 8 and gets of each matrix its two elements."""
    x = np.arange(64 * 8, dtype=np.int32)  # two elements of 16 bits each: 32 rows of 16 elements
    y = written(64 * 4, np.int32)
    body = f"""
    int* room = reinterpret_cast<int*>(shared_memory);
    for (int i = 0; i < 4; ++i) room[threadIdx.x * 4 + i] = a0[threadIdx.x * 4 + i];
    __syncthreads();
    unsigned four[4];
    load_matrices{"_turned" if turned else ""}(four, room + threadIdx.x * 4);
    for (int i = 0; i < 4; ++i) a1[threadIdx.x * 4 + i] = (int)four[i];
    """
    run(machine, body, (x, Access.READ), y, shared=1024, order=order)
    halves = x[:256].view(np.uint16).reshape(2, 4, 8, 8)  # of two warps: matrix, row, element
    seen = halves.swapaxes(2, 3) if turned else halves
    expected = seen.reshape(2, 4, 32, 2).swapaxes(1, 2)
    assert np.array_equal(y[0].view(np.uint16).reshape(2, 32, 4, 2), expected)


MISALIGNED = {
    "take": "a0[threadIdx.x] = take<4>(a0 + 2).at[0];",
    "put": "put<4>(a0 + 2, Pack<float, 4>{});",
    "copy to": "copy_async<16>(shared_memory + 8, a0, true);",
    "copy from": "copy_async<16>(shared_memory, a0 + 2, true);",
    "matrices": "unsigned four[4]; load_matrices(four, shared_memory + threadIdx.x * 8);",
}


@pytest.mark.parametrize("body", MISALIGNED.values(), ids=MISALIGNED.keys())
def test_a_wide_access_at_no_multiple_of_itself_is_told(machine: EmulatedDriver, body: str) -> None:
    with pytest.raises(BackendError, match="a misaligned access, byte 8 of"):
        run(machine, body, written(64), shared=512)
    y = written(64)
    run(machine, "a0[threadIdx.x] = threadIdx.x;", y)
    assert np.array_equal(y[0], np.arange(64))


def test_a_copy_of_zeros_reads_nothing(machine: EmulatedDriver) -> None:
    y = written(64)
    body = """
    if (threadIdx.x < 16) copy_async<16>(shared_memory + threadIdx.x * 16, a0 + (1 << 16), false);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    a0[threadIdx.x] = reinterpret_cast<float*>(shared_memory)[threadIdx.x];
    """
    run(machine, body, y, shared=256)
    assert not np.any(y[0])


def test_halves_round_to_the_nearest_even_and_come_back(machine: EmulatedDriver) -> None:
    x = np.array([1, 1 + 2**-8, 1 + 3 * 2**-8, -3.4e38, np.inf, np.nan, 1e-40, 0.1], np.float32)
    x = np.resize(x, 64)
    y = written(64)
    body = """
    bf16 half;
    half = a0[threadIdx.x];
    const bf16 copied = half;
    a1[threadIdx.x] = copied;
    """
    run(machine, body, (x, Access.READ), y)
    expected = np.array([1, 1, 1 + 2**-6, -np.inf, np.inf, np.nan, 1e-40, 0.1], np.float32)
    assert np.array_equal(y[0][:6], expected[:6], equal_nan=True)
    assert np.all(np.abs(y[0][6:8] - x[6:8]) <= 2.0**-8 * np.array([2.0**-126, 0.125]))


def test_every_half_of_ieee_comes_back_and_what_lies_between_goes_to_the_nearest(
    machine: EmulatedDriver,
) -> None:
    """All finite halves, the middles between neighbours, and what is just beside those."""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (halves + np.append(halves[1:], np.float32(65536))) / 2
    below, above = np.nextafter(middles, np.float32(0)), np.nextafter(middles, np.float32(np.inf))
    x = np.concatenate([halves, middles, below, above])
    x = np.concatenate([x, -x, np.array([np.inf, -np.inf, np.nan, 1e-45, 3e38], np.float32)])
    x = np.resize(x, -(-x.size // 64) * 64)
    y, words = written(x.size), written(x.size, np.uint32)
    body = f"""
    for (int i = threadIdx.x; i < {x.size}; i += 64) {{
        f16 half;
        half = a0[i];
        const f16 copied = half;
        a1[i] = copied;
        a2[i] = two_f16(a0[i], -a0[i]);
    }}
    """
    run(machine, body, (x, Access.READ), y, words)
    with np.errstate(over="ignore"):
        expected = x.astype(np.float16)
    assert np.array_equal(y[0], expected.astype(np.float32), equal_nan=True)
    real = ~np.isnan(x)
    assert np.array_equal((words[0] & 0xFFFF)[real], expected.view(np.uint16)[real])
    assert np.array_equal((words[0] >> 16)[real], (-expected).view(np.uint16)[real])


def test_moves_and_fills(machine: EmulatedDriver) -> None:
    address = machine.allocate(256)
    machine.write(address, np.arange(8, dtype=np.int32))
    machine.do([Move(address, address + 128, 16), Fill(address, 8, 0xFF)])
    found = np.zeros(64, np.int32)
    machine.read(address, found)
    assert found[:4].tolist() == [-1, -1, 2, 3]
    assert found[32:36].tolist() == [0, 1, 2, 3]


def test_text_that_is_no_cuda_is_told_in_the_compilers_words(machine: EmulatedDriver) -> None:
    with pytest.raises(BackendError, match=r"(?s)g\+\+ cannot compile the kernels:.*nonsense"):
        run(machine, "nonsense;", written(1))


def test_recording_needs_what_it_starts(machine: EmulatedDriver) -> None:
    launch = Launch("never_loaded", "", (1, 1, 1), (1, 1, 1), 0, ())
    with pytest.raises(BackendError, match="never_loaded is recorded, and was never loaded"):
        machine.record([Run(launch, ())])
