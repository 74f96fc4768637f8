"""Runs the command line within the test's process, as a shell would see it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import jsonschema

from cnndsl.cli.app import main
from cnndsl.cli.ending import Exit
from cnndsl.cli.schemas import FAILURE, SCHEMAS

CODES = frozenset(int(code) for code in Exit)


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def run(*arguments: str, stdin: bytes = b"") -> Result:
    """Run a command to its end; stdout and stderr are no terminals."""
    out, err, source = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(3))
    source.buffer.write(stdin)
    source.seek(0)
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", source),
        mock.patch.dict(os.environ, COLUMNS="80"),
    ):
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return Result(int(code), _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


def run_json(*arguments: str, stdin: bytes = b"", fails: bool = False) -> Any:
    """Run a command with `--json` and give its document, which must be as its schema says."""
    result = run(*arguments, "--json", stdin=stdin)
    document = result.json
    jsonschema.validate(document, FAILURE if fails else schema_of(arguments))
    if not fails:
        assert result.err == ""
    return document


def schema_of(arguments: tuple[str, ...]) -> Mapping[str, object]:
    return SCHEMAS.get(" ".join(arguments[:2])) or SCHEMAS[arguments[0]]
