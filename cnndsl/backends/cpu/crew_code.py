"""The code that walks a program's table of launches, alone or in step with other threads.

A program is a table of rows of `ROW` i64 words: the kernel's address, the address of its
arguments, how many units of work it has, how many threads share them, and whether all threads must
have finished what came before. A kernel is `void(arguments, first unit, end unit, thread)`. How
units are dealt out depends on the number of threads; what a unit computes does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.llvm import I64, PTR, LType, Module, V, constant
from cnndsl.backends.cpu.target import CpuTarget

ROW = 8
"""Words of a row."""
KERNEL, ARGUMENTS, UNITS, THREADS, FENCE = range(5)
"""Places in a row."""

LINE = 8
"""Words of a cache line; what different threads write lies on lines of its own."""
TABLE, BEGIN, END, CREW = range(4)
"""Places in a job: the table, its first row and end, how many threads work."""
ARRIVED = 1 * LINE
"""Threads waiting at a fence."""
EPOCH = 2 * LINE
"""Fences passed."""
DONE = 3 * LINE
"""Workers that have finished the job."""
YIELD = 4 * LINE
"""Address of the system's function that gives the processor to another thread."""
STOP = 5 * LINE
"""Not zero when workers must end."""
MAILBOX = 6 * LINE
"""Number of the newest job for each worker, a line each; worker 1 has the first."""

FENCE_SPINS = 2_000
"""Looks at a fence before the processor is offered to others between looks."""
IDLE_SPINS = 10_000
"""Looks into an empty mailbox before a worker goes to sleep: some hundred microseconds."""

EXECUTE, POST, LEAD, SERVE = "execute", "post", "lead", "serve"


def crew_module(target: CpuTarget) -> Module:
    """Write the functions that threads run.

    `execute(table, begin, end)` walks rows alone. `post(job, number, threads)` tells workers 1 to
    threads - 1 that there is a job, `lead(job)` takes part in it as thread 0 and waits for them.
    `serve(job, worker, seen)` takes part in jobs until the mailbox stays empty for a while.
    """
    module = Module("crew", target)
    _write_fence(module)
    _write_walk(module)
    job: list[tuple[LType, str]] = [(PTR, "job")]
    alone = [(PTR, "table"), (I64, "begin"), (I64, "end")]
    f = FunctionEmitter(module, EXECUTE, alone, local=False)
    f.call("walk", *f.parameters, constant(I64, 0), constant(I64, 1), V("null", PTR))
    f.finish()
    f = FunctionEmitter(module, POST, [*job, (I64, "number"), (I64, "threads")], local=False)
    place, number, threads = f.parameters
    _release(f, constant(I64, 0), f.at(place, I64, DONE))
    with f.loop(1, threads) as worker:
        _release(f, number, f.at(place, I64, f.iadd(MAILBOX - LINE, f.imul(worker, LINE))))
    f.finish()
    f = FunctionEmitter(module, LEAD, job, local=False)
    place = f.parameters[0]
    _join(f, place, constant(I64, 0))
    others = f.sub(f.load(I64, place, CREW), constant(I64, 1))
    done = f.at(place, I64, DONE)
    with _waiting(f, place) as until:
        until(f.compare("eq", _acquire(f, done), others))
    f.finish()
    _write_serve(module)
    return module


def _acquire(f: FunctionEmitter, place: V) -> V:
    return f.op(I64, f"load atomic i64, {place} acquire, align 8")


def _release(f: FunctionEmitter, value: V, place: V) -> None:
    f.do(f"store atomic {value}, {place} release, align 8")


def _pause(f: FunctionEmitter) -> None:
    """Tell the processor that this is a loop that waits."""
    if f.target.triple.startswith("x86_64"):
        f.perform("x86.sse2.pause")
    else:
        f.perform("aarch64.hint", constant(LType("i32"), 1))


@contextmanager
def _waiting(f: FunctionEmitter, job: V) -> Iterator[Callable[[V], None]]:
    """Look again and again, at first in haste, then letting other threads run between looks."""
    spins = f.variable(constant(I64, 0))
    with f.repeat() as until:
        _pause(f)
        count = f.add(f.get(spins), constant(I64, 1))
        f.set(spins, count)
        with f.when(f.compare("sgt", count, constant(I64, FENCE_SPINS))):
            address = f.load(PTR, f.at(job, I64, YIELD))
            f.op(LType("i32"), f"call i32 {address.text}()")
        yield until


def _write_fence(module: Module) -> None:
    """Wait until all threads are here: the last one to arrive opens the next epoch."""
    f = FunctionEmitter(module, "fence", [(PTR, "job"), (I64, "threads")], local=True)
    job, threads = f.parameters
    epoch = f.at(job, I64, EPOCH)
    now = _acquire(f, epoch)
    arrived = f.at(job, I64, ARRIVED)
    before = f.op(I64, f"atomicrmw add {arrived}, i64 1 acq_rel")
    last = f.compare("eq", f.add(before, constant(I64, 1)), threads)
    with f.when(last):
        _release(f, constant(I64, 0), arrived)
        _release(f, f.add(now, constant(I64, 1)), epoch)
    with f.when(f.bits("xor", last, constant(last.type, 1))), _waiting(f, job) as until:
        until(f.compare("ne", _acquire(f, epoch), now))
    f.finish()


def _write_walk(module: Module) -> None:
    """Walk rows as one thread of several."""
    parameters = [(PTR, "table"), (I64, "begin"), (I64, "end"), (I64, "thread"), (I64, "threads")]
    f = FunctionEmitter(module, "walk", [*parameters, (PTR, "job")], local=True)
    table, begin, end, thread, threads, job = f.parameters
    with f.loop(begin, end) as row:
        place = f.at(table, I64, f.imul(row, ROW))
        fenced = f.compare("ne", f.load(I64, place, FENCE), constant(I64, 0))
        several = f.compare("sgt", threads, constant(I64, 1))
        with f.when(f.bits("and", fenced, several)):
            f.call("fence", job, threads)
        crew = f.index(f.imin(f.load(I64, place, THREADS), threads))
        with f.when(f.compare("slt", thread, crew)):
            units = f.load(I64, place, UNITS)
            first = f.div(f.mul(units, thread), crew)
            stop = f.div(f.mul(units, f.add(thread, constant(I64, 1))), crew)
            kernel = f.load(PTR, f.at(place, I64, KERNEL))
            arguments = f.load(PTR, f.at(place, I64, ARGUMENTS))
            f.do(f"call void {kernel.text}({arguments}, {first}, {stop}, {thread})")
    f.finish()


def _join(f: FunctionEmitter, job: V, thread: V) -> None:
    """Take part in the job."""
    table = f.load(PTR, f.at(job, I64, TABLE))
    rows = f.load(I64, job, BEGIN), f.load(I64, job, END)
    f.call("walk", table, *rows, thread, f.load(I64, job, CREW), job)


def _write_serve(module: Module) -> None:
    """Take part in jobs while they come; `seen` holds the number of the last one."""
    parameters = [(PTR, "job"), (I64, "worker"), (PTR, "seen")]
    f = FunctionEmitter(module, SERVE, parameters, local=False)
    job, worker, seen = f.parameters
    mailbox = f.at(job, I64, f.iadd(MAILBOX - LINE, f.imul(worker, LINE)))
    idle = f.variable(constant(I64, 0))
    with f.repeat() as until:
        _pause(f)
        number = _acquire(f, mailbox)
        stopping = f.compare("ne", _acquire(f, f.at(job, I64, STOP)), constant(I64, 0))
        fresh = f.compare("ne", number, f.load(I64, seen))
        f.set(idle, f.add(f.get(idle), constant(I64, 1)))
        with f.when(fresh):
            _join(f, job, worker)
            f.store(number, seen)
            f.set(idle, constant(I64, 0))
            f.op(I64, f"atomicrmw add {f.at(job, I64, DONE)}, i64 1 release")
        tired = f.compare("sgt", f.get(idle), constant(I64, IDLE_SPINS))
        until(f.bits("or", tired, stopping))
    f.finish()
