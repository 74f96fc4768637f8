"""What NVRTC makes of the kernels: where it is installed, without a GPU."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from cnndsl.backends.cuda.kernel import Launch
from cnndsl.backends.cuda.nvrtc import Usage, compile_module, module_text, read_usage, unavailable
from cnndsl.support.diagnostics import BackendError
from tests.backends.cuda.zoo_kernels import ARCHS, Store, launches
from tests.zoo.networks import LIGHT, SMALL, ZOO

needs_nvrtc = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

HEAVY = sorted(set(ZOO) - set(LIGHT))
WALK = [*((name, arch) for name in LIGHT for arch in ARCHS), *((name, ARCHS[-1]) for name in HEAVY)]
"""Programs and architectures that are compiled in fp32, forward and back.

`python -m tests.backends.cuda.zoo_kernels` compiles everything in every precision.
"""


def assert_lean(found: Sequence[Launch], arch: str) -> None:
    reports = Store().reports(found, arch)
    assert len(reports) == len(found) > 0
    assert [fault for report in reports for fault in report.faults] == []


@needs_nvrtc
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", [*SMALL, "lenet"])
def test_kernels_compile_and_spill_nothing(name: str, arch: str) -> None:
    assert_lean(launches(name, training=True), arch)


@needs_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize(("name", "arch"), WALK)
def test_kernels_of_the_zoo_compile_and_spill_nothing(name: str, arch: str) -> None:
    both = [launches(name, training=training, precisions=["fp32"]) for training in (False, True)]
    assert_lean(tuple({launch.name: launch for part in both for launch in part}.values()), arch)


@needs_nvrtc
def test_text_that_is_no_cuda_is_told_in_the_compilers_words() -> None:
    with pytest.raises(BackendError, match=r'NVRTC cannot compile .*\n.*"nonsense" is undefined'):
        compile_module(module_text([]) + "\n__global__ void f() { nonsense; }", "90")


def test_where_cupy_is_missing_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert unavailable() == "CuPy is not installed"
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert unavailable() is not None


def test_what_a_function_takes_is_read_from_the_log() -> None:
    log = """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'one' for 'sm_90'
ptxas info    : Function properties for one
    32 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 32 bytes cumulative stack size
ptxas info    : Compiling entry function 'two' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers, 48 bytes smem
"""
    assert read_usage(log) == {"one": Usage(255, 28, 32, 0), "two": Usage(8, 0, 0, 48)}
