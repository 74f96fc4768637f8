from __future__ import annotations

import importlib.metadata

import pytest

from cnndsl import __version__
from tests.cli.runner import run, run_json


def test_everything_is_named() -> None:
    document = run_json("doctor")
    assert document["ok"] is True
    assert document["versions"]["cnndsl"] == __version__
    assert document["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert document["backends"]["reference"] == "ready"
    assert document["folders"]["zoo"].endswith("zoo")
    shown = run("doctor").out
    for title in document:
        assert title == "ok" or f"{title}:" in shown


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.metadata.version

    def version(name: str) -> str:
        if name == "lark":
            raise importlib.metadata.PackageNotFoundError
        return found(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    result = run("doctor")
    assert result.code == 4
    assert "lark           missing" in result.out


def test_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDSL_DATA", "/somewhere")
    assert run_json("doctor")["folders"]["CNNDSL_DATA"] == "/somewhere"
