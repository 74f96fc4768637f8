"""The library's face: from text or file to trained weights and back, without a print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import cnndsl
from cnndsl.data import DataSpec, open_data
from cnndsl.ir.types import DType
from cnndsl.ops.rules import Array
from cnndsl.train.checkpoint import load_state, save_state
from cnndsl.train.loop import EpochDone, Event, StepDone
from tests.runtime.test_foreign import OnGpu

TEXT = """
param width in 1..8 = 4

input [10x10x1]
conv width 3x3, relu - maxpool 2x2
dropout 0.2 - fc 10 - softmax

train {
  data:   digits
  batch:  20
  epochs: 2
}

data digits {
  source:    digits
  pad:       10x10
  normalize: mean 0.3, std 0.4
}
"""


@pytest.fixture(autouse=True)
def _silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing in the library prints, whatever is asked of it."""
    yield
    assert capfd.readouterr() == ("", "")


def trained(*, epochs: int = 1, dtype: DType = DType.F32) -> cnndsl.Model:
    model = cnndsl.Model.from_text(TEXT)
    model.fit(limit=100, epochs=epochs, dtype=dtype)
    return model


def pictures(count: int) -> npt.NDArray[np.uint8]:
    """Digits as they are stored: [N, 8, 8, 1], 0 to 255."""
    data = open_data(DataSpec("digits"), (8, 8, 1))
    assert data.test is not None
    planes = np.asarray(data.test.images[:count] * 255).round().astype(np.uint8)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def test_load_finds_files_the_zoo_and_weights_and_takes_parameters(tmp_path: Path) -> None:
    (tmp_path / "mine.cnn").write_text(TEXT)
    model = cnndsl.load(tmp_path / "mine.cnn", params={"width": 2})
    assert model.network["conv1"].output == (8, 8, 2)
    assert model.name == "mine"
    assert cnndsl.load("lenet").network == cnndsl.load("lenet.cnn").network
    model.initialize()
    model.save(tmp_path / "mine.safetensors")
    assert cnndsl.load(tmp_path / "mine.safetensors").network["conv1"].output == (8, 8, 2)


def test_fit_tells_what_happens_and_gives_the_best_epoch() -> None:
    events: list[Event] = []
    model = cnndsl.Model.from_text(TEXT)
    result = model.fit(limit=200, epochs=3, observe=events.append)
    assert [type(e) for e in events] == ([StepDone] * 10 + [EpochDone]) * 3
    assert [row["epoch"] for row in result.epochs] == [1, 2, 3]
    pairs = [(row["val_accuracy"], -row["val_loss"]) for row in result.epochs]
    assert result.best_epoch == pairs.index(max(pairs)) + 1
    assert result.test == model.evaluate(limit=200)
    measured = model.evaluate(limit=200, split="val")
    row = result.epochs[result.best_epoch - 1]
    assert measured == {k.removeprefix("val_"): v for k, v in row.items() if k.startswith("val_")}


def test_fit_writes_nothing_unless_it_is_given_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = trained()
    assert not list(tmp_path.iterdir())
    model.fit(limit=100, epochs=1, folder=tmp_path / "all")
    assert [path.name for path in tmp_path.iterdir()] == ["all"]
    best, _ = load_state(tmp_path / "all" / "program-1" / "best.safetensors")
    assert model.state is not None
    assert_same_bits(best, model.state)


def assert_same_bits(first: dict[str, Array], second: dict[str, Array]) -> None:
    assert set(first) == set(second)
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        assert array.tobytes() == second[name].tobytes()


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64])
def test_saving_and_loading_keeps_every_bit(dtype: DType, tmp_path: Path) -> None:
    model = trained(dtype=dtype)
    model.save(tmp_path / "w.safetensors")
    again = cnndsl.load(tmp_path / "w.safetensors")
    assert model.state is not None
    assert again.state is not None
    assert_same_bits(model.state, again.state)
    images = pictures(5)
    scores = model.predict(images)
    assert scores.dtype == dtype.numpy
    assert scores.tobytes() == again.predict(images).tobytes()
    again.save(tmp_path / "again.safetensors")
    assert load_state(tmp_path / "again.safetensors")[0].keys() == model.state.keys()


def test_fit_begins_with_the_weights_that_were_loaded(tmp_path: Path) -> None:
    model = trained(epochs=2)
    model.save(tmp_path / "w.safetensors")
    fresh = cnndsl.Model.from_text(TEXT)
    fresh.load_weights(tmp_path / "w.safetensors")
    # A rate of zero leaves the weights as they are.
    fresh.fit(limit=100, epochs=1, rate=0.0)
    assert model.state is not None
    assert fresh.state is not None
    assert_same_bits(model.state, fresh.state)


def test_pixels_are_prepared_as_the_data_was() -> None:
    model = trained()
    images = pictures(6)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    floats = (padded.astype(np.float32) / 255 - np.float32(0.3)) / np.float32(0.4)
    np.testing.assert_allclose(model.predict(images), model.predict(floats), rtol=1e-5, atol=1e-6)
    spec = DataSpec("digits", pad=(10, 10), mean=(0.3,), std=(0.4,))
    data = open_data(spec, (10, 10, 1))
    assert data.test is not None
    prepared = data.test.images[:6].transpose(0, 2, 3, 1)
    # The digits have 17 shades, which 256 hold up to 1/510: at most 0.005 of a normalised pixel.
    assert float(np.abs(prepared - floats).max()) <= 1 / 510 / 0.4 + 1e-6
    np.testing.assert_allclose(model.predict(images), model.predict(prepared), rtol=0, atol=5e-3)


def test_predict_takes_one_image_or_many() -> None:
    model = trained()
    images = pictures(4)
    scores = model.predict(images)
    assert scores.shape == (4, 10)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-5)
    for image, row in zip(images, scores, strict=True):
        one = model.predict(image)
        assert one.shape == (10,)
        np.testing.assert_allclose(one, row, rtol=1e-5, atol=1e-7)
    assert model.predict(images[:0]).shape == (0, 10)
    # Any size, and colour, become what the network takes.
    large = np.repeat(np.repeat(np.repeat(images, 3, axis=1), 3, axis=2), 3, axis=3)
    assert model.predict(large).shape == (4, 10)


def test_compile_keeps_every_stage() -> None:
    compiled = cnndsl.compile(TEXT, params={"width": 3})
    assert compiled.network["conv1"].output == (8, 8, 3)
    assert [node.op.name for node in compiled.lowered.nodes()].count("relu") == 1
    assert len(compiled.optimized) < len(compiled.lowered)
    assert compiled.plan.graph is compiled.optimized
    step = cnndsl.Model.from_text(TEXT).compile(training=True)
    assert "conv1.weight" in step.lowered.updates


def test_a_program_without_an_input_takes_that_of_its_data() -> None:
    model = cnndsl.load("slide")
    assert model.network.inputs[0].size == (8, 8, 1)
    assert {note.code for note in model.notes} >= {"N0001", "N0004"}
    result = model.fit("synthetic", limit=40, epochs=1)
    assert len(result.epochs) == 1


WRONG: dict[str, tuple[str, Callable[[cnndsl.Model], object]]] = {
    "no such program": ("E0619", lambda m: cnndsl.load("lenett")),
    "no such weights": ("E0710", lambda m: cnndsl.load("none.safetensors")),
    "a window that does not fit": ("E0301", lambda m: cnndsl.compile("[7x7x1]\nconv 4 3x3/3")),
    "a parameter's value": ("E0501", lambda m: cnndsl.load("lenet", params={"act": "swish"})),
    "a parameter's name": ("E0502", lambda m: cnndsl.load("lenet", params={"acts": "relu"})),
    "a backend": ("E0912", lambda m: cnndsl.compile(TEXT, device="none")),
    "no weights": ("E0713", lambda m: cnndsl.Model.from_text(TEXT).predict(pictures(1))),
    "another size": ("E0910", lambda m: m.predict(np.zeros((2, 9, 9, 1)))),
    "too few axes": ("E0910", lambda m: m.predict(np.zeros((10, 10)))),
    "text": ("E0910", lambda m: m.predict("7")),
    "complex numbers": ("E0910", lambda m: m.predict(np.zeros((10, 10, 1), complex))),
    "an array of a GPU": ("E0910", lambda m: m.predict(OnGpu())),  # type: ignore[arg-type]
    "rows of different lengths": ("E0910", lambda m: m.predict([[1.0], [1.0, 2.0]])),
    "four channels": ("E0910", lambda m: m.predict(np.zeros((8, 8, 4), np.uint8))),
    "an image of nothing": ("E0910", lambda m: m.predict(np.zeros((0, 8, 1), np.uint8))),
    "a data set": ("E0802", lambda m: m.fit("mnits")),
    "a split": ("E0821", lambda m: m.evaluate(split="exam")),
    "no epochs": ("E0732", lambda m: m.fit(epochs=0)),
    "a negative batch": ("E0732", lambda m: m.fit(batch=-1)),
    "a rate that is no number": ("E0732", lambda m: m.fit(rate=float("nan"))),
    "a batch larger than the data": ("E0819", lambda m: m.fit(batch=10_000)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_an_error_with_diagnostics(what: str) -> None:
    code, act = WRONG[what]
    model = cnndsl.Model.from_text(TEXT)
    model.initialize()
    with pytest.raises(cnndsl.DiagnosticError) as caught:
        act(model)
    assert [found.code for found in caught.value.diagnostics] == [code]
    assert f"error[{code}]" in str(caught.value)


def test_weights_of_another_program_are_refused_as_a_whole(tmp_path: Path) -> None:
    wide = cnndsl.Model.from_text(TEXT, params={"width": 5})
    wide.initialize()
    wide.save(tmp_path / "wide.safetensors")
    model = cnndsl.Model.from_text(TEXT)
    model.initialize()
    before = dict(model.state or {})
    with pytest.raises(cnndsl.DiagnosticError, match="E0702") as caught:
        model.load_weights(tmp_path / "wide.safetensors")
    assert "conv1.weight: the file holds 5x1x3x3, the program needs 4x1x3x3" in str(caught.value)
    assert model.state is not None
    assert_same_bits(before, model.state)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({}, "E0712"),
        ({"program": TEXT, "params": "["}, "E0711"),
        ({"program": TEXT, "params": "[1]"}, "E0711"),
        ({"program": TEXT, "dtype": "f99"}, "E0711"),
        ({"program": "conv conv ("}, "E0103"),
    ],
)
def test_weights_files_that_tell_nonsense_are_refused(
    metadata: dict[str, str], code: str, tmp_path: Path
) -> None:
    save_state(tmp_path / "w.safetensors", {"x": np.zeros(2, np.float32)}, metadata)
    with pytest.raises(cnndsl.DiagnosticError) as caught:
        cnndsl.load(tmp_path / "w.safetensors")
    assert caught.value.diagnostics[0].code == code


def test_the_same_seed_draws_the_same_weights() -> None:
    first, second = cnndsl.Model.from_text(TEXT), cnndsl.Model.from_text(TEXT)
    first.initialize(seed=3)
    second.initialize(seed=3)
    assert first.state is not None
    assert second.state is not None
    assert_same_bits(first.state, second.state)
    second.initialize(seed=4)
    assert first.state["conv1.weight"].tobytes() != second.state["conv1.weight"].tobytes()


def test_precision_is_one_of_those_there_are() -> None:
    exact = cnndsl.Model.from_text(TEXT, precision="exact")
    assert exact.choices.precision == "exact"
    exact.initialize()
    assert exact.predict(pictures(2)).shape == (2, 10)
    changed = cnndsl.Model.from_text(TEXT, precision="exact")
    changed.fit(limit=100, epochs=1, precision="fast")
    assert changed.choices.precision == "fast"
    with pytest.raises(cnndsl.DiagnosticError, match="E0913"):
        cnndsl.compile(TEXT, precision="exakt")  # type: ignore[arg-type]


def test_predict_follows_the_weights_and_nobody_changes_them_behind_its_back() -> None:
    model = cnndsl.Model.from_text(TEXT)
    model.initialize(seed=3)
    images = pictures(3)
    first = model.predict(images)
    assert model.predict(images).tobytes() == first.tobytes()
    assert model.state is not None
    with pytest.raises(ValueError, match="read-only"):
        model.state["conv1.bias"] += np.float32(1)
    mine = {name: array.copy() for name, array in model.state.items()}
    model.state = mine
    mine["fc1.bias"] += np.arange(10, dtype=np.float32)
    assert model.predict(images).tobytes() == first.tobytes()
    model.state["fc1.bias"] = mine["fc1.bias"]
    changed = model.predict(images)
    assert changed.tobytes() != first.tobytes()
    mine["fc1.bias"] -= np.arange(10, dtype=np.float32)
    assert model.predict(images).tobytes() == first.tobytes()
    model.initialize(seed=4)
    assert model.predict(images).tobytes() not in (first.tobytes(), changed.tobytes())
