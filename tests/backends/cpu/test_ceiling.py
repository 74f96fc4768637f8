from __future__ import annotations

import pytest

from cnndsl.backends.cpu.ceiling import measure
from tests.backends.cpu.machine import needs_jit

pytestmark = needs_jit


@pytest.mark.parametrize("threads", [1, 2])
def test_a_machine_does_something_and_is_asked_once(threads: int) -> None:
    found = measure(threads)
    assert found.threads == threads
    # Any processor with vectors does a multiply-add a cycle, and none does a thousand.
    assert 1e9 < found.flops_per_second < 1e13
    assert 1e8 < found.bytes_per_second < 1e13
    assert measure(threads) is found
