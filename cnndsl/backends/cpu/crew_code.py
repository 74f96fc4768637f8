"""The code that walks a program's table of launches, alone or together with other threads.

A program is a table of rows of `ROW` i64 words: the kernel's address, the address of its
arguments, how many units of work it has, how many threads share them, how many units are taken at
once and how often. A kernel is `void(arguments, first unit, end unit, thread)`. Who computes a unit
depends on chance; what it computes does not.

Threads take work, nobody deals it out. A row that several threads share begins with a range of its
pieces for each of them; who has none left takes the last piece of somebody else's. The row is over
when all pieces are done, not when all threads are here, and whoever did the last one opens the next
row, after doing the rows that are too small to be shared. So a thread that something else displaced
holds up the others by the piece in its hands, and no more.

What is left of a range is one word, changed by compare-and-swap: its row, the number of threads
that may take part, the end and the next piece. A thread that comes late with an old idea of the
word fails; if the word is the same again, what it takes is real work of the present job. Only who
holds a piece reads the table, which cannot change before the piece is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cnndsl.backends.cpu.emit import FunctionEmitter, Slot
from cnndsl.backends.cpu.llvm import I1, I64, PTR, Index, LType, Module, V, constant
from cnndsl.backends.cpu.target import CpuTarget

ROW = 8
"""Words of a row."""
KERNEL, ARGUMENTS, UNITS, THREADS, PIECE, PIECES = range(6)
"""Places in a row."""
MOST_ROWS = 1 << 20
"""Most rows of a table that threads may share."""
MOST_PIECES = 1 << 15
"""Most pieces of a row."""

LINE = 8
"""Words of a cache line; what different threads write lies on lines of its own."""
TABLE, BEGIN, END, CREW, NUMBER = range(5)
"""Places in a job: the table, its first row and end, how many threads work, the job's number."""
PENDING = 1 * LINE
"""Pieces of the present row that are not done."""
FINISHED = 2 * LINE
"""Number of the last job that is done."""
REST = 3 * LINE
"""Address of the system's function that sleeps for some microseconds."""
STOP = 4 * LINE
"""Not zero when workers must end."""
RANGES = 5 * LINE
"""What is left of each thread's range, a line each."""

_END, _CREW, _ROW = 16, 32, 42
"""First bits of a range's fields; the next piece has the lowest."""

HASTY_SPINS = 10_000
"""Looks for work before a thread rests between looks, or a worker that no job needs goes to sleep:
some hundred microseconds. Resting lets other threads run; giving the processor away and wanting it
back at once is punished by systems that count who had it when.
"""
REST_MICROSECONDS = 20
"""What a thread rests, at least."""

EXECUTE, LEAD, SERVE = "execute", "lead", "serve"
_JOB = [(PTR, "job")]
_THREAD = [(I64, "thread")]


def crew_module(target: CpuTarget) -> Module:
    """Write the functions that threads run.

    `execute(table, begin, end)` does rows alone. `lead(job, table, begin, end, crew, number)`
    writes the job down, begins it and takes part in it as thread 0 until it is done.
    `serve(job, thread)` takes part in jobs until there is nothing to do for a while.
    """
    module = Module("crew", target)
    _write_execute(module)
    _write_advance(module)
    _write_take(module)
    _write_lead(module)
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


def _field(f: FunctionEmitter, word: V, first: int, bits: int) -> V:
    shifted = f.bits("lshr", word, constant(I64, first)) if first else word
    return f.bits("and", shifted, constant(I64, (1 << bits) - 1))


def _rest_when_tired(f: FunctionEmitter, job: V, spins: Slot) -> None:
    """Count a look in vain; after many, rest."""
    _pause(f)
    count = f.add(f.get(spins), constant(I64, 1))
    f.set(spins, count)
    with f.when(f.compare("sgt", count, constant(I64, HASTY_SPINS))):
        address = f.load(PTR, f.at(job, I64, REST))
        f.op(LType("i32"), f"call i32 {address.text}(i32 {REST_MICROSECONDS})")


def _launch(f: FunctionEmitter, place: V, first: Index, stop: Index, thread: Index) -> None:
    """Call the kernel of a row."""
    kernel = f.load(PTR, f.at(place, I64, KERNEL))
    arguments = f.load(PTR, f.at(place, I64, ARGUMENTS))
    numbers = ", ".join(str(f.index(number)) for number in (first, stop, thread))
    f.do(f"call void {kernel.text}({arguments}, {numbers})")


def _write_execute(module: Module) -> None:
    alone = [(PTR, "table"), (I64, "begin"), (I64, "end")]
    f = FunctionEmitter(module, EXECUTE, alone, local=False)
    table, begin, end = f.parameters
    with f.loop(begin, end) as row:
        place = f.at(table, I64, f.imul(row, ROW))
        _launch(f, place, 0, f.load(I64, place, UNITS), 0)
    f.finish()


def _write_advance(module: Module) -> None:
    """Do rows from `row` on alone, up to one that is shared, and open that; or end the job."""
    f = FunctionEmitter(module, "advance", [*_JOB, (I64, "row"), *_THREAD], local=True)
    job, first, thread = f.parameters
    table, end = f.load(PTR, job, TABLE), f.load(I64, job, END)
    most, now = f.load(I64, job, CREW), f.variable(first)
    with f.repeat() as until:
        row = f.get(now)
        left = f.compare("slt", row, end)
        shared = f.variable(constant(I1, 0))
        with f.when(left):
            place = f.at(table, I64, f.imul(row, ROW))
            crew = f.index(f.imin(f.load(I64, place, THREADS), most))
            several = f.compare("sgt", crew, constant(I64, 1))
            f.set(shared, several)
            with f.when(several):
                _open(f, job, place, row, crew)
            with f.when(f.bits("xor", several, constant(I1, 1))):
                _launch(f, place, 0, f.load(I64, place, UNITS), thread)
        with f.when(f.bits("xor", left, constant(I1, 1))):
            _release(f, f.load(I64, job, NUMBER), f.at(job, I64, FINISHED))
        f.set(now, f.add(row, constant(I64, 1)))
        until(f.bits("or", f.get(shared), f.bits("xor", left, constant(I1, 1))))
    f.finish()


def _open(f: FunctionEmitter, job: V, place: V, row: V, crew: V) -> None:
    """Give each thread its range of a row's pieces. Nothing of the job may be read afterwards."""
    pieces = f.load(I64, place, PIECES)
    _release(f, pieces, f.at(job, I64, PENDING))
    high = f.bits("shl", row, constant(I64, _ROW))
    high = f.bits("or", high, f.bits("shl", crew, constant(I64, _CREW)))
    with f.loop(0, crew) as number:
        begin = f.div(f.mul(pieces, f.index(number)), crew)
        stop = f.div(f.mul(pieces, f.index(f.iadd(number, 1))), crew)
        word = f.bits("or", high, f.bits("shl", stop, constant(I64, _END)))
        target = f.at(job, I64, f.iadd(RANGES, f.imul(number, LINE)))
        _release(f, f.bits("or", word, begin), target)


@contextmanager
def _taken(f: FunctionEmitter, job: V, thread: V, victim: Index) -> Iterator[tuple[V, V]]:
    """Do what is written inside with row and piece, if one of the victim's could be taken."""
    place = f.at(job, I64, f.iadd(RANGES, f.imul(victim, LINE)))
    word = _acquire(f, place)
    following, stop = _field(f, word, 0, 16), _field(f, word, _END, 16)
    crew = _field(f, word, _CREW, 10)
    able = f.bits("and", f.compare("slt", following, stop), f.compare("slt", thread, crew))
    with f.when(able):
        own = f.compare("eq", f.index(victim), thread)
        # The owner takes the first piece, others the last.
        less = f.sub(word, constant(I64, 1 << _END))
        changed = f.select(own, f.add(word, constant(I64, 1)), less)
        piece = f.select(own, following, f.sub(stop, constant(I64, 1)))
        pair = LType("{ i64, i1 }")
        found = f.op(pair, f"cmpxchg {place}, {word}, {changed} acq_rel acquire, align 8")
        with f.when(f.op(I1, f"extractvalue {found}, 1")):
            yield f.bits("lshr", word, constant(I64, _ROW)), piece


def _write_take(module: Module) -> None:
    """Take pieces and do them, as long as there are any; counts `spins` anew if there was one."""
    parameters = [*_JOB, *_THREAD, (PTR, "spins")]
    f = FunctionEmitter(module, "take", parameters, local=True)
    job, thread, spins = f.parameters
    crew = f.load(I64, job, CREW)
    # How far from the own range to look: 0 after each piece, so that who has pieces left takes
    # those, run after run the same ones. Their operands are still in the caches of its core.
    distance = f.variable(constant(I64, 0))
    with f.repeat() as until:
        sum_ = f.add(thread, f.get(distance))
        over = f.compare("sge", sum_, crew)
        victim = f.select(over, f.sub(sum_, crew), sum_)
        f.set(distance, f.add(f.get(distance), constant(I64, 1)))
        with _taken(f, job, thread, victim) as (row, piece):
            f.set(distance, constant(I64, 0))
            f.store(constant(I64, 0), spins)
            place = f.at(f.load(PTR, job, TABLE), I64, f.imul(row, ROW))
            size, units = f.load(I64, place, PIECE), f.load(I64, place, UNITS)
            first = f.mul(piece, size)
            _launch(f, place, first, f.imin(f.add(first, size), units), thread)
            pending = f.at(job, I64, PENDING)
            left = f.op(I64, f"atomicrmw sub {pending}, i64 1 acq_rel")
            with f.when(f.compare("eq", left, constant(I64, 1))):
                f.call("advance", job, f.add(row, constant(I64, 1)), thread)
        until(f.compare("sge", f.get(distance), crew))
    f.finish()


def _write_lead(module: Module) -> None:
    words = [(PTR, "table"), (I64, "begin"), (I64, "end"), (I64, "crew"), (I64, "number")]
    f = FunctionEmitter(module, LEAD, [*_JOB, *words], local=False)
    job, *told = f.parameters
    # Another job cannot begin before this function ends.
    for place, word in zip((TABLE, BEGIN, END, CREW, NUMBER), told, strict=True):
        _release(f, word, f.at(job, I64, place))
    _, begin, _, _, number = told
    spins = f.variable(constant(I64, 0))
    f.call("advance", job, begin, constant(I64, 0))
    with f.repeat() as until:
        f.call("take", job, constant(I64, 0), spins.pointer)
        _rest_when_tired(f, job, spins)
        until(f.compare("eq", _acquire(f, f.at(job, I64, FINISHED)), number))
    f.finish()


def _write_serve(module: Module) -> None:
    f = FunctionEmitter(module, SERVE, [*_JOB, *_THREAD], local=False)
    job, thread = f.parameters
    spins = f.variable(constant(I64, 0))
    with f.repeat() as until:
        f.call("take", job, thread, spins.pointer)
        idle = f.compare("sgt", f.get(spins), constant(I64, HASTY_SPINS))
        # What is done alone now may be followed by what is shared.
        number = f.load(I64, job, NUMBER)
        over = f.compare("eq", _acquire(f, f.at(job, I64, FINISHED)), number)
        tired = f.bits("and", idle, over)
        _rest_when_tired(f, job, spins)
        stopping = f.compare("ne", _acquire(f, f.at(job, I64, STOP)), constant(I64, 0))
        until(f.bits("or", tired, stopping))
    f.finish()
