from __future__ import annotations

import numpy as np
import pytest

from cnndsl.data import Crop, DataSpec, Flip, Jitter, open_dataset, preparation, prepare
from cnndsl.data.synthetic import synthetic
from cnndsl.data.transforms import pad_to, resize
from cnndsl.ops.pixels import Pixels
from cnndsl.support.diagnostics import DataError


def test_digits_become_the_input_of_a_lenet() -> None:
    digits = open_dataset("digits")
    data = prepare(digits, DataSpec("digits"), (32, 32, 1))
    assert data.notes == ("the images of digits, 8x8, were resized to 32x32",)
    assert data.train.images.shape == (1437, 1, 32, 32)
    assert data.train.images.dtype == np.float32
    assert data.train.labels.dtype == np.int64
    assert (data.train.images.min(), data.train.images.max()) == (0.0, 1.0)
    assert data.test is not None
    assert digits.test is not None
    first = digits.test.images[:1].astype(np.float32) / np.float32(16)
    np.testing.assert_array_equal(data.test.images[:1], resize(first, 32, 32))
    assert data.val is None


def test_images_little_smaller_are_padded() -> None:
    made = synthetic(shape=(28, 28, 1), train=3, test=2)
    data = prepare(made, DataSpec("x"), (32, 32, 1))
    assert data.notes == ("the images of synthetic, 28x28, were padded with black to 32x32",)
    expected = pad_to(made.train.images.astype(np.float32) / np.float32(255), 32, 32)
    np.testing.assert_array_equal(data.train.images, expected)


def test_the_same_size_says_nothing() -> None:
    data = prepare(synthetic(train=3, test=2), DataSpec("x"), (16, 16, 1))
    assert data.notes == ()
    assert data.input_shape == (16, 16, 1)


def test_padding_comes_before_normalising() -> None:
    made = synthetic(train=2, test=2)
    spec = DataSpec("x", pad=1, mean=(0.5,), std=(0.25,))
    data = prepare(made, spec, (18, 18, 1))
    assert data.train.images[0, 0, 0, 0] == -2.0
    inner = made.train.images.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(
        data.train.images[:, :, 1:-1, 1:-1], (inner - np.float32(0.5)) / np.float32(0.25)
    )
    assert data.train.black is not None
    assert data.train.black.tolist() == [-2.0]


def test_channels_follow_the_program() -> None:
    colour = prepare(synthetic(train=2, test=1), DataSpec("x"), (16, 16, 3))
    assert colour.train.images.shape == (2, 3, 16, 16)
    assert colour.notes == ("the images of synthetic were repeated for each colour",)
    grey = prepare(synthetic(shape=(4, 4, 3), train=2, test=1), DataSpec("x"), (4, 4, 1))
    assert grey.train.images.shape == (2, 1, 4, 4)
    assert grey.notes == ("the images of synthetic were turned into grey",)


@pytest.mark.parametrize(
    ("shape", "values", "expected"), [((4, 6, 1), 24, (1, 4, 6)), ((4, 4, 3), 75, (3, 5, 5))]
)
def test_rows_of_values_keep_the_images_until_the_loader(
    shape: tuple[int, int, int], values: int, expected: tuple[int, int, int]
) -> None:
    data = prepare(synthetic(shape=shape, train=2, test=1), DataSpec("x"), (values,))
    assert data.train.flat
    assert data.train.images.shape == (2, *expected)


def test_parts_are_set_apart_without_overlap() -> None:
    made = synthetic(train=100, test=0)
    spec = DataSpec("x", val=0.1, test=0.3, seed=5)
    data = prepare(made, spec, (16, 16, 1))
    assert data.val is not None
    assert data.test is not None
    assert [len(part) for part in (data.train, data.val, data.test)] == [63, 7, 30]
    assert data.notes == (
        "30 of synthetic's images were set apart for testing",
        "7 training images were set apart for validation",
    )
    rows = [row.tobytes() for part in (data.train, data.val, data.test) for row in part.images]
    assert len(set(rows)) == 100
    again = prepare(made, spec, (16, 16, 1))
    np.testing.assert_array_equal(again.train.images, data.train.images)
    other = prepare(made, DataSpec("x", val=0.1, test=0.3, seed=6), (16, 16, 1))
    assert not np.array_equal(other.train.images, data.train.images)


def test_a_set_without_test_images_gives_a_fifth_unless_told_otherwise() -> None:
    made = synthetic(train=10, test=0)
    fifth = prepare(made, DataSpec("x"), (16, 16, 1))
    assert fifth.test is not None
    assert len(fifth.test) == 2
    assert prepare(made, DataSpec("x", test=0.0), (16, 16, 1)).test is None


def test_limit_holds_for_every_split() -> None:
    data = prepare(synthetic(train=50, test=20), DataSpec("x", limit=8), (16, 16, 1))
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (8, 8)
    # Chosen all over, not the first eight.
    assert data.train.labels.tolist() != list(range(8))


def test_a_crop_leaves_room_in_training_and_takes_the_middle_in_testing() -> None:
    made = synthetic(train=2, test=2)
    spec = DataSpec("x", augment=(Crop((12, 12)), Flip()))
    data = prepare(made, spec, (12, 12, 1))
    assert data.train.images.shape == (2, 1, 16, 16)
    assert data.train.augment == spec.augment
    assert data.test is not None
    assert made.test is not None
    assert data.test.augment == ()
    middle = made.test.images[:, :, 2:14, 2:14].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(data.test.images, middle)


def test_jitter_gets_axes_in_the_units_of_the_images() -> None:
    made = synthetic(shape=(4, 4, 3), train=20, test=1)
    plain = prepare(made, DataSpec("x", augment=(Jitter(),)), (4, 4, 3))
    scaled = prepare(made, DataSpec("x", std=(0.5, 0.25, 2.0), augment=(Jitter(),)), (4, 4, 3))
    assert plain.train.colours is not None
    assert scaled.train.colours is not None
    expected = plain.train.colours / np.array([[0.5], [0.25], [2.0]], np.float32)
    np.testing.assert_array_equal(scaled.train.colours, expected)


def test_pieces_are_seamless(monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthetic(train=11, test=1)
    spec = DataSpec("x", resize=(20, 20), pad=2, mean=(0.1,), std=(0.3,))
    whole = prepare(made, spec, (24, 24, 1))
    monkeypatch.setattr(preparation, "_CHUNK", 4)
    np.testing.assert_array_equal(prepare(made, spec, (24, 24, 1)).train.images, whole.train.images)


REFUSED: dict[str, tuple[DataSpec, tuple[int, ...], str]] = {
    "a size that resize and pad do not reach": (
        DataSpec("x", resize=(20, 20), pad=1),
        (24, 24, 1),
        "error[E0814]: the images of synthetic do not fit the input [24x24x1]\n"
        "  = the images are 16x16x1; resize and pad make them 22x22\n"
        "help: change resize, pad or crop in the data section, or the program's input",
    ),
    "two channels": (
        DataSpec("x"),
        (16, 16, 2),
        "error[E0814]: the images of synthetic do not fit the input [16x16x2]\n"
        "  = the images are 16x16x1; only 1 and 3 channels become each other\n"
        "help: change resize, pad or crop in the data section, or the program's input",
    ),
    "a crop of another size": (
        DataSpec("x", augment=(Crop((8, 8)),)),
        (16, 16, 1),
        "error[E0814]: the images of synthetic do not fit the input [16x16x1]\n"
        "  = the images are 16x16x1; the crop is 8x8\n"
        "help: change resize, pad or crop in the data section, or the program's input",
    ),
    "a pad that is smaller": (
        DataSpec("x", pad=(12, 12)),
        (12, 12, 1),
        "error[E0815]: pad 12x12 cannot be\n"
        "  = the images of synthetic are 16x16 already\n"
        "help: resize: 12x12 makes them smaller",
    ),
    "values that are no image": (
        DataSpec("x"),
        (99,),
        "error[E0814]: the images of synthetic cannot become the input [99]\n"
        "  = an image has 16x16x1 = 256 values\n"
        "help: make the input [16x16x1]",
    ),
    "a volume": (
        DataSpec("x"),
        (4, 4, 4, 1),
        "error[E0814]: the images of synthetic cannot become the input [4x4x4x1]\n"
        "  = an image has 16x16x1 = 256 values\n"
        "help: make the input [16x16x1]",
    ),
    "three means for one channel": (
        DataSpec("x", mean=(0.1, 0.2, 0.3)),
        (16, 16, 1),
        "error[E0815]: normalize with 3 values for mean cannot be\n"
        "  = the input has 1 channel: give 1 value",
    ),
    "jitter without colours": (
        DataSpec("x", augment=(Jitter(),)),
        (16, 16, 1),
        "error[E0815]: jitter cannot be\n"
        "  = it shifts red, green and blue; the input has 1 channel",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_the_arithmetic(case: str) -> None:
    spec, shape, expected = REFUSED[case]
    with pytest.raises(DataError) as caught:
        prepare(synthetic(train=4, test=2), spec, shape)
    assert str(caught.value) == expected


def test_too_few_images_to_set_apart() -> None:
    with pytest.raises(DataError, match=r"E0814.*has 1 images: too few to set 1 apart"):
        prepare(synthetic(train=1, test=1), DataSpec("x", val=0.5), (16, 16, 1))


def test_an_array_too_large_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "MAX_ARRAY_BYTES", 4 * 4 * 256 - 1)
    with pytest.raises(DataError) as caught:
        prepare(synthetic(train=4, test=1), DataSpec("x"), (16, 16, 1))
    assert str(caught.value) == (
        "error[E0809]: the images of synthetic take 4,096 bytes\n"
        "  = 4x1x16x16 values of 4 bytes; at most 4,095 bytes\n"
        "help: limit the number of images, or resize them"
    )


def test_bytes_stay_bytes_where_they_are_only_scaled() -> None:
    made = synthetic(train=3, test=2)
    spec = DataSpec("x", pad=1, mean=(0.5,), std=(0.25,), augment=(Flip(), Crop((16, 16))))
    ready = prepare(made, spec, (16, 16, 3))
    kept = prepare(made, spec, (16, 16, 3), keep_bytes=True)
    assert ready.pixels is None
    assert kept.pixels == Pixels(0.0, 255.0, (0.5,) * 3, (0.25,) * 3)
    for mine, theirs in ((kept.train, ready.train), (kept.test, ready.test)):
        assert mine is not None
        assert theirs is not None
        assert mine.images.dtype == np.uint8
        assert mine.images.shape == theirs.images.shape
        scaled = (mine.images.astype(np.float32) / np.float32(255) - np.float32(0.5)) * 4
        np.testing.assert_array_equal(scaled, theirs.images)
    assert kept.train.black is not None
    assert kept.train.black.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (DataSpec("x", resize=(8, 8)), (8, 8, 1)),
        (DataSpec("x"), (256,)),
        (DataSpec("x", augment=(Jitter(),)), (16, 16, 3)),
    ],
)
def test_bytes_do_not_stay_where_more_is_computed(spec: DataSpec, size: tuple[int, ...]) -> None:
    data = prepare(synthetic(train=3, test=2), spec, size, keep_bytes=True)
    assert data.pixels is None
    assert data.train.images.dtype == np.float32
