from __future__ import annotations

from collections.abc import Callable

import pytest

from cnndsl.data.spec import Crop, DataSpec, Flip, Jitter, Shift
from cnndsl.support.diagnostics import DataError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataSpec("x", source="url"), "data source url cannot be"),
        (lambda: DataSpec("x", resize=(0, 4)), "resize 0x4 cannot be"),
        (lambda: DataSpec("x", pad=-1), "pad -1 cannot be"),
        (lambda: DataSpec("x", val=1.0), "a share of 1 cannot be"),
        (lambda: DataSpec("x", test=-0.5), "a share of -0.5 cannot be"),
        (lambda: DataSpec("x", limit=0), "limit 0 cannot be"),
        (lambda: DataSpec("x", std=(0.5, 0.0)), "normalize with std 0.5 0 cannot be"),
        (lambda: DataSpec("x", augment=(Crop((2, 2)), Crop((1, 1)))), "two crops cannot be"),
        (lambda: Shift(0), "shift 0 cannot be"),
        (lambda: Crop((0, 2)), "crop 0x2 cannot be"),
        (lambda: Crop((2, 2), pad=-1), "crop with pad -1 cannot be"),
        (lambda: Jitter(0.0), "jitter 0.0 cannot be"),
    ],
)
def test_values_that_make_no_sense_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError) as caught:
        make()
    assert str(caught.value).startswith(f"error[E0815]: {message}\n  = ")


def test_crop_is_found_among_the_steps() -> None:
    assert DataSpec("x", augment=(Flip(), Crop((3, 4)))).crop == Crop((3, 4))
    assert DataSpec("x", augment=(Flip(),)).crop is None
