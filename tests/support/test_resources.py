"""Folders that come with the installation."""

from __future__ import annotations

import pytest

from cnndsl.support.resources import resource_dir


def test_finds_the_grammar() -> None:
    assert (resource_dir("grammars") / "cnn.lark").is_file()


def test_says_what_is_missing() -> None:
    with pytest.raises(FileNotFoundError, match="'nothing' is missing"):
        resource_dir("nothing")
