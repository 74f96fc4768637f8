"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.support.diagnostics import SettingError
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


@pytest.mark.parametrize("value", ["yes", "-1", "1.5", "6", "²", "9" * 5000])
def test_bad_debug(value: str) -> None:
    with pytest.raises(SettingError, match=r"E0914.*takes a number from 0 to 5"):
        Settings.from_env({"CNNDSL_DEBUG": value})


@pytest.mark.parametrize("value", ["many", "0", "-2", "٣"])
def test_bad_threads(value: str) -> None:
    with pytest.raises(SettingError, match=r"E0914.*takes a number from 1$"):
        Settings.from_env({"CNNDSL_THREADS": value})


def test_folders() -> None:
    assert Settings.from_env({"CNNDSL_KERNELS": "off"}).kernel_dir == "off"
    for name in ("CNNDSL_KERNELS", "CNNDSL_DATA"):
        with pytest.raises(SettingError, match="there is no home folder ~nobody_at_all"):
            Settings.from_env({name: "~nobody_at_all/x"})


def test_reads_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDSL_DEVICE", "reference")
    assert Settings.from_env().device == "reference"
