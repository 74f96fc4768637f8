"""Programs that are compiled, run and freed again and again leave no memory behind."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.compiler import CompileOptions
from tests.backends.cpu.machine import needs_jit

TEXT = """
input [8x8x1]
conv 4 3x3, relu - maxpool 2x2
fc 10 - softmax

train {
  data: digits
}
"""
CYCLES = 1000
ANEW = 10
"""One cycle of so many compiles its kernels, others find them in the store."""
WARM_UP = 30
MOST_GROWTH = 20e6
STATUS = Path("/proc/self/statm")


def resident_bytes() -> int:
    gc.collect()
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="no count of pages")
class TestSoak:
    pytestmark = needs_jit

    def test_a_thousand_cycles_grow_by_less_than_twenty_megabytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = np.ones((1, 8, 8, 1), np.float32)

        def cycle(number: int) -> None:
            kept = "off" if number % ANEW == 0 else str(tmp_path / "kernels")
            monkeypatch.setenv("CNNDSL_KERNELS", kept)
            model = cnndsl.Model.from_text(TEXT)
            model.compile(CompileOptions(batch=2), training=True)
            model.initialize()
            assert model.predict(image).shape == (1, 10)

        for number in range(WARM_UP):
            cycle(number)
        before = resident_bytes()
        for number in range(CYCLES):
            cycle(number)
        assert resident_bytes() - before < MOST_GROWTH
