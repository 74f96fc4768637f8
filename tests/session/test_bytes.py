"""Images fed as bytes: fewer bytes to bring to a device, and the same numbers to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.frontend.parse import parse
from cnndsl.ir.types import DType, TensorType
from cnndsl.session import Choices, Session, open_session
from tests.backends.cuda.emulation import needs_emulator
from tests.session.runs import PROGRAM, sha256

SMALL = PROGRAM.replace("epochs:    3", "epochs:    1").replace("limit:   100", "limit:   40")


def opened(device: str, dtype: DType = DType.F32) -> Session:
    choices = Choices(device=device, dtype=dtype, seed=3)
    return open_session(parse(SMALL, "small.cnn"), choices, base_dir=None)


def test_only_where_images_have_to_be_brought() -> None:
    assert opened("cpu").data.pixels is None
    assert opened("cuda-emulated", DType.F64).data.pixels is None
    session = opened("cuda-emulated")
    assert session.data.train.images.dtype == np.uint8
    assert session.options.pixels == session.data.pixels is not None


@needs_emulator
def test_an_epoch_leaves_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With augmentation, padding of the border, validation: the whole of a run."""
    left = []
    for takes_bytes in (True, False):
        monkeypatch.setattr(CudaBackend, "takes_bytes", takes_bytes)
        session = opened("cuda-emulated")
        fed = session.stepper().inputs["input"]
        assert fed == (
            TensorType(DType.U8, (20, 64)) if takes_bytes else TensorType(DType.F32, (20, 1, 8, 8))
        )
        trainer = session.trainer()
        row = trainer.fit().rows[-1]
        left.append((sha256(trainer.state), row["loss"], row["val_loss"]))
    assert left[0] == left[1]
