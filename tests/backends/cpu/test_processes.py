"""Modules compiled by several processes: the same bytes, and nobody left behind."""

from __future__ import annotations

import io
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cpu import jit, processes
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.llvm import F32, PTR, Module, constant
from cnndsl.backends.cpu.objects import ObjectStore
from cnndsl.backends.cpu.target import host_target
from cnndsl.backends.cpu.threads import Crew
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu, sigmoid, tanh
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.support.settings import Settings
from tests.backends.cpu.machine import needs_jit

pytestmark = needs_jit


def module(number: int) -> str:
    """A module that stores its number; the higher, the longer."""
    made = Module("test", host_target())
    f = FunctionEmitter(made, f"test{number}", [(PTR, "p")], local=False)
    for place in range(number + 1):
        f.store(constant(F32, number), f.parameters[0], place)
    f.finish()
    return str(made)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let anything be worth three processes; gives their ids."""
    started: list[int] = []
    plain = subprocess.Popen

    def noting(*given: Any, **named: Any) -> subprocess.Popen[bytes]:
        process = plain(*given, **named)
        started.append(process.pid)
        return process

    monkeypatch.setattr(processes, "WORTH_SECONDS", 1e-9)
    monkeypatch.setattr(subprocess, "Popen", noting)
    return started


def compiled(texts: list[str], most: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}

    def keep(index: int, image: bytes) -> None:
        assert index not in found, "compiled twice"
        found[index] = image

    processes.compile_all(texts, host_target(), most=most, keep=keep)
    return found


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    # What has ended and waits for somebody to ask how does not run either.
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_several_processes_make_what_one_does(eager: list[int]) -> None:
    texts = [module(number) for number in range(40)]
    alone = compiled(texts, most=1)
    assert eager == []
    together = compiled(texts, most=3)
    assert len(eager) == 2
    assert together == alone
    assert sorted(together) == list(range(40))
    assert not any(is_running(pid) for pid in eager)


def test_a_module_that_is_wrong_raises_and_leaves_nobody(eager: list[int]) -> None:
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        compiled([module(1), "define nonsense", module(2)], most=3)
    assert not any(is_running(pid) for pid in eager)


@pytest.mark.parametrize("program", ["", "raise SystemExit(3)", "print('12345678' * 99)"])
def test_processes_that_fail_are_done_without(
    eager: list[int], program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jit.py").write_text(program)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    texts = [module(number) for number in range(5)]
    assert len(compiled(texts, most=3)) == 5
    assert len(eager) == 2


def test_one_that_dies_at_work_is_done_without(
    eager: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(jit.__file__).read_text("utf-8")
    assert "write_message(answers, compile_object(" in text
    dying = text.replace("write_message(answers, compile_object(", "raise SystemExit((")
    (tmp_path / "jit.py").write_text(dying)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    assert len(compiled([module(number) for number in range(30)], most=3)) == 30


def test_where_no_process_can_be_started(eager: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.can_start()
    for name in ("", "/usr/bin/blender", "/no/such/python"):
        monkeypatch.setattr(sys, "executable", name)
        assert processes.can_start() is name.endswith("python")
        assert len(compiled([module(1), module(2)], most=3)) == 2


def _says_whether_it_can(answers: multiprocessing.Queue[bool]) -> None:
    answers.put(processes.can_start())


def test_daemons_have_no_children() -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    child = context.Process(target=_says_whether_it_can, args=(answers,), daemon=True)
    child.start()
    assert answers.get(timeout=60) is False
    child.join()


def test_requests_are_answered_until_the_end() -> None:
    requests, answers = io.BytesIO(), io.BytesIO()
    jit.write_message(requests, "\n".join(jit.Processor.of(host_target())).encode())
    jit.write_message(requests, module(3).encode())
    jit.write_message(requests, b"")
    requests.seek(0)
    jit.serve(requests, answers)
    answers.seek(0)
    assert jit.read_message(answers) == jit.llvm_version().encode()
    assert jit.read_message(answers) == jit.compile_object(module(3), host_target())
    assert jit.read_message(answers) is None


def test_messages_that_break_off_are_none() -> None:
    assert jit.read_message(io.BytesIO(b"123")) is None
    assert jit.read_message(io.BytesIO((9).to_bytes(8, "little") + b"12")) is None


SCRIPT = """
print("main")  # no guard: nobody else may run this
import numpy as np
from cnndsl.backends.cpu import processes
processes.WORTH_SECONDS = 1e-9
import cnndsl
model = cnndsl.Model.from_text("input [8x8x1]\\nconv 3 3x3, relu - fc 4 - softmax")
model.initialize()
print(model.predict(np.zeros((2, 8, 8, 1), np.float32)).shape)
"""


def test_a_program_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "CNNDSL_KERNELS": str(tmp_path / "kernels"),
            "CNNDSL_THREADS": "3",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "main\n(2, 4)\n"
    assert done.stderr == ""
    assert ObjectStore(tmp_path / "kernels").count() > 3


ENDED = """
import os, signal
from collections import deque
from cnndsl.backends.cpu.processes import Worker
from cnndsl.backends.cpu.target import host_target
worker = Worker(host_target(), [], deque(), lambda index, image: None)
print(worker._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_processes_end_with_the_one_that_started_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDED],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    pid = int(done.stdout)
    for _ in range(600):
        if not is_running(pid):
            break
        time.sleep(0.1)
    assert not is_running(pid)


def test_programs_are_the_same_however_many_compiled_them(eager: list[int], tmp_path: Path) -> None:
    Crew.shared()  # Else the first store would get its code, too.
    graph = Graph("chain")
    b = Builder(graph)
    value = b.emit(input_, attrs=InputAttrs(f32(3, 40)), name="x")
    graph.outputs = {op.name: b.emit(op, value) for op in (relu, sigmoid, tanh)}
    x = np.linspace(-2, 2, 120, dtype=np.float32).reshape(3, 40)
    found = []
    for threads in (1, 3):
        settings = Settings(kernel_dir=str(tmp_path / str(threads)))
        backend = CpuBackend(threads=threads, settings=settings)
        found.append(backend.compile(make_plan(graph)).run({"x": x}))
        names = sorted(path.name for path in (tmp_path / str(threads)).iterdir())
        assert len(names) == 3
    assert len(eager) == 2
    for name, array in found[0].items():
        assert array.tobytes() == found[1][name].tobytes()
