from __future__ import annotations

import hashlib

import numpy as np

from cnndsl.data.synthetic import synthetic


def test_the_same_bytes_each_time_and_on_each_machine() -> None:
    train = synthetic(train=20, test=0).train
    digest = hashlib.sha256(train.images.tobytes() + train.labels.tobytes()).hexdigest()
    assert digest[:16] == "0f9e4c45bca4b518"
    assert not np.array_equal(train.images, synthetic(train=20, test=0, seed=1).train.images)


def test_the_nearest_pattern_is_that_of_the_class() -> None:
    data = synthetic(noise=128)
    assert data.test is not None
    means = np.stack([data.train.images[data.train.labels == k].mean(axis=0) for k in range(10)])
    gaps = np.abs(data.test.images[:, None] - means[None]).sum(axis=(2, 3, 4))
    assert np.array_equal(gaps.argmin(axis=1), data.test.labels)


def test_sizes_are_as_asked() -> None:
    data = synthetic(shape=(5, 6, 3), classes=4, train=7, test=0)
    assert data.train.images.shape == (7, 3, 5, 6)
    assert data.train.labels.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert data.test is None
