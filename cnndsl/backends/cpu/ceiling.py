"""What this machine can do at most: multiply-adds in registers, and bytes from memory, measured.

Kernels of a few instructions are compiled for it and timed on as many threads as programs use. The
fastest of several rounds counts: what else the machine does only takes away.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from time import perf_counter

import numpy as np
import numpy.typing as npt

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.jit import Library, compile_object
from cnndsl.backends.cpu.llvm import F32, I64, PTR, Module
from cnndsl.backends.cpu.target import CpuTarget, host_target
from cnndsl.ir.types import DType
from cnndsl.runtime.profile import Ceiling

Words = npt.NDArray[np.float32]
_Call = Callable[[int, int], object]

MULTIPLY_ADD_STEPS = 20_000
"""Turns of the loop that does nothing but multiply-adds."""
STREAM_BYTES = 64 << 20
"""Memory that each thread reads: more than its share of any cache."""
STREAMS = 8
"""Vectors that are read in each turn, so that enough reads are on their way."""
ROUNDS = 8
"""How often each is timed."""


@functools.cache
def measure(threads: int) -> Ceiling:
    """Measure on a number of threads; takes about a third of a second, once a process."""
    target = host_target()
    module = Module("ceiling", target)
    flops = _write_multiply_adds(module, target)
    _write_stream(module, target)
    library = Library([compile_object(str(module), target)], ["multiply_adds", "stream"])
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    small = [np.zeros(4096, np.float32) for _ in range(threads)]
    large = [np.ones(STREAM_BYTES // 4, np.float32) for _ in range(threads)]
    turn = STREAMS * target.vector_bytes
    adding = _fastest(kind(library.address("multiply_adds")), small, MULTIPLY_ADD_STEPS)
    reading = _fastest(kind(library.address("stream")), large, STREAM_BYTES // turn - 1)
    read = (STREAM_BYTES // turn - 1) * turn
    found = Ceiling(
        threads, threads * MULTIPLY_ADD_STEPS * flops / adding, threads * read / reading
    )
    library.close()
    return found


def _write_multiply_adds(module: Module, target: CpuTarget) -> int:
    """Write a loop over multiply-adds that wait for none of the same turn; gives its flops."""
    lanes = target.lanes(DType.F32)
    sums = 24 if target.registers >= 32 else 12
    f = FunctionEmitter(module, "multiply_adds", [(PTR, "p"), (I64, "n")], local=False)
    place, count = f.parameters
    wide = F32.times(lanes)
    slots = [f.variable(f.load(wide, place, i * lanes)) for i in range(sums)]
    a, b = (f.load(wide, place, (sums + i) * lanes) for i in (0, 1))
    with f.loop(0, count):
        for slot in slots:
            f.set(slot, f.fma(a, b, f.get(slot)))
    for i, slot in enumerate(slots):
        f.store(f.get(slot), place, i * lanes)
    f.finish()
    return sums * lanes * 2


def _write_stream(module: Module, target: CpuTarget) -> None:
    """Write a loop that reads memory from one end to the other and adds it up."""
    lanes = target.lanes(DType.F32)
    f = FunctionEmitter(module, "stream", [(PTR, "p"), (I64, "n")], local=False)
    place, count = f.parameters
    wide = F32.times(lanes)
    slots = [f.variable(f.load(wide, place, i * lanes)) for i in range(STREAMS)]
    with f.loop(1, count) as turn:
        start = f.imul(turn, STREAMS * lanes)
        for i, slot in enumerate(slots):
            f.set(slot, f.add(f.load(wide, place, f.iadd(start, i * lanes)), f.get(slot)))
    for i, slot in enumerate(slots):
        f.store(f.get(slot), place, i * lanes)
    f.finish()


def _fastest(function: _Call, memories: list[Words], count: int) -> float:
    """Time a function on a thread for each memory, all at once; the best of several rounds.

    Each thread times itself behind a barrier, so that starting it is not counted; the slowest
    thread of a round is its time.
    """
    times = np.zeros((ROUNDS, len(memories)))
    gate = threading.Barrier(len(memories))

    def work(index: int) -> None:
        place = memories[index].ctypes.data
        function(place, count)
        for number in range(ROUNDS):
            gate.wait()
            since = perf_counter()
            function(place, count)
            times[number, index] = perf_counter() - since

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(memories))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return float(times.max(axis=1).min())
