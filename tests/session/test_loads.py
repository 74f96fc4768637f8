"""`load "file"`: everything must fit, but for what a patch replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse, parse_file
from cnndsl.ir.types import f32
from cnndsl.layers.initializers import initial_state
from cnndsl.model import Model
from cnndsl.ops.rules import Array
from cnndsl.session import Choices, Session, loads, open_session
from cnndsl.support.diagnostics import WeightsError, render
from cnndsl.train.checkpoint import save_state
from tests.zoo.networks import ZOO

BASE = """
input [8x8x1]
C1: conv 4 3x3, relu
F2: fc 12, relu
F3: fc 10, softmax
"""

TRANSFER = """
import "base.cnn" as base
net mine = base {
  load "weights.npz"
  replace F3: fc 10 init zeros, softmax
}
train mine { data: digits; batch: 20; epochs: 1 }
"""


def write(folder: Path, arrays: Mapping[str, Array]) -> None:
    np.savez_compressed(folder / "weights.npz", allow_pickle=True, **arrays)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.cnn").write_text(BASE)
    graph = Model.from_text(BASE).compile().lowered
    write(tmp_path, initial_state(graph, 7))
    save_state(tmp_path / "weights.safetensors", initial_state(graph, 7), {})
    return tmp_path


def session(folder: Path, text: str = TRANSFER) -> Session:
    (folder / "mine.cnn").write_text(text)
    program = parse(text, str(folder / "mine.cnn"))
    return open_session(program, Choices(limit=60), base_dir=folder)


def refusal(folder: Path, text: str = TRANSFER) -> str:
    with pytest.raises(WeightsError) as refused:
        session(folder, text).first_state()
    return str(refused.value)


@pytest.mark.parametrize("name", ["weights.npz", "weights.safetensors"])
def test_loads_all_but_what_was_replaced(name: str, folder: Path) -> None:
    state = session(folder, TRANSFER.replace("weights.npz", name)).first_state()
    expected = initial_state(Model.from_text(BASE).compile().lowered, 7)
    for array in ("C1.weight", "C1.bias", "F2.weight", "F2.bias"):
        np.testing.assert_array_equal(state[array], expected[array])
    assert not state["F3.weight"].any()


def test_what_does_not_fit_is_shown_in_the_program(folder: Path) -> None:
    text = TRANSFER.replace("replace F3: fc 10 init zeros", "replace F2: fc 9")
    shown = refusal(folder, text)
    assert "weights.npz does not fit F3" in shown
    assert '4 |   load "weights.npz"' in shown
    assert "it holds 12x10, F3 is 9x10" in shown
    assert "the other 3 arrays fit" in shown


VGG = """error[E0702]: weights/vgg16.npz does not fit FC8
 --> pets.cnn:3:3
  |
3 |   load "weights/vgg16.npz"
  |   ^^^^^^^^^^^^^^^^^^^^^^^^ it holds 4096x1000, FC8 is 4096x37
  |
  = the other 30 arrays fit
help: `replace FC8: fc 37` starts FC8 afresh and loads the rest"""
"""The message of the language's description."""


def test_the_description_s_message(monkeypatch: pytest.MonkeyPatch) -> None:
    patch = 'net pets = vgg(v=D, classes=37) {\n  load "weights/vgg16.npz"\n}\n'
    program = parse(f'import "vgg.cnn" as vgg\n{patch}', "pets.cnn")
    pets = elaborate(program, base_dir=ZOO["vgg"].parent)
    published = elaborate(parse_file(ZOO["vgg"]), base_dir=ZOO["vgg"].parent).network
    arrays = {
        f"{layer.name}.{spec.name}": np.broadcast_to(np.float32(0), spec.shape)
        for layer in published.layers
        for spec in layer.parameters
    }
    monkeypatch.setattr(loads, "read_arrays", lambda path, wanted: arrays)
    monkeypatch.setattr(loads, "_inside", lambda load, base_dir: Path(load.path))
    parameters = {
        f"{layer.name}.{spec.name}": f32(*spec.shape)
        for layer in pets.network.layers
        for spec in layer.parameters
    }
    with pytest.raises(WeightsError) as refused:
        loads.loaded_weights(pets.loads, parameters, base_dir=None)
    (found,) = refused.value.diagnostics
    assert render(found, {program.source.name: program.source}).rstrip() == VGG


def test_a_missing_file_says_where_it_was_looked_for(folder: Path) -> None:
    shown = refusal(folder, TRANSFER.replace("weights.npz", "wieghts.npz"))
    assert "there is no weights file wieghts.npz" in shown
    assert str(folder) in shown


def test_a_link_out_of_the_folder_is_not_followed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "weights.npz"
    (folder / "weights.npz").rename(outside)
    (folder / "weights.npz").symlink_to(outside)
    assert "lies outside the program's folder" in refusal(folder)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 nothing", b"\x93NUMPY", b"\x80\x04N."])
def test_damaged_files_are_refused(data: bytes, folder: Path) -> None:
    (folder / "weights.npz").write_bytes(data)
    assert "is not a .npz file, or is damaged" in refusal(folder)


def test_pickled_arrays_are_not_opened(folder: Path) -> None:
    arrays = dict(np.load(folder / "weights.npz"))
    arrays["C1.weight"] = np.array([{"run": "me"}], dtype=object)
    write(folder, arrays)
    assert "is not a .npz file, or is damaged" in refusal(folder)


def test_an_array_larger_than_the_program_needs_is_not_unpacked(folder: Path) -> None:
    arrays = dict(np.load(folder / "weights.npz"))
    arrays["C1.weight"] = np.zeros(10_000_000)
    write(folder, arrays)
    assert "C1.weight takes 80,000,1" in refusal(folder)


def test_values_that_are_not_finite_are_refused(folder: Path) -> None:
    arrays = dict(np.load(folder / "weights.npz"))
    arrays["F2.bias"][3] = np.nan
    write(folder, arrays)
    assert "does not fit F2" in refusal(folder)
