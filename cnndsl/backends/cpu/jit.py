"""From LLVM's text to code that runs. The only module that calls llvmlite.

Run as a program, it compiles what it is sent: `processes.py` starts it so. It imports nothing else
of this package, and is ready in a tenth of a second.
"""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from cnndsl.backends.cpu.target import CpuTarget

_PREFIX = "kernels"


class Processor(NamedTuple):
    """What LLVM must know of a target."""

    triple: str
    """The machine."""
    cpu: str
    """The processor's name."""
    features: str
    """What it can do."""

    @classmethod
    def of(cls, target: CpuTarget | Processor) -> Processor:
        """Take it from a target."""
        return cls(target.triple, target.cpu, target.features)


@functools.cache
def _machine(processor: Processor) -> Any:
    """Give LLVM's target machine."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    found = binding.Target.from_triple(processor.triple)
    return found.create_target_machine(
        cpu=processor.cpu,
        features=processor.features,
        opt=2,
        reloc="pic",
        codemodel="small",
        jit=True,
    )


@functools.cache
def _pass_builder(processor: Processor) -> Any:
    """Give what passes are run with; one for all modules: each would leave memory behind."""
    from llvmlite import binding

    options = binding.create_pipeline_tuning_options(speed_level=2)
    return binding.create_pass_builder(_machine(processor), options)


def _optimised(text: str, processor: Processor) -> Any:
    """Parse a module, verify it and run a few of LLVM's passes.

    The kernels are vector code with unrolled tiles already: LLVM's own vectorisers and its
    unroller only make them slower to compile, and sometimes to run. What the usual pipeline does
    beside them takes most of its time and makes these kernels no faster (benchmarks/NOTES.md):
    variables in memory become registers, address arithmetic and equal values become one.
    """
    from llvmlite import binding

    context = binding.create_context()
    module = binding.parse_assembly(text, context)
    module.verify()
    passes = binding.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_new_gvn_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    passes.run(module, _pass_builder(processor))
    _free_passes(passes)
    return module


def _free_passes(passes: Any) -> None:
    """Free a pass manager, which llvmlite forgets: the base that comes first does nothing."""
    from llvmlite.binding import ffi
    from llvmlite.binding.newpassmanagers import NewPassManager

    if type(passes)._dispose is ffi.ObjectRef._dispose:
        NewPassManager._dispose(passes)
        passes.detach()


def llvm_version() -> str:
    """Give the versions of LLVM and of its binding, which object code depends on."""
    import llvmlite
    from llvmlite import binding

    return f"{llvmlite.__version__} {binding.llvm_version_info}"


def compile_object(text: str, target: CpuTarget | Processor) -> bytes:
    """Compile a module to the bytes of an object file."""
    processor = Processor.of(target)
    image: bytes = _machine(processor).emit_object(_optimised(text, processor))
    return image


def assembly(text: str, target: CpuTarget) -> str:
    """Compile a module to assembly, to be looked at."""
    processor = Processor.of(target)
    found: str = _machine(processor).emit_assembly(_optimised(text, processor))
    return found


class Library:
    """Object files linked into this process; their code lives as long as this object."""

    def __init__(self, images: Iterable[bytes], names: Sequence[str]) -> None:
        """Link `images` and find the functions called `names`."""
        from llvmlite import binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        # The engine goes when the last library does; one engine a library, so that memory is
        # given back as a whole.
        self._engine = binding.create_lljit_compiler()
        builder = binding.JITLibraryBuilder()
        for image in images:
            builder.add_object_img(image)
        for name in names:
            builder.export_symbol(name)
        builder.add_current_process()
        self._tracker = builder.link(self._engine, _PREFIX)
        self._lock = threading.Lock()

    def address(self, name: str) -> int:
        """Give the address of a function."""
        found: int = self._tracker[name]
        return found

    def close(self) -> None:
        """Free the code; nothing may run it any more."""
        with self._lock:
            if self._tracker is not None:
                self._tracker.close()
                self._engine.close()
                self._tracker = None

    def __del__(self) -> None:
        if getattr(self, "_tracker", None) is not None:
            self.close()


HEADER_BYTES = 8
"""Of the number that says how long a message is."""
MOST_BYTES = 1 << 30
"""Of a message: what says to be longer is none."""


def write_message(stream: IO[bytes], content: bytes) -> None:
    """Send bytes, with their number before them."""
    stream.write(len(content).to_bytes(HEADER_BYTES, "little"))
    stream.write(content)
    stream.flush()


def read_message(stream: IO[bytes]) -> bytes | None:
    """Receive bytes; nothing where the other side has ended or sends what is no message."""
    head = stream.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        return None
    nbytes = int.from_bytes(head, "little")
    if nbytes > MOST_BYTES:
        return None
    content = stream.read(nbytes)
    return content if len(content) == nbytes else None


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Compile each module that is sent, until an empty message or the end.

    The versions of LLVM and its binding are told first; the first request is the processor, in
    lines, and each answer an object file.
    """
    write_message(answers, llvm_version().encode())
    processor = Processor(*(read_message(requests) or b"\n\n").decode().split("\n"))
    while text := read_message(requests):
        write_message(answers, compile_object(text.decode(), processor))


if __name__ == "__main__":
    # Ctrl-C is for the process that asked: it ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
