"""Weights files: what is written is read back, what is broken is refused, kills lose nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import WeightsError
from cnndsl.train.checkpoint import check_fit, decode, encode, load_state, save_state
from cnndsl.train.progress import Progress

STATE: dict[str, Array] = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "conv1.bias": np.array([0.5, -1.5], dtype=np.float32),
    "optimizer.steps": np.array(3.0, dtype=np.float32),
}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_state(path, STATE, {"progress": "x"})
    state, metadata = load_state(path)
    assert metadata == {"format": "cnndsl", "cnndsl.format": "1", "progress": "x"}
    assert set(state) == set(STATE)
    for name, array in STATE.items():
        assert state[name].dtype == array.dtype
        assert state[name].shape == array.shape
        np.testing.assert_array_equal(state[name], array)


def test_other_tools_can_read_it(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    save_state(tmp_path / "w.safetensors", STATE, {})
    np.testing.assert_array_equal(
        load_file(tmp_path / "w.safetensors")["conv1.weight"], STATE["conv1.weight"]
    )


def test_the_same_state_gives_the_same_bytes_in_any_order() -> None:
    turned = dict(reversed(STATE.items()))
    assert encode(STATE, {"a": "1", "b": "2"}) == encode(turned, {"a": "1", "b": "2"})


@given(st.integers(0, 2**32 - 1))
def test_damaged_files_give_one_kind_of_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(encode(STATE, {"program": "input [2x2x1]"}))
    for _ in range(rng.integers(1, 6)):
        data[rng.integers(0, len(data))] = rng.integers(0, 256)
    if rng.integers(0, 2):
        del data[rng.integers(0, len(data)) :]
    try:
        state, _ = decode(bytes(data), "w.safetensors")
    except WeightsError as refused:
        codes = {d.code for d in refused.diagnostics}
    else:
        codes = {"E0711"}
        assert sum(a.nbytes for a in state.values()) <= len(data)
    assert codes == {"E0711"}


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", b"\xff" * 64, b"{}", b"PK\x03\x04" * 9])
def test_other_formats_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_state(tmp_path / "w.safetensors")


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    save_state(tmp_path / "best.safetensors", STATE, {})
    with pytest.raises(WeightsError) as refused:
        load_state(tmp_path / "bets.safetensors")
    assert "best.safetensors" in str(refused.value)


def test_every_mismatch_is_listed() -> None:
    wanted: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]] = {
        "conv1.weight": ((2, 3, 3, 3), np.dtype(np.float32)),
        "conv_1.bias": ((2,), np.dtype(np.float32)),
        "optimizer.steps": ((), np.dtype(np.float64)),
        "bad": ((1,), np.dtype(np.float32)),
    }
    with pytest.raises(WeightsError) as refused:
        check_fit({**STATE, "bad": np.array([np.nan], np.float32)}, wanted, name="w.safetensors")
    assert refused.value.diagnostics[0].notes[0].split("\n") == [
        "conv1.weight: the file holds 2x3x2x2, the program needs 2x3x3x3",
        "conv_1.bias: missing (the file has conv1.bias)",
        "optimizer.steps: the file holds float32, the program needs float64",
        "bad: 1 values are not finite",
        "conv1.bias: not in the program",
    ]


def test_what_fits_fits() -> None:
    check_fit(STATE, {k: (a.shape, a.dtype) for k, a in STATE.items()}, name="w")


def test_progress_round_trip_keeps_every_bit() -> None:
    progress = Progress(epoch=2, step=5, steps=25, seed=7, tally={"loss_sum": 0.1 + 0.2})
    progress.rows = [{"epoch": 1, "val_loss": 1 / 3}]
    progress.best, progress.best_epoch = (0.5, -1 / 3), 1
    assert Progress.from_json(progress.to_json()) == progress


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"epoch": 1, "who": 2}', '{"best": [1]}'])
def test_broken_progress_is_refused(text: str | None) -> None:
    with pytest.raises(WeightsError, match="does not say how far"):
        Progress.from_json(text)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from cnndsl.train.checkpoint import save_state
path, number = Path(sys.argv[1]), 0
while True:
    state = {"w": np.full(300_000, number, np.float32), "steps": np.array(number, np.int64)}
    save_state(path, state, {"number": str(number)})
    if number == 0:
        print("ready", flush=True)
    number += 1
"""


@pytest.mark.slow
def test_a_kill_at_any_instant_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    rng = np.random.default_rng(0)
    kills = 40
    for _ in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(float(rng.uniform(0, 0.05)))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        state, metadata = load_state(path)
        number = int(metadata["number"])
        assert int(state["steps"]) == number
        assert (state["w"] == number).all()
        leftovers = [p for p in tmp_path.iterdir() if p != path]
        assert len(leftovers) <= 1
