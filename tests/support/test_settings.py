"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.support.settings import Settings


def test_defaults() -> None:
    assert Settings.from_env({}) == Settings(data_dir=None, device="cpu", debug=0)


def test_values() -> None:
    env = {"CNNDSL_DATA": "/data", "CNNDSL_DEVICE": "cuda", "CNNDSL_DEBUG": "3"}
    assert Settings.from_env(env) == Settings(data_dir=Path("/data"), device="cuda", debug=3)


def test_empty_is_not_set() -> None:
    env = {"CNNDSL_DATA": "", "CNNDSL_DEVICE": "", "CNNDSL_DEBUG": ""}
    assert Settings.from_env(env) == Settings()


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Settings.from_env({"CNNDSL_DATA": "~/sets"}).data_dir == Path("/home/somebody/sets")


@pytest.mark.parametrize("value", ["yes", "-1", "1.5"])
def test_bad_debug(value: str) -> None:
    with pytest.raises(ValueError, match="takes a number from 0 to 5"):
        Settings.from_env({"CNNDSL_DEBUG": value})


def test_reads_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDSL_DEVICE", "reference")
    assert Settings.from_env().device == "reference"
