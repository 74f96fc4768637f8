"""cuBLASLt: statuses of the library, on a stand-in that computes on the host."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cnndsl.backends.cuda.providers.cublaslt import Cublas
from cnndsl.backends.cuda.providers.cublaslt_api import CublasLt
from cnndsl.support.diagnostics import BackendError
from tests.backends.cuda.emulation import (
    needs_emulator,
)
from tests.backends.cuda.providers.regions import (
    TAILS,
    cublaslt_library,
    ways_of,
)


@needs_emulator
def test_statuses_of_cublaslt_are_told_or_mean_no_way() -> None:
    library = cublaslt_library()
    provider = Cublas(CublasLt(library))
    case = TAILS[5]
    ways = ways_of(*case, provider)
    try:
        library.fake_fault(1)
        assert ways_of(*case, provider) == []
        library.fake_fault(2)
        with pytest.raises(BackendError, match="cublasLtMatmul gives the status 13"):
            ways[0].kernel.launches[0].enqueue([4096] * 5, 7)  # type: ignore[union-attr]
    finally:
        library.fake_fault(0)
    broken = SimpleNamespace(cublasLtCreate=lambda handle: 1)
    with pytest.raises(BackendError, match="cublasLtCreate gives the status 1"):
        CublasLt(broken)
