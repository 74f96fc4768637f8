from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.data import (
    Crop,
    DataSpec,
    Flip,
    PreparedSplit,
    Shift,
    batches,
    prepare,
    steps_per_epoch,
)
from cnndsl.data.loader import Batch, Last
from cnndsl.data.synthetic import synthetic
from cnndsl.support.diagnostics import DataError

LASTS: tuple[Last, ...] = get_args(Last)


def numbered(count: int) -> PreparedSplit:
    number = np.arange(count)
    return PreparedSplit(number.astype(np.float32).reshape(-1, 1, 1, 1), number)


def same(first: Batch, second: Batch) -> bool:
    return (
        np.array_equal(first.images, second.images)
        and np.array_equal(first.labels, second.labels)
        and np.array_equal(first.index, second.index)
        and (first.valid, first.step) == (second.valid, second.step)
    )


@given(
    count=st.integers(1, 40),
    size=st.integers(1, 12),
    last=st.sampled_from(LASTS),
    shuffle=st.booleans(),
    epoch=st.integers(0, 5),
)
def test_every_image_comes_once(
    count: int, size: int, last: Last, shuffle: bool, epoch: int
) -> None:
    if last == "drop" and size > count:
        return
    found = list(batches(numbered(count), size, epoch=epoch, shuffle=shuffle, last=last))
    assert len(found) == steps_per_epoch(count, size, last=last)
    assert [batch.step for batch in found] == list(range(len(found)))
    assert all(batch.images.shape == (size, 1, 1, 1) for batch in found)
    valid = [label for batch in found for label in batch.labels[: batch.valid].tolist()]
    kept = count // size * size if last == "drop" else count
    assert len(valid) == len(set(valid)) == kept
    if not shuffle:
        assert valid == list(range(kept))
    for batch in found:
        assert np.array_equal(batch.images.ravel(), batch.labels)
        assert np.array_equal(batch.index, batch.labels)


def test_filling_repeats_the_images_of_the_batch() -> None:
    *_, last = batches(numbered(7), 5, last="pad")
    assert last.labels.tolist() == [5, 6, 5, 6, 5]
    assert last.valid == 2


@given(start=st.integers(0, 7), seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_a_run_that_resumes_sees_the_same_bits(start: int, seed: int, epoch: int) -> None:
    spec = DataSpec("x", mean=(0.5,), std=(0.5,), augment=(Flip(), Shift(1), Crop((6, 6), pad=1)))
    made = synthetic(shape=(8, 8, 1), train=30, test=1)
    train = prepare(made, spec, (6, 6, 1)).train
    whole = list(batches(train, 4, seed=seed, epoch=epoch, shuffle=True))
    later = list(batches(train, 4, seed=seed, epoch=epoch, shuffle=True, start=start))
    assert len(later) == len(whole) - start
    assert all(same(a, b) for a, b in zip(whole[start:], later, strict=True))


def test_epochs_differ_in_order_and_augmentation() -> None:
    made = synthetic(shape=(8, 8, 1), train=30, test=1)
    train = prepare(made, DataSpec("x", augment=(Shift(2),)), (8, 8, 1)).train
    first, second = (next(batches(train, 30, epoch=epoch, shuffle=True)) for epoch in (0, 1))
    assert first.index.tolist() != second.index.tolist()
    back = [np.argsort(batch.index) for batch in (first, second)]
    assert not np.array_equal(first.images[back[0]], second.images[back[1]])


def test_rows_for_a_program_without_images() -> None:
    made = synthetic(shape=(4, 6, 1), train=5, test=1)
    train = prepare(made, DataSpec("x"), (24,)).train
    batch = next(batches(train, 2))
    assert batch.images.shape == (2, 24)
    np.testing.assert_array_equal(batch.images, train.images[:2].reshape(2, 24))


def test_a_batch_is_the_callers_own() -> None:
    data = numbered(4)
    batch = next(batches(data, 2))
    batch.images[:] = 99
    assert data.images.max() == 3
    assert batch.images.flags.c_contiguous


def test_a_batch_larger_than_the_data_is_refused_before_the_first_step() -> None:
    with pytest.raises(DataError) as caught:
        batches(numbered(10), 32)
    assert str(caught.value) == (
        "error[E0819]: a batch of 32 is larger than the data, 10 images\n"
        "  = training leaves out a last batch that is not full: none is left\n"
        "help: make the batch at most 10"
    )
    with pytest.raises(ValueError, match="1 image or more"):
        batches(numbered(10), 0)
